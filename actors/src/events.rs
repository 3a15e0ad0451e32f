//! What happens on a node, told to whoever watches. Nothing depends on anybody watching.
//!
//! Tellers are actors, never the data path, and build an event only while somebody listens. A listener that is too slow
//! misses events and learns that it did; the memory for what it has not heard yet is bounded and shared by all.

use std::sync::Arc;

use gpt_load_schema::{
    ids::{GroupId, KeyId},
    key::KeyState,
    store::KeyCounts,
    time::Timestamp,
};
use parking_lot::Mutex;
use tokio::sync::broadcast::{self, error::RecvError};

use crate::{commands::Command, pool::TrippedGuard, tasks::Task};

/// Events kept for listeners that have not heard them yet.
const KEPT: usize = 256;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The long task began, went on (at most once a second) or ended.
    Task(Arc<Task>),
    /// Keys of a group changed their states, came or went.
    Keys(Arc<KeysChanged>),
    /// The pool guard of a group tripped, or let go.
    Guard(Arc<GuardChanged>),
    /// Groups, their order or their members changed.
    Groups,
    /// Settings changed.
    Settings,
    /// Policies, or which groups they are attached to, changed.
    Policies,
    /// Rows were added to the request log.
    Logs(NewRows),
}

/// What happened to the keys of a group since the last such event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysChanged {
    /// The group.
    pub group: GroupId,
    /// Its keys now.
    pub counts: KeyCounts,
    /// Changes of state, additions and removals.
    pub changed: u64,
    /// The keys whose states changed, ascending by id; empty when they are too many to be named.
    pub keys: Vec<KeyChange>,
}

/// A key that changed its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChange {
    /// The key.
    pub id: KeyId,
    /// Its value, masked.
    pub masked: String,
    /// State before.
    pub from: KeyState,
    /// State now.
    pub to: KeyState,
    /// Class of the failure that did it; `None` when it was none.
    pub class: Option<String>,
    /// What the provider said, redacted, at most 300 bytes.
    pub reason: Option<String>,
}

/// A pool guard that tripped or let go.
#[derive(Clone, Debug)]
pub struct GuardChanged {
    /// The group.
    pub group: GroupId,
    /// Whether failures are held back from now on, or no longer.
    pub is_tripped: bool,
    /// What is or was held back.
    pub episode: TrippedGuard,
}

/// Rows that are in the request log since the last such event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewRows {
    /// How many.
    pub count: u64,
    /// Time of the oldest.
    pub from: Timestamp,
    /// Time of the newest.
    pub until: Timestamp,
}

impl NewRows {
    /// These rows and one more.
    pub(crate) fn and(rows: Option<Self>, at: Timestamp) -> Self {
        let Self { count, from, until } = rows.unwrap_or(Self { count: 0, from: at, until: at });
        Self { count: count + 1, from: from.min(at), until: until.max(at) }
    }
}

impl Event {
    /// What a management write makes happen, if it is not told elsewhere.
    pub(crate) const fn of(command: &Command) -> Option<Self> {
        match command {
            Command::CreateGroup(_)
            | Command::UpdateGroup(..)
            | Command::DeleteGroup(_)
            | Command::SetSubGroups(..)
            | Command::ReorderGroups(_) => Some(Self::Groups),
            Command::PutSettings(_) => Some(Self::Settings),
            Command::CreatePolicy(_)
            | Command::UpdatePolicy(..)
            | Command::DeletePolicy(_)
            | Command::SetGroupPolicies(..) => Some(Self::Policies),
            _ => None,
        }
    }
}

/// Where events are told and heard. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    feed: Arc<Mutex<Feed>>,
}

struct Feed {
    /// Number of the last event.
    number: u64,
    /// `None` when nothing more will be told.
    sender: Option<broadcast::Sender<(u64, Event)>>,
}

impl Default for Events {
    fn default() -> Self {
        let feed = Feed { number: 0, sender: Some(broadcast::Sender::new(KEPT)) };
        Self { feed: Arc::new(Mutex::new(feed)) }
    }
}

/// Why nobody else may listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deaf {
    /// As many listen as may.
    Full,
    /// The node stops.
    Ended,
}

/// What a listener hears.
#[derive(Clone, Debug)]
pub enum Heard {
    /// An event and its number.
    Event(u64, Event),
    /// Events were missed; the number is that of the last one that happened.
    Missed(u64),
}

impl Events {
    /// Tells an event, which is built only if somebody listens. It has a number in any case, so that whoever comes back
    /// learns whether something happened meanwhile.
    pub fn tell(&self, event: impl FnOnce() -> Event) {
        let feed = &mut *self.feed.lock();
        feed.number += 1;
        if let Some(sender) = feed.sender.as_ref().filter(|sender| sender.receiver_count() > 0) {
            // An error means that the last listener has just gone.
            let _ = sender.send((feed.number, event()));
        }
    }

    /// Whether somebody listens.
    pub fn are_heard(&self) -> bool {
        self.feed.lock().sender.as_ref().is_some_and(|sender| sender.receiver_count() > 0)
    }

    /// A listener to all events after the one whose number is answered, unless `most` listen already.
    ///
    /// # Errors
    /// See [`Deaf`].
    pub fn listen(&self, most: usize) -> Result<(Listener, u64), Deaf> {
        let feed = self.feed.lock();
        let sender = feed.sender.as_ref().ok_or(Deaf::Ended)?;
        if sender.receiver_count() >= most {
            return Err(Deaf::Full);
        }
        Ok((Listener { events: self.clone(), receiver: sender.subscribe() }, feed.number))
    }

    /// Nothing more is told; listeners end when they have heard what there is.
    pub fn end(&self) {
        self.feed.lock().sender = None;
    }
}

/// Hears events.
pub struct Listener {
    events: Events,
    receiver: broadcast::Receiver<(u64, Event)>,
}

impl Listener {
    /// What comes next; `None` when nothing will.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.receiver.recv().await {
            Ok((number, event)) => Some(Heard::Event(number, event)),
            Err(RecvError::Closed) => None,
            Err(RecvError::Lagged(_)) => {
                // What is left of the events missed would only be told twice.
                let feed = self.events.feed.lock();
                self.receiver = feed.sender.as_ref()?.subscribe();
                Some(Heard::Missed(feed.number))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(heard: Option<Heard>) -> (u64, bool) {
        match heard.expect("something is heard") {
            Heard::Event(number, _) => (number, false),
            Heard::Missed(number) => (number, true),
        }
    }

    #[tokio::test]
    async fn events_are_numbered_whether_heard_or_not() {
        let events = Events::default();
        events.tell(|| unreachable!("nobody listens"));
        assert!(!events.are_heard());
        let (mut listener, last) = events.listen(1).expect("there is room");
        assert_eq!(last, 1);
        events.tell(|| Event::Groups);
        events.tell(|| Event::Settings);
        assert_eq!(number(listener.next().await), (2, false));
        assert_eq!(number(listener.next().await), (3, false));
        drop(listener);
        events.tell(|| unreachable!("nobody listens any more"));
        assert_eq!(events.listen(1).map(|(_, last)| last).ok(), Some(4));
    }

    #[tokio::test]
    async fn a_slow_listener_learns_that_it_missed_something_and_goes_on_from_there() {
        let events = Events::default();
        let (mut listener, _) = events.listen(1).expect("there is room");
        for _ in 0..KEPT + 2 {
            events.tell(|| Event::Groups);
        }
        assert_eq!(number(listener.next().await), (KEPT as u64 + 2, true));
        events.tell(|| Event::Policies);
        assert_eq!(number(listener.next().await), (KEPT as u64 + 3, false));
    }

    #[tokio::test]
    async fn listeners_are_few_and_end_with_the_node() {
        let events = Events::default();
        let (first, _) = events.listen(2).expect("there is room");
        let (mut second, _) = events.listen(2).expect("there is room");
        assert_eq!(events.listen(2).err(), Some(Deaf::Full));
        drop(first);
        let (_third, _) = events.listen(2).expect("there is room again");
        events.tell(|| Event::Groups);
        events.end();
        events.tell(|| unreachable!("it has ended"));
        assert_eq!(number(second.next().await), (1, false));
        assert!(second.next().await.is_none());
        assert_eq!(events.listen(2).err(), Some(Deaf::Ended));
    }

    #[test]
    fn rows_add_up() {
        let rows = [5, 3, 9].into_iter().fold(None, |rows, at| Some(NewRows::and(rows, Timestamp(at))));
        assert_eq!(rows, Some(NewRows { count: 3, from: Timestamp(3), until: Timestamp(9) }));
    }
}
