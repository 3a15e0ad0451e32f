//! Which key the things that providers store belong to: what was learnt lately, and what waits for the database.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    time::Duration,
};

use gpt_load_schema::{
    ids::{GroupId, KeyId},
    resource::{MAX_RESOURCE_ID, Resource, ResourceOwner},
    store::{Store, StoreResult},
    time::Timestamp,
};
use parking_lot::Mutex;

/// Ids kept at hand are between this many and twice as many.
const GENERATION: usize = 32 * 1024;
/// Resources that may wait for the database; beyond, the oldest is forgotten.
const MAX_WAITING: usize = 100_000;
/// For how long an id that the database does not know needs no second look.
const UNKNOWN_FOR: Duration = Duration::from_secs(5);
/// A resource that is seen again is stored again only when that prolongs its memory by this much.
const REFRESH_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

type Id = (GroupId, Box<str>);

/// The memory of a node: what it learnt or looked up lately, in front of the database, and what the database does not
/// hold yet. Belongs to no actor, so that no actor's death costs it anything.
pub(crate) struct Resources {
    store: Store,
    memory: Mutex<Memory>,
}

/// What is known of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    /// Its owner; `None` = the database knows none.
    key: Option<KeyId>,
    /// When this is no longer true.
    until: Timestamp,
}

/// A resource on its way to the database.
struct Waiting {
    resource: Resource,
    /// Whether it is in the order of those that no commit holds.
    is_queued: bool,
}

#[derive(Default)]
struct Memory {
    /// Two generations: what is used moves to the young one, and when that is full the old one goes.
    young: HashMap<Id, Known>,
    old: HashMap<Id, Known>,
    /// Everything that is not known to be in the database.
    waiting: HashMap<Id, Waiting>,
    order: VecDeque<Id>,
    lost: u64,
}

impl Resources {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, memory: Mutex::default() }
    }

    /// Takes note of a resource; it is found from now on, and in the database with the next commit.
    pub(crate) fn remember(&self, resource: Resource) {
        if resource.id.is_empty() || resource.id.len() > MAX_RESOURCE_ID || resource.id.contains('\0') {
            return;
        }
        let lost = self.memory.lock().remember(resource);
        if lost.is_some_and(|lost| lost == 1 || lost.is_multiple_of(10_000)) {
            tracing::warn!(lost, "owners of resources are forgotten: too many wait for the database");
        }
    }

    /// The owners of `ids` in `groups`, as far as they are known at `now`; in no order.
    pub(crate) async fn owners(
        &self,
        groups: &[GroupId],
        ids: &[Box<str>],
        now: Timestamp,
    ) -> StoreResult<Vec<ResourceOwner>> {
        let mut owners = Vec::new();
        let unknown: Vec<Box<str>> = {
            let mut memory = self.memory.lock();
            ids.iter().filter(|id| !memory.recall(groups, id, now, &mut owners)).cloned().collect()
        };
        if unknown.is_empty() {
            return Ok(owners);
        }
        let stored = self.store.resource_owners(groups, &unknown, now).await?;
        let mut memory = self.memory.lock();
        for group in groups {
            for id in &unknown {
                let owner = stored.iter().find(|owner| owner.group_id == *group && owner.id == *id);
                let read = owner.map_or(Known { key: None, until: now + UNKNOWN_FOR }, |owner| Known {
                    key: Some(owner.key_id),
                    until: owner.expires_at,
                });
                let id = (*group, id.clone());
                // What was learnt meanwhile is later than what was read.
                if memory.find(&id, now).is_none() {
                    memory.keep(id, read);
                }
            }
        }
        unknown.iter().for_each(|id| _ = memory.recall(groups, id, now, &mut owners));
        Ok(owners)
    }

    /// Takes at most `limit` resources for a commit, the oldest first; [`Resources::done`] ends their time there.
    pub(crate) fn take(&self, limit: usize) -> Vec<Resource> {
        let Memory { waiting, order, .. } = &mut *self.memory.lock();
        let ids: Vec<Id> = order.drain(..limit.min(order.len())).collect();
        let taken = ids.iter().filter_map(|id| {
            let entry = waiting.get_mut(id)?;
            entry.is_queued = false;
            Some(entry.resource.clone())
        });
        taken.collect()
    }

    /// The commit that held `resources` is over.
    pub(crate) fn done(&self, resources: &[Resource]) {
        let waiting = &mut self.memory.lock().waiting;
        for resource in resources {
            let id = (resource.group_id, resource.id.clone());
            if waiting.get(&id).is_some_and(|entry| !entry.is_queued) {
                waiting.remove(&id);
            }
        }
    }

    /// Resources that no commit holds yet.
    pub(crate) fn len(&self) -> usize {
        self.memory.lock().order.len()
    }
}

impl Memory {
    /// Answers how many resources are lost so far, when this one made another go.
    fn remember(&mut self, resource: Resource) -> Option<u64> {
        let id = (resource.group_id, resource.id.clone());
        let (key, until) = (Some(resource.key_id), resource.expires_at);
        let prolonged = until - REFRESH_AFTER;
        if self.find(&id, resource.created_at).is_some_and(|known| known.key == key && known.until > prolonged) {
            return None;
        }
        self.keep(id.clone(), Known { key, until });
        let was_queued = self.waiting.get(&id).is_some_and(|entry| entry.is_queued);
        self.waiting.insert(id.clone(), Waiting { resource, is_queued: true });
        if !was_queued {
            self.order.push_back(id);
        }
        if self.order.len() <= MAX_WAITING {
            return None;
        }
        if let Some(oldest) = self.order.pop_front() {
            self.waiting.remove(&oldest);
            self.lost += 1;
        }
        Some(self.lost)
    }

    /// Adds the owners of `id`; false, and none is added, unless all groups are known to have or not to have it.
    fn recall(&mut self, groups: &[GroupId], id: &str, now: Timestamp, owners: &mut Vec<ResourceOwner>) -> bool {
        let before = owners.len();
        for group in groups {
            let Some(known) = self.find(&(*group, id.into()), now) else {
                owners.truncate(before);
                return false;
            };
            owners.extend(known.key.map(|key_id| ResourceOwner {
                group_id: *group,
                id: id.into(),
                key_id,
                expires_at: known.until,
            }));
        }
        true
    }

    fn find(&mut self, id: &Id, now: Timestamp) -> Option<Known> {
        let is_true = |known: &Known| known.until > now;
        if let Some(known) = self.young.get(id) {
            return Some(*known).filter(is_true);
        }
        let known = self.old.remove(id).or_else(|| {
            let resource = &self.waiting.get(id)?.resource;
            Some(Known { key: Some(resource.key_id), until: resource.expires_at })
        })?;
        self.keep(id.clone(), known);
        Some(known).filter(is_true)
    }

    fn keep(&mut self, id: Id, known: Known) {
        if self.young.len() >= GENERATION {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(id, known);
    }
}

#[cfg(test)]
mod tests {
    use gpt_load_schema::{resource::ResourceKind, store::OutcomeProofs};

    use super::*;

    const NOW: Timestamp = Timestamp(1_767_225_600_000);
    const DAYS: Duration = Duration::from_secs(30 * 24 * 60 * 60);
    const GROUP: GroupId = GroupId(1);

    fn resource(id: &str, key: i64, at: Timestamp) -> Resource {
        Resource {
            group_id: GROUP,
            id: id.into(),
            key_id: KeyId(key),
            kind: ResourceKind::File,
            created_at: at,
            expires_at: at + DAYS,
        }
    }

    async fn resources() -> (Resources, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join("gpt-load.db");
        let store = Store::open(path.to_str().expect("a UTF-8 path"), None).await.expect("the store opens");
        (Resources::new(store), folder)
    }

    /// Keys of the owners of one id in two groups.
    async fn owners(resources: &Resources, id: &str, now: Timestamp) -> Vec<i64> {
        let owners = resources.owners(&[GROUP, GroupId(2)], &[id.into()], now).await.expect("the owners are known");
        owners.iter().map(|owner| owner.key_id.0).collect()
    }

    async fn commit(resources: &Resources) -> usize {
        let batch = resources.take(usize::MAX);
        resources
            .store
            .writer(1)
            .commit_with(&[], &[], &batch, &OutcomeProofs::default(), NOW)
            .await
            .expect("it is stored");
        resources.done(&batch);
        batch.len()
    }

    #[tokio::test]
    async fn what_is_remembered_is_found_at_once_and_after_a_restart() {
        let (resources, _folder) = resources().await;
        assert_eq!(owners(&resources, "a", NOW).await, Vec::<i64>::new(), "nobody knows it");
        resources.remember(resource("a", 7, NOW));
        assert_eq!(owners(&resources, "a", NOW).await, [7], "although it was unknown a moment ago");
        assert_eq!(commit(&resources).await, 1);
        let successor = Resources::new(resources.store.clone());
        assert_eq!(owners(&successor, "a", NOW).await, [7]);
        assert_eq!(owners(&successor, "a", NOW + DAYS).await, Vec::<i64>::new(), "its time is over");
    }

    #[tokio::test]
    async fn what_no_commit_holds_yet_is_found_even_when_it_left_the_memory() {
        let (resources, _folder) = resources().await;
        resources.remember(resource("a", 7, NOW));
        let batch = resources.take(9);
        (0..3 * GENERATION).for_each(|number| {
            resources.memory.lock().keep((GROUP, number.to_string().into()), Known { key: None, until: NOW });
        });
        let kept = |memory: &Memory| memory.young.len() + memory.old.len();
        assert!(kept(&resources.memory.lock()) <= 2 * GENERATION);
        assert_eq!(owners(&resources, "a", NOW).await, [7]);
        resources.remember(resource("a", 8, NOW));
        resources.done(&batch);
        assert_eq!((owners(&resources, "a", NOW).await, resources.len()), (vec![8], 1), "the later word waits");
        assert_eq!(commit(&resources).await, 1);
        assert_eq!((resources.len(), resources.memory.lock().waiting.len()), (0, 0));
    }

    #[tokio::test]
    async fn seeing_a_resource_again_is_stored_again_only_when_it_matters() {
        let (resources, _folder) = resources().await;
        resources.remember(resource("a", 7, NOW));
        assert_eq!(commit(&resources).await, 1);
        resources.remember(resource("a", 7, NOW + Duration::from_secs(3600)));
        assert_eq!(commit(&resources).await, 0);
        resources.remember(resource("a", 7, NOW + REFRESH_AFTER));
        assert_eq!(commit(&resources).await, 1);
        assert_eq!(owners(&resources, "a", NOW + DAYS).await, [7], "remembered from its last use on");
        resources.remember(resource("a", 8, NOW + REFRESH_AFTER));
        assert_eq!(commit(&resources).await, 1);
        assert_eq!(owners(&Resources::new(resources.store.clone()), "a", NOW).await, [8]);
    }

    #[tokio::test]
    async fn too_many_that_wait_make_the_oldest_go() {
        let (resources, _folder) = resources().await;
        (0..=MAX_WAITING).for_each(|number| resources.remember(resource(&number.to_string(), 1, NOW)));
        assert_eq!((resources.len(), resources.memory.lock().lost), (MAX_WAITING, 1));
        assert_eq!(&*resources.take(1)[0].id, "1");
    }

    #[tokio::test]
    async fn ids_that_no_database_holds_are_left_alone() {
        let (resources, _folder) = resources().await;
        for id in ["", "a\0b", &"x".repeat(256)] {
            resources.remember(resource(id, 1, NOW));
        }
        assert_eq!(resources.len(), 0);
        resources.remember(resource(&"x".repeat(255), 1, NOW));
        assert_eq!(commit(&resources).await, 1);
    }
}
