//! What distinguishes one kind of outbound connection from another.

use std::sync::Arc;
use std::time::Duration;

use super::proxy_url::ProxyUrl;

/// Settings of connections. Connections of different profiles are never mixed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Profile {
    /// Bounds name resolution, the way through a proxy, and TLS together.
    pub connect_timeout: Duration,
    /// How long an unused connection stays open.
    pub idle_timeout: Duration,
    /// Unused connections that stay open per worker and upstream host; connections in use are not limited.
    pub max_idle_per_host: usize,
    /// Unused connections that stay open per worker over all upstream hosts.
    pub max_idle: usize,
    /// The outbound proxy.
    pub proxy: Option<Arc<ProxyUrl>>,
    /// Speak HTTP/2 to https upstreams that offer it.
    pub http2: bool,
    /// Permit link-local addresses, where clouds serve credentials (`ALLOW_LINK_LOCAL_UPSTREAMS`).
    pub allow_link_local: bool,
}

impl Default for Profile {
    /// 15 s to connect, 120 s idle, 50 idle connections to a host and 100 in all, direct, HTTP/1.1, no link-local addresses.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(120),
            max_idle_per_host: 50,
            max_idle: 100,
            proxy: None,
            http2: false,
            allow_link_local: false,
        }
    }
}
