//! `gpt-load tokens`: who may use the management API of a running node.

use serde_json::{Value, json};

use super::{
    args::{NodeArgs, TokenCreateArgs, TokensCommand},
    client::NodeClient,
    exit::CliError,
    report::{Report, cell, table},
};

/// Which node a command is about.
pub(super) fn node_of(command: &TokensCommand) -> &NodeArgs {
    match command {
        TokensCommand::List(node) => node,
        TokensCommand::Create(args) => &args.node,
        TokensCommand::Delete(args) => &args.node,
    }
}

/// Runs one of the `tokens` commands.
///
/// # Errors
/// When the node does not answer, refuses, or there is no such token.
pub(super) async fn run(command: &TokensCommand, node: &NodeClient) -> Result<Report, CliError> {
    match command {
        TokensCommand::List(_) => Ok(list(all(node).await?)),
        TokensCommand::Create(args) => create(args, node).await,
        TokensCommand::Delete(args) => delete(&args.token, node).await,
    }
}

async fn all(node: &NodeClient) -> Result<Vec<Value>, CliError> {
    match node.get("/api/tokens", &[]).await? {
        Value::Array(tokens) => Ok(tokens),
        _ => Err(CliError::failure("the node's list of tokens is no list")),
    }
}

fn list(tokens: Vec<Value>) -> Report {
    let members = ["id", "name", "role", "prefix", "expires_at", "last_used_at"];
    let rows: Vec<_> = tokens.iter().map(|token| members.map(|member| cell(token, member))).collect();
    let text = match rows.len() {
        0 => "no access tokens".to_owned(),
        _ => table(["ID", "NAME", "ROLE", "BEGINS WITH", "EXPIRES", "LAST USED"], &rows),
    };
    Report::success(text, json!({ "tokens": tokens }))
}

async fn create(args: &TokenCreateArgs, node: &NodeClient) -> Result<Report, CliError> {
    let body = json!({"name": args.name, "role": args.role, "expires_at": args.expires_at});
    let token = node.post("/api/tokens", &body).await?;
    let value = token["token"].as_str().ok_or_else(|| CliError::failure("the node's answer holds no token"))?;
    Ok(Report::success(value.to_owned(), token))
}

async fn delete(wanted: &str, node: &NodeClient) -> Result<Report, CliError> {
    let tokens = all(node).await?;
    let id = id_of(&tokens, wanted).ok_or_else(|| CliError::failure(format!("there is no access token {wanted:?}")))?;
    node.delete(&format!("/api/tokens/{id}")).await?;
    Ok(Report::success("deleted", json!({"deleted": id})))
}

/// The id of the token with this name, else with this id.
fn id_of(tokens: &[Value], wanted: &str) -> Option<i64> {
    let by_name = tokens.iter().find(|token| token["name"] == wanted).and_then(|token| token["id"].as_i64());
    let id = wanted.parse::<i64>().ok();
    by_name.or_else(|| tokens.iter().filter_map(|token| token["id"].as_i64()).find(|known| Some(*known) == id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_wins_over_an_id_and_the_list_shows_beginnings() {
        let tokens = vec![
            json!({"id": 2, "name": "7", "role": "viewer", "prefix": "gptload_abcd", "expires_at": null}),
            json!({"id": 7, "name": "ci", "role": "admin", "prefix": "gptload_efgh", "expires_at": null}),
        ];
        assert_eq!(["7", "2", "ci", "x"].map(|wanted| id_of(&tokens, wanted)), [Some(2), Some(2), Some(7), None]);
        assert_eq!(
            list(tokens).text,
            "ID  NAME  ROLE    BEGINS WITH   EXPIRES  LAST USED\n\
             2   7     viewer  gptload_abcd  -        -\n\
             7   ci    admin   gptload_efgh  -        -"
        );
        assert_eq!(list(Vec::new()).text, "no access tokens");
    }
}
