//! The node's validation calls, on threads of their own.

use std::{
    io,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use async_trait::async_trait;
use gpt_load_actors::{
    pool::{Candidate, Verdict},
    routing::GroupRoute,
    validation::{Finding, Prober},
};
use gpt_load_schema::{log::OutcomeClass, secret::Secret};
use tokio::{
    runtime::Builder,
    sync::{mpsc, oneshot},
    task::{LocalSet, spawn_local},
    time::interval,
};

use super::ask::{Question, ask};
use crate::{
    channel::{classify, validation::Call},
    proxy::table::{Route, Serving, Standard, Table},
    upstream::{Clients, Tls, breaker::Circuit},
};

/// A call costs some hundred microseconds of work; two threads make thousands a second.
const THREADS: usize = 2;
/// How often idle connections are looked at.
const SWEEP_EVERY: Duration = Duration::from_secs(2);

/// Asks providers about keys, with the groups' header rules, outbound proxies and TLS settings. Dropping it ends its
/// threads.
pub struct ThreadedProber {
    table: Arc<Table>,
    /// As many as [`THREADS`].
    threads: Vec<mpsc::UnboundedSender<Job>>,
    turns: AtomicUsize,
}

/// A call to be made; dropping the other end of `answer` ends it.
struct Job {
    route: Arc<Route>,
    upstream: usize,
    call: Call,
    key: Secret,
    answer: oneshot::Sender<(Verdict, Option<u16>)>,
}

impl ThreadedProber {
    /// Starts the threads; `table` says how each group's providers are reached.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn start(table: Arc<Table>, tls: &Tls) -> io::Result<Self> {
        let threads = (0..THREADS).map(|number| {
            let (jobs, queue) = mpsc::unbounded_channel();
            let tls = tls.clone();
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let named = thread::Builder::new().name(format!("validation-{number}"));
            named.spawn(move || LocalSet::new().block_on(&runtime, serve(queue, tls)))?;
            Ok(jobs)
        });
        Ok(Self { table, threads: threads.collect::<io::Result<_>>()?, turns: AtomicUsize::new(0) })
    }

    /// The call about a key; a sentence for people when none can be made.
    fn job(&self, group: &GroupRoute, key: &Candidate, turn: usize) -> Result<(Arc<Route>, usize, Call), String> {
        let definition = &group.group.definition;
        let route = self.table.load().get(&definition.name).filter(|route| route.group.id == group.group.id).cloned();
        let route = route.ok_or("the group is not known to this node yet")?;
        let standard = match &route.serving {
            Serving::Standard(standard) => standard,
            Serving::Aggregate(_) => return Err("an aggregate group has no upstreams of its own".to_owned()),
            Serving::Broken(reason) => return Err(format!("the group cannot be used as it is stored: {reason}")),
        };
        let upstream = match key.upstream.as_deref() {
            Some(bound) => position(standard, bound).ok_or("the group does not have the key's upstream any more")?,
            None => choose(standard, turn).ok_or("no upstream of the group takes requests")?,
        };
        let call = Call::of(&route.group.definition).map_err(|error| format!("validation_endpoint: {error}"))?;
        Ok((route, upstream, call))
    }
}

fn position(standard: &Standard, bound: &str) -> Option<usize> {
    standard.upstreams.iter().position(|upstream| *upstream.url == *bound.trim_end_matches('/'))
}

/// An upstream by weight, one with a closed circuit while there is any. Does not take part in the data path's rotation.
fn choose(standard: &Standard, turn: usize) -> Option<usize> {
    let states = standard.balancer.states();
    let is_closed = |at: usize| states.get(at).is_none_or(|state| state.circuit == Circuit::Closed);
    let weights = |also_open: bool| {
        let weighted = standard.weights.iter().copied().enumerate();
        weighted.map(move |(at, weight)| if also_open || is_closed(at) { weight } else { 0 }).collect::<Vec<_>>()
    };
    by_weight(&weights(false), turn).or_else(|| by_weight(&weights(true), turn))
}

/// The position whose share of the turns `turn` falls into; `None` when nothing has a weight.
fn by_weight(weights: &[u32], turn: usize) -> Option<usize> {
    let total: u64 = weights.iter().copied().map(u64::from).sum();
    let mut place = u64::try_from(turn).unwrap_or(0).checked_rem(total)?;
    weights.iter().position(|weight| {
        let is_here = place < u64::from(*weight);
        place = place.saturating_sub(u64::from(*weight));
        is_here
    })
}

#[async_trait]
impl Prober for ThreadedProber {
    async fn probe(&self, group: &GroupRoute, key: &Candidate) -> Finding {
        let model: Arc<str> = group.group.definition.test_model.as_str().into();
        let nothing = |message: String| classify::transport("no-validation", message);
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        let (route, upstream, call) = match self.job(group, key, turn) {
            Ok(job) => job,
            Err(reason) => return Finding { verdict: nothing(reason), upstream: "".into(), model, status: None },
        };
        let url = match &route.serving {
            Serving::Standard(standard) => Arc::clone(&standard.upstreams[upstream].url),
            Serving::Aggregate(_) | Serving::Broken(_) => "".into(),
        };
        let (answer, answered) = oneshot::channel();
        let job = Job { route, upstream, call, key: key.secret.clone(), answer };
        // A thread that is gone drops the job, and its end of the answer with it.
        let _ = self.threads[turn % THREADS].send(job);
        let (verdict, status) =
            answered.await.unwrap_or_else(|_| (Verdict::new(OutcomeClass::Abandoned, "no-validation"), None));
        Finding { verdict, upstream: url, model, status }
    }
}

/// Makes calls until nobody can order any.
async fn serve(mut queue: mpsc::UnboundedReceiver<Job>, tls: Tls) {
    let clients = Rc::new(Clients::new(tls));
    let mut sweeps = interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            job = queue.recv() => match job {
                Some(job) => _ = spawn_local(make(Rc::clone(&clients), job)),
                None => return,
            },
            _ = sweeps.tick() => clients.sweep(std::time::Instant::now()),
        }
    }
}

async fn make(clients: Rc<Clients>, job: Job) {
    let Job { route, upstream, call, key, mut answer } = job;
    let Serving::Standard(standard) = &route.serving else { return };
    let time = Duration::from_secs(route.settings.key_validation_timeout_seconds);
    let question = Question {
        upstream: &standard.upstreams[upstream],
        call: &call,
        auth_scheme: standard.auth_scheme,
        rules: Some((&standard.rules, &route.group.definition.name)),
        time,
    };
    tokio::select! {
        said = ask(&clients, question, &key) => {
            // Whoever asked may have gone a moment ago.
            let _ = answer.send(said);
        }
        () = answer.closed() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams_get_their_share_of_the_turns() {
        for (weights, expected) in [
            (&[1][..], &[0, 0, 0, 0, 0, 0][..]),
            (&[1, 2], &[0, 1, 1, 0, 1, 1]),
            (&[0, 2, 0, 1], &[1, 1, 3, 1, 1, 3]),
            (&[u32::MAX, u32::MAX], &[0, 0, 0, 0, 0, 0]),
        ] {
            let turns: Vec<_> = (0..6).filter_map(|turn| by_weight(weights, turn)).collect();
            assert_eq!(turns, expected, "{weights:?}");
        }
        assert_eq!(by_weight(&[], 3), None);
        assert_eq!(by_weight(&[0, 0], 3), None);
    }
}
