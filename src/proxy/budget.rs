//! How many retries a group may make, so that a failing provider is not met with a multiple of the usual traffic. Pure:
//! time is a parameter.

use std::time::Duration;

use parking_lot::Mutex;

/// Seconds over which requests and retries are counted.
const WINDOW: usize = 10;
/// Retries that are allowed in every second, however few the requests.
const ALWAYS_PER_SECOND: u64 = 10;

/// One group's requests and retries of the last ten seconds, shared by all workers.
#[derive(Debug, Default)]
pub struct RetryBudget(Mutex<[Second; WINDOW]>);

#[derive(Clone, Copy, Debug, Default)]
struct Second {
    number: u64,
    requests: u64,
    retries: u64,
}

impl RetryBudget {
    /// Counts a request. `now` is an offset from any fixed origin.
    pub fn request(&self, now: Duration) {
        current(&mut self.0.lock(), now).requests += 1;
    }

    /// Whether another retry may be made, which is then counted: at most `percent` of the requests, and ten in every second
    /// at least.
    pub fn retry(&self, percent: u64, now: Duration) -> bool {
        let mut seconds = self.0.lock();
        let is_always_allowed = current(&mut seconds, now).retries < ALWAYS_PER_SECOND;
        let recent = seconds.iter().filter(|second| second.number + WINDOW as u64 > now.as_secs());
        let (requests, retries) =
            recent.fold((0, 0), |(requests, retries), second| (requests + second.requests, retries + second.retries));
        let is_allowed = is_always_allowed || (retries + 1) * 100 <= requests * percent;
        if is_allowed {
            current(&mut seconds, now).retries += 1;
        }
        is_allowed
    }
}

fn current(seconds: &mut [Second; WINDOW], now: Duration) -> &mut Second {
    let number = now.as_secs();
    let slot = usize::try_from(number % WINDOW as u64).unwrap_or_default();
    let second = &mut seconds[slot];
    if second.number != number {
        *second = Second { number, ..Second::default() };
    }
    second
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(budget: &RetryBudget, percent: u64, now: Duration) -> usize {
        (0..10_000).take_while(|_| budget.retry(percent, now)).count()
    }

    #[test]
    fn ten_a_second_and_a_share_of_the_requests() {
        for (requests, percent, expected) in [(0, 50, 10), (10, 50, 10), (100, 50, 50), (100, 0, 10), (100, 200, 200)] {
            let budget = RetryBudget::default();
            (0..requests).for_each(|_| budget.request(Duration::from_secs(7)));
            assert_eq!(allowed(&budget, percent, Duration::from_secs(7)), expected, "{requests} {percent}");
        }
    }

    #[test]
    fn what_is_older_than_ten_seconds_counts_no_more() {
        let budget = RetryBudget::default();
        let at = Duration::from_secs;
        (0..100).for_each(|_| budget.request(at(100)));
        assert_eq!(allowed(&budget, 50, at(105)), 50);
        assert_eq!(allowed(&budget, 50, at(109)), 10, "the share is used up, ten a second are not");
        assert_eq!(allowed(&budget, 50, at(110)), 10, "the requests are forgotten");
        (0..100).for_each(|_| budget.request(at(119)));
        assert_eq!(allowed(&budget, 50, at(130)), 10);
    }
}
