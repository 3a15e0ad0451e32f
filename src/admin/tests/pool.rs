use std::time::Duration;

use gpt_load_actors::pool::Want;
use gpt_load_schema::{log::OutcomeClass, time::Timestamp};
use serde_json::{Value, json};

use super::support::Api;

#[actix_web::test]
async fn a_pool_is_counted_whole_and_shown_by_pages() {
    let api = Api::start().await;
    let group = api.group("default").await;
    let values: Vec<String> = (1..=5).map(|number| format!("sk-1234567890-{number}")).collect();
    api.keys(group, &values.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let now = Timestamp::now();
    api.settle(&values[1], OutcomeClass::RateLimited, "too fast", now).await;
    api.settle(&values[2], OutcomeClass::KeyInvalid, "", now).await;
    let table = api.state.routing.load_full().unwrap();
    let lease = table.groups[0].pool.checkout(&Want::default(), now).unwrap();

    let path = format!("/api/groups/{group}/pool");
    let pool = api.get(&path).await.data();
    let counts = json!({"total": 5, "pending": 0, "active": 4, "degraded": 0, "disabled": 0, "invalid": 1});
    assert_eq!((&pool["group_id"], &pool["counts"]), (&json!(group), &counts));
    let back = json!((now + Duration::from_secs(3600)).to_rfc3339());
    assert_eq!((&pool["resting"], &pool["in_flight"], &pool["next_return"]), (&json!(1), &json!(1), &back));
    assert_eq!((&pool["held"], &pool["guard"]), (&json!(0), &json!([])));
    // Nothing serves here, so nobody watches the upstreams.
    assert_eq!(pool["upstreams"], json!([]));
    assert_eq!(pool["keys"]["pagination"]["total_items"], 5);
    let second = json!({
        "id": api.key_id(group, &values[1]).await, "key": "sk-1****90-2", "state": "active", "in_flight": 0,
        "weight": 1, "priority": 0, "upstream": null, "consecutive_failures": 0, "last_class": "rate_limited",
        "resting_until": back, "next_return": back,
    });
    assert_eq!(pool["keys"]["items"][1], second);
    drop(lease);

    let shown = async |query: &str| {
        let keys = api.get(&format!("{path}?{query}")).await.data()["keys"].take();
        let items = keys["items"].as_array().unwrap().iter();
        let shown: Vec<_> = items.map(|key| key["key"].as_str().unwrap().to_owned()).collect();
        (shown, keys["pagination"]["total_items"].clone())
    };
    let masked = |numbers: &[i32]| numbers.iter().map(|number| format!("sk-1****90-{number}")).collect::<Vec<_>>();
    assert_eq!(shown("page=2&page_size=2").await, (masked(&[3, 4]), json!(5)));
    assert_eq!(shown("state=active&page=2&page_size=3").await, (masked(&[5]), json!(4)));
    assert_eq!(shown("state=disabled").await, (masked(&[]), json!(0)));
    assert_eq!(shown("page=9223372036854775807&page_size=1000").await, (masked(&[]), json!(5)));
    api.get(&format!("{path}?state=good")).await.is_error(400, "VALIDATION_FAILED", "state", "good");
}

#[actix_web::test]
async fn only_standard_groups_have_a_pool() {
    let api = Api::start().await;
    let body = json!({"name": "all", "channel_type": "openai", "group_type": "aggregate"});
    let aggregate = api.post("/api/groups", body).await.data()["id"].as_i64().unwrap();
    for (id, status, code, field) in [
        (aggregate.to_string(), 400, "BAD_REQUEST", "id"),
        ("9999".to_owned(), 404, "NOT_FOUND", ""),
        ("one".to_owned(), 400, "BAD_REQUEST", "id"),
    ] {
        api.get(&format!("/api/groups/{id}/pool")).await.is_error(status, code, field, &id);
        let accept = format!("/api/groups/{id}/pool/accept");
        api.post(&accept, Value::Null).await.is_error(status, code, field, &id);
    }
}
