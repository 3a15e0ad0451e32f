//! How many failed authentications the audit log takes: an attacker must not fill the disk with them.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Rows in a row, at most.
const BURST: u32 = 60;
/// How long it takes until one more row is allowed: 1,440 a day.
const REFILL: Duration = Duration::from_secs(60);

/// Lets some failures into the audit log and counts the others.
#[derive(Debug)]
pub(super) struct FailureNotes(Mutex<Allowance>);

#[derive(Debug)]
struct Allowance {
    left: u32,
    refilled_at: Option<Instant>,
    untold: u64,
}

impl Default for FailureNotes {
    fn default() -> Self {
        Self(Mutex::new(Allowance { left: BURST, refilled_at: None, untold: 0 }))
    }
}

impl FailureNotes {
    /// Whether a failure gets a row; answers how many got none since the last row.
    pub(super) fn admit(&self, now: Instant) -> Option<u64> {
        let mut allowance = self.0.lock();
        let since = *allowance.refilled_at.get_or_insert(now);
        let elapsed = now.saturating_duration_since(since);
        let refills = u32::try_from(elapsed.as_secs() / REFILL.as_secs()).unwrap_or(u32::MAX);
        if refills > 0 {
            allowance.left = allowance.left.saturating_add(refills).min(BURST);
            allowance.refilled_at = Some(since + REFILL * refills);
        }
        if allowance.left == 0 {
            allowance.untold = allowance.untold.saturating_add(1);
            return None;
        }
        allowance.left -= 1;
        Some(std::mem::take(&mut allowance.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_burst_a_row_a_minute_tells_of_all_others() {
        let (notes, start) = (FailureNotes::default(), Instant::now());
        let told = (0..1_000).filter(|_| notes.admit(start).is_some()).count();
        assert_eq!(told, BURST as usize);
        assert_eq!(notes.admit(start + Duration::from_secs(59)), None);
        assert_eq!(notes.admit(start + REFILL), Some(941));
        assert_eq!(notes.admit(start + REFILL), None);
        assert_eq!(notes.admit(start + REFILL * 3), Some(1));
        assert_eq!(notes.admit(start + REFILL * 3), Some(0));
        assert_eq!(notes.admit(start + REFILL * 3), None);
        let after_a_day = (0..1_000).filter(|_| notes.admit(start + REFILL * 1440).is_some()).count();
        assert_eq!(after_a_day, BURST as usize, "pauses are not saved up");
    }
}
