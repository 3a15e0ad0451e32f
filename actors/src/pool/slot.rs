//! One key as all threads see it: what never changes, and the marks that selection reads.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering},
};

use arc_swap::ArcSwapOption;
use gpt_load_schema::{
    ids::{GroupId, KeyId},
    key::{KeyHealth, KeyRecord, KeySource, KeyState},
    secret::Secret,
    time::Timestamp,
};

use super::{
    memory::{Memory, Texts},
    state::Standing,
};

/// Bits of [`Slot::marks`] that hold the position of the state in [`KeyState::ALL`].
const STATE: u8 = 0b111;
/// An outcome on its way to the group actor takes the key out.
const HELD: u8 = 1 << 3;
/// A success would change nothing.
const CLEAN: u8 = 1 << 4;
/// The key was deleted.
const GONE: u8 = 1 << 5;

/// A key of the pool. The group actor publishes its standing here; the data path reads it and leaves marks.
///
/// Kept small, since a group may hold a million: what the state machine remembers beyond the state is allocated only
/// for keys that have something to remember.
pub(crate) struct Slot {
    id: KeyId,
    secret: Secret,
    upstream: Option<Box<str>>,
    priority: i32,
    weight: u8,
    source: KeySource,
    marks: AtomicU8,
    in_flight: AtomicU32,
    /// Successful requests served.
    requests: AtomicU64,
    /// Counted failures since the last reset.
    failures: AtomicI64,
    /// Outcomes on their way to the group actor.
    queued: AtomicU32,
    resting_until: AtomicI64,
    generation: AtomicI64,
    memory: ArcSwapOption<Memory>,
}

impl Slot {
    /// The slot of a stored key; `None` when its value does not decrypt.
    pub(crate) fn new(record: &KeyRecord, texts: &mut Texts) -> Option<Self> {
        let slot = Self {
            id: record.id,
            secret: record.value.clone()?,
            upstream: record.upstream.clone().map(String::into_boxed_str),
            priority: record.priority,
            weight: u8::try_from(record.weight.clamp(1, 100)).unwrap_or(1),
            source: record.source,
            marks: AtomicU8::new(0),
            in_flight: AtomicU32::new(0),
            requests: AtomicU64::new(u64::try_from(record.request_count).unwrap_or(0)),
            failures: AtomicI64::new(record.failure_count),
            queued: AtomicU32::new(0),
            resting_until: AtomicI64::new(0),
            generation: AtomicI64::new(0),
            memory: ArcSwapOption::const_empty(),
        };
        slot.publish(&Standing::stored(record.health.clone()), texts);
        Some(slot)
    }

    pub(crate) fn id(&self) -> KeyId {
        self.id
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Base URL of the upstream the key is bound to.
    pub(crate) fn upstream(&self) -> Option<&str> {
        self.upstream.as_deref()
    }

    pub(crate) fn generation(&self) -> i64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn state(&self) -> KeyState {
        KeyState::ALL[usize::from(self.marks.load(Ordering::Acquire) & STATE)]
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Successful requests served, and counted failures since the last reset.
    pub(crate) fn counters(&self) -> (u64, i64) {
        (self.requests.load(Ordering::Relaxed), self.failures.load(Ordering::Relaxed))
    }

    /// A request was served.
    pub(crate) fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds counted failures, after forgetting the earlier ones if `reset`.
    pub(crate) fn count_failures(&self, failures: i64, reset: bool) {
        if reset {
            self.failures.store(failures, Ordering::Relaxed);
        } else {
            self.failures.fetch_add(failures, Ordering::Relaxed);
        }
    }

    /// End of the cooldown; the epoch when there is none.
    pub(crate) fn resting_until(&self) -> Timestamp {
        Timestamp(self.resting_until.load(Ordering::Acquire))
    }

    /// Whether the key may serve apart from a cooldown, and on what terms.
    pub(crate) fn rotation(&self) -> Rotation {
        let marks = self.marks.load(Ordering::Acquire);
        if marks & (HELD | GONE) != 0 {
            return Rotation::Out;
        }
        match KeyState::ALL[usize::from(marks & STATE)] {
            KeyState::Active => Rotation::Active,
            KeyState::Pending | KeyState::Degraded => Rotation::Probation,
            KeyState::Disabled | KeyState::Invalid => Rotation::Out,
        }
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.marks.load(Ordering::Acquire) & GONE != 0
    }

    /// Whether a success changes nothing and no earlier outcome is still on its way.
    pub(crate) fn is_clean(&self) -> bool {
        self.queued.load(Ordering::Acquire) == 0 && self.marks.load(Ordering::Acquire) & (CLEAN | HELD) == CLEAN
    }

    /// When the key is to be validated next.
    pub(crate) fn next_validation_at(&self) -> Option<Timestamp> {
        self.memory.load().as_deref().and_then(Memory::next_validation_at)
    }

    /// What the state machine knows of the key.
    pub(crate) fn standing(&self) -> Standing {
        let (state, generation) = (self.state(), self.generation());
        let health = match &*self.memory.load() {
            Some(memory) => memory.recall(state, generation),
            None => KeyHealth { generation, ..KeyHealth::new(state) },
        };
        Standing::stored(health)
    }

    /// Makes `standing` what all threads see. Marks that outcomes left on the slot stay until the last of them is applied.
    pub(crate) fn publish(&self, standing: &Standing, texts: &mut Texts) {
        let health = &standing.health;
        self.memory.store(Memory::of(health, texts).map(Arc::new));
        self.generation.store(health.generation, Ordering::Release);
        let others_queued = self.queued.load(Ordering::Acquire) > 1;
        let rest = health.resting_until.map_or(0, |until| until.0);
        if others_queued {
            self.resting_until.fetch_max(rest, Ordering::AcqRel);
        } else {
            self.resting_until.store(rest, Ordering::Release);
        }
        let position = KeyState::ALL.iter().position(|state| *state == health.state).unwrap_or(0);
        let mut marks = u8::try_from(position).unwrap_or(0) | if standing.is_clean() { CLEAN } else { 0 };
        if others_queued {
            marks |= self.marks.load(Ordering::Acquire) & HELD;
        }
        self.marks.store(marks, Ordering::Release);
    }

    /// Takes the key out at once, ahead of the group actor's decision.
    pub(crate) fn hold(&self) {
        self.marks.fetch_or(HELD, Ordering::AcqRel);
    }

    /// Sends the key to rest at once, ahead of the group actor's decision.
    pub(crate) fn rest(&self, until: Timestamp) {
        self.resting_until.fetch_max(until.0, Ordering::AcqRel);
    }

    /// The key was deleted; requests in flight may finish with it.
    pub(crate) fn retire(&self) {
        self.marks.fetch_or(GONE, Ordering::AcqRel);
    }

    pub(crate) fn occupy(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Occupies the key unless a request uses it.
    pub(crate) fn occupy_idle(&self) -> bool {
        self.in_flight.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    pub(crate) fn vacate(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn outcome_queued(&self) {
        self.queued.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn outcome_done(&self) {
        self.queued.fetch_sub(1, Ordering::AcqRel);
    }

    /// The key as a record; what only the database knows (hash, notes, dates) is empty.
    pub(crate) fn record(&self, group_id: GroupId) -> KeyRecord {
        let mut health = self.standing().health;
        health.resting_until = Some(self.resting_until()).filter(|until| until.0 > 0);
        KeyRecord {
            id: self.id,
            group_id,
            value: Some(self.secret.clone()),
            hash: String::new(),
            notes: String::new(),
            health,
            request_count: i64::try_from(self.requests.load(Ordering::Relaxed)).unwrap_or(i64::MAX),
            failure_count: self.failures.load(Ordering::Relaxed),
            last_used_at: None,
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
            weight: self.weight.into(),
            priority: self.priority,
            upstream: self.upstream.as_deref().map(str::to_owned),
            source: self.source,
        }
    }
}

/// How a key takes part in the rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// It has its turn like every other.
    Active,
    /// One request at a time, first attempts only.
    Probation,
    /// It serves nobody.
    Out,
}
