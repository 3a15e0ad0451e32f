//! `gpt-load keys validate`: starts the node's task and follows it.

use serde_json::{Value, json};

use super::task::follow;
use crate::cli::{
    args::KeysValidateArgs,
    client::NodeClient,
    exit::{CliError, Exit},
    groups,
    report::Report,
};

/// Starts the validation and waits for its end; Ctrl-C cancels it.
pub(super) async fn run(node: &NodeClient, args: &KeysValidateArgs, quiet: bool) -> Result<Report, CliError> {
    let wanted = args.named.as_ref().or(args.group.as_ref()).map_or("", String::as_str);
    let mut order = json!({"group_id": groups::find_id(node, wanted).await?});
    if let Some(status) = args.status {
        order["status"] = json!(status.as_str());
    }
    if let Some(concurrency) = args.concurrency {
        order["concurrency"] = json!(concurrency);
    }
    let task = node.post("/api/keys/validate-group", &order).await?;
    follow(node, task, "validating keys", quiet).await.map(report)
}

/// Success when all keys are valid, failure when none is, or when the task ended before anything was proved.
pub(in crate::cli) fn report(task: Value) -> Report {
    let count = |name: &str| task["result"][name].as_u64().unwrap_or(0);
    let (total, valid, invalid) = (task["total"].as_u64().unwrap_or(0), count("valid_keys"), count("invalid_keys"));
    let unknown = total.saturating_sub(valid + invalid);
    let mut text = format!("{total} keys: {valid} valid, {invalid} invalid, {unknown} cannot say");
    if let Some(error) = task["error"].as_str() {
        text.push_str(&format!("; the task did not come to its end: {error}"));
    }
    let exit = match (task["error"].is_null(), valid) {
        (true, valid) if valid == total => Exit::Success,
        (_, 0) => Exit::Failure,
        _ => Exit::Partial,
    };
    Report { text, json: task, exit }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(valid: u64, invalid: u64, error: Option<&str>) -> Value {
        let mut task = json!({"total": 3, "is_running": false,
            "result": {"total_keys": 3, "valid_keys": valid, "invalid_keys": invalid}});
        if let Some(error) = error {
            task["error"] = json!(error);
        }
        task
    }

    #[test]
    fn the_exit_code_tells_all_some_and_none() {
        for (task, exit, text) in [
            (ended(3, 0, None), Exit::Success, "3 keys: 3 valid, 0 invalid, 0 cannot say"),
            (ended(1, 1, None), Exit::Partial, "3 keys: 1 valid, 1 invalid, 1 cannot say"),
            (ended(0, 3, None), Exit::Failure, "3 keys: 0 valid, 3 invalid, 0 cannot say"),
            (
                ended(1, 0, Some("cancelled")),
                Exit::Partial,
                "3 keys: 1 valid, 0 invalid, 2 cannot say; the task did not come to its end: cancelled",
            ),
            (
                json!({"total": 3, "error": "the node was stopped"}),
                Exit::Failure,
                "3 keys: 0 valid, 0 invalid, 3 cannot say; the task did not come to its end: the node was stopped",
            ),
        ] {
            let report = report(task);
            assert_eq!((report.exit, report.text.as_str()), (exit, text));
        }
    }
}
