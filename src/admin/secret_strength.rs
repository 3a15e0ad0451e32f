//! What there is to say against a secret that people chose. Pure.

/// Words that guessers try first, in the order in which they are told.
const COMMON: [&str; 18] = [
    "password",
    "123456",
    "admin",
    "secret",
    "test",
    "demo",
    "sk-123456",
    "key",
    "token",
    "pass",
    "pwd",
    "qwerty",
    "abc",
    "default",
    "user",
    "login",
    "auth",
    "temp",
];
/// Bytes below which a secret can be guessed.
const TOO_SHORT: usize = 16;
/// Bytes below which it should be longer.
const SHORT: usize = 32;
/// Kinds of characters (capital, small, digit, other) that a secret should have.
const KINDS: usize = 3;

/// One thing to say against a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It is empty.
    Unset,
    /// It has fewer bytes than this.
    Shorter(usize),
    /// It holds a word that guessers try first.
    Common,
    /// It has few kinds of characters.
    Plain,
}

impl Flaw {
    /// The word in the API.
    pub(super) const fn severity(self) -> &'static str {
        match self {
            Self::Unset | Self::Common | Self::Shorter(TOO_SHORT) => "high",
            Self::Shorter(_) | Self::Plain => "medium",
        }
    }
}

/// What there is to say against `secret`.
pub(super) fn flaws(secret: &str) -> Vec<Flaw> {
    if secret.is_empty() {
        return vec![Flaw::Unset];
    }
    let bound = [TOO_SHORT, SHORT].into_iter().find(|bound| secret.len() < *bound);
    let lower = secret.to_lowercase();
    let is_common = COMMON.iter().any(|word| lower.contains(word));
    let is_plain = secret.len() >= TOO_SHORT && kinds(secret) < KINDS;
    bound
        .map(Flaw::Shorter)
        .into_iter()
        .chain(is_common.then_some(Flaw::Common))
        .chain(is_plain.then_some(Flaw::Plain))
        .collect()
}

fn kinds(secret: &str) -> usize {
    let is_other = |character: char| !character.is_uppercase() && !character.is_lowercase() && !character.is_numeric();
    let kinds: [&dyn Fn(char) -> bool; 4] = [
        &|character| character.is_uppercase(),
        &|character| character.is_lowercase(),
        &|character| character.is_numeric(),
        &is_other,
    ];
    kinds.into_iter().filter(|is_of_kind| secret.chars().any(is_of_kind)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flaws_follow_the_table() {
        let cases: [(&str, &[Flaw]); 9] = [
            ("", &[Flaw::Unset]),
            ("x", &[Flaw::Shorter(16)]),
            ("Password", &[Flaw::Shorter(16), Flaw::Common]),
            ("Zr8#Zr8#Zr8#Zr8", &[Flaw::Shorter(16)]),
            ("Zr8#Zr8#Zr8#Zr8#", &[Flaw::Shorter(32)]),
            ("zzzzzzzzzzzzzzzz", &[Flaw::Shorter(32), Flaw::Plain]),
            ("zzzzzzzzzzzzzzzz9999999999999999", &[Flaw::Plain]),
            ("Zr8#Zr8#Zr8#Zr8#Zr8#Zr8#Zr8#TEMP", &[Flaw::Common]),
            ("Zr8#Zr8#Zr8#Zr8#Zr8#Zr8#Zr8#Zr8#", &[]),
        ];
        for (secret, expected) in cases {
            assert_eq!(flaws(secret), expected, "{secret}");
        }
    }

    #[test]
    fn what_can_be_guessed_is_severe() {
        let cases = [
            (Flaw::Unset, "high"),
            (Flaw::Shorter(16), "high"),
            (Flaw::Common, "high"),
            (Flaw::Shorter(32), "medium"),
            (Flaw::Plain, "medium"),
        ];
        for (flaw, severity) in cases {
            assert_eq!(flaw.severity(), severity, "{flaw:?}");
        }
    }
}
