//! What an event makes of a key: the state machine, pure and total.

#[cfg(test)]
mod tests;

use std::time::Duration;

use gpt_load_schema::{
    key::{KeyHealth, KeyState},
    log::OutcomeClass,
    settings::Settings,
    time::Timestamp,
};

use super::Verdict;

/// Failures that turn a pending key invalid.
const PENDING_FAILURES: i32 = 3;
/// Pause of a pending key after its first failure; doubled after each further one.
const PENDING_PAUSE: Duration = Duration::from_secs(60);
/// First cooldown when the provider names no time, and its limit.
const COOLDOWN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// First time out for a used-up quota when the provider names no reset, and its limit.
const QUOTA: (Duration, Duration) = (Duration::from_secs(30 * 60), Duration::from_secs(24 * 60 * 60));
/// A provider that names a quota reset further away is not believed: billing periods last a month at most.
const QUOTA_RESET_MAX: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// The settings of a group that rule its keys' states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Counted failures in a row that disable a key; 0 = never.
    pub blacklist_threshold: u64,
    /// First backoff of a disabled key.
    pub backoff_initial: Duration,
    /// Longest backoff of a disabled key.
    pub backoff_max: Duration,
    /// Longest cooldown, whatever the provider says.
    pub cooldown_max: Duration,
    /// Wait before an invalid key is validated again; doubled after each time in vain.
    pub validation_interval: Duration,
    /// When many keys that fail together are not to blame; `None` = never.
    pub guard: Option<GuardLimits>,
}

/// How many keys must fail together before their failures are nobody's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardLimits {
    /// At least so many keys.
    pub min_keys: u64,
    /// At least this percentage of the selectable keys.
    pub percent: u64,
}

impl Limits {
    /// The limits in a group's effective settings.
    pub fn of(settings: &Settings) -> Self {
        Self {
            blacklist_threshold: settings.blacklist_threshold,
            backoff_initial: Duration::from_secs(settings.backoff_initial_seconds),
            backoff_max: Duration::from_secs(settings.backoff_max_seconds),
            cooldown_max: Duration::from_secs(settings.cooldown_max_seconds),
            validation_interval: Duration::from_secs(settings.key_validation_interval_minutes.saturating_mul(60)),
            guard: settings.pool_guard.then_some(GuardLimits {
                min_keys: settings.pool_guard_min_keys,
                percent: settings.pool_guard_percent,
            }),
        }
    }
}

/// All that the state machine knows of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What is stored.
    pub health: KeyHealth,
}

impl Standing {
    /// The standing of a key as it was stored.
    pub const fn stored(health: KeyHealth) -> Self {
        Self { health }
    }

    /// Whether a success would change nothing: an active key with no failure to forgive.
    pub fn is_clean(&self) -> bool {
        let health = &self.health;
        health.state == KeyState::Active
            && health.consecutive_failures == 0
            && health.backoff_level == 0
            && health.resting_until.is_none()
            && health.cooldown_level == 0
    }
}

/// Something that happens to a key.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// An attempt with the key ended.
    Outcome {
        /// The key's generation when it was checked out.
        generation: i64,
        /// How it ended.
        verdict: &'a Verdict,
    },
    /// The clock reached the end of the backoff.
    BackoffOver,
    /// A person makes the key active again.
    Restore,
    /// A person takes the key out until it is enabled.
    Disable,
    /// A person puts a disabled key back.
    Enable,
}

/// What an event made of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The key from now on.
    pub standing: Standing,
    /// Counted failures to add.
    pub failures: i64,
    /// Whether the stored failure count starts again at zero.
    pub reset_failures: bool,
}

/// The state machine of a key.
///
/// ```text
///            success                    failures ≥ threshold,
///   pending ─────────▶ active ──────────── quota used up ─────────▶ disabled
///      │                │  ▲                       ▲                 │   ▲
///      │        failure │  │ success               │ failures ≥ n,   │   │ disable
///      │                ▼  │                       │ quota           │  any
///      │               degraded ───────────────────┘                 │
///      │                │  ▲──────────── backoff over, enable ───────┘
///      │ third failure  │ key invalid (also from active, disabled)
///      └──────────────▶ invalid ── restore (also from any) ──▶ active
/// ```
///
/// | class of the outcome | pending | active, degraded | disabled | invalid |
/// | --- | --- | --- | --- | --- |
/// | success | active | active, failures and levels → 0 | failures and levels → 0 | – |
/// | rate limited | rests | rests | rests | – |
/// | quota exhausted | failure, pauses | disabled until the reset, else 30 min doubling to 24 h | a later known reset counts | – |
/// | key invalid | failure, pauses; third → invalid | invalid | invalid | – |
/// | key forbidden | failure, pauses; third → invalid | counted; degraded, at the threshold disabled | counted | – |
/// | upstream fault, client error, abandoned | – | – | – | – |
///
/// Rest is orthogonal: a resting key keeps its state. Several requests that were in flight when a key went out or to
/// rest tell the same thing, so they lengthen neither the backoff nor the cooldown. An outcome of an earlier generation
/// changes nothing. A success of a clean key changes nothing either: that it was used is what the request log says.
pub fn accept(before: &Standing, event: &Event<'_>, limits: &Limits, now: Timestamp) -> Transition {
    let mut after = Transition { standing: before.clone(), failures: 0, reset_failures: false };
    match *event {
        Event::Outcome { generation, verdict } => {
            if generation == before.health.generation {
                after.outcome(verdict, limits, now);
            }
        }
        Event::BackoffOver => {
            let health = &mut after.standing.health;
            if health.state == KeyState::Disabled && health.disabled_until.is_some_and(|until| until <= now) {
                health.state = KeyState::Degraded;
                health.disabled_until = None;
            }
        }
        Event::Restore => {
            let generation = before.health.generation.saturating_add(1);
            after.standing = Standing::stored(KeyHealth {
                generation,
                last_success_at: before.health.last_success_at,
                last_validated_at: before.health.last_validated_at,
                ..KeyHealth::new(KeyState::Active)
            });
            after.reset_failures = true;
        }
        Event::Disable => {
            after.standing.health.state = KeyState::Disabled;
            after.standing.health.disabled_until = None;
        }
        Event::Enable => {
            let health = &mut after.standing.health;
            if health.state == KeyState::Disabled {
                health.state = KeyState::Degraded;
                health.disabled_until = None;
            }
        }
    }
    after
}

impl Transition {
    fn outcome(&mut self, verdict: &Verdict, limits: &Limits, now: Timestamp) {
        if self.standing.health.state == KeyState::Invalid {
            return;
        }
        match verdict.class {
            OutcomeClass::Success => self.success(now),
            OutcomeClass::RateLimited => self.rate_limited(verdict, limits, now),
            OutcomeClass::QuotaExhausted => self.quota_exhausted(verdict, now),
            OutcomeClass::KeyInvalid => self.key_invalid(verdict, now),
            OutcomeClass::KeyForbidden => self.key_forbidden(verdict, limits, now),
            OutcomeClass::UpstreamFault | OutcomeClass::ClientError | OutcomeClass::Abandoned => {}
        }
    }

    fn success(&mut self, now: Timestamp) {
        if self.standing.is_clean() {
            return;
        }
        let health = &mut self.standing.health;
        health.cooldown_level = 0;
        health.consecutive_failures = 0;
        health.backoff_level = 0;
        health.resting_until = health.resting_until.filter(|until| *until > now);
        health.last_success_at = Some(now);
        if health.state != KeyState::Disabled {
            health.state = KeyState::Active;
        }
    }

    fn rate_limited(&mut self, verdict: &Verdict, limits: &Limits, now: Timestamp) {
        self.note(verdict);
        let resting = self.standing.health.resting_until.is_some_and(|until| until > now);
        let rest = match verdict.retry_after.filter(|wait| !wait.is_zero()) {
            Some(stated) => stated,
            None if resting => return,
            None => {
                let level = &mut self.standing.health.cooldown_level;
                let rest = doubled(COOLDOWN, u32::try_from(*level).unwrap_or(0));
                *level = level.saturating_add(1);
                rest
            }
        };
        self.rest_until(now + rest.min(limits.cooldown_max));
    }

    fn quota_exhausted(&mut self, verdict: &Verdict, now: Timestamp) {
        self.note(verdict);
        let reset = verdict.retry_after.filter(|wait| !wait.is_zero()).map(|wait| now + wait.min(QUOTA_RESET_MAX));
        match self.standing.health.state {
            KeyState::Pending => {
                self.pending_failure(now);
                if let Some(reset) = reset.filter(|_| self.standing.health.state == KeyState::Pending) {
                    self.rest_until(reset);
                }
            }
            KeyState::Disabled => {
                let health = &mut self.standing.health;
                health.disabled_until =
                    health.disabled_until.map(|until| reset.map_or(until, |reset| until.max(reset)));
            }
            _ => self.disable_until(now, |level| reset.unwrap_or(now + doubled(QUOTA, level))),
        }
    }

    fn key_invalid(&mut self, verdict: &Verdict, now: Timestamp) {
        self.note(verdict);
        self.failures = 1;
        if self.standing.health.state == KeyState::Pending {
            return self.pending_failure(now);
        }
        self.count(now);
        self.invalidate();
    }

    fn key_forbidden(&mut self, verdict: &Verdict, limits: &Limits, now: Timestamp) {
        self.note(verdict);
        self.failures = 1;
        match self.standing.health.state {
            KeyState::Pending => self.pending_failure(now),
            KeyState::Disabled => self.count(now),
            _ => {
                self.count(now);
                let failures = u64::try_from(self.standing.health.consecutive_failures).unwrap_or(0);
                if limits.blacklist_threshold > 0 && failures >= limits.blacklist_threshold {
                    let backoff = (limits.backoff_initial, limits.backoff_max);
                    self.disable_until(now, |level| now + doubled(backoff, level));
                } else {
                    self.standing.health.state = KeyState::Degraded;
                }
            }
        }
    }

    /// A failure of a key that has never been proved: a pause, and at the third the end.
    fn pending_failure(&mut self, now: Timestamp) {
        self.count(now);
        let failures = self.standing.health.consecutive_failures;
        if failures >= PENDING_FAILURES {
            self.invalidate();
        } else {
            let level = u32::try_from(failures - 1).unwrap_or(0);
            self.rest_until(now + doubled((PENDING_PAUSE, Duration::MAX), level));
        }
    }

    fn count(&mut self, now: Timestamp) {
        let health = &mut self.standing.health;
        health.consecutive_failures = health.consecutive_failures.max(0).saturating_add(1);
        health.last_failure_at = Some(now);
    }

    fn invalidate(&mut self) {
        let health = &mut self.standing.health;
        health.state = KeyState::Invalid;
        health.disabled_until = None;
        health.resting_until = None;
    }

    /// Takes the key out until what `until` says for the current backoff level, and raises the level.
    fn disable_until(&mut self, now: Timestamp, until: impl FnOnce(u32) -> Timestamp) {
        let health = &mut self.standing.health;
        let level = health.backoff_level.max(0);
        health.state = KeyState::Disabled;
        health.disabled_until = Some(until(u32::try_from(level).unwrap_or(0)));
        health.backoff_level = level.saturating_add(1);
        health.last_failure_at = Some(now);
    }

    fn rest_until(&mut self, until: Timestamp) {
        let health = &mut self.standing.health;
        health.resting_until = Some(health.resting_until.map_or(until, |known| known.max(until)));
    }

    fn note(&mut self, verdict: &Verdict) {
        let health = &mut self.standing.health;
        health.last_class = Some(verdict.class.as_str().to_owned());
        health.last_rule = Some(verdict.decided_by().to_owned());
        health.last_error = Some(verdict.message.clone()).filter(|message| !message.is_empty());
    }
}

/// `first` doubled `times` times, at most `max`.
fn doubled((first, max): (Duration, Duration), times: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times)).min(max)
}
