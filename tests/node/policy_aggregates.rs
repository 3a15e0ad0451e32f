//! Policies of aggregates and of their members.

use gpt_load_actors::commands::Command;
use gpt_load_schema::{
    channel::Channel,
    group::{GroupType, SubGroup},
    ids::GroupId,
};
use serde_json::json;

use crate::support::{AUTH_KEY, Gateway, Request, code, definition};

async fn aggregate(gateway: &Gateway, members: &[GroupId]) -> GroupId {
    let mut both = definition("both", Channel::OpenAi, &[], json!({"max_retries": 2}));
    both.group_type = GroupType::Aggregate;
    both.test_model = "-".to_owned();
    let both = gateway.add_group(both, &[]).await;
    let members = members.iter().map(|&group_id| SubGroup { group_id, weight: 1 }).collect();
    gateway.node.runtime().execute(Command::SetSubGroups(both, members)).await.unwrap();
    both
}

#[actix_web::test]
async fn an_aggregate_asks_its_own_policies_and_then_those_of_the_member() {
    let gateway = Gateway::start().await;
    let one = gateway.group("one", Channel::OpenAi, &["sk-one"], json!({})).await;
    let two = gateway.group("two", Channel::OpenAi, &["sk-two"], json!({})).await;
    let both = aggregate(&gateway, &[one, two]).await;
    let ask = async |model: &str| {
        let body = json!({"model": model, "messages": []});
        let target = "/proxy/both/v1/chat/completions";
        gateway.send(&Request::new("POST", target).key(AUTH_KEY).json(&body)).await
    };
    // A member that refuses a model leaves it to the other.
    gateway.policies(one, &[("model_filter", json!({"type": "include", "patterns": ["a", "c"]}))]).await;
    let second = json!({"type": "include", "patterns": ["b", "c"]});
    let limit = json!({"limit": 3, "interval": "1h"});
    gateway.policies(two, &[("model_filter", second), ("rate_limit", limit)]).await;
    for model in ["a", "b", "a", "b"] {
        assert_eq!(ask(model).await.head.status, 200, "{model}");
    }
    let keys: Vec<_> = gateway.double.requests().into_iter().filter_map(|request| request.key).collect();
    assert_eq!(keys, ["sk-one", "sk-two", "sk-one", "sk-two"]);
    let denied = ask("d").await;
    assert_eq!((denied.head.status, code(&denied).as_str()), (403, "MODEL_NOT_ALLOWED"));
    // The limit of the second member has room for one more; then the first one serves alone.
    for _ in 0..6 {
        assert_eq!(ask("c").await.head.status, 200);
    }
    let limited = ask("b").await;
    assert_eq!((limited.head.status, code(&limited).as_str()), (429, "RATE_LIMIT_EXCEEDED"));
    assert!(limited.json()["message"].as_str().unwrap().contains("`two`"), "{}", limited.json());

    let own = json!({"type": "exclude", "patterns": ["a"]});
    gateway.policies(both, &[("model_filter", own)]).await;
    let denied = ask("a").await;
    assert!(denied.json()["message"].as_str().unwrap().contains("`both`"), "{}", denied.json());
    assert_eq!(ask("c").await.head.status, 200);
    let list = gateway.send(&Request::new("GET", "/proxy/both/v1/models").key(AUTH_KEY)).await.json();
    assert_eq!(list["data"], json!([]), "lists go through both filters");
}
