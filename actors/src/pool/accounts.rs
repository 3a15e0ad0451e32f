//! Which keys belong to one account of a provider, as far as its answers tell.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use super::{ledger::Ledger, slot::Slot};

/// The accounts of a group's keys, by the hash of their names.
#[derive(Default)]
pub(crate) struct Accounts {
    known: Mutex<HashMap<u64, Account>>,
}

struct Account {
    ledger: Arc<Ledger>,
    slots: Vec<Arc<Slot>>,
}

impl Accounts {
    /// All known keys of an account; none when it is unknown.
    pub(crate) fn siblings(&self, account: u64) -> Vec<Arc<Slot>> {
        self.known.lock().get(&account).map(|account| account.slots.clone()).unwrap_or_default()
    }

    /// The key belongs to `account`: its limits are those of all its keys.
    pub(crate) fn join(&self, slot: &Arc<Slot>, account: u64) -> Arc<Ledger> {
        if slot.is_gone() {
            return slot.ledger_or_own();
        }
        let mut known = self.known.lock();
        if let Some(former) = slot.account().filter(|former| *former != account) {
            leave(&mut known, former, |sibling| !Arc::ptr_eq(sibling, slot));
        }
        let entry = known
            .entry(account)
            .or_insert_with(|| Account { ledger: Arc::new(Ledger::of_account(account)), slots: Vec::new() });
        if slot.account() != Some(account) {
            entry.slots.push(slot.clone());
        }
        slot.keep_ledger(entry.ledger.clone());
        entry.ledger.clone()
    }

    /// Forgets keys that were deleted.
    pub(crate) fn sweep<'a>(&self, removed: impl IntoIterator<Item = &'a Arc<Slot>>) {
        let mut known = self.known.lock();
        let mut accounts: Vec<u64> = removed.into_iter().filter_map(|slot| slot.account()).collect();
        accounts.sort_unstable();
        accounts.dedup();
        accounts.into_iter().for_each(|account| leave(&mut known, account, |slot| !slot.is_gone()));
    }
}

fn leave(known: &mut HashMap<u64, Account>, account: u64, stays: impl Fn(&Arc<Slot>) -> bool) {
    if let Some(entry) = known.get_mut(&account) {
        entry.slots.retain(stays);
        if entry.slots.is_empty() {
            known.remove(&account);
        }
    }
}
