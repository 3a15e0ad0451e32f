//! `gpt-load groups`: what a running node has.

use serde_json::{Value, json};

use super::{
    args::GroupsCommand,
    client::NodeClient,
    exit::CliError,
    report::{Report, cell, table},
};
use gpt_load_schema::secret::mask;

/// Runs one of the `groups` commands.
///
/// # Errors
/// When the node does not answer or there is no such group.
pub(super) async fn run(command: &GroupsCommand, node: &NodeClient) -> Result<Report, CliError> {
    match command {
        GroupsCommand::List(_) => Ok(list(all(node).await?)),
        GroupsCommand::Show(args) => Ok(show(find(node, &args.group).await?)),
    }
}

async fn all(node: &NodeClient) -> Result<Vec<Value>, CliError> {
    match node.get("/api/groups", &[]).await? {
        Value::Array(groups) => Ok(groups),
        _ => Err(CliError::failure("the node's list of groups is no list")),
    }
}

/// The group with this name, else with this id.
///
/// # Errors
/// When the node does not answer or there is no such group.
pub(super) async fn find(node: &NodeClient, wanted: &str) -> Result<Value, CliError> {
    let mut groups = all(node).await?;
    match position(&groups, wanted) {
        Some(at) => Ok(groups.swap_remove(at)),
        None => Err(CliError::failure(format!("there is no group {wanted:?}")).advise(advice(&groups))),
    }
}

/// The id of the group with this name or id.
///
/// # Errors
/// As [`find`].
pub(super) async fn find_id(node: &NodeClient, wanted: &str) -> Result<i64, CliError> {
    let group = find(node, wanted).await?;
    group["id"].as_i64().ok_or_else(|| CliError::failure("the node's answer names no id for the group"))
}

fn position(groups: &[Value], wanted: &str) -> Option<usize> {
    let id = wanted.parse::<i64>().ok();
    let by_name = groups.iter().position(|group| group["name"] == wanted);
    by_name.or_else(|| groups.iter().position(|group| id.is_some() && group["id"].as_i64() == id))
}

fn advice(groups: &[Value]) -> String {
    let names: Vec<&str> = groups.iter().filter_map(|group| group["name"].as_str()).collect();
    if names.is_empty() {
        "The node has no groups yet.".to_owned()
    } else {
        format!("Known are: {}.", names.join(", "))
    }
}

fn list(mut groups: Vec<Value>) -> Report {
    groups.iter_mut().for_each(hide_proxy_keys);
    let rows: Vec<_> = groups
        .iter()
        .map(|group| {
            let upstreams = group["upstreams"].as_array().into_iter().flatten();
            let urls: Vec<&str> = upstreams.filter_map(|upstream| upstream["url"].as_str()).collect();
            let [id, name, channel, keys, active] =
                ["id", "name", "channel_type", "key_count", "active_key_count"].map(|member| cell(group, member));
            [id, name, channel, keys, active, urls.join(", ")]
        })
        .collect();
    let text = match rows.len() {
        0 => "no groups yet".to_owned(),
        _ => table(["ID", "NAME", "CHANNEL", "KEYS", "ACTIVE", "UPSTREAMS"], &rows),
    };
    Report::success(text, json!({ "groups": groups }))
}

fn show(mut group: Value) -> Report {
    hide_proxy_keys(&mut group);
    let members = group.as_object().into_iter().flatten();
    let rows: Vec<_> = members.map(|(name, _)| [name.clone(), cell(&group, name)]).collect();
    Report::success(table(["FIELD", "VALUE"], &rows), group)
}

/// Proxy keys open the group to whoever knows them; the API shows them to administrators, a terminal need not.
fn hide_proxy_keys(group: &mut Value) {
    if let Some(keys) = group["proxy_keys"].as_str() {
        let hidden: Vec<String> = keys.split(',').filter(|key| !key.is_empty()).map(mask).collect();
        group["proxy_keys"] = json!(hidden.join(","));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups() -> Vec<Value> {
        vec![
            json!({"id": 2, "name": "7", "channel_type": "openai", "key_count": 3, "active_key_count": 1,
                "upstreams": [{"url": "https://a", "weight": 1}, {"url": "https://b", "weight": 2}],
                "proxy_keys": "sk-proxy-0123456789,short"}),
            json!({"id": 7, "name": "default", "channel_type": "gemini", "key_count": 0, "active_key_count": 0,
                "upstreams": [], "proxy_keys": ""}),
        ]
    }

    #[test]
    fn a_name_wins_over_an_id() {
        let groups = groups();
        assert_eq!(position(&groups, "7"), Some(0));
        assert_eq!(position(&groups, "2"), Some(0));
        assert_eq!(position(&groups, "default"), Some(1));
        assert_eq!(position(&groups, "other"), None);
        assert_eq!(advice(&groups), "Known are: 7, default.");
    }

    #[test]
    fn the_list_shows_no_proxy_key() {
        let report = list(groups());
        assert_eq!(
            report.text,
            "ID  NAME     CHANNEL  KEYS  ACTIVE  UPSTREAMS\n\
             2   7        openai   3     1       https://a, https://b\n\
             7   default  gemini   0     0"
        );
        assert_eq!(report.json["groups"][0]["proxy_keys"], "sk-p****6789,****");
        assert_eq!(list(Vec::new()).text, "no groups yet");
    }

    #[test]
    fn one_group_is_shown_field_by_field() {
        let report = show(json!({"id": 1, "name": "g", "proxy_keys": "sk-proxy-0123456789", "test_model": ""}));
        assert_eq!(
            report.text,
            "FIELD       VALUE\nid          1\nname        g\nproxy_keys  sk-p****6789\ntest_model  -"
        );
    }
}
