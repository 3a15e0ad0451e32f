//! Encryption at rest.
//!
//! A random *data key* encrypts values, a random *lookup key* makes hashes by which values are found. Both are stored
//! wrapped by a key derived from the passphrase `ENCRYPTION_KEY` ([`envelope`]). A stored value reads
//! `v2:<data key id>:<base64 of nonce, ciphertext, tag>` and is bound to its [`Place`], so that a value moved to
//! another row does not decrypt. Hashes depend on the lookup key alone and survive every change of passphrase or data
//! key. [`legacy`] is the format of older programs.

pub mod envelope;
pub mod legacy;

use std::{collections::BTreeMap, fmt, sync::Arc};

use aes_gcm::{
    Aes256Gcm, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use arc_swap::ArcSwapOption;
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// A 256-bit key, wiped when dropped.
pub type KeyBytes = Zeroizing<[u8; 32]>;

/// Bytes of an AES-GCM nonce.
const NONCE_LEN: usize = 12;
/// Start of every encrypted value.
const VERSION: &str = "v2:";

/// Why a stored value is not readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not of the form `v2:<data key id>:<base64>`.
    #[error("the value is not in the encrypted form `v2:…`")]
    Malformed,
    /// Encrypted under a data key that is not at hand.
    #[error("the value was encrypted under the unknown data key {0}")]
    UnknownDataKey(i64),
    /// Wrong key, wrong place, or changed since it was written.
    #[error("the value does not decrypt: it was changed, or belongs to another row")]
    Mismatch,
}

/// Where a value is stored; part of what its encryption vouches for.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Table name.
    pub table: &'static str,
    /// Column name, with the member for a value inside JSON.
    pub column: &'static str,
    /// What tells the row from all others, known before the row is inserted and never changed.
    pub row: &'a str,
}

impl Place<'_> {
    /// Unambiguous bytes: no table or column name holds a NUL.
    fn associated_data(&self) -> Vec<u8> {
        [self.table.as_bytes(), self.column.as_bytes(), self.row.as_bytes()].join(&0)
    }
}

/// Encrypts, decrypts and hashes what the database stores.
///
/// It may know several data keys: the one with the highest id encrypts, the others read what was written before them.
/// One data key is good for 2³² values under random nonces before a collision becomes likelier than 2⁻³² (NIST
/// SP 800-38D, 8.3).
pub struct Vault {
    data: ArcSwapOption<DataKeys>,
    lookup: Hmac<Sha256>,
}

type DataKeys = BTreeMap<i64, Aes256Gcm>;

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("encrypts", &self.encrypts()).finish_non_exhaustive()
    }
}

impl Vault {
    /// A vault that stores plain text; only hashes are keyed.
    pub fn plain(lookup: &KeyBytes) -> Self {
        Self { data: ArcSwapOption::empty(), lookup: keyed_hmac(lookup) }
    }

    /// A vault that encrypts under the data key `id`.
    pub fn encrypting(id: i64, data: &KeyBytes, lookup: &KeyBytes) -> Self {
        let vault = Self::plain(lookup);
        vault.learn(id, data);
        vault
    }

    /// A vault of the same hashes that stores plain text.
    pub fn in_plain(&self) -> Self {
        Self { data: ArcSwapOption::empty(), lookup: self.lookup.clone() }
    }

    /// Whether values are encrypted.
    pub fn encrypts(&self) -> bool {
        self.data.load().is_some()
    }

    /// The id of the data key that encrypts; `None` where values are plain text.
    pub fn current_key(&self) -> Option<i64> {
        self.data.load().as_ref()?.last_key_value().map(|(id, _)| *id)
    }

    /// Takes up a data key; it encrypts from now on if no other has a higher id.
    pub fn learn(&self, id: i64, key: &KeyBytes) {
        let cipher = cipher(key);
        self.data.rcu(|known| {
            let mut keys = known.as_deref().cloned().unwrap_or_default();
            keys.insert(id, cipher.clone());
            Some(Arc::new(keys))
        });
    }

    /// The stored form of `text` at `place`. An empty text is stored empty: it hides nothing.
    pub fn seal(&self, place: Place<'_>, text: &str) -> String {
        match self.data.load().as_ref().and_then(|keys| keys.last_key_value()) {
            Some((id, cipher)) if !text.is_empty() => {
                let sealed = encrypt(cipher, &place.associated_data(), text.as_bytes());
                format!("{VERSION}{id}:{}", STANDARD.encode(sealed))
            }
            _ => text.to_owned(),
        }
    }

    /// The clear text of what [`Vault::seal`] stored at the same place.
    pub fn open(&self, place: Place<'_>, stored: &str) -> Result<Secret, OpenError> {
        let keys = self.data.load();
        let Some(keys) = keys.as_ref() else { return Ok(Secret::new(stored)) };
        if stored.is_empty() {
            return Ok(Secret::new(""));
        }
        let (id, body) = split(stored).ok_or(OpenError::Malformed)?;
        let cipher = keys.get(&id).ok_or(OpenError::UnknownDataKey(id))?;
        let sealed = STANDARD.decode(body).map_err(|_| OpenError::Malformed)?;
        let clear = Zeroizing::new(decrypt(cipher, &place.associated_data(), &sealed).ok_or(OpenError::Mismatch)?);
        let text = std::str::from_utf8(&clear).map_err(|_| OpenError::Malformed)?;
        Ok(Secret::new(text))
    }

    /// The lookup hash of `text`: HMAC-SHA256 under the lookup key, 64 lower-case hex digits.
    pub fn hash(&self, text: &str) -> String {
        let mut mac = self.lookup.clone();
        mac.update(text.as_bytes());
        hex(&mac.finalize().into_bytes())
    }
}

/// The id of the data key under which `stored` says to be encrypted.
pub fn data_key_of(stored: &str) -> Option<i64> {
    split(stored).map(|(id, _)| id)
}

/// Data key id and body of an encrypted value.
fn split(stored: &str) -> Option<(i64, &str)> {
    let (id, body) = stored.strip_prefix(VERSION)?.split_once(':')?;
    Some((id.parse().ok()?, body))
}

fn keyed_hmac(key: &KeyBytes) -> Hmac<Sha256> {
    Hmac::new_from_slice(key.as_slice()).expect("HMAC takes a key of any length")
}

fn cipher(key: &KeyBytes) -> Aes256Gcm {
    Aes256Gcm::new(&(**key).into())
}

/// Nonce, ciphertext and tag under a fresh random nonce.
fn encrypt(cipher: &Aes256Gcm, associated_data: &[u8], clear: &[u8]) -> Vec<u8> {
    encrypt_with_nonce(cipher, rand::random(), associated_data, clear)
}

fn encrypt_with_nonce(cipher: &Aes256Gcm, nonce: [u8; NONCE_LEN], associated_data: &[u8], clear: &[u8]) -> Vec<u8> {
    let sealed = cipher
        .encrypt(&Nonce::from(nonce), Payload { msg: clear, aad: associated_data })
        .expect("AES-GCM takes every text below 64 GiB");
    [&nonce[..], &sealed].concat()
}

/// The clear bytes of nonce, ciphertext and tag, if key and associated data are those of the encryption.
fn decrypt(cipher: &Aes256Gcm, associated_data: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>()?;
    cipher.decrypt(&Nonce::from(*nonce), Payload { msg: body, aad: associated_data }).ok()
}

/// Lower-case hex digits.
fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

/// Bytes of lower- or upper-case hex digits; `None` when there are others or one is missing.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

#[cfg(test)]
mod tests;
