//! The composition root: puts the parts of a node together, runs them, and stops them without losing anything.

use std::{
    io::Write as _,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use actix_server::ServerHandle;
use actix_web::web;
use anyhow::Context;
use gpt_load_actors::{
    commands::Command,
    journal::{Fsync, Journal, JournalOptions, Leftover},
    routing::SettingsSource,
    runtime::Runtime,
};
use gpt_load_cluster::Cluster;
use gpt_load_schema::{
    secret::Secret,
    store::{Claim, Store},
    time::Timestamp,
};
use tokio::{sync::mpsc, task::JoinHandle, time::interval};
use zeroize::Zeroizing;

use crate::{
    admin::{AdminState, AppFacts, MetricsAccess, MetricsPage, Peers},
    cluster,
    config::{Change, Config, ConfiguredSettings, JournalFsync, Loaded, Reloader, SharedConfig, process_environment},
    policy::limiter::{Limiter, MemoryLimiter, SharedLimiter},
    proxy::{limit::ConcurrencyLimit, state::ProxyState, table::Table},
    server::{self, ServerOptions, cors::Cors, tls::CertificateFiles},
    setup::{first_start, greeting::Greeting, management_key, management_key::Origin, one_file::OneFile},
    telemetry::{
        Telemetry,
        metrics::{Metrics, Page, show_node, show_runtime},
        traces::{TraceSettings, Traces},
    },
    upstream::{Clients, ProxyEnv, Tls},
    validation::ThreadedProber,
};

/// How often certificate files are looked at.
const CERTIFICATES_EVERY: Duration = Duration::from_secs(30);
/// Part of the shutdown time kept for bringing outcomes and log rows into the database.
const FLUSH_RESERVE: Duration = Duration::from_secs(5);

/// A running node.
pub struct Node {
    address: SocketAddr,
    url: String,
    server: ServerHandle,
    serving: JoinHandle<std::io::Result<()>>,
    background: Vec<JoinHandle<()>>,
    runtime: Runtime,
    traces: Option<Arc<Traces>>,
    store: Store,
    config: SharedConfig,
    concurrency: ConcurrencyLimit,
    management_key: Secret,
    /// At the first start it holds generated keys.
    greeting: Zeroizing<String>,
    _claim: Option<Claim>,
}

impl Node {
    /// Starts a node. When this returns it serves.
    ///
    /// # Errors
    ///
    /// A sentence for people: what could not be opened, bound or read, and what to change.
    pub async fn start(loaded: Loaded) -> anyhow::Result<Self> {
        // The first call wins; a second node in the same process finds the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = &loaded.config;
        let one_file = OneFile::configured(config.keys_file.as_deref(), &config.openai_base_url, &config.default_group);
        let keys_file = one_file.as_ref().map(OneFile::read).transpose()?;
        let tls = certificates(config)?;
        let outbound_tls = Tls::system(config.extra_ca_file.as_deref())?;
        let outbound_proxies = outbound_proxies(config)?;
        let listener = bind(config)?;
        let address = listener.local_addr()?;
        let url = public_url(config, address);

        let place = config.database();
        // The nodes of a cluster share the database; the one that leads claims it for all.
        let claim = match config.redis_dsn {
            Some(_) => None,
            None => Some(Claim::of(place, &config.node_name).await?),
        };
        let (current, previous) = (config.encryption_key.as_ref(), config.encryption_key_previous.as_ref());
        let store = Store::open_changing(place, current, previous).await?;
        let management_key = management_key::obtain(config.auth_key.as_ref(), &config.data_dir)?;
        let shared = SharedConfig::new(config.clone());
        let metrics = Arc::<Metrics>::default();
        let traces = traces(config, &outbound_tls, &metrics)?;
        let table = Arc::new(Table::new(Arc::clone(&metrics), outbound_proxies, config.allow_link_local_upstreams));
        let settings: Arc<dyn SettingsSource> = Arc::new(ConfiguredSettings::new(shared.clone()));
        let journal = journal(config).await?;
        let cluster = cluster::join(config, address).await?;
        let started = Runtime::start_with(
            store.clone(),
            Arc::clone(&settings),
            Arc::clone(&table) as _,
            cluster.clone(),
            journal,
        );
        let runtime = started.await?;
        runtime.audit().on_node(&config.node_name);
        // Of a cluster, whoever leads does this, also when that changes.
        let mut new_proxy_key = None;
        if !cluster.is_shared {
            let seeds = first_start::seeds(&store, &management_key, url.clone(), &config.initial).await?;
            if !seeds.settings.is_empty() {
                runtime.execute(Command::PutSettings(seeds.settings)).await?;
            }
            new_proxy_key = seeds.proxy_key;
        }

        let mut background = Vec::new();
        if cluster.is_shared {
            let leader = cluster::Duties {
                runtime: runtime.clone(),
                store: store.clone(),
                config: config.clone(),
                management_key: management_key.clone(),
                url: url.clone(),
            };
            background.push(tokio::spawn(leader.carry_out()));
        }
        if let (Some(one_file), Some(reading)) = (&one_file, keys_file) {
            let group = one_file.apply(&store, &runtime, &reading).await?;
            start_rotation_at(&table, &config.default_group, config.start_index);
            background.push(tokio::spawn(one_file.clone().watch(group, reading, store.clone(), runtime.clone())));
        }
        let open_set_up =
            one_file.is_some() && management_key.origin != Origin::Configured && address.ip().is_loopback();
        let has_default_group = table.load().get(&config.default_group).is_some();
        let greeting = Greeting {
            url: &url,
            management_key: &management_key,
            new_proxy_key: new_proxy_key.as_ref(),
            default_group: has_default_group.then_some(config.default_group.as_str()),
            anonymous: open_set_up || config.allow_anonymous_proxy,
            is_shared: table.load().accepts(&management_key.secret),
        }
        .text();

        let prober = ThreadedProber::start(Arc::clone(&table), &outbound_tls)?;
        runtime.begin_validation(Arc::new(prober), &config.node_name);
        let concurrency = ConcurrencyLimit::new(config.max_concurrent_requests);
        let state = Arc::new(ProxyState {
            table,
            runtime: runtime.clone(),
            concurrency: concurrency.clone(),
            limiter: limiter(&cluster),
            config: shared.clone(),
            open_set_up,
            metrics,
            traces: traces.clone(),
            base_path: config.base_path.trim_end_matches('/').to_owned(),
        });
        let facts = AppFacts {
            started_at: Timestamp::now(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            default_group: config.default_group.clone(),
            allow_link_local: config.allow_link_local_upstreams,
            upstreams_ruled: !config.openai_base_url.is_empty(),
            trusted_proxies: config.trusted_proxies.clone(),
        };
        let (published, seen, limits) = (state.table.published(), Arc::clone(&state.table), shared.clone());
        let admin = AdminState::new(store.clone(), runtime.clone(), settings, published, &management_key.secret, facts)
            .with_upstreams(Box::new(move |group| seen.upstream_states(group)))
            .with_request_limit(Box::new(move || limits.load().max_request_bytes))
            .with_encryption_key(config.encryption_key.as_ref())
            .with_metrics(metrics_page(&state, &shared))
            .with_peers(Peers::new(cluster, &management_key.secret));
        let admin = web::Data::new(admin);
        if let Some(files) = &tls {
            background.push(tokio::spawn(follow_certificates(Arc::clone(files))));
        }
        let options = server_options(config)?;
        let connect = move || Clients::new(outbound_tls.clone());
        let server = server::serve(listener, tls.as_ref(), &options, &state, &admin, connect)?;
        let handle = server.handle();
        let serving = tokio::spawn(server);
        Ok(Self {
            address,
            url,
            server: handle,
            serving,
            background,
            runtime,
            traces,
            store,
            config: shared,
            concurrency,
            management_key: management_key.secret,
            greeting: Zeroizing::new(greeting),
            _claim: claim,
        })
    }

    /// Where the node listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Base URL for clients on this machine.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The node's actors.
    pub const fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The node's database.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Requests of the data path in flight.
    pub fn in_flight(&self) -> usize {
        self.concurrency.in_flight()
    }

    /// The management key in force.
    pub const fn management_key(&self) -> &Secret {
        &self.management_key
    }

    /// What a person at the terminal is told.
    pub fn greeting(&self) -> &str {
        &self.greeting
    }

    /// Brings changes of the configuration into force as they come.
    async fn follow_configuration(&self, mut changes: mpsc::UnboundedReceiver<Change>, telemetry: &Telemetry) {
        while let Some(change) = changes.recv().await {
            let config = self.config.load_full();
            self.concurrency.set(config.max_concurrent_requests);
            telemetry.set_level(config.log_level);
            if change.initial
                && let Err(error) = self.runtime.reload().await
            {
                tracing::warn!(%error, "changed initial values of settings are not in force yet");
            }
        }
        std::future::pending::<()>().await;
    }

    /// Stops: no new requests, time for those in flight, then everything that is known goes to the database.
    pub async fn stop(self) {
        // Whoever listens would not end by itself.
        self.runtime.events().end();
        self.server.stop(true).await;
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the HTTP server ended badly");
        }
        for task in self.background {
            task.abort();
        }
        self.runtime.stop().await;
        if let Some(traces) = self.traces {
            traces.stop().await;
        }
    }
}

/// Runs a node in the working directory until SIGINT or SIGTERM.
///
/// # Errors
///
/// As [`Node::start`].
pub fn run(loaded: Loaded) -> anyhow::Result<()> {
    let telemetry = Telemetry::start(&loaded.config)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    for note in &loaded.notes {
        tracing::info!("{note}");
    }
    actix_web::rt::System::new().block_on(async {
        let mut stop = pin!(stop_signal()?);
        let node = tokio::select! {
            node = Node::start(loaded) => node?,
            () = &mut stop => return Ok(()),
        };
        if let Err(error) = std::io::stdout().write_all(node.greeting().as_bytes()) {
            tracing::warn!(%error, "nobody could be greeted at the terminal");
        }
        let (changes, changed) = mpsc::unbounded_channel();
        let reloader = Reloader {
            dir: std::env::current_dir()?,
            environment: process_environment().collect(),
            shared: node.config.clone(),
        };
        // The receiver lives as long as the node, so a change that finds none comes after the end.
        let watch = reloader.watch(move |change| _ = changes.send(change.clone()));
        if let Err(error) = &watch {
            tracing::warn!(%error, "changes of .env and gpt-load.toml are not noticed; restart after changing them");
        }
        let following = node.follow_configuration(changed, &telemetry);
        tokio::select! {
            () = stop => {}
            () = following => {}
        }
        tracing::info!("stopping: requests in flight get their time");
        node.stop().await;
        tracing::info!("stopped");
        Ok(())
    })
}

/// Takes over SIGINT and SIGTERM; what it answers ends when one of them comes.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async {
        // Without the signal, the operating system ends the process in its own way.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// Traces, when a collector is configured.
fn traces(config: &Config, tls: &Tls, metrics: &Metrics) -> anyhow::Result<Option<Arc<Traces>>> {
    let Some(settings) = TraceSettings::of(config) else { return Ok(None) };
    let traces = Traces::start(&settings, tls.plain(), metrics.spans())?;
    tracing::info!(endpoint = settings.endpoint, "requests are traced");
    Ok(Some(traces))
}

/// `/metrics`, and who may see it.
fn metrics_page(state: &Arc<ProxyState>, config: &SharedConfig) -> MetricsPage {
    let (state, config) = (Arc::clone(state), config.clone());
    MetricsPage {
        text: Arc::new(move || {
            let mut page = Page::default();
            state.metrics.show(&mut page);
            state.show(&mut page);
            show_runtime(&state.runtime, &mut page);
            show_node(&mut page);
            page.text()
        }),
        access: Box::new(move || {
            let config = config.load();
            MetricsAccess { is_public: config.metrics_public, token: config.metrics_token.clone() }
        }),
    }
}

fn limiter(cluster: &Cluster) -> Arc<dyn Limiter> {
    if cluster.is_shared { Arc::new(SharedLimiter::new(cluster.clone())) } else { Arc::<MemoryLimiter>::default() }
}

/// The journal, with what a process that was killed has left in it.
async fn journal(config: &Config) -> anyhow::Result<(Arc<Journal>, Vec<Leftover>)> {
    let options = JournalOptions {
        folder: config.data_dir.join("journal"),
        fsync: match config.journal_fsync {
            JournalFsync::Never => Fsync::Never,
            JournalFsync::Interval => Fsync::Interval,
            JournalFsync::Always => Fsync::Always,
        },
        max_bytes: config.journal_max_bytes,
    };
    Ok(tokio::task::spawn_blocking(|| Journal::open(options)).await??)
}

fn certificates(config: &Config) -> anyhow::Result<Option<Arc<CertificateFiles>>> {
    match (&config.tls_cert_file, &config.tls_key_file) {
        (Some(cert), Some(key)) => Ok(Some(CertificateFiles::open(cert.clone(), key.clone())?)),
        _ => Ok(None),
    }
}

fn bind(config: &Config) -> anyhow::Result<TcpListener> {
    let wanted = (config.host.as_str(), config.port);
    let address = wanted
        .to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next())
        .with_context(|| format!("HOST: `{}` is no address of this machine", config.host))?;
    let listener = TcpListener::bind(address)
        .with_context(|| format!("cannot listen on {address}; is another program using the port? (HOST, PORT)"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn public_url(config: &Config, address: SocketAddr) -> String {
    let scheme = if config.tls_cert_file.is_some() { "https" } else { "http" };
    let host = if address.ip().is_unspecified() { "localhost".to_owned() } else { config.host.clone() };
    format!("{scheme}://{host}:{}{}", address.port(), config.base_path.trim_end_matches('/'))
}

fn server_options(config: &Config) -> anyhow::Result<ServerOptions> {
    let cors = config
        .enable_cors
        .then(|| {
            let origins = config.allowed_origins.clone();
            Cors::new(origins, &config.allowed_methods, &config.allowed_headers, config.allow_credentials)
        })
        .transpose()
        .map_err(|name| anyhow::anyhow!("{name}: holds a character that no HTTP header may carry"))?;
    Ok(ServerOptions {
        workers: config.workers,
        read_timeout: config.server_read_timeout,
        write_timeout: config.server_write_timeout,
        idle_timeout: config.server_idle_timeout,
        shutdown_timeout: config.server_graceful_shutdown_timeout.saturating_sub(FLUSH_RESERVE),
        cors,
    })
}

fn start_rotation_at(table: &Table, group: &str, index: usize) {
    if let Some(route) = table.load().get(group) {
        route.pool.seek(index as u64);
    }
}

pub(crate) fn outbound_proxies(config: &Config) -> anyhow::Result<ProxyEnv> {
    let no_proxy = config.no_proxy.join(",");
    let variable = |name: &str| match name {
        "HTTP_PROXY" => config.http_proxy.as_ref().map(|url| url.expose().to_owned()),
        "HTTPS_PROXY" => config.https_proxy.as_ref().map(|url| url.expose().to_owned()),
        "ALL_PROXY" => config.all_proxy.as_ref().map(|url| url.expose().to_owned()),
        "NO_PROXY" => Some(no_proxy.clone()),
        _ => None,
    };
    Ok(ProxyEnv::read(variable)?)
}

async fn follow_certificates(files: Arc<CertificateFiles>) {
    let mut ticks = interval(CERTIFICATES_EVERY);
    loop {
        ticks.tick().await;
        match files.refresh() {
            Ok(true) => tracing::info!("the TLS certificate was read again"),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "the changed TLS certificate cannot be used; the old one stays"),
        }
    }
}
