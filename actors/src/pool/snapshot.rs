//! The immutable view of a pool from which the data path selects.

use std::{collections::HashMap, sync::Arc};

use gpt_load_schema::{ids::KeyId, time::Timestamp};

use super::{
    chance,
    model::{ModelHash, ModelRest},
    ring::Cursor,
    select::{Strategy, Terms},
    slot::{Rotation, Slot},
    sticky::Order,
    table::Table,
    view::{Draft, View},
};

/// Keys that come back within this time, in milliseconds, stay in the rings, where they are skipped until the moment
/// comes; so a rebuild need not hit the moment.
pub(crate) const RETURN_LEAD_MS: i64 = 100;
/// Models that have a view of their own, at most.
const MODEL_VIEWS: usize = 8;
/// A model has a view of its own when at least one in so many keys that rotate does not serve it; with fewer, skipping
/// those costs next to nothing.
const AWAY_SHARE: usize = 8;

/// All keys of a group by ascending id, and which of them take part in the rotation.
pub(crate) struct Snapshot {
    /// Every key of the pool.
    pub(crate) table: Table,
    /// How keys are chosen.
    pub(crate) strategy: Strategy,
    /// Counts choices that are left to chance.
    pub(crate) draws: Cursor,
    pub(crate) seed: u64,
    /// Keys that may serve but are in no ring, because they rest.
    pub(crate) resting: u64,
    /// The rotation but for some models.
    pub(crate) all: View,
    /// The rotation for models that many keys do not serve.
    models: Box<[(ModelHash, View)]>,
    /// Kept from snapshot to snapshot.
    order: Option<Arc<Order>>,
}

impl Snapshot {
    /// A pool without keys.
    pub(crate) fn empty() -> Self {
        Self {
            table: Table::default(),
            strategy: Strategy::default(),
            draws: Cursor::default(),
            seed: chance::seed(),
            resting: 0,
            all: View::default(),
            models: Box::default(),
            order: None,
        }
    }

    /// The rotation as it is `now`, continued where `before` stands.
    pub(crate) fn build(table: &Table, before: &Self, terms: &Terms, now: Timestamp) -> Self {
        let horizon = Timestamp(now.0.saturating_add(RETURN_LEAD_MS));
        let (mut draft, mut resting) = (Draft::default(), 0);
        let mut away = HashMap::<ModelHash, Away>::new();
        for (index, slot) in (0_u32..).zip(table.iter()) {
            let rotation = slot.rotation();
            if rotation == Rotation::Out {
                continue;
            }
            match slot.away_until(terms, now).filter(|until| *until > horizon) {
                Some(until) => {
                    draft.rests(until);
                    resting += 1;
                }
                None => {
                    draft.rotates(index, slot, rotation);
                    slot.each_model_away(terms, horizon, |rest| {
                        away.entry(rest.model()).or_default().add(index, rest, now);
                    });
                }
            }
        }
        let order = (terms.rules.strategy == Strategy::Sticky).then(|| match &before.order {
            Some(order) if before.table.is_same(table) => order.clone(),
            _ => Order::of(table),
        });
        let make = |draft: &Draft, former: &View| {
            View::new(draft, table, terms.rules.strategy, order.as_deref(), (former, &before.table))
        };
        let mut models: Vec<(ModelHash, Away)> =
            away.into_iter().filter(|(_, away)| away.keys.len() * AWAY_SHARE >= draft.len()).collect();
        models.sort_unstable_by_key(|(model, away)| (std::cmp::Reverse(away.keys.len()), *model));
        models.truncate(MODEL_VIEWS);
        let models = models.into_iter().map(|(model, mut away)| {
            away.keys.dedup();
            let draft = draft.without(&away.keys, away.nearest_return);
            (model, View { refused: away.refused, ..make(&draft, before.view(model)) })
        });
        Self {
            models: models.collect(),
            all: make(&draft, &before.all),
            strategy: terms.rules.strategy,
            draws: Cursor::at(before.draws.position()),
            seed: before.seed,
            resting,
            order,
            table: table.clone(),
        }
    }

    /// Every key that was not deleted meanwhile, by ascending id.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.table.iter().filter(|slot| !slot.is_gone())
    }

    /// The key with this id, unless it was deleted meanwhile.
    pub(crate) fn key(&self, id: KeyId) -> Option<&Arc<Slot>> {
        self.table.find(id).filter(|slot| !slot.is_gone())
    }

    /// The rotation for a model.
    pub(crate) fn view(&self, model: ModelHash) -> &View {
        self.models.iter().find(|(known, _)| *known == model).map_or(&self.all, |(_, view)| view)
    }

    /// The nearest return of a key that is in some ring no more.
    pub(crate) fn nearest_return(&self) -> Option<Timestamp> {
        self.models.iter().map(|(_, view)| view).chain([&self.all]).filter_map(|view| view.nearest_return).min()
    }

    /// Index in the table of the key whose turn comes next.
    pub(crate) fn next_index(&self) -> Option<u32> {
        self.all.tiers.iter().find_map(|tier| tier.active.next_index())
    }

    /// Gives the next turn to the first active key at or after `index` of the table.
    pub(crate) fn seek(&self, index: u32) {
        self.all.tiers.iter().for_each(|tier| tier.active.seek(index));
    }

    /// Every key that is in a ring.
    pub(crate) fn rotating(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.all.tiers.iter().flat_map(|tier| tier.active.slots(&self.table).chain(tier.probation.slots(&self.table)))
    }
}

/// Keys that rotate but not for one model.
#[derive(Default)]
struct Away {
    /// Indices in the table, ascending.
    keys: Vec<u32>,
    nearest_return: Option<Timestamp>,
    /// Whether some of them are refused the model, and nothing else.
    refused: bool,
}

impl Away {
    fn add(&mut self, index: u32, rest: ModelRest, now: Timestamp) {
        let until = rest.until();
        self.refused |= rest.is_refused(now);
        self.keys.push(index);
        self.nearest_return = Some(self.nearest_return.map_or(until, |nearest| nearest.min(until)));
    }
}
