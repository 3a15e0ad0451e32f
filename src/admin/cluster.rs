//! `GET /api/cluster`: the nodes as this one sees them.

use std::time::Duration;

use actix_web::web;
use gpt_load_cluster::{
    Cluster,
    lease::Role,
    members::{Member, MemberRole},
};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::timeout;

use super::{
    AdminState,
    envelope::{ApiResult, Success},
    openapi::types::Time,
};

/// How long Redis may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Cluster")]
pub(super) struct ClusterBody {
    /// `single`: a node without Redis, which is alone; `cluster`.
    mode: &'static str,
    /// Name of the node that answers.
    #[serde(rename = "self")]
    this: String,
    /// Name of the node that leads; `null` while none is known.
    leader: Option<String>,
    /// The term of leadership, when the node that answers leads.
    epoch: Option<i64>,
    /// By name.
    nodes: Vec<NodeBody>,
    /// `null` for a node that is alone.
    redis: Option<RedisBody>,
    /// What nodes have sent up to the leader and the database does not have; `null` when that is not known.
    uplink_backlog: Option<u64>,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "ClusterNode")]
struct NodeBody {
    name: String,
    /// `leader`, `follower`, `candidate`: stands for election, because nobody leads.
    role: MemberWord,
    is_self: bool,
    /// It never leads.
    is_slave: bool,
    /// Where other nodes reach it; empty for a node that is alone.
    address: String,
    version: String,
    #[schemars(with = "Time")]
    started_at: String,
    /// When it last said that it lives.
    #[schemars(with = "Time")]
    seen_at: String,
    /// Age of the oldest thing that it has not brought to the database, in ms.
    lag_ms: u64,
    journal_bytes: u64,
    /// Records that the database does not have.
    journal_records: u64,
    /// Changes of groups, keys and settings that it knows of and has not applied.
    versions_behind: u64,
}

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ClusterRole")]
enum MemberWord {
    Leader,
    Follower,
    Candidate,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "ClusterRedis")]
struct RedisBody {
    /// It answers.
    ok: bool,
}

/// `GET /api/cluster`.
pub(super) async fn show(state: web::Data<AdminState>) -> ApiResult {
    let cluster = state.peers().cluster();
    // Who was there when Redis was asked last is better than nobody.
    let members = match timeout(PATIENCE, cluster.members.list()).await {
        Ok(Ok(members)) => members,
        _ => cluster.members.known().to_vec(),
    };
    let backlog = match timeout(PATIENCE, cluster.uplink.backlog()).await {
        Ok(Ok(backlog)) => Some(backlog),
        _ => None,
    };
    let role = cluster.lease.watch().borrow().clone();
    Success::data(&ClusterBody {
        mode: if cluster.is_shared { "cluster" } else { "single" },
        this: cluster.node.name.clone(),
        epoch: role.epoch().map(|epoch| epoch.0),
        leader: leader(cluster, &role),
        nodes: members.into_iter().map(|member| node(cluster, member)).collect(),
        redis: cluster.is_shared.then(|| RedisBody { ok: *cluster.reachable.borrow() }),
        uplink_backlog: backlog,
    })
}

/// The name of the node that leads.
pub(super) fn leader(cluster: &Cluster, role: &Role) -> Option<String> {
    match role {
        Role::Leader(_) => Some(cluster.node.name.clone()),
        Role::Follower { leader } => leader.clone(),
    }
}

fn node(cluster: &Cluster, member: Member) -> NodeBody {
    let Member { node, role, seen_at, report } = member;
    NodeBody {
        role: match role {
            MemberRole::Leader => MemberWord::Leader,
            MemberRole::Follower => MemberWord::Follower,
            MemberRole::Candidate => MemberWord::Candidate,
        },
        is_self: node.instance == cluster.node.instance,
        is_slave: node.is_slave,
        name: node.name,
        address: node.address,
        version: node.version,
        started_at: node.started_at.to_rfc3339(),
        seen_at: seen_at.to_rfc3339(),
        lag_ms: report.lag_ms,
        journal_bytes: report.journal_bytes,
        journal_records: report.journal_records,
        versions_behind: report.versions_behind,
    }
}
