//! What a request sticks to: requests with the same value go to the same key, on whatever node and version.

use super::{inspect::Members, json};

/// The hash of what a request sticks to: `header`, the value of the header that the group names, else the first of
/// `prompt_cache_key`, `user`, `metadata.user_id` and `previous_response_id` that its body holds; `None` when it names
/// nothing. Empty values name nothing.
pub fn sticky(header: Option<&[u8]>, members: Option<&Members<'_>>) -> Option<u64> {
    if let Some(value) = header.map(<[u8]>::trim_ascii).filter(|value| !value.is_empty()) {
        return Some(stable_hash(&[value]));
    }
    let members = members?;
    let of_user = || members.metadata.and_then(|metadata| json::string(json::member(metadata, "user_id")?));
    let named = |value: &str| !value.is_empty();
    let hash = |value: &str| stable_hash(&[value.as_bytes()]);
    members
        .prompt_cache_key
        .as_deref()
        .filter(|value| named(value))
        .or_else(|| members.user.as_deref().filter(|value| named(value)))
        .map(hash)
        .or_else(|| of_user().filter(|value| named(value)).map(|value| hash(&value)))
        .or_else(|| members.previous_response_id.as_deref().filter(|value| named(value)).map(hash))
}

/// A hash that is the same everywhere and for ever: FNV-1a over the parts, each ended by a byte that no UTF-8 text holds,
/// then the finalizer of MurmurHash3, so that all bits depend on all bytes.
pub(super) fn stable_hash(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in parts.iter().flat_map(|part| part.iter().chain(&[0xff])) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::channel::inspect::inspect;

    fn hash(text: &str) -> Option<u64> {
        Some(stable_hash(&[text.as_bytes()]))
    }

    #[test]
    fn the_first_that_is_there_counts() {
        let all = r#"{"previous_response_id":"r","metadata":{"user_id":"m"},"user":"u","prompt_cache_key":"p"}"#;
        for (header, body, expected) in [
            (Some("h"), all, hash("h")),
            (Some(" h "), "", hash("h")),
            (Some(" "), all, hash("p")),
            (None, all, hash("p")),
            (None, r#"{"previous_response_id":"r","metadata":{"user_id":"m"},"user":"u"}"#, hash("u")),
            (None, r#"{"previous_response_id":"r","metadata":{"user_id":"m"},"user":""}"#, hash("m")),
            (None, r#"{"previous_response_id":"r","metadata":{"user_id":7}}"#, hash("r")),
            (None, r#"{"previous_response_id":"r","metadata":"user_id"}"#, hash("r")),
            (None, r#"{"metadata":{"user_id":"m\u0031"}}"#, hash("m1")),
            (None, r#"{"user":null,"nested":{"user":"u"}}"#, None),
            (None, "no json", None),
        ] {
            let found = sticky(header.map(str::as_bytes), inspect(body.as_bytes()).as_ref());
            assert_eq!(found, expected, "{header:?} {body}");
        }
    }

    /// Another value would send every session of a running installation to another key.
    #[test]
    fn the_hash_never_changes() {
        assert_eq!(stable_hash(&[]), 0xefd0_1f60_ba99_2926);
        assert_eq!(stable_hash(&[b"user-1"]), 0xa299_24b8_7e5d_9430);
        assert_ne!(stable_hash(&[b"a", b"b"]), stable_hash(&[b"ab"]));
    }

    proptest! {
        #[test]
        fn near_values_are_spread(name in "[a-z]{1,12}") {
            // Of 1,000 numbered users, no eighth of the ring gets less than half or more than double of its share.
            let mut eighths = [0_u32; 8];
            for number in 0..1_000 {
                eighths[(stable_hash(&[format!("{name}{number}").as_bytes()]) >> 61) as usize] += 1;
            }
            prop_assert!(eighths.iter().all(|share| (62..250).contains(share)), "{eighths:?}");
        }
    }
}
