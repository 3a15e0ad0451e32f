//! Which models clients may ask for.

use gpt_load_schema::{
    channel::Channel,
    policy::{FilterType, ModelFilter, Policy, REGEX_PREFIX, regex},
};
use regex::Regex;

use super::Policies;

/// Longest model name that a filter looks at, in bytes; longer ones are denied, no provider has them.
const MAX_MODEL: usize = 1024;

/// A model filter, ready to decide.
pub struct Filter {
    /// Name of its policy.
    pub policy: String,
    kind: FilterType,
    patterns: Vec<(String, Pattern)>,
}

enum Pattern {
    Wildcard(Vec<char>),
    Regex(Box<Regex>),
}

/// What a group's filters say of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance<'a> {
    /// Whether clients may ask for it.
    pub allowed: bool,
    /// The policy that decided; `None` when there is no filter.
    pub policy: Option<&'a str>,
    /// The pattern that decided; `None` when none fits.
    pub pattern: Option<&'a str>,
}

impl Filter {
    pub(super) fn new(policy: &Policy, filter: &ModelFilter) -> Self {
        let compiled = |text: &String| {
            let pattern = match text.strip_prefix(REGEX_PREFIX) {
                Some(expression) => Pattern::Regex(Box::new(regex(expression).ok()?)),
                None => Pattern::Wildcard(text.chars().collect()),
            };
            Some((text.clone(), pattern))
        };
        let patterns = filter.patterns.iter().filter_map(compiled).collect();
        Self { policy: policy.definition.name.clone(), kind: filter.kind, patterns }
    }

    fn judge(&self, model: &str) -> Allowance<'_> {
        let fits = |pattern: &Pattern| match pattern {
            Pattern::Wildcard(pattern) => is_wildcard_match(pattern, model),
            Pattern::Regex(regex) => regex.is_match(model),
        };
        let is_short = model.len() <= MAX_MODEL;
        let fitting = self.patterns.iter().filter(|_| is_short).find(|(_, pattern)| fits(pattern));
        Allowance {
            allowed: is_short && fitting.is_some() == (self.kind == FilterType::Include),
            policy: Some(&self.policy),
            pattern: fitting.map(|(text, _)| text.as_str()),
        }
    }
}

impl Policies {
    /// Whether there is a model filter.
    pub fn filter_models(&self) -> bool {
        self.filters().next().is_some()
    }

    /// Whether clients may ask for `model`: every filter must allow it.
    pub fn allowance(&self, model: &str) -> Allowance<'_> {
        let mut last = Allowance { allowed: true, policy: None, pattern: None };
        for filter in self.filters() {
            last = filter.judge(model);
            if !last.allowed {
                break;
            }
        }
        last
    }
}

/// A model's name as filters see it: Gemini's lists, paths and bodies have it with and without `models/`.
pub fn bare_model(channel: Channel, model: &str) -> &str {
    match channel {
        Channel::Gemini => model.strip_prefix("models/").unwrap_or(model),
        _ => model,
    }
}

/// Whether a pattern with `*` (any characters) and `?` (one character) fits the whole text. Takes at most the product of
/// both lengths.
fn is_wildcard_match(pattern: &[char], text: &str) -> bool {
    let (mut rest, mut at) = (text.chars(), 0);
    // Where to go on when what follows the last `*` does not fit: after it, one character of the text further.
    let mut star: Option<(usize, std::str::Chars<'_>)> = None;
    loop {
        let mut ahead = rest.clone();
        match (pattern.get(at), ahead.next()) {
            (Some('*'), _) => {
                star = Some((at + 1, rest.clone()));
                at += 1;
            }
            (Some(wanted), Some(found)) if *wanted == '?' || *wanted == found => {
                rest = ahead;
                at += 1;
            }
            (None, None) => return true,
            _ => {
                let Some((after, from)) = &mut star else { return false };
                if from.next().is_none() {
                    return false;
                }
                at = *after;
                rest = from.clone();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fits(pattern: &str, text: &str) -> bool {
        is_wildcard_match(&pattern.chars().collect::<Vec<_>>(), text)
    }

    #[test]
    fn wildcards() {
        for (pattern, text, expected) in [
            ("gpt-4*", "gpt-4", true),
            ("gpt-4*", "gpt-4o-mini", true),
            ("gpt-4*", "GPT-4", false),
            ("gpt-4*", "my-gpt-4", false),
            ("gpt-?", "gpt-4", true),
            ("gpt-?", "gpt-", false),
            ("gpt-?", "gpt-é", true),
            ("*mini*", "gpt-4o-mini-2024", true),
            ("*", "", true),
            ("**", "x", true),
            ("?*", "", false),
            ("a*b*c", "a-bb-b-c", true),
            ("a*b*c", "a-bb-b-", false),
            ("gpt.4", "gpt-4", false),
            ("re", "re", true),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
        assert!(!fits(&("*a".repeat(300) + "b"), &"a".repeat(1_000)), "and soon");
    }

    proptest! {
        #[test]
        fn wildcards_are_what_an_expression_says(pattern in "[ab*?é]{0,8}", text in "[abé]{0,10}") {
            let expression = pattern.replace('*', ".*").replace('?', ".");
            let expected = Regex::new(&format!("^{expression}$")).unwrap().is_match(&text);
            prop_assert_eq!(fits(&pattern, &text), expected);
        }
    }
}
