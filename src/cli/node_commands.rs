//! `gpt-load health`, `stats`, `blacklist` and `reset-keys`.

use std::time::Duration;

use actix_http::StatusCode;
use serde_json::Value;

use super::{
    client::{CallError, NodeClient, refusal},
    exit::{CliError, Exit},
    report::{Report, cell, table},
};

/// Time that a health check waits; container runtimes wait little longer.
const HEALTH_TIME: Duration = Duration::from_secs(5);

/// Asks whether the node lives, or with `ready` whether it can serve.
///
/// # Errors
/// When it does not answer.
pub(super) async fn health(node: NodeClient, ready: bool) -> Result<Report, CliError> {
    let node = node.within(HEALTH_TIME).anonymous();
    let (status, body) = node.plain(if ready { "/health/ready" } else { "/health" }).await?;
    health_report(node.url(), status, body)
}

fn health_report(url: &str, status: StatusCode, body: Value) -> Result<Report, CliError> {
    let Some(word) = body["status"].as_str() else { return Err(foreign(url, status, &body)) };
    let mut text = word.to_owned();
    for (name, member) in [("version", "version"), ("up", "uptime")] {
        if let Some(value) = body[member].as_str() {
            text.push_str(&format!(", {name} {value}"));
        }
    }
    for (name, state) in body["checks"].as_object().into_iter().flatten() {
        text.push_str(&format!(", {name} {}", state.as_str().unwrap_or("unknown")));
    }
    for warning in body["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        text.push_str(&format!("\nwarning: {warning}"));
    }
    let exit = if status.is_success() { Exit::Success } else { Exit::Failure };
    Ok(Report::success(text, body).ending(exit))
}

/// Keys and requests of the default group.
///
/// # Errors
/// When the node does not answer or refuses.
pub(super) async fn stats(node: &NodeClient) -> Result<Report, CliError> {
    let body = asked(node, "/stats").await?;
    let members = body.as_object().into_iter().flatten();
    let rows: Vec<_> = members.map(|(name, _)| [name.clone(), cell(&body, name)]).collect();
    Ok(Report::success(table(["FIGURE", "VALUE"], &rows), body))
}

/// Keys of the default group that may not serve.
///
/// # Errors
/// When the node does not answer or refuses.
pub(super) async fn blacklist(node: &NodeClient) -> Result<Report, CliError> {
    Ok(blacklist_report(asked(node, "/blacklist").await?))
}

fn blacklist_report(body: Value) -> Report {
    let keys = body["keys"].as_array().into_iter().flatten();
    let rows: Vec<_> = keys
        .map(|key| ["key", "state", "class", "since", "until", "message"].map(|member| cell(key, member)))
        .collect();
    let text = match rows.len() {
        0 => "no key is out of rotation".to_owned(),
        _ => table(["KEY", "STATE", "CLASS", "SINCE", "UNTIL", "MESSAGE"], &rows),
    };
    Report::success(text, body)
}

/// Brings the keys of the default group back.
///
/// # Errors
/// When the node does not answer or refuses.
pub(super) async fn reset_keys(node: &NodeClient) -> Result<Report, CliError> {
    let body = asked(node, "/reset-keys").await?;
    Ok(Report::success(cell(&body, "message"), body))
}

async fn asked(node: &NodeClient, path: &str) -> Result<Value, CliError> {
    let (status, body) = node.plain(path).await?;
    if status.is_success() && body.is_object() { Ok(body) } else { Err(foreign(node.url(), status, &body)) }
}

fn foreign(url: &str, status: StatusCode, body: &Value) -> CliError {
    refusal(status, body).unwrap_or_else(|| CallError::Foreign(url.to_owned(), status)).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn health_is_one_line_and_a_line_per_warning() {
        let body =
            json!({"status": "healthy", "timestamp": "t", "uptime": "1m0s", "version": "0.1.0", "warnings": ["w"]});
        let report = health_report("u", StatusCode::OK, body).unwrap();
        assert_eq!((report.text.as_str(), report.exit), ("healthy, version 0.1.0, up 1m0s\nwarning: w", Exit::Success));
    }

    #[test]
    fn a_node_that_is_not_ready_is_a_failure() {
        let body = json!({"status": "not_ready", "checks": {"database": "unavailable", "routing": "ok"}});
        let report = health_report("u", StatusCode::SERVICE_UNAVAILABLE, body).unwrap();
        assert_eq!(report.text, "not_ready, database unavailable, routing ok");
        assert_eq!(report.exit, Exit::Failure);
        assert_eq!(health_report("u", StatusCode::OK, json!({})).unwrap_err().exit, Exit::Failure);
    }

    #[test]
    fn the_blacklist_says_why() {
        let key = json!({"key": "sk-1****9999", "state": "invalid", "class": "key_invalid", "message": "no such\nkey",
            "since": "2026-01-01T00:00:00Z", "until": null});
        let report = blacklist_report(json!({"total_blacklisted": 1, "keys": [key]}));
        assert_eq!(
            report.text,
            "KEY           STATE    CLASS        SINCE                 UNTIL  MESSAGE\n\
             sk-1****9999  invalid  key_invalid  2026-01-01T00:00:00Z  -      no such key"
        );
        assert_eq!(blacklist_report(json!({"keys": []})).text, "no key is out of rotation");
    }

    #[test]
    fn a_refused_key_is_told_from_a_failure() {
        let body = json!({"code": "UNAUTHORIZED", "message": "Management key missing or wrong"});
        assert_eq!(foreign("u", StatusCode::UNAUTHORIZED, &body).exit, Exit::Refused);
        assert_eq!(foreign("u", StatusCode::OK, &json!("hello")).exit, Exit::Failure);
    }
}
