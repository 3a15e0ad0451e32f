//! Whether a key has a place for a request, under the group's own limits and those that the provider announced.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use gpt_load_cluster::window::SlidingWindow;
use gpt_load_schema::time::Timestamp;

use super::Slot;
use crate::pool::{
    ledger::{Ledger, Seat},
    model::{ModelHash, ModelRest},
    select::Terms,
};

/// The window of `key_rpm`.
const MINUTE: Duration = Duration::from_secs(60);

/// Why a key cannot be occupied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It rests until then.
    Rests(Timestamp),
    /// It rests for this model until then.
    RestsForModel(Timestamp),
    /// It has as many requests as it may; one has to end.
    Busy,
}

impl Slot {
    /// Occupies the key for a request, as far as the group's own limits and what the provider announced allow; `idle`:
    /// only if no other request uses it. Whatever is taken is given back by [`Slot::vacate`] and [`Seat::leave`].
    pub(crate) fn occupy(
        &self,
        idle: bool,
        terms: &Terms,
        model: ModelHash,
        now: Timestamp,
    ) -> Result<Option<Seat>, Refusal> {
        if idle {
            self.in_flight.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed).map_err(|_| Refusal::Busy)?;
        } else {
            let others = self.in_flight.fetch_add(1, Ordering::AcqRel);
            if terms.rules.max_in_flight > 0 && u64::from(others) >= terms.rules.max_in_flight {
                self.vacate();
                return Err(Refusal::Busy);
            }
        }
        let seat = if terms.announces { Some(self.ledger_or_own().enter(model, now)).transpose() } else { Ok(None) };
        seat.and_then(|seat| match self.pace(terms, now) {
            Ok(()) => Ok(seat),
            Err(until) => {
                if let Some(seat) = seat {
                    seat.leave();
                }
                Err(Refusal::Rests(until))
            }
        })
        .inspect_err(|_| self.vacate())
    }

    /// Takes one of the minute's requests, or only looks whether there is one.
    fn pace(&self, terms: &Terms, now: Timestamp) -> Result<(), Timestamp> {
        let limit = terms.rules.rpm;
        if limit == 0 {
            return Ok(());
        }
        loop {
            let pace = self.pace.load();
            match &*pace {
                Some(window) if window.limit() == limit && terms.only_looks => {
                    return window.next_free(now).map_or(Ok(()), Err);
                }
                Some(window) if window.limit() == limit => return window.try_take(now),
                _ => self.pace.compare_and_swap(&pace, Some(Arc::new(SlidingWindow::new(limit, MINUTE)))),
            };
        }
    }

    /// Until when the key rests, the provider's limits and the group's own ones included; `None` = it does not.
    pub(crate) fn away_until(&self, terms: &Terms, now: Timestamp) -> Option<Timestamp> {
        let rest = Some(self.resting_until()).filter(|until| *until > now);
        let used_up = if terms.announces {
            self.ledger.load().as_ref().and_then(|ledger| ledger.used_up_until(now))
        } else {
            None
        };
        let paced = if terms.rules.rpm > 0 {
            self.pace
                .load()
                .as_ref()
                .filter(|window| window.limit() == terms.rules.rpm)
                .and_then(|window| window.next_free(now))
        } else {
            None
        };
        rest.max(used_up).max(paced)
    }

    /// Hands over the models that the key does not serve.
    pub(crate) fn each_model_away(&self, terms: &Terms, now: Timestamp, mut each: impl FnMut(ModelRest)) {
        if let Some(rests) = self.model_rests() {
            rests.iter().filter(|rest| rest.until() > now).for_each(&mut each);
        }
        if terms.announces_by_model
            && let Some(ledger) = &*self.ledger.load()
        {
            ledger.used_up_models(now).for_each(|(model, until)| each(ModelRest::cooldown(model, until)));
        }
    }

    /// The account whose limits the key shares, by the hash of its name.
    pub(crate) fn account(&self) -> Option<u64> {
        self.ledger.load().as_ref().and_then(|ledger| ledger.account())
    }

    /// The provider's limits from now on.
    pub(crate) fn keep_ledger(&self, ledger: Arc<Ledger>) {
        self.ledger.store(Some(ledger));
    }

    /// The provider's limits as far as they are known; of the key alone unless it is known to share an account's.
    pub(crate) fn ledger_or_own(&self) -> Arc<Ledger> {
        loop {
            let ledger = self.ledger.load();
            if let Some(ledger) = &*ledger {
                return ledger.clone();
            }
            self.ledger.compare_and_swap(&ledger, Some(Arc::default()));
        }
    }

    /// Gives back what [`Slot::occupy`] took, though not the place in the minute.
    pub(crate) fn give_back(&self, seat: Option<Seat>) {
        if let Some(seat) = seat {
            seat.leave();
        }
        self.vacate();
    }

    pub(crate) fn vacate(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
