//! Whether, and after what pause, a failed attempt is followed by another. Pure.

use std::{sync::LazyLock, time::Duration};

use gpt_load_schema::{log::OutcomeClass, validate::StatusSet};

/// Shortest pause before the same upstream is asked again.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What the setting `failover_status_codes` names where nobody changed it.
static DEFAULT_SET: LazyLock<StatusSet> = LazyLock::new(|| StatusSet::from_stored(StatusSet::DEFAULT_TEXT));

/// What may follow a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Stop,
    /// Another attempt, within the group's retry budget.
    Retry,
    /// [`Next::Retry`] after a pause that a policy asks for.
    RetryAfter(Duration),
    /// Another attempt in any case: the provider never saw this one.
    AlwaysRetry,
}

impl Next {
    /// [`Next::Retry`] when `is_retried`.
    pub const fn retry_if(is_retried: bool) -> Self {
        if is_retried { Self::Retry } else { Self::Stop }
    }
}

/// Whether an answer with `status` and `class` is followed by another attempt.
///
/// The class decides for statuses that the default set leaves out (a 400 that means an unknown key); for all others the
/// group's set does, so that it can widen and narrow what is retried.
pub fn follows_answer(class: OutcomeClass, status: u16, failover: &StatusSet) -> bool {
    match class {
        OutcomeClass::Success | OutcomeClass::Abandoned => false,
        _ if failover.contains(status) => true,
        _ => follows_class(class) && !DEFAULT_SET.contains(status),
    }
}

/// Whether an error of `class` inside a 200 answer is followed by another attempt.
pub const fn follows_class(class: OutcomeClass) -> bool {
    match class {
        OutcomeClass::QuotaExhausted
        | OutcomeClass::RateLimited
        | OutcomeClass::KeyInvalid
        | OutcomeClass::KeyForbidden
        | OutcomeClass::UpstreamFault => true,
        OutcomeClass::Success | OutcomeClass::Abandoned | OutcomeClass::ClientError => false,
    }
}

/// The pause before the same upstream is asked again after its `faults`-th fault in a row (from 1): 50 ms doubling to 1 s,
/// of which `jitter` (0..1) takes away up to a half.
pub fn pause(faults: u32, jitter: f64) -> Duration {
    let full = FIRST_PAUSE.saturating_mul(1 << faults.saturating_sub(1).min(10)).min(LONGEST_PAUSE);
    full.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_widens_and_narrows_and_the_class_fills_the_gaps() {
        use OutcomeClass::{ClientError, KeyInvalid, RateLimited, Success, UpstreamFault};
        let default = *DEFAULT_SET;
        let narrow: StatusSet = "500-599".parse().unwrap();
        let wide: StatusSet = "400-599".parse().unwrap();
        let nothing: StatusSet = "".parse().unwrap();
        for (class, status, set, expected) in [
            (KeyInvalid, 401, &default, true),
            (KeyInvalid, 400, &default, true),
            (ClientError, 400, &default, false),
            (ClientError, 400, &wide, true),
            (RateLimited, 429, &narrow, false),
            (UpstreamFault, 503, &narrow, true),
            (UpstreamFault, 503, &nothing, false),
            (Success, 200, &wide, false),
        ] {
            assert_eq!(follows_answer(class, status, set), expected, "{class} {status}");
        }
    }

    #[test]
    fn pauses_double_up_to_a_second() {
        let full: Vec<u128> = (1..=7).map(|faults| pause(faults, 0.0).as_millis()).collect();
        assert_eq!(full, [50, 100, 200, 400, 800, 1000, 1000]);
        assert_eq!(pause(1, 1.0).as_millis(), 25);
        assert_eq!(pause(u32::MAX, 0.0), LONGEST_PAUSE);
    }
}
