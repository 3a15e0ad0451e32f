//! What a validation run found, for people and for programs.

use std::path::Path;

use serde_json::json;

use super::verdict::{Finding, Standing};
use crate::cli::{
    exit::Exit,
    report::{Report, one_line, table},
};

/// Characters of a reason that the table shows; programs get all.
const REASON_WIDTH: usize = 100;

/// A finished run.
pub(super) struct Summary<'a> {
    /// One per key, in the order of the file.
    pub(super) findings: &'a [Finding],
    /// Keys that repeated others.
    pub(super) repeated: usize,
    /// Where the valid keys were written.
    pub(super) written: Option<&'a Path>,
}

impl Summary<'_> {
    /// Table of the keys that are not valid, then the counts. Success when all are valid, failure when none is.
    pub(super) fn report(&self) -> Report {
        let counts = Standing::ALL.map(|standing| self.count(standing));
        let [valid, invalid, unknown] = counts;
        let exit = match (valid, invalid + unknown) {
            (_, 0) => Exit::Success,
            (0, _) => Exit::Failure,
            _ => Exit::Partial,
        };
        let written = self.written.map(|path| path.display().to_string());
        let json = json!({
            "total": self.findings.len(),
            "valid": valid,
            "invalid": invalid,
            "cannot_say": unknown,
            "repeated": self.repeated,
            "valid_keys_file": written,
            "results": self.findings.iter().map(|finding| json!({
                "key": finding.key.masked(),
                "verdict": finding.verdict.standing.as_str(),
                "class": finding.verdict.class.as_str(),
                "reason": finding.verdict.reason,
            })).collect::<Vec<_>>(),
        });
        let mut text = self.table();
        let total = self.findings.len();
        text.push_str(&format!("{total} keys: {valid} valid, {invalid} invalid, {unknown} cannot say"));
        if self.repeated > 0 {
            text.push_str(&format!("; {} repeated others and were asked once", self.repeated));
        }
        if let Some(path) = written {
            text.push_str(&format!("; valid keys written to {path}"));
        }
        Report { text, json, exit }
    }

    fn count(&self, standing: Standing) -> usize {
        self.findings.iter().filter(|finding| finding.verdict.standing == standing).count()
    }

    fn table(&self) -> String {
        let rows: Vec<_> = self
            .findings
            .iter()
            .enumerate()
            .filter(|(_, finding)| !finding.verdict.is_valid())
            .map(|(at, Finding { key, verdict })| {
                let reason = one_line(&verdict.reason, REASON_WIDTH);
                [
                    (at + 1).to_string(),
                    key.masked(),
                    verdict.standing.as_str().to_owned(),
                    verdict.class.to_string(),
                    reason,
                ]
            })
            .collect();
        if rows.is_empty() {
            return String::new();
        }
        table(["NO.", "KEY", "VERDICT", "CLASS", "REASON"], &rows) + "\n"
    }
}

#[cfg(test)]
mod tests {
    use gpt_load_schema::{log::OutcomeClass, secret::Secret};

    use super::*;
    use crate::cli::validate::verdict::Verdict;

    fn finding(key: &str, standing: Standing, class: OutcomeClass, reason: &str) -> Finding {
        Finding { key: Secret::from(key), verdict: Verdict { standing, class, reason: reason.to_owned() } }
    }

    #[test]
    fn the_summary_lists_what_is_not_valid_and_counts_all() {
        let findings = [
            finding("sk-aaaaaaaaaaaa0001", Standing::Valid, OutcomeClass::Success, ""),
            finding("sk-aaaaaaaaaaaa0002", Standing::Invalid, OutcomeClass::KeyInvalid, "status 401: no\nsuch key"),
            finding("sk-aaaaaaaaaaaa0003", Standing::Unknown, OutcomeClass::RateLimited, "status 429"),
        ];
        let report = Summary { findings: &findings, repeated: 2, written: Some(Path::new("ok.txt")) }.report();
        assert_eq!(
            report.text,
            "NO.  KEY           VERDICT     CLASS         REASON\n\
             2    sk-a****0002  invalid     key_invalid   status 401: no such key\n\
             3    sk-a****0003  cannot say  rate_limited  status 429\n\
             3 keys: 1 valid, 1 invalid, 1 cannot say; 2 repeated others and were asked once; \
             valid keys written to ok.txt"
        );
        assert_eq!(report.exit, Exit::Partial);
        assert_eq!(
            report.json["results"][1],
            json!({"key": "sk-a****0002", "verdict": "invalid", "class": "key_invalid",
                "reason": "status 401: no\nsuch key"})
        );
        let counts = ["total", "valid", "invalid", "cannot_say", "repeated"].map(|name| report.json[name].as_u64());
        assert_eq!(counts, [3, 1, 1, 1, 2].map(Some));
    }

    #[test]
    fn the_exit_code_tells_all_some_and_none() {
        let good = || finding("sk-aaaaaaaaaaaa0001", Standing::Valid, OutcomeClass::Success, "");
        let bad = || finding("sk-aaaaaaaaaaaa0002", Standing::Invalid, OutcomeClass::KeyInvalid, "no");
        let exit = |findings: &[Finding]| Summary { findings, repeated: 0, written: None }.report().exit;
        assert_eq!(exit(&[good(), good()]), Exit::Success);
        assert_eq!(exit(&[good(), bad()]), Exit::Partial);
        assert_eq!(exit(&[bad()]), Exit::Failure);
    }
}
