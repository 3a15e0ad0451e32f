//! The access tokens of the management API as this node knows them: found by hash without asking the database.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use arc_swap::ArcSwap;
use gpt_load_schema::{access::AccessToken, ids::TokenId, time::Timestamp};
use parking_lot::Mutex;

/// No use that the database does not know.
const NEVER: i64 = i64::MIN;

/// A token and when this node saw it last.
pub struct KnownToken {
    /// The token.
    pub token: AccessToken,
    /// Milliseconds; [`NEVER`] since the node knows it.
    used_at: Arc<AtomicI64>,
}

impl KnownToken {
    /// Last use, also one that is not in the database yet.
    pub fn last_used_at(&self) -> Option<Timestamp> {
        let here = self.used_at.load(Ordering::Relaxed);
        self.token.last_used_at.max((here != NEVER).then_some(Timestamp(here)))
    }
}

/// Every access token, by hash. Readers never wait.
#[derive(Default)]
pub struct Tokens {
    known: ArcSwap<HashMap<String, Arc<KnownToken>>>,
    /// One change at a time.
    changing: Mutex<()>,
}

impl Tokens {
    /// The token of this [`gpt_load_schema::store::Store::lookup_hash`], expired ones included. Whoever lets it in says so
    /// with [`Tokens::used`].
    pub fn find(&self, hash: &str) -> Option<Arc<KnownToken>> {
        self.known.load().get(hash).cloned()
    }

    /// The token `id`.
    pub fn get(&self, id: TokenId) -> Option<Arc<KnownToken>> {
        self.known.load().values().find(|known| known.token.id == id).cloned()
    }

    /// Takes note that `known` was let in.
    pub fn used(&self, known: &KnownToken, now: Timestamp) {
        known.used_at.fetch_max(now.0, Ordering::Relaxed);
    }

    /// These and no others.
    pub(crate) fn replace(&self, tokens: Vec<AccessToken>) {
        let _turn = self.changing.lock();
        let former = self.known.load_full();
        let known = tokens.into_iter().map(|token| (token.hash.clone(), following(&former, token))).collect();
        self.known.store(Arc::new(known));
    }

    /// One more, or another in the place of a former one.
    pub(crate) fn put(&self, token: AccessToken) {
        let _turn = self.changing.lock();
        let former = self.known.load_full();
        let mut known = HashMap::clone(&former);
        known.insert(token.hash.clone(), following(&former, token));
        self.known.store(Arc::new(known));
    }

    /// One less.
    pub(crate) fn forget(&self, id: TokenId) {
        let _turn = self.changing.lock();
        let mut known = HashMap::clone(&self.known.load_full());
        known.retain(|_, known| known.token.id != id);
        self.known.store(Arc::new(known));
    }

    /// Uses that are not in the database yet.
    pub(crate) fn unwritten(&self) -> Vec<(TokenId, Timestamp)> {
        let known = self.known.load();
        let used = known.values().filter_map(|known| {
            let at = known.last_used_at()?;
            (known.token.last_used_at < Some(at)).then_some((known.token.id, at))
        });
        used.collect()
    }

    /// The database knows of these uses.
    pub(crate) fn written(&self, used: &[(TokenId, Timestamp)]) {
        for (id, at) in used {
            if let Some(known) = self.get(*id) {
                self.put(AccessToken { last_used_at: known.token.last_used_at.max(Some(*at)), ..known.token.clone() });
            }
        }
    }
}

/// What was seen of a token stays known when its row changes.
fn following(former: &HashMap<String, Arc<KnownToken>>, token: AccessToken) -> Arc<KnownToken> {
    let used_at =
        former.get(&token.hash).map_or_else(|| Arc::new(AtomicI64::new(NEVER)), |known| known.used_at.clone());
    Arc::new(KnownToken { token, used_at })
}

#[cfg(test)]
mod tests {
    use gpt_load_schema::access::{Role, TokenDefinition};

    use super::*;

    fn token(id: i64, hash: &str) -> AccessToken {
        AccessToken {
            id: TokenId(id),
            definition: TokenDefinition { name: format!("t{id}"), role: Role::Viewer, expires_at: None },
            prefix: String::new(),
            hash: hash.to_owned(),
            last_used_at: None,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        }
    }

    #[test]
    fn a_token_that_is_gone_is_not_found() {
        let tokens = Tokens::default();
        tokens.replace(vec![token(1, "a"), token(2, "b")]);
        assert!(tokens.find("a").is_some() && tokens.find("c").is_none());
        tokens.forget(TokenId(1));
        assert!(tokens.find("a").is_none() && tokens.find("b").is_some());
        tokens.put(token(3, "c"));
        assert_eq!(tokens.find("c").unwrap().token.id, TokenId(3));
        tokens.replace(Vec::new());
        assert!(tokens.find("b").is_none());
    }

    #[test]
    fn a_use_is_written_once_and_survives_changes() {
        let tokens = Tokens::default();
        tokens.put(token(1, "a"));
        assert!(tokens.unwritten().is_empty());
        tokens.used(&tokens.find("a").unwrap(), Timestamp(50));
        tokens.replace(vec![token(1, "a")]);
        assert_eq!(tokens.find("a").unwrap().last_used_at(), Some(Timestamp(50)));
        let used = tokens.unwritten();
        assert_eq!(used, [(TokenId(1), Timestamp(50))]);
        tokens.written(&used);
        assert!(tokens.unwritten().is_empty());
        tokens.used(&tokens.find("a").unwrap(), Timestamp(40));
        assert!(tokens.unwritten().is_empty(), "an earlier moment says nothing new");
        tokens.used(&tokens.find("a").unwrap(), Timestamp(60));
        assert_eq!(tokens.unwritten(), [(TokenId(1), Timestamp(60))]);
    }
}
