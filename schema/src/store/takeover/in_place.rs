//! Taking over the database that the node is started on.

use std::sync::Arc;

use super::{
    Moment, Options, Watch,
    backup::Backup,
    check,
    copy::Copying,
    progress::{Progress, Stage},
    source_sqlite::{SqliteSource, inventory, open_read_only},
    staging::{Template, keys, stored_progress},
    swap,
    target::{STAGED, Staged, Target},
};
use crate::{
    crypto::envelope::Derivation,
    secret::Secret,
    store::{
        StoreError, StoreResult,
        dialect::{Clash, Rows},
        pool::{AsyncSqlite, blocking, open_sqlite},
        unlock::Opened,
    },
    takeover::{Report, cipher::LegacyCipher, source::Source},
    time::Timestamp,
};

/// The name under which the progress of a take-over in place is stored.
pub(super) const NAME: &str = "in place";

/// Copies the tables of the old program in the file at `path` and puts the copies in their places; answers what was
/// done, and the keys of the database.
pub(in crate::store) async fn take_over(
    path: &str,
    passphrase: Option<Secret>,
    fresh: Derivation,
    options: Options,
    watch: &mut Watch,
) -> StoreResult<(Report, Opened)> {
    let passphrase = passphrase.filter(|passphrase| !passphrase.expose().is_empty());
    let derived = passphrase.clone();
    let cipher = Arc::new(blocking(move || Ok(LegacyCipher::new(derived.as_ref()))).await?);
    let mut source = SqliteSource::open(path).await?;
    check::passphrase(&mut source, &cipher, options, watch).await?;
    let generation = source.inventory().generation();
    // Nobody else may have the file open while its journal changes.
    drop(source);

    let (opened, progress) = begin(path, passphrase, fresh, generation, watch).await?;
    let file = path.to_owned();
    let connection = blocking(move || Ok(open_sqlite(&file)?)).await?;
    let connection = Staged::Sqlite(AsyncSqlite::new(connection));
    let mut target = Target::Staged { connection, vault: Arc::clone(&opened.vault) };
    let mut source = SqliteSource::open(path).await?;
    let mut copying =
        Copying { source: &mut source, target: &mut target, name: NAME, cipher, options, progress, watch };
    copying.run().await?;
    let progress = finish(copying).await?;
    drop((source, target));

    let path = path.to_owned();
    blocking(move || {
        let template = Template::new()?;
        let Some(progress) = swap::forth(&path, &template, NAME, progress)? else {
            swap::drop_staged(&mut open_sqlite(&path)?)?;
            return Err(changed_meanwhile());
        };
        Ok((progress.report, opened))
    })
    .await
}

/// The copy that was begun before, or a fresh one, after the file was copied.
async fn begin(
    path: &str,
    passphrase: Option<Secret>,
    fresh: Derivation,
    generation: &'static str,
    watch: &mut Watch,
) -> StoreResult<(Opened, Progress)> {
    let path = path.to_owned();
    let staged = format!("{STAGED}takeovers");
    let resumed = {
        let (path, staged, passphrase) = (path.clone(), staged.clone(), passphrase.clone());
        blocking(move || {
            let mut connection = open_read_only(&path)?;
            if !inventory(&mut connection)?.0.contains_key(&staged) {
                return Ok(None);
            }
            if !Template::new()?.fits(&mut connection)? {
                drop(connection);
                swap::drop_staged(&mut open_sqlite(&path)?)?;
                return Ok(None);
            }
            let progress = stored_progress(&mut connection, &staged, NAME)?;
            let progress = progress.ok_or_else(|| StoreError::damaged("progress", "it is missing"))?;
            if let Some(backup) = progress.backup.as_deref() {
                Backup::of(&path, backup).settle_late()?;
            }
            Ok(Some((keys(&mut connection, passphrase.as_ref())?, progress)))
        })
        .await?
    };
    if let Some(resumed) = resumed {
        return Ok(resumed);
    }
    watch(Moment { stage: "copy of the file", done: 0, total: 1 });
    blocking(move || {
        let mut progress = Progress::begin(Timestamp::now(), generation);
        let backup = Backup::make(&path, "before-takeover")?;
        progress.backup = Some(backup.path.clone());
        // The switch to WAL; a batch is then one write, and readers do not wait.
        drop(open_sqlite(&path)?);
        let opened = Template::new()?.stage(&path, passphrase.as_ref(), &fresh, NAME, &progress)?;
        // Only now is the copy spoken of; one that nothing speaks of is made again, not left lying about.
        backup.settle()?;
        Ok((opened, progress))
    })
    .await
}

/// Another program wrote into the old tables.
pub(super) fn changed_meanwhile() -> StoreError {
    StoreError::Unavailable(
        "the older GPT-Load changed its database while it was copied. Its tables were not touched. Stop that program, then \
         start again."
            .to_owned(),
    )
}

/// The check, and the counts that are known at the end only.
pub(super) async fn finish(copying: Copying<'_>) -> StoreResult<Progress> {
    let Copying { source, target, progress, watch, name, .. } = copying;
    check::copied(target, &progress.report, true, watch).await?;
    let mut progress = progress;
    progress.report.policies_left = source.count("policies").await? + source.count("group_policies").await?;
    progress.report.hours.merged =
        progress.report.hours.read - progress.report.hours.left - target.staged_hours().await?;
    let last_group = progress.groups.values().map(|group| group.id.0).max().unwrap_or(0);
    let ids = [("groups", last_group), ("api_keys", progress.last_key)];
    let rows = Rows {
        table: "row_ids".to_owned(),
        columns: &["name", "last_id"],
        rows: ids.into_iter().map(|(name, id)| vec![name.to_owned().into(), id.into()]).collect(),
        clash: Clash::Replace,
    };
    progress.stage = Stage::Check;
    target.commit(name, vec![rows], &progress).await?;
    Ok(progress)
}
