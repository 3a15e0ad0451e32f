//! A double of the AI providers: OpenAI (chat completions, responses, embeddings, models, files; also under Azure's and
//! Gemini's paths), Anthropic (messages, token counts, models) and Gemini (generation, embeddings, models, files).
//!
//! It answers as the official SDKs expect, and on request it fails in every way a provider or a network can. It runs on
//! threads of its own, so it works the same under any runtime and any clock of the test that uses it.
//!
//! ```no_run
//! use gpt_load_benches::double::{At, Behaviour, Double, Options};
//!
//! # async fn example() -> std::io::Result<()> {
//! let double = Double::start(Options::default())?;
//! double.on_key("sk-a", Behaviour::rate_limited(20).times(2));
//! double.on_next(1, Behaviour::reset(At::After(3)));
//! let first = double.wait_for(1).await.remove(0);
//! assert_eq!(first.key.as_deref(), Some("sk-a"));
//! # Ok(())
//! # }
//! ```
//!
//! A behaviour is looked for in this order: request header `x-double` (text form), `on_every`, `on_next`, `on_key`,
//! `on_path`, a model named `double;…` (text form), `Options::base`. Keys and models that begin with `no-such` are
//! unknown. A budget (`set_budget`) counts what would be answered well.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

mod answer;
mod anthropic;
mod behaviour;
mod budget;
mod control;
mod errors;
mod files;
mod gemini;
mod objects;
mod openai;
mod record;
mod request;
mod respond;
mod route;
mod script;
mod server;
mod tls;
mod wire;

pub use behaviour::{At, Behaviour, Framing, Payload};
pub use budget::{Asked, Budget};
pub use record::Received;

use server::{Door, Shared};

/// How a double is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address to listen on; port 0 takes a free one.
    pub addr: SocketAddr,
    /// Threads that serve connections.
    pub threads: usize,
    /// Serve TLS with a certificate of an authority of its own ([`Double::ca_pem`]).
    pub tls: bool,
    /// Host names and addresses the certificate is for.
    pub tls_names: Vec<String>,
    /// How many requests are kept for inspection; 0 switches recording off, for benches.
    pub record: usize,
    /// Bytes of a request body that are kept.
    pub body_limit: usize,
    /// Behaviour of requests that nothing else is said about.
    pub base: Behaviour,
    /// Whether each key is an account of its own: what is stored with one is unknown to the others. Otherwise all keys
    /// share one account, which keeps files only.
    pub accounts: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            threads: 1,
            tls: false,
            tls_names: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
            record: 10_000,
            body_limit: 32 * 1024 * 1024,
            base: Behaviour::default(),
            accounts: false,
        }
    }
}

/// A running double; dropping it stops it.
pub struct Double {
    /// Address it listens on.
    pub addr: SocketAddr,
    shared: Arc<Shared>,
    ca_pem: Option<String>,
    door: watch::Sender<Door>,
    threads: Vec<JoinHandle<()>>,
}

impl Double {
    /// Starts a double; it accepts connections when this returns.
    ///
    /// # Errors
    /// The address cannot be listened on, or no thread or certificate can be made.
    pub fn start(options: Options) -> io::Result<Self> {
        let listener = server::listen(options.addr)?;
        let addr = listener.local_addr()?;
        let tls = options.tls.then(|| tls::Tls::generate(&options.tls_names)).transpose()?;
        let shared = Arc::new(Shared {
            script: script::Script::default(),
            budgets: budget::Budgets::default(),
            record: record::Record::new(options.record),
            files: files::Files::new(options.accounts),
            base: options.base,
            body_limit: options.body_limit,
            connections: AtomicU64::new(0),
            crowd: server::Crowd::default(),
            shut: AtomicUsize::new(0),
            scheme: if options.tls { "https" } else { "http" },
        });
        let (door, moved) = watch::channel(Door::Open(Arc::new(listener)));
        let mut threads = Vec::with_capacity(options.threads);
        for number in 0..options.threads.max(1) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let acceptor = tls.as_ref().map(|tls| TlsAcceptor::from(Arc::clone(&tls.config)));
            let serving = server::run(acceptor, Arc::clone(&shared), moved.clone());
            let thread = std::thread::Builder::new().name(format!("double-{number}"));
            threads.push(thread.spawn(move || _ = runtime.block_on(serving))?);
        }
        Ok(Self { addr, shared, ca_pem: tls.map(|tls| tls.ca_pem), door, threads })
    }

    /// Base URL without a trailing slash and without a path.
    pub fn url(&self) -> String {
        format!("{}://{}", self.shared.scheme, self.addr)
    }

    /// Certificate of the double's authority in PEM; `None` without TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// Behaviour for requests with this provider key. Behaviours with `times` queue up; one without lasts.
    pub fn on_key(&self, key: &str, behaviour: Behaviour) {
        self.shared.script.on_key(key, behaviour);
    }

    /// Behaviour for the next `count` requests, whatever their key.
    pub fn on_next(&self, count: u32, behaviour: Behaviour) {
        self.shared.script.on_next(behaviour.times(count));
    }

    /// Behaviour for requests whose target contains `part`.
    pub fn on_path(&self, part: &str, behaviour: Behaviour) {
        self.shared.script.on_path(part, behaviour);
    }

    /// Behaviour for every request, whatever else is scripted, until it is set again: an egress block, an outage. `None`
    /// ends it.
    pub fn on_every(&self, behaviour: Option<Behaviour>) {
        self.shared.script.on_every(behaviour);
    }

    /// Gives every key this budget, of which nothing is spent yet, or none.
    pub fn set_budget(&self, budget: Option<Budget>) {
        self.shared.budgets.set(budget);
    }

    /// What each key has asked for since the budget was set.
    pub fn asked(&self) -> BTreeMap<String, Asked> {
        self.shared.budgets.asked()
    }

    /// Drops all connections and refuses new ones; returns when that is so. Blocks for a moment.
    pub fn shut(&self) {
        self.shared.shut.store(0, Ordering::Release);
        // Fails only when no thread is left to tell, and then nothing listens either.
        _ = self.door.send(Door::Shut);
        let running = || self.threads.iter().filter(|thread| !thread.is_finished()).count();
        while self.shared.shut.load(Ordering::Acquire) < running() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Takes connections again, on the same address.
    ///
    /// # Errors
    /// The address was taken meanwhile.
    pub fn open(&self) -> io::Result<()> {
        let listener = server::listen(self.addr)?;
        _ = self.door.send(Door::Open(Arc::new(listener)));
        Ok(())
    }

    /// Forgets behaviours, budgets, received requests and files.
    pub fn reset(&self) {
        self.shared.script.clear();
        self.shared.budgets.set(None);
        self.shared.record.clear();
        self.shared.files.clear();
    }

    /// Requests received so far, in order of arrival.
    pub fn requests(&self) -> Vec<Received> {
        self.shared.record.all()
    }

    /// Connections accepted so far (over TLS: with a complete handshake).
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// The most requests that were being answered at the same time since the last call, or since the start.
    pub fn take_peak(&self) -> u64 {
        self.shared.crowd.take_peak()
    }

    /// Resolves when at least `count` requests have come, with all of them. Waits without end: a test sets its own bound.
    pub async fn wait_for(&self, count: u64) -> Vec<Received> {
        self.shared.record.wait_for(count).await
    }

    /// Resolves when the client of request `index` left before the end of the answer; see [`Received::aborted_at`].
    pub async fn wait_aborted(&self, index: u64) -> Received {
        self.shared.record.wait_one(index, |received| received.aborted_at.is_some()).await
    }

    /// Resolves when the answer to request `index` is sent; see [`Received::answered_at`].
    pub async fn wait_answered(&self, index: u64) -> Received {
        self.shared.record.wait_one(index, |received| received.answered_at.is_some()).await
    }

    /// Stops listening and drops all connections; returns when that is done.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        // Fails only when no thread is left to tell.
        _ = self.door.send(Door::Stopped);
        for thread in self.threads.drain(..) {
            // A thread that panicked has reported it.
            _ = thread.join();
        }
    }
}
