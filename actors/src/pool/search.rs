//! One search through the rings of a snapshot.

use std::{sync::Arc, time::Duration};

use gpt_load_schema::time::Timestamp;

use super::{
    NoKey, Want, chance,
    ledger::Seat,
    model::ModelHash,
    ring::Ring,
    select::{Found, Strategy, Terms},
    slot::{Refusal, Rotation, Slot},
    snapshot::{RETURN_LEAD_MS, Snapshot},
    view::{Tier, View},
};

/// Turns of the probation ring that are tried for an idle key. A ring with more keys than this has, among so many,
/// nearly always one.
const PROBATION_LOOK: usize = 64;
/// Draws before the keys take turns instead; also how many heirs of a sticky request are asked.
const DRAWS: usize = 16;
/// In a ring of at most so many keys the least busy one is found exactly.
const EXACT: usize = 64;
/// Among so many drawn from a larger ring the least busy is taken: two would already keep the busiest key within a few
/// requests of the average (Mitzenmacher: "The power of two choices in randomized load balancing", 2001).
const SAMPLE: usize = 3;
/// A search that meets so many keys that will not be back soon wants a rebuild.
const FAR_AWAY: usize = 8;
/// When to ask again where all keys are busy: nobody knows when a request will end.
const BUSY: Duration = Duration::from_secs(1);

/// What a round takes where there is nothing better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Lenience {
    None,
    /// Keys that the request has tried: what they failed with did not send them to rest.
    Tried,
    /// Keys that are bound to an upstream that is not worth asking, too.
    Closed,
    /// Keys that were refused the model, too: if no key may have it, the provider shall say so.
    Refused,
}

/// Why keys were passed over in a round.
#[derive(Default)]
struct Missed {
    nearest: Option<Timestamp>,
    busy: bool,
    tried: bool,
    closed: bool,
    /// Some keys were refused the model.
    refused: bool,
    /// An active key went on probation since the last rebuild.
    demoted: bool,
    /// Keys that will not be back soon, in all rounds.
    far_away: usize,
}

/// Why one key was passed over.
enum Miss {
    /// It rests until then, whatever the request.
    Rests(Timestamp),
    Other,
}

/// Keys that were passed over in one turn of a ring.
#[derive(Default)]
struct Skipped {
    resting: usize,
    nearest: Option<Timestamp>,
}

impl Skipped {
    fn count(&mut self, miss: &Miss) {
        if let Miss::Rests(until) = *miss {
            self.resting += 1;
            self.nearest = Some(self.nearest.map_or(until, |nearest| nearest.min(until)));
        }
    }
}

type Choice<'a> = (&'a Arc<Slot>, Option<Seat>);

/// One search through the rings.
pub(super) struct Search<'a> {
    snapshot: &'a Snapshot,
    terms: &'a Terms,
    want: &'a Want<'a>,
    model: ModelHash,
    now: Timestamp,
    lenient: Lenience,
    /// Whether keys that the request has tried are passed over whatever else is not.
    spares_tried: bool,
    missed: Missed,
}

impl<'a> Search<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, terms: &'a Terms, want: &'a Want<'a>, now: Timestamp) -> Self {
        let (model, missed) = (ModelHash::of(want.model), Missed::default());
        Self { snapshot, terms, want, model, now, lenient: Lenience::None, spares_tried: false, missed }
    }

    /// Searches, and occupies what it finds.
    pub(super) fn found(mut self) -> Found<'a> {
        let key = self.all_rounds().ok_or_else(|| self.no_key());
        Found { key, wants_rebuild: self.missed.far_away >= FAR_AWAY }
    }

    fn all_rounds(&mut self) -> Option<Choice<'a>> {
        if let Some(choice) = self.round() {
            return Some(choice);
        }
        let Missed { tried, mut closed, mut refused, .. } = self.missed;
        refused |= self.snapshot.view(self.model).refused;
        if tried {
            if let Some(choice) = self.lenient_round(Lenience::Tried) {
                return Some(choice);
            }
            closed |= self.missed.closed;
        }
        if closed && let Some(choice) = self.lenient_round(Lenience::Closed) {
            return Some(choice);
        }
        if !refused {
            return None;
        }
        self.spares_tried = true;
        let untried = self.lenient_round(Lenience::Refused);
        self.spares_tried = false;
        if untried.is_none() && self.missed.tried { self.lenient_round(Lenience::Refused) } else { untried }
    }

    fn view(&self) -> &'a View {
        if self.lenient == Lenience::Refused { &self.snapshot.all } else { self.snapshot.view(self.model) }
    }

    fn lenient_round(&mut self, lenient: Lenience) -> Option<Choice<'a>> {
        self.lenient = lenient;
        self.missed = Missed { far_away: self.missed.far_away, ..Missed::default() };
        self.round()
    }

    fn round(&mut self) -> Option<Choice<'a>> {
        let tiers = &self.view().tiers;
        if let Some(choice) = tiers.iter().find_map(|tier| self.by_tier(tier)) {
            return Some(choice);
        }
        // With no active key the limit of probation is lifted: nobody is refused because of it.
        let least_busy = tiers.iter().find_map(|tier| self.least_busy(&tier.probation));
        if least_busy.is_some() || !self.missed.demoted {
            return least_busy;
        }
        tiers.iter().find_map(|tier| self.least_busy(&tier.active))
    }

    fn by_tier(&mut self, tier: &'a Tier) -> Option<Choice<'a>> {
        let first_attempt = self.want.first_attempt && !tier.probation.is_empty();
        let probation_first = first_attempt && tier.is_probation_turn();
        if probation_first && let Some(choice) = self.idle_on_probation(&tier.probation) {
            return Some(choice);
        }
        self.active(tier)
            .or_else(|| if first_attempt && !probation_first { self.idle_on_probation(&tier.probation) } else { None })
    }

    fn active(&mut self, tier: &'a Tier) -> Option<Choice<'a>> {
        let idle_until = tier.active.idle_until();
        if idle_until > self.now {
            self.missed.nearest = Some(self.missed.nearest.map_or(idle_until, |nearest| nearest.min(idle_until)));
            return None;
        }
        let (ring, table) = (&tier.active, &self.snapshot.table);
        match self.snapshot.strategy {
            Strategy::RoundRobin => None,
            Strategy::Weighted => {
                self.drawn(ring, |number| tier.by_weight.draw(chance::spread(number)).map(|index| table.at(index)))
            }
            Strategy::Random => self.drawn(ring, |number| ring.position(position(ring, number)?, table)),
            Strategy::LeastInFlight if ring.len() <= EXACT => self.least_in_flight(ring),
            Strategy::LeastInFlight => self.less_in_flight(ring),
            Strategy::Sticky => self.want.sticky.and_then(|hash| self.owner(tier, hash)),
        }
        .or_else(|| self.by_turn(ring))
    }

    fn by_turn(&mut self, ring: &'a Ring) -> Option<Choice<'a>> {
        let first = ring.advance();
        let mut turn = first;
        let mut skipped = Skipped::default();
        for _ in 0..ring.len() {
            let slot = ring.position(turn, &self.snapshot.table)?;
            match self.attempt(slot, false) {
                Ok(seat) => return Some((slot, seat)),
                Err(miss) => skipped.count(&miss),
            }
            turn = ring.advance();
        }
        if turn.wrapping_sub(first) != ring.len() {
            // Others took turns meanwhile, so some keys may have been passed over.
            skipped = Skipped::default();
            for step in 0..ring.len() {
                let slot = ring.position(first.wrapping_add(step), &self.snapshot.table)?;
                match self.attempt(slot, false) {
                    Ok(seat) => return Some((slot, seat)),
                    Err(miss) => skipped.count(&miss),
                }
            }
        }
        if skipped.resting == ring.len()
            && let Some(nearest) = skipped.nearest
        {
            ring.idle(nearest);
        }
        None
    }

    fn drawn(&mut self, ring: &'a Ring, key: impl Fn(u64) -> Option<&'a Arc<Slot>>) -> Option<Choice<'a>> {
        (0..DRAWS.min(ring.len())).find_map(|_| {
            let slot = key(self.draw())?;
            self.attempt(slot, false).ok().map(|seat| (slot, seat))
        })
    }

    /// The least busy of a few keys that are drawn.
    fn less_in_flight(&mut self, ring: &'a Ring) -> Option<Choice<'a>> {
        let table = &self.snapshot.table;
        (0..SAMPLE).find_map(|_| {
            let first = self.draw();
            let drawn =
                (0..SAMPLE as u64).filter_map(|step| ring.position(position(ring, first ^ (step << 56))?, table));
            let slot = drawn.filter(|slot| self.look(slot).is_ok()).min_by_key(|slot| slot.in_flight())?;
            self.attempt(slot, false).ok().map(|seat| (slot, seat))
        })
    }

    /// The least busy key of a small ring; of several equals the one whose turn it is.
    fn least_in_flight(&mut self, ring: &'a Ring) -> Option<Choice<'a>> {
        let (table, first) = (&self.snapshot.table, ring.advance() % ring.len().max(1));
        let mut refused = 0_u64;
        for _ in 0..ring.len() {
            let left = (0..ring.len()).filter(|step| refused & (1 << step) == 0);
            let slots = left.filter_map(|step| Some((step, ring.position(first + step, table)?)));
            let usable = slots.filter(|(_, slot)| self.look(slot).is_ok());
            let (step, slot) = usable.min_by_key(|(_, slot)| slot.in_flight())?;
            if let Ok(seat) = self.attempt(slot, false) {
                return Some((slot, seat));
            }
            refused |= 1 << step;
        }
        None
    }

    fn owner(&mut self, tier: &'a Tier, hash: u64) -> Option<Choice<'a>> {
        tier.circle.owners(hash).take(DRAWS).find_map(|index| {
            let slot = self.snapshot.table.at(index);
            self.attempt(slot, false).ok().map(|seat| (slot, seat))
        })
    }

    fn idle_on_probation(&mut self, ring: &'a Ring) -> Option<Choice<'a>> {
        (0..ring.len().min(PROBATION_LOOK)).find_map(|_| {
            let slot = ring.turn(&self.snapshot.table)?;
            self.attempt(slot, true).ok().map(|seat| (slot, seat))
        })
    }

    fn least_busy(&mut self, ring: &'a Ring) -> Option<Choice<'a>> {
        let (table, first) = (&self.snapshot.table, ring.advance());
        let mut best: Option<(u32, &Arc<Slot>)> = None;
        for step in 0..ring.len() {
            let slot = ring.position(first.wrapping_add(step), table)?;
            if self.look(slot).is_ok() {
                let busy = slot.in_flight();
                if best.is_none_or(|(least, _)| busy < least) {
                    best = Some((busy, slot));
                }
            }
            if best.is_some_and(|(least, _)| least == 0 || step >= PROBATION_LOOK) {
                break;
            }
        }
        let (_, slot) = best?;
        if let Ok(seat) = self.occupy(slot, false) {
            return Some((slot, seat));
        }
        (0..ring.len()).find_map(|step| {
            let slot = ring.position(first.wrapping_add(step), table)?;
            self.look(slot).and_then(|_| self.occupy(slot, false)).ok().map(|seat| (slot, seat))
        })
    }

    fn draw(&self) -> u64 {
        self.snapshot.seed.wrapping_add(self.snapshot.draws.advance() as u64)
    }

    /// Occupies the key unless something speaks against it; `idle`: only if no other request uses it.
    fn attempt(&mut self, slot: &Slot, idle: bool) -> Result<Option<Seat>, Miss> {
        if self.look(slot)? == Rotation::Active || idle {
            return self.occupy(slot, idle);
        }
        let seat = if self.want.first_attempt { self.occupy(slot, true) } else { Err(Miss::Other) };
        self.missed.demoted |= seat.is_err();
        seat
    }

    /// Whether the request may have the key, but for the limits that the key has of its own.
    fn look(&mut self, slot: &Slot) -> Result<Rotation, Miss> {
        let rotation = slot.rotation();
        if rotation == Rotation::Out {
            return Err(Miss::Other);
        }
        let rest = slot.resting_until();
        if rest > self.now {
            return Err(self.refused(Refusal::Rests(rest)));
        }
        if let Some(rest) = slot.rest_for(self.model).filter(|rest| rest.until() > self.now) {
            let is_refused = rest.is_refused(self.now);
            if !is_refused || self.lenient < Lenience::Refused {
                self.missed.refused |= is_refused;
                return Err(self.refused(Refusal::RestsForModel(rest.until())));
            }
        }
        if (self.lenient < Lenience::Tried || self.spares_tried) && self.want.tried.contains(&slot.id()) {
            self.missed.tried = true;
            return Err(Miss::Other);
        }
        if self.lenient < Lenience::Closed
            && let Some(is_open) = self.want.is_open
            && slot.is_bound_where(|url| !is_open(url))
        {
            self.missed.closed = true;
            return Err(Miss::Other);
        }
        Ok(rotation)
    }

    fn occupy(&mut self, slot: &Slot, idle: bool) -> Result<Option<Seat>, Miss> {
        slot.occupy(idle, self.terms, self.model, self.now).map_err(|refusal| match refusal {
            Refusal::Busy if idle => Miss::Other,
            refusal => self.refused(refusal),
        })
    }

    fn refused(&mut self, refusal: Refusal) -> Miss {
        let (Refusal::Rests(until) | Refusal::RestsForModel(until)) = refusal else {
            self.missed.busy = true;
            return Miss::Other;
        };
        self.missed.nearest = Some(self.missed.nearest.map_or(until, |nearest| nearest.min(until)));
        if matches!(refusal, Refusal::RestsForModel(_)) {
            return Miss::Other;
        }
        self.missed.far_away += usize::from(until.0.saturating_sub(self.now.0) > RETURN_LEAD_MS);
        Miss::Rests(until)
    }

    fn no_key(&self) -> NoKey {
        let busy = self.missed.busy.then(|| self.now + BUSY);
        let returns = [self.missed.nearest, self.view().nearest_return, busy];
        returns.into_iter().flatten().min().map_or(NoKey::NoneUsable, NoKey::AllResting)
    }
}

/// Any position in the ring, by `number`.
fn position(ring: &Ring, number: u64) -> Option<usize> {
    usize::try_from(chance::below(ring.len() as u64, chance::scrambled(number))).ok()
}
