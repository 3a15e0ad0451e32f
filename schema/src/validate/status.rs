//! Sets of HTTP status codes, as `failover_status_codes` spells them.

use std::{fmt, ops::RangeInclusive, str::FromStr};

/// Codes that may be named.
const RANGE: RangeInclusive<u16> = 100..=999;
const WORDS: usize = 16;

/// A set of the status codes 100–999; membership is one bit test.
///
/// Grammar: codes and ranges `a-b`, separated by commas or newlines, blanks ignored; an empty text is the empty set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct StatusSet([u64; WORDS]);

/// A text that is no [`StatusSet`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a status code (100-999) nor a range of two, the lower first")]
pub struct StatusSetError(String);

/// Longest piece of a refused text that an error quotes, in characters.
const QUOTED: usize = 40;

impl StatusSet {
    /// The default of `failover_status_codes`.
    pub const DEFAULT_TEXT: &'static str = "401-403,408,425,429,500-599";

    /// The set of a stored text; empty when the text does not parse.
    pub fn from_stored(text: &str) -> Self {
        text.parse().unwrap_or_default()
    }

    /// Whether `status` is in the set.
    pub const fn contains(&self, status: u16) -> bool {
        let word = (status / 64) as usize;
        word < WORDS && self.0[word] & (1 << (status % 64)) != 0
    }

    /// Whether no status is.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; WORDS]
    }

    fn insert(&mut self, status: u16) {
        self.0[usize::from(status / 64)] |= 1 << (status % 64);
    }
}

impl FromStr for StatusSet {
    type Err = StatusSetError;

    fn from_str(text: &str) -> Result<Self, StatusSetError> {
        let mut set = Self::default();
        for token in text.split([',', '\n']).map(str::trim).filter(|token| !token.is_empty()) {
            let range = range(token).ok_or_else(|| StatusSetError(token.chars().take(QUOTED).collect()))?;
            range.for_each(|status| set.insert(status));
        }
        Ok(set)
    }
}

impl fmt::Display for StatusSet {
    /// The shortest text of the set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let mut next = *RANGE.start();
        while let Some(first) = (next..=*RANGE.end()).find(|&status| self.contains(status)) {
            let last = (first..=*RANGE.end()).take_while(|&status| self.contains(status)).last().unwrap_or(first);
            write!(f, "{separator}{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
            separator = ",";
            next = last + 1;
        }
        Ok(())
    }
}

fn range(token: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = match token.split_once('-') {
        Some((first, last)) => (code(first)?, code(last)?),
        None => (code(token)?, code(token)?),
    };
    (first <= last).then_some(first..=last)
}

fn code(text: &str) -> Option<u16> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|status| digits && RANGE.contains(status))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_default_retries_what_another_key_may_cure() {
        let set: StatusSet = StatusSet::DEFAULT_TEXT.parse().expect("the default parses");
        for status in [401, 402, 403, 408, 425, 429, 500, 529, 599] {
            assert!(set.contains(status), "{status}");
        }
        for status in [0, 200, 400, 404, 413, 422, 600, 999, 1_000, u16::MAX] {
            assert!(!set.contains(status), "{status}");
        }
        assert_eq!(set.to_string(), StatusSet::DEFAULT_TEXT);
    }

    #[test]
    fn the_grammar() {
        for (text, canonical) in [
            ("", ""),
            (" , \n,", ""),
            ("404", "404"),
            (" 500 - 502 , 404\n429,", "404,429,500-502"),
            ("100-999", "100-999"),
            ("400-403,405-999", "400-403,405-999"),
            ("500,501,502", "500-502"),
        ] {
            assert_eq!(text.parse::<StatusSet>().expect(text).to_string(), canonical);
        }
        for text in
            ["99", "1000", "5xx", "500-", "-500", "500-499", "400-500-600", "+404", "4 04", "500–599", "99999999"]
        {
            assert!(text.parse::<StatusSet>().is_err(), "{text}");
            assert!(StatusSet::from_stored(text).is_empty());
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}|[0-9, -]{0,60}") {
            if let Ok(set) = text.parse::<StatusSet>() {
                prop_assert_eq!(set.to_string().parse::<StatusSet>(), Ok(set));
            }
        }

        #[test]
        fn a_set_holds_what_was_named(codes in prop::collection::btree_set(100u16..=999, 0..50)) {
            let text = codes.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
            let set: StatusSet = text.parse().expect("codes");
            for status in 0..=1_100 {
                prop_assert_eq!(set.contains(status), codes.contains(&status));
            }
        }
    }
}
