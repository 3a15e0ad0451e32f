use std::time::Duration;

use gpt_load_schema::{
    ids::{GroupId, KeyId},
    key::{KeyHealth, KeyState, ModelHealth},
    log::{OutcomeClass, RequestLog, RequestType, TokenUsage},
    time::Timestamp,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{Api, group, with};

/// A log row of a key.
fn row(group: i64, key: (i64, &str), class: OutcomeClass, at: Timestamp) -> RequestLog {
    RequestLog {
        id: Uuid::now_v7(),
        request_id: Uuid::now_v7(),
        attempt: 1,
        timestamp: at,
        group_id: GroupId(group),
        group_name: "a".to_owned(),
        parent: None,
        key: Some((KeyId(key.0), key.1.into())),
        model: "gpt".to_owned(),
        upstream_model: None,
        class: Some(class),
        evidence: Some("status-401: no such key".to_owned()),
        is_success: false,
        source_ip: String::new(),
        status_code: 401,
        request_path: "/v1/chat/completions".to_owned(),
        duration_ms: 7,
        first_byte_ms: None,
        error_message: String::new(),
        user_agent: String::new(),
        request_type: RequestType::Retry,
        upstream_addr: "https://api.openai.com/v1/chat/completions".to_owned(),
        is_stream: false,
        request_body: String::new(),
        usage: TokenUsage::default(),
        finish_reason: None,
    }
}

#[actix_web::test]
async fn a_good_key_has_nothing_to_explain() {
    let api = Api::start().await;
    let group = api.group("a").await;
    api.keys(group, &["sk-1"]).await;
    let listed = api.get(&format!("/api/keys?group_id={group}")).await.data()["items"][0].clone();
    let id = listed["id"].as_i64().unwrap();
    let key = api.get(&format!("/api/keys/{id}")).await.data();
    for (field, value) in listed.as_object().unwrap() {
        assert_eq!(&key[field], value, "{field} is the same as in the list");
    }
    let expected = json!({
        "in_flight": 0, "source": "manual", "state_reason": null, "next_return": null, "next_validation_at": null,
        "models": [], "held": null, "last_outcomes": [],
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&key[field], value, "{field}");
    }
    assert_eq!(key.as_object().unwrap().len(), listed.as_object().unwrap().len() + expected.as_object().unwrap().len());
}

#[actix_web::test]
async fn a_key_says_why_it_is_out_and_when_it_returns() {
    let api = Api::start().await;
    let group = api.group("default").await;
    let values = ["sk-1234567890-a", "sk-1234567890-b", "sk-1234567890-c"];
    api.keys(group, &values).await;
    let now = Timestamp::now();
    let (at, hence) = (now.to_rfc3339(), (now + Duration::from_secs(3600)).to_rfc3339());
    let cases = [
        (OutcomeClass::QuotaExhausted, "disabled", json!("no credit"), json!(hence), json!(at)),
        (OutcomeClass::KeyInvalid, "invalid", json!(null), json!(null), json!(at)),
        // When the cooldown began is told by a log row, and here is none.
        (OutcomeClass::RateLimited, "active", json!("too fast"), json!(hence), json!(null)),
    ];
    for (value, (class, state, message, back, since)) in values.iter().zip(cases) {
        api.settle(value, class, message.as_str().unwrap_or_default(), now).await;
        let id = api.key_id(group, value).await;
        let key = api.get(&format!("/api/keys/{id}")).await.data();
        assert_eq!((&key["status"], &key["next_return"]), (&json!(state), &back), "{class}");
        let reason = json!({"class": class.as_str(), "rule": "test", "message": message, "since": since});
        assert_eq!(key["state_reason"], reason, "{class}");
        assert_eq!(key["held"], Value::Null);
        let listed = api.get(&format!("/api/keys?group_id={group}&key_value={value}")).await.data()["items"][0].clone();
        assert_eq!((&listed["status"], &listed["last_class"]), (&json!(state), &json!(class.as_str())));
        assert_eq!(listed["resting_until"], key["resting_until"], "{class}");
    }
}

#[actix_web::test]
async fn models_that_the_key_may_not_ask_for_are_named() {
    let api = Api::start().await;
    let group = api.group("default").await;
    api.keys(group, &["sk-1"]).await;
    let until = Timestamp::now() + Duration::from_secs(60);
    let over = Timestamp(1);
    let health = KeyHealth {
        generation: 1,
        next_validation_at: Some(until),
        models: vec![
            ModelHealth { model: "big".to_owned(), resting_until: Some(until), ..ModelHealth::default() },
            ModelHealth { model: "old".to_owned(), disabled_until: Some(over), ..ModelHealth::default() },
        ],
        ..KeyHealth::new(KeyState::Active)
    };
    api.put_into(group, "sk-1", health).await;
    let id = api.key_id(group, "sk-1").await;
    // A change of the key brings what is stored of it into the pool.
    let key = api.patch(&format!("/api/keys/{id}"), json!({"weight": 1})).await.data();
    let (until, over) = (until.to_rfc3339(), over.to_rfc3339());
    assert_eq!(key["next_validation_at"], json!(until));
    let model = |name: &str, disabled: Value, resting: Value, out: Value| {
        json!({"model": name, "consecutive_failures": 0, "backoff_level": 0, "disabled_until": disabled,
            "resting_until": resting, "out_until": out})
    };
    let expected =
        [model("big", json!(null), json!(until), json!(until)), model("old", json!(over), json!(null), json!(null))];
    assert_eq!(key["models"], json!(expected));
}

#[actix_web::test]
async fn the_last_twenty_outcomes_are_shown_newest_first() {
    let api = Api::start().await;
    let group = api.group("default").await;
    api.keys(group, &["sk-1", "sk-2"]).await;
    let (one, two) = (api.key_id(group, "sk-1").await, api.key_id(group, "sk-2").await);
    let now = Timestamp::now();
    for number in 0..25 {
        let at = now + Duration::from_millis(number);
        api.state.runtime.record(row(group, (one, "sk-1"), OutcomeClass::KeyInvalid, at));
    }
    let last = RequestLog {
        is_success: true,
        class: None,
        evidence: None,
        status_code: 200,
        request_type: RequestType::Final,
        ..row(group, (one, "sk-1"), OutcomeClass::Success, now + Duration::from_secs(1))
    };
    api.state.runtime.record(last.clone());
    api.state.runtime.record(row(group, (two, "sk-2"), OutcomeClass::Success, now + Duration::from_secs(2)));
    let outcomes = api.get(&format!("/api/keys/{one}")).await.data()["last_outcomes"].take();
    assert_eq!(outcomes.as_array().unwrap().len(), 20);
    let expected = json!({
        "time": last.timestamp.to_rfc3339(), "request_id": last.request_id.to_string(), "attempt": 1,
        "request_type": "final", "class": null, "evidence": null, "is_success": true, "status_code": 200,
        "model": "gpt", "upstream_addr": "https://api.openai.com/v1/chat/completions", "duration_ms": 7,
    });
    assert_eq!(outcomes[0], expected);
    let second = &outcomes[1];
    assert_eq!((&second["class"], &second["request_type"]), (&json!("key_invalid"), &json!("retry")));
    assert_eq!(second["evidence"], "status-401: no such key");
    assert_eq!(second["time"], (now + Duration::from_millis(24)).to_rfc3339());
}

#[actix_web::test]
async fn weight_priority_and_upstream_are_a_persons_to_decide() {
    let api = Api::start().await;
    let upstreams = json!([{"url": "https://one.test", "weight": 1}, {"url": "https://two.test/base", "weight": 1}]);
    let body = with(group("default"), &json!({"upstreams": upstreams}));
    let group = api.post("/api/groups", body).await.data()["id"].as_i64().unwrap();
    api.keys(group, &["sk-1"]).await;
    let path = format!("/api/keys/{}", api.key_id(group, "sk-1").await);
    let told = |key: &Value| (key["weight"].clone(), key["priority"].clone(), key["upstream"].clone());
    let steps = [
        (json!({"weight": 100, "priority": -1000}), (100, -1000, json!(null))),
        (json!({"upstream": "https://two.test/base", "priority": 1000}), (100, 1000, json!("https://two.test/base"))),
        (json!({"weight": 1, "priority": null}), (1, 1000, json!("https://two.test/base"))),
        (json!({"upstream": null}), (1, 1000, json!(null))),
    ];
    for (change, (weight, priority, upstream)) in steps {
        let answered = api.patch(&path, change.clone()).await.data();
        let expected = (json!(weight), json!(priority), upstream);
        assert_eq!(told(&answered), expected, "{change}");
        assert_eq!(told(&api.get(&path).await.data()), expected, "{change}");
    }
}

#[actix_web::test]
async fn refused_changes_name_their_field_and_change_nothing() {
    let api = Api::start().await;
    let group = api.group("default").await;
    api.keys(group, &["sk-1"]).await;
    let path = format!("/api/keys/{}", api.key_id(group, "sk-1").await);
    let before = api.get(&path).await.data();
    let cases = [
        (json!({"weight": 0}), "VALIDATION_FAILED", "weight"),
        (json!({"weight": 101}), "VALIDATION_FAILED", "weight"),
        (json!({"weight": 1.5}), "INVALID_JSON", "weight"),
        (json!({"weight": 5, "priority": 1001}), "VALIDATION_FAILED", "priority"),
        (json!({"weight": 5, "priority": -1001}), "VALIDATION_FAILED", "priority"),
        (json!({"priority": "1"}), "INVALID_JSON", "priority"),
        (json!({"weight": 5, "upstream": "https://elsewhere.test"}), "VALIDATION_FAILED", "upstream"),
        (json!({"upstream": ""}), "VALIDATION_FAILED", "upstream"),
        (json!({"upstream": 1}), "INVALID_JSON", "upstream"),
        (json!({"weight": 5, "state": "pending"}), "VALIDATION_FAILED", "state"),
        (json!({"weight": 5, "state": "good"}), "VALIDATION_FAILED", "state"),
        (json!({"weight": 5, "state": ""}), "VALIDATION_FAILED", "state"),
        (json!({"weight": 5, "state": "degraded"}), "VALIDATION_FAILED", "state"),
        (json!({"state": 1}), "INVALID_JSON", "state"),
    ];
    for (body, code, field) in cases {
        api.patch(&path, body.clone()).await.is_error(400, code, field, &body.to_string());
    }
    assert_eq!(api.get(&path).await.data(), before);
}

#[actix_web::test]
async fn unknown_keys_are_not_found() {
    let api = Api::start().await;
    for id in ["1", "0", "-1"] {
        api.get(&format!("/api/keys/{id}")).await.is_error(404, "NOT_FOUND", "", id);
        api.patch(&format!("/api/keys/{id}"), json!({"weight": 0})).await.is_error(404, "NOT_FOUND", "", id);
    }
    for id in ["one", "1.0", "99999999999999999999"] {
        api.get(&format!("/api/keys/{id}")).await.is_error(400, "BAD_REQUEST", "id", id);
    }
    let wrong = api.put("/api/keys/1", json!({})).await;
    assert_eq!((wrong.status, wrong.headers["allow"].as_str()), (405, "GET, HEAD, PATCH"));
}

#[actix_web::test]
async fn a_person_takes_a_key_out_and_brings_it_back() {
    let api = Api::start().await;
    let group = api.group("default").await;
    api.keys(group, &["sk-1"]).await;
    let path = format!("/api/keys/{}", api.key_id(group, "sk-1").await);
    let by_hand = json!({"class": null, "rule": "by-hand", "message": null, "since": null});
    let steps = [
        ("disabled", "disabled", by_hand.clone()),
        ("degraded", "degraded", by_hand.clone()),
        ("degraded", "degraded", by_hand.clone()),
        ("invalid", "invalid", by_hand),
        ("active", "active", json!(null)),
    ];
    for (order, state, reason) in steps {
        let key = api.patch(&path, json!({"state": order, "weight": 7})).await.data();
        assert_eq!((&key["status"], &key["weight"]), (&json!(state), &json!(7)), "{order}");
        assert_eq!((&key["state_reason"], &key["next_return"]), (&reason, &json!(null)), "{order}");
        assert_eq!(api.get(&path).await.data(), key, "{order}");
    }
    let answer = api.patch(&path, json!({"state": "degraded"})).await;
    answer.is_error(400, "VALIDATION_FAILED", "state", "an active key");
}

#[actix_web::test]
async fn with_nothing_held_there_is_nothing_to_accept() {
    let api = Api::start().await;
    let group = api.group("default").await;
    api.keys(group, &["sk-1"]).await;
    let accepted = api.post(&format!("/api/groups/{group}/pool/accept"), Value::Null).await.data();
    assert_eq!(accepted, json!({"accepted_count": 0}));
}
