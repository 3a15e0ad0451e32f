//! The rotation in tiers of priority.

use std::{collections::BTreeMap, sync::Arc};

use gpt_load_schema::time::Timestamp;

use super::{
    ring::{Cursor, Ring},
    select::Strategy,
    slot::{Rotation, Slot},
    sticky::{Circle, Order},
    table::Table,
    weighted::Weighted,
};

/// Keys that rotate together, the better ones first.
#[derive(Default)]
pub(crate) struct View {
    /// By ascending priority; none is empty.
    pub(crate) tiers: Box<[Tier]>,
    /// The nearest return among the resting keys that are in no ring.
    pub(crate) nearest_return: Option<Timestamp>,
    /// Whether some keys are left out because they were refused the model.
    pub(crate) refused: bool,
}

impl View {
    /// The view that `draft` describes; `former` is the one before, with its table.
    pub(crate) fn new(
        draft: &Draft,
        table: &Table,
        strategy: Strategy,
        order: Option<&Order>,
        (former, former_table): (&Self, &Table),
    ) -> Self {
        let mut circles = order.map(|order| draft.circles(order)).unwrap_or_default().into_iter();
        let tiers = draft.tiers.iter().map(|(priority, keys)| {
            let former = former.tiers.iter().find(|tier| tier.priority == *priority);
            let ring = |slots: &[u32], pick: fn(&Tier) -> &Ring| {
                Ring::new(slots.to_vec(), table, former.and_then(|tier| pick(tier).next(former_table)))
            };
            let weight = |index: u32| table.at(index as usize).weight();
            Tier {
                priority: *priority,
                active: ring(&keys.active, |tier| &tier.active),
                probation: ring(&keys.probation, |tier| &tier.probation),
                turns: Cursor::at(former.map_or(0, |tier| tier.turns.position())),
                by_weight: if strategy == Strategy::Weighted {
                    Weighted::new(&keys.active, weight)
                } else {
                    Weighted::default()
                },
                circle: circles.next().unwrap_or_default(),
            }
        });
        Self { tiers: tiers.collect(), nearest_return: draft.nearest_return, refused: false }
    }
}

/// Keys of one priority.
pub(crate) struct Tier {
    priority: i32,
    /// Active keys.
    pub(crate) active: Ring,
    /// Pending and degraded keys.
    pub(crate) probation: Ring,
    /// Counts turns while both rings hold keys, so that each gets its share.
    turns: Cursor,
    /// The active keys by weight; empty unless the strategy asks for it.
    pub(crate) by_weight: Weighted,
    /// The active keys for sticky requests; empty unless the strategy asks for it.
    pub(crate) circle: Circle,
}

impl Tier {
    /// Shares the first attempts between the rings by the number of their keys.
    pub(crate) fn is_probation_turn(&self) -> bool {
        let (active, probation) = (self.active.len(), self.probation.len());
        if active == 0 || probation == 0 {
            return active == 0 && probation > 0;
        }
        let all = active + probation;
        (self.turns.advance() % all).saturating_mul(probation) % all < probation
    }
}

/// What a view will be made of.
#[derive(Clone, Default)]
pub(crate) struct Draft {
    tiers: BTreeMap<i32, Keys>,
    nearest_return: Option<Timestamp>,
}

/// Keys of one priority by their indices in the table, ascending.
#[derive(Clone, Default)]
struct Keys {
    active: Vec<u32>,
    probation: Vec<u32>,
}

impl Draft {
    /// Keys that rotate.
    pub(crate) fn len(&self) -> usize {
        self.tiers.values().map(|keys| keys.active.len() + keys.probation.len()).sum()
    }

    /// The key takes part; keys come by ascending index.
    pub(crate) fn rotates(&mut self, index: u32, slot: &Arc<Slot>, rotation: Rotation) {
        let keys = self.tiers.entry(slot.priority()).or_default();
        if rotation == Rotation::Active { &mut keys.active } else { &mut keys.probation }.push(index);
    }

    /// A key takes no part before `until`.
    pub(crate) fn rests(&mut self, until: Timestamp) {
        self.nearest_return = Some(self.nearest_return.map_or(until, |nearest| nearest.min(until)));
    }

    /// The same without some keys, by ascending index, of which the first returns at `nearest_return`.
    pub(crate) fn without(&self, absent: &[u32], nearest_return: Option<Timestamp>) -> Self {
        let stays = |index: &u32| absent.binary_search(index).is_err();
        let only = |keys: &[u32]| keys.iter().copied().filter(stays).collect::<Vec<u32>>();
        let tiers = self
            .tiers
            .iter()
            .map(|(priority, keys)| (*priority, Keys { active: only(&keys.active), probation: only(&keys.probation) }));
        let tiers = tiers.filter(|(_, keys)| !keys.active.is_empty() || !keys.probation.is_empty()).collect();
        let mut draft = Self { tiers, nearest_return: self.nearest_return };
        if let Some(until) = nearest_return {
            draft.rests(until);
        }
        draft
    }

    /// A circle of the active keys of each tier.
    fn circles(&self, order: &Order) -> Vec<Circle> {
        let mut tier_of = HashlessMap::default();
        for (tier, keys) in (0..).zip(self.tiers.values()) {
            keys.active.iter().for_each(|index| tier_of.set(*index, tier));
        }
        let mut members = vec![Vec::new(); self.tiers.len()];
        for (point, index) in order.iter() {
            if let Some(tier) = tier_of.get(index) {
                members[tier].push((point, index));
            }
        }
        members.into_iter().map(Circle::new).collect()
    }
}

/// A number for some of many small numbers.
#[derive(Default)]
struct HashlessMap(Vec<u32>);

impl HashlessMap {
    fn set(&mut self, key: u32, value: u32) {
        let key = key as usize;
        if key >= self.0.len() {
            self.0.resize(key + 1, u32::MAX);
        }
        self.0[key] = value;
    }

    fn get(&self, key: u32) -> Option<usize> {
        self.0.get(key as usize).filter(|value| **value != u32::MAX).map(|value| *value as usize)
    }
}
