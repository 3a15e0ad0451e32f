//! What the attempts of one request have tried, and what is left to try.

use std::{borrow::Cow, sync::Arc, time::Duration};

use arrayvec::ArrayVec;
use gpt_load_actors::pool::{NoKey, Verdict, Want};
use gpt_load_schema::{ids::KeyId, time::Timestamp};
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    attempted::Failure,
    error::ProxyError,
    pick::since_epoch,
    retry, rules,
    table::{Aggregate, Route, Serving, Standard},
};
use crate::channel::model::{Redirect, redirect};

/// Keys remembered as tried; beyond, a request may meet a key again.
const TRIED_KEYS: usize = 32;

/// Pause of a request that waits for a key before it asks again.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);

/// The memory of one request.
pub struct Tried {
    entrance: Arc<Route>,
    /// End of all attempts.
    deadline: Instant,
    keys: ArrayVec<KeyId, TRIED_KEYS>,
    /// Positions of the upstreams that failed, of the group that serves.
    pub upstreams: Vec<usize>,
    members: Vec<usize>,
    /// Upstream faults.
    faults: u32,
    /// Members whose limits this request was counted by.
    admitted: Vec<usize>,
    /// Members whose policies refuse this request, and the refusal that is told when no other member is left.
    refused: Vec<usize>,
    refusal: Option<ProxyError>,
    /// How the last attempt failed.
    pub last: Option<(Failure, Verdict)>,
    /// Until when a resting key is waited for, once there was none.
    patience: Option<Instant>,
}

impl Tried {
    /// Nothing tried yet of what `entrance` has.
    pub fn new(entrance: Arc<Route>, deadline: Instant) -> Self {
        Self {
            entrance,
            deadline,
            keys: ArrayVec::new(),
            upstreams: Vec::new(),
            members: Vec::new(),
            faults: 0,
            admitted: Vec::new(),
            refused: Vec::new(),
            refusal: None,
            last: None,
            patience: None,
        }
    }

    /// Keys of earlier attempts.
    pub fn keys(&self) -> &[KeyId] {
        &self.keys
    }

    /// A key is about to be tried.
    pub fn key(&mut self, key: KeyId) {
        self.patience = None;
        if self.keys.is_full() {
            self.keys.remove(0);
        }
        self.keys.push(key);
    }

    /// The group that serves the next attempt: the entrance itself, or a member of it with its position, one not tried
    /// yet while there is any.
    pub fn choose(&mut self) -> Option<(Arc<Route>, Option<usize>)> {
        let Serving::Aggregate(aggregate) = &self.entrance.serving else {
            return Some((Arc::clone(&self.entrance), None));
        };
        let now = Timestamp::now();
        let all = 0..aggregate.members.len();
        let is_passed = |index: &usize| self.members.contains(index) || !self.is_usable(aggregate, *index, now);
        let mut passed: Vec<usize> = all.clone().filter(is_passed).collect();
        if passed.len() == aggregate.members.len() {
            passed = all.filter(|index| !self.is_usable(aggregate, *index, now)).collect();
        }
        if passed.len() == aggregate.members.len() {
            return None;
        }
        let index = aggregate.balancer.pick(since_epoch(now), &passed);
        let member = Arc::clone(aggregate.members.get(index)?);
        self.members.push(index);
        self.upstreams.clear();
        Some((member, Some(index)))
    }

    /// Whether the request was counted by the member's limits.
    pub fn is_admitted(&self, member: usize) -> bool {
        self.admitted.contains(&member)
    }

    /// Notes what the member's policies say; answers whether they let the request in.
    pub fn admitted(&mut self, member: usize, result: Result<(), ProxyError>) -> bool {
        match result {
            Ok(()) => {
                self.admitted.push(member);
                true
            }
            Err(refused) => {
                self.refused.push(member);
                self.refusal = Some(rules::milder(self.refusal.take(), refused));
                false
            }
        }
    }

    /// Whether a member of an aggregate that has keys was not tried yet.
    pub fn has_untried_member(&self) -> bool {
        let Serving::Aggregate(aggregate) = &self.entrance.serving else { return false };
        let now = Timestamp::now();
        let mut all = 0..aggregate.members.len();
        all.any(|index| !self.members.contains(&index) && self.is_usable(aggregate, index, now))
    }

    fn is_usable(&self, aggregate: &Aggregate, member: usize, now: Timestamp) -> bool {
        !self.refused.contains(&member) && aggregate.members[member].pool.is_usable(now)
    }

    /// Waits until a key of the group, or of an aggregate's members, returns, when that is soon enough; `model` is what the
    /// client asked for.
    ///
    /// # Errors
    /// [`ProxyError::AllResting`], [`ProxyError::NoKeys`], or the refusal of a member's policy where no other member is left.
    pub async fn wait_for_key(&mut self, model: &str) -> Result<(), ProxyError> {
        let group = || self.entrance.group.definition.name.clone();
        let now = Timestamp::now();
        let resting = |route: &Route| {
            let model = asked_of(route, model);
            let want =
                Want { tried: &self.keys, first_attempt: self.keys.is_empty(), model: &model, ..Want::default() };
            match route.pool.look_out(&want, now) {
                // One came back in this moment.
                Ok(()) => Some(now),
                Err(NoKey::AllResting(until)) => Some(until),
                Err(NoKey::NoneUsable) => None,
            }
        };
        let until = match &self.entrance.serving {
            Serving::Aggregate(aggregate) => {
                let members = aggregate.members.iter().enumerate();
                let open = members.filter(|(index, _)| !self.refused.contains(index));
                open.filter_map(|(_, member)| resting(member)).min()
            }
            _ => resting(&self.entrance),
        };
        let Some(until) = until else { return Err(self.refusal.take().unwrap_or_else(|| ProxyError::NoKeys(group()))) };
        let wait = until.since(now);
        // Whoever has waited already and still finds nothing does not ask without a pause.
        let pause = if self.patience.is_some() { SHORTEST_WAIT } else { Duration::ZERO };
        let wake = Instant::now() + wait.max(pause);
        let max_wait = Duration::from_millis(self.entrance.settings.max_wait_ms);
        let patience = *self.patience.get_or_insert_with(|| Instant::now() + max_wait);
        if wake > patience.min(self.deadline) {
            let retry_after =
                Duration::from_secs(wait.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX));
            return Err(ProxyError::AllResting { group: group(), retry_after });
        }
        self.members.clear();
        sleep_until(wake).await;
        Ok(())
    }

    /// An untried upstream is asked at once; the same one only after a pause. Where only some are left to try, the pause is
    /// made when a key is bound to one that was.
    pub async fn pause_after_fault(&mut self, standard: &Standard, index: usize) {
        self.faults += 1;
        if !self.upstreams.contains(&index) {
            self.upstreams.push(index);
        }
        if !standard.has_other(&self.upstreams) {
            self.upstreams.clear();
            self.pause().await;
        }
    }

    /// Waits as long as is due before the same upstream is asked again, unless that is longer than there is time.
    pub async fn pause(&self) {
        let pause = retry::pause(self.faults, rand::random());
        if Instant::now() + pause < self.deadline {
            sleep(pause).await;
        }
    }
}

/// The model that the group will ask for where a client asks for `model`.
fn asked_of<'a>(route: &Route, model: &'a str) -> Cow<'a, str> {
    let definition = &route.group.definition;
    let asked = Some(model).filter(|model| !model.is_empty());
    match redirect(&definition.model_redirect_rules, definition.model_redirect_strict, asked) {
        Redirect::To(to) => Cow::Owned(to),
        Redirect::None | Redirect::Refused => Cow::Borrowed(model),
    }
}
