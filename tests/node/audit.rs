//! The audit log of a whole node.

use gpt_load_schema::store::AuditFilter;
use serde_json::json;

use crate::support::{AUTH_KEY, Gateway, Request};

#[actix_web::test]
async fn the_first_start_is_told_without_its_secrets() {
    let gateway = Gateway::start().await;
    let page = gateway.api("GET", "/api/audit?actor_kind=node", &json!({})).await;
    let first = page["items"].as_array().unwrap().last().unwrap();
    assert_eq!((&first["action"], &first["outcome"]), (&json!("settings.update"), &json!("done")), "{first}");
    assert_eq!(first["after"]["proxy_keys"], "test****cdef");
    assert!(!page.to_string().contains(AUTH_KEY));
}

#[actix_web::test]
async fn rows_outlive_the_node_and_name_request_and_address() {
    let gateway = Gateway::start().await;
    let body = json!({
        "name": "team", "channel_type": "openai", "test_model": "m",
        "upstreams": [{"url": gateway.double.url(), "weight": 1}],
    });
    let answer = gateway.send(&Request::new("POST", "/api/groups").key(AUTH_KEY).json(&body)).await;
    let request_id = answer.head.header("x-gpt-load-request-id").unwrap().to_owned();
    let wrong = gateway.send(&Request::new("GET", "/api/groups?key=a-wrong-key")).await;
    assert_eq!(wrong.head.status, 401);
    let gateway = gateway.restart().await;
    let filter = AuditFilter { request_id: Some(request_id), ..AuditFilter::default() };
    let rows = gateway.node.store().audit_page(&filter, 1, 10).await.unwrap();
    assert_eq!(rows.total, 1);
    let row = &rows.items[0];
    assert_eq!(
        (row.action.as_str(), row.address.as_str(), row.outcome.as_str()),
        ("group.create", "127.0.0.1", "done")
    );
    let filter = AuditFilter { action: Some("auth.failed".to_owned()), ..AuditFilter::default() };
    let failed = gateway.node.store().audit_page(&filter, 1, 10).await.unwrap();
    assert_eq!((failed.total, failed.items[0].subject_name.as_str()), (1, "/api/groups"));
}
