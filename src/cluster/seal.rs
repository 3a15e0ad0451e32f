//! What a node says of a request that it forwards, sealed so that nobody else can say it.

use std::{net::IpAddr, time::Duration};

use gpt_load_schema::{secret::Secret, time::Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The header that a forwarded request bears.
pub const SEAL: &str = "x-gpt-load-forwarded";

/// How much the clocks of two nodes may differ, travel included.
const TOLERANCE: Duration = Duration::from_secs(300);

/// The seal that all nodes of a cluster have: made from `AUTH_KEY`.
#[derive(Clone)]
pub struct Seal(Hmac<Sha256>);

/// What the forwarding node says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// The name of that node.
    pub node: String,
    /// The address of the client as that node saw it.
    pub client: IpAddr,
}

impl Seal {
    /// The seal of the nodes with this management key.
    pub fn new(auth_key: &Secret) -> Self {
        // A key of any length is taken.
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(auth_key.expose().as_bytes())
            .unwrap_or_else(|_| <Hmac<Sha256> as KeyInit>::new(&Default::default()));
        mac.update(b"gpt-load forwarded request v1\0");
        Self(mac)
    }

    /// The header for a request: `<node, percent-encoded>;<client address>;<ms since 1970>;<hex>`.
    pub fn close(&self, said: &Forwarded, method: &str, path_and_query: &str, now: Timestamp) -> String {
        let node = percent_encoding::utf8_percent_encode(&said.node, percent_encoding::NON_ALPHANUMERIC);
        let open = format!("{node};{};{}", said.client, now.0);
        let mac = self.over(&open, method, path_and_query).finalize().into_bytes();
        mac.iter().fold(open + ";", |text, byte| text + &format!("{byte:02x}"))
    }

    /// What was said; `None` unless a node of this cluster said it, of this request, and lately.
    pub fn open(&self, header: &str, method: &str, path_and_query: &str, now: Timestamp) -> Option<Forwarded> {
        let (open, mac) = header.rsplit_once(';')?;
        self.over(open, method, path_and_query).verify_slice(&unhex(mac)?).ok()?;
        let mut parts = open.split(';');
        let node = percent_encoding::percent_decode_str(parts.next()?).decode_utf8().ok()?.into_owned();
        let (client, at) = (parts.next()?.parse().ok()?, Timestamp(parts.next()?.parse().ok()?));
        let age = now.since(at).max(at.since(now));
        (age <= TOLERANCE && parts.next().is_none()).then_some(Forwarded { node, client })
    }

    fn over(&self, open: &str, method: &str, path_and_query: &str) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in [open, method, path_and_query] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let value = |digit: u8| (digit as char).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let bytes = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(value(*high)? << 4 | value(*low)?),
        _ => None,
    });
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn said() -> Forwarded {
        Forwarded { node: "node; eins/ö".to_owned(), client: "2001:db8::7".parse().unwrap() }
    }

    #[test]
    fn a_node_recognises_what_another_has_sealed() {
        let (ours, theirs) = (Seal::new(&Secret::new("key".to_owned())), Seal::new(&Secret::new("key".to_owned())));
        let header = ours.close(&said(), "PUT", "/api/settings?x=1", NOW);
        assert!(header.is_ascii() && !header.contains(' '), "{header}");
        assert_eq!(theirs.open(&header, "PUT", "/api/settings?x=1", NOW), Some(said()));
        assert_eq!(theirs.open(&header, "PUT", "/api/settings?x=1", NOW - TOLERANCE), Some(said()));
    }

    #[test]
    fn nothing_else_is_recognised() {
        let seal = Seal::new(&Secret::new("key".to_owned()));
        let header = seal.close(&said(), "PUT", "/api/settings", NOW);
        let other = Seal::new(&Secret::new("another key".to_owned()));
        assert_eq!(other.open(&header, "PUT", "/api/settings", NOW), None, "of another cluster");
        assert_eq!(seal.open(&header, "POST", "/api/settings", NOW), None, "another method");
        assert_eq!(seal.open(&header, "PUT", "/api/settings?key=", NOW), None, "another path");
        let late = NOW + TOLERANCE + Duration::from_millis(1);
        assert_eq!(seal.open(&header, "PUT", "/api/settings", late), None, "too old");
        assert_eq!(seal.open(&header.replace("db8", "db9"), "PUT", "/api/settings", NOW), None, "another client");
        for header in ["", ";", ";;;", "a;127.0.0.1;0;zz", "a;127.0.0.1;0;abc", "a;127.0.0.1;0;ö"] {
            assert_eq!(seal.open(header, "PUT", "/api/settings", NOW), None, "{header}");
        }
    }
}
