//! What the benches may see of a pool; no part of the gateway.

use std::sync::Arc;

use gpt_load_schema::{
    ids::{GroupId, KeyId},
    key::{KeyHealth, KeyRecord, KeySource, KeyState},
    settings::Settings,
    time::Timestamp,
};

use super::{PoolHandle, core::PoolCore, select::SelectionRules, shared::Shared, state::Limits};
use crate::{deltas::DeltaQueue, journal::Journal};

/// A pool without an actor.
pub struct BenchPool {
    core: PoolCore,
    handle: PoolHandle,
}

impl BenchPool {
    /// `keys` keys, of each hundred of which `dead` serve nobody (half of those rest, half are invalid), chosen from as
    /// `settings` say.
    pub fn new(keys: usize, dead: usize, settings: &Settings, now: Timestamp) -> Self {
        let shared =
            Arc::new(Shared::new(GroupId(1), Limits::of(settings), SelectionRules::of(settings), Journal::disabled()));
        let mut core = PoolCore::resume(shared.clone(), Arc::new(DeltaQueue::default()));
        // Dead and living keys are mixed, but in the same way in every run.
        let is_dead = |number: usize| number.wrapping_mul(61) % 100 < dead;
        let records: Vec<KeyRecord> = (0..keys).map(|number| record(number, is_dead(number), now)).collect();
        core.adopt(&records, None);
        core.publish(now);
        Self { core, handle: PoolHandle::new(shared) }
    }

    /// What the data path has.
    pub fn handle(&self) -> &PoolHandle {
        &self.handle
    }

    /// Builds the rotation anew, as after every change of a key.
    pub fn rebuild(&mut self, now: Timestamp) {
        self.core.publish(now);
    }
}

fn record(number: usize, is_dead: bool, now: Timestamp) -> KeyRecord {
    let rests = is_dead && number.is_multiple_of(2);
    let state = if is_dead && !rests { KeyState::Invalid } else { KeyState::Active };
    KeyRecord {
        id: KeyId(i64::try_from(number).unwrap_or(i64::MAX)),
        group_id: GroupId(1),
        value: Some(format!("sk-{number}").into()),
        hash: String::new(),
        notes: String::new(),
        health: KeyHealth {
            resting_until: rests.then(|| now + std::time::Duration::from_secs(3_600)),
            ..KeyHealth::new(state)
        },
        request_count: 0,
        failure_count: 0,
        last_used_at: None,
        created_at: now,
        updated_at: now,
        weight: i32::try_from(number % 100).unwrap_or(0) + 1,
        priority: 0,
        upstream: None,
        source: KeySource::Manual,
    }
}
