//! Secrets in memory: wiped when dropped, never printed whole.

use std::fmt;

use zeroize::Zeroizing;

/// A provider key, proxy key or password.
///
/// `Debug` prints the mask; there is no `Display`. [`Secret::expose`] is the one way to the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Box<str>>);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The clear text; for the credential of an upstream call or for encryption, never for output.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// First and last four characters around `****`; `****` alone for 12 characters or fewer.
    pub fn masked(&self) -> String {
        mask(&self.0)
    }

    /// `text` with the secret masked wherever it stands in clear.
    pub fn masked_in(&self, text: String) -> String {
        if self.0.is_empty() || !text.contains(self.expose()) {
            text
        } else {
            text.replace(self.expose(), &self.masked())
        }
    }
}

/// The printable form of a secret; see [`Secret::masked`].
pub fn mask(text: &str) -> String {
    let chars = text.chars().count();
    if chars <= 12 {
        return "****".to_owned();
    }
    let head: String = text.chars().take(4).collect();
    let tail: String = text.chars().skip(chars - 4).collect();
    format!("{head}****{tail}")
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.masked())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_secret_shows_nothing() {
        assert_eq!(mask("sk-123456789"), "****");
        assert_eq!(mask("sk-1234567890"), "sk-1****7890");
        assert_eq!(format!("{:?}", Secret::from("abc")), "Secret(****)");
    }
}
