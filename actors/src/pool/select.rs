//! Which key serves next. Lock-free; its cost depends neither on the size of the pool nor on the share of dead keys:
//! those are in no ring, except for the few that went out since the last rebuild a few milliseconds ago.

use std::sync::Arc;

use gpt_load_schema::{settings::Settings, time::Timestamp};

use super::{
    NoKey, Want,
    ledger::Seat,
    search::Search,
    slot::{Rotation, Slot},
    snapshot::Snapshot,
};

/// The settings of a group that rule its choice of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SelectionRules {
    pub(crate) strategy: Strategy,
    /// Requests in flight with one key, at most; 0 = no limit.
    pub(crate) max_in_flight: u64,
    /// Requests started with one key in any minute, at most; 0 = no limit.
    pub(crate) rpm: u64,
}

impl SelectionRules {
    /// The rules in a group's effective settings.
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            strategy: Strategy::named(&settings.key_selection),
            max_in_flight: settings.key_max_concurrency,
            rpm: settings.key_rpm,
        }
    }
}

/// How a group chooses among its keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// Exact rotation over the active keys.
    #[default]
    RoundRobin,
    /// In proportion to the keys' weights.
    Weighted,
    /// The key with the fewest requests in flight.
    LeastInFlight,
    /// Any.
    Random,
    /// The same key for the same [`Want::sticky`]; requests without it take turns.
    Sticky,
}

impl Strategy {
    /// The strategy that the setting `key_selection` names; the setting allows no other words.
    fn named(word: &str) -> Self {
        match word {
            "weighted" => Self::Weighted,
            "least_in_flight" => Self::LeastInFlight,
            "random" => Self::Random,
            "sticky" => Self::Sticky,
            _ => Self::RoundRobin,
        }
    }
}

/// Under which terms keys are handed out now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) rules: SelectionRules,
    /// The provider announces its limits.
    pub(crate) announces: bool,
    /// It announces limits per model.
    pub(crate) announces_by_model: bool,
    /// Nobody will be asked: the key shall not count the request.
    pub(crate) only_looks: bool,
}

/// What a search came to.
pub(crate) struct Found<'a> {
    /// The key, occupied.
    pub(crate) key: Result<(&'a Arc<Slot>, Option<Seat>), NoKey>,
    /// Whether the rings hold keys that should have left them.
    pub(crate) wants_rebuild: bool,
}

/// Chooses a key and occupies it.
pub(crate) fn select<'a>(snapshot: &'a Snapshot, terms: &'a Terms, want: &'a Want<'a>, now: Timestamp) -> Found<'a> {
    Search::new(snapshot, terms, want, now).found()
}

/// Whether some key could be chosen.
pub(crate) fn is_usable(snapshot: &Snapshot, terms: &Terms, now: Timestamp) -> bool {
    let has_place =
        |slot: &Slot| terms.rules.max_in_flight == 0 || u64::from(slot.in_flight()) < terms.rules.max_in_flight;
    let is_here = |slot: &Slot| slot.rotation() != Rotation::Out && slot.away_until(terms, now).is_none();
    snapshot.rotating().any(|slot| is_here(slot) && has_place(slot))
}
