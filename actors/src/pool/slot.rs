//! One key as all threads see it: what never changes, and the marks that selection reads.

mod occupy;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering},
};

use arc_swap::ArcSwapOption;
use gpt_load_cluster::window::SlidingWindow;
use gpt_load_schema::{
    ids::{GroupId, KeyId},
    key::{KeyHealth, KeyRecord, KeySource, KeyState, ModelHealth},
    secret::Secret,
    time::Timestamp,
};

use super::{
    ledger::Ledger,
    memory::{Memory, Texts},
    model::{ModelHash, ModelRest, ModelRests},
    state::Standing,
};

pub(crate) use self::occupy::Refusal;

/// Bits of [`Slot::marks`] that hold the position of the state in [`KeyState::ALL`].
const STATE: u8 = 0b111;
/// An outcome on its way to the group actor takes the key out.
const HELD: u8 = 1 << 3;
/// A success would change nothing.
const CLEAN: u8 = 1 << 4;
/// The key was deleted.
const GONE: u8 = 1 << 5;
/// The key has had upstream faults since its last success.
const FAULTY: u8 = 1 << 6;
/// A success would change nothing unless it is one with a model that the key has had trouble with.
const CLEAN_BUT_FOR_MODELS: u8 = 1 << 7;

/// A key of the pool. The group actor publishes its standing here; the data path reads it and leaves marks.
///
/// Kept small, since a group may hold a million: what the state machine remembers beyond the state is allocated only
/// for keys that have something to remember.
///
/// What a selection touches stands at the beginning, together with the counts of the `Arc` around it: in a large pool
/// nearly every slot that is looked at has to come from memory.
#[repr(C)]
pub(crate) struct Slot {
    id: KeyId,
    resting_until: AtomicI64,
    generation: AtomicI64,
    upstream: ArcSwapOption<Box<str>>,
    in_flight: AtomicU32,
    marks: AtomicU8,
    /// Whether the key ever rested for one model; spares most keys the look at `model_rests`.
    rests_by_model: AtomicBool,
    weight: AtomicU8,
    source: KeySource,
    /// Successful requests served.
    requests: AtomicU64,
    /// The provider's limits, once it announced some.
    ledger: ArcSwapOption<Ledger>,
    /// Requests of the last minute, while the group limits them.
    pace: ArcSwapOption<SlidingWindow>,
    model_rests: ArcSwapOption<ModelRests>,
    secret: Secret,
    memory: ArcSwapOption<Memory>,
    /// Counted failures since the last reset.
    failures: AtomicI64,
    /// Outcomes on their way to the group actor.
    queued: AtomicU32,
    priority: AtomicI32,
}

impl Slot {
    /// The slot of a stored key; `None` when its value does not decrypt.
    pub(crate) fn new(record: &KeyRecord, texts: &mut Texts) -> Option<Self> {
        let slot = Self {
            id: record.id,
            secret: record.value.clone()?,
            upstream: ArcSwapOption::const_empty(),
            priority: AtomicI32::new(0),
            weight: AtomicU8::new(1),
            source: record.source,
            marks: AtomicU8::new(0),
            rests_by_model: AtomicBool::new(false),
            in_flight: AtomicU32::new(0),
            requests: AtomicU64::new(u64::try_from(record.request_count).unwrap_or(0)),
            failures: AtomicI64::new(record.failure_count),
            queued: AtomicU32::new(0),
            resting_until: AtomicI64::new(0),
            generation: AtomicI64::new(0),
            memory: ArcSwapOption::const_empty(),
            model_rests: ArcSwapOption::const_empty(),
            ledger: ArcSwapOption::const_empty(),
            pace: ArcSwapOption::const_empty(),
        };
        slot.arrange(record);
        slot.publish(&Standing::stored(record.health.clone()), texts);
        Some(slot)
    }

    pub(crate) fn id(&self) -> KeyId {
        self.id
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Takes over what a person may change about a key that serves: weight, priority and upstream.
    pub(crate) fn arrange(&self, record: &KeyRecord) {
        self.weight.store(u8::try_from(record.weight.clamp(1, 100)).unwrap_or(1), Ordering::Relaxed);
        self.priority.store(record.priority, Ordering::Relaxed);
        if self.upstream().as_deref().map(|url| &**url) != record.upstream.as_deref() {
            self.upstream.store(record.upstream.clone().map(|url| Arc::new(url.into_boxed_str())));
        }
    }

    /// Base URL of the upstream the key is bound to.
    pub(crate) fn upstream(&self) -> Option<Arc<Box<str>>> {
        self.upstream.load_full()
    }

    /// Whether the key is bound to an upstream of which `test` is true.
    pub(crate) fn is_bound_where(&self, test: impl FnOnce(&str) -> bool) -> bool {
        self.upstream.load().as_deref().is_some_and(|url| test(url))
    }

    /// Lower is asked first.
    pub(crate) fn priority(&self) -> i32 {
        self.priority.load(Ordering::Relaxed)
    }

    /// Share of the traffic under weighted selection, 1–100.
    pub(crate) fn weight(&self) -> u8 {
        self.weight.load(Ordering::Relaxed)
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

    /// The key's rest for one model, which may be past.
    pub(crate) fn rest_for(&self, model: ModelHash) -> Option<ModelRest> {
        if !self.rests_by_model.load(Ordering::Acquire) {
            return None;
        }
        self.model_rests.load().as_deref()?.get(model)
    }

    /// Until when the key rests for which models; `None` = for none.
    pub(crate) fn model_rests(&self) -> Option<Arc<ModelRests>> {
        if self.rests_by_model.load(Ordering::Acquire) { self.model_rests.load_full() } else { None }
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
        self.queued.load(Ordering::Acquire) == 0
            && self.marks.load(Ordering::Acquire) & (CLEAN | HELD | FAULTY) == CLEAN
    }

    /// Whether a success with `model` changes nothing and no earlier outcome is still on its way. A model that failed
    /// once, perhaps because nobody has it, must not make every success of the key with others news.
    pub(crate) fn is_clean_for(&self, model: &str, now: Timestamp) -> bool {
        if self.is_clean() {
            return true;
        }
        self.queued.load(Ordering::Acquire) == 0
            && self.marks.load(Ordering::Acquire) & (CLEAN_BUT_FOR_MODELS | HELD | FAULTY) == CLEAN_BUT_FOR_MODELS
            && self.memory.load().as_deref().is_none_or(|memory| !memory.has_to_forgive(model, now))
    }

    /// The key has had an upstream fault, so that its next success is news; or it has had that success.
    pub(crate) fn set_faulty(&self, is_faulty: bool) {
        if is_faulty {
            self.marks.fetch_or(FAULTY, Ordering::AcqRel);
        } else {
            self.marks.fetch_and(!FAULTY, Ordering::AcqRel);
        }
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
        let rests = ModelRests::of(&health.models);
        if others_queued {
            self.rest_models(&rests);
        } else if !rests.is_empty() || self.rests_by_model.load(Ordering::Acquire) {
            self.rests_by_model.store(true, Ordering::Release);
            self.model_rests.store((!rests.is_empty()).then(|| Arc::new(rests)));
        }
        let position = KeyState::ALL.iter().position(|state| *state == health.state).unwrap_or(0);
        let mut marks = u8::try_from(position).unwrap_or(0);
        if standing.is_clean_but_for_models() {
            marks |= if standing.is_clean() { CLEAN } else { CLEAN_BUT_FOR_MODELS };
        }
        let kept = if others_queued { GONE | HELD | FAULTY } else { GONE | FAULTY };
        marks |= self.marks.load(Ordering::Acquire) & kept;
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

    /// Takes the key away from one model at once, ahead of the group actor's decision.
    pub(crate) fn mark_model(&self, health: &ModelHealth) {
        self.rest_models(&ModelRests::of(std::slice::from_ref(health)));
    }

    /// Sends the key to rest for one model.
    #[cfg(test)]
    pub(crate) fn rest_model(&self, model: &str, until: Timestamp) {
        self.rest_models(&ModelRests::default().with([ModelRest::cooldown(ModelHash::of(model), until)]));
    }

    fn rest_models(&self, rests: &ModelRests) {
        if !rests.is_empty() {
            self.rests_by_model.store(true, Ordering::Release);
            self.model_rests
                .rcu(|known| Some(Arc::new(known.as_deref().unwrap_or(&ModelRests::default()).with(rests.iter()))));
        }
    }

    /// The key was deleted; requests in flight may finish with it. Answers whether this is news.
    pub(crate) fn retire(&self) -> bool {
        self.marks.fetch_or(GONE, Ordering::AcqRel) & GONE == 0
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
            weight: self.weight().into(),
            priority: self.priority(),
            upstream: self.upstream().map(|url| url.to_string()),
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
