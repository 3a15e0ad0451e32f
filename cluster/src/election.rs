//! Standing for election and keeping a lease: pure, with the time as a parameter.
//!
//! ```text
//!             acquire: Theirs, Free, failed               renew: Ours
//!            ┌──────────────┐                           ┌───────────┐
//!            ▼              │     acquire: Ours         │           ▼
//!  ───▶ follower ───────────┴─────────────────────▶ leader ──────────┘
//!            ▲                                          │
//!            └──────────────────────────────────────────┘
//!              renew: Theirs or Free · released · 2.5 s since the last renewal that succeeded was asked for
//!
//!  lock at Redis      ├──────────────── TTL 3 s ────────────────┤
//!  leader by own clock├──────────────── 2.5 s ──────────┤
//!                     asked for
//! ```
//!
//! The lock is set after it was asked for, so it lasts longer than the leader, who counts from the asking and stops half
//! a second early, believes: two clocks may differ in speed by a sixth before two nodes believe that they lead.

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::{
    Epoch,
    lease::{LockState, Role},
};

/// How long the lock lasts without a renewal.
pub const TTL: Duration = Duration::from_secs(3);
/// How long a leader believes in its last renewal.
pub const TRUST: Duration = Duration::from_millis(2_500);
/// How often a leader renews.
pub const RENEW_EVERY: Duration = Duration::from_secs(1);
/// How often the others look who leads, on average.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a renewal that failed waits before the next.
pub const RETRY_AFTER: Duration = Duration::from_millis(250);
/// How long a node that handed leadership over lets others stand.
pub const REST: Duration = Duration::from_secs(2);

/// A moment of a clock that never goes back, since any fixed origin.
pub type Moment = Duration;

/// What is to be asked of the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Take it, if it is free.
    Acquire,
    /// Keep it.
    Renew,
    /// See who has it.
    Look,
}

/// One node's part in elections.
#[derive(Clone, Debug)]
pub struct Election {
    is_eligible: bool,
    /// Greatest epoch known.
    seen: Epoch,
    term: Option<Term>,
    leader: Option<Leader>,
    /// When the next step is due.
    due: Moment,
    /// Before then it does not stand.
    rests_until: Moment,
}

#[derive(Clone, Copy, Debug)]
struct Term {
    epoch: Epoch,
    until: Moment,
}

#[derive(Clone, Debug)]
struct Leader {
    name: String,
    until: Moment,
}

impl Election {
    /// A node that has not asked yet; one that is not eligible only looks.
    pub const fn new(is_eligible: bool, now: Moment) -> Self {
        Self { is_eligible, seen: Epoch(0), term: None, leader: None, due: now, rests_until: Duration::ZERO }
    }

    /// When the next step is due, and which.
    pub fn next(&self) -> (Moment, Step) {
        let step = match self.term {
            Some(_) => Step::Renew,
            None if self.is_eligible && self.due >= self.rests_until => Step::Acquire,
            None => Step::Look,
        };
        (self.due, step)
    }

    /// When what [`role`](Self::role) says ends, unless it is confirmed.
    pub fn ends(&self) -> Option<Moment> {
        self.term.map(|term| term.until).or(self.leader.as_ref().map(|leader| leader.until))
    }

    /// The greatest epoch known, which the next has to exceed.
    pub const fn seen(&self) -> Epoch {
        self.seen
    }

    /// What the node is at `now`.
    pub fn role(&self, now: Moment) -> Role {
        match (self.term, &self.leader) {
            (Some(term), _) if now < term.until => Role::Leader(term.epoch),
            (None, Some(leader)) if now < leader.until => Role::Follower { leader: Some(leader.name.clone()) },
            _ => Role::default(),
        }
    }

    /// The lock answered `step`, which was asked at `asked`; `None` = it did not. `chance` is in 0..1.
    pub fn answered(&mut self, step: Step, answer: Option<LockState>, asked: Moment, now: Moment, chance: f64) {
        self.expire(now);
        let leads = self.term.is_some();
        match (step, answer) {
            // A term that ended while its renewal was under way is over: others were told so.
            (Step::Acquire, Some(LockState::Ours(epoch))) if now < asked + TRUST => self.hold(epoch, asked, now),
            (Step::Renew, Some(LockState::Ours(epoch))) if leads => self.hold(epoch, asked, now),
            (Step::Renew, None) if leads => self.due = now + RETRY_AFTER,
            (Step::Renew, Some(LockState::Free)) => self.lose(now + LOOK_EVERY.mul_f64(chance / 4.0)),
            (_, Some(LockState::Theirs { name, epoch, remaining })) => {
                // Redis may forget it, and then whoever leads next has to know.
                self.seen = self.seen.max(epoch);
                self.lose(now + (remaining + LOOK_EVERY.mul_f64(chance / 4.0)).min(jittered(chance)));
                self.leader = Some(Leader { name, until: now + remaining });
            }
            (_, Some(LockState::Free)) => self.lose(now + jittered(chance)),
            (_, Some(LockState::Ours(_)) | None) => self.due = now + jittered(chance),
        }
    }

    /// A greater epoch was given to this node's term.
    pub fn raised(&mut self, epoch: Epoch) {
        self.seen = self.seen.max(epoch);
        if let Some(term) = &mut self.term {
            term.epoch = term.epoch.max(epoch);
        }
    }

    /// Time has come to `now`: a leader whose lease is over steps down.
    pub fn expire(&mut self, now: Moment) {
        if self.term.is_some_and(|term| now >= term.until) {
            self.lose(now);
        }
        if self.leader.as_ref().is_some_and(|leader| now >= leader.until) {
            self.leader = None;
        }
    }

    /// The lock was freed, or may have been.
    pub fn freed(&mut self, now: Moment, chance: f64) {
        if self.term.is_none() {
            self.leader = None;
            self.due = self.due.min(now + LOOK_EVERY.mul_f64(chance / 20.0));
        }
    }

    /// The lock is another's: whatever was believed, this node does not lead.
    pub fn step_down(&mut self, now: Moment) {
        self.lose(now);
    }

    /// The node hands over: it lets others stand first.
    pub fn rest(&mut self, now: Moment) {
        self.lose(now + LOOK_EVERY);
        self.rests_until = now + REST;
    }

    /// The node hands over and never stands again.
    pub fn retire(&mut self, now: Moment) {
        self.rest(now);
        self.is_eligible = false;
    }

    fn hold(&mut self, epoch: Epoch, asked: Moment, now: Moment) {
        self.seen = self.seen.max(epoch);
        self.term = Some(Term { epoch: self.seen, until: asked + TRUST });
        self.leader = None;
        self.due = (asked + RENEW_EVERY).max(now);
    }

    fn lose(&mut self, due: Moment) {
        self.term = None;
        self.leader = None;
        self.due = due;
    }
}

/// About [`LOOK_EVERY`], so that nodes which saw a leader go at the same moment do not ask at the same moment.
fn jittered(chance: f64) -> Duration {
    LOOK_EVERY.mul_f64(0.75 + chance / 2.0)
}
