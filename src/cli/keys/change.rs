//! Adding and deleting keys.

use std::{
    collections::HashSet,
    io::{self, BufRead, IsTerminal, Write},
};

use serde_json::{Value, json};

use super::{show, work::Work};
use crate::cli::{
    args::{AddArgs, DeleteArgs, ImportArgs},
    client::NodeClient,
    exit::{CliError, Exit},
    groups,
    key_text::{self, Keys},
    report::Report,
};

const ADD: Work = Work {
    path: "/api/keys/add-async",
    count: "added_count",
    done: "added",
    ignored: "already there",
    label: "adding keys",
};

const DELETE: Work = Work {
    path: "/api/keys/delete-async",
    count: "deleted_count",
    done: "deleted",
    ignored: "not in the group",
    label: "deleting keys",
};

/// `keys add`: from standard input.
pub(super) async fn add(node: &NodeClient, args: &AddArgs, quiet: bool) -> Result<Report, CliError> {
    let group = groups::find_id(node, &args.group.group).await?;
    add_keys(node, group, args, &key_text::read_input()?, quiet).await
}

/// `keys import`: from files. All are read before the first key is sent, so that a misspelt name changes nothing.
pub(super) async fn import(node: &NodeClient, args: &ImportArgs, quiet: bool) -> Result<Report, CliError> {
    let mut all = Keys::default();
    let mut seen = HashSet::new();
    for file in &args.files {
        let Keys { keys, repeated } = key_text::read_file(file)?;
        all.repeated += repeated;
        for key in keys {
            if seen.insert(key.expose().to_owned()) {
                all.keys.push(key);
            } else {
                all.repeated += 1;
            }
        }
    }
    let group = groups::find_id(node, &args.add.group.group).await?;
    add_keys(node, group, &args.add, &all, quiet).await
}

async fn add_keys(node: &NodeClient, group: i64, args: &AddArgs, keys: &Keys, quiet: bool) -> Result<Report, CliError> {
    let state = args.state.map(|state| state.as_str());
    let report = ADD.run(node, group, &keys.keys, state, quiet).await?;
    Ok(with_repeated(report, keys.repeated))
}

fn with_repeated(mut report: Report, repeated: usize) -> Report {
    report.json["repeated"] = json!(repeated);
    if repeated > 0 {
        report.text.push_str(&format!("; {repeated} repeated others and were sent once"));
    }
    report
}

/// `keys delete`.
pub(super) async fn delete(node: &NodeClient, args: &DeleteArgs, quiet: bool) -> Result<Report, CliError> {
    let group = groups::find(node, &args.group.group).await?;
    let id = group["id"].as_i64().unwrap_or_default();
    if args.all || args.invalid {
        return clear(node, &group, args).await;
    }
    if args.id.is_empty() {
        let keys = key_text::read_input()?;
        return Ok(with_repeated(DELETE.run(node, id, &keys.keys, None, quiet).await?, keys.repeated));
    }
    let (keys, missing) = show::by_id(node, id, &args.id).await?;
    if keys.is_empty() {
        return Err(CliError::failure(format!("the group has no key with the id {}", listed(&missing))));
    }
    let report = DELETE.run(node, id, &keys, None, quiet).await?;
    Ok(with_missing(report, &missing))
}

fn with_missing(mut report: Report, missing: &[i64]) -> Report {
    report.json["unknown_ids"] = json!(missing);
    if missing.is_empty() {
        return report;
    }
    report.text.push_str(&format!("; the group has no key with the id {}", listed(missing)));
    report.ending(Exit::Partial)
}

fn listed(ids: &[i64]) -> String {
    ids.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}

async fn clear(node: &NodeClient, group: &Value, args: &DeleteArgs) -> Result<Report, CliError> {
    let name = group["name"].as_str().unwrap_or_default();
    let (what, path) = if args.all {
        ("all keys", "/api/keys/clear-all")
    } else {
        ("all invalid keys", "/api/keys/clear-all-invalid")
    };
    if !args.yes {
        confirm(what, name)?;
    }
    node.post(path, &json!({"group_id": group["id"]})).await?;
    Ok(Report::success(format!("{what} of the group {name} are deleted"), json!({"group": name, "deleted": what})))
}

fn confirm(what: &str, group: &str) -> Result<(), CliError> {
    if !io::stdin().is_terminal() {
        return Err(CliError::usage(format!(
            "deleting {what} of the group {group} needs --yes where nobody can be asked"
        )));
    }
    let _ = write!(io::stderr(), "Delete {what} of the group {group}? This cannot be undone. Type its name: ");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && answer.trim() == group { Ok(()) } else { Err(CliError::failure("nothing was deleted")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_ids_make_it_partial() {
        let report = || Report::success("2 deleted", json!({"deleted_count": 2}));
        let whole = with_missing(report(), &[]);
        assert_eq!((whole.text.as_str(), whole.exit), ("2 deleted", Exit::Success));
        let part = with_missing(report(), &[7, 9]);
        assert_eq!(part.text, "2 deleted; the group has no key with the id 7, 9");
        assert_eq!(part.json, json!({"deleted_count": 2, "unknown_ids": [7, 9]}));
        assert_eq!(part.exit, Exit::Partial);
    }

    #[test]
    fn repeated_keys_are_counted() {
        let report = || Report::success("2 added", json!({}));
        assert_eq!(with_repeated(report(), 0).text, "2 added");
        assert_eq!(with_repeated(report(), 3).text, "2 added; 3 repeated others and were sent once");
    }
}
