//! Requests that each key may make in a span of time, announced as OpenAI announces them.
//!
//! Sources: platform.openai.com/docs/guides/rate-limits (`x-ratelimit-*-requests`), openai-python for `retry-after-ms`.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::behaviour::Behaviour;

/// A limit that counts for each key by itself. A key's window begins with its first request and is whole again `window_ms`
/// later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Budget {
    /// Requests in a window.
    pub limit: u64,
    /// Length of a window in milliseconds.
    pub window_ms: u64,
    /// Say nothing of the limit, neither ahead nor when it is used up.
    #[serde(default)]
    pub silent: bool,
}

/// What one key has asked for since the budget was set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// Requests that were answered.
    pub served: u64,
    /// Requests that were refused with 429.
    pub refused: u64,
}

/// The budget in force and what was spent of it.
#[derive(Debug, Default)]
pub(crate) struct Budgets {
    /// Spares the lock where there is no budget.
    any: AtomicBool,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    budget: Option<Budget>,
    keys: HashMap<String, Account>,
}

#[derive(Debug)]
struct Account {
    begun: Instant,
    spent: u64,
    asked: Asked,
}

/// What a request found.
#[derive(Debug, PartialEq, Eq)]
struct Spent {
    refused: bool,
    left: u64,
    reset: Duration,
}

impl Budgets {
    /// Puts a budget, or none, into force; nothing is spent of it yet.
    pub(crate) fn set(&self, budget: Option<Budget>) {
        *self.book.lock() = Book { budget, keys: HashMap::new() };
        self.any.store(budget.is_some(), Ordering::Release);
    }

    /// What each key has asked for.
    pub(crate) fn asked(&self) -> BTreeMap<String, Asked> {
        self.book.lock().keys.iter().map(|(key, account)| (key.clone(), account.asked)).collect()
    }

    /// Takes a request that would be answered as `how` says out of its key's budget; answers how it is answered, and
    /// whether there was a budget, which then tells all there is to tell of limits.
    pub(crate) fn spend(&self, key: Option<&str>, how: Behaviour, now: Instant) -> (Behaviour, bool) {
        let is_answered = how.status.is_none_or(|status| status < 400);
        let Some(key) = key.filter(|_| is_answered && self.any.load(Ordering::Acquire)) else { return (how, false) };
        let mut book = self.book.lock();
        let Some(budget) = book.budget else { return (how, false) };
        let spent = book.spend(key, budget, now);
        drop(book);
        let how = if spent.refused { refusal() } else { how };
        (if budget.silent { how } else { announce(how, budget, &spent) }, true)
    }
}

impl Book {
    fn spend(&mut self, key: &str, budget: Budget, now: Instant) -> Spent {
        let window = Duration::from_millis(budget.window_ms);
        let fresh = || Account { begun: now, spent: 0, asked: Asked::default() };
        let account = self.keys.entry(key.to_owned()).or_insert_with(fresh);
        if now.duration_since(account.begun) >= window {
            (account.begun, account.spent) = (now, 0);
        }
        let refused = account.spent >= budget.limit;
        if refused {
            account.asked.refused += 1;
        } else {
            account.spent += 1;
            account.asked.served += 1;
        }
        let reset = (account.begun + window).duration_since(now);
        Spent { refused, left: budget.limit - account.spent, reset }
    }
}

fn refusal() -> Behaviour {
    Behaviour { code: Some("rate_limit_exceeded".to_owned()), ..Behaviour::status(429) }
}

/// Whoever waits as long as it is told must not come too early, so parts of a millisecond count as one.
fn announce(how: Behaviour, budget: Budget, spent: &Spent) -> Behaviour {
    let millis = spent.reset.as_micros().div_ceil(1000);
    let how = how
        .header("x-ratelimit-limit-requests", &budget.limit.to_string())
        .header("x-ratelimit-remaining-requests", &spent.left.to_string())
        .header("x-ratelimit-reset-requests", &format!("{millis}ms"));
    if !spent.refused {
        return how;
    }
    let how = how.header("retry-after-ms", &millis.to_string());
    Behaviour { retry_after: Some(millis.div_ceil(1000).to_string()), ..how }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Budget = Budget { limit: 2, window_ms: 1000, silent: false };

    fn header<'a>(how: &'a Behaviour, name: &str) -> Option<&'a str> {
        how.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn a_key_is_refused_when_its_budget_is_spent_and_served_when_it_is_whole() {
        let (budgets, begin) = (Budgets::default(), Instant::now());
        let at = |millis| begin + Duration::from_millis(millis);
        budgets.set(Some(BUDGET));
        let ask = |key, now| {
            let (how, _) = budgets.spend(Some(key), Behaviour::ok(), now);
            let told = |name| header(&how, name).unwrap_or_default().to_owned();
            (how.status, told("x-ratelimit-remaining-requests"), told("x-ratelimit-reset-requests"))
        };
        let text = |left: &str, reset: &str| (left.to_owned(), reset.to_owned());
        let told = |status, (left, reset)| (status, left, reset);
        assert_eq!(ask("a", at(0)), told(None, text("1", "1000ms")));
        assert_eq!(ask("a", at(400)), told(None, text("0", "600ms")));
        assert_eq!(ask("a", at(999)), told(Some(429), text("0", "1ms")));
        assert_eq!(ask("b", at(999)), told(None, text("1", "1000ms")));
        assert_eq!(ask("a", at(1000)), told(None, text("1", "1000ms")));
        let asked = budgets.asked();
        assert_eq!(asked["a"], Asked { served: 3, refused: 1 });
        assert_eq!(asked["b"], Asked { served: 1, refused: 0 });
    }

    #[test]
    fn a_refusal_says_when_to_come_back_unless_it_is_silent() {
        let (budgets, now) = (Budgets::default(), Instant::now());
        budgets.set(Some(Budget { limit: 0, ..BUDGET }));
        let (refused, _) = budgets.spend(Some("a"), Behaviour::ok(), now);
        assert_eq!((refused.retry_after.as_deref(), header(&refused, "retry-after-ms")), (Some("1"), Some("1000")));
        budgets.set(Some(Budget { limit: 0, silent: true, ..BUDGET }));
        let (refused, _) = budgets.spend(Some("a"), Behaviour::ok(), now);
        assert_eq!((refused.status, refused.retry_after, refused.headers), (Some(429), None, Vec::new()));
    }

    #[test]
    fn what_fails_anyway_or_has_no_key_costs_nothing() {
        let (budgets, now) = (Budgets::default(), Instant::now());
        budgets.set(Some(Budget { limit: 0, ..BUDGET }));
        assert_eq!(budgets.spend(Some("a"), Behaviour::status(500), now), (Behaviour::status(500), false));
        assert_eq!(budgets.spend(None, Behaviour::ok(), now), (Behaviour::ok(), false));
        budgets.set(None);
        assert_eq!(budgets.spend(Some("a"), Behaviour::ok(), now), (Behaviour::ok(), false));
        assert!(budgets.asked().is_empty());
    }
}
