//! Regular expressions that people write: matched in linear time, bounded in memory.

use regex::{Regex, RegexBuilder};

/// A model pattern that starts so is a regular expression.
pub const REGEX_PREFIX: &str = "re:";
/// Longest regular expression, in bytes.
pub const MAX_REGEX_BYTES: usize = 1_000;
/// Bytes of a compiled program.
const PROGRAM_BYTES: usize = 256 << 10;
/// Bytes of the automaton that is built while matching, per thread that matches at the same time.
const AUTOMATON_BYTES: usize = 256 << 10;
/// Depth of groups within groups.
const DEPTH: u32 = 50;

/// Why a regular expression is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is longer than [`MAX_REGEX_BYTES`].
    #[error("a regular expression has at most {MAX_REGEX_BYTES} bytes")]
    Long,
    /// It would take too much memory.
    #[error("the regular expression is too large when compiled; use smaller repetitions")]
    Large,
    /// It is not one.
    #[error("not a regular expression: {0}")]
    Syntax(String),
}

/// Compiles a regular expression with limits on its size; it matches anywhere in a text and never backtracks.
///
/// # Errors
///
/// [`PatternError`].
pub fn regex(text: &str) -> Result<Regex, PatternError> {
    if text.len() > MAX_REGEX_BYTES {
        return Err(PatternError::Long);
    }
    let mut builder = RegexBuilder::new(text);
    builder.size_limit(PROGRAM_BYTES).dfa_size_limit(AUTOMATON_BYTES).nest_limit(DEPTH);
    builder.build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => PatternError::Large,
        // The last line says what is wrong, those before draw where.
        error => PatternError::Syntax(error.to_string().lines().last().unwrap_or_default().trim().to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_have_limits() {
        assert!(regex("^gpt-4(o|\\.1)?$").unwrap().is_match("gpt-4o"));
        for (text, large) in [("a{1000000}", true), ("(a{100}){100}{100}", true), ("\\w{900}", true)] {
            assert_eq!(regex(text).unwrap_err() == PatternError::Large, large, "{text}");
        }
        assert_eq!(regex(&"a".repeat(1_001)).unwrap_err(), PatternError::Long);
        for text in [
            "(",
            "a{2,1}",
            "[z-a]",
            "(?=a)",
            "\\1",
            &"(".repeat(300),
            &format!("{}a{}", "(".repeat(60), ")".repeat(60)),
        ] {
            let error = regex(text).unwrap_err();
            assert!(matches!(&error, PatternError::Syntax(text) if !text.is_empty()), "{text}: {error:?}");
        }
    }

    #[test]
    fn an_expression_that_would_backtrack_for_ever_does_not() {
        let hostile = regex("(a+)+$").unwrap();
        let text = "a".repeat(2_047) + "b";
        let start = std::time::Instant::now();
        for _ in 0..100 {
            assert!(!hostile.is_match(&text));
        }
        assert!(start.elapsed() < std::time::Duration::from_secs(10), "{:?}", start.elapsed());
    }
}
