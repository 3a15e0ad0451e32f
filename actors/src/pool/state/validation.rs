//! What a validation makes of a key, and when the next is due.

use std::time::Duration;

use gpt_load_schema::{key::KeyState, log::OutcomeClass};

use super::{
    super::Verdict,
    step::{ERROR_BYTES, Step, cut, doubled, raise},
};

/// Longest wait before an invalid key is validated again, unless the setting says longer.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

impl Step<'_> {
    pub(super) fn validated(&mut self, verdict: &Verdict) {
        let state = self.health.state;
        // Whoever is refused a model is known to the provider; the test model is the gateway's choice.
        let class = if verdict.refuses_model() { OutcomeClass::ClientError } else { verdict.class };
        match (class, state) {
            (OutcomeClass::RateLimited | OutcomeClass::UpstreamFault | OutcomeClass::Abandoned, _) => return,
            // A person's word counts more than the provider's.
            (OutcomeClass::Success, KeyState::Disabled) if self.health.disabled_until.is_none() => {}
            (OutcomeClass::Success, _) => self.prove(),
            (OutcomeClass::ClientError, KeyState::Pending) => {
                self.prove();
                self.note(verdict);
                let reason = if verdict.message.is_empty() { verdict.rule } else { &verdict.message };
                let text = format!("accepted, but the test model was not: {reason}");
                self.health.last_error = Some(cut(&text, ERROR_BYTES).to_owned());
            }
            (_, KeyState::Invalid) => {
                self.note(verdict);
                raise(&mut self.health.validation_level);
                self.schedule_validation();
            }
            (OutcomeClass::ClientError, _) => {
                self.health.next_validation_at = self.health.next_validation_at.filter(|at| *at > self.now);
            }
            _ => self.failure(verdict, "", false),
        }
        self.health.last_validated_at = Some(self.now);
    }

    /// When an invalid key is validated next: doubled after each time in vain.
    pub(super) fn schedule_validation(&mut self) {
        let interval = self.limits.validation_interval;
        let level = u32::try_from(self.health.validation_level).unwrap_or(0);
        let wait = doubled((interval, LONGEST_WAIT.max(interval)), level);
        self.health.next_validation_at = Some(self.now + wait);
    }
}
