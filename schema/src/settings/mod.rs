//! Dynamic settings, each declared once.
//!
//! The table (`table.rs`) declares every setting; from it come the typed [`Settings`], what may be stored ([`check`],
//! [`check_overrides`]), what is read back ([`Settings::from_rows`]) and every list that people see ([`DYNAMIC`],
//! [`overridable`]). A setting is added there and nowhere else.

mod check;
mod declaration;
mod declare;
mod grammar;
mod table;
mod values;

#[cfg(test)]
mod tests;

pub use check::{Problem, Rule, check, check_overrides, check_text};
pub use declaration::{Category, Declaration, Kind, Language, Text};
pub use table::{DYNAMIC, Settings};

/// The declaration of `key`.
pub fn declaration(key: &str) -> Option<&'static Declaration> {
    DYNAMIC.iter().find(|declaration| declaration.key == key)
}

/// Every setting that a group may override, in the order that the group form shows.
pub fn overridable() -> Vec<&'static Declaration> {
    /// management-api.md 4.8; whatever is not named here follows in the order of [`DYNAMIC`].
    const FIRST: [&str; 14] = [
        "request_timeout",
        "idle_conn_timeout",
        "connect_timeout",
        "max_idle_conns",
        "max_idle_conns_per_host",
        "response_header_timeout",
        "proxy_url",
        "max_retries",
        "blacklist_threshold",
        "failover_status_codes",
        "key_validation_interval_minutes",
        "key_validation_concurrency",
        "key_validation_timeout_seconds",
        "enable_request_body_logging",
    ];
    let mut list: Vec<_> = DYNAMIC.iter().filter(|declaration| declaration.group_override).collect();
    list.sort_by_key(|declaration| FIRST.iter().position(|key| *key == declaration.key).unwrap_or(FIRST.len()));
    list
}
