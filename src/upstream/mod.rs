//! Outbound calls over guarded connections.
//!
//! [`send`](send::send) makes one call over awc. awc takes an interim answer for the final one, a cut body for a whole one, and an
//! answer delimited by the end of the connection for an empty one; therefore every connection runs inside the guard
//! ([`guard`], which applies [`framing`]). Connections are made by [`dial`], through an outbound proxy if there is one.
//! [`balance`] chooses among the upstreams of a group.

pub mod address;
pub mod balance;
mod body;
pub mod breaker;
pub mod clients;
pub mod dial;
pub mod error;
pub mod framing;
pub mod guard;
mod http2;
mod idle;
pub mod profile;
pub mod proxy_env;
pub mod proxy_url;
mod scope;
pub mod send;
pub mod tls;
mod tunnel;
pub mod wire;

pub use balance::{Balancer, Health, UpstreamState};
pub use clients::Clients;
pub use error::{TransportError, TransportKind};
pub use profile::Profile;
pub use proxy_env::ProxyEnv;
pub use proxy_url::ProxyUrl;
pub use send::{OutboundBody, OutboundPayload, OutboundRequest, OutboundResponse, Target, send};
pub use tls::Tls;
