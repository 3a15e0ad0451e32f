//! What the pool guard holds back, for people.

use gpt_load_actors::pool::{LiveKey, TrippedGuard};
use gpt_load_schema::{key::KeyState, time::Timestamp};
use serde::Serialize;

use super::key_object::time;

/// An episode of the pool guard.
#[derive(Serialize)]
pub(super) struct EpisodeBody<'a> {
    class: &'static str,
    upstream: &'a str,
    suspect: &'static str,
    #[serde(serialize_with = "time")]
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

/// The episode that `key` is part of: it serves on although it failed as the others did.
pub(super) fn episode_of<'a>(key: &LiveKey, episodes: &'a [TrippedGuard]) -> Option<&'a TrippedGuard> {
    let health = &key.record.health;
    episodes.iter().find(|episode| {
        health.state == KeyState::Degraded
            && health.last_class.as_deref() == Some(episode.class.as_str())
            && health.last_failure_at.is_some_and(|at| at >= episode.since)
    })
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
    use gpt_load_schema::log::OutcomeClass;

    use super::*;

    #[test]
    fn a_warning_names_the_cause_and_no_address() {
        let episode = TrippedGuard {
            class: OutcomeClass::KeyForbidden,
            upstream: "https://internal.test".into(),
            suspect: Suspect::Egress,
            since: Timestamp(0),
            failed: 97,
            held: 3,
            message: "Your IP 192.0.2.1 is blocked".to_owned(),
        };
        let text = warning("team", &episode);
        for part in ["group team", "97 keys", "key_forbidden", "suspected cause: egress"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("internal.test") && !text.contains("192.0.2.1"), "{text}");
    }
}
