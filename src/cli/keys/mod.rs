//! `gpt-load keys`: provider keys of a running node.

mod batches;
mod change;
mod show;

use actix_http::StatusCode;
use serde_json::json;

use super::{
    args::{GroupArgs, KeysCommand, NodeArgs},
    client::{CallError, NodeClient},
    exit::CliError,
    groups,
    report::{Report, cell},
};

/// The node that a command is about.
pub(super) fn node_of(command: &KeysCommand) -> &NodeArgs {
    let group = match command {
        KeysCommand::Add(args) => &args.group,
        KeysCommand::Import(args) => &args.add.group,
        KeysCommand::Export(args) => &args.group,
        KeysCommand::List(args) => &args.group,
        KeysCommand::Delete(args) => &args.group,
        KeysCommand::Validate(args) => args,
    };
    &group.node
}

/// Runs one of the `keys` commands.
///
/// # Errors
/// When nothing of it could be done.
pub(super) async fn run(command: &KeysCommand, node: &NodeClient, json: bool, quiet: bool) -> Result<Report, CliError> {
    match command {
        KeysCommand::Add(args) => change::add(node, args, quiet).await,
        KeysCommand::Import(args) => change::import(node, args, quiet).await,
        KeysCommand::Export(args) => show::export(node, args, json).await,
        KeysCommand::List(args) => show::list(node, args).await,
        KeysCommand::Delete(args) => change::delete(node, args, quiet).await,
        KeysCommand::Validate(args) => validate(node, args).await,
    }
}

async fn validate(node: &NodeClient, args: &GroupArgs) -> Result<Report, CliError> {
    let group = groups::find_id(node, &args.group).await?;
    match node.post("/api/keys/validate-group", &json!({"group_id": group})).await {
        Ok(task) => Ok(Report::success(format!("validation started: {} keys", cell(&task, "total")), task)),
        Err(error) => Err(without_validation(error)),
    }
}

/// The group is known to exist, so that a 404 speaks of the route.
fn without_validation(error: CallError) -> CliError {
    match error {
        CallError::Answered { status: StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED, .. } => {
            CliError::failure("this node has no route that validates a group's keys; nothing was validated").advise(
                "Validate from here: gpt-load keys export GROUP | gpt-load validate-keys - --channel CHANNEL --upstream URL",
            )
        }
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;

    #[test]
    fn a_node_without_validation_is_said_so() {
        let answered = |status| CallError::Answered { status, code: String::new(), message: "text".to_owned() };
        let absent = without_validation(answered(StatusCode::NOT_FOUND));
        assert_eq!(absent.exit, Exit::Failure);
        assert!(absent.message.ends_with("nothing was validated"), "{absent}");
        assert!(absent.advice.contains("gpt-load validate-keys -"), "{absent}");
        assert_eq!(without_validation(answered(StatusCode::UNAUTHORIZED)).exit, Exit::Refused);
    }
}
