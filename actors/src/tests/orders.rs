use gpt_load_schema::{ids::KeyId, key::KeyState, log::OutcomeClass, store::StoreError};

use super::fixture::Node;
use crate::commands::{Command, CommandError, Order, Reply};

#[actix_rt::test]
async fn orders_are_stored_and_in_effect_before_the_answer() {
    let node = Node::start().await;
    let group = node.group("default", 2).await;
    let key = node.keys(group).await[0].id;
    for (order, state) in [
        (Order::Disable, KeyState::Disabled),
        (Order::Enable, KeyState::Degraded),
        (Order::Restore, KeyState::Active),
        (Order::Invalidate, KeyState::Invalid),
        (Order::Restore, KeyState::Active),
    ] {
        let reply = node.execute(Command::OrderKey(group, key, order)).await;
        assert!(matches!(reply, Reply::Done), "{order:?} {reply:?}");
        let stored = &node.keys(group).await[0];
        assert_eq!((stored.health.state, stored.health.disabled_until), (state, None), "{order:?}");
        let counts = node.pool(group).counts();
        assert_eq!(counts.active, if state == KeyState::Active { 2 } else { 1 }, "{order:?}");
    }
    node.use_key(group, 1, OutcomeClass::KeyForbidden, None).await;
    node.execute(Command::OrderKey(group, key, Order::Disable)).await;
    assert_eq!(node.keys(group).await[0].failure_count, 1, "what waited is stored before the order");
    node.execute(Command::OrderKey(group, key, Order::Restore)).await;
    let restored = &node.keys(group).await[0];
    assert_eq!((restored.failure_count, restored.health.consecutive_failures), (0, 0));

    for order in [Order::Disable, Order::Restore] {
        let unknown = node.runtime.execute(Command::OrderKey(group, KeyId(999), order)).await;
        assert!(matches!(unknown, Err(CommandError::Store(StoreError::NotFound("the key")))), "{unknown:?}");
    }
    let node = node.restart().await;
    node.execute(Command::OrderKey(group, key, Order::Disable)).await;
    let node = node.restart().await;
    assert_eq!((node.pool(group).counts().disabled, node.pool(group).counts().active), (1, 1));
    node.runtime.stop().await;
}
