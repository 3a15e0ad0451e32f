//! Asking about one key, and about many.

use std::{
    cell::Cell,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{Stream, StreamExt, stream};
use gpt_load_schema::{
    ids::{GroupId, KeyId},
    time::Timestamp,
};

use super::{
    Means,
    gate::Gate,
    prober::{Finding, Prober, Proof},
};
use crate::{
    groups::Member,
    pool::{Asked, Candidate, PoolHandle},
};

/// What came of one key.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// It was asked about.
    Found(Box<Finding>),
    /// It was deleted, restored or replaced before the answer, or is no longer meant.
    Gone,
}

impl Answer {
    /// What it proves.
    pub(crate) fn proof(&self) -> Proof {
        match self {
            Self::Found(finding) => Proof::of(&finding.verdict),
            Self::Gone => Proof::Nothing,
        }
    }
}

/// Asks about keys of one group.
#[derive(Clone)]
pub(crate) struct Inquiry {
    pub(crate) means: Arc<Means>,
    pub(crate) prober: Arc<dyn Prober>,
    pub(crate) group: GroupId,
    pub(crate) gate: Arc<Gate>,
    /// Whether the pool learns what was found.
    pub(crate) tells_pool: bool,
}

/// Validations of a group at the same time, by its settings.
pub(crate) fn places(member: &Member) -> usize {
    usize::try_from(member.settings.key_validation_concurrency).unwrap_or(usize::MAX).max(1)
}

impl Inquiry {
    fn member(&self) -> Option<Member> {
        self.means.directory.member(self.group)
    }

    /// Asks about one key as it is when its turn comes, if it still `is_meant` then.
    pub(crate) async fn ask(&self, key: KeyId, is_meant: impl Fn(&Candidate) -> bool) -> Answer {
        let _place = self.gate.enter(|| self.member().as_ref().map_or(1, places)).await;
        // A deleted group's pool still holds its keys.
        let Some(route) = self.member().map(|member| member.route()) else { return Answer::Gone };
        let candidate = route.pool.candidate(key, Timestamp::now()).filter(is_meant);
        let Some(candidate) = candidate else { return Answer::Gone };
        let finding = self.prober.probe(&route, &candidate).await;
        if !is_same(&route.pool, &candidate) {
            return Answer::Gone;
        }
        if self.tells_pool {
            let asked = Asked { upstream: &finding.upstream, model: &finding.model };
            route.pool.validated(&candidate, finding.verdict.clone(), asked, Timestamp::now());
        }
        Answer::Found(Box::new(finding))
    }

    /// Asks about many keys, at most `width` at the same time and one begun per `gap`, in any order of their ends.
    pub(crate) fn ask_all<'a>(
        &'a self,
        keys: impl IntoIterator<Item = KeyId> + 'a,
        width: usize,
        gap: Duration,
        is_meant: &'a dyn Fn(&Candidate) -> bool,
    ) -> impl Stream<Item = (KeyId, Answer)> + 'a {
        let pace = Rc::new(Pace { gap, next: Cell::new(None) });
        let asked = keys.into_iter().map(move |key| {
            let pace = Rc::clone(&pace);
            async move {
                pace.turn().await;
                (key, self.ask(key, is_meant).await)
            }
        });
        stream::iter(asked).buffer_unordered(width.max(1))
    }
}

/// Whether the key is what it was when it was asked about.
fn is_same(pool: &PoolHandle, candidate: &Candidate) -> bool {
    pool.candidate(candidate.id, candidate.due).is_some_and(|now| now.generation == candidate.generation)
}

/// Turns that follow each other at a distance; a turn that comes late is not made up for.
struct Pace {
    gap: Duration,
    next: Cell<Option<tokio::time::Instant>>,
}

impl Pace {
    async fn turn(&self) {
        if self.gap.is_zero() {
            return;
        }
        let now = tokio::time::Instant::now();
        let turn = self.next.get().map_or(now, |next| next.max(now));
        self.next.set(Some(turn + self.gap));
        if turn > now {
            tokio::time::sleep_until(turn).await;
        }
    }
}

/// Time since a run began.
pub(crate) struct Watch(Instant);

impl Watch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_keep_their_distance_and_are_never_made_up_for() {
        let pace = Pace { gap: Duration::from_millis(20), next: Cell::new(None) };
        let began = tokio::time::Instant::now();
        let mut turns = Vec::new();
        for busy_ms in [0, 0, 100, 0, 0] {
            pace.turn().await;
            turns.push(began.elapsed().as_millis());
            tokio::time::advance(Duration::from_millis(busy_ms)).await;
        }
        assert_eq!(turns, [0, 20, 40, 140, 160]);
    }
}
