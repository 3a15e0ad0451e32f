//! Languages of the management API.

use std::{borrow::Cow, fmt::Display};

use actix_web::http::header::{ACCEPT_LANGUAGE, HeaderMap};
use gpt_load_schema::settings::{self, Language};

/// The language that a request asks for; Chinese when it asks for none that the API has.
pub(super) fn language_of(headers: &HeaderMap) -> Language {
    let wanted = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    wanted.map_or_else(Language::default, Language::from_accept_language)
}

/// A text in every language of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    zh: Cow<'static, str>,
    en: Cow<'static, str>,
    ja: Cow<'static, str>,
}

impl Text {
    /// A text known in all three languages; `{}` marks the place of a value, see [`Text::with`].
    pub const fn new(zh: &'static str, en: &'static str, ja: &'static str) -> Self {
        Self { zh: Cow::Borrowed(zh), en: Cow::Borrowed(en), ja: Cow::Borrowed(ja) }
    }

    /// A text that the contract leaves in English everywhere.
    pub fn english(text: impl Into<Cow<'static, str>>) -> Self {
        let text = text.into();
        Self { zh: text.clone(), en: text.clone(), ja: text }
    }

    /// Puts `value` into the first `{}` of each language.
    pub fn with(&self, value: impl Display) -> Self {
        let value = value.to_string();
        let put = |text: &str| Cow::Owned(text.replacen("{}", &value, 1));
        Self { zh: put(&self.zh), en: put(&self.en), ja: put(&self.ja) }
    }

    /// A text that is told in each language by `tell`.
    pub fn told(tell: impl Fn(Language) -> String) -> Self {
        let told = |language| Cow::Owned(tell(language));
        Self { zh: told(Language::Chinese), en: told(Language::English), ja: told(Language::Japanese) }
    }

    /// The text in `language`.
    pub fn get(&self, language: Language) -> &str {
        match language {
            Language::Chinese => &self.zh,
            Language::English => &self.en,
            Language::Japanese => &self.ja,
        }
    }
}

impl From<&settings::Problem> for Text {
    fn from(problem: &settings::Problem) -> Self {
        Self::told(|language| problem.localized(language))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_into_their_places_in_order() {
        let text = Text::new("{}个，共{}个", "{} of {}", "{} / {}").with(2).with("{}");
        assert_eq!(text.get(Language::English), "2 of {}");
        assert_eq!(text.get(Language::Chinese), "2个，共{}个");
    }
}
