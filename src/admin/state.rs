//! What the handlers work with.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::HttpRequest;
use arc_swap::ArcSwapOption;
use gpt_load_actors::{
    commands::{Command, CommandError, Reply},
    routing::{GroupRoute, RoutingTable, SettingsSource},
    runtime::Runtime,
};
use gpt_load_cluster::{Cluster, NodeIdentity};
use gpt_load_schema::{
    access::Role,
    audit::{Actor, ActorKind, Deed, Ending, Outcome, Subject},
    group::Group,
    ids::GroupId,
    secret::Secret,
    settings::Settings,
    store::{Store, StoreResult},
    time::Timestamp,
    validate::UpstreamPolicy,
};
use ipnet::IpNet;
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use super::{
    auth::AuthKey,
    caller::{Caller, RequestId},
    error::{ApiError, ErrorCode},
    failure_notes::FailureNotes,
    forward::Peers,
    messages,
    metrics::MetricsPage,
    secret_strength::{Flaw, flaws},
    throttle::FailureLimit,
};
use crate::{client_ip::client_ip, upstream::balance::UpstreamState};

/// How the data path sees the upstreams of a group, in the order of its definition; empty where it serves none.
pub type UpstreamStates = Box<dyn Fn(GroupId) -> Vec<UpstreamState> + Send + Sync>;

/// `MAX_REQUEST_BYTES` as it is now; 0 = no limit.
pub type RequestLimit = Box<dyn Fn() -> u64 + Send + Sync>;

/// Its default.
const DEFAULT_REQUEST_LIMIT: u64 = 256 << 20;

/// How long an answer waits for outcomes and log rows on their way to the database.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

/// What does not change while the node runs.
#[derive(Clone, Debug)]
pub struct AppFacts {
    /// Start of the node.
    pub started_at: Timestamp,
    /// Version of the program.
    pub version: String,
    /// Name of the group behind the root entrance.
    pub default_group: String,
    /// Whether upstreams may have link-local addresses.
    pub allow_link_local: bool,
    /// Whether `OPENAI_BASE_URL` rules the upstreams of the default group.
    pub upstreams_ruled: bool,
    /// Peers whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<IpNet>,
}

/// What the handlers of the management API work with; one per node.
pub struct AdminState {
    /// Reads.
    pub store: Store,
    /// Writes.
    pub runtime: Runtime,
    /// Turns stored settings into typed ones.
    pub settings: Arc<dyn SettingsSource>,
    /// The routing table that rules now; `None` until the first one.
    pub routing: Arc<ArcSwapOption<RoutingTable>>,
    /// What does not change.
    pub app: AppFacts,
    upstreams: UpstreamStates,
    request_limit: RequestLimit,
    metrics: MetricsPage,
    auth_key: AuthKey,
    management_key_flaws: Vec<Flaw>,
    encryption_key_flaws: Vec<Flaw>,
    failures: FailureLimit,
    failure_notes: FailureNotes,
    group_edits: Mutex<()>,
    peers: Peers,
}

impl AdminState {
    /// Puts the parts together; `auth_key` is `AUTH_KEY`.
    pub fn new(
        store: Store,
        runtime: Runtime,
        settings: Arc<dyn SettingsSource>,
        routing: Arc<ArcSwapOption<RoutingTable>>,
        auth_key: &Secret,
        app: AppFacts,
    ) -> Self {
        Self {
            store,
            runtime,
            settings,
            routing,
            app,
            upstreams: Box::new(|_| Vec::new()),
            request_limit: Box::new(|| DEFAULT_REQUEST_LIMIT),
            metrics: MetricsPage::default(),
            auth_key: AuthKey::new(auth_key),
            management_key_flaws: flaws(auth_key.expose()),
            encryption_key_flaws: flaws(""),
            failures: FailureLimit::default(),
            failure_notes: FailureNotes::default(),
            group_edits: Mutex::new(()),
            peers: Peers::new(Cluster::local(NodeIdentity::new("node")), auth_key),
        }
    }

    /// With what the data path knows of upstreams.
    #[must_use]
    pub fn with_upstreams(self, upstreams: UpstreamStates) -> Self {
        Self { upstreams, ..self }
    }

    /// As one of the nodes of a cluster.
    #[must_use]
    pub fn with_peers(self, peers: Peers) -> Self {
        Self { peers, ..self }
    }

    /// The nodes of the cluster; a node that was not told of one is alone.
    pub(super) const fn peers(&self) -> &Peers {
        &self.peers
    }

    /// With the rule over the size of bodies that hold any number of keys.
    #[must_use]
    pub fn with_request_limit(self, request_limit: RequestLimit) -> Self {
        Self { request_limit, ..self }
    }

    /// With what `/metrics` shows; without this call that is nothing.
    #[must_use]
    pub fn with_metrics(self, metrics: MetricsPage) -> Self {
        Self { metrics, ..self }
    }

    /// What `/metrics` shows.
    pub(super) fn metrics(&self) -> &MetricsPage {
        &self.metrics
    }

    /// Seconds for which the client's address is refused, because it has failed too often.
    pub(super) fn refused_for(&self, request: &HttpRequest, now: Instant) -> Option<u64> {
        self.failures.refused_for(self.client_address(request), now)
    }

    /// Bytes of a body that holds any number of keys, at most.
    pub(super) fn request_limit(&self) -> usize {
        match (self.request_limit)() {
            0 => usize::MAX,
            limit => usize::try_from(limit).unwrap_or(usize::MAX),
        }
    }

    /// How the data path sees the upstreams of a group.
    pub(super) fn upstream_states(&self, group: GroupId) -> Vec<UpstreamState> {
        (self.upstreams)(group)
    }

    /// What this node serves a group by; `None` when it does not know the group.
    pub(super) fn route(&self, group: GroupId) -> Option<GroupRoute> {
        let table = self.routing.load();
        table.as_ref()?.groups.iter().find(|route| route.group.id == group).cloned()
    }

    /// Waits until what has ended is stored, unless the database is too slow for that.
    pub(super) async fn settled(&self) {
        let _ = tokio::time::timeout(FLUSH_TIMEOUT, self.runtime.flush()).await;
    }

    /// With what there is to say against `ENCRYPTION_KEY`; without this call it counts as unset.
    #[must_use]
    pub fn with_encryption_key(self, key: Option<&Secret>) -> Self {
        Self { encryption_key_flaws: flaws(key.map_or("", |key| key.expose())), ..self }
    }

    /// What there is to say against the management key.
    pub(super) fn management_key_flaws(&self) -> &[Flaw] {
        &self.management_key_flaws
    }

    /// What there is to say against `ENCRYPTION_KEY`.
    pub(super) fn encryption_key_flaws(&self) -> &[Flaw] {
        &self.encryption_key_flaws
    }

    /// Who presents `guess` with `request`: the management key, or the value of an access token. `None` when it is
    /// neither, which counts against the client's address and is noted in the audit log. The database is not asked.
    ///
    /// # Errors
    /// `TOO_MANY_REQUESTS` while the address has failed too often; `UNAUTHORIZED` for a token whose time is over, which is
    /// no guess and does not count.
    pub(super) fn identify(
        &self,
        guess: &str,
        request: &HttpRequest,
        now: Instant,
    ) -> Result<Option<Caller>, ApiError> {
        let address = self.client_address(request);
        if let Some(seconds) = self.failures.refused_for(address, now) {
            return Err(ApiError::throttled(seconds));
        }
        let of = |kind| Actor {
            address: address.to_string(),
            request_id: RequestId::of(request).text(),
            ..Actor::of_kind(kind)
        };
        if self.auth_key.matches(guess) {
            let role = Role::Admin;
            let actor = Actor { role: Some(role), ..of(ActorKind::ManagementKey) };
            return Ok(Some(Caller { actor, role }));
        }
        // Whoever does not know the lookup key cannot choose a hash, so that comparing it tells nothing by its time.
        let Some(known) = self.runtime.tokens().find(&self.store.lookup_hash(guess)) else {
            self.failures.record_failure(address, now);
            self.note_failure(of(ActorKind::Unknown), request.path(), now);
            return Ok(None);
        };
        let (token, at) = (&known.token, Timestamp::now());
        if !token.is_valid(at) {
            return Err(ApiError::saying(ErrorCode::Unauthorized, messages::TOKEN_EXPIRED));
        }
        self.runtime.tokens().used(&known, at);
        let role = token.definition.role;
        let name = token.definition.name.clone();
        let actor = Actor { token: Some(token.id), name, role: Some(role), ..of(ActorKind::Token) };
        Ok(Some(Caller { actor, role }))
    }

    fn note_failure(&self, actor: Actor, path: &str, now: Instant) {
        let Some(untold) = self.failure_notes.admit(now) else { return };
        let after = if untold > 0 { json!({"further_failures": untold}) } else { Value::Null };
        let subject = Subject { name: path.to_owned(), ..Subject::of_kind("management_api") };
        let deed = Deed { actor, action: "auth.failed", subject, at: Timestamp::now() };
        self.runtime.audit().record(deed, Ending { outcome: Outcome::Refused, ..Ending::done(after) });
    }

    /// Carries out a management write for `caller`, and notes it in the audit log.
    pub(super) async fn execute(&self, caller: &Caller, command: Command) -> Result<Reply, CommandError> {
        self.runtime.execute_for(caller.actor.clone(), command).await
    }

    /// Does something for `caller` that is no [`Command`], between two notes in the audit log; `tell` says what came of it.
    pub(super) async fn audited<T>(
        &self,
        caller: &Caller,
        action: &'static str,
        subject: Subject,
        doing: impl Future<Output = Result<T, ApiError>>,
        tell: impl FnOnce(&T) -> Value,
    ) -> Result<T, ApiError> {
        let deed = Deed { actor: caller.actor.clone(), action, subject, at: Timestamp::now() };
        let open = self.runtime.audit().begin(deed).await?;
        let done = doing.await;
        let ending = match &done {
            Ok(done) => Ending::done(tell(done)),
            Err(error) => Ending::failed(error),
        };
        self.runtime.audit().end(open, ending).await;
        done
    }

    /// Whose request it is, also when another node has forwarded it.
    pub(super) fn client_address(&self, request: &HttpRequest) -> IpAddr {
        let said = self.peers.said(request);
        said.map_or_else(|| client_ip(request, &self.app.trusted_proxies), |said| said.client)
    }

    /// Makes read-change-write edits of groups through this node follow one another.
    pub(super) async fn edit_groups(&self) -> MutexGuard<'_, ()> {
        self.group_edits.lock().await
    }

    /// Where upstreams may point.
    pub(super) fn upstream_policy(&self) -> UpstreamPolicy {
        UpstreamPolicy { allow_link_local: self.app.allow_link_local }
    }

    /// System settings as stored now.
    pub(super) async fn system_settings(&self) -> StoreResult<Settings> {
        Ok(self.settings.system(&self.store.settings().await?))
    }

    /// The stored group `id`, or 404.
    pub(super) async fn group(&self, id: GroupId) -> Result<Group, ApiError> {
        let group = self.store.group(id).await?;
        group.ok_or_else(|| ApiError::saying(ErrorCode::NotFound, messages::GROUP_UNKNOWN))
    }
}
