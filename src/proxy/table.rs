//! The routing table of the data path: what the groups' definitions come to, worked out once per change.

use std::{collections::HashMap, sync::Arc, time::Duration};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use gpt_load_actors::{
    pool::PoolHandle,
    routing::{GroupRoute, RoutingSink, RoutingTable},
};
use gpt_load_schema::{
    group::{Group, GroupType, Upstream},
    ids::GroupId,
    secret::Secret,
    settings::Settings,
    time::Timestamp,
    validate::StatusSet,
};
use serde_json::Value;

use super::{
    base_url::BaseUrl,
    budget::RetryBudget,
    error::ProxyError,
    pick::since_epoch,
    proxy_keys::{self, ProxyKeys},
};
use crate::{
    channel::{credential::AuthScheme, headers::CompiledRules},
    policy::{Policies, compile::Known},
    telemetry::metrics::{GroupMetrics, Metrics},
    upstream::{Balancer, Profile, ProxyEnv, balance::UpstreamState, proxy_url::ProxyUrlError},
};

/// A group, ready to serve.
pub struct Route {
    /// The stored group.
    pub group: Arc<Group>,
    /// Its effective settings.
    pub settings: Arc<Settings>,
    /// Its keys; an aggregate has none.
    pub pool: PoolHandle,
    /// Its own proxy keys.
    pub proxy_keys: ProxyKeys,
    /// People's rules for it.
    pub policies: Policies,
    /// Its retries; kept over changes of the group.
    pub retry_budget: Arc<RetryBudget>,
    /// What is counted of its requests; kept over changes of the group.
    pub metrics: Arc<GroupMetrics>,
    /// What serves its requests.
    pub serving: Serving,
}

/// What serves a group's requests.
pub enum Serving {
    /// Upstreams and keys of its own.
    Standard(Box<Standard>),
    /// Members.
    Aggregate(Aggregate),
    /// The stored configuration cannot be used; why, with the field named.
    Broken(String),
}

impl Route {
    /// The group's way to its providers.
    ///
    /// # Errors
    /// [`ProxyError::Misconfigured`] for a group whose stored configuration cannot be used.
    pub fn standard(&self) -> Result<&Standard, ProxyError> {
        match &self.serving {
            Serving::Standard(standard) => Ok(standard),
            Serving::Broken(reason) => {
                Err(ProxyError::Misconfigured { group: self.group.definition.name.clone(), reason: reason.clone() })
            }
            Serving::Aggregate(_) => Err(ProxyError::Internal),
        }
    }
}

/// A standard group's way to its providers.
pub struct Standard {
    /// Provider base URLs, each with its connection profile.
    pub upstreams: Vec<BaseUrl>,
    /// Their shares of the traffic; 0 = switched off.
    pub weights: Vec<u32>,
    /// Which upstream is next; kept over changes that do not touch the upstreams.
    pub balancer: Arc<Balancer>,
    /// Header changes.
    pub rules: CompiledRules,
    /// Members put into every JSON body: name and raw JSON.
    pub overrides: Vec<(String, Vec<u8>)>,
    /// Statuses after which another attempt is made.
    pub failover: StatusSet,
    /// How the key is sent.
    pub auth_scheme: AuthScheme,
}

impl Standard {
    /// Whether an upstream that takes traffic is not in `tried`.
    pub fn has_other(&self, tried: &[usize]) -> bool {
        self.weights.iter().enumerate().any(|(index, weight)| *weight > 0 && !tried.contains(&index))
    }

    /// Position of the upstream with this base URL, however that is written.
    pub fn position(&self, url: &str) -> Option<usize> {
        let position = |url: &str| self.upstreams.iter().position(|upstream| *upstream.url == *url);
        position(url).or_else(|| position(&BaseUrl::canonical(url)?))
    }

    /// Whether the upstream with this base URL is worth asking: it is one of the group's, not in `tried`, and takes
    /// requests.
    pub fn is_open(&self, url: &str, tried: &[usize], now: Timestamp) -> bool {
        self.position(url)
            .is_some_and(|index| !tried.contains(&index) && self.balancer.is_open(index, since_epoch(now)))
    }
}

/// An aggregate group's members.
pub struct Aggregate {
    /// Members with a weight, each a usable standard group.
    pub members: Vec<Arc<Route>>,
    /// Which member is next.
    pub balancer: Balancer,
    /// Members without a weight: they get only requests for what is stored with a key of theirs.
    pub idle: Vec<Arc<Route>>,
}

/// Everything the data path needs at one version.
pub struct Routes {
    by_name: HashMap<String, Arc<Route>>,
    /// The policies of all groups, so that only those that change are compiled again.
    known: Known,
    /// Proxy keys that every group accepts.
    pub global_keys: ProxyKeys,
    /// System settings.
    pub settings: Arc<Settings>,
}

impl Routes {
    /// The group of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Route>> {
        self.by_name.get(name)
    }

    /// Whether `key` is a proxy key of the whole installation.
    pub fn accepts(&self, key: &Secret) -> bool {
        proxy_keys::accepts([&self.global_keys, &ProxyKeys::default()], key)
    }

    /// Every group, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.by_name.values()
    }
}

/// Holds the present [`Routes`] and follows every publication.
pub struct Table {
    routes: ArcSwap<Routes>,
    published: Arc<ArcSwapOption<RoutingTable>>,
    metrics: Arc<Metrics>,
    environment: ProxyEnv,
    allow_link_local: bool,
}

impl Table {
    /// An empty table; `environment` are the outbound proxies that rule where a group names none.
    pub fn new(metrics: Arc<Metrics>, environment: ProxyEnv, allow_link_local: bool) -> Self {
        let routes = Routes {
            by_name: HashMap::new(),
            known: Known::new(),
            global_keys: ProxyKeys::default(),
            settings: Arc::new(Settings::defaults()),
        };
        Self {
            routes: ArcSwap::from_pointee(routes),
            published: Arc::default(),
            metrics,
            environment,
            allow_link_local,
        }
    }

    /// The routes of now; a request keeps what it started with.
    pub fn load(&self) -> Guard<Arc<Routes>> {
        self.routes.load()
    }

    /// The groups' definitions behind the routes, for those who show pools.
    pub fn published(&self) -> Arc<ArcSwapOption<RoutingTable>> {
        Arc::clone(&self.published)
    }

    /// The upstreams of a standard group as its balancer sees them, in the order of its definition; empty for others.
    pub fn upstream_states(&self, group: GroupId) -> Vec<UpstreamState> {
        let routes = self.load();
        match routes.iter().find(|route| route.group.id == group).map(|route| &route.serving) {
            Some(Serving::Standard(standard)) => standard.balancer.states(),
            _ => Vec::new(),
        }
    }

    fn compile(&self, table: &RoutingTable) -> Routes {
        let old = self.load();
        let (aggregates, standards): (Vec<_>, Vec<_>) =
            table.groups.iter().partition(|route| route.group.definition.group_type == GroupType::Aggregate);
        let (mut by_id, mut known) = (HashMap::new(), Known::new());
        let mut rules = |source: &GroupRoute| Policies::compile(&source.policies, &old.known, &mut known);
        for source in standards {
            let before = old.get(&source.group.definition.name).filter(|route| route.group.id == source.group.id);
            let serving = match self.standard(source, before) {
                Ok(standard) => Serving::Standard(Box::new(standard)),
                Err(reason) => Serving::Broken(reason),
            };
            by_id.insert(source.group.id, Arc::new(route(source, serving, rules(source), before, &self.metrics)));
        }
        for source in aggregates {
            let before = old.get(&source.group.definition.name).filter(|route| route.group.id == source.group.id);
            let serving = aggregate(source, &by_id);
            by_id.insert(source.group.id, Arc::new(route(source, serving, rules(source), before, &self.metrics)));
        }
        Routes {
            by_name: by_id.into_values().map(|route| (route.group.definition.name.clone(), route)).collect(),
            known,
            global_keys: ProxyKeys::parse(&table.settings.proxy_keys),
            settings: Arc::clone(&table.settings),
        }
    }

    fn standard(&self, source: &GroupRoute, before: Option<&Arc<Route>>) -> Result<Standard, String> {
        let definition = &source.group.definition;
        let settings = &source.settings;
        let upstreams = definition
            .upstreams
            .iter()
            .map(|upstream| self.base_url(upstream, settings))
            .collect::<Result<Vec<_>, _>>()?;
        let kept = before.and_then(|route| match &route.serving {
            Serving::Standard(standard)
                if route.group.definition.upstreams == definition.upstreams
                    && route.settings.breaker_threshold == settings.breaker_threshold =>
            {
                Some(Arc::clone(&standard.balancer))
            }
            _ => None,
        });
        let weights: Vec<u32> = definition.upstreams.iter().map(|upstream| upstream.weight).collect();
        let balancer = kept.unwrap_or_else(|| Arc::new(Balancer::new(&weights, threshold(settings))));
        Ok(Standard {
            upstreams,
            weights,
            balancer,
            rules: CompiledRules::compile(definition.header_rules.as_deref().unwrap_or_default()),
            overrides: definition.param_overrides.iter().flatten().map(raw_member).collect(),
            failover: StatusSet::from_stored(&settings.failover_status_codes),
            auth_scheme: settings.auth_scheme.parse().unwrap_or_default(),
        })
    }

    fn base_url(&self, upstream: &Upstream, settings: &Settings) -> Result<BaseUrl, String> {
        BaseUrl::parse(&upstream.url, |https, host, port| {
            self.profile(settings, https, host, port).map_err(|error| format!("proxy_url: {error}"))
        })
        .map_err(|error| format!("upstreams: {error}"))
    }
}

impl Table {
    /// How to connect to a host: the group's own proxy, else the environment's.
    fn profile(&self, settings: &Settings, https: bool, host: &str, port: u16) -> Result<Arc<Profile>, ProxyUrlError> {
        let proxy = match settings.proxy_url.trim() {
            "" => self.environment.proxy_for(https, host, port).cloned(),
            own => Some(Arc::new(own.parse()?)),
        };
        Ok(Arc::new(Profile {
            connect_timeout: Duration::from_secs(settings.connect_timeout),
            idle_timeout: Duration::from_secs(settings.idle_conn_timeout),
            max_idle_per_host: usize::try_from(settings.max_idle_conns_per_host).unwrap_or(usize::MAX),
            max_idle: usize::try_from(settings.max_idle_conns).unwrap_or(usize::MAX),
            proxy,
            http2: settings.upstream_http2,
            allow_link_local: self.allow_link_local,
        }))
    }
}

impl RoutingSink for Table {
    fn publish(&self, table: Arc<RoutingTable>) {
        let routes = self.compile(&table);
        for route in routes.iter() {
            if let Serving::Broken(reason) = &route.serving {
                tracing::error!(group = route.group.definition.name, reason, "this group cannot serve as it is stored");
            }
        }
        self.routes.store(Arc::new(routes));
        self.published.store(Some(table));
    }
}

fn route(
    source: &GroupRoute,
    serving: Serving,
    policies: Policies,
    before: Option<&Arc<Route>>,
    metrics: &Metrics,
) -> Route {
    Route {
        group: Arc::clone(&source.group),
        settings: Arc::clone(&source.settings),
        pool: source.pool.clone(),
        proxy_keys: ProxyKeys::parse(&source.group.definition.proxy_keys),
        policies,
        retry_budget: before.map(|route| Arc::clone(&route.retry_budget)).unwrap_or_default(),
        metrics: before.map_or_else(|| metrics.group(), |route| Arc::clone(&route.metrics)),
        serving,
    }
}

fn aggregate(source: &GroupRoute, standards: &HashMap<GroupId, Arc<Route>>) -> Serving {
    let (mut members, mut weights, mut idle) = (Vec::new(), Vec::new(), Vec::new());
    for member in &source.group.sub_groups {
        let usable = standards.get(&member.group_id).filter(|route| !matches!(route.serving, Serving::Broken(_)));
        let Some(route) = usable.map(Arc::clone) else { continue };
        if member.weight > 0 {
            members.push(route);
            weights.push(member.weight);
        } else {
            idle.push(route);
        }
    }
    Serving::Aggregate(Aggregate { members, balancer: Balancer::new(&weights, 0), idle })
}

fn threshold(settings: &Settings) -> u32 {
    u32::try_from(settings.breaker_threshold).unwrap_or(u32::MAX)
}

fn raw_member((name, value): (&String, &Value)) -> (String, Vec<u8>) {
    (name.clone(), value.to_string().into_bytes())
}
