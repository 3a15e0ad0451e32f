//! Validations that a person asks for.

use std::{collections::HashMap, pin::pin, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt, future::join_all, stream};
use gpt_load_schema::{
    group::GroupType,
    ids::{GroupId, KeyId},
    key::KeyState,
    store::ValidationFilter,
    time::Timestamp,
};

use super::{
    Finding, Means, Tally, Validation, ValidationError,
    run::{Answer, Inquiry, Watch, places},
};
use crate::{
    group::Settle,
    groups::Member,
    pool::Candidate,
    tasks::{Task, TaskHandle, TaskKind},
};

/// More keys than this are validated by a task.
const MAX_AT_ONCE: usize = 1_000;

/// An incremental validation.
#[derive(Clone, Debug)]
pub struct Increment {
    /// Which keys.
    pub filter: ValidationFilter,
    /// Calls at the same time, per group; the group's own limit rules too.
    pub concurrency: usize,
    /// Keys selected at a time.
    pub batch: u32,
    /// How long a run that is waited for may take.
    pub time: Duration,
}

/// What a validation of one group found.
#[derive(Clone, Debug)]
pub struct Report {
    /// The group.
    pub group: GroupId,
    /// Its name.
    pub name: String,
    /// The counts.
    pub tally: Tally,
    /// How long it took.
    pub duration: Duration,
}

/// What came of an incremental validation.
#[derive(Debug)]
pub enum Ran {
    /// It is done.
    Done(Vec<Report>),
    /// It is too large to be waited for.
    Task(Box<Task>),
}

/// The keys of one group that a run is about.
struct Part {
    inquiry: Inquiry,
    name: String,
    keys: Vec<KeyId>,
    width: usize,
}

impl Validation {
    /// Starts the task that validates the keys of a group, all or those in `state`, at most `concurrency` at the same
    /// time; the group's own limit rules too.
    ///
    /// # Errors
    /// See [`ValidationError`].
    pub fn validate_group(
        &self,
        group: GroupId,
        state: Option<KeyState>,
        concurrency: Option<usize>,
    ) -> Result<Task, ValidationError> {
        let member = self.member(group)?;
        let keys = member.route().pool.ids(state);
        self.start_task(vec![self.part(&member, keys, concurrency)?])
    }

    /// Asks about these keys of a group; the answer holds what was found for each that was still there. With
    /// `tells_pool` the keys' states change accordingly.
    ///
    /// # Errors
    /// See [`ValidationError`].
    pub async fn test(
        &self,
        group: GroupId,
        keys: Vec<KeyId>,
        tells_pool: bool,
    ) -> Result<HashMap<KeyId, Finding>, ValidationError> {
        let member = self.member(group)?;
        let mut part = self.part(&member, keys, None)?;
        part.inquiry.tells_pool = tells_pool;
        let mut found = HashMap::with_capacity(part.keys.len());
        let all = async {
            let mut answers = pin!(part.answers());
            while let Some((key, answer)) = answers.next().await {
                if let Answer::Found(finding) = answer {
                    found.insert(key, *finding);
                }
            }
        };
        tokio::select! {
            () = all => {}
            () = self.means.stopping() => return Err(ValidationError::NotReady),
        }
        if tells_pool {
            part.conclude().await;
        }
        Ok(found)
    }

    /// Validates the keys of some groups that match a filter: at once when they are few, else by a task. Groups that are
    /// gone, and aggregates, have no keys.
    ///
    /// # Errors
    /// See [`ValidationError`].
    pub async fn incremental(&self, groups: &[GroupId], increment: &Increment) -> Result<Ran, ValidationError> {
        let mut parts = Vec::new();
        for group in groups {
            let Ok(member) = self.member(*group) else { continue };
            settle(&self.means, &member).await;
            let keys = self.matching(*group, increment).await?;
            parts.push(self.part(&member, keys, Some(increment.concurrency))?);
        }
        if parts.iter().map(|part| part.keys.len()).sum::<usize>() > MAX_AT_ONCE {
            return self.start_task(parts).map(|task| Ran::Task(Box::new(task)));
        }
        let reports = join_all(parts.into_iter().map(|part| async move {
            let watch = Watch::start();
            let mut tally = Tally::of(part.keys.len());
            let all = async {
                let mut answers = pin!(part.answers());
                while let Some((_, answer)) = answers.next().await {
                    tally.note(answer.proof());
                }
            };
            tokio::select! {
                () = all => {}
                () = tokio::time::sleep(increment.time) => {}
                () = part.inquiry.means.stopping() => {}
            }
            part.conclude().await;
            let Part { inquiry, name, .. } = part;
            Report { group: inquiry.group, name, tally, duration: watch.elapsed() }
        }));
        Ok(Ran::Done(reports.await))
    }

    async fn matching(&self, group: GroupId, increment: &Increment) -> Result<Vec<KeyId>, ValidationError> {
        let mut keys: Vec<KeyId> = Vec::new();
        loop {
            let after = keys.last().copied();
            let page = self.means.store.keys_to_validate(group, &increment.filter, after, increment.batch).await?;
            let is_last = page.len() < increment.batch as usize;
            keys.extend(page);
            if is_last {
                return Ok(keys);
            }
        }
    }

    fn member(&self, group: GroupId) -> Result<Member, ValidationError> {
        let member = self.means.directory.member(group).ok_or(ValidationError::NoSuchGroup)?;
        match member.group.definition.group_type {
            GroupType::Standard => Ok(member),
            GroupType::Aggregate => Err(ValidationError::NoSuchGroup),
        }
    }

    fn part(&self, member: &Member, keys: Vec<KeyId>, concurrency: Option<usize>) -> Result<Part, ValidationError> {
        let ready = Some(&self.means).filter(|means| !means.is_stopping());
        let inquiry = ready.and_then(|means| means.inquiry(member.group.id)).ok_or(ValidationError::NotReady)?;
        let width = concurrency.map_or_else(|| places(member), |wanted| wanted.clamp(1, places(member)));
        Ok(Part { inquiry, name: member.group.definition.name.clone(), keys, width })
    }

    fn start_task(&self, parts: Vec<Part>) -> Result<Task, ValidationError> {
        let total: usize = parts.iter().map(|part| part.keys.len()).sum();
        if total == 0 {
            return Err(ValidationError::Nothing);
        }
        let name = if let [part] = &parts[..] { part.name.as_str() } else { "" };
        let tally = Tally::of(total);
        let handle = self.means.tasks.begin(TaskKind::KeyValidation, name, tally.total, Timestamp::now())?;
        let task = handle.task().ok_or(ValidationError::NotReady)?;
        let means = Arc::clone(&self.means);
        self.means.arbiter.spawn_fn(move || _ = actix_rt::spawn(work(means, parts, handle)));
        Ok(task)
    }
}

impl Part {
    /// Asks about the keys, at full speed.
    fn answers(&self) -> impl Stream<Item = (KeyId, Answer)> + '_ {
        self.inquiry.ask_all(self.keys.iter().copied(), self.width, Duration::ZERO, &|_: &Candidate| true)
    }

    /// The keys were asked about: whoever reads them next sees what came of it.
    async fn conclude(&self) {
        let Self { inquiry, .. } = self;
        if let Some(member) = inquiry.means.directory.member(inquiry.group) {
            settle(&inquiry.means, &member).await;
            inquiry.means.note_run(inquiry.group).await;
        }
    }
}

/// Brings what a group's pool knows into the database; where that fails, it waits there for the next commit.
async fn settle(means: &Means, member: &Member) {
    if member.link.ask(Settle).await.is_ok()
        && let Err(error) = means.committer.commit_all().await
    {
        tracing::warn!(group = member.group.id.0, %error, "the outcomes of validations wait for the database");
    }
}

/// How the work of a task ended.
enum End {
    Whole,
    Cancelled,
    Stopped,
}

/// Does the work of a task.
async fn work(means: Arc<Means>, parts: Vec<Part>, mut handle: TaskHandle) {
    let mut tally = Tally::of(parts.iter().map(|part| part.keys.len()).sum());
    let mut processed = 0;
    let end = {
        let mut answers = stream::select_all(parts.iter().map(|part| Box::pin(part.answers())));
        loop {
            let next = tokio::select! {
                biased;
                () = handle.cancelled() => break End::Cancelled,
                () = means.stopping() => break End::Stopped,
                next = answers.next() => next,
            };
            let Some((_, answer)) = next else { break End::Whole };
            tally.note(answer.proof());
            processed += 1;
            handle.progress(processed, || tally.result(), Timestamp::now());
        }
    };
    join_all(parts.iter().map(Part::conclude)).await;
    let (result, now) = (tally.result(), Timestamp::now());
    match end {
        End::Whole => handle.finish(result, now),
        End::Cancelled => handle.give_up(result, now),
        End::Stopped => handle.fail("the node was stopped", result, now),
    }
}
