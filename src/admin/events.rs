//! `GET /api/events`: what happens on this node, as server-sent events.
//!
//! Events say that something changed and little of what: who needs more asks the API for it. No event holds a secret, so
//! everyone may listen who may read.

use std::{convert::Infallible, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, header},
    web::{self, Bytes},
};
use futures_util::{Stream, StreamExt, stream};
use gpt_load_actors::events::{Deaf, Event, GuardChanged, Heard, KeyChange, KeysChanged, Listener};
use gpt_load_schema::{store::KeyCounts, time::Timestamp};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use super::{AdminState, error::ApiError, guard_view::EpisodeBody, messages, query::Params, tasks};

/// Streams of a node at the same time.
const LISTENERS: usize = 64;
/// Silence after which a comment shows that the stream is alive; proxies close silent connections after a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A stream ends after this time and its client comes back, so that none outlives the right to listen for long.
const LIFE: Duration = Duration::from_secs(15 * 60);
/// Time after which a client that lost the stream comes back, in ms.
const RETRY_MS: u32 = 2_000;

/// One client's stream.
struct Told {
    listener: Listener,
    boot: i64,
    ends_at: Instant,
}

/// Streams `hello`, then events as they happen.
///
/// Every event has an id. A client that comes back with the id of the last one it has seen (`Last-Event-ID`) is told
/// `resync` if it missed any: it must ask for everything that it shows. So is one that reads too slowly.
pub(super) async fn events(
    state: web::Data<AdminState>,
    request: HttpRequest,
    params: Params,
) -> Result<HttpResponse, ApiError> {
    let mut response = HttpResponse::Ok();
    response
        .content_type("text/event-stream; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // nginx would hold events back.
        .insert_header(("x-accel-buffering", "no"));
    if request.method() == Method::HEAD {
        return Ok(response.finish());
    }
    let (listener, last) = state.runtime.events().listen(LISTENERS).map_err(|deaf| {
        ApiError::later(match deaf {
            Deaf::Full => messages::TOO_MANY_LISTENERS,
            Deaf::Ended => messages::NODE_STOPS,
        })
    })?;
    let boot = state.app.started_at.0;
    let seen = request.headers().get("last-event-id").and_then(|value| value.to_str().ok());
    let seen = seen.or_else(|| params.get("last_event_id"));
    let hello = json!({"version": state.app.version, "time": Timestamp::now().to_rfc3339()});
    let mut first = format!("retry: {RETRY_MS}\n") + &message(boot, last, "hello", &hello);
    if seen.is_some_and(|seen| seen != id(boot, last)) {
        first += &resync(boot, last);
    }
    let told = Told { listener, boot, ends_at: Instant::now() + LIFE };
    Ok(response.streaming(stream::once(async { Ok(Bytes::from(first)) }).chain(rest(told))))
}

/// What happens, until the node stops or the stream's life is over.
fn rest(told: Told) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(told, |mut told| async move {
        let text = tokio::select! {
            heard = told.listener.next() => match heard? {
                Heard::Event(number, event) => {
                    let (name, data) = shown(&event);
                    message(told.boot, number, name, &data)
                }
                Heard::Missed(number) => resync(told.boot, number),
            },
            () = sleep(KEEP_ALIVE) => ": still here\n\n".to_owned(),
            () = sleep_until(told.ends_at) => return None,
        };
        Some((Ok(Bytes::from(text)), told))
    })
}

fn resync(boot: i64, number: u64) -> String {
    message(boot, number, "resync", &json!({}))
}

/// One event. JSON has no line breaks outside of its texts, and escapes those inside.
fn message(boot: i64, number: u64, name: &str, data: &Value) -> String {
    format!("id: {}\nevent: {name}\ndata: {data}\n\n", id(boot, number))
}

/// Events are numbered anew with every start.
fn id(boot: i64, number: u64) -> String {
    format!("{boot:x}-{number}")
}

/// Name and data of an event.
fn shown(event: &Event) -> (&'static str, Value) {
    match event {
        Event::Task(task) => ("task", tasks::body(task)),
        Event::Keys(changed) => ("keys", keys(changed)),
        Event::Guard(changed) => ("guard", guard(changed)),
        Event::Groups => ("groups", json!({})),
        Event::Settings => ("settings", json!({})),
        Event::Policies => ("policies", json!({})),
        Event::Logs(rows) => {
            ("logs", json!({"count": rows.count, "from": rows.from.to_rfc3339(), "until": rows.until.to_rfc3339()}))
        }
    }
}

fn keys(changed: &KeysChanged) -> Value {
    let KeysChanged { group, counts, changed, keys } = changed;
    let KeyCounts { pending, active, degraded, disabled, invalid } = counts;
    let named = |KeyChange { id, masked, from, to, class, reason }: &KeyChange| {
        let (from, to) = (from.as_str(), to.as_str());
        json!({"id": id.0, "key": masked, "from": from, "state": to, "class": class, "reason": reason})
    };
    json!({
        "group_id": group.0,
        "counts": {
            "total": counts.total(), "pending": pending, "active": active, "degraded": degraded, "disabled": disabled,
            "invalid": invalid,
        },
        "changed": changed,
        "keys": keys.iter().map(named).collect::<Vec<_>>(),
    })
}

fn guard(changed: &GuardChanged) -> Value {
    let GuardChanged { group, is_tripped, episode } = changed;
    json!({"group_id": group.0, "is_tripped": is_tripped, "episode": EpisodeBody::from(episode)})
}

#[cfg(test)]
mod tests {
    use gpt_load_actors::events::NewRows;
    use gpt_load_schema::{
        ids::{GroupId, KeyId},
        key::KeyState,
    };

    use super::*;

    #[test]
    fn an_event_is_one_block_whatever_its_texts_say() {
        let text = message(0x19b, 7, "keys", &json!({"reason": "a\n\nevent: forged\r\ndata: {}"}));
        assert_eq!(text, "id: 19b-7\nevent: keys\ndata: {\"reason\":\"a\\n\\nevent: forged\\r\\ndata: {}\"}\n\n");
    }

    #[test]
    fn changed_keys_are_counted_and_named() {
        let change = KeyChange {
            id: KeyId(3),
            masked: "sk-a****wxyz".to_owned(),
            from: KeyState::Active,
            to: KeyState::Disabled,
            class: Some("upstream_fault".to_owned()),
            reason: Some("busy".to_owned()),
        };
        let counts = KeyCounts { active: 4, disabled: 1, ..KeyCounts::default() };
        let changed = KeysChanged { group: GroupId(9), counts, changed: 1, keys: vec![change] };
        assert_eq!(
            keys(&changed),
            json!({
                "group_id": 9,
                "counts": {"total": 5, "pending": 0, "active": 4, "degraded": 0, "disabled": 1, "invalid": 0},
                "changed": 1,
                "keys": [{
                    "id": 3, "key": "sk-a****wxyz", "from": "active", "state": "disabled", "class": "upstream_fault",
                    "reason": "busy",
                }],
            })
        );
    }

    #[test]
    fn new_rows_tell_their_times() {
        let rows = NewRows { count: 2, from: Timestamp(1_769_862_896_789), until: Timestamp(1_769_862_896_790) };
        let expected = json!({"count": 2, "from": "2026-01-31T12:34:56.789Z", "until": "2026-01-31T12:34:56.790Z"});
        assert_eq!(shown(&Event::Logs(rows)), ("logs", expected));
    }
}
