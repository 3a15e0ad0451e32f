//! The pool guard: where many keys fail alike and none succeeds, the keys are not to blame.
//!
//! Pure: no clock, no I/O. It stands between the events and the state machine, and knows two standings of every key that
//! failed in an open *episode*: with its failures and without. One of them is published; which, is the guard's decision.

mod episode;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc};

use gpt_load_schema::{ids::KeyId, key::KeyState, log::OutcomeClass, time::Timestamp};

use self::episode::Episode;
use super::{
    TrippedGuard,
    memory::{Sketch, Texts},
    state::{Event, GuardLimits, Limits, Standing, Transition, accept},
};

/// Episodes open at a time, one per class and upstream; failures beyond are the keys' own.
const EPISODES: usize = 64;

/// The guard of one group.
#[derive(Default)]
pub(crate) struct Guard {
    /// The position of an episode is its bit in [`Track::episodes`].
    episodes: Vec<Option<Episode>>,
    tracks: HashMap<KeyId, Track>,
    /// Blocks that are over, of which failures may still be on their way.
    past: Vec<Past>,
    is_changed: bool,
}

/// A tripped episode that a success has ended.
struct Past {
    class: OutcomeClass,
    upstream: Arc<str>,
    /// Attempts that began at this number of failures or before it began while the episode was open.
    until: u64,
}

/// A key that failed in an open episode.
struct Track {
    /// The standing that is not published: without the failures, or, when the key is held, with them.
    other: Sketch,
    /// Counted failures in the open episodes.
    failures: i64,
    /// The episodes, one bit each.
    episodes: u64,
    /// Whether the failures are held back.
    is_held: bool,
    /// Whether the key is only degraded because it is held.
    is_demoted: bool,
    /// Whether the failures take the key out.
    is_out: bool,
}

/// What may be behind a failure.
#[derive(Clone, Copy)]
pub(crate) struct Cause<'a> {
    pub(crate) class: OutcomeClass,
    pub(crate) upstream: &'a Arc<str>,
    /// What the provider says.
    pub(crate) message: &'a str,
    /// Its number among all failures ([`super::watch::Watch::failures`]).
    pub(crate) number: u64,
    /// Number of failures when its attempt began.
    pub(crate) began: u64,
}

/// What every decision about a key needs.
pub(crate) struct Terms<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) now: Timestamp,
    pub(crate) texts: &'a mut Texts,
}

/// A key whose held failures take effect.
pub(crate) struct Held {
    pub(crate) key: KeyId,
    standing: Sketch,
    failures: i64,
}

impl Held {
    /// What becomes of the key.
    pub(crate) fn transition(&self) -> Transition {
        Transition { standing: self.standing.recall(), failures: self.failures, reset_failures: false }
    }
}

impl Guard {
    /// Whether an episode is open.
    pub(crate) fn is_open(&self) -> bool {
        self.episodes.iter().any(Option::is_some)
    }

    /// Whether [`Guard::tripped`] says something else than when this was asked last.
    pub(crate) fn take_change(&mut self) -> bool {
        std::mem::take(&mut self.is_changed)
    }

    /// The state machine under the guard: what the event makes of the key's published standing. A failure with a cause
    /// is held back where the guard has tripped.
    pub(crate) fn accept(
        &mut self,
        key: KeyId,
        published: &Standing,
        event: &Event<'_>,
        cause: Option<Cause<'_>>,
        terms: &mut Terms<'_>,
    ) -> Transition {
        if let Event::Restore | Event::Disable | Event::Enable | Event::Invalidate = event {
            self.forget(key);
        } else if cause.is_some_and(|cause| self.is_late(&cause)) {
            return Transition { standing: published.clone(), failures: 0, reset_failures: false };
        } else if let Some(cause) = cause.filter(|_| terms.limits.guard.is_some())
            && self.concerns(key, published, event, terms)
            && let Some(index) = self.episode(&cause, terms.now)
        {
            return self.fail(key, published, event, &cause, index, terms);
        } else if self.tracks.contains_key(&key) {
            return self.pass(key, published, event, terms);
        }
        accept(published, event, terms.limits, terms.now)
    }

    /// Whether the failure would count, or take the key out, if it had not failed in an episode before.
    fn concerns(&self, key: KeyId, published: &Standing, event: &Event<'_>, terms: &Terms<'_>) -> bool {
        let put_by = self.tracks.get(&key).filter(|track| !track.is_held).map(|track| track.other.recall());
        let without = put_by.as_ref().unwrap_or(published);
        if !without.health.state.is_selectable() {
            return false;
        }
        let after = accept(without, event, terms.limits, terms.now);
        after.failures > 0 || !after.standing.health.state.is_selectable()
    }

    fn fail(
        &mut self,
        key: KeyId,
        published: &Standing,
        event: &Event<'_>,
        cause: &Cause<'_>,
        index: usize,
        terms: &mut Terms<'_>,
    ) -> Transition {
        let tripped = self.tripped_bits();
        let track = self.tracks.entry(key).or_insert_with(|| Track {
            other: Sketch::of(published, terms.texts),
            failures: 0,
            episodes: 0,
            is_held: false,
            is_demoted: false,
            is_out: false,
        });
        let bit = 1 << index;
        let is_new = track.episodes & bit == 0;
        track.episodes |= bit;
        let with = if track.is_held { &track.other.recall() } else { published };
        let happened = accept(with, event, terms.limits, terms.now);
        let published_failures = track.failures;
        track.failures += happened.failures;
        let was_out = std::mem::replace(&mut track.is_out, !happened.standing.health.state.is_selectable());

        let transition = if track.is_held {
            track.other = Sketch::of(&happened.standing, terms.texts);
            Transition { standing: published.clone(), failures: 0, reset_failures: false }
        } else if track.episodes & tripped != 0 {
            let without = track.other.recall();
            track.hold(&happened.standing, terms.texts);
            Transition { standing: track.demote(without), failures: -published_failures, reset_failures: false }
        } else {
            happened
        };

        let (bits, is_out) = (track.episodes, track.is_out);
        self.is_changed |= bits & tripped != 0 && (is_new || is_out != was_out);
        for (episode, is_this) in self.episodes_in(bits).map(|(at, episode)| (episode, at == index)) {
            episode.failed += u64::from(is_new && is_this);
            let counted = was_out && !(is_new && is_this);
            episode.out = episode.out + u64::from(is_out) - u64::from(counted);
        }
        if let Some(Some(episode)) = self.episodes.get_mut(index) {
            episode.note(cause.message);
        }
        transition
    }

    /// An event that is no guarded failure concerns the key with its failures and without.
    fn pass(&mut self, key: KeyId, published: &Standing, event: &Event<'_>, terms: &mut Terms<'_>) -> Transition {
        let after = accept(published, event, terms.limits, terms.now);
        let Some(track) = self.tracks.get_mut(&key) else { return after };
        let other = accept(&track.other.recall(), event, terms.limits, terms.now).standing;
        track.other = Sketch::of(&other, terms.texts);
        track.is_demoted &= after.standing.health.state == KeyState::Degraded;
        let (with, without) = if track.is_held { (&other, &after.standing) } else { (&after.standing, &other) };
        let is_out = without.health.state.is_selectable() && !with.health.state.is_selectable();
        let was_out = std::mem::replace(&mut track.is_out, is_out);
        let bits = track.episodes;
        for (_, episode) in self.episodes_in(bits) {
            episode.out = episode.out + u64::from(is_out) - u64::from(was_out);
        }
        self.is_changed |= is_out != was_out && bits & self.tripped_bits() != 0;
        // Back from what the failures did, while what came between would still keep it out: they made no odds.
        if with.health.state.is_selectable() && !without.health.state.is_selectable() {
            self.forget(key);
        }
        after
    }

    /// Trips where it is time: answers the keys to be taken back ([`Guard::take_back`]). `selectable` is the number of
    /// keys that may serve.
    pub(crate) fn trip(&mut self, selectable: u64, limits: &GuardLimits) -> Vec<KeyId> {
        let mut bits = 0;
        for (index, episode) in self.episodes.iter_mut().enumerate() {
            let Some(episode) = episode.as_mut().filter(|episode| !episode.is_tripped) else { continue };
            if limits.are_met(episode.failed, selectable + episode.out) {
                episode.is_tripped = true;
                bits |= 1 << index;
            }
        }
        if bits == 0 {
            return Vec::new();
        }
        self.is_changed = true;
        let is_concerned = |track: &Track| track.episodes & bits != 0 && !track.is_held;
        self.tracks.iter().filter(|(_, track)| is_concerned(track)).map(|(key, _)| *key).collect()
    }

    /// Takes the failures of a key back that are published: it is as before, but degraded.
    pub(crate) fn take_back(&mut self, key: KeyId, published: &Standing, texts: &mut Texts) -> Option<Transition> {
        let track = self.tracks.get_mut(&key).filter(|track| !track.is_held)?;
        let without = track.other.recall();
        track.hold(published, texts);
        Some(Transition { standing: track.demote(without), failures: -track.failures, reset_failures: false })
    }

    /// Whether the failure is of a block that is over: its attempt began before the success that ended it.
    fn is_late(&self, cause: &Cause<'_>) -> bool {
        let is_of = |past: &Past| past.class == cause.class && past.upstream == *cause.upstream;
        self.past.iter().any(|past| is_of(past) && cause.began <= past.until)
    }

    /// A success whose attempt began after `began` failures ends the episodes at the upstream that began before: what was
    /// held is dropped, and so is what attempts that have begun by now still bring. `turn` tells those from the attempts
    /// that begin later ([`super::watch::Watch::turn`]). Answers the keys to be released ([`Guard::released`]).
    pub(crate) fn success(&mut self, upstream: &str, began: u64, turn: impl FnOnce() -> u64) -> Vec<KeyId> {
        let is_over = |episode: &Episode| *episode.upstream == *upstream && episode.number <= began;
        let blocks = self.episodes.iter().flatten().filter(|episode| is_over(episode) && episode.is_tripped);
        let classes: Vec<_> = blocks.map(|episode| (episode.class, episode.upstream.clone())).collect();
        if !classes.is_empty() {
            let until = turn();
            for (class, upstream) in classes {
                self.past.retain(|past| past.class != class || past.upstream != upstream);
                self.past.push(Past { class, upstream, until });
            }
            let surplus = self.past.len().saturating_sub(EPISODES);
            self.past.drain(..surplus);
        }
        self.end(is_over)
    }

    /// Ends everything; what was held is dropped. Answers the keys to be released.
    pub(crate) fn give_up(&mut self) -> Vec<KeyId> {
        self.end(|_| true)
    }

    /// A key that was only degraded because it was held is so no longer.
    pub(crate) fn released(published: &Standing) -> Transition {
        let mut standing = published.clone();
        if standing.health.state == KeyState::Degraded {
            standing.health.state = KeyState::Active;
        }
        Transition { standing, failures: 0, reset_failures: false }
    }

    /// Ends the episodes that have tripped and answers the keys that fail after all.
    pub(crate) fn accept_held(&mut self) -> Vec<Held> {
        let held: Vec<KeyId> = self.tracks.iter().filter(|(_, track)| track.is_held).map(|(key, _)| *key).collect();
        let take = |key| {
            let track = self.take_out(key)?;
            Some(Held { key, standing: track.other, failures: track.failures })
        };
        let held = held.into_iter().filter_map(take).collect();
        self.end(|episode| episode.is_tripped);
        held
    }

    /// The key is gone, or decided over by somebody who knows better.
    pub(crate) fn forget(&mut self, key: KeyId) {
        self.take_out(key);
    }

    /// Where failures are held back.
    pub(crate) fn tripped(&self) -> Vec<TrippedGuard> {
        self.episodes.iter().flatten().filter(|episode| episode.is_tripped).map(Episode::report).collect()
    }

    fn end(&mut self, is_over: impl Fn(&Episode) -> bool) -> Vec<KeyId> {
        let mut ended = 0_u64;
        for (index, episode) in self.episodes.iter_mut().enumerate() {
            if let Some(over) = episode.take_if(|episode| is_over(episode)) {
                self.is_changed |= over.is_tripped;
                ended |= 1 << index;
            }
        }
        if ended == 0 {
            return Vec::new();
        }
        let tripped = self.tripped_bits();
        let (mut released, mut left) = (Vec::new(), Vec::new());
        self.tracks.retain(|key, track| {
            track.episodes &= !ended;
            let stays = if track.is_held { track.episodes & tripped != 0 } else { track.episodes != 0 };
            if !stays {
                released.extend(track.is_demoted.then_some(*key));
                // A key that is released starts anew in the episodes that have not tripped.
                left.extend((track.episodes != 0).then_some((track.episodes, track.is_out)));
            }
            stays
        });
        left.into_iter().for_each(|(bits, is_out)| self.uncount(bits, is_out));
        released
    }

    fn take_out(&mut self, key: KeyId) -> Option<Track> {
        let track = self.tracks.remove(&key)?;
        self.uncount(track.episodes, track.is_out);
        Some(track)
    }

    fn uncount(&mut self, bits: u64, is_out: bool) {
        let mut is_shown = false;
        for (_, episode) in self.episodes_in(bits) {
            episode.failed -= 1;
            episode.out -= u64::from(is_out);
            is_shown |= episode.is_tripped;
        }
        self.is_changed |= is_shown;
        for episode in &mut self.episodes {
            episode.take_if(|episode| episode.failed == 0);
        }
    }

    /// The episode of the cause, which may begin with it.
    fn episode(&mut self, cause: &Cause<'_>, now: Timestamp) -> Option<usize> {
        let is_it = |episode: &Episode| episode.class == cause.class && episode.upstream == *cause.upstream;
        if let Some(index) = self.episodes.iter().position(|episode| episode.as_ref().is_some_and(is_it)) {
            return Some(index);
        }
        let free = self.episodes.iter().position(Option::is_none).unwrap_or_else(|| {
            self.episodes.push(None);
            self.episodes.len() - 1
        });
        if free >= EPISODES {
            self.episodes.truncate(EPISODES);
            return None;
        }
        self.episodes[free] = Some(Episode::begin(cause, now));
        Some(free)
    }

    fn episodes_in(&mut self, bits: u64) -> impl Iterator<Item = (usize, &mut Episode)> {
        let is_in = move |index: usize| bits & (1 << index) != 0;
        self.episodes.iter_mut().enumerate().filter_map(move |(index, episode)| {
            episode.as_mut().filter(|_| is_in(index)).map(|episode| (index, episode))
        })
    }

    fn tripped_bits(&self) -> u64 {
        let is_tripped = |episode: &Option<Episode>| episode.as_ref().is_some_and(|episode| episode.is_tripped);
        (0..).zip(&self.episodes).filter(|(_, episode)| is_tripped(episode)).fold(0, |bits, (at, _)| bits | 1 << at)
    }
}

impl Track {
    /// From here on the key is published without its failures.
    fn hold(&mut self, with: &Standing, texts: &mut Texts) {
        self.other = Sketch::of(with, texts);
        self.is_held = true;
    }

    /// A key that is held serves on probation.
    fn demote(&mut self, mut standing: Standing) -> Standing {
        if standing.health.state == KeyState::Active {
            standing.health.state = KeyState::Degraded;
            self.is_demoted = true;
        }
        standing
    }
}
