//! How the data key and the lookup key are stored: wrapped by a key derived from the passphrase.

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{KeyBytes, cipher, decrypt, encrypt};
use crate::secret::Secret;

/// What a stored key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Encrypts values.
    Data,
    /// Makes lookup hashes.
    Lookup,
}

impl Purpose {
    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Lookup => "lookup",
        }
    }
}

/// How wrapping keys are derived from passphrases; stored beside what they wrap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derivation {
    salt: Vec<u8>,
    rounds: u32,
}

impl Derivation {
    /// PBKDF2-HMAC-SHA256 rounds of fresh derivations (OWASP Password Storage Cheat Sheet, 2023).
    pub const ROUNDS: u32 = 600_000;

    /// A fresh random 16-byte salt and [`Derivation::ROUNDS`].
    pub fn fresh() -> Self {
        Self::with_rounds(Self::ROUNDS)
    }

    /// A fresh salt and as many rounds as asked for.
    pub(crate) fn with_rounds(rounds: u32) -> Self {
        Self { salt: rand::random::<[u8; 16]>().to_vec(), rounds }
    }

    /// The derivation that was stored as these texts; `None` when they are damaged.
    pub fn from_stored(salt: &str, rounds: i64) -> Option<Self> {
        let rounds = u32::try_from(rounds).ok().filter(|&rounds| rounds > 0)?;
        Some(Self { salt: STANDARD.decode(salt).ok()?, rounds })
    }

    /// The salt in base64.
    pub fn salt(&self) -> String {
        STANDARD.encode(&self.salt)
    }

    /// The number of rounds.
    pub const fn rounds(&self) -> u32 {
        self.rounds
    }

    /// Derives the wrapping key. Takes a good part of a second: never on a thread that serves.
    pub fn derive(&self, passphrase: &Secret) -> WrappingKey {
        let mut key = Zeroizing::new([0; 32]);
        pbkdf2::pbkdf2_hmac::<Sha256>(passphrase.expose().as_bytes(), &self.salt, self.rounds, &mut *key);
        WrappingKey(key)
    }
}

/// Wraps and unwraps stored keys.
pub struct WrappingKey(KeyBytes);

impl WrappingKey {
    /// The stored form of `key`: base64 of nonce, ciphertext and tag, bound to its purpose and row id.
    pub fn wrap(&self, purpose: Purpose, id: i64, key: &KeyBytes) -> String {
        STANDARD.encode(encrypt(&cipher(&self.0), &identity(purpose, id), key.as_slice()))
    }

    /// The key that was wrapped; `None` under another passphrase or when the stored form was changed.
    pub fn unwrap(&self, purpose: Purpose, id: i64, stored: &str) -> Option<KeyBytes> {
        let sealed = STANDARD.decode(stored).ok()?;
        let clear = Zeroizing::new(decrypt(&cipher(&self.0), &identity(purpose, id), &sealed)?);
        key_from(&clear)
    }
}

/// The stored form of a key that no passphrase protects: base64.
pub fn unprotected(key: &KeyBytes) -> String {
    STANDARD.encode(key.as_slice())
}

/// The key behind [`unprotected`].
pub fn read_unprotected(stored: &str) -> Option<KeyBytes> {
    key_from(&Zeroizing::new(STANDARD.decode(stored).ok()?))
}

/// A fresh random key.
pub fn random_key() -> KeyBytes {
    Zeroizing::new(rand::random())
}

fn key_from(bytes: &[u8]) -> Option<KeyBytes> {
    bytes.try_into().ok().map(Zeroizing::new)
}

fn identity(purpose: Purpose, id: i64) -> Vec<u8> {
    format!("encryption_keys\0{}\0{id}", purpose.as_str()).into_bytes()
}
