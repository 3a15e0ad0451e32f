//! Which key serves next. Lock-free; its cost depends neither on the size of the pool nor on the share of dead keys:
//! those are in no ring, except for the few that went out since the last rebuild a few milliseconds ago.

use std::sync::Arc;

use gpt_load_schema::{ids::KeyId, settings::Settings, time::Timestamp};

use super::{
    NoKey, Want,
    slot::{Rotation, Slot},
    snapshot::{Ring, Snapshot},
};

/// Turns of the probation ring that are tried for an idle key. A ring with more keys than this has, among so many,
/// nearly always one.
const PROBATION_LOOK: usize = 64;

/// The settings of a group that rule its choice of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SelectionRules {
    pub(crate) strategy: Strategy,
}

impl SelectionRules {
    /// The rules in a group's effective settings.
    pub(crate) fn of(_settings: &Settings) -> Self {
        Self::default()
    }
}

/// How a group chooses among its keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// Exact rotation over the active keys.
    #[default]
    RoundRobin,
}

/// Chooses a key and occupies it.
pub(crate) fn select(
    snapshot: &Snapshot,
    rules: &SelectionRules,
    want: &Want<'_>,
    now: Timestamp,
) -> Result<Arc<Slot>, NoKey> {
    let pass = Pass { snapshot, strategy: rules.strategy, first_attempt: want.first_attempt, tried: want.tried, now };
    pass.choose()
        .or_else(|| if want.tried.is_empty() { None } else { Pass { tried: &[], ..pass }.choose() })
        .cloned()
        .ok_or_else(|| no_key(snapshot, now))
}

/// Whether some key could be chosen.
pub(crate) fn is_usable(snapshot: &Snapshot, now: Timestamp) -> bool {
    rotating(snapshot).any(|slot| slot.rotation() != Rotation::Out && slot.resting_until() <= now)
}

fn rotating(snapshot: &Snapshot) -> impl Iterator<Item = &Arc<Slot>> {
    snapshot.active.slots(&snapshot.table).chain(snapshot.probation.slots(&snapshot.table))
}

fn no_key(snapshot: &Snapshot, now: Timestamp) -> NoKey {
    rotating(snapshot)
        .filter(|slot| slot.rotation() != Rotation::Out)
        .map(|slot| slot.resting_until())
        .filter(|until| *until > now)
        .chain(snapshot.nearest_return)
        .min()
        .map_or(NoKey::NoneUsable, NoKey::AllResting)
}

/// One search through the rings.
#[derive(Clone, Copy)]
struct Pass<'a> {
    snapshot: &'a Snapshot,
    strategy: Strategy,
    first_attempt: bool,
    tried: &'a [KeyId],
    now: Timestamp,
}

impl<'a> Pass<'a> {
    fn choose(&self) -> Option<&'a Arc<Slot>> {
        if self.first_attempt
            && self.is_probation_turn()
            && let Some(slot) = self.idle_on_probation()
        {
            return Some(slot);
        }
        match self.strategy {
            Strategy::RoundRobin => self.active_by_turn(),
        }
        .or_else(|| self.least_busy_on_probation())
    }

    /// Shares the first attempts between the rings by the number of their keys.
    fn is_probation_turn(&self) -> bool {
        let (active, probation) = (self.snapshot.active.len(), self.snapshot.probation.len());
        if active == 0 || probation == 0 {
            return false;
        }
        let all = active + probation;
        (self.snapshot.turns.advance() % all).saturating_mul(probation) % all < probation
    }

    fn active_by_turn(&self) -> Option<&'a Arc<Slot>> {
        let ring = &self.snapshot.active;
        (0..ring.len()).filter_map(|_| ring.turn(&self.snapshot.table)).find(|slot| {
            self.may_use(slot)
                && match slot.rotation() {
                    Rotation::Active => {
                        slot.occupy();
                        true
                    }
                    // Degraded since the last rebuild.
                    Rotation::Probation => self.first_attempt && slot.occupy_idle(),
                    Rotation::Out => false,
                }
        })
    }

    fn idle_on_probation(&self) -> Option<&'a Arc<Slot>> {
        let ring = &self.snapshot.probation;
        (0..ring.len().min(PROBATION_LOOK))
            .filter_map(|_| ring.turn(&self.snapshot.table))
            .find(|slot| slot.rotation() != Rotation::Out && self.may_use(slot) && slot.occupy_idle())
    }

    /// With no active key the limit of probation is lifted: nobody is refused because of it. Keys that were active at the
    /// last rebuild may be on probation by now.
    fn least_busy_on_probation(&self) -> Option<&'a Arc<Slot>> {
        let slot = self.least_busy(&self.snapshot.probation).or_else(|| self.least_busy(&self.snapshot.active))?;
        slot.occupy();
        Some(slot)
    }

    fn least_busy(&self, ring: &'a Ring) -> Option<&'a Arc<Slot>> {
        let mut best: Option<(u32, &Arc<Slot>)> = None;
        for turn in 0..ring.len() {
            let slot = ring.turn(&self.snapshot.table)?;
            if slot.rotation() != Rotation::Out && self.may_use(slot) {
                let busy = slot.in_flight();
                if best.is_none_or(|(least, _)| busy < least) {
                    best = Some((busy, slot));
                }
            }
            if best.is_some_and(|(least, _)| least == 0 || turn >= PROBATION_LOOK) {
                break;
            }
        }
        best.map(|(_, slot)| slot)
    }

    fn may_use(&self, slot: &Slot) -> bool {
        slot.resting_until() <= self.now && !self.tried.contains(&slot.id())
    }
}
