//! The secrets within a group's row: proxy keys, the credentials of `proxy_url`, the values of header rules, and base URLs
//! that hold a user or a password.

use serde_json::{Map, Value};

use super::{StoreError, StoreResult};
use crate::{
    crypto::{OpenError, Place},
    group::{HeaderRule, Upstream},
};

/// The member of a group's overrides that may hold credentials.
const PROXY_URL: &str = "proxy_url";
/// The beginning of encrypted values.
const SEALED: &str = "v2:";

/// What becomes of one secret at its place: the form to go on with.
pub(super) type Change<'a> = dyn FnMut(Place<'_>, &str) -> Result<String, OpenError> + 'a;

/// The columns of a group that hold secrets, as they are stored.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SecretColumns {
    pub(super) proxy_keys: String,
    pub(super) upstreams: String,
    pub(super) config: Option<String>,
    pub(super) header_rules: Option<String>,
}

impl SecretColumns {
    /// The same columns with every secret changed, of the group with the row id `id`.
    pub(super) fn map(&self, id: i64, change: &mut Change<'_>) -> StoreResult<Self> {
        let failed = |error: StoreError| match error {
            StoreError::Encryption(text) => StoreError::Encryption(format!("the group {id}: {text}")),
            other => other,
        };
        let mut config: Option<Map<String, Value>> = json("config", self.config.as_deref())?;
        let mut rules: Option<Vec<HeaderRule>> = json("header_rules", self.header_rules.as_deref())?;
        let mut upstreams: Vec<Upstream> = json("upstreams", Some(&self.upstreams))?.unwrap_or_default();
        let row = id.to_string();
        let proxy_keys = proxy_keys(&row, &self.proxy_keys, change).map_err(failed)?;
        self::config(&row, config.as_mut(), change).map_err(failed)?;
        header_rules(&row, rules.as_deref_mut(), change).map_err(failed)?;
        self::upstreams(&row, &mut upstreams, change).map_err(failed)?;
        Ok(Self {
            proxy_keys,
            upstreams: to_json(&upstreams)?,
            config: config.as_ref().map(to_json).transpose()?,
            header_rules: rules.as_ref().map(to_json).transpose()?,
        })
    }
}

/// Changes proxy keys.
pub(super) fn proxy_keys(row: &str, text: &str, change: &mut Change<'_>) -> StoreResult<String> {
    changed(Place { table: "groups", column: "proxy_keys", row }, text, change)
}

/// Changes the outbound proxy's URL.
pub(super) fn config(row: &str, config: Option<&mut Map<String, Value>>, change: &mut Change<'_>) -> StoreResult<()> {
    if let Some(Value::String(url)) = config.and_then(|config| config.get_mut(PROXY_URL)) {
        *url = changed(Place { table: "groups", column: "config.proxy_url", row }, url, change)?;
    }
    Ok(())
}

/// Changes the values of header rules, which may be credentials. A name is there once in a group.
pub(super) fn header_rules(row: &str, rules: Option<&mut [HeaderRule]>, change: &mut Change<'_>) -> StoreResult<()> {
    for rule in rules.into_iter().flatten() {
        let row = format!("{row}/{}", rule.key);
        rule.value = changed(Place { table: "groups", column: "header_rules.value", row: &row }, &rule.value, change)?;
    }
    Ok(())
}

/// Changes base URLs that hold a user or a password. None is accepted today; older programs stored such.
pub(super) fn upstreams(row: &str, upstreams: &mut [Upstream], change: &mut Change<'_>) -> StoreResult<()> {
    for (index, upstream) in upstreams.iter_mut().enumerate().filter(|(_, upstream)| is_secret(&upstream.url)) {
        let row = format!("{row}/{index}");
        upstream.url = changed(Place { table: "groups", column: "upstreams.url", row: &row }, &upstream.url, change)?;
    }
    Ok(())
}

/// Whether a URL holds a user, or is encrypted because it does.
fn is_secret(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.contains('@') || url.starts_with(SEALED)
}

fn changed(place: Place<'_>, text: &str, change: &mut Change<'_>) -> StoreResult<String> {
    change(place, text).map_err(|error| StoreError::Encryption(format!("`{}` is not readable: {error}", place.column)))
}

fn json<T: serde::de::DeserializeOwned>(column: &str, text: Option<&str>) -> StoreResult<Option<T>> {
    text.map_or(Ok(None), |text| serde_json::from_str(text).map_err(|error| StoreError::damaged(column, error)))
}

fn to_json(value: &impl serde::Serialize) -> StoreResult<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Internal(format!("cannot write JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_with_a_user_are_secrets() {
        for (url, secret) in [
            ("https://api.openai.com", false),
            ("https://api.openai.com/@scope?user@host", false),
            ("https://user@host", true),
            ("https://user:password@host/v1", true),
            ("user:password@host", true),
            ("v2:1:AAAA", true),
            ("", false),
        ] {
            assert_eq!(is_secret(url), secret, "{url}");
        }
    }

    #[test]
    fn every_secret_is_changed_at_a_place_of_its_own_and_nothing_else() {
        let columns = SecretColumns {
            proxy_keys: "pk".to_owned(),
            upstreams: r#"[{"url":"https://u:p@h","weight":1},{"url":"https://h","weight":2}]"#.to_owned(),
            config: Some(r#"{"max_retries":2,"proxy_url":"http://u:p@h"}"#.to_owned()),
            header_rules: Some(
                r#"[{"key":"X-One","value":"1","action":"set"},{"key":"X-Two","value":"","action":"remove"}]"#
                    .to_owned(),
            ),
        };
        let mut places = Vec::new();
        let mapped = columns.map(7, &mut |place, text| {
            places.push(format!("{} {}", place.column, place.row));
            Ok(format!("<{text}>"))
        });
        let mapped = mapped.expect("all is readable");
        let expected = [
            "proxy_keys 7",
            "config.proxy_url 7",
            "header_rules.value 7/X-One",
            "header_rules.value 7/X-Two",
            "upstreams.url 7/0",
        ];
        assert_eq!(places, expected);
        assert_eq!(mapped.proxy_keys, "<pk>");
        assert_eq!(mapped.upstreams, r#"[{"url":"<https://u:p@h>","weight":1},{"url":"https://h","weight":2}]"#);
        assert_eq!(mapped.config.as_deref(), Some(r#"{"max_retries":2,"proxy_url":"<http://u:p@h>"}"#));
        assert!(mapped.header_rules.is_some_and(|rules| rules.contains(r#""value":"<1>""#)));
        let refused = columns.map(7, &mut |_, _| Err(OpenError::Mismatch)).expect_err("nothing opens").to_string();
        assert!(refused.starts_with("the group 7: `proxy_keys` is not readable"), "{refused}");
    }
}
