//! The background validation: on the leader alone, group by group, in rounds.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, atomic::Ordering},
};

use futures_util::StreamExt;
use gpt_load_schema::{group::GroupType, ids::KeyId, time::Timestamp};
use parking_lot::Mutex;

use super::{
    Means,
    run::{Answer, Inquiry, Watch, places},
    schedule::{Schedule, gap, round_size},
};
use crate::{groups::Member, pool::Candidate};

/// Looks after all groups once; rounds go on beside it.
pub(super) async fn tick(means: Arc<Means>) {
    let _turn = Turn(Arc::clone(&means));
    if means.is_stopping() || !means.committer.leads().await {
        return;
    }
    let members = means.directory.members();
    means.schedules.lock().retain(|group, _| members.iter().any(|member| member.group.id == *group));
    means.gates.lock().retain(|group, _| members.iter().any(|member| member.group.id == *group));
    for member in members.iter().filter(|member| member.group.definition.group_type == GroupType::Standard) {
        visit(&means, member);
    }
}

/// While it lives, no other tick begins.
struct Turn(Arc<Means>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.is_ticking.store(false, Ordering::Release);
    }
}

fn visit(means: &Arc<Means>, member: &Member) {
    let Some(inquiry) = means.inquiry(member.group.id) else { return };
    let schedule = means.schedule(member.group.id);
    let pool = member.route().pool;
    let now = Timestamp::now();
    if !pool.guard().is_empty() {
        let turn = schedule.lock().guard_turn(now);
        if let Some(candidate) = turn.and_then(|last| pool.next_doubtful(last, now)) {
            schedule.lock().guard_asks(candidate.id);
            actix_rt::spawn(ask_one(inquiry.clone(), candidate.id));
        }
    }
    if !schedule.lock().wants_a_look(now) {
        return;
    }
    let watch = Watch::start();
    let due = {
        let schedule = schedule.lock();
        pool.due_for_validation(now, round_size(places(member)), |key| schedule.may_ask(key, now))
    };
    schedule.lock().looked(now, watch.elapsed());
    if !due.is_empty() {
        let round = Round::new(inquiry, schedule);
        actix_rt::spawn(round.run(due, places(member)));
    }
}

/// Asks about a key that the pool guard may hold back.
async fn ask_one(inquiry: Inquiry, key: KeyId) {
    tokio::select! {
        _ = inquiry.ask(key, |_| true) => {}
        () = inquiry.means.stopping() => {}
    }
}

/// One round over due keys; the schedule knows of its end even when it panics.
struct Round {
    inquiry: Inquiry,
    schedule: Arc<Mutex<Schedule>>,
}

impl Round {
    fn new(inquiry: Inquiry, schedule: Arc<Mutex<Schedule>>) -> Self {
        schedule.lock().begin();
        Self { inquiry, schedule }
    }

    async fn run(self, due: Vec<Candidate>, places: usize) {
        // Another run, or a request, may prove a key before its turn comes.
        let as_found: HashMap<_, _> = due.iter().map(|key| (key.id, (key.generation, key.state))).collect();
        let is_as_found = |key: &Candidate| as_found.get(&key.id) == Some(&(key.generation, key.state));
        let ids: Vec<KeyId> = due.into_iter().map(|key| key.id).collect();
        let asking = async {
            let mut answers = pin!(self.inquiry.ask_all(ids, places, gap(places), &is_as_found));
            let mut asked = 0_usize;
            while let Some((key, answer)) = answers.next().await {
                let Answer::Found(finding) = &answer else { continue };
                asked += 1;
                let now = Timestamp::now();
                let mut schedule = self.schedule.lock();
                schedule.note(key, answer.proof(), finding.verdict.retry_after, now);
                if !schedule.goes_on(now) || self.inquiry.means.committer.follows() {
                    break;
                }
            }
            asked
        };
        let asked = tokio::select! {
            asked = asking => asked,
            () = self.inquiry.means.stopping() => return,
        };
        let is_to_be_noted = asked > 0 && self.schedule.lock().is_to_be_noted(Timestamp::now());
        if is_to_be_noted {
            self.inquiry.means.note_run(self.inquiry.group).await;
        }
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        self.schedule.lock().end();
    }
}
