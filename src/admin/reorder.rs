//! `PUT /api/groups/reorder`.

use std::collections::BTreeSet;

use actix_web::web;
use gpt_load_actors::commands::Command;
use gpt_load_schema::ids::GroupId;

use super::{
    AdminState,
    body::{Fields, JsonBody},
    caller::Caller,
    envelope::{ApiResult, Success},
    error::ApiError,
    messages,
};

/// Gives groups their positions, all or none.
pub(super) async fn reorder(state: web::Data<AdminState>, caller: Caller, body: JsonBody) -> ApiResult {
    let mut body = body.0;
    let positions = positions(&mut body)?;
    let _turn = state.edit_groups().await;
    let known: BTreeSet<_> = state.store.groups().await?.into_iter().map(|group| group.id).collect();
    if let Some((at, (id, _))) = positions.iter().enumerate().find(|(_, (id, _))| !known.contains(id)) {
        return Err(ApiError::invalid(format!("items[{at}].id"), messages::REORDER_UNKNOWN.with(id)));
    }
    state.execute(&caller, Command::ReorderGroups(positions)).await?;
    Ok(Success::message(messages::GROUPS_REORDERED))
}

fn positions(body: &mut Fields) -> Result<Vec<(GroupId, i64)>, ApiError> {
    let items = body.objects("items")?.unwrap_or_default();
    if items.is_empty() {
        return Err(ApiError::invalid("items", messages::REORDER_EMPTY));
    }
    let decoded: Vec<_> = items
        .into_iter()
        .map(|mut item| {
            let id = item.integer("id")?.unwrap_or_default();
            let sort = item.integer("sort")?.unwrap_or(-1);
            Ok((GroupId(id), sort, item))
        })
        .collect::<Result<_, ApiError>>()?;
    let mut seen = BTreeSet::new();
    for (id, sort, item) in &decoded {
        if id.0 == 0 {
            return Err(ApiError::invalid(item.path("id"), messages::REORDER_ID));
        }
        if !seen.insert(*id) {
            return Err(ApiError::invalid(item.path("id"), messages::REORDER_TWICE.with(id)));
        }
        if *sort < 0 {
            return Err(ApiError::invalid(item.path("sort"), messages::REORDER_SORT));
        }
    }
    Ok(decoded.into_iter().map(|(id, sort, _)| (id, sort)).collect())
}
