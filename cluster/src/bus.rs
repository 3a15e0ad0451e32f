//! Messages from one node to all others: quick, not kept, possibly lost, and then one is told so.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::broadcast::{self, error::RecvError};

use crate::ClusterResult;

/// Messages that a slow listener may be behind before it misses some.
pub const BACKLOG: usize = 4_096;

/// The way to all other nodes.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Tells all other nodes; this one does not hear it.
    ///
    /// # Errors
    ///
    /// [`ClusterError::Unavailable`](crate::ClusterError::Unavailable): some nodes may have heard it.
    async fn publish(&self, topic: &str, payload: Bytes) -> ClusterResult<()>;

    /// Listens from now on.
    fn subscribe(&self) -> Subscription;
}

/// What a listener is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Another node said something.
    Message(Message),
    /// Others may have said what this node did not hear: it has to compare versions.
    Missed,
}

/// What another node said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The name of the node.
    pub from: Arc<str>,
    /// What it is about.
    pub topic: Arc<str>,
    /// What it says.
    pub payload: Bytes,
}

/// A listener.
#[derive(Debug)]
pub struct Subscription(broadcast::Receiver<Event>);

impl Subscription {
    pub(crate) const fn new(events: broadcast::Receiver<Event>) -> Self {
        Self(events)
    }

    /// The next event; `None` when the bus is gone. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Event> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(_)) => Some(Event::Missed),
            Err(RecvError::Closed) => None,
        }
    }
}
