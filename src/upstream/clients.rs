//! One awc connector per worker and connection profile.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_http::{Payload, RequestHead, RequestHeadType, ResponseHead, Uri};
use actix_rt::net::ActixStream;
use actix_service::Service;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use awc::error::SendRequestError;
use awc::{Connect, Connector};
use futures_util::future::LocalBoxFuture;

use super::body::RequestBody;
use super::dial::{self, Destination};
use super::guard::GuardedIo;
use super::http2::Protocols;
use super::idle::IdleConnections;
use super::profile::Profile;
use super::scope::Scope;
use super::tls::Tls;
use super::wire::Wire;

/// A profile that served no call for this long is dropped with its connections.
const UNUSED_PROFILE: Duration = Duration::from_secs(600);

/// Connections live as long as they are used; awc's own limit is 75 s.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);

/// The outbound connections of one worker thread.
pub struct Clients {
    tls: Tls,
    scope: Rc<Scope>,
    profiles: RefCell<HashMap<Arc<Profile>, Rc<Client>>>,
}

/// One call over awc: a head and a body in, a head and a payload out.
type Call = dyn Fn(Rc<RequestHead>, RequestBody) -> CallFuture;

pub(super) type CallFuture = LocalBoxFuture<'static, Result<(ResponseHead, Payload), SendRequestError>>;

/// The connections of one profile.
pub(super) struct Client {
    /// Guarded connections without TLS.
    pub(super) plain: Rc<Call>,
    /// Guarded connections with TLS inside the guard.
    pub(super) https: Rc<Call>,
    /// Connections to upstreams known to speak HTTP/2, which has a framing of its own.
    pub(super) http2: Rc<Call>,
    pub(super) protocols: Protocols,
    idle: Rc<IdleConnections>,
    used: Cell<bool>,
    unused_since: Cell<Option<Instant>>,
}

impl Clients {
    /// Makes no connection.
    pub fn new(tls: Tls) -> Self {
        Self { tls, scope: Rc::new(Scope::default()), profiles: RefCell::default() }
    }

    /// Closes idle connections that ended or outlived the idle time-out, and drops profiles that nobody uses. Call it every few
    /// seconds.
    pub fn sweep(&self, now: Instant) {
        self.profiles.borrow_mut().retain(|profile, client| {
            client.idle.sweep(now, profile.idle_timeout);
            client.protocols.sweep(now);
            if client.used.replace(false) || Rc::strong_count(client) > 1 {
                client.unused_since.set(None);
                return true;
            }
            let since = client.unused_since.get().unwrap_or(now);
            client.unused_since.set(Some(since));
            now.saturating_duration_since(since) < UNUSED_PROFILE
        });
    }

    /// How many profiles hold connections.
    pub fn profiles(&self) -> usize {
        self.profiles.borrow().len()
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(super) fn tls(&self) -> &Tls {
        &self.tls
    }

    pub(super) fn client(&self, profile: &Arc<Profile>) -> Rc<Client> {
        if let Some(client) = self.profiles.borrow().get(profile) {
            client.used.set(true);
            return Rc::clone(client);
        }
        let client = Rc::new(Client::new(profile, &self.tls, &self.scope));
        self.profiles.borrow_mut().insert(Arc::clone(profile), Rc::clone(&client));
        client
    }
}

impl Client {
    fn new(profile: &Arc<Profile>, tls: &Tls, scope: &Rc<Scope>) -> Self {
        let idle = Rc::new(IdleConnections::default());
        let dialer = |https| {
            let (profile, tls) = (Arc::clone(profile), tls.clone());
            Rc::new(Dialer { profile, tls, https, scope: Rc::clone(scope), idle: Rc::clone(&idle) })
        };
        let bare = Connector::new().rustls_0_23(Arc::clone(&tls.http2)).handshake_timeout(profile.connect_timeout);
        Self {
            plain: call(Connector::new().connector(Guarding(dialer(false))), profile),
            https: call(Connector::new().connector(Guarding(dialer(true))), profile),
            http2: call(bare.connector(Unguarded(dialer(true))), profile),
            protocols: Protocols::default(),
            idle,
            used: Cell::new(true),
            unused_since: Cell::new(None),
        }
    }
}

fn call<S, Io>(connector: Connector<S>, profile: &Profile) -> Rc<Call>
where
    Io: ActixStream + fmt::Debug + 'static,
    S: Service<ConnectInfo<Uri>, Response = Connection<Uri, Io>, Error = ConnectError> + Clone + 'static,
{
    let service = connector
        .limit(0)
        .timeout(profile.connect_timeout)
        .conn_keep_alive(profile.idle_timeout)
        .conn_lifetime(CONNECTION_LIFETIME)
        .finish();
    Rc::new(move |head, body| {
        let connected = service.call(Connect { uri: head.uri.clone(), addr: None });
        Box::pin(async move { connected.await?.send_request(RequestHeadType::Rc(head, None), body).await })
    })
}

/// Makes the connections of one client.
struct Dialer {
    profile: Arc<Profile>,
    tls: Tls,
    https: bool,
    scope: Rc<Scope>,
    idle: Rc<IdleConnections>,
}

impl Dialer {
    fn destination<'a>(&self, uri: &'a Uri) -> Destination<'a> {
        let port = uri.port_u16().unwrap_or(if self.https { 443 } else { 80 });
        Destination { host: uri.host().unwrap_or_default(), port, https: self.https }
    }
}

/// Connections inside the guard, TLS included: awc sees plain ones.
#[derive(Clone)]
struct Guarding(Rc<Dialer>);

impl Service<ConnectInfo<Uri>> for Guarding {
    type Response = Connection<Uri, GuardedIo<Wire>>;
    type Error = ConnectError;
    type Future = LocalBoxFuture<'static, Result<Self::Response, ConnectError>>;

    fn poll_ready(&self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&self, info: ConnectInfo<Uri>) -> Self::Future {
        let dialer = Rc::clone(&self.0);
        Box::pin(async move {
            let uri = info.request().clone();
            let dialed = dial::dial(&dialer.profile, &dialer.tls, dialer.destination(&uri)).await;
            let wire = dialed.map_err(|error| ConnectError::Io(error.into()))?;
            let authority = uri.authority().map_or("", |authority| authority.as_str());
            let place = dialer.idle.place(authority, dialer.profile.max_idle_per_host, dialer.profile.max_idle);
            let guarded = GuardedIo::new(wire, Rc::clone(&dialer.scope), place);
            dialer.idle.watch(guarded.pooled());
            Ok(Connection::new(uri, guarded))
        })
    }
}

/// Connections over which awc does TLS itself: only so does it speak HTTP/2.
#[derive(Clone)]
struct Unguarded(Rc<Dialer>);

impl Service<ConnectInfo<Uri>> for Unguarded {
    type Response = Connection<Uri, Wire>;
    type Error = ConnectError;
    type Future = LocalBoxFuture<'static, Result<Self::Response, ConnectError>>;

    fn poll_ready(&self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&self, info: ConnectInfo<Uri>) -> Self::Future {
        let dialer = Rc::clone(&self.0);
        Box::pin(async move {
            let uri = info.request().clone();
            let dialed = dial::dial_plain(&dialer.profile, &dialer.tls, dialer.destination(&uri)).await;
            dialed.map(|wire| Connection::new(uri, wire)).map_err(|error| ConnectError::Io(error.into()))
        })
    }
}
