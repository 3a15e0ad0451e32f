//! Listing and exporting keys.

use std::{
    collections::HashMap,
    io::{self, Write},
};

use gpt_load_schema::secret::{Secret, mask};
use serde_json::{Value, json};

use crate::cli::{
    args::{ExportArgs, ListArgs},
    client::NodeClient,
    exit::{CliError, Exit},
    groups,
    key_text::SecretFile,
    report::{Report, cell, table},
};

/// Keys of one page while looking for ids; the largest that the API gives.
const PAGE: &str = "1000";

/// `keys list`: one page.
pub(super) async fn list(node: &NodeClient, args: &ListArgs) -> Result<Report, CliError> {
    let group = groups::find_id(node, &args.group.group).await?.to_string();
    let (page, page_size) = (args.page.to_string(), args.page_size.to_string());
    let mut query = vec![("group_id", group.as_str()), ("page", &page), ("page_size", &page_size)];
    if let Some(status) = args.status {
        query.push(("status", status.as_str()));
    }
    Ok(page_report(node.get("/api/keys", &query).await?, args.show_keys))
}

fn page_report(mut data: Value, show_keys: bool) -> Report {
    if !show_keys {
        for key in data["items"].as_array_mut().into_iter().flatten() {
            if let Some(value) = key["key_value"].as_str() {
                key["key_value"] = json!(mask(value));
            }
        }
    }
    const MEMBERS: [&str; 7] =
        ["id", "key_value", "status", "request_count", "failure_count", "last_used_at", "last_error_message"];
    let keys = data["items"].as_array().into_iter().flatten();
    let rows: Vec<_> = keys.map(|key| MEMBERS.map(|member| cell(key, member))).collect();
    let pages = &data["pagination"];
    let place =
        format!("page {} of {}, {} keys", cell(pages, "page"), cell(pages, "total_pages"), cell(pages, "total_items"));
    let text = match rows.len() {
        0 => place,
        _ => {
            let head = ["ID", "KEY", "STATE", "REQUESTS", "FAILURES", "LAST USED", "LAST ERROR"];
            format!("{}\n{place}", table(head, &rows))
        }
    };
    Report::success(text, data)
}

/// `keys export`: to a file, or to standard output as it arrives.
pub(super) async fn export(node: &NodeClient, args: &ExportArgs, json: bool) -> Result<Report, CliError> {
    let name = &args.group.group;
    let group = groups::find_id(node, name).await?.to_string();
    let status = args.status.map_or("all", |status| status.as_str());
    let query = [("group_id", group.as_str()), ("status", status)];
    const PATH: &str = "/api/keys/export";
    if let Some(path) = &args.output {
        let mut file = SecretFile::create(path)?;
        let mut count = 0_usize;
        node.download(PATH, &query, |chunk| {
            count += lines(chunk);
            file.write(chunk)
        })
        .await?;
        file.finish()?;
        let shown = path.display().to_string();
        return Ok(Report::success(
            format!("{count} keys written to {shown}"),
            json!({"group": name, "status": status, "total": count, "file": shown}),
        ));
    }
    if json {
        let mut text = Vec::new();
        node.download(PATH, &query, |chunk| {
            text.extend_from_slice(chunk);
            Ok(())
        })
        .await?;
        let text = String::from_utf8_lossy(&text);
        let keys: Vec<&str> = text.lines().collect();
        return Ok(Report::success("", json!({"group": name, "status": status, "total": keys.len(), "keys": keys})));
    }
    let mut output = io::stdout().lock();
    let mut broken = None;
    let written = node
        .download(PATH, &query, |chunk| {
            output.write_all(chunk).map_err(|error| {
                broken = Some(error.kind());
                CliError::failure(format!("standard output cannot be written: {error}"))
            })
        })
        .await;
    match (written, broken) {
        // Whoever read the output has seen enough.
        (Err(_), Some(io::ErrorKind::BrokenPipe)) | (Ok(()), _) => Ok(Report::success("", Value::Null)),
        (Err(error), _) => {
            Err(CliError { exit: if error.exit == Exit::Unreachable { Exit::Partial } else { error.exit }, ..error })
        }
    }
}

fn lines(chunk: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', chunk).count()
}

/// The keys with these ids, and the ids that the group does not have.
pub(super) async fn by_id(node: &NodeClient, group: i64, ids: &[i64]) -> Result<(Vec<Secret>, Vec<i64>), CliError> {
    let group = group.to_string();
    let mut wanted: HashMap<i64, Option<Secret>> = ids.iter().map(|id| (*id, None)).collect();
    for page in 1.. {
        let number = page.to_string();
        let query = [("group_id", group.as_str()), ("page", &number), ("page_size", PAGE)];
        let data = node.get("/api/keys", &query).await?;
        take_wanted(&mut wanted, &data);
        let pages = data["pagination"]["total_pages"].as_i64().unwrap_or_default();
        if page >= pages || wanted.values().all(Option::is_some) {
            break;
        }
    }
    let mut missing: Vec<i64> = wanted.iter().filter(|(_, key)| key.is_none()).map(|(id, _)| *id).collect();
    missing.sort_unstable();
    Ok((wanted.into_values().flatten().collect(), missing))
}

fn take_wanted(wanted: &mut HashMap<i64, Option<Secret>>, data: &Value) {
    for key in data["items"].as_array().into_iter().flatten() {
        if let (Some(id), Some(value)) = (key["id"].as_i64(), key["key_value"].as_str())
            && let Some(slot) = wanted.get_mut(&id)
        {
            *slot = Some(Secret::from(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> Value {
        json!({
            "items": [{"id": 3, "key_value": "sk-0123456789abcdef", "status": "active", "request_count": 2,
                "failure_count": 0, "last_used_at": null, "last_error_message": ""}],
            "pagination": {"page": 1, "page_size": 50, "total_items": 1, "total_pages": 1},
        })
    }

    #[test]
    fn keys_are_masked_unless_asked_for() {
        let masked = page_report(data(), false);
        assert_eq!(
            masked.text,
            "ID  KEY           STATE   REQUESTS  FAILURES  LAST USED  LAST ERROR\n\
             3   sk-0****cdef  active  2         0         -          -\n\
             page 1 of 1, 1 keys"
        );
        assert_eq!(masked.json["items"][0]["key_value"], "sk-0****cdef");
        assert_eq!(page_report(data(), true).json["items"][0]["key_value"], "sk-0123456789abcdef");
    }

    #[test]
    fn an_empty_page_says_where_it_is() {
        let empty = json!({"items": [], "pagination": {"page": 1, "total_items": 0, "total_pages": 0}});
        assert_eq!(page_report(empty, false).text, "page 1 of 0, 0 keys");
    }

    #[test]
    fn only_wanted_keys_are_taken() {
        let mut wanted = HashMap::from([(3, None), (4, None)]);
        take_wanted(&mut wanted, &data());
        assert_eq!(wanted[&3].as_ref().map(Secret::expose), Some("sk-0123456789abcdef"));
        assert_eq!(wanted[&4], None);
    }
}
