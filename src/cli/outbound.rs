//! Calls of the command line go the way of the gateway's own: guarded connections, so that a cut answer is never taken for
//! a whole one, the same TLS roots, the same outbound proxies.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::exit::CliError;
use crate::{
    config::Config,
    upstream::{Clients, OutboundPayload, Tls, TransportError},
};

/// The outbound connections of a command.
///
/// # Errors
/// When `EXTRA_CA_FILE` cannot be used.
pub(super) fn clients(config: Option<&Config>) -> Result<Clients, CliError> {
    let extra = config.and_then(|config| config.extra_ca_file.as_deref());
    Tls::system(extra).map(Clients::new).map_err(|error| CliError::usage(error.to_string()))
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// It broke off.
    #[error("{0}")]
    Transport(#[from] TransportError),
    /// It has more bytes than anyone would send.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
    /// It did not arrive in time.
    #[error("the answer did not end within {0:?}")]
    Timeout(Duration),
}

/// Reads a body of at most `limit` bytes within `time`.
///
/// # Errors
/// When it is larger, slower, or breaks off.
pub(super) async fn collect(mut payload: OutboundPayload, limit: usize, time: Duration) -> Result<Bytes, BodyError> {
    let whole = async {
        let mut body = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk?;
            if body.len() + chunk.len() > limit {
                return Err(BodyError::TooLarge(limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    };
    tokio::time::timeout(time, whole).await.unwrap_or(Err(BodyError::Timeout(time)))
}
