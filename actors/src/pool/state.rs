//! What an event makes of a key: the state machine, pure and total.

mod models;
mod step;
#[cfg(test)]
mod tests;
mod validation;

use std::time::Duration;

use gpt_load_schema::{
    key::{KeyHealth, KeyState},
    settings::Settings,
    time::Timestamp,
};

pub(super) use self::models::says_something;
use self::step::Step;
use super::Verdict;

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
    /// Wait before an invalid key is validated again; doubled after each time in vain, up to a day.
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

impl GuardLimits {
    /// Whether `failed` keys out of `selectable` are too many to be to blame.
    pub fn are_met(&self, failed: u64, selectable: u64) -> bool {
        failed >= self.min_keys && failed.saturating_mul(100) >= selectable.saturating_mul(self.percent)
    }
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

    /// Whether so many counted failures in a row take a key, or a model of it, out.
    fn is_threshold(&self, failures: i32) -> bool {
        self.blacklist_threshold > 0 && u64::try_from(failures).unwrap_or(0) >= self.blacklist_threshold
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

    /// Whether a success would change nothing, whatever the model: an active key with no failure to forgive.
    pub fn is_clean(&self) -> bool {
        self.is_clean_but_for_models() && self.health.models.is_empty()
    }

    /// Whether a success would change nothing unless it is one with a model that the key has had trouble with.
    pub fn is_clean_but_for_models(&self) -> bool {
        is_untroubled(&self.health)
    }
}

/// Whether there is nothing to forgive, models apart.
fn is_untroubled(health: &KeyHealth) -> bool {
    health.state == KeyState::Active
        && health.consecutive_failures == 0
        && health.backoff_level == 0
        && health.resting_until.is_none()
        && health.cooldown_level == 0
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
        /// The model that was asked for; empty when there was none.
        model: &'a str,
        /// Whether an upstream fault is the key's own, since others succeed where it fails again and again.
        key_specific: bool,
    },
    /// A validation of the key ended.
    Validated {
        /// The key's generation when the validation began.
        generation: i64,
        /// How it ended.
        verdict: &'a Verdict,
    },
    /// The clock reached the end of the backoff.
    BackoffOver,
    /// Another key of the same account met a limit of the account.
    Rest {
        /// End of the cooldown.
        until: Timestamp,
        /// The model that the limit is for; `None` = all.
        model: Option<&'a str>,
    },
    /// A person makes the key active again.
    Restore,
    /// A person takes the key out until it is enabled.
    Disable,
    /// A person puts a disabled key back.
    Enable,
    /// A person takes the key out until it is restored or a validation succeeds.
    Invalidate,
}

/// What an event made of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The key from now on.
    pub standing: Standing,
    /// Counted failures to add; negative when some are taken back.
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
///      └──────────────▶ invalid ── restore (also from any), validated ──▶ active
/// ```
///
/// | class of the outcome | pending | active, degraded | disabled | invalid |
/// | --- | --- | --- | --- | --- |
/// | success | active | active, failures and levels → 0 | failures and levels → 0 | – |
/// | rate limited | rests | rests | rests | – |
/// | quota exhausted | failure, pauses | disabled until the reset, else 30 min doubling to 24 h | a later known reset counts | – |
/// | key invalid | failure, pauses; third → invalid | invalid | invalid | – |
/// | key forbidden, fault of the key's own | failure, pauses; third → invalid | counted; degraded, at the threshold disabled | counted | – |
/// | other upstream fault, client error, abandoned | – | – | – | – |
///
/// What a policy decides ([`super::Consequence`]) takes the place of the row of a failure's class; it speaks of the key
/// as a whole. Otherwise, where the provider speaks of one model ([`super::Reach`]), *rate limited* sends the key to
/// rest for that model, and *key forbidden* counts against it for that model: at the threshold the key is out for the
/// model, with a backoff, while it keeps its state. A success with the model forgives that.
///
/// A validation does the same, except: a success also brings invalid keys back, and disabled ones that no person
/// disabled; a client error, or a refusal of the test model, means that a pending key was accepted; rate limits
/// and upstream faults prove nothing.
///
/// Rest is orthogonal: a resting key keeps its state. Several requests that were in flight when a key went out or to
/// rest tell the same thing, so they lengthen neither the backoff nor the cooldown. An outcome of an earlier generation
/// changes nothing. A success of a clean key changes nothing either: that it was used is what the request log says.
pub fn accept(before: &Standing, event: &Event<'_>, limits: &Limits, now: Timestamp) -> Transition {
    let mut step = Step::from(before, limits, now);
    let is_current = |generation| generation == before.health.generation;
    match *event {
        Event::Outcome { generation, verdict, model, key_specific } if is_current(generation) => {
            step.outcome(verdict, model, key_specific);
        }
        Event::Validated { generation, verdict } if is_current(generation) => step.validated(verdict),
        Event::Outcome { .. } | Event::Validated { .. } => {}
        Event::BackoffOver => step.backoff_over(),
        Event::Rest { until, model } => step.told_to_rest(until, model),
        Event::Restore => step.restore(),
        Event::Disable => step.disable(),
        Event::Enable => step.enable(),
        Event::Invalidate => step.invalidated_by_hand(),
    }
    step.end()
}
