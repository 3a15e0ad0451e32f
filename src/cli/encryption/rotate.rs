//! `gpt-load rotate-data-key`: a fresh key for what the database stores, by the node that runs or in its absence.

use std::time::Duration;

use gpt_load_schema::{
    store::{Claim, Dsn, Recast, Store, StoreError},
    time::Timestamp,
};
use serde_json::{Value, json};

use crate::{
    cli::{
        NodeArgs,
        access::Access,
        client::{CallError, NodeClient},
        exit::{CliError, Exit},
        progress::Progress,
        report::Report,
        takeover::{configuration, failed},
    },
    config::Config,
};

/// How often the node is asked how far it is.
const POLL_EVERY: Duration = Duration::from_millis(500);
const LABEL: &str = "secrets";
const PATH: &str = "/api/encryption";

/// Rotates the data key and waits for the end. A rotation that is under way already is gone on with.
///
/// # Errors
/// When it was not begun, or did not come to its end; it goes on with the next start of the node then.
pub(in crate::cli) async fn run(args: &NodeArgs, quiet: bool) -> Result<Report, CliError> {
    if args.url.is_some() {
        return by_node(&NodeClient::new(&Access::find(args)?)?, quiet).await;
    }
    let config = configuration()?;
    existing(&config.database_dsn)?;
    // A node that holds the database has to do it, since it writes meanwhile.
    match Claim::of(config.database(), &config.node_name).await {
        Ok(claim) => {
            let report = by_ourselves(&config, quiet).await;
            drop(claim);
            report
        }
        Err(StoreError::Unavailable(_)) => by_node(&NodeClient::new(&Access::find(args)?)?, quiet).await,
        Err(error) => Err(failed(error)),
    }
}

/// # Errors
/// When there is no database yet; a claim would make an empty one.
pub(super) fn existing(dsn: &str) -> Result<(), CliError> {
    match dsn.parse::<Dsn>() {
        Ok(Dsn::Sqlite(path)) if !path.is_file() => {
            Err(CliError::failure(format!("there is no database at {}", path.display()))
                .advise("Is this the folder of the installation? DATABASE_DSN and DATA_DIR say where the database is."))
        }
        _ => Ok(()),
    }
}

async fn by_ourselves(config: &Config, quiet: bool) -> Result<Report, CliError> {
    let (current, previous) = (config.encryption_key.as_ref(), config.encryption_key_previous.as_ref());
    let store = Store::open_changing(config.database(), current, previous).await.map_err(failed)?;
    // The node that leads next begins above this one.
    let writer = store.writer(store.epoch().await.map_err(failed)?.saturating_add(1));
    writer.begin_rotation(Timestamp::now()).await.map_err(failed)?;
    let mut shown = Shown::new(quiet);
    loop {
        let more = writer.continue_rotation(Timestamp::now()).await.map_err(failed)?;
        let rotation = store.encryption_state().await.map_err(failed)?.rotation;
        let Some(rotation) = rotation else { return Err(CliError::failure("the rotation is gone")) };
        shown.update(rotation.processed, rotation.total);
        if !more {
            return Ok(done(&rotation));
        }
    }
}

fn done(rotation: &Recast) -> Report {
    report(rotation.unreadable, json!({"processed": rotation.processed, "unreadable": rotation.unreadable}))
}

async fn by_node(node: &NodeClient, quiet: bool) -> Result<Report, CliError> {
    match node.post("/api/encryption/rotate", &json!({})).await {
        Ok(_) => {}
        // Another call has begun it: this one waits for the same end.
        Err(CallError::Answered { code, .. }) if code == "TASK_IN_PROGRESS" => {}
        Err(error) => return Err(error.into()),
    }
    let mut shown = Shown::new(quiet);
    loop {
        let state = node.get(PATH, &[]).await?;
        let rotation = &state["rotation"];
        let number = |name: &str| rotation[name].as_i64().unwrap_or(0);
        shown.update(number("processed"), number("total"));
        if rotation["is_running"] != Value::Bool(true) {
            let unreadable = number("unreadable");
            return Ok(report(unreadable, json!({"processed": number("processed"), "unreadable": unreadable})));
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

fn report(unreadable: i64, json: Value) -> Report {
    match unreadable {
        0 => Report::success("the data key was rotated, and the former one is gone", json),
        _ => Report::success(
            format!(
                "the data key was rotated; the former one stays, since {unreadable} values under it do not decrypt\n\
                 they belong to other rows than those they are in, or were changed"
            ),
            json,
        )
        .ending(Exit::Partial),
    }
}

/// Progress whose total is known when the work has begun.
struct Shown {
    quiet: bool,
    progress: Option<(Progress, i64)>,
}

impl Shown {
    const fn new(quiet: bool) -> Self {
        Self { quiet, progress: None }
    }

    fn update(&mut self, done: i64, total: i64) {
        let count = |rows: i64| u64::try_from(rows).unwrap_or(0);
        let (progress, before) =
            self.progress.get_or_insert_with(|| (Progress::start(LABEL, count(total), self.quiet), 0));
        progress.advance(count(done - *before));
        *before = done.max(*before);
    }
}
