//! What is remembered of a key that has had trouble, in little memory: a bad hour gives all keys of a large pool one.

use std::{collections::HashSet, sync::Arc};

use gpt_load_schema::{
    key::{KeyHealth, KeyState, ModelHealth},
    time::Timestamp,
};

use super::state::{Standing, says_something};

/// Distinct texts that are shared; providers say the same few things to all keys.
const SHARED_TEXTS: usize = 1_024;

/// Texts of which many keys hold the same one.
#[derive(Default)]
pub(crate) struct Texts {
    known: HashSet<Arc<str>>,
}

impl Texts {
    fn share(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.known.get(text) {
            return known.clone();
        }
        if self.known.len() >= SHARED_TEXTS {
            self.known.clear();
        }
        let text: Arc<str> = text.into();
        self.known.insert(text.clone());
        text
    }
}

/// A [`KeyHealth`] without its state and generation, with shared texts.
#[derive(Debug)]
pub(crate) struct Memory {
    consecutive_failures: i32,
    backoff_level: i32,
    disabled_until: Moment,
    resting_until: Moment,
    last_failure_at: Moment,
    last_success_at: Moment,
    last_validated_at: Moment,
    last_error: Option<Arc<str>>,
    last_class: Option<Arc<str>>,
    last_rule: Option<Arc<str>>,
    cooldown_level: i32,
    validation_level: i32,
    next_validation_at: Moment,
    /// `None` instead of an empty list.
    models: Option<Box<[ModelHealth]>>,
}

impl Memory {
    /// What has to be remembered of `health`; `None` for a key that never had trouble.
    pub(crate) fn of(health: &KeyHealth, texts: &mut Texts) -> Option<Self> {
        let untroubled = KeyHealth { generation: health.generation, ..KeyHealth::new(health.state) };
        (*health != untroubled).then(|| Self {
            consecutive_failures: health.consecutive_failures,
            backoff_level: health.backoff_level,
            disabled_until: health.disabled_until.into(),
            resting_until: health.resting_until.into(),
            last_failure_at: health.last_failure_at.into(),
            last_success_at: health.last_success_at.into(),
            last_validated_at: health.last_validated_at.into(),
            last_error: health.last_error.as_deref().map(|text| texts.share(text)),
            last_class: health.last_class.as_deref().map(|text| texts.share(text)),
            last_rule: health.last_rule.as_deref().map(|text| texts.share(text)),
            cooldown_level: health.cooldown_level,
            validation_level: health.validation_level,
            next_validation_at: health.next_validation_at.into(),
            models: (!health.models.is_empty()).then(|| health.models.as_slice().into()),
        })
    }

    /// When the key is to be validated next.
    pub(crate) fn next_validation_at(&self) -> Option<Timestamp> {
        self.next_validation_at.into()
    }

    /// Whether a success with `model`, or the time, changes what is remembered of models.
    pub(crate) fn has_to_forgive(&self, model: &str, now: Timestamp) -> bool {
        let mut models = self.models.iter().flatten();
        models.any(|health| health.model == model || !says_something(health, now))
    }

    /// The whole health again.
    pub(crate) fn recall(&self, state: KeyState, generation: i64) -> KeyHealth {
        KeyHealth {
            state,
            generation,
            consecutive_failures: self.consecutive_failures,
            backoff_level: self.backoff_level,
            disabled_until: self.disabled_until.into(),
            resting_until: self.resting_until.into(),
            last_failure_at: self.last_failure_at.into(),
            last_success_at: self.last_success_at.into(),
            last_validated_at: self.last_validated_at.into(),
            last_error: self.last_error.as_deref().map(str::to_owned),
            last_class: self.last_class.as_deref().map(str::to_owned),
            last_rule: self.last_rule.as_deref().map(str::to_owned),
            cooldown_level: self.cooldown_level,
            validation_level: self.validation_level,
            next_validation_at: self.next_validation_at.into(),
            models: self.models.as_deref().map(<[ModelHealth]>::to_vec).unwrap_or_default(),
        }
    }
}

/// A standing put by.
pub(crate) struct Sketch {
    state: KeyState,
    generation: i64,
    memory: Option<Box<Memory>>,
}

impl Sketch {
    pub(crate) fn of(standing: &Standing, texts: &mut Texts) -> Self {
        let health = &standing.health;
        Self { state: health.state, generation: health.generation, memory: Memory::of(health, texts).map(Box::new) }
    }

    pub(crate) fn recall(&self) -> Standing {
        let plain = || KeyHealth { generation: self.generation, ..KeyHealth::new(self.state) };
        Standing::stored(self.memory.as_ref().map_or_else(plain, |memory| memory.recall(self.state, self.generation)))
    }
}

/// A point in time or none, in eight bytes.
#[derive(Clone, Copy, Debug)]
struct Moment(i64);

const NEVER: i64 = i64::MIN;

impl From<Option<Timestamp>> for Moment {
    fn from(at: Option<Timestamp>) -> Self {
        Self(at.map_or(NEVER, |at| at.0))
    }
}

impl From<Moment> for Option<Timestamp> {
    fn from(at: Moment) -> Self {
        Some(Timestamp(at.0)).filter(|at| at.0 != NEVER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_recalled_whole_and_an_untroubled_key_costs_nothing() {
        let mut texts = Texts::default();
        let plain = KeyHealth { generation: 7, ..KeyHealth::new(KeyState::Active) };
        assert!(Memory::of(&plain, &mut texts).is_none());
        let health = KeyHealth {
            state: KeyState::Disabled,
            generation: 3,
            consecutive_failures: 4,
            backoff_level: 2,
            disabled_until: Some(Timestamp(9)),
            resting_until: None,
            last_failure_at: Some(Timestamp(0)),
            last_success_at: None,
            last_validated_at: Some(Timestamp(-1)),
            last_error: Some("no such key".to_owned()),
            last_class: Some("key_forbidden".to_owned()),
            last_rule: Some("status-403".to_owned()),
            cooldown_level: 1,
            next_validation_at: Some(Timestamp(10)),
            validation_level: 2,
            models: vec![ModelHealth { model: "m".to_owned(), consecutive_failures: 1, ..ModelHealth::default() }],
        };
        let memory = Memory::of(&health, &mut texts).expect("there is trouble");
        assert_eq!(memory.recall(KeyState::Disabled, 3), health);
    }

    #[test]
    fn the_same_text_is_held_once() {
        let mut texts = Texts::default();
        assert!(Arc::ptr_eq(&texts.share("slow down"), &texts.share("slow down")));
        for number in 0..3 * SHARED_TEXTS {
            texts.share(&number.to_string());
            assert!(texts.known.len() <= SHARED_TEXTS);
        }
    }
}
