//! Copying another installation's database into this one.

use std::sync::Arc;

use diesel::OptionalExtension;
use diesel_async::RunQueryDsl;
use jiff::tz::TimeZone;

use super::{
    House, Options, Watch, check,
    copy::Copying,
    progress::{Progress, Stage},
    source_sqlite::SqliteSource,
    target::Target,
    zone,
};
use crate::{
    secret::Secret,
    store::{
        StoreError, StoreResult, Writer,
        dsn::Dsn,
        migrate::MARKER,
        open::Parsed,
        pool::{Mysql, Postgres, blocking, connect, path_text, read},
        tables::takeovers,
        text::fit,
    },
    takeover::{Report, cipher::LegacyCipher, source::Source},
    time::Timestamp,
};

/// Copies what the database at `from` holds into the one of `writer`. Nothing is written to `from`.
pub(super) async fn import(
    writer: Writer,
    from: Parsed,
    passphrase: Option<Secret>,
    options: Options,
    watch: &mut Watch,
) -> StoreResult<Report> {
    let place = from.dsn.to_string();
    let (mut source, name): (Box<dyn Source>, String) = match from.dsn {
        Dsn::Sqlite(path) => {
            if !path.is_file() {
                return Err(StoreError::Unavailable(format!("there is no file {}", path.display())));
            }
            let path = std::fs::canonicalize(&path).unwrap_or(path);
            let path = path_text(&path)?;
            (Box::new(SqliteSource::open(&path).await?), format!("sqlite:{path}"))
        }
        Dsn::Postgres(dsn) => {
            let server = Postgres::new(&dsn, from.roots)?;
            (connect(&server).await?.source(TimeZone::UTC).await?, place)
        }
        Dsn::Mysql(dsn) => {
            let zone = zone(&dsn, from.time_zone.as_deref())?;
            let server = Mysql::new(&dsn, &from.roots)?;
            (connect(&server).await?.source(zone).await?, place)
        }
    };
    if source.inventory().0.contains_key(MARKER) {
        return Err(StoreError::Incompatible(
            "that database is one of this program, not of an older GPT-Load; let DATABASE_DSN name it instead"
                .to_owned(),
        ));
    }
    if !source.inventory().is_legacy() {
        return Err(StoreError::Incompatible("that database is not one of an older GPT-Load".to_owned()));
    }
    let cipher = Arc::new(blocking(move || Ok(LegacyCipher::new(passphrase.as_ref()))).await?);
    check::passphrase(&mut *source, &cipher, options, watch).await?;

    let name = fit(name, 500);
    let progress = begin(&writer, &name, source.inventory().generation()).await?;
    let mut target = Target::Live(writer);
    let mut copying =
        Copying { source: &mut *source, target: &mut target, name: &name, cipher, options, progress, watch };
    copying.run().await?;
    let Copying { source, target, mut progress, watch, .. } = copying;
    check::copied(target, &progress.report, false, watch).await?;
    progress.report.policies_left = source.count("policies").await? + source.count("group_policies").await?;
    progress.stage = Stage::Done;
    progress.finished_at = Some(Timestamp::now());
    target.commit(&name, Vec::new(), &progress).await?;
    Ok(progress.report)
}

/// The copy that was begun before, one more after a finished one, or a fresh one.
async fn begin(writer: &Writer, name: &str, generation: &str) -> StoreResult<Progress> {
    use diesel::QueryDsl;
    let engine = Arc::clone(&writer.engine);
    let stored: Option<String> =
        read!(engine, |conn| takeovers::table.find(name).select(takeovers::progress).first(conn).await.optional()?);
    let now = Timestamp::now();
    match stored {
        None => Ok(Progress::begin(now, generation)),
        Some(text) => {
            let stored: Progress =
                serde_json::from_str(&text).map_err(|error| StoreError::damaged("progress", error))?;
            Ok(if stored.stage == Stage::Done { stored.again(now, generation) } else { stored })
        }
    }
}
