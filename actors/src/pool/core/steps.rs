//! Small steps of whoever writes a pool.

use std::{cmp::Reverse, collections::BinaryHeap};

use gpt_load_schema::{ids::KeyId, key::KeyHealth, time::Timestamp};

use super::{RETURN_AHEAD, Slot, Standing, Texts};

/// Publishes what a slot says already, without the marks that outcomes left which are no more.
pub(super) fn show(slot: &Slot, standing: &Standing, texts: &mut Texts) {
    slot.outcome_queued();
    slot.publish(standing, texts);
    slot.outcome_done();
}

/// Whether a key has the same place in the rotation either way.
pub(super) fn rotates_alike(one: &KeyHealth, other: &KeyHealth) -> bool {
    let outs = |health: &KeyHealth| {
        let models = health.models.iter().filter(|model| model.out_until().is_some());
        models.map(|model| (model.model.clone(), model.resting_until, model.disabled_until)).collect::<Vec<_>>()
    };
    one.state == other.state
        && one.resting_until == other.resting_until
        && (one.models == other.models || outs(one) == outs(other))
}

/// Notes when the key needs a look.
pub(super) fn remind(timers: &mut BinaryHeap<Reverse<(Timestamp, KeyId)>>, id: KeyId, standing: &Standing) {
    let health = &standing.health;
    timers.extend(health.disabled_until.map(|until| Reverse((until, id))));
    timers.extend(health.resting_until.map(|until| Reverse((until - RETURN_AHEAD, id))));
}
