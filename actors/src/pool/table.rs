//! All keys of a pool, by ascending id.

use std::sync::Arc;

use gpt_load_schema::ids::KeyId;

use super::slot::Slot;

/// Keys per chunk; a power of two.
const CHUNK: usize = 4096;

/// A list of slots that is cheap to copy and to append to: copies share their full chunks.
#[derive(Clone, Default)]
pub(crate) struct Table {
    /// All but the last hold exactly [`CHUNK`] slots.
    chunks: Vec<Arc<Vec<Arc<Slot>>>>,
}

impl Table {
    pub(crate) fn len(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.len())
    }

    /// The slot at `index`, which must be below [`Table::len`].
    pub(crate) fn at(&self, index: usize) -> &Arc<Slot> {
        &self.chunks[index / CHUNK][index % CHUNK]
    }

    /// Whether both share all their slots.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.chunks.len() == other.chunks.len()
            && self.chunks.iter().zip(&other.chunks).all(|(one, another)| Arc::ptr_eq(one, another))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    pub(crate) fn find(&self, id: KeyId) -> Option<&Arc<Slot>> {
        let chunk = self.chunks.partition_point(|chunk| chunk.last().is_some_and(|slot| slot.id() < id));
        let slots = self.chunks.get(chunk)?;
        slots.binary_search_by_key(&id, |slot| slot.id()).ok().map(|index| &slots[index])
    }

    /// Adds slots whose ids are not in the table; cheap when they are greater than all that are.
    pub(crate) fn insert(&mut self, mut slots: Vec<Arc<Slot>>) {
        slots.sort_unstable_by_key(|slot| slot.id());
        let last = self.chunks.last().and_then(|chunk| chunk.last()).map(|slot| slot.id());
        if slots.first().map(|slot| slot.id()) > last {
            slots.into_iter().for_each(|slot| self.push(slot));
        } else if !slots.is_empty() {
            slots.extend(self.iter().cloned());
            slots.sort_unstable_by_key(|slot| slot.id());
            *self = slots.into_iter().collect();
        }
    }

    /// Keeps the slots that `keep` wants.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&Arc<Slot>) -> bool) {
        *self = self.iter().filter(|slot| keep(slot)).cloned().collect();
    }

    fn push(&mut self, slot: Arc<Slot>) {
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK => Arc::make_mut(last).push(slot),
            _ => self.chunks.push(Arc::new(vec![slot])),
        }
    }
}

impl FromIterator<Arc<Slot>> for Table {
    fn from_iter<I: IntoIterator<Item = Arc<Slot>>>(slots: I) -> Self {
        let mut table = Self::default();
        slots.into_iter().for_each(|slot| table.push(slot));
        table
    }
}
