//! The stream of events.

use serde_json::json;

use super::{operation::Operation, types::PlainText};
use crate::admin::error::ErrorCode::ServiceUnavailable;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new("get", "/api/events", "listen", "What happens, as server-sent events")
            .text(
                "Events are `hello`, `resync` (ask for everything again), `keys`, `groups`, `settings`, `policies`, `guard`, \
                 `task` and `logs`; their data is JSON. A client that lost the stream sends `Last-Event-ID` when it comes back.",
            )
            .query(
                "last_event_id",
                json!({"type": "string"}),
                "The same as the header `Last-Event-ID`, for clients that cannot set it.",
            )
            .content::<PlainText>("text/event-stream")
            .errors(&[ServiceUnavailable]),
    ]
}
