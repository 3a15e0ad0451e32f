//! The node's long task, followed to its end.

use std::{pin::pin, time::Duration};

use actix_http::StatusCode;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::cli::{
    client::{CallError, NodeClient},
    exit::CliError,
    progress::Progress,
};

/// How often the node is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// Waits for the end of `task` and answers it as it is then; the first Ctrl-C cancels it, a second one leaves it alone.
///
/// # Errors
/// When the node cannot be asked, or knows another task by now.
pub(super) async fn follow(
    node: &NodeClient,
    task: Value,
    label: &'static str,
    quiet: bool,
) -> Result<Value, CliError> {
    follow_until(node, task, label, quiet, ctrl_c).await
}

async fn ctrl_c() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Then Ctrl-C ends this program in the system's own way.
        std::future::pending::<()>().await;
    }
}

/// [`follow`] with another source of interrupts.
pub(in crate::cli) async fn follow_until<I: Future<Output = ()>>(
    node: &NodeClient,
    task: Value,
    label: &'static str,
    quiet: bool,
    interrupt: impl Fn() -> I,
) -> Result<Value, CliError> {
    let mut progress = Progress::start(label, task["total"].as_u64().unwrap_or(0), quiet);
    let (mut now, mut shown, mut is_cancelled) = (task.clone(), 0, false);
    let mut interrupted = pin!(interrupt());
    while now["is_running"] == true {
        tokio::select! {
            () = sleep(ASK_EVERY) => {}
            () = &mut interrupted => {
                if is_cancelled {
                    return Err(CliError::failure("not waiting for the end of the cancelled task"));
                }
                cancel(node).await?;
                is_cancelled = true;
                interrupted.set(interrupt());
            }
        }
        now = node.get("/api/tasks/status", &[]).await?;
        if now["started_at"] != task["started_at"] {
            return Err(CliError::failure("another task has taken the place of this one, which has ended")
                .advise("The keys of the group show what came of it."));
        }
        let processed = now["processed"].as_u64().unwrap_or(0);
        progress.advance(processed.saturating_sub(shown));
        shown = shown.max(processed);
    }
    Ok(now)
}

/// A task that has ended meanwhile needs no cancelling.
async fn cancel(node: &NodeClient) -> Result<(), CliError> {
    match node.post("/api/tasks/cancel", &json!({})).await {
        Ok(_) | Err(CallError::Answered { status: StatusCode::CONFLICT, .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
