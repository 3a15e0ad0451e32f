//! What the pool guard holds back, for people.

use gpt_load_actors::pool::TrippedGuard;
use gpt_load_schema::{key::KeyState, log::RequestLog, time::Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    key_object::time,
    openapi::types::{OutcomeClassWord, SuspectWord, Time},
};

/// An episode of the pool guard.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "GuardEpisode")]
pub(super) struct EpisodeBody<'a> {
    #[schemars(with = "OutcomeClassWord")]
    class: &'static str,
    upstream: &'a str,
    #[schemars(with = "SuspectWord")]
    suspect: &'static str,
    #[serde(serialize_with = "time")]
    #[schemars(with = "Time")]
    since: Option<Timestamp>,
    failed: usize,
    held: usize,
    message: &'a str,
}

impl<'a> From<&'a TrippedGuard> for EpisodeBody<'a> {
    fn from(episode: &'a TrippedGuard) -> Self {
        Self {
            class: episode.class.as_str(),
            upstream: &episode.upstream,
            suspect: episode.suspect.as_str(),
            since: Some(episode.since),
            failed: episode.failed,
            held: episode.held,
            message: &episode.message,
        }
    }
}

/// The episode that a key is part of: it would count its last failures, or be out, but for the guard. A held key is as it
/// was before the episode, so its log rows tell; `logs` are its last ones.
pub(super) fn episode_of<'a>(
    state: KeyState,
    logs: &[RequestLog],
    episodes: &'a [TrippedGuard],
) -> Option<&'a TrippedGuard> {
    let is_part_of = |episode: &TrippedGuard, row: &RequestLog| {
        let is_alike = row.class == Some(episode.class) && row.timestamp >= episode.since;
        is_alike && row.upstream_addr.starts_with(&*episode.upstream)
    };
    let concerns = |episode: &&TrippedGuard| logs.iter().any(|row| is_part_of(episode, row));
    episodes.iter().find(|episode| state.is_selectable() && concerns(episode))
}

/// One sentence for everyone, so without addresses and without the provider's words.
pub(super) fn warning(group: &str, episode: &TrippedGuard) -> String {
    format!(
        "group {group}: {} keys fail alike ({}) and none succeeds, so no key is taken out for it; suspected cause: {}",
        episode.failed,
        episode.class,
        episode.suspect.as_str()
    )
}

#[cfg(test)]
mod tests {
    use gpt_load_actors::pool::Suspect;
    use gpt_load_schema::{
        ids::GroupId,
        log::{OutcomeClass, RequestType, TokenUsage},
    };
    use uuid::Uuid;

    use super::*;

    fn episode() -> TrippedGuard {
        TrippedGuard {
            class: OutcomeClass::KeyForbidden,
            upstream: "https://internal.test/base".into(),
            suspect: Suspect::Egress,
            since: Timestamp(1000),
            failed: 97,
            held: 3,
            message: "Your IP 192.0.2.1 is blocked".to_owned(),
        }
    }

    fn row(class: OutcomeClass, at: i64, address: &str) -> RequestLog {
        RequestLog {
            id: Uuid::nil(),
            request_id: Uuid::nil(),
            attempt: 1,
            timestamp: Timestamp(at),
            group_id: GroupId(1),
            group_name: String::new(),
            parent: None,
            key: None,
            model: String::new(),
            upstream_model: None,
            class: Some(class),
            evidence: None,
            is_success: false,
            source_ip: String::new(),
            status_code: 403,
            request_path: String::new(),
            duration_ms: 0,
            first_byte_ms: None,
            error_message: String::new(),
            user_agent: String::new(),
            request_type: RequestType::Final,
            upstream_addr: address.to_owned(),
            is_stream: false,
            request_body: String::new(),
            usage: TokenUsage::default(),
            finish_reason: None,
        }
    }

    #[test]
    fn a_warning_names_the_cause_and_no_address() {
        let text = warning("team", &episode());
        for part in ["group team", "97 keys", "key_forbidden", "suspected cause: egress"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("internal.test") && !text.contains("192.0.2.1"), "{text}");
    }

    #[test]
    fn a_key_is_part_of_an_episode_when_it_failed_so_there_since_it_began() {
        use KeyState::{Active, Degraded, Disabled, Invalid};
        use OutcomeClass::{KeyForbidden, KeyInvalid};
        let (here, there) =
            ("https://internal.test/base/v1/chat/completions", "https://other.test/v1/chat/completions");
        let cases = [
            (Degraded, KeyForbidden, 1000, here, true),
            (Active, KeyForbidden, 2000, here, true),
            (Disabled, KeyForbidden, 2000, here, false),
            (Invalid, KeyForbidden, 2000, here, false),
            (Degraded, KeyForbidden, 999, here, false),
            (Degraded, KeyInvalid, 2000, here, false),
            (Degraded, KeyForbidden, 2000, there, false),
        ];
        let episodes = [episode()];
        for (state, class, at, address, expected) in cases {
            let found = episode_of(state, &[row(class, at, address)], &episodes);
            assert_eq!(found.is_some(), expected, "{state} {class} {at} {address}");
        }
        assert!(episode_of(Degraded, &[], &episodes).is_none());
        assert!(episode_of(Degraded, &[row(KeyForbidden, 2000, here)], &[]).is_none());
    }
}
