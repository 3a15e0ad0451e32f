//! The encryption format of GPT-Load 1.x, for taking over its databases.
//!
//! PBKDF2-HMAC-SHA256 over the passphrase with a fixed salt gives one key for AES-256-GCM and for HMAC; a stored value
//! is lower-case hex of nonce, ciphertext and tag, without associated data.

use hmac::Mac;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{KeyBytes, OpenError, cipher, decrypt, encrypt, hex, keyed_hmac, unhex};
use crate::secret::Secret;

const SALT: &[u8] = b"gpt-load-encryption-v1";
const ROUNDS: u32 = 100_000;

/// The key that an `ENCRYPTION_KEY` of the old format stands for.
pub struct LegacyKey(KeyBytes);

impl LegacyKey {
    /// Derives it. Takes tens of milliseconds: never on a thread that serves.
    pub fn derive(passphrase: &Secret) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        pbkdf2::pbkdf2_hmac::<Sha256>(passphrase.expose().as_bytes(), SALT, ROUNDS, &mut *key);
        Self(key)
    }

    /// The stored form of `text`.
    pub fn seal(&self, text: &str) -> String {
        hex(&encrypt(&cipher(&self.0), &[], text.as_bytes()))
    }

    /// The clear text of a stored value.
    pub fn open(&self, stored: &str) -> Result<Secret, OpenError> {
        let sealed = unhex(stored).ok_or(OpenError::Malformed)?;
        let clear = Zeroizing::new(decrypt(&cipher(&self.0), &[], &sealed).ok_or(OpenError::Mismatch)?);
        std::str::from_utf8(&clear).map(Secret::new).map_err(|_| OpenError::Malformed)
    }

    /// The lookup hash of `text` in a database with encryption; empty for the empty text.
    pub fn hash(&self, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        let mut mac = keyed_hmac(&self.0);
        mac.update(text.as_bytes());
        hex(&mac.finalize().into_bytes())
    }
}

/// The lookup hash of `text` in a database without encryption; empty for the empty text.
pub fn plain_hash(text: &str) -> String {
    if text.is_empty() { String::new() } else { hex(&Sha256::digest(text.as_bytes())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::encrypt_with_nonce;

    const PASSPHRASE: &str = "correct horse battery staple";
    const CLEAR: &str = "sk-example-0001";
    const STORED: &str = "000102030405060708090a0bb40e9eaa3040de2a00212600ab0c491ef3eb17e1529b60af6df7ed1c980e4c";

    #[test]
    fn the_published_vector_reads_and_writes() {
        let key = LegacyKey::derive(&Secret::from(PASSPHRASE));
        assert_eq!(hex(&*key.0), "e915a5811ff452924e6154ae760a7831e636c1b6ca52ed69da451456f5b08e26");
        assert_eq!(key.hash(CLEAR), "4774b3641251ec3e3c64fa390e5c1156cdad0ac90da90b3411195a98a543a810");
        assert_eq!(plain_hash(CLEAR), "246cfbd405459ea9bd99252e31f907f3773037c17408288c3b696a894d353061");
        assert_eq!(key.open(STORED).expect("the vector opens").expose(), CLEAR);
        let nonce = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
        assert_eq!(hex(&encrypt_with_nonce(&cipher(&key.0), nonce, &[], CLEAR.as_bytes())), STORED);
        assert_eq!(key.open(&key.seal(CLEAR)).expect("what was sealed opens").expose(), CLEAR);
    }

    #[test]
    fn damage_and_other_keys_are_told_apart() {
        let key = LegacyKey::derive(&Secret::from(PASSPHRASE));
        assert_eq!(key.open("sk-plain").err(), Some(OpenError::Malformed));
        assert_eq!(key.open("0001").err(), Some(OpenError::Mismatch));
        assert_eq!(LegacyKey::derive(&Secret::from("other")).open(STORED).err(), Some(OpenError::Mismatch));
        assert_eq!((key.hash(""), plain_hash("")), (String::new(), String::new()));
    }
}
