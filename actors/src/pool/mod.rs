//! The key pool: which key serves next, and what its outcome makes of it.
//!
//! Pure but for atomics: time is a parameter, and whoever drives the pool (the group actor) does so through
//! `core::PoolCore`.

mod accounts;
#[cfg(feature = "bench")]
pub mod bench;
mod budget;
mod candidates;
mod chance;
pub(crate) mod core;
mod guard;
pub(crate) mod inbox;
pub(crate) mod kept;
mod lately;
mod lease;
mod ledger;
mod memory;
mod model;
pub(crate) mod news;
mod overview;
mod pinned;
mod ring;
mod search;
pub(crate) mod select;
pub(crate) mod shared;
mod slot;
mod snapshot;
pub mod state;
mod sticky;
mod table;
#[cfg(test)]
mod tests;
mod view;
mod watch;
mod weighted;
mod witness;

use std::{sync::Arc, time::Duration};

use gpt_load_schema::{
    ids::{GroupId, KeyId},
    key::KeyRecord,
    log::OutcomeClass,
    store::KeyCounts,
    time::Timestamp,
};

pub use self::{
    candidates::Candidate,
    lease::KeyLease,
    overview::{LiveKey, Overview, Part},
    pinned::Withheld,
};
use self::{select::Terms, shared::Shared};

/// What the classifier, and after it the policies, say of one attempt; the pool's input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The class.
    pub class: OutcomeClass,
    /// Which rule decided, a stable word such as `status-429`.
    pub rule: &'static str,
    /// The provider's text, redacted, at most 2048 bytes; empty when there is none.
    pub message: String,
    /// When the provider said that the key or account may be asked again (rate limit, quota).
    pub retry_after: Option<Duration>,
    /// Whom a limit or refusal concerns.
    pub reach: Reach,
    /// What a policy decided.
    pub ruling: Option<Ruling>,
}

impl Verdict {
    /// A verdict without a text, about the key alone.
    pub const fn new(class: OutcomeClass, rule: &'static str) -> Self {
        Self { class, rule, message: String::new(), retry_after: None, reach: Reach::KEY, ruling: None }
    }

    /// Whether the key was refused one model only: perhaps one that nobody has, so it says nothing of the key as a whole.
    pub fn refuses_model(&self) -> bool {
        self.class == OutcomeClass::KeyForbidden
            && self.reach.model
            && self.ruling.as_ref().is_none_or(|ruling| ruling.consequence.is_none())
    }

    /// Which rule decided: that of a policy, else the classifier's.
    pub fn decided_by(&self) -> &str {
        self.ruling.as_ref().map_or(self.rule, |ruling| &ruling.policy)
    }
}

/// Whom a limit or refusal concerns: by default all requests with the key that met it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Only requests for the same model.
    pub model: bool,
    /// Every key of the same account, where the account is known.
    pub account: bool,
}

impl Reach {
    /// All requests with the key.
    pub const KEY: Self = Self { model: false, account: false };
}

/// A policy's decision over an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// The policy and its rule, as a person should read them.
    pub policy: Arc<str>,
    /// What becomes of the key instead of what the class says; `None` = what the class says.
    pub consequence: Option<Consequence>,
}

/// What a policy makes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// Nothing.
    Spare,
    /// A counted failure; with a time the key is out (disabled) for that long.
    Degrade(Option<Duration>),
    /// Out for this long; `None` = for the usual backoff.
    Disable(Option<Duration>),
    /// Invalid.
    Invalidate,
    /// To rest for this long.
    Rest(Duration),
}

/// What a request wants of a key.
#[derive(Clone, Copy, Default)]
pub struct Want<'a> {
    /// Keys this request has tried; avoided while there is another.
    pub tried: &'a [KeyId],
    /// Whether this is the request's first attempt: only those use keys on probation.
    pub first_attempt: bool,
    /// Hash of what the request should stick to.
    pub sticky: Option<u64>,
    /// The model that will be asked for upstream; empty when the request names none.
    pub model: &'a str,
    /// Whether an upstream (base URL) is worth asking; asked for keys that are bound to one. `None` = all are.
    pub is_open: Option<&'a dyn Fn(&str) -> bool>,
}

/// Where an attempt went.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Base URL of the upstream.
    pub upstream: &'a Arc<str>,
    /// Model asked for; empty when the request named none.
    pub model: &'a str,
}

/// What an answer, good or bad, tells of the limits that the provider applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Announced {
    /// Requests left.
    pub requests: Option<Remaining>,
    /// Tokens left.
    pub tokens: Option<Remaining>,
    /// Whether the limits count per model.
    pub per_model: bool,
    /// Hash of the account's name, where the answer tells it; the limits are then the account's.
    pub account: Option<u64>,
}

/// What is left of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// How much is left.
    pub left: u64,
    /// The whole limit, where it is told.
    pub limit: Option<u64>,
    /// Time until the limit is whole again.
    pub reset_in: Duration,
}

/// Many keys fail alike and none succeeds: their failures are held back until one does.
#[derive(Clone, Debug)]
pub struct TrippedGuard {
    /// What the keys fail with; [`OutcomeClass::UpstreamFault`] stands for faults that seemed to be the key's own.
    pub class: OutcomeClass,
    /// Base URL of the upstream they fail against.
    pub upstream: Arc<str>,
    /// Who is probably to blame.
    pub suspect: Suspect,
    /// When the first of them failed.
    pub since: Timestamp,
    /// Keys that failed.
    pub failed: usize,
    /// Keys that would have gone out (disabled or invalid) by now.
    pub held: usize,
    /// What the provider says, redacted.
    pub message: String,
}

/// Who is probably to blame for a failure that many keys share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspect {
    /// The provider.
    Upstream,
    /// The way to it: the address that the gateway's requests come from.
    Egress,
    /// The account behind the keys.
    Account,
}

impl Suspect {
    /// The word in the API and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Egress => "egress",
            Self::Account => "account",
        }
    }
}

/// Why no key could be handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoKey {
    /// The group has no key that may serve.
    NoneUsable,
    /// Keys exist but all rest; the nearest return.
    AllResting(Timestamp),
}

/// A group's key pool as the data path sees it. Cheap to clone, safe from any thread, no lock on the hot path.
#[derive(Clone)]
pub struct PoolHandle {
    shared: Arc<Shared>,
}

impl PoolHandle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Hands out a key.
    pub fn checkout(&self, want: &Want<'_>, now: Timestamp) -> Result<KeyLease, NoKey> {
        let (snapshot, terms) = (self.shared.snapshot.load(), self.shared.terms());
        let found = select::select(&snapshot, &terms, want, now);
        if found.wants_rebuild {
            self.shared.want_rebuild();
        }
        let (slot, seat) = found.key?;
        Ok(KeyLease::new(self.shared.clone(), slot.clone(), seat))
    }

    /// Whether [`PoolHandle::checkout`] would hand out a key, without using up any of a key's limits.
    ///
    /// # Errors
    /// Why it would not.
    pub fn look_out(&self, want: &Want<'_>, now: Timestamp) -> Result<(), NoKey> {
        let snapshot = self.shared.snapshot.load();
        let terms = Terms { only_looks: true, ..self.shared.terms() };
        let (slot, seat) = select::select(&snapshot, &terms, want, now).key?;
        slot.give_back(seat);
        Ok(())
    }

    /// Where the pool guard holds failures back now; empty when all is normal.
    pub fn guard(&self) -> Arc<Vec<TrippedGuard>> {
        self.shared.tripped.load_full()
    }

    /// Keys per state now.
    pub fn counts(&self) -> KeyCounts {
        self.shared.counts()
    }

    /// Keys that may serve but rest, as of the last change of the rotation, a few milliseconds ago.
    pub fn resting(&self) -> u64 {
        self.shared.snapshot.load().resting
    }

    /// Position of the round-robin cursor (key index), for `/stats`.
    pub fn current_index(&self) -> u64 {
        self.shared.snapshot.load().next_index().unwrap_or(0).into()
    }

    /// Moves the round-robin cursor to the first active key at or after `index` (of all keys by ascending id; past the
    /// last one it wraps).
    pub fn seek(&self, index: u64) {
        let snapshot = self.shared.snapshot.load();
        let keys = u64::try_from(snapshot.table.len()).unwrap_or(u64::MAX);
        let index = index.checked_rem(keys).unwrap_or(0);
        snapshot.seek(u32::try_from(index).unwrap_or(0));
    }

    /// Whether a key could be handed out now, without handing it out.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        select::is_usable(&self.shared.snapshot.load(), &self.shared.terms(), now)
    }

    /// Keys that are out (disabled or invalid) or resting, at most `limit`, for `/blacklist`.
    ///
    /// What only the database knows of a key (hash, notes, counters, dates) is empty in the records.
    pub fn out_of_rotation(&self, limit: usize, now: Timestamp) -> Vec<KeyRecord> {
        let snapshot = self.shared.snapshot.load();
        let out = snapshot.keys().filter(|slot| !slot.state().is_selectable() || slot.resting_until() > now);
        out.take(limit).map(|slot| slot.record(self.shared.group)).collect()
    }

    /// The group.
    pub fn group_id(&self) -> GroupId {
        self.shared.group
    }
}

impl std::fmt::Debug for PoolHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PoolHandle").field("group", &self.shared.group).finish_non_exhaustive()
    }
}
