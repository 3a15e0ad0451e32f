//! Who may use the management API besides the holder of the management key: access tokens and their roles.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::{ids::TokenId, secret::Secret, time::Timestamp};

/// Characters of a token's name, at most.
pub const MAX_NAME_CHARS: usize = 100;
/// How the value of every token begins, so that scanners for leaked secrets know it.
pub const VALUE_PREFIX: &str = "gptload_";
/// Characters of a value that stay known, for people to recognise it.
const SHOWN: usize = VALUE_PREFIX.len() + 4;
/// Random bytes of a value: 256 bits.
const RANDOM_BYTES: usize = 32;

/// What someone may do in the management API. A greater role may do all that a lesser one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Read everything except secrets.
    Viewer,
    /// Everything.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 2] = [Self::Admin, Self::Viewer];

    /// The word in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Admin => "admin",
        }
    }

    /// The role that `word` stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a person decides about a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenDefinition {
    /// Unique; 1–[`MAX_NAME_CHARS`] characters.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// From when on it opens nothing; `None` = never.
    pub expires_at: Option<Timestamp>,
}

/// A stored token. Its value is nowhere; only who made it has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// Row id.
    pub id: TokenId,
    /// What a person decided.
    pub definition: TokenDefinition,
    /// Beginning of the value.
    pub prefix: String,
    /// Lookup hash of the value.
    pub hash: String,
    /// Last use, some minutes exact.
    pub last_used_at: Option<Timestamp>,
    /// Row made.
    pub created_at: Timestamp,
    /// Row last changed.
    pub updated_at: Timestamp,
}

impl AccessToken {
    /// Whether it opens anything at `now`.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.definition.expires_at.is_none_or(|at| now < at)
    }
}

/// A fresh random value.
pub fn fresh_value() -> Secret {
    let random: [u8; RANDOM_BYTES] = rand::random();
    format!("{VALUE_PREFIX}{}", URL_SAFE_NO_PAD.encode(random)).into()
}

/// The beginning of `value` by which people recognise it; says too little to guess the rest.
pub fn prefix_of(value: &Secret) -> String {
    value.expose().chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_long_random_and_known_by_their_beginning() {
        let (one, other) = (fresh_value(), fresh_value());
        assert_ne!(one, other);
        assert_eq!(one.expose().len(), VALUE_PREFIX.len() + 43);
        assert_eq!(prefix_of(&one), one.expose()[..12]);
    }

    #[test]
    fn an_admin_may_all_that_a_viewer_may() {
        assert!(Role::Admin >= Role::Viewer && Role::Viewer < Role::Admin);
        assert!(Role::ALL.iter().all(|role| Role::from_word(role.as_str()) == Some(*role)));
        assert_eq!(Role::from_word("Admin"), None);
    }

    #[test]
    fn a_token_is_valid_until_its_last_moment() {
        let definition = TokenDefinition { name: "t".to_owned(), role: Role::Viewer, expires_at: Some(Timestamp(10)) };
        let (prefix, hash) = (String::new(), String::new());
        let at = Timestamp(0);
        let token = AccessToken {
            id: TokenId(1),
            definition,
            prefix,
            hash,
            last_used_at: None,
            created_at: at,
            updated_at: at,
        };
        assert!(token.is_valid(Timestamp(9)) && !token.is_valid(Timestamp(10)));
    }
}
