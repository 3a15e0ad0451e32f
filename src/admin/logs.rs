//! `GET /api/logs` and `GET /api/logs/{request_id}/attempts`.

use actix_web::web;
use gpt_load_schema::{
    secret::Secret,
    store::{LogFilter, LogPage, LogTail},
    time::Timestamp,
};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::{
    AdminState,
    envelope::{ApiResult, Success},
    error::{ApiError, ErrorCode},
    key_object::time,
    locale::Text,
    log_object::LogBody,
    messages,
    openapi::types::Time,
    query::Params,
};

/// A page of rows.
#[derive(JsonSchema, Serialize)]
#[schemars(inline)]
pub(super) struct LogsBody<'a> {
    items: Vec<LogBody<'a>>,
    pagination: Pagination,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "LogPagination")]
struct Pagination {
    page: i64,
    page_size: i64,
    total_items: i64,
    total_pages: u64,
    total_is_estimate: bool,
    #[serde(serialize_with = "time", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Time>")]
    searched_from: Option<Timestamp>,
}

/// All rows of one request.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "RequestAttempts")]
pub(super) struct AttemptsBody<'a> {
    request_id: String,
    attempts: Vec<LogBody<'a>>,
}

/// One page, newest first.
///
/// `total_is_estimate` says that there are more than 100,000 rows, or that older ones than `searched_from` were not looked
/// at; an `end_time` before that moment goes on from there. With `after`, see [`tail`].
pub(super) async fn page(state: web::Data<AdminState>, params: Params) -> ApiResult {
    if let Some(after) = params.get("after") {
        return tail(&state, &params, after).await;
    }
    let paging = params.paging();
    let size = paging.page_size.unsigned_abs();
    let LogPage { items, total, is_estimate, searched_from } =
        state.store.logs_page(&filter(&params), paging.stored_page(), size, Timestamp::now()).await?;
    Success::data(&LogsBody {
        items: items.iter().map(LogBody::from).collect(),
        pagination: Pagination {
            page: paging.page,
            page_size: paging.page_size,
            total_items: total,
            total_pages: paging.pages(total),
            total_is_estimate: is_estimate,
            searched_from,
        },
    })
}

/// The rows that follow the row `after`, an id of a former answer: at most `page_size`, newest first, those that were
/// stored first of all. A live view asks with the id of the newest row that it shows, as long as `has_more`.
async fn tail(state: &AdminState, params: &Params, after: &str) -> ApiResult {
    #[derive(Serialize)]
    struct Body<'a> {
        items: Vec<LogBody<'a>>,
        pagination: Pagination,
    }
    #[derive(Serialize)]
    struct Pagination {
        page_size: i64,
        has_more: bool,
        #[serde(serialize_with = "time", skip_serializing_if = "Option::is_none")]
        searched_from: Option<Timestamp>,
    }
    let id = Uuid::try_parse(after).map_err(|_| {
        ApiError::field(ErrorCode::BadRequest, "after", Text::english("after must be the id of a log row, a UUID"))
    })?;
    let page_size = params.paging().page_size;
    let limit = u32::try_from(page_size).unwrap_or(u32::MAX);
    let LogTail { items, has_more, searched_from } = state
        .store
        .logs_after(&filter(params), id, limit)
        .await?
        .ok_or_else(|| ApiError::field(ErrorCode::NotFound, "after", messages::LOG_ROW_UNKNOWN))?;
    Success::data(&Body {
        items: items.iter().map(LogBody::from).collect(),
        pagination: Pagination { page_size, has_more, searched_from },
    })
}

/// All rows of one request, first attempt first.
pub(super) async fn attempts(state: web::Data<AdminState>, path: web::Path<String>) -> ApiResult {
    let id = Uuid::try_parse(&path).map_err(|_| {
        let text = Text::english("The request id in the path must be a UUID");
        ApiError::field(ErrorCode::BadRequest, "request_id", text)
    })?;
    let rows = state.store.log_attempts(id).await?;
    if rows.is_empty() {
        return Err(ApiError::saying(ErrorCode::NotFound, messages::LOG_REQUEST_UNKNOWN));
    }
    let attempts = rows.iter().map(LogBody::from).collect();
    Success::data(&AttemptsBody { request_id: id.to_string(), attempts })
}

/// The filters of a query; what does not parse does not narrow.
pub(super) fn filter(params: &Params) -> LogFilter {
    let text = |name| params.get(name).map(str::to_owned);
    let at = |name| params.get(name).and_then(moment);
    LogFilter {
        parent_group_name: text("parent_group_name"),
        group_name: text("group_name"),
        key: params.get("key_value").map(Secret::from),
        model: text("model"),
        is_success: params.get("is_success").and_then(truth),
        request_type: text("request_type"),
        status_code: params.number("status_code"),
        source_ip: text("source_ip"),
        error_contains: text("error_contains"),
        from: at("start_time"),
        until: at("end_time"),
    }
}

/// The words of earlier programs for yes and no.
fn truth(word: &str) -> Option<bool> {
    match word {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// A time in RFC 3339. Where a client sends the plus of the offset as it is, the query shows a blank.
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    let parse = |text: &str| text.parse::<jiff::Timestamp>().ok();
    let at = parse(text).or_else(|| parse(&text.replace(' ', "+")))?;
    Some(Timestamp(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_and_no_have_many_words() {
        let yes = ["1", "t", "T", "true", "TRUE", "True"];
        let no = ["0", "f", "F", "false", "FALSE", "False"];
        assert!(yes.iter().all(|word| truth(word) == Some(true)));
        assert!(no.iter().all(|word| truth(word) == Some(false)));
        assert!(["", "yes", "tRUE", "2", " true"].iter().all(|word| truth(word).is_none()));
    }

    #[test]
    fn moments_are_read_in_every_zone() {
        let at = Some(Timestamp(1_769_862_896_789));
        let cases = [
            ("2026-01-31T12:34:56.789Z", at),
            ("2026-01-31T20:34:56.789+08:00", at),
            ("2026-01-31T20:34:56.789 08:00", at),
            ("2026-01-31T12:34:56.789123456Z", at),
            ("2026-01-31T12:34:56.789", None),
            ("2026-01-31", None),
            ("1769862896789", None),
            ("99999-01-01T00:00:00Z", None),
            ("now", None),
        ];
        for (text, expected) in cases {
            assert_eq!(moment(text), expected, "{text}");
        }
    }
}
