//! Many keys in requests of bounded size.

use gpt_load_schema::secret::Secret;
use serde_json::{Value, json};

use crate::cli::{
    client::{CallError, NodeClient},
    exit::{CliError, Exit},
    progress::Progress,
    report::Report,
};

/// Keys of one request: few enough for visible progress, many enough for speed.
const BATCH: usize = 2000;

/// What is done to keys.
pub(super) struct Work {
    /// Route that takes `group_id` and `keys`.
    pub(super) path: &'static str,
    /// Member of its answer that counts what changed.
    pub(super) count: &'static str,
    /// What happens to the keys: `added`.
    pub(super) done: &'static str,
    /// Why keys were left alone: `already there`.
    pub(super) ignored: &'static str,
    /// What the progress bar says.
    pub(super) label: &'static str,
}

/// How far the work got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tally {
    changed: i64,
    ignored: i64,
    total_in_group: i64,
    sent: usize,
}

impl Work {
    /// Sends `keys` batch by batch; `extra` are further members of each request.
    ///
    /// # Errors
    /// When the first batch fails; a later failure is a report that ends in part.
    pub(super) async fn run(
        &self,
        node: &NodeClient,
        group: i64,
        keys: &[Secret],
        extra: &[(&str, Value)],
        quiet: bool,
    ) -> Result<Report, CliError> {
        let mut progress = Progress::start(self.label, keys.len() as u64, quiet);
        let mut tally = Tally::default();
        for batch in keys.chunks(BATCH) {
            let values: Vec<&str> = batch.iter().map(Secret::expose).collect();
            let mut body = json!({"group_id": group, "keys": values});
            for (name, value) in extra {
                body[*name] = value.clone();
            }
            match node.post(self.path, &body).await {
                Ok(answer) => tally.take(&answer, self.count, batch.len()),
                Err(error) if tally.sent == 0 => return Err(error.into()),
                Err(error) => {
                    drop(progress);
                    return Ok(self.interrupted(&tally, keys.len(), error));
                }
            }
            progress.advance(batch.len() as u64);
        }
        Ok(self.report(&tally))
    }

    fn report(&self, tally: &Tally) -> Report {
        let Tally { changed, ignored, total_in_group, .. } = tally;
        let text = format!(
            "{changed} {}, {ignored} ignored ({}); the group has {total_in_group} keys",
            self.done, self.ignored
        );
        Report::success(
            text,
            json!({self.count: changed, "ignored_count": ignored, "total_in_group": total_in_group, "not_sent": 0}),
        )
    }

    fn interrupted(&self, tally: &Tally, all: usize, error: CallError) -> Report {
        let mut report = self.report(tally);
        let rest = all - tally.sent;
        let error = CliError::from(error);
        report.text = format!(
            "{}\n{error}\n{rest} keys were not confirmed; run the command again, keys that are done are ignored",
            report.text
        );
        report.json["not_sent"] = json!(rest);
        report.json["error"] = json!(error.message);
        report.ending(Exit::Partial)
    }
}

impl Tally {
    fn take(&mut self, answer: &Value, count: &str, sent: usize) {
        let number = |member: &str| answer[member].as_i64().unwrap_or_default();
        self.changed += number(count);
        self.ignored += number("ignored_count");
        self.total_in_group = number("total_in_group");
        self.sent += sent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORK: Work =
        Work { path: "/p", count: "added_count", done: "added", ignored: "already there", label: "adding" };

    #[test]
    fn counts_of_batches_are_summed() {
        let mut tally = Tally::default();
        tally.take(&json!({"added_count": 3, "ignored_count": 1, "total_in_group": 3}), "added_count", 4);
        tally.take(&json!({"added_count": 2, "ignored_count": 0, "total_in_group": 5}), "added_count", 2);
        assert_eq!(tally, Tally { changed: 5, ignored: 1, total_in_group: 5, sent: 6 });
        let report = WORK.report(&tally);
        assert_eq!(report.text, "5 added, 1 ignored (already there); the group has 5 keys");
        assert_eq!(report.json, json!({"added_count": 5, "ignored_count": 1, "total_in_group": 5, "not_sent": 0}));
        assert_eq!(report.exit, Exit::Success);
    }

    #[test]
    fn a_broken_run_says_what_is_missing() {
        let tally = Tally { changed: 2000, ignored: 0, total_in_group: 2000, sent: 2000 };
        let report = WORK.interrupted(&tally, 5000, CallError::Unreachable("http://h".to_owned(), "reset".to_owned()));
        assert_eq!((report.exit, &report.json["not_sent"]), (Exit::Partial, &json!(3000)));
        assert!(report.text.contains("3000 keys were not confirmed"), "{}", report.text);
    }
}
