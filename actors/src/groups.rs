//! The parent of all GroupActors: starts, stops and respawns them, and publishes the routing table.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use actix::{Actor, Context, Handler, Message};
use actix_rt::ArbiterHandle;
use arc_swap::{ArcSwap, ArcSwapOption};
use gpt_load_schema::{group::Group, ids::GroupId, settings::Settings};

use crate::{
    cluster::knowledge::Knowledge,
    deltas::DeltaQueue,
    events::Events,
    group::{Drain, GroupActor, Halt},
    journal::Journal,
    pool::{PoolHandle, select::SelectionRules, shared::Shared, state::Limits},
    respawn::{Lifeline, Link, Respawner},
    routing::{GroupPolicies, GroupRoute, RoutingSink, RoutingTable, SettingsSource},
};

/// A running group.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) group: Arc<Group>,
    pub(crate) settings: Arc<Settings>,
    policies: GroupPolicies,
    pub(crate) shared: Arc<Shared>,
    pub(crate) link: Arc<Link<GroupActor>>,
    respawner: Arc<Respawner<GroupActor>>,
}

/// The running groups; written by [`Groups`] alone, read by everyone.
#[derive(Default)]
pub(crate) struct Directory {
    members: ArcSwap<Vec<Member>>,
    system: ArcSwapOption<Settings>,
    version: AtomicU64,
    /// Outcomes applied by groups that are no more.
    applied_before: AtomicU64,
}

impl Directory {
    pub(crate) fn members(&self) -> Arc<Vec<Member>> {
        self.members.load_full()
    }

    pub(crate) fn member(&self, id: GroupId) -> Option<Member> {
        self.members.load().iter().find(|member| member.group.id == id).cloned()
    }

    /// System settings; `None` before the first [`Arrange`].
    pub(crate) fn system(&self) -> Option<Arc<Settings>> {
        self.system.load_full()
    }

    /// Outcomes that wait, and outcomes that are done with.
    pub(crate) fn outcomes(&self) -> (u64, u64) {
        let before = self.applied_before.load(Ordering::Relaxed);
        self.members.load().iter().fold((0, before), |(waiting, applied), member| {
            (waiting + member.shared.inbox.waiting(), applied + member.shared.applied())
        })
    }
}

/// What [`Groups`] needs to start groups; survives its panics.
pub(crate) struct Nursery {
    pub(crate) directory: Arc<Directory>,
    pub(crate) deltas: Arc<DeltaQueue>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) events: Events,
    pub(crate) respawns: Arc<AtomicU64>,
    /// Threads over which the groups spread.
    pub(crate) arbiters: Vec<ArbiterHandle>,
    pub(crate) settings: Arc<dyn SettingsSource>,
    pub(crate) sink: Arc<dyn RoutingSink>,
    /// Tells other nodes what becomes of keys; `None` on a node alone.
    pub(crate) knowledge: Option<Arc<Knowledge>>,
    /// Called when a group's actor has panicked, to compare its pool with the database.
    pub(crate) doubt: Arc<dyn Fn(GroupId) + Send + Sync>,
}

/// The parent actor.
pub(crate) struct Groups {
    nursery: Arc<Nursery>,
    _lifeline: Lifeline<Self>,
}

impl Groups {
    pub(crate) fn new(nursery: Arc<Nursery>, lifeline: Lifeline<Self>) -> Self {
        Self { nursery, _lifeline: lifeline }
    }
}

impl Actor for Groups {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(64);
    }
}

/// These are the groups, the stored settings and the policies. Starts and stops actors; pools of started groups are empty yet.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub(crate) struct Arrange {
    pub(crate) groups: Vec<Group>,
    pub(crate) rows: BTreeMap<String, String>,
    /// Groups that are not named have no policies.
    pub(crate) policies: BTreeMap<GroupId, GroupPolicies>,
}

impl Handler<Arrange> for Groups {
    type Result = ();

    fn handle(&mut self, message: Arrange, _: &mut Self::Context) {
        self.nursery.arrange(message);
    }
}

/// Publish the routing table.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub(crate) struct Publish;

impl Handler<Publish> for Groups {
    type Result = ();

    fn handle(&mut self, _: Publish, _: &mut Self::Context) {
        self.nursery.publish();
    }
}

impl Nursery {
    fn arrange(&self, Arrange { groups, rows, policies }: Arrange) {
        let system = Arc::new(self.settings.system(&rows));
        let before = self.directory.members();
        let members: Vec<Member> = groups
            .into_iter()
            .map(|group| {
                let settings = Arc::new(self.settings.effective(&system, &group));
                let (limits, selection) = (Limits::of(&settings), SelectionRules::of(&settings));
                let policies = policies.get(&group.id).cloned().unwrap_or_default();
                let group = Arc::new(group);
                match before.iter().find(|member| member.group.id == group.id) {
                    Some(member) => {
                        let before = member.shared.limits.swap(Arc::new(limits));
                        let urls = |group: &Group| {
                            group.definition.upstreams.iter().map(|upstream| upstream.url.clone()).collect::<Vec<_>>()
                        };
                        let has_moved = urls(&member.group) != urls(&group);
                        if has_moved {
                            member.shared.moves();
                        }
                        if has_moved || *before != limits {
                            member.link.nudge(Drain);
                        }
                        member.shared.select_by(selection);
                        Member { group, settings, policies, ..member.clone() }
                    }
                    None => Member { policies, ..self.start(group, settings, limits, selection) },
                }
            })
            .collect();
        for member in before.iter().filter(|member| members.iter().all(|kept| kept.group.id != member.group.id)) {
            member.respawner.retire();
            member.link.nudge(Halt);
            self.directory.applied_before.fetch_add(member.shared.applied(), Ordering::Relaxed);
        }
        self.directory.members.store(Arc::new(members));
        self.directory.system.store(Some(system));
    }

    fn start(&self, group: Arc<Group>, settings: Arc<Settings>, limits: Limits, selection: SelectionRules) -> Member {
        let id = group.id;
        let shared = Arc::new(Shared::new(id, limits, selection, self.journal.clone()));
        self.knowledge.iter().for_each(|knowledge| shared.share(Arc::clone(knowledge)));
        let link = Arc::new(Link::default());
        let nudged = link.clone();
        shared.on_outcome(Box::new(move || nudged.nudge(Drain)));
        let spread = usize::try_from(id.0.unsigned_abs()).unwrap_or(0) % self.arbiters.len().max(1);
        let (pool, deltas, events) = (shared.clone(), self.deltas.clone(), self.events.clone());
        let doubt = self.doubt.clone();
        let respawner = Respawner::start(
            format!("group {id}"),
            self.arbiters[spread].clone(),
            link.clone(),
            self.respawns.clone(),
            move |lifeline| GroupActor::new(pool.clone(), deltas.clone(), events.clone(), lifeline),
            move || doubt(id),
        );
        Member { group, settings, policies: GroupPolicies::default(), shared, link, respawner }
    }

    fn publish(&self) {
        let Some(settings) = self.directory.system() else { return };
        let groups = self.directory.members().iter().map(Member::route).collect();
        let version = self.directory.version.fetch_add(1, Ordering::Relaxed) + 1;
        self.sink.publish(Arc::new(RoutingTable { version, settings, groups }));
    }

    /// Lets all groups go when their threads end.
    pub(crate) fn retire(&self) {
        self.directory.members().iter().for_each(|member| member.respawner.retire());
    }
}

impl Member {
    /// The group as the data path needs it.
    pub(crate) fn route(&self) -> GroupRoute {
        GroupRoute {
            group: self.group.clone(),
            settings: self.settings.clone(),
            pool: PoolHandle::new(self.shared.clone()),
            policies: self.policies.clone(),
        }
    }
}
