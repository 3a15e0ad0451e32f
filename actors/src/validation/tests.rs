//! Runs over real actors and a real database; only the provider is played.

use std::{
    collections::BTreeMap,
    sync::atomic::AtomicUsize,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use gpt_load_cluster::{
    Cluster, Epoch, NodeIdentity,
    lease::{Lease, Role},
};
use gpt_load_schema::{
    key::{KeySource, KeyState},
    log::OutcomeClass,
    secret::Secret,
    store::{KeySelector, ValidationFilter},
};
use tokio::sync::Semaphore;

use super::*;
use crate::{
    commands::Command,
    journal::Journal,
    pool::{Candidate, Suspect, TrippedGuard, Verdict},
    routing::GroupRoute,
    runtime::Runtime,
    tasks::Task,
    tests::fixture::{Fixed, Node, Sink},
};

/// A provider that says of a key what its value says: `sk-key_invalid-7` gets that class.
struct Played {
    /// Calls that may end.
    may_end: Semaphore,
    in_flight: AtomicUsize,
    peak: AtomicUsize,
    asked: Mutex<Vec<String>>,
}

impl Played {
    /// Answers at once.
    fn prompt() -> Arc<Self> {
        Self::ending(Semaphore::MAX_PERMITS)
    }

    /// Lets only so many calls end.
    fn ending(count: usize) -> Arc<Self> {
        Arc::new(Self {
            may_end: Semaphore::new(count),
            in_flight: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            asked: Mutex::default(),
        })
    }

    fn asked(&self) -> usize {
        self.asked.lock().len()
    }

    fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }
}

struct InFlight<'a>(&'a Played);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Prober for Played {
    async fn probe(&self, group: &GroupRoute, key: &Candidate) -> Finding {
        let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        let _in_flight = InFlight(self);
        self.peak.fetch_max(now, Ordering::SeqCst);
        self.asked.lock().push(key.secret.expose().to_owned());
        tokio::task::yield_now().await;
        self.may_end.acquire().await.expect("never closed").forget();
        let word = key.secret.expose().split('-').nth(1).unwrap_or_default();
        assert_ne!(word, "panic", "asked to panic");
        let class = OutcomeClass::ALL.into_iter().find(|class| class.as_str() == word);
        let verdict = Verdict::new(class.unwrap_or(OutcomeClass::Success), "played");
        let model = group.group.definition.test_model.as_str().into();
        Finding { verdict, upstream: "http://up".into(), model, status: None }
    }
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let asked = Instant::now();
    while !is_so() {
        assert!(asked.elapsed() < Duration::from_secs(20), "{what}");
        tokio::task::yield_now().await;
    }
}

impl Node {
    /// A group with these keys.
    async fn group_of(&self, name: &str, state: KeyState, keys: &[String]) -> GroupId {
        let group = self.group(name, 0).await;
        let values = keys.iter().map(|key| Secret::from(key.as_str())).collect();
        let source = KeySource::Manual;
        self.execute(Command::AddKeys { group, values, state: Some(state), source }).await;
        group
    }

    async fn store_setting(&self, name: &str, value: &str) {
        let values = BTreeMap::from([(name.to_owned(), Some(value.to_owned()))]);
        self.execute(Command::PutSettings(values)).await;
    }

    fn begin(&self, prober: &Arc<Played>) {
        self.runtime.begin_validation(Arc::clone(prober) as _, "node-1");
    }

    async fn task_ends(&self) -> Task {
        let current = || self.runtime.tasks().current(Timestamp::now());
        until("the task does not end", || current().is_some_and(|task| !task.is_running())).await;
        current().expect("it is remembered")
    }

    /// Looks for due keys a few times, to the end of each look.
    async fn tick(&self) {
        for _ in 0..3 {
            let validation = self.runtime.validation();
            until("a tick ends", || !validation.means.is_ticking.load(Ordering::Acquire)).await;
            validation.tick();
            until("a tick ends", || !validation.means.is_ticking.load(Ordering::Acquire)).await;
        }
    }
}

fn keys(word: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("sk-{word}-{number}")).collect()
}

fn counts(task: &Task) -> Vec<u64> {
    let result = task.result.as_ref().expect("it has a result");
    ["total_keys", "valid_keys", "invalid_keys", "validated_keys", "skipped_keys"]
        .map(|name| result.iter().find(|(known, _)| *known == name).expect("the count is there").1)
        .to_vec()
}

#[actix_rt::test]
async fn a_task_counts_every_key_once_and_the_pool_learns_of_all() {
    let node = Node::start().await;
    node.store_setting("pool_guard", "false").await;
    let all: Vec<String> =
        ["success", "client_error", "key_invalid", "key_forbidden", "rate_limited", "upstream_fault"]
            .into_iter()
            .zip(1..)
            .flat_map(|(word, count)| keys(word, count))
            .collect();
    let group = node.group_of("default", KeyState::Active, &all).await;
    let played = Played::prompt();
    node.begin(&played);
    let task = node.runtime.validation().validate_group(group, None, None).expect("it starts");
    assert_eq!((task.total, task.group.as_str(), task.owner.as_str()), (21, "default", "node-1"));
    let task = node.task_ends().await;
    assert_eq!((task.processed, task.error.as_deref()), (21, None));
    assert_eq!(counts(&task), [21, 1 + 2, 3 + 4, 10, 5 + 6]);
    let states = node.keys(group).await.into_iter().map(|key| key.health.state);
    assert_eq!(states.filter(|state| *state == KeyState::Invalid).count(), 3, "stored when the task ends");
    let stored = node.store.group(group).await.expect("read").expect("there");
    assert!(stored.last_validated_at.is_some());
    let mut asked = played.asked.lock().clone();
    asked.sort_unstable();
    asked.dedup();
    assert_eq!((asked.len(), played.asked()), (21, 21));
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn whoever_asks_there_are_never_more_calls_than_places() {
    let node = Node::start().await;
    node.store_setting("key_validation_concurrency", "3").await;
    let group = node.group_of("default", KeyState::Pending, &keys("key_forbidden", 60)).await;
    let played = Played::ending(30);
    node.begin(&played);
    let validation = node.runtime.validation();
    until("the background begins", || played.in_flight() > 0 || played.asked() > 0).await;
    validation.validate_group(group, None, Some(50)).expect("it starts");
    let ids = node.pool(group).ids(None);
    let increment = Increment {
        filter: ValidationFilter {
            created_since: Timestamp::default(),
            states: KeyState::ALL.to_vec(),
            validated_before: None,
        },
        concurrency: 20,
        batch: 10,
        time: Duration::from_secs(60),
    };
    let groups = [group];
    let ahead = async {
        until("some are asked", || played.asked() >= 30).await;
        node.store_setting("key_validation_concurrency", "2").await;
        played.peak.store(0, Ordering::SeqCst);
        until("those of the former limit leave", || played.in_flight() <= 3).await;
        played.may_end.add_permits(10_000);
    };
    let (tested, ran, ()) =
        tokio::join!(validation.test(group, ids, true), validation.incremental(&groups, &increment), ahead);
    assert_eq!(tested.expect("tested").len(), 60);
    let Ran::Done(reports) = ran.expect("it ran") else { panic!("60 keys need no task") };
    assert_eq!((reports[0].tally.total, reports[0].tally.failed), (60, 60));
    let task = node.task_ends().await;
    assert_eq!(counts(&task)[..3], [60, 0, 60]);
    assert!(played.peak.load(Ordering::SeqCst) <= 3, "{}", played.peak.load(Ordering::SeqCst));
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn all_places_are_used() {
    let node = Node::start().await;
    node.store_setting("key_validation_concurrency", "7").await;
    let group = node.group_of("default", KeyState::Active, &keys("success", 20)).await;
    let played = Played::ending(0);
    node.begin(&played);
    node.runtime.validation().validate_group(group, None, None).expect("it starts");
    until("the places are taken", || played.in_flight() == 7).await;
    played.may_end.add_permits(20);
    assert_eq!(counts(&node.task_ends().await)[..2], [20, 20]);
    assert_eq!(played.peak.load(Ordering::SeqCst), 7);
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn a_cancelled_task_ends_with_what_it_found() {
    let node = Node::start().await;
    let group = node.group_of("default", KeyState::Active, &keys("success", 50)).await;
    let played = Played::ending(6);
    node.begin(&played);
    let validation = node.runtime.validation();
    validation.validate_group(group, None, Some(4)).expect("it starts");
    let again = validation.validate_group(group, None, None);
    assert!(matches!(again, Err(ValidationError::TaskRunning(_))), "{again:?}");
    until("six are done and four under way", || played.asked() == 10 && played.in_flight() == 4).await;
    let task = node.runtime.tasks().cancel(Timestamp::now()).expect("it runs");
    assert!(task.is_cancelled);
    let task = node.task_ends().await;
    assert_eq!((task.error.as_deref(), task.processed), (Some("cancelled"), 6));
    assert_eq!(counts(&task), [50, 6, 0, 6, 44]);
    until("calls under way are dropped", || played.in_flight() == 0).await;
    assert_eq!(played.asked(), 10);
    assert!(validation.validate_group(group, None, None).is_ok(), "the next may begin");
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn what_is_not_there_is_not_validated() {
    let node = Node::start().await;
    let group = node.group_of("default", KeyState::Active, &keys("success", 1)).await;
    let validation = node.runtime.validation();
    assert!(matches!(validation.validate_group(group, None, None), Err(ValidationError::NotReady)));
    node.begin(&Played::prompt());
    let begin = |group, state| validation.validate_group(group, state, None);
    assert!(matches!(begin(GroupId(99), None), Err(ValidationError::NoSuchGroup)));
    assert!(matches!(begin(group, Some(KeyState::Invalid)), Err(ValidationError::Nothing)));
    assert_eq!(node.runtime.tasks().current(Timestamp::now()), None, "no task is left behind");
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn a_key_deleted_or_restored_meanwhile_counts_for_nothing() {
    let node = Node::start().await;
    let group = node.group_of("default", KeyState::Active, &keys("key_invalid", 3)).await;
    node.use_key(group, 1, OutcomeClass::KeyInvalid, None).await;
    node.flush().await;
    let played = Played::ending(0);
    node.begin(&played);
    node.runtime.validation().validate_group(group, None, None).expect("it starts");
    until("all are asked", || played.in_flight() == 3).await;
    let ids: Vec<_> = node.keys(group).await.iter().map(|key| key.id).collect();
    node.execute(Command::RestoreKeys(group, KeySelector::Ids(vec![ids[0]]))).await;
    node.execute(Command::DeleteKeys(group, KeySelector::Ids(vec![ids[1]]))).await;
    played.may_end.add_permits(3);
    assert_eq!(counts(&node.task_ends().await), [3, 0, 1, 1, 2]);
    let states: Vec<_> = node.keys(group).await.iter().map(|key| key.health.state).collect();
    assert_eq!(states, [KeyState::Active, KeyState::Invalid]);
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn a_panic_of_a_call_ends_the_task_and_nothing_else() {
    let node = Node::start().await;
    let group = node.group_of("default", KeyState::Active, &keys("panic", 3)).await;
    let played = Played::prompt();
    node.begin(&played);
    node.runtime.validation().validate_group(group, None, None).expect("it starts");
    let task = node.task_ends().await;
    assert!(task.error.is_some_and(|error| error.contains("unexpectedly")));
    let other = node.group_of("other", KeyState::Active, &keys("success", 3)).await;
    node.runtime.validation().validate_group(other, None, None).expect("the next may begin");
    assert_eq!(counts(&node.task_ends().await)[..2], [3, 3]);
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn a_test_may_leave_no_trace() {
    let node = Node::start().await;
    let group = node.group_of("default", KeyState::Active, &keys("key_invalid", 2)).await;
    node.begin(&Played::prompt());
    let ids = node.pool(group).ids(None);
    let found = node.runtime.validation().test(group, ids.clone(), false).await.expect("tested");
    assert!(ids.iter().all(|id| found[id].verdict.class == OutcomeClass::KeyInvalid));
    node.flush().await;
    assert_eq!(node.pool(group).counts().active, 2);
    node.runtime.validation().test(group, ids, true).await.expect("tested");
    assert_eq!(node.keys(group).await[0].health.state, KeyState::Invalid, "stored when it is answered");
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn pending_keys_are_proved_by_the_node_itself() {
    let node = Node::start().await;
    let group = node.group_of("default", KeyState::Pending, &keys("success", 5)).await;
    let played = Played::prompt();
    node.tick().await;
    assert_eq!(node.pool(group).counts().pending, 5, "nobody can ask yet");
    node.begin(&played);
    until("they are proved", || node.pool(group).counts().active == 5).await;
    node.group_of("other", KeyState::Pending, &keys("success", 5)).await;
    until("those of a later group too", || played.asked() == 10).await;
    node.tick().await;
    assert_eq!(played.asked(), 10, "what is proved is not asked again");
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn a_provider_that_is_down_is_not_asked_about_every_key() {
    let node = Node::start().await;
    node.store_setting("key_validation_concurrency", "1").await;
    let group = node.group_of("default", KeyState::Pending, &keys("upstream_fault", 100)).await;
    let played = Played::prompt();
    node.begin(&played);
    let schedule = node.runtime.validation().means.schedule(group);
    until("the round is broken off", || {
        let schedule = schedule.lock();
        !schedule.goes_on(Timestamp::now()) && !schedule.wants_a_look(Timestamp::now())
    })
    .await;
    node.tick().await;
    assert_eq!(played.asked(), 10);
    assert_eq!(node.pool(group).counts().pending, 100);
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn while_the_guard_holds_doubtful_keys_are_asked_one_by_one() {
    let node = Node::start().await;
    let group = node.group_of("default", KeyState::Active, &keys("upstream_fault", 4)).await;
    node.use_key(group, 2, OutcomeClass::KeyForbidden, None).await;
    node.flush().await;
    let played = Played::prompt();
    node.begin(&played);
    node.tick().await;
    assert_eq!(played.asked(), 0, "a degraded key is proved by requests");
    let member = node.runtime.directory().member(group).expect("the group runs");
    member.shared.tripped.store(Arc::new(vec![TrippedGuard {
        class: OutcomeClass::KeyForbidden,
        upstream: "http://up".into(),
        suspect: Suspect::Egress,
        since: Timestamp::now(),
        failed: 4,
        held: 3,
        message: String::new(),
    }]));
    until("one is asked", || played.asked() == 1).await;
    node.tick().await;
    assert_eq!(*played.asked.lock(), ["sk-upstream_fault-1"], "the next has its turn in some seconds");
    node.runtime.stop().await;
}

/// Leadership that another node holds.
struct Elsewhere;

#[async_trait]
impl Lease for Elsewhere {
    async fn lead(&self, _: Epoch) -> Option<Epoch> {
        None
    }

    fn current(&self) -> Option<Epoch> {
        None
    }

    fn watch(&self) -> watch::Receiver<Role> {
        watch::Sender::default().subscribe()
    }

    async fn release(&self) {}

    async fn close(&self) {}
}

#[actix_rt::test]
async fn a_follower_asks_nobody_by_itself() {
    let node = Node::start().await;
    let group = node.group_of("default", KeyState::Pending, &keys("success", 5)).await;
    node.runtime.stop().await;
    let Node { store, dir, .. } = node;
    let sink = Arc::new(Sink::default());
    let runtime = Runtime::start_with(
        store.clone(),
        Arc::new(Fixed),
        sink.clone(),
        Cluster { lease: Arc::new(Elsewhere), ..Cluster::local(NodeIdentity::new("node")) },
        (Journal::disabled(), vec![]),
    )
    .await;
    let follower = Node { runtime: runtime.expect("it starts"), store, sink, dir };
    let played = Played::prompt();
    follower.begin(&played);
    follower.tick().await;
    assert_eq!((played.asked(), follower.pool(group).counts().pending), (0, 5));
    follower.runtime.stop().await;
}

#[actix_rt::test]
async fn many_keys_are_validated_by_a_task_even_when_they_are_of_several_groups() {
    let node = Node::start().await;
    node.store_setting("key_validation_concurrency", "100").await;
    let one = node.group_of("one", KeyState::Active, &keys("success", 700)).await;
    let two = node.group_of("two", KeyState::Active, &keys("key_invalid", 301)).await;
    node.begin(&Played::prompt());
    let filter = ValidationFilter {
        created_since: Timestamp::default(),
        states: vec![KeyState::Active],
        validated_before: None,
    };
    let increment = Increment { filter, concurrency: 20, batch: 100, time: Duration::from_secs(60) };
    let ran = node.runtime.validation().incremental(&[one, two, GroupId(99)], &increment).await.expect("it runs");
    let Ran::Task(task) = ran else { panic!("not a task: {ran:?}") };
    assert_eq!((task.total, task.group.as_str()), (1_001, ""));
    assert_eq!(counts(&node.task_ends().await), [1_001, 700, 301, 1_001, 0]);
    let ran = node.runtime.validation().incremental(&[one, two], &increment).await.expect("it runs");
    let Ran::Done(reports) = ran else { panic!("not at once: {ran:?}") };
    let totals: Vec<_> = reports.iter().map(|report| (report.name.as_str(), report.tally.total)).collect();
    assert_eq!(totals, [("one", 700), ("two", 0)], "outcomes are stored before keys are selected");
    node.runtime.stop().await;
}
