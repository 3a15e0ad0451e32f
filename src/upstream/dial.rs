//! Making a connection: name, address check, proxy, TLS.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::address::{is_link_local, unbracketed};
use super::profile::Profile;
use super::proxy_url::{ProxyScheme, ProxyUrl};
use super::tls::Tls;
use super::tunnel::{self, SocksTarget};
use super::wire::Wire;

/// When the kernel begins to ask a silent peer whether it is still there.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);

/// The part of making a connection that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialStage {
    /// Resolving a name or connecting to an address.
    Connect,
    /// No address answered in time.
    Timeout,
    /// The TLS handshake with the upstream.
    Tls,
    /// The outbound proxy.
    Proxy,
    /// The address is not allowed.
    Refused,
}

/// Why a connection could not be made. The message names hosts, never credentials.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct DialError {
    /// What failed.
    pub stage: DialStage,
    message: String,
}

impl DialError {
    pub(super) fn new(stage: DialStage, message: impl fmt::Display) -> Self {
        Self { stage, message: message.to_string() }
    }

    pub(super) fn proxy(proxy: &ProxyUrl, reason: &str) -> Self {
        Self::new(DialStage::Proxy, format_args!("outbound proxy {proxy}: {reason}"))
    }
}

impl From<DialError> for io::Error {
    fn from(error: DialError) -> Self {
        Self::other(error)
    }
}

/// An upstream host as awc's connector asks for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Destination<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) https: bool,
}

/// Connects to `destination`, with TLS of `tls` when it is https.
pub(super) async fn dial(profile: &Profile, tls: &Tls, to: Destination<'_>) -> Result<Wire, DialError> {
    let wire = dial_plain(profile, tls, to).await?;
    if to.https { encrypt(wire, Arc::clone(&tls.http1), to.host).await } else { Ok(wire) }
}

/// Connects to `destination` up to the point where TLS would begin.
pub(super) async fn dial_plain(profile: &Profile, tls: &Tls, to: Destination<'_>) -> Result<Wire, DialError> {
    let host = unbracketed(to.host);
    if let Ok(address) = host.parse::<IpAddr>() {
        check(profile, host, address)?;
    }
    let Some(proxy) = &profile.proxy else {
        let addresses = resolve(profile, host, to.port).await?;
        return connect_any(profile, host, &addresses).await.map(Wire::Tcp);
    };
    let at_proxy = |error: DialError| match error.stage {
        DialStage::Refused | DialStage::Timeout => error,
        _ => DialError::proxy(proxy, &error.message),
    };
    let addresses = resolve(profile, &proxy.host, proxy.port).await.map_err(at_proxy)?;
    let wire = Wire::Tcp(connect_any(profile, &proxy.host, &addresses).await.map_err(at_proxy)?);
    match proxy.scheme {
        ProxyScheme::Http if to.https => tunnel::connect(wire, proxy, host, to.port).await,
        ProxyScheme::Http => Ok(wire),
        ProxyScheme::Https => {
            let wire = encrypt(wire, Arc::clone(&tls.http1), &proxy.host).await.map_err(at_proxy)?;
            if to.https { tunnel::connect(wire, proxy, host, to.port).await } else { Ok(wire) }
        }
        ProxyScheme::Socks5h => tunnel::socks5(wire, proxy, SocksTarget::Name(host, to.port)).await,
        ProxyScheme::Socks5 => {
            let addresses = resolve(profile, host, to.port).await?;
            tunnel::socks5(wire, proxy, SocksTarget::Address(addresses[0])).await
        }
    }
}

/// The TLS handshake with `host` over `wire`.
pub(super) async fn encrypt(wire: Wire, config: Arc<ClientConfig>, host: &str) -> Result<Wire, DialError> {
    let host = unbracketed(host);
    let failed = |reason: &dyn fmt::Display| DialError::new(DialStage::Tls, format_args!("TLS with {host}: {reason}"));
    let name = ServerName::try_from(host.to_owned()).map_err(|error| failed(&error))?;
    let stream = TlsConnector::from(config).connect(name, wire).await.map_err(|error| failed(&error))?;
    Ok(Wire::Tls(Box::new(stream)))
}

fn check(profile: &Profile, host: &str, address: IpAddr) -> Result<(), DialError> {
    if profile.allow_link_local || !is_link_local(address) {
        return Ok(());
    }
    Err(DialError::new(
        DialStage::Refused,
        format_args!("{host} is a link-local address ({address}); set ALLOW_LINK_LOCAL_UPSTREAMS=true to permit it"),
    ))
}

/// The addresses of `host`, at least one. One forbidden address forbids them all: a name must not be tried twice with other
/// results.
async fn resolve(profile: &Profile, host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
    let failed =
        |reason: &dyn fmt::Display| DialError::new(DialStage::Connect, format_args!("cannot resolve {host}: {reason}"));
    let addresses: Vec<_> = tokio::net::lookup_host((host, port)).await.map_err(|error| failed(&error))?.collect();
    if addresses.is_empty() {
        return Err(failed(&"the name has no address"));
    }
    addresses.iter().try_for_each(|address| check(profile, host, address.ip()))?;
    Ok(addresses)
}

/// Tries all addresses in order; each gets an equal share of the time to connect.
async fn connect_any(profile: &Profile, host: &str, addresses: &[SocketAddr]) -> Result<TcpStream, DialError> {
    let share = profile.connect_timeout / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let mut last = DialError::new(DialStage::Connect, format_args!("{host} has no address"));
    for address in addresses {
        let failed = |stage, reason: &dyn fmt::Display| {
            DialError::new(stage, format_args!("cannot connect to {host} at {address}: {reason}"))
        };
        last = match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return prepare(stream).map_err(|error| failed(DialStage::Connect, &error)),
            Ok(Err(error)) => failed(DialStage::Connect, &error),
            Err(_) => failed(DialStage::Timeout, &"no answer in time"),
        };
    }
    Err(last)
}

fn prepare(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_AFTER))?;
    Ok(stream)
}
