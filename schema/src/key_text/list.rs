//! Many keys in little memory.

use std::collections::VecDeque;

use zeroize::Zeroizing;

use crate::secret::Secret;

/// Bytes of a block; far above the longest key.
const BLOCK: usize = 256 << 10;
/// What stands between two keys of a block; no key holds it.
const BETWEEN: char = '\n';

/// Keys in order, one after another in blocks that are wiped as soon as their keys were taken: a list of a million needs
/// hardly more memory than their text.
#[derive(Default)]
pub struct KeyList {
    /// Each with room for [`BLOCK`] bytes from the beginning, so that no text is ever moved and left behind.
    blocks: VecDeque<Zeroizing<String>>,
    /// Bytes of the first block that were taken.
    taken: usize,
    len: usize,
}

impl KeyList {
    /// Keys left.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether no key is left.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends a checked key: at most [`super::MAX_KEY_BYTES`] visible ASCII characters.
    pub(super) fn push(&mut self, key: &str) {
        let has_room = self.blocks.back().is_some_and(|block| block.len() + key.len() < BLOCK);
        if !has_room {
            self.blocks.push_back(Zeroizing::new(String::with_capacity(BLOCK)));
        }
        if let Some(block) = self.blocks.back_mut() {
            block.push_str(key);
            block.push(BETWEEN);
            self.len += 1;
        }
    }

    /// Takes the next keys out of the list, at most `limit`.
    pub fn take(&mut self, limit: usize) -> Vec<Secret> {
        let mut keys = Vec::with_capacity(limit.min(self.len));
        while keys.len() < limit {
            let Some(block) = self.blocks.front() else { break };
            match block[self.taken..].split_once(BETWEEN) {
                Some((key, _)) => {
                    keys.push(Secret::from(key));
                    self.taken += key.len() + BETWEEN.len_utf8();
                }
                None => {
                    self.blocks.pop_front();
                    self.taken = 0;
                }
            }
        }
        self.len -= keys.len();
        keys
    }
}

impl std::fmt::Debug for KeyList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyList({} keys)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_out_as_they_went_in_whatever_the_blocks() {
        let mut list = KeyList::default();
        let key = |number: usize| format!("{number:05}{}", "k".repeat(number * 37 % 8_000));
        let all: Vec<String> = (0..500).map(key).collect();
        all.iter().for_each(|key| list.push(key));
        assert_eq!((list.len(), list.blocks.len() > 4), (500, true));
        assert!(list.blocks.iter().all(|block| block.capacity() == BLOCK), "no block ever grew");
        let mut taken = Vec::new();
        for limit in (1..).take_while(|limit| *limit < 40) {
            taken.extend(list.take(limit).iter().map(|key| key.expose().to_owned()));
        }
        assert_eq!(taken, all);
        assert!(list.is_empty() && list.take(1).is_empty() && list.blocks.is_empty());
        list.push("again");
        assert_eq!(list.take(9), [Secret::from("again")]);
    }
}
