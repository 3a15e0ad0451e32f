//! Take-overs of databases that the tests make as older programs made them.

mod import;
mod import_servers;
mod in_place;
mod old;
mod old_server;
mod servers;
mod trouble;

use super::{in_place::take_over, *};
use crate::{
    ids::GroupId,
    key::{KeyRecord, KeyState},
    store::{KeyFilter, Store},
};

const PASSPHRASE: &str = "correct horse battery staple";

async fn open(path: &str, passphrase: Option<&str>) -> StoreResult<Store> {
    Store::open_with(path.into(), passphrase.map(Secret::from).as_ref(), Derivation::with_rounds(2)).await
}

async fn take_over_with(path: &str, passphrase: Option<&str>, options: Options, watch: Watch) -> StoreResult<Report> {
    let (path, passphrase, mut watch) = (path.to_owned(), passphrase.map(Secret::from), watch);
    let runtime = StoreRuntime::start()?;
    let taking =
        async move { Ok(take_over(&path, passphrase, Derivation::with_rounds(2), options, &mut watch).await?.0) };
    runtime.run(taking).await
}

fn quiet() -> Watch {
    Box::new(|_| {})
}

/// A watch that dies at its call number `at` within the copy, as a process does: nothing is put in order.
fn dying(at: usize) -> Watch {
    dying_in(at, |stage| stage != "passphrase" && stage != "check")
}

/// [`dying`], counting the calls of some stages only.
fn dying_in(at: usize, counts: impl Fn(&str) -> bool + Send + 'static) -> Watch {
    let mut calls = 0;
    Box::new(move |moment| {
        calls += usize::from(counts(moment.stage));
        assert!(calls != at, "the process dies here");
    })
}

async fn keys(store: &Store, group: i64) -> Vec<KeyRecord> {
    store.keys_after(GroupId(group), &KeyFilter::default(), None, 1_000_000).await.expect("keys")
}

fn value(key: &KeyRecord) -> &str {
    key.value.as_ref().map_or("unreadable", Secret::expose)
}
