use gpt_load_schema::{
    ids::{GroupId, KeyId},
    log::{OutcomeClass, RequestLog, RequestType, TokenUsage},
    time::Timestamp,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{Answer, Api};

/// 2026-01-31T12:34:56.789Z.
const AT: Timestamp = Timestamp(1_769_862_896_789);

/// A successful request without a key.
pub(super) fn row(group: i64, at: Timestamp) -> RequestLog {
    RequestLog {
        id: Uuid::now_v7(),
        request_id: Uuid::now_v7(),
        attempt: 1,
        timestamp: at,
        group_id: GroupId(group),
        group_name: "team".to_owned(),
        parent: None,
        key: None,
        model: "gpt-4.1".to_owned(),
        upstream_model: None,
        class: None,
        evidence: None,
        is_success: true,
        source_ip: "192.0.2.7".to_owned(),
        status_code: 200,
        request_path: "/proxy/team/v1/chat/completions".to_owned(),
        duration_ms: 12,
        first_byte_ms: None,
        error_message: String::new(),
        user_agent: String::new(),
        request_type: RequestType::Final,
        upstream_addr: String::new(),
        is_stream: false,
        request_body: String::new(),
        usage: TokenUsage::default(),
        finish_reason: None,
    }
}

impl Api {
    /// Puts rows into the log.
    pub(super) async fn log(&self, rows: &[RequestLog]) {
        let store = &self.state.store;
        let epoch = store.epoch().await.unwrap();
        store.writer(epoch).commit(&[], rows, Timestamp::now()).await.unwrap();
    }

    /// Ids of the rows of a page.
    async fn ids(&self, query: &str) -> Vec<Value> {
        let data = self.get(&format!("/api/logs?{query}")).await.data();
        data["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect()
    }

    async fn key(&self, group: i64, key: &str) -> (KeyId, gpt_load_schema::secret::Secret) {
        let stored = self.state.store.key_by_value(GroupId(group), &key.into()).await.unwrap().unwrap();
        (stored.id, key.into())
    }
}

#[actix_web::test]
async fn a_row_has_all_its_fields() {
    let api = Api::start().await;
    let group = api.group("team").await;
    api.keys(group, &["sk-logged"]).await;
    let key = api.key(group, "sk-logged").await;
    let hash = api.get(&format!("/api/keys?group_id={group}")).await.data()["items"][0]["key_hash"].clone();
    let full = RequestLog {
        parent: Some((GroupId(50), "all".to_owned())),
        key: Some(key.clone()),
        upstream_model: Some("gpt-4.1-2026".to_owned()),
        class: Some(OutcomeClass::RateLimited),
        evidence: Some("status-429".to_owned()),
        is_success: false,
        status_code: 429,
        first_byte_ms: Some(7),
        error_message: "slow down".to_owned(),
        user_agent: "sdk/1".to_owned(),
        upstream_addr: "https://api.openai.com/v1/chat/completions".to_owned(),
        is_stream: true,
        request_body: "{}".to_owned(),
        usage: TokenUsage { input: Some(3), output: Some(4), cached: Some(0), reasoning: None },
        finish_reason: Some("stop".to_owned()),
        request_type: RequestType::Retry,
        ..row(group, AT)
    };
    let plain = row(group, Timestamp(AT.0 - 1));
    api.log(&[full.clone(), plain.clone()]).await;
    let data = api.get("/api/logs").await.data();
    let expected = json!({
        "items": [
            {
                "id": full.id.to_string(), "request_id": full.request_id.to_string(), "attempt": 1,
                "timestamp": "2026-01-31T12:34:56.789Z",
                "group_id": group, "group_name": "team", "parent_group_id": 50, "parent_group_name": "all",
                "key_id": key.0, "key_value": "sk-logged", "key_hash": hash,
                "model": "gpt-4.1", "upstream_model": "gpt-4.1-2026",
                "is_success": false, "outcome_class": "rate_limited", "evidence": "status-429",
                "source_ip": "192.0.2.7", "status_code": 429,
                "request_path": "/proxy/team/v1/chat/completions",
                "duration_ms": 12, "first_byte_ms": 7, "error_message": "slow down", "user_agent": "sdk/1",
                "request_type": "retry", "upstream_addr": "https://api.openai.com/v1/chat/completions",
                "is_stream": true, "request_body": "{}",
                "input_tokens": 3, "output_tokens": 4, "cached_tokens": 0, "reasoning_tokens": null,
                "finish_reason": "stop",
            },
            {
                "id": plain.id.to_string(), "request_id": plain.request_id.to_string(), "attempt": 1,
                "timestamp": "2026-01-31T12:34:56.788Z",
                "group_id": group, "group_name": "team", "parent_group_id": 0, "parent_group_name": "",
                "key_id": null, "key_value": "", "key_hash": "",
                "model": "gpt-4.1", "upstream_model": null,
                "is_success": true, "outcome_class": null, "evidence": null,
                "source_ip": "192.0.2.7", "status_code": 200,
                "request_path": "/proxy/team/v1/chat/completions",
                "duration_ms": 12, "first_byte_ms": null, "error_message": "", "user_agent": "",
                "request_type": "final", "upstream_addr": "", "is_stream": false, "request_body": "",
                "input_tokens": null, "output_tokens": null, "cached_tokens": null, "reasoning_tokens": null,
                "finish_reason": null,
            },
        ],
        "pagination": {
            "page": 1, "page_size": 15, "total_items": 2, "total_pages": 1, "total_is_estimate": false,
        },
    });
    assert_eq!(data, expected);
}

#[actix_web::test]
async fn an_empty_log_has_an_empty_page() {
    let data = Api::start().await.get("/api/logs?page=3&page_size=2000").await.data();
    let pagination = json!({
        "page": 3, "page_size": 1000, "total_items": 0, "total_pages": 0, "total_is_estimate": false,
    });
    assert_eq!(data, json!({"items": [], "pagination": pagination}));
}

#[actix_web::test]
async fn each_parameter_narrows_and_nonsense_does_not() {
    let api = Api::start().await;
    let group = api.group("team").await;
    api.keys(group, &["sk-logged"]).await;
    let at = |seconds: i64| Timestamp(AT.0 + seconds * 1000);
    let rows = [
        row(group, at(0)),
        RequestLog { key: Some(api.key(group, "sk-logged").await), ..row(group, at(1)) },
        RequestLog { parent: Some((GroupId(50), "all".to_owned())), model: "o1_pro".to_owned(), ..row(group, at(2)) },
        RequestLog { is_success: false, status_code: 429, error_message: "50% off".to_owned(), ..row(group, at(3)) },
        RequestLog { request_type: RequestType::Retry, source_ip: "::1".to_owned(), ..row(group, at(4)) },
    ];
    api.log(&rows).await;
    let all: &[usize] = &[4, 3, 2, 1, 0];
    let cases: [(&str, &[usize]); 39] = [
        ("", all),
        ("group_name=TEA", all),
        ("group_name=other", &[]),
        ("group_name=%25", &[]),
        ("parent_group_name=al", &[2]),
        ("parent_group_name=_", &[]),
        ("key_value=sk-logged", &[1]),
        ("key_value=sk", &[]),
        ("model=o1", &[2]),
        ("model=_", &[2]),
        ("model=%25", &[]),
        ("is_success=true", &[4, 2, 1, 0]),
        ("is_success=1", &[4, 2, 1, 0]),
        ("is_success=False", &[3]),
        ("is_success=f", &[3]),
        ("is_success=maybe", all),
        ("is_success=", all),
        ("request_type=retry", &[4]),
        ("request_type=final", &[3, 2, 1, 0]),
        ("request_type=other", &[]),
        ("status_code=429", &[3]),
        ("status_code=4xx", all),
        ("status_code=99999999999999999999", all),
        ("source_ip=%3A%3A1", &[4]),
        ("source_ip=%3A", &[]),
        ("error_contains=50%25", &[3]),
        ("error_contains=5%25f", &[]),
        ("start_time=2026-01-31T12:34:58.789Z", &[4, 3, 2]),
        ("end_time=2026-01-31T12:34:58.789Z", &[2, 1, 0]),
        ("start_time=2026-01-31T12:34:57.789Z&end_time=2026-01-31T12:34:57.789Z", &[1]),
        ("start_time=2026-01-31T20:34:59.789%2B08:00", &[4, 3]),
        ("start_time=2026-01-31T20:34:59.789+08:00", &[4, 3]),
        ("start_time=yesterday", all),
        ("end_time=2026-01-31", all),
        ("start_time=2026-02-01T00:00:00Z&end_time=2026-01-01T00:00:00Z", &[]),
        ("page_size=2", &[4, 3]),
        ("page_size=2&page=3", &[0]),
        ("page_size=2&page=4", &[]),
        ("page=9223372036854775807", &[]),
    ];
    for (query, expected) in cases {
        let expected: Vec<_> = expected.iter().map(|at| json!(rows[*at].id.to_string())).collect();
        assert_eq!(api.ids(query).await, expected, "{query}");
    }
    let pagination = api.get("/api/logs?page_size=2&page=9").await.data()["pagination"].clone();
    assert_eq!((&pagination["total_items"], &pagination["total_pages"]), (&json!(5), &json!(3)));
}

#[actix_web::test]
async fn attempts_tell_a_request_from_its_first_to_its_last() {
    let api = Api::start().await;
    let group = api.group("team").await;
    let request_id = Uuid::now_v7();
    let attempt = |attempt, request_type| RequestLog {
        request_id,
        attempt,
        request_type,
        ..row(group, Timestamp(AT.0 + i64::from(attempt)))
    };
    let (first, last) = (attempt(1, RequestType::Retry), attempt(2, RequestType::Final));
    api.log(&[last.clone(), first.clone(), row(group, AT)]).await;
    let data = api.get(&format!("/api/logs/{request_id}/attempts")).await.data();
    assert_eq!(data["request_id"], json!(request_id.to_string()));
    let seen: Vec<_> = data["attempts"].as_array().unwrap().iter().map(|row| (&row["id"], &row["attempt"])).collect();
    assert_eq!(seen, [(&json!(first.id.to_string()), &json!(1)), (&json!(last.id.to_string()), &json!(2))]);
    assert_eq!(data["attempts"][1], api.get("/api/logs").await.data()["items"][0], "the fields are those of the list");
    for (id, status, code, field) in [
        (Uuid::now_v7().to_string(), 404, "NOT_FOUND", ""),
        ("1".to_owned(), 400, "BAD_REQUEST", "request_id"),
        ("%00".to_owned(), 400, "BAD_REQUEST", "request_id"),
    ] {
        api.get(&format!("/api/logs/{id}/attempts")).await.is_error(status, code, field, &id);
    }
}

fn lines(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.headers["content-type"], "text/csv; charset=utf-8");
    let mut lines: Vec<String> = answer.text.strip_suffix('\n').unwrap().split('\n').map(str::to_owned).collect();
    assert_eq!(lines.remove(0), "key_value,group_name,status_code");
    lines
}

#[actix_web::test]
async fn an_export_has_one_line_per_key() {
    let api = Api::start().await;
    let group = api.group("team").await;
    let values: Vec<String> = (0..450).map(|number| format!("sk-{number}")).collect();
    api.keys(group, &values.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut rows = vec![row(group, AT)];
    let mut hashed = Vec::new();
    for value in &values {
        let key = api.state.store.key_by_value(GroupId(group), &value.as_str().into()).await.unwrap().unwrap();
        let used = |at, status_code| RequestLog {
            key: Some((key.id, value.as_str().into())),
            status_code,
            ..row(group, Timestamp(AT.0 + at))
        };
        rows.extend([used(2, 201), used(1, 429)]);
        hashed.push((key.hash, value));
    }
    api.log(&rows).await;
    hashed.sort();
    let all = api.get("/api/logs/export").await;
    let name = all.headers["content-disposition"].strip_prefix("attachment; filename=log_keys_export_").unwrap();
    assert!(
        name.strip_suffix(".csv").is_some_and(|digits| digits.len() == 14 && digits.parse::<u64>().is_ok()),
        "{name}"
    );
    let expected: Vec<_> = hashed.iter().map(|(_, value)| format!("{value},team,201")).collect();
    assert_eq!(lines(&all), expected);
    let limited = lines(&api.get("/api/logs/export?status_code=429&group_name=team").await);
    assert_eq!(limited, hashed.iter().map(|(_, value)| format!("{value},team,429")).collect::<Vec<_>>());
    assert_eq!(lines(&api.get("/api/logs/export?key_value=sk-7").await), ["sk-7,team,201"]);
    assert_eq!(lines(&api.get("/api/logs/export?model=none").await), Vec::<String>::new());
}

#[actix_web::test]
async fn no_filter_is_the_servers_fault() {
    let api = Api::start().await;
    let group = api.group("team").await;
    api.log(&[row(group, AT)]).await;
    let fields = [
        "parent_group_name",
        "group_name",
        "key_value",
        "model",
        "is_success",
        "request_type",
        "status_code",
        "source_ip",
        "error_contains",
        "start_time",
        "end_time",
        "page",
        "page_size",
    ];
    let long = "a".repeat(60_000);
    let values =
        ["-1", "9223372036854775808", "%00", "%ff%fe", "%zz", "'%20OR%201=1--", "!", "%5c", "%F0%9F%97%9D", &long];
    for path in ["/api/logs", "/api/logs/export"] {
        for field in fields {
            for value in values {
                let answer = api.get(&format!("{path}?{field}={value}")).await;
                assert_eq!(answer.status, 200, "{path} {field} {value:.40}: {}", answer.text);
            }
        }
    }
}

#[actix_web::test]
async fn a_live_view_asks_for_what_follows() {
    let api = Api::start().await;
    let group = api.group("team").await;
    let rows: Vec<RequestLog> = (0..5).map(|at| row(group, Timestamp(AT.0 + at))).collect();
    api.log(&rows).await;
    let tail = async |query: &str| {
        let data = api.get(&format!("/api/logs?after={}&{query}", rows[1].id)).await.data();
        let ids: Vec<_> = data["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
        (ids, data["pagination"].clone())
    };
    let ids = |places: &[usize]| places.iter().map(|place| json!(rows[*place].id.to_string())).collect::<Vec<_>>();
    assert_eq!(tail("").await, (ids(&[4, 3, 2]), json!({"page_size": 15, "has_more": false})));
    assert_eq!(tail("page_size=2").await, (ids(&[3, 2]), json!({"page_size": 2, "has_more": true})));
    assert_eq!(tail("is_success=false").await.0, ids(&[]));
    assert_eq!(tail("group_name=TEAM&start_time=2026-01-31T12:34:56.793Z").await.0, ids(&[4]));
    for (after, status, code) in
        [("1", 400, "BAD_REQUEST"), ("%00", 400, "BAD_REQUEST"), (&*Uuid::nil().to_string(), 404, "NOT_FOUND")]
    {
        api.get(&format!("/api/logs?after={after}")).await.is_error(status, code, "after", after);
    }
}
