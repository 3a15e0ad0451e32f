//! Keys that the provider revokes under load.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use gpt_load_benches::double::Behaviour;
use gpt_load_schema::{channel::Channel, key::KeyState};
use serde_json::json;

use crate::{clients::Clients, support::Gateway};

const KEYS: usize = 100;
const REVOKED: usize = 10;
/// What was in flight when a key's first 401 came has reached the provider by then.
const IN_FLIGHT: Duration = Duration::from_millis(250);

#[actix_web::test]
async fn ten_revoked_keys_of_a_hundred_are_each_met_once_and_no_client_notices() {
    let gateway = Gateway::start().await;
    let keys: Vec<String> = (0..KEYS).map(|number| format!("sk-{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let group = gateway.group("default", Channel::OpenAi, &keys, json!({})).await;
    let clients = Clients::start(&gateway, 16);
    clients.wait(KEYS, |_| true).await;
    let revoked: BTreeSet<String> = keys.iter().step_by(KEYS / REVOKED).map(|key| (*key).to_owned()).collect();
    let before = gateway.double.requests().len();
    for key in &revoked {
        gateway.double.on_key(key, Behaviour::invalid_key());
    }
    gateway.pool_until(group, |pool| pool["counts"]["invalid"] == REVOKED).await;
    // Ten more rounds through the whole pool, in which none of them must turn up.
    clients.wait(10 * KEYS, |_| true).await;
    let seen = clients.stop().await;
    assert!(seen.iter().all(|seen| seen.status == 200), "no client noticed");

    let mut refused: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for request in gateway.double.requests().split_off(before) {
        let key = request.key.unwrap();
        if revoked.contains(&key) {
            refused.entry(key).or_default().push(request.at);
        }
    }
    for (key, times) in &refused {
        let late = times.iter().filter(|at| **at > times[0] + IN_FLIGHT).count();
        assert_eq!(late, 0, "{key} was used again after its first 401");
    }
    let states = gateway.key_states(group).await;
    let invalid: BTreeSet<String> =
        states.iter().filter(|(_, state)| *state == KeyState::Invalid).map(|(key, _)| key.clone()).collect();
    assert_eq!(invalid, revoked);
    assert!(states.iter().all(|(_, state)| matches!(state, KeyState::Active | KeyState::Invalid)));
    assert_eq!(gateway.warnings().await, Vec::<String>::new());
}
