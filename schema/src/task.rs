//! The long task of the installation, as everyone sees it and as it is stored.

use std::str::FromStr;

use crate::time::Timestamp;

/// What a task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskKind {
    /// Asks providers about keys.
    KeyValidation,
    /// Adds keys.
    KeyImport,
    /// Removes keys.
    KeyDelete,
}

impl TaskKind {
    const ALL: [Self; 3] = [Self::KeyValidation, Self::KeyImport, Self::KeyDelete];

    /// The word in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KeyValidation => "KEY_VALIDATION",
            Self::KeyImport => "KEY_IMPORT",
            Self::KeyDelete => "KEY_DELETE",
        }
    }
}

impl FromStr for TaskKind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or_else(|| format!("`{word}` is no kind of task"))
    }
}

/// What a task brought, by name: `added_count` and the like, in the order in which people read them.
pub type TaskResult = Vec<(&'static str, u64)>;

/// Every name that a [`TaskResult`] uses.
const RESULT_NAMES: [&str; 9] = [
    "added_count",
    "deleted_count",
    "ignored_count",
    "unreadable_count",
    "total_keys",
    "valid_keys",
    "invalid_keys",
    "validated_keys",
    "skipped_keys",
];

/// A task as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// What it does.
    pub kind: TaskKind,
    /// Name of the group it is about; empty when there are several.
    pub group: String,
    /// Name of the node that does the work.
    pub owner: String,
    /// Items done; exact at the end.
    pub processed: u64,
    /// Items in all.
    pub total: u64,
    /// What it brought; while it runs, what it brought until now. `None` as long as there is nothing to tell.
    pub result: Option<TaskResult>,
    /// Why it did not do all; `None` while it runs and after a success.
    pub error: Option<String>,
    /// Whether it was asked to end early. It may still be running.
    pub is_cancelled: bool,
    /// Begin.
    pub started_at: Timestamp,
    /// End; `None` while it runs.
    pub finished_at: Option<Timestamp>,
}

impl Task {
    /// Whether the work goes on.
    pub const fn is_running(&self) -> bool {
        self.finished_at.is_none()
    }
}

/// A result as JSON, in its order.
pub(crate) fn result_text(result: &TaskResult) -> String {
    let members: serde_json::Map<String, serde_json::Value> =
        result.iter().map(|(name, count)| ((*name).to_owned(), (*count).into())).collect();
    serde_json::Value::Object(members).to_string()
}

/// A result out of [`result_text`]. Names that only another version of the program knows are left out.
pub(crate) fn result_from(text: &str) -> serde_json::Result<TaskResult> {
    let members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text)?;
    let known = |name: &str| RESULT_NAMES.into_iter().find(|known| *known == name);
    Ok(members.iter().filter_map(|(name, count)| Some((known(name)?, count.as_u64()?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back() {
        for kind in TaskKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert!("KEY_DREAM".parse::<TaskKind>().is_err());
    }

    #[test]
    fn results_come_back_in_their_order() {
        let result: TaskResult = vec![("ignored_count", 2), ("added_count", u64::MAX)];
        assert_eq!(result_from(&result_text(&result)).unwrap(), result);
        assert_eq!(result_from(r#"{"added_count": 1, "dreamt_count": 2}"#).unwrap(), [("added_count", 1)]);
        assert!(result_from("[]").is_err());
    }
}
