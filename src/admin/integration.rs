//! What holders of a proxy key learn of the groups that accept it.

use actix_web::web;
use gpt_load_actors::routing::{GroupRoute, RoutingTable};
use gpt_load_schema::{channel::Channel, secret::Secret};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    AdminState,
    auth::AuthKey,
    envelope::{ApiResult, Success},
    error::{ApiError, ErrorCode},
    messages,
    query::Params,
};

/// The path at a group's own address. It is never proxied.
pub(super) const GROUP_PATH: &str = "/proxy/{group}/api/integration/info";
const AFTER_GROUP: &str = "/api/integration/info";
/// What a group with a validation endpoint of its own is called: it is compatible, but not what the channel stands for.
const CUSTOM: &str = "custom";

/// A group as clients can set it up.
#[derive(Debug, JsonSchema, PartialEq, Eq, Serialize)]
pub(super) struct Integration {
    name: String,
    display_name: String,
    channel_type: &'static str,
    path: String,
}

/// Whether `path`, which begins with `/proxy/`, is that of [`of_group`].
pub fn is_group_form(path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    let group = path.strip_suffix(AFTER_GROUP).and_then(|rest| rest.strip_prefix("/proxy/"));
    group.is_some_and(|group| !group.is_empty() && !group.contains('/'))
}

/// `GET /api/integration/info`: every group that accepts the key, in the order of the group list.
pub(super) async fn of_all(state: web::Data<AdminState>, params: Params) -> ApiResult {
    let key = presented(&params)?;
    let table = table(&state)?;
    let mut routes: Vec<&GroupRoute> = table.groups.iter().filter(|route| accepts(&table, route, &key)).collect();
    routes.sort_by_key(|route| (route.group.definition.sort, std::cmp::Reverse(route.group.id)));
    let listed: Vec<_> =
        routes.iter().map(|route| integration(route, &format!("/proxy/{}", route.group.definition.name))).collect();
    if listed.is_empty() { Err(wrong_key()) } else { Success::data(&listed) }
}

/// `/proxy/{group}/api/integration/info`, any method: the group, if it accepts the key.
pub(super) async fn of_group(state: web::Data<AdminState>, name: web::Path<String>, params: Params) -> ApiResult {
    let key = presented(&params)?;
    let table = table(&state)?;
    let route = table.groups.iter().find(|route| route.group.definition.name == *name);
    let route = route.ok_or_else(|| ApiError::saying(ErrorCode::NotFound, messages::GROUP_UNKNOWN))?;
    if accepts(&table, route, &key) { Success::data(&[integration(route, "")]) } else { Err(wrong_key()) }
}

/// The key of the query; headers do not count.
fn presented(params: &Params) -> Result<String, ApiError> {
    let key = params.get("key").map(str::to_owned);
    key.ok_or_else(|| ApiError::invalid("key", messages::INTEGRATION_KEY_MISSING))
}

fn wrong_key() -> ApiError {
    ApiError::invalid("key", messages::INTEGRATION_KEY_WRONG)
}

/// The groups as this node serves them: a request without the management key does not reach the database.
fn table(state: &AdminState) -> Result<std::sync::Arc<RoutingTable>, ApiError> {
    state.routing.load_full().ok_or_else(|| ApiError::new(ErrorCode::ServiceUnavailable))
}

fn accepts(table: &RoutingTable, route: &GroupRoute, key: &str) -> bool {
    let own = &route.group.definition.proxy_keys;
    // Every key is compared, so that the time tells nothing of which one it was.
    proxy_keys(&table.settings.proxy_keys)
        .chain(proxy_keys(own))
        .fold(false, |found, listed| AuthKey::new(&Secret::from(listed)).matches(key) | found)
}

/// The keys of a comma-separated list.
pub(super) fn proxy_keys(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|key| !key.is_empty())
}

fn integration(route: &GroupRoute, path: &str) -> Integration {
    let definition = &route.group.definition;
    let stored = definition.validation_endpoint.as_str();
    let is_custom = matches!(definition.channel, Channel::OpenAi | Channel::OpenAiResponse)
        && !stored.is_empty()
        && Some(stored) != definition.channel.default_validation_endpoint();
    Integration {
        name: definition.name.clone(),
        display_name: definition.display_name.clone(),
        channel_type: if is_custom { CUSTOM } else { definition.channel.as_str() },
        path: if is_custom { format!("{path}{stored}") } else { path.to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_path_below_a_group_is_answered() {
        let cases = [
            ("/proxy/g/api/integration/info", true),
            ("/proxy/g/api/integration/info/", true),
            ("/proxy/g/v1/api/integration/info", false),
            ("/proxy//api/integration/info", false),
            ("/proxy/api/integration/info", false),
            ("/proxy/g/api/integration/infos", false),
            ("/proxy/g/v1/models", false),
        ];
        for (path, expected) in cases {
            assert_eq!(is_group_form(path), expected, "{path}");
        }
    }
}
