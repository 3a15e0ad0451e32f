//! What became of a key on one node, for all others: a key that failed here rests there too, a moment later and whether
//! or not there is a database.

use std::{mem, time::Duration};

use bytes::Bytes;
use gpt_load_schema::{
    ids::{GroupId, KeyId},
    key::KeyHealth,
    time::Timestamp,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// The topic of the bus.
pub(crate) const TOPIC: &str = "keys";
/// The topic of limits that are used up.
pub(crate) const LIMITS: &str = "limits";
/// Words gather for so long.
const GATHER: Duration = Duration::from_millis(5);
/// Words of one message, at most.
const WORDS: usize = 256;
/// Words that may wait while the bus is away; whoever misses more hears of the keys from the database.
const MAX_WAITING: usize = 100_000;

/// What became of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Word {
    pub(crate) group: GroupId,
    pub(crate) key: KeyId,
    /// The key from now on.
    pub(crate) health: KeyHealth,
    /// Counted failures that were added.
    pub(crate) failures: i64,
    /// Whether its failures were forgotten before.
    pub(crate) reset: bool,
    /// When that happened, by the clock of the node on which it did.
    pub(crate) at: Timestamp,
}

/// A provider said that a limit of a key is used up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UsedUp {
    pub(crate) group: GroupId,
    pub(crate) key: KeyId,
    /// The model that the limit is for; `None` = all.
    pub(crate) model: Option<String>,
    /// When it is whole again.
    pub(crate) until: Timestamp,
}

/// When the newest thing that a health holds happened.
pub(crate) fn time_of(health: &KeyHealth) -> Timestamp {
    let times = [health.last_failure_at, health.last_success_at, health.last_validated_at];
    times.into_iter().flatten().max().unwrap_or_default()
}

/// What this node has to say of keys.
#[derive(Default)]
pub(crate) struct Knowledge {
    waiting: Mutex<Vec<Word>>,
    used_up: Mutex<Vec<UsedUp>>,
    wake: Notify,
}

impl Knowledge {
    /// Tells all other nodes, within milliseconds.
    pub(crate) fn tell(&self, word: Word) {
        let mut waiting = self.waiting.lock();
        if waiting.len() < MAX_WAITING {
            waiting.push(word);
        }
        drop(waiting);
        self.wake.notify_one();
    }

    /// Tells all other nodes of a limit, within milliseconds. Called on the data path, seldom.
    pub(crate) fn tell_used_up(&self, limit: UsedUp) {
        let mut used_up = self.used_up.lock();
        if used_up.len() < MAX_WAITING {
            used_up.push(limit);
        }
        drop(used_up);
        self.wake.notify_one();
    }

    /// The next messages with their topics, once there is something to say.
    pub(crate) async fn messages(&self) -> Vec<(&'static str, Bytes)> {
        self.wake.notified().await;
        tokio::time::sleep(GATHER).await;
        let (words, used_up) = (mem::take(&mut *self.waiting.lock()), mem::take(&mut *self.used_up.lock()));
        let messages = words.chunks(WORDS).map(|words| (TOPIC, serde_json::to_vec(words)));
        let limits = used_up.chunks(WORDS).map(|limits| (LIMITS, serde_json::to_vec(limits)));
        messages.chain(limits).filter_map(|(topic, message)| Some((topic, message.ok()?.into()))).collect()
    }
}
