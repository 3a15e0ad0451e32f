//! What the leader changed, for all others: told at once, and found out by comparing versions when the telling was lost.

use std::collections::BTreeMap;

use gpt_load_cluster::{Epoch, versions::Version};
use gpt_load_schema::ids::{GroupId, KeyId};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// The topic of the bus.
pub(crate) const TOPIC: &str = "changed";
/// What has a version beside the keys of each group: groups, settings, policies and access tokens together.
const EVERYTHING: &str = "all";
/// Keys that one message names, at most.
const NAMED: usize = 1_000;

/// What a version is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// Groups, settings, policies and access tokens.
    Everything,
    /// The keys of a group.
    Keys(GroupId),
}

impl Subject {
    fn name(self) -> String {
        match self {
            Self::Everything => EVERYTHING.to_owned(),
            Self::Keys(group) => format!("keys:{group}"),
        }
    }

    /// The subject of this name; `None` for one that only another version of the program knows.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            EVERYTHING => Some(Self::Everything),
            _ => name.strip_prefix("keys:")?.parse().ok().map(|id| Self::Keys(GroupId(id))),
        }
    }
}

/// Which keys of a group changed, came or went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Which {
    /// These.
    Ids(Vec<KeyId>),
    /// Some with ids after the first up to the second.
    Between(KeyId, KeyId),
    /// Perhaps any.
    All,
}

impl Which {
    /// These, in as few words as it takes.
    pub(crate) fn of(ids: &[KeyId]) -> Option<Self> {
        let (first, last) = (ids.iter().min()?, ids.iter().max()?);
        Some(if ids.len() <= NAMED { Self::Ids(ids.to_vec()) } else { Self::Between(KeyId(first.0 - 1), *last) })
    }
}

/// A change as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notice {
    subject: String,
    /// The version that was changed.
    pub(crate) before: Version,
    /// The version that came of it.
    pub(crate) version: Version,
    pub(crate) which: Which,
}

impl Notice {
    pub(crate) fn subject(&self) -> Option<Subject> {
        Subject::parse(&self.subject)
    }
}

/// What is later in the cluster, and what is later here.
type Compared = (Vec<(Subject, Version)>, Vec<(String, Version)>);

/// The versions in which this node has everything.
#[derive(Default)]
pub(crate) struct Changes {
    applied: Mutex<BTreeMap<Subject, Version>>,
}

impl Changes {
    /// The version in which this node has `subject`.
    pub(crate) fn applied(&self, subject: Subject) -> Version {
        self.applied.lock().get(&subject).copied().unwrap_or_default()
    }

    /// This node has `subject` in this version.
    pub(crate) fn apply(&self, subject: Subject, version: Version) {
        let mut applied = self.applied.lock();
        let known = applied.entry(subject).or_default();
        *known = version.max(*known);
    }

    /// Nothing of these groups is known any more.
    pub(crate) fn retain(&self, is_group: impl Fn(GroupId) -> bool) -> Vec<String> {
        let mut applied = self.applied.lock();
        let is_gone = |subject: &Subject| matches!(subject, Subject::Keys(group) if !is_group(*group));
        let gone = applied.keys().filter(|subject| is_gone(subject)).map(|subject| subject.name()).collect();
        applied.retain(|subject, _| !is_gone(subject));
        gone
    }

    /// The leader has changed `subject` in the term `epoch`; answers what to tell.
    pub(crate) fn changed(&self, subject: Subject, which: Which, epoch: Epoch) -> (String, Notice) {
        let mut applied = self.applied.lock();
        let known = applied.entry(subject).or_default();
        let before = *known;
        *known = before.max(Version::new(epoch, 0)).next();
        (subject.name(), Notice { subject: subject.name(), before, version: *known, which })
    }

    /// What the cluster has in a later version than this node, and what this node knows in a later one than the cluster.
    pub(crate) fn compare(&self, cluster: &BTreeMap<String, Version>) -> Compared {
        let applied = self.applied.lock();
        let behind = cluster
            .iter()
            .filter_map(|(name, version)| Some((Subject::parse(name)?, *version)))
            .filter(|(subject, version)| applied.get(subject).is_none_or(|known| known < version))
            .collect();
        let ahead = applied
            .iter()
            .map(|(subject, version)| (subject.name(), *version))
            .filter(|(name, version)| cluster.get(name).is_none_or(|known| known < version))
            .collect();
        (behind, ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_grow_by_one_within_a_term_and_jump_with_the_next() {
        let (changes, keys) = (Changes::default(), Subject::Keys(GroupId(7)));
        let versions: Vec<_> = [3, 3, 4]
            .map(|epoch| {
                let (name, notice) = changes.changed(keys, Which::All, Epoch(epoch));
                assert_eq!((name.as_str(), notice.subject()), ("keys:7", Some(keys)));
                (notice.before.0, notice.version.0)
            })
            .into();
        let term = |epoch: u64| epoch << 32;
        assert_eq!(versions, [(0, term(3) + 1), (term(3) + 1, term(3) + 2), (term(3) + 2, term(4) + 1)]);
        assert_eq!(changes.applied(Subject::Everything), Version(0));
    }

    #[test]
    fn a_comparison_finds_what_either_side_missed() {
        let changes = Changes::default();
        changes.apply(Subject::Everything, Version(5));
        changes.apply(Subject::Everything, Version(4));
        changes.apply(Subject::Keys(GroupId(1)), Version(2));
        let cluster = [("all", 5), ("keys:1", 1), ("keys:2", 9), ("something new", 1)];
        let cluster = cluster.map(|(name, version)| (name.to_owned(), Version(version))).into();
        let (behind, ahead) = changes.compare(&cluster);
        assert_eq!(behind, [(Subject::Keys(GroupId(2)), Version(9))]);
        assert_eq!(ahead, [("keys:1".to_owned(), Version(2))]);
        assert_eq!(changes.retain(|group| group.0 != 1), ["keys:1"]);
        assert_eq!(changes.applied.lock().len(), 1);
    }

    #[test]
    fn many_keys_are_a_range() {
        assert_eq!(Which::of(&[]), None);
        assert_eq!(Which::of(&[KeyId(4), KeyId(2)]), Some(Which::Ids(vec![KeyId(4), KeyId(2)])));
        let many: Vec<KeyId> = (5..=1_005).rev().map(KeyId).collect();
        assert_eq!(Which::of(&many), Some(Which::Between(KeyId(4), KeyId(1_005))));
    }
}
