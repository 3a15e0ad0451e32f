//! Models that a key does not serve for a while, though it serves others.

use std::hash::{DefaultHasher, Hasher};

use gpt_load_schema::{key::ModelHealth, time::Timestamp};

/// A model by the hash of its name.
///
/// Two names with one hash would share their rests; that costs a detour and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ModelHash(u64);

impl ModelHash {
    pub(crate) fn of(model: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(model.as_bytes());
        Self(hasher.finish())
    }
}

/// Until when a key does not serve a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ModelRest {
    model: ModelHash,
    /// End of the cooldown, the epoch when there is none.
    rest: Timestamp,
    /// Until when the key is not asked because it was refused the model; the epoch when it is not. Where all keys are
    /// refused the model, one is asked nevertheless, so that the provider says why.
    refused: Timestamp,
}

impl ModelRest {
    /// A cooldown.
    pub(crate) const fn cooldown(model: ModelHash, until: Timestamp) -> Self {
        Self { model, rest: until, refused: Timestamp(0) }
    }

    pub(crate) fn model(&self) -> ModelHash {
        self.model
    }

    /// The end of it all.
    pub(crate) fn until(&self) -> Timestamp {
        self.rest.max(self.refused)
    }

    /// The end of the cooldown.
    pub(crate) fn rest(&self) -> Timestamp {
        self.rest
    }

    /// Whether nothing but a refusal is in the way.
    pub(crate) fn is_refused(&self, now: Timestamp) -> bool {
        self.refused > now && self.rest <= now
    }
}

/// Until when a key does not serve which model; few, each model once.
#[derive(Debug, Default)]
pub(crate) struct ModelRests(Vec<ModelRest>);

impl ModelRests {
    pub(crate) fn of(models: &[ModelHealth]) -> Self {
        let rest = |health: &ModelHealth| ModelRest {
            model: ModelHash::of(&health.model),
            rest: health.resting_until.unwrap_or_default(),
            refused: health.disabled_until.unwrap_or_default(),
        };
        Self(models.iter().filter(|health| health.out_until().is_some()).map(rest).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = ModelRest> + '_ {
        self.0.iter().copied()
    }

    /// The rest for `model`, which may be past.
    pub(crate) fn get(&self, model: ModelHash) -> Option<ModelRest> {
        self.iter().find(|rest| rest.model == model)
    }

    /// These rests and `others`; of two for the same model the later ends.
    pub(crate) fn with(&self, others: impl IntoIterator<Item = ModelRest>) -> Self {
        let mut all = self.0.clone();
        for other in others {
            match all.iter_mut().find(|known| known.model == other.model) {
                Some(known) => {
                    known.rest = known.rest.max(other.rest);
                    known.refused = known.refused.max(other.refused);
                }
                None => all.push(other),
            }
        }
        Self(all)
    }
}
