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

/// Until when a key rests for which model; few, each model once.
#[derive(Debug, Default)]
pub(crate) struct ModelRests(Vec<(ModelHash, Timestamp)>);

impl ModelRests {
    pub(crate) fn of(models: &[ModelHealth]) -> Self {
        let out = |model: &ModelHealth| Some((ModelHash::of(&model.model), model.out_until()?));
        Self(models.iter().filter_map(out).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ModelHash, Timestamp)> + '_ {
        self.0.iter().copied()
    }

    /// The end of the rest for `model`, which may be past.
    pub(crate) fn until(&self, model: ModelHash) -> Option<Timestamp> {
        self.iter().find(|(known, _)| *known == model).map(|(_, until)| until)
    }

    /// These rests and `others`; of two for the same model the later end.
    pub(crate) fn with(&self, others: impl IntoIterator<Item = (ModelHash, Timestamp)>) -> Self {
        let mut all = self.0.clone();
        for (model, until) in others {
            match all.iter_mut().find(|(known, _)| *known == model) {
                Some((_, known)) => *known = until.max(*known),
                None => all.push((model, until)),
            }
        }
        Self(all)
    }
}
