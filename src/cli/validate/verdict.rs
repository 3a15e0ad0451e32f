//! What a validation call proves of a key.

use gpt_load_actors::pool;
use gpt_load_schema::{log::OutcomeClass, secret::Secret};

/// What is known of a key after its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It was accepted and answered.
    Valid,
    /// The provider does not know it.
    Invalid,
    /// The call proves nothing about the key itself.
    Unknown,
}

impl Standing {
    /// Every standing, in the order of the summary.
    pub(super) const ALL: [Self; 3] = [Self::Valid, Self::Invalid, Self::Unknown];

    /// As people and programs read it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Unknown => "cannot say",
        }
    }
}

/// The outcome of one call and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// What is known of the key.
    pub(super) standing: Standing,
    /// Class of the outcome.
    pub(super) class: OutcomeClass,
    /// Why, without the key; empty for a valid one.
    pub(super) reason: String,
}

impl Verdict {
    /// Reads the classifier's verdict; `status` is that of the answer, if there was one.
    pub(super) fn from_outcome(outcome: pool::Verdict, status: Option<u16>) -> Self {
        let standing = match outcome.class {
            OutcomeClass::Success => Standing::Valid,
            OutcomeClass::KeyInvalid => Standing::Invalid,
            // A resting key, an empty account, a forbidden model, a refused question or a broken way
            // say nothing about whether the key is known.
            OutcomeClass::RateLimited
            | OutcomeClass::QuotaExhausted
            | OutcomeClass::KeyForbidden
            | OutcomeClass::ClientError
            | OutcomeClass::UpstreamFault
            | OutcomeClass::Abandoned => Standing::Unknown,
        };
        let reason = match (standing, status) {
            (Standing::Valid, _) => String::new(),
            (_, Some(status)) if outcome.message.is_empty() => format!("status {status}"),
            (_, Some(status)) => format!("status {status}: {}", outcome.message),
            (_, None) => outcome.message,
        };
        Self { standing, class: outcome.class, reason }
    }

    pub(super) fn is_valid(&self) -> bool {
        self.standing == Standing::Valid
    }
}

/// A key and what is known of it.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    /// The key.
    pub(super) key: Secret,
    /// Its verdict.
    pub(super) verdict: Verdict,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(class: OutcomeClass, message: &str) -> pool::Verdict {
        pool::Verdict { message: message.to_owned(), ..pool::Verdict::new(class, "rule") }
    }

    #[test]
    fn only_the_provider_makes_a_key_invalid() {
        for class in OutcomeClass::ALL {
            let expected = match class {
                OutcomeClass::Success => Standing::Valid,
                OutcomeClass::KeyInvalid => Standing::Invalid,
                _ => Standing::Unknown,
            };
            assert_eq!(Verdict::from_outcome(outcome(class, "text"), Some(1)).standing, expected, "{class}");
        }
    }

    #[test]
    fn reasons_name_status_and_message() {
        let reason = |class, message, status| Verdict::from_outcome(outcome(class, message), status).reason;
        assert_eq!(reason(OutcomeClass::KeyInvalid, "no such key", Some(401)), "status 401: no such key");
        assert_eq!(reason(OutcomeClass::UpstreamFault, "", Some(500)), "status 500");
        assert_eq!(reason(OutcomeClass::UpstreamFault, "h:1: refused", None), "h:1: refused");
        assert_eq!(reason(OutcomeClass::Success, "", Some(200)), "");
    }
}
