//! Sets of proxy keys, kept as keyed hashes.

use std::{collections::HashSet, sync::LazyLock};

use gpt_load_schema::secret::Secret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A proxy key's hash; it means nothing outside of this process.
pub type Hash = [u8; 32];

/// Random per process, so that nobody outside can steer where a key lands in a set.
static SALT: LazyLock<Hash> = LazyLock::new(rand::random);

fn hash(key: &str) -> Hash {
    Sha256::new().chain_update(*SALT).chain_update(key.as_bytes()).finalize().into()
}

/// The proxy keys that a group or the installation accepts.
#[derive(Clone, Debug, Default)]
pub struct ProxyKeys(HashSet<Hash>);

impl ProxyKeys {
    /// From comma-separated text; blanks around keys and empty parts do not count.
    pub fn parse(text: &str) -> Self {
        Self(text.split(',').map(str::trim).filter(|key| !key.is_empty()).map(hash).collect())
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The hash of `key` when it is in one of `sets`.
///
/// Only salted hashes are compared, so neither the lookup nor its time says anything about the keys.
pub fn accepted(sets: [&ProxyKeys; 2], key: &Secret) -> Option<Hash> {
    let wanted = hash(key.expose());
    let is_known = sets.iter().any(|set| set.0.get(&wanted).is_some_and(|found| found.ct_eq(&wanted).into()));
    is_known.then_some(wanted)
}

/// Whether `key` is in one of `sets`.
pub fn accepts(sets: [&ProxyKeys; 2], key: &Secret) -> bool {
    accepted(sets, key).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_keys_are_accepted() {
        let group = ProxyKeys::parse(" sk-a, ,sk-b ,");
        let global = ProxyKeys::parse("sk-g");
        for (key, accepted) in
            [("sk-a", true), ("sk-b", true), ("sk-g", true), ("sk-", false), ("", false), (" sk-a", false)]
        {
            assert_eq!(accepts([&group, &global], &Secret::from(key)), accepted, "{key:?}");
        }
        assert!(ProxyKeys::parse(" , ").is_empty());
    }
}
