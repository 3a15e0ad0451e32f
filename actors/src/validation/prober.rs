//! Asking a provider about a key: the seam between the runs and the node's outbound calls.

use std::sync::Arc;

use async_trait::async_trait;
use gpt_load_schema::log::OutcomeClass;

use crate::{
    pool::{Candidate, Verdict},
    runtime::GroupRoute,
};

/// What one call said of a key.
#[derive(Clone, Debug)]
pub struct Finding {
    /// How the call ended; its text holds no key.
    pub verdict: Verdict,
    /// Base URL of the upstream asked; empty when none was.
    pub upstream: Arc<str>,
    /// The model asked for.
    pub model: Arc<str>,
    /// HTTP status of the answer; `None` when there was none.
    pub status: Option<u16>,
}

/// Makes the cheap, real call that proves a key. Given by the node, so that this crate knows nothing of HTTP.
#[async_trait]
pub trait Prober: Send + Sync + 'static {
    /// Asks an upstream of the group about the key, within the group's `key_validation_timeout_seconds`. Dropping the
    /// future ends the call.
    async fn probe(&self, group: &GroupRoute, key: &Candidate) -> Finding;
}

/// What a finding proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The provider took the key, whatever it thought of the question.
    Accepted,
    /// The provider refused the key.
    Refused,
    /// Nothing about the key.
    Nothing,
}

impl Proof {
    /// What an outcome proves. Whoever is refused the test model is known to the provider.
    pub fn of(verdict: &Verdict) -> Self {
        match verdict.class {
            OutcomeClass::KeyForbidden if verdict.refuses_model() => Self::Accepted,
            OutcomeClass::Success | OutcomeClass::ClientError => Self::Accepted,
            OutcomeClass::KeyInvalid | OutcomeClass::KeyForbidden | OutcomeClass::QuotaExhausted => Self::Refused,
            OutcomeClass::RateLimited | OutcomeClass::UpstreamFault | OutcomeClass::Abandoned => Self::Nothing,
        }
    }
}

/// What a run found, exactly: every key of it is in one of the three counts or was not proved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Keys that matched at the start.
    pub total: u64,
    /// Keys that the provider took.
    pub successful: u64,
    /// Keys that the provider refused.
    pub failed: u64,
}

impl Tally {
    /// Before the first of `total` keys.
    pub(crate) fn of(total: usize) -> Self {
        Self { total: u64::try_from(total).unwrap_or(u64::MAX), ..Self::default() }
    }

    /// Takes one key into account.
    pub(crate) fn note(&mut self, proof: Proof) {
        match proof {
            Proof::Accepted => self.successful += 1,
            Proof::Refused => self.failed += 1,
            Proof::Nothing => {}
        }
    }

    /// Keys of which something was proved.
    pub const fn validated(&self) -> u64 {
        self.successful + self.failed
    }

    /// Keys of which nothing was proved: rate limits and faults of the upstream, keys deleted or restored meanwhile, and
    /// keys whose turn did not come.
    pub const fn skipped(&self) -> u64 {
        self.total.saturating_sub(self.validated())
    }

    /// The same as the result of a task.
    pub(crate) fn result(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("total_keys", self.total),
            ("valid_keys", self.successful),
            ("invalid_keys", self.failed),
            ("validated_keys", self.validated()),
            ("skipped_keys", self.skipped()),
        ]
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.total += other.total;
        self.successful += other.successful;
        self.failed += other.failed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_counted_once() {
        let mut tally = Tally::of(OutcomeClass::ALL.len() + 2);
        OutcomeClass::ALL.into_iter().for_each(|class| tally.note(Proof::of(&Verdict::new(class, "test"))));
        assert_eq!((tally.successful, tally.failed, tally.validated(), tally.skipped()), (2, 3, 5, 5));
        assert_eq!(tally.total, tally.validated() + tally.skipped());
    }
}
