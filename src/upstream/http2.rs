//! Which upstreams speak HTTP/2.
//!
//! awc speaks HTTP/2 only where its own TLS handshake agrees on it, outside the guard. So a host is asked first, in a handshake of
//! its own, and only one that offers HTTP/2 is called over such connections.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::dial::{self, Destination, DialError, DialStage};
use super::profile::Profile;
use super::tls::Tls;
use super::wire::Wire;

/// How long the answer of a host is believed.
const BELIEVED_FOR: Duration = Duration::from_secs(600);

/// What the hosts of one profile offered.
#[derive(Default)]
pub(super) struct Protocols {
    known: RefCell<HashMap<Box<str>, (bool, Instant)>>,
}

impl Protocols {
    /// Whether `authority` speaks HTTP/2; asks it when that is not known.
    pub(super) async fn speaks_http2(
        &self,
        authority: &str,
        profile: &Profile,
        tls: &Tls,
        to: Destination<'_>,
    ) -> Result<bool, DialError> {
        let now = Instant::now();
        if let Some((http2, asked)) = self.known.borrow().get(authority)
            && now.saturating_duration_since(*asked) < BELIEVED_FOR
        {
            return Ok(*http2);
        }
        let http2 = tokio::time::timeout(profile.connect_timeout, ask(profile, tls, to))
            .await
            .map_err(|_| DialError::new(DialStage::Timeout, format_args!("no TLS with {} in time", to.host)))??;
        self.known.borrow_mut().insert(authority.into(), (http2, now));
        Ok(http2)
    }

    /// `authority` offered HTTP/2 but did not speak it.
    pub(super) fn distrust(&self, authority: &str) {
        self.known.borrow_mut().insert(authority.into(), (false, Instant::now()));
    }

    pub(super) fn sweep(&self, now: Instant) {
        self.known.borrow_mut().retain(|_, (_, asked)| now.saturating_duration_since(*asked) < BELIEVED_FOR);
    }
}

async fn ask(profile: &Profile, tls: &Tls, to: Destination<'_>) -> Result<bool, DialError> {
    let wire = dial::dial_plain(profile, tls, to).await?;
    let wire = dial::encrypt(wire, Arc::clone(&tls.either), to.host).await?;
    Ok(matches!(wire, Wire::Tls(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2")))
}
