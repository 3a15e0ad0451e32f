//! Failures of one class at one upstream since the last success there.

use std::sync::Arc;

use gpt_load_schema::{log::OutcomeClass, time::Timestamp};

use super::{
    super::{Suspect, TrippedGuard},
    Cause,
};

/// Beginnings of words that a provider uses when it speaks of the account and not of the key.
const ACCOUNT: [&str; 4] = ["account", "organization", "organisation", "billing"];

/// An episode.
pub(super) struct Episode {
    pub(super) class: OutcomeClass,
    pub(super) upstream: Arc<str>,
    since: Timestamp,
    /// Number of its first failure among all failures.
    pub(super) number: u64,
    /// Keys that failed.
    pub(super) failed: u64,
    /// Keys of these that the failures take out, or would if they were not held back.
    pub(super) out: u64,
    pub(super) is_tripped: bool,
    message: Arc<str>,
}

impl Episode {
    pub(super) fn begin(cause: &Cause<'_>, now: Timestamp) -> Self {
        Self {
            class: cause.class,
            upstream: cause.upstream.clone(),
            since: now,
            number: cause.number,
            failed: 0,
            out: 0,
            is_tripped: false,
            message: cause.message.into(),
        }
    }

    /// Remembers what the provider said last.
    pub(super) fn note(&mut self, message: &str) {
        if *self.message != *message {
            self.message = message.into();
        }
    }

    pub(super) fn report(&self) -> TrippedGuard {
        TrippedGuard {
            class: self.class,
            upstream: self.upstream.clone(),
            suspect: suspect(self.class, &self.message),
            since: self.since,
            failed: usize::try_from(self.failed).unwrap_or(usize::MAX),
            held: usize::try_from(self.out).unwrap_or(usize::MAX),
            message: self.message.to_string(),
        }
    }
}

/// Who is probably to blame.
///
/// A provider that refuses every key as *unknown* is itself broken or misconfigured (the wrong base URL), unless it says
/// that it is the account behind the keys. One that knows the keys but *forbids* them objects to where the requests come
/// from: blocked addresses and countries are what makes every key of a pool fail so. Faults are the upstream's.
fn suspect(class: OutcomeClass, message: &str) -> Suspect {
    match class {
        OutcomeClass::KeyForbidden => Suspect::Egress,
        OutcomeClass::KeyInvalid if speaks_of_the_account(message) => Suspect::Account,
        _ => Suspect::Upstream,
    }
}

/// Links do not count: providers like to say where in the account keys are found.
fn speaks_of_the_account(message: &str) -> bool {
    let words = message
        .split_whitespace()
        .filter(|word| !word.contains('/'))
        .flat_map(|word| word.split(|char: char| !char.is_alphabetic()).map(str::to_ascii_lowercase));
    words.into_iter().any(|word| ACCOUNT.iter().any(|start| word.starts_with(start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suspect_follows_from_the_class_and_from_what_the_provider_says() {
        use OutcomeClass::{KeyForbidden, KeyInvalid, UpstreamFault};
        let rows = [
            (KeyForbidden, "Country, region, or territory not supported", Suspect::Egress),
            (KeyForbidden, "Your account may not do this", Suspect::Egress),
            (KeyInvalid, "", Suspect::Upstream),
            (
                KeyInvalid,
                "Incorrect API key. Find yours at https://platform.openai.com/account/api-keys.",
                Suspect::Upstream,
            ),
            (KeyInvalid, "This organization has been disabled.", Suspect::Account),
            (KeyInvalid, "The OpenAI account associated with this API key was deactivated", Suspect::Account),
            (KeyInvalid, "Billing: not active", Suspect::Account),
            (UpstreamFault, "the account service is down", Suspect::Upstream),
        ];
        for (class, message, expected) in rows {
            assert_eq!(suspect(class, message), expected, "{class} {message}");
        }
    }
}
