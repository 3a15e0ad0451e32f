//! The actor of one group: applies outcomes to the pool and publishes the rotation.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, MessageResult, SpawnHandle};
use gpt_load_schema::{
    ids::KeyId,
    key::{KeyHealth, KeyRecord},
    time::Timestamp,
};

use crate::{
    cluster::knowledge::Word,
    commands::Order,
    deltas::DeltaQueue,
    events::{Event as Told, Events},
    pool::{
        core::{IdRange, PoolCore},
        shared::Shared,
        state::Event,
    },
    respawn::Lifeline,
};

/// Questions of the SyncActor come one at a time and wake-ups once per drain, so few messages ever wait.
const MAILBOX: usize = 64;
/// Outcomes gather for this long before they are applied: one wake-up for all of them.
const GATHER: Duration = Duration::from_millis(3);
/// Changes gather for at least this long before the rotation is rebuilt.
const REBUILD_PAUSE: Duration = Duration::from_millis(2);
/// A rebuild is paid for by this many times its own duration of rest, so that a large pool costs a few per cent of a core.
const REBUILD_REST: u32 = 20;
/// What happened to keys gathers for this long before it is told.
const TELL_AFTER: Duration = Duration::from_millis(250);
/// A clock that is set back must not stop returns for long.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// The one writer of its group's key states and of the snapshot that the data path reads.
pub(crate) struct GroupActor {
    shared: Arc<Shared>,
    core: PoolCore,
    rebuild_cost: Duration,
    rebuild_scheduled: bool,
    events: Events,
    telling_scheduled: bool,
    alarm: Option<(Timestamp, SpawnHandle)>,
    _lifeline: Lifeline<Self>,
}

impl GroupActor {
    /// Takes over the pool in `shared` with what waits in its inbox.
    pub(crate) fn new(shared: Arc<Shared>, deltas: Arc<DeltaQueue>, events: Events, lifeline: Lifeline<Self>) -> Self {
        Self {
            core: PoolCore::resume(shared.clone(), deltas),
            shared,
            rebuild_cost: Duration::ZERO,
            rebuild_scheduled: false,
            events,
            telling_scheduled: false,
            alarm: None,
            _lifeline: lifeline,
        }
    }

    fn drain(&mut self, ctx: &mut Context<Self>) {
        self.core.news.set_heard(self.events.are_heard());
        self.core.heed_limits();
        self.shared.inbox.take_arrived();
        while let Some(mut outcome) = self.shared.inbox.next() {
            self.core.apply(&mut outcome);
        }
        self.follow_up(ctx);
    }

    /// Whatever changed: the rotation is rebuilt soon, people are told, and the next return is on the clock.
    fn follow_up(&mut self, ctx: &mut Context<Self>) {
        if self.core.is_outdated() && !self.rebuild_scheduled {
            self.rebuild_scheduled = true;
            let pause = REBUILD_PAUSE.max(self.rebuild_cost.saturating_mul(REBUILD_REST));
            ctx.run_later(pause, |actor, ctx| {
                actor.rebuild_scheduled = false;
                actor.rebuild();
                actor.follow_up(ctx);
            });
        }
        if !self.core.news.is_empty() && !self.telling_scheduled {
            self.telling_scheduled = true;
            ctx.run_later(TELL_AFTER, |actor, _| {
                actor.telling_scheduled = false;
                actor.tell();
            });
        }
        self.set_alarm(ctx);
    }

    fn tell(&mut self) {
        let (group, counts) = (self.shared.group, self.shared.counts());
        for guard in self.core.news.take_guards(group) {
            self.events.tell(|| Told::Guard(Arc::new(guard)));
        }
        if let Some(keys) = self.core.news.take_keys(group, counts) {
            self.events.tell(|| Told::Keys(Arc::new(keys)));
        }
    }

    fn rebuild(&mut self) {
        let started = Instant::now();
        let now = Timestamp::now();
        self.core.news.set_heard(self.events.are_heard());
        self.core.advance(now);
        self.core.publish(now);
        self.rebuild_cost = started.elapsed();
    }

    fn set_alarm(&mut self, ctx: &mut Context<Self>) {
        let due = self.core.next_due();
        if due == self.alarm.map(|(due, _)| due) {
            return;
        }
        if let Some((_, alarm)) = self.alarm.take() {
            ctx.cancel_future(alarm);
        }
        self.alarm = due.map(|due| {
            let wait = due.since(Timestamp::now()).min(LONGEST_SLEEP);
            let alarm = ctx.run_later(wait, |actor, ctx| {
                actor.alarm = None;
                actor.core.news.set_heard(actor.events.are_heard());
                actor.core.advance(Timestamp::now());
                actor.follow_up(ctx);
            });
            (due, alarm)
        });
    }
}

impl Actor for GroupActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.drain(ctx);
    }
}

/// Outcomes arrived.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub(crate) struct Drain;

impl Handler<Drain> for GroupActor {
    type Result = ();

    fn handle(&mut self, _: Drain, ctx: &mut Self::Context) {
        ctx.run_later(GATHER, Self::drain);
    }
}

/// Apply all outcomes that arrived; the answer comes when their changes wait for the next commit.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub(crate) struct Settle;

impl Handler<Settle> for GroupActor {
    type Result = ();

    fn handle(&mut self, _: Settle, ctx: &mut Self::Context) {
        self.drain(ctx);
    }
}

/// Take stored keys into the pool; answers the number of keys. See [`PoolCore::adopt`].
#[derive(Clone, Message)]
#[rtype(result = "usize")]
pub(crate) struct Adopt {
    /// Ascending by id.
    pub(crate) records: Arc<Vec<KeyRecord>>,
    /// The records are all keys in this range.
    pub(crate) all_of: Option<IdRange>,
    /// More records follow: the rotation need not know of these before the answer, but soon.
    pub(crate) more_follow: bool,
}

impl Handler<Adopt> for GroupActor {
    type Result = usize;

    fn handle(&mut self, message: Adopt, ctx: &mut Self::Context) -> usize {
        self.core.adopt(&message.records, message.all_of);
        if !message.more_follow {
            self.rebuild();
            let unreadable = self.core.unreadable();
            if unreadable > 0 {
                tracing::warn!(
                    group = self.shared.group.0,
                    unreadable,
                    "keys whose stored value does not decrypt stay out of the pool; check ENCRYPTION_KEY"
                );
            }
        }
        self.follow_up(ctx);
        self.core.total()
    }
}

/// Take deleted keys out of the pool; answers the number of keys left. No request begins with them any more.
#[derive(Clone, Message)]
#[rtype(result = "usize")]
pub(crate) struct Remove {
    pub(crate) ids: Arc<Vec<KeyId>>,
    /// More follow: the rotation need not close its ranks before the answer, but soon.
    pub(crate) more_follow: bool,
}

impl Handler<Remove> for GroupActor {
    type Result = usize;

    fn handle(&mut self, message: Remove, ctx: &mut Self::Context) -> usize {
        if !message.ids.is_empty() {
            self.core.remove(&message.ids);
            if !message.more_follow {
                self.rebuild();
            }
            self.follow_up(ctx);
        }
        self.core.total()
    }
}

/// Carry out a person's order about a key; answers whether the pool has it.
#[derive(Clone, Message)]
#[rtype(result = "bool")]
pub(crate) struct Direct {
    pub(crate) key: KeyId,
    pub(crate) order: Order,
}

impl Handler<Direct> for GroupActor {
    type Result = bool;

    fn handle(&mut self, message: Direct, ctx: &mut Self::Context) -> bool {
        let event = match message.order {
            Order::Disable => Event::Disable,
            Order::Enable => Event::Enable,
            Order::Invalidate => Event::Invalidate,
            Order::Restore => Event::Restore,
        };
        let is_known = self.core.order(message.key, &event, Timestamp::now());
        self.rebuild();
        self.follow_up(ctx);
        is_known
    }
}

/// Let the failures take effect that the pool guard holds back; answers the number of keys that they concern.
#[derive(Clone, Message)]
#[rtype(result = "usize")]
pub(crate) struct AcceptHeld;

impl Handler<AcceptHeld> for GroupActor {
    type Result = usize;

    fn handle(&mut self, _: AcceptHeld, ctx: &mut Self::Context) -> usize {
        let count = self.core.accept_held();
        self.rebuild();
        self.follow_up(ctx);
        count
    }
}

/// Other nodes say what became of keys.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub(crate) struct Hear {
    pub(crate) words: Arc<Vec<Word>>,
}

impl Handler<Hear> for GroupActor {
    type Result = ();

    fn handle(&mut self, message: Hear, ctx: &mut Self::Context) {
        self.core.news.set_heard(self.events.are_heard());
        for word in message.words.iter() {
            self.core.hear(word);
        }
        self.follow_up(ctx);
    }
}

/// Another node wants this to be stored of keys; answers what is to be stored instead of each, where this node knows later.
#[derive(Clone, Message)]
#[rtype(result = "Vec<Option<KeyHealth>>")]
pub(crate) struct Heed {
    pub(crate) words: Arc<Vec<Word>>,
}

impl Handler<Heed> for GroupActor {
    type Result = MessageResult<Heed>;

    fn handle(&mut self, message: Heed, ctx: &mut Self::Context) -> Self::Result {
        let known = message.words.iter().map(|word| self.core.hear(word)).collect();
        self.follow_up(ctx);
        MessageResult(known)
    }
}

/// The group is no more.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub(crate) struct Halt;

impl Handler<Halt> for GroupActor {
    type Result = ();

    fn handle(&mut self, _: Halt, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

#[cfg(test)]
pub(crate) mod panic {
    use super::*;

    /// Dies of it.
    #[derive(Clone, Message)]
    #[rtype(result = "()")]
    pub(crate) struct Panic;

    impl Handler<Panic> for GroupActor {
        type Result = ();

        fn handle(&mut self, _: Panic, _: &mut Self::Context) {
            panic!("asked to panic");
        }
    }
}
