use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Weak},
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};
use uuid::Uuid;

use super::node::Line;
use crate::{Epoch, counters::window::Window, members::Member, versions::Version};

/// What the nodes share.
#[derive(Default)]
pub(super) struct Hub {
    pub(super) lock: Mutex<LockCell>,
    pub(super) lines: Mutex<Vec<Weak<Line>>>,
    pub(super) uplink: Mutex<Entries>,
    pub(super) sent: Notify,
    pub(super) versions: Mutex<BTreeMap<String, Version>>,
    pub(super) members: Mutex<BTreeMap<String, (Member, Instant)>>,
    pub(super) windows: Mutex<HashMap<String, Window>>,
}

/// The lock of the leader.
#[derive(Default)]
pub(super) struct LockCell {
    pub(super) holder: Option<(String, Uuid, Instant)>,
    pub(super) epoch: Epoch,
}

impl LockCell {
    /// Who holds it now.
    pub(super) fn holder(&self) -> Option<&(String, Uuid, Instant)> {
        self.holder.as_ref().filter(|(_, _, until)| *until > Instant::now())
    }
}

/// What was sent up and is not acknowledged.
#[derive(Default)]
pub(super) struct Entries {
    pub(super) last_id: u64,
    /// Not handed out yet.
    pub(super) new: VecDeque<Entry>,
    pub(super) handed_out: BTreeMap<u64, Entry>,
    /// To be handed out again, before what is new.
    pub(super) again: VecDeque<u64>,
}

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) id: u64,
    pub(super) node: String,
    pub(super) payload: Bytes,
}

impl Hub {
    pub(super) fn lines(&self) -> Vec<Arc<Line>> {
        let mut lines = self.lines.lock();
        lines.retain(|line| line.strong_count() > 0);
        lines.iter().filter_map(Weak::upgrade).collect()
    }
}
