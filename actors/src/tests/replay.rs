//! What a killed process owed is paid at the next start, once.

use std::{fs, path::Path};

use gpt_load_schema::{ids::GroupId, key::KeyState, log::OutcomeClass};
use tempfile::TempDir;

use super::fixture::{Node, log_row};

/// Copies the files of a folder.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("copied");
        }
    }
}

/// What a kill leaves of a node with this database and this journal.
fn killed(database: &Path, journal: &Path) -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    copy(database, dir.path());
    copy(journal, &dir.path().join("journal"));
    dir
}

async fn states(node: &Node, group: GroupId) -> Vec<(KeyState, i64, i64)> {
    let keys = node.keys(group).await;
    keys.iter().map(|key| (key.health.state, key.failure_count, key.health.generation)).collect()
}

#[actix_rt::test]
async fn what_a_killed_node_owed_is_stored_once() {
    let node = Node::start().await;
    let group = node.group("default", 4).await;
    let node = node.restart().await;
    let before = states(&node, group).await;
    node.runtime.stop().await;
    let uncommitted = killed(node.dir.path(), &node.dir.path().join("journal"));
    let node = Node::start_in(node.dir).await;

    node.use_key(group, 1, OutcomeClass::KeyInvalid, None).await;
    for _ in 0..2 {
        node.use_key(group, 2, OutcomeClass::KeyForbidden, None).await;
    }
    node.use_key(group, 3, OutcomeClass::Success, None).await;
    (0..500).for_each(|number| node.runtime.record(log_row(number)));
    let journal = tempfile::tempdir().expect("a folder");
    copy(&node.dir.path().join("journal"), journal.path());
    node.flush().await;
    let after = states(&node, group).await;
    assert_eq!(after[0].0, KeyState::Invalid);
    assert_eq!(after[1].1, 2);
    assert_ne!(after, before);
    assert_eq!(node.store.log_counts().await.expect("counted"), (500, 0));
    node.runtime.stop().await;
    assert_eq!(node.runtime.journal().bytes, 0, "nothing is owed after a clean stop");

    for from in [uncommitted.path(), node.dir.path()] {
        let mut dir = killed(from, journal.path());
        for start in 0..3 {
            let node = Node::start_in(dir).await;
            assert_eq!(node.pool(group).counts().invalid, 1, "before the first request");
            while node.runtime.journal().replayed < if start == 0 { 503 } else { 0 } {
                tokio::task::yield_now().await;
            }
            node.flush().await;
            assert_eq!(states(&node, group).await, after, "start {start} from {}", from.display());
            assert_eq!(node.store.log_counts().await.expect("counted"), (500, 0));
            node.runtime.stop().await;
            dir = node.dir;
        }
    }
}
