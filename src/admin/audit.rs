//! `GET /api/audit`: who did what.

use actix_web::web;
use gpt_load_schema::{audit::AuditRow, store::AuditFilter, time::Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::{
    AdminState,
    envelope::{ApiResult, Success},
    key_object::time,
    logs::moment,
    query::Params,
};

#[derive(Serialize)]
struct RowBody<'a> {
    id: i64,
    #[serde(serialize_with = "time")]
    time: Option<Timestamp>,
    actor: ActorBody<'a>,
    address: &'a str,
    request_id: &'a str,
    action: &'a str,
    subject: SubjectBody<'a>,
    before: &'a Value,
    after: &'a Value,
    outcome: &'a str,
    error: &'a str,
}

#[derive(Serialize)]
struct ActorBody<'a> {
    kind: &'a str,
    id: Option<i64>,
    name: &'a str,
    role: &'a str,
}

#[derive(Serialize)]
struct SubjectBody<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: Option<i64>,
    name: &'a str,
}

impl<'a> From<&'a AuditRow> for RowBody<'a> {
    fn from(row: &'a AuditRow) -> Self {
        Self {
            id: row.id,
            time: Some(row.time),
            actor: ActorBody { kind: &row.actor_kind, id: row.actor_id, name: &row.actor_name, role: &row.role },
            address: &row.address,
            request_id: &row.request_id,
            action: &row.action,
            subject: SubjectBody { kind: &row.subject_type, id: row.subject_id, name: &row.subject_name },
            before: &row.before,
            after: &row.after,
            outcome: &row.outcome,
            error: &row.error,
        }
    }
}

/// One page, newest first. What of a filter does not parse does not narrow. An `action` that ends with a dot stands for
/// all that begin so.
pub(super) async fn page(state: web::Data<AdminState>, params: Params) -> ApiResult {
    let text = |name| params.get(name).map(str::to_owned);
    let filter = AuditFilter {
        actor: text("actor"),
        actor_kind: text("actor_kind"),
        action: text("action"),
        subject_type: text("subject_type"),
        subject_id: params.number("subject_id"),
        subject_name: text("subject"),
        outcome: text("outcome"),
        request_id: text("request_id"),
        from: params.get("start_time").and_then(moment),
        until: params.get("end_time").and_then(moment),
    };
    let paging = params.paging();
    let page = state.store.audit_page(&filter, paging.stored_page(), paging.page_size.unsigned_abs()).await?;
    Success::data(&paging.page(page.items.iter().map(RowBody::from).collect(), page.total))
}
