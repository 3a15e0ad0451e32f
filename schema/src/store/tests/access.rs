use serde_json::json;

use super::*;
use crate::{
    access::{Role, TokenDefinition},
    audit::{Actor, Deed, Ending, Subject},
    ids::TokenId,
};

on_every_database! {
    tokens_come_change_and_go,
    a_deed_has_its_row_before_it_is_done,
    rows_past_their_retention_go_the_oldest_first,
}

fn viewer(name: &str) -> TokenDefinition {
    TokenDefinition { name: name.to_owned(), role: Role::Viewer, expires_at: Some(Timestamp(NOW.0 + 1)) }
}

async fn tokens_come_change_and_go(kind: Kind) {
    let Fixture { store, writer, database } = Fixture::new(kind).await;
    let value = "gptload_value-of-the-token";
    let hash = store.lookup_hash(value);
    let stored = writer.insert_access_token(&viewer("one"), "gptload_valu", &hash, NOW).await.expect("added");
    assert_eq!((&stored.definition, stored.hash.as_str(), stored.last_used_at), (&viewer("one"), hash.as_str(), None));
    assert_eq!(store.access_token(stored.id).await.expect("reads"), Some(stored.clone()));
    assert!(!database.everything().contains(value));
    let taken = writer.insert_access_token(&viewer("one"), "p", "other", NOW).await;
    assert!(matches!(taken, Err(StoreError::Duplicate("an access token of this name"))));

    let later = Timestamp(NOW.0 + 5);
    writer.touch_access_tokens(&[(stored.id, later), (TokenId(77), later)]).await.expect("noted");
    let admin = TokenDefinition { name: "two".to_owned(), role: Role::Admin, expires_at: None };
    let changed = writer.update_access_token(stored.id, &admin, later).await.expect("changed");
    assert_eq!((changed.definition, changed.last_used_at, changed.updated_at), (admin.clone(), Some(later), later));
    let unknown = writer.update_access_token(TokenId(77), &admin, later).await;
    assert!(matches!(unknown, Err(StoreError::NotFound("the access token"))));
    writer.delete_access_token(stored.id).await.expect("deleted");
    assert!(matches!(writer.delete_access_token(stored.id).await, Err(StoreError::NotFound(_))));
    assert!(store.access_tokens().await.expect("reads").is_empty());
}

async fn a_deed_has_its_row_before_it_is_done(kind: Kind) {
    let Fixture { store, writer, database: _database } = Fixture::new(kind).await;
    let subject = Subject::group(GroupId(7), "日\0本".repeat(200));
    let deed = Deed { actor: Actor::node("n"), action: "group.update", subject, at: NOW };
    let id = writer.insert_audit(&deed, None).await.expect("noted");
    let all = AuditFilter::default();
    let row = store.audit_page(&all, 1, 10).await.expect("reads").items.remove(0);
    assert_eq!((row.id, row.outcome.as_str(), row.after), (id, "started", json!(null)));
    assert_eq!((row.subject_name.chars().count(), row.subject_name.contains('\0')), (255, false));
    let ending = Ending::changed(json!({"sort": 1}), json!({"sort": 2}));
    writer.end_audit(id, &deed, &ending).await.expect("noted");
    let page = store.audit_page(&all, 1, 10).await.expect("reads");
    assert_eq!((page.total, page.items[0].outcome.as_str()), (1, "done"));
    assert_eq!((&page.items[0].before, &page.items[0].after), (&json!({"sort": 1}), &json!({"sort": 2})));
}

async fn rows_past_their_retention_go_the_oldest_first(kind: Kind) {
    let Fixture { store, writer, database: _database } = Fixture::new(kind).await;
    for at in 0..5 {
        let subject = Subject::of_kind("settings");
        let deed = Deed { actor: Actor::node("n"), action: "settings.update", subject, at: Timestamp(at) };
        writer.insert_audit(&deed, Some(&Ending::done(json!({"at": at})))).await.expect("noted");
    }
    assert_eq!(writer.prune_audit(Timestamp(4), 3).await.expect("deleted"), 3);
    assert_eq!(writer.prune_audit(Timestamp(4), 3).await.expect("deleted"), 1);
    assert_eq!(writer.prune_audit(Timestamp(4), 3).await.expect("deleted"), 0);
    let left = store.audit_page(&AuditFilter::default(), 1, 10).await.expect("reads");
    assert_eq!((left.total, left.items[0].time), (1, Timestamp(4)));
}
