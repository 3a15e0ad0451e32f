use std::collections::BTreeMap;

use gpt_load_cluster::{Epoch, versions::Version};

use crate::place::Place;

crate::everywhere!(versions_only_grow);

async fn versions_only_grow(place: Place) {
    let (a, b) = (place.join("a").await, place.join("b").await);
    let all = || async { b.versions.all().await.unwrap() };
    let of = |pairs: &[(&str, Version)]| {
        pairs.iter().map(|(name, version)| ((*name).to_owned(), *version)).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(all().await, of(&[]));
    // Beyond what numbers of a script can tell apart.
    let version = Version::new(Epoch(i64::from(u32::MAX) - 1), 7);
    a.versions.publish("settings", version).await.unwrap();
    a.versions.publish("group:1", Version(9)).await.unwrap();
    b.versions.publish("group:1", Version(10)).await.unwrap();
    a.versions.publish("group:1", Version(2)).await.unwrap();
    assert_eq!(all().await, of(&[("settings", version), ("group:1", Version(10))]));
    a.versions.publish("settings", version.next()).await.unwrap();
    a.versions.forget("group:1").await.unwrap();
    assert_eq!(all().await, of(&[("settings", version.next())]));
}
