//! Stored provider keys of older programs, encrypted or not, in clear text.

use crate::{
    crypto::legacy::{LegacyKey as CipherKey, plain_hash},
    secret::Secret,
};

/// Bytes of nonce and tag, which every encrypted value has.
const OVERHEAD: usize = 28;

/// Opens what an older program stored under one passphrase, or under none.
pub(crate) struct LegacyCipher(Option<CipherKey>);

/// What a stored value turned out to be.
#[derive(Debug)]
pub(crate) enum Opened {
    /// Encrypted under the passphrase.
    Decrypted(Secret),
    /// Stored in clear text.
    Clear(Secret),
    /// Encrypted, but not under this passphrase.
    Unreadable,
}

impl LegacyCipher {
    /// Derives the key. Takes tens of milliseconds: never on a thread that serves. `None` or empty = no encryption.
    pub(crate) fn new(passphrase: Option<&Secret>) -> Self {
        Self(passphrase.filter(|passphrase| !passphrase.expose().is_empty()).map(CipherKey::derive))
    }

    /// Whether there is a passphrase.
    pub(crate) const fn has_key(&self) -> bool {
        self.0.is_some()
    }

    /// Opens `stored`. `hash` is the stored hash, empty when there is none: it tells a clear-text key of hexadecimal
    /// digits from an encrypted one.
    pub(crate) fn open(&self, stored: &str, hash: &str) -> Opened {
        if !looks_encrypted(stored) {
            return Opened::Clear(Secret::new(stored));
        }
        let own_hash = |key: &CipherKey| hash == key.hash(stored);
        match &self.0 {
            Some(key) => match key.open(stored) {
                Ok(clear) => Opened::Decrypted(clear),
                Err(_) if own_hash(key) || hash == plain_hash(stored) => Opened::Clear(Secret::new(stored)),
                Err(_) => Opened::Unreadable,
            },
            // Programs that stored no hash knew no encryption.
            None if hash.is_empty() || hash == plain_hash(stored) => Opened::Clear(Secret::new(stored)),
            None => Opened::Unreadable,
        }
    }
}

/// Whether a value has the form of an encrypted one; a clear-text key may have it by chance.
fn looks_encrypted(stored: &str) -> bool {
    stored.len() > 2 * OVERHEAD
        && stored.len().is_multiple_of(2)
        && stored.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(opened: Opened) -> (&'static str, String) {
        match opened {
            Opened::Decrypted(secret) => ("decrypted", secret.expose().to_owned()),
            Opened::Clear(secret) => ("clear", secret.expose().to_owned()),
            Opened::Unreadable => ("unreadable", String::new()),
        }
    }

    #[test]
    fn the_hash_tells_what_the_form_does_not() {
        let key = CipherKey::derive(&"passphrase".into());
        let with = LegacyCipher::new(Some(&"passphrase".into()));
        let other = LegacyCipher::new(Some(&"other".into()));
        let none = LegacyCipher::new(None);
        let sealed = key.seal("sk-one");
        let hexadecimal = "0123456789abcdef".repeat(4);
        let (sealed_hash, plain) = (key.hash("sk-one"), plain_hash(&hexadecimal));
        let clear = |text: &str| ("clear", text.to_owned());
        for (cipher, stored, hash, expected) in [
            (&with, sealed.as_str(), sealed_hash.as_str(), ("decrypted", "sk-one".to_owned())),
            (&with, &sealed, "", ("decrypted", "sk-one".to_owned())),
            (&other, &sealed, &sealed_hash, ("unreadable", String::new())),
            (&none, &sealed, &sealed_hash, ("unreadable", String::new())),
            (&with, "sk-plain", "", clear("sk-plain")),
            (&none, "sk-plain", &sealed_hash, clear("sk-plain")),
            (&none, &hexadecimal, &plain, clear(&hexadecimal)),
            (&none, &hexadecimal, "", clear(&hexadecimal)),
            (&with, &hexadecimal, &plain, clear(&hexadecimal)),
            (&with, &hexadecimal, &key.hash(&hexadecimal), clear(&hexadecimal)),
            (&with, &hexadecimal, "", ("unreadable", String::new())),
        ] {
            assert_eq!(text(cipher.open(stored, hash)), expected, "{stored} {hash}");
        }
    }
}
