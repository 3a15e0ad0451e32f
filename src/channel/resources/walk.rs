//! A walk over all members of a JSON text, however deep, that stops at those with certain names.

use memchr::memchr;

use crate::channel::json::{self, Scan};

/// Member names of a format, unescaped. A client that escapes them is not understood.
#[derive(Clone, Copy)]
pub(super) struct Names {
    /// Their values are wanted.
    pub(super) wanted: &'static [&'static [u8]],
    /// Their values are the user's own; nothing in them is looked at.
    pub(super) passed: &'static [&'static [u8]],
}

/// Calls `found` with the name and text of each wanted member: a string, each string of an array, the `id` of an object.
///
/// Reads every byte at most twice, never recurses, and ends where the text is cut or no JSON.
pub(super) fn walk(text: &[u8], names: &Names, mut found: impl FnMut(&[u8], &str)) {
    let mut at = 0;
    while let Some(open) = memchr(b'"', &text[at..]).map(|offset| at + offset) {
        let Some(end) = json::skip_value(text, open) else { return };
        let colon = json::skip_space(text, end);
        if text.get(colon) != Some(&b':') {
            at = end;
            continue;
        }
        let (name, start) = (&text[open + 1..end - 1], json::skip_space(text, colon + 1));
        at = start;
        if names.passed.contains(&name) {
            let Some(end) = json::skip_value(text, start) else { return };
            at = end;
        } else if names.wanted.contains(&name) {
            let Some(end) = json::skip_value(text, start) else { return };
            each(&text[start..end], |id| found(name, id));
        }
    }
}

pub(super) fn each(value: &[u8], mut found: impl FnMut(&str)) {
    if let Some(mut elements) = Scan::array(value) {
        while let Some(element) = elements.element() {
            if let Some(id) = json::string(element) {
                found(&id);
            }
        }
    } else if let Some(id) = json::string(json::member(value, "id").unwrap_or(value)) {
        found(&id);
    }
}
