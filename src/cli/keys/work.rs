//! Adding and deleting any number of keys by the node's task.

use gpt_load_schema::secret::Secret;
use serde::Serialize;
use serde_json::{Value, json};

use super::task::follow;
use crate::cli::{
    client::NodeClient,
    exit::{CliError, Exit},
    report::Report,
};

/// What is done to keys.
pub(super) struct Work {
    /// Route that takes `group_id` and `keys` and starts the task.
    pub(super) path: &'static str,
    /// Member of the task's result that counts what changed.
    pub(super) count: &'static str,
    /// What happens to the keys: `added`.
    pub(super) done: &'static str,
    /// Why keys were left alone: `already there`.
    pub(super) ignored: &'static str,
    /// What the progress bar says.
    pub(super) label: &'static str,
}

#[derive(Serialize)]
struct Order<'a> {
    group_id: i64,
    keys: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_key_state: Option<&'a str>,
}

impl Work {
    /// Starts the task and waits for its end; Ctrl-C cancels it.
    ///
    /// # Errors
    /// When the task does not begin, or its end cannot be learned.
    pub(super) async fn run(
        &self,
        node: &NodeClient,
        group: i64,
        keys: &[Secret],
        first_state: Option<&str>,
        quiet: bool,
    ) -> Result<Report, CliError> {
        let keys = keys.iter().map(Secret::expose).collect();
        let order = Order { group_id: group, keys, new_key_state: first_state };
        let task = node.post(self.path, &order).await?;
        Ok(self.report(follow(node, task, self.label, quiet).await?))
    }

    /// Success when all keys were gone over, failure when none was, else a part.
    fn report(&self, task: Value) -> Report {
        let count = |name: &str| task["result"][name].as_u64().unwrap_or(0);
        let number = |name: &str| task[name].as_u64().unwrap_or(0);
        let (changed, ignored) = (count(self.count), count("ignored_count"));
        let (processed, rest) = (number("processed"), number("total").saturating_sub(number("processed")));
        let text = format!("{changed} {}, {ignored} ignored ({})", self.done, self.ignored);
        let mut json = json!({self.count: changed, "ignored_count": ignored, "not_done": rest});
        let Some(error) = task["error"].as_str() else { return Report::success(text, json) };
        json["error"] = json!(error);
        let text = format!(
            "{text}\nthe task did not come to its end: {error}\n{rest} keys were not gone over; run the command again, keys that are done are ignored"
        );
        let exit = if processed == 0 { Exit::Failure } else { Exit::Partial };
        Report::success(text, json).ending(exit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORK: Work =
        Work { path: "/p", count: "added_count", done: "added", ignored: "already there", label: "adding" };

    #[test]
    fn the_report_tells_what_was_done_and_what_is_left() {
        let task = json!({"processed": 5, "total": 5, "result": {"added_count": 3, "ignored_count": 2}});
        let report = WORK.report(task);
        assert_eq!(report.text, "3 added, 2 ignored (already there)");
        assert_eq!(report.json, json!({"added_count": 3, "ignored_count": 2, "not_done": 0}));
        assert_eq!(report.exit, Exit::Success);
        for (processed, exit) in [(2, Exit::Partial), (0, Exit::Failure)] {
            let result = json!({"added_count": processed, "ignored_count": 0});
            let task = json!({"processed": processed, "total": 5, "error": "cancelled", "result": result});
            let report = WORK.report(task);
            assert_eq!((report.exit, &report.json["not_done"]), (exit, &json!(5 - processed)));
            assert!(report.text.contains("its end: cancelled\n"), "{}", report.text);
        }
    }
}
