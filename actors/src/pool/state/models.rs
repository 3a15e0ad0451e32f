//! What a key may not do for one model, while it may for others.

use std::time::Duration;

use gpt_load_schema::{key::ModelHealth, time::Timestamp};

use super::step::{Step, cooldown, doubled, raise};

/// Models remembered per key; of more, those go first whose time out ends first.
pub(super) const MODELS: usize = 64;
/// No provider has a model with a longer name; what clients make up is not remembered.
const NAME_BYTES: usize = 255;

impl Step<'_> {
    /// The provider limits the model.
    pub(super) fn limit_model(&mut self, model: &str, stated: Option<Duration>) {
        let (now, longest) = (self.now, self.limits.cooldown_max);
        self.change_model(model, |health| {
            if let Some(rest) = cooldown(&mut health.cooldown_level, health.resting_until, stated, now) {
                health.resting_until = health.resting_until.max(Some(now + rest.min(longest)));
            }
        });
    }

    pub(super) fn rest_model(&mut self, model: &str, until: Timestamp) {
        self.change_model(model, |health| health.resting_until = health.resting_until.max(Some(until)));
    }

    /// A counted failure of the key for the model.
    pub(super) fn fail_model(&mut self, model: &str) {
        self.failures += 1;
        self.health.last_failure_at = Some(self.now);
        let (now, backoff, limits) = (self.now, self.backoff(), self.limits);
        self.change_model(model, |health| {
            health.consecutive_failures = health.consecutive_failures.max(0).saturating_add(1);
            let is_out = health.disabled_until.is_some_and(|until| until > now);
            if !is_out && limits.is_threshold(health.consecutive_failures) {
                health.disabled_until = Some(now + doubled(backoff, raise(&mut health.backoff_level)));
            }
        });
    }

    /// A request for the model was served. Answers whether that, or the time, changed what is remembered.
    pub(super) fn forgive_model(&mut self, model: &str) -> bool {
        let (known, now) = (self.health.models.clone(), self.now);
        if let Ok(index) = self.find_model(model) {
            let resting_until = known[index].resting_until;
            let model = known[index].model.clone();
            self.health.models[index] = ModelHealth { model, resting_until, ..ModelHealth::default() };
        }
        self.health.models.retain(|health| says_something(health, now));
        self.health.models != known
    }

    fn change_model(&mut self, model: &str, change: impl FnOnce(&mut ModelHealth)) {
        if model.len() > NAME_BYTES {
            return;
        }
        let index = self.find_model(model).unwrap_or_else(|index| {
            let unknown = ModelHealth { model: model.to_owned(), ..ModelHealth::default() };
            self.health.models.insert(index, unknown);
            index
        });
        change(&mut self.health.models[index]);
        if self.health.models.len() > MODELS {
            let others = self.health.models.iter().enumerate().filter(|(other, _)| *other != index);
            if let Some((first, _)) = others.min_by_key(|(_, other)| other.out_until()) {
                self.health.models.remove(first);
            }
        }
    }

    fn find_model(&self, model: &str) -> Result<usize, usize> {
        self.health.models.binary_search_by(|known| known.model.as_str().cmp(model))
    }
}

/// Whether what is remembered of a model still matters.
pub(in crate::pool) fn says_something(health: &ModelHealth, now: Timestamp) -> bool {
    health.consecutive_failures > 0
        || health.backoff_level > 0
        || health.cooldown_level > 0
        || health.out_until().is_some_and(|until| until > now)
}
