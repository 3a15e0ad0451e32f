//! The page of a binary that was built without the UI.

use actix_web::{HttpResponse, http::header};

use super::page::uncached;

/// Says that the node runs, where its API is and how to get the UI.
pub(super) fn page(prefix: &str) -> HttpResponse {
    let version = env!("CARGO_PKG_VERSION");
    uncached().insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'self'")).body(
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>GPT-Load</title>\n\
             <h1>GPT-Load {version} is running</h1>\n\
             <p>This binary was built without the web UI. With Node.js 20 or newer, <code>make run</code> builds both; \
             <code>make web</code> builds the UI for the next <code>cargo build</code>.</p>\n\
             <p>Everything else is here: point an SDK at <code>{prefix}/proxy/{{group}}</code>, or at <code>{prefix}/v1</code> \
             for the default group. The management API is at <code>{prefix}/api</code> and wants the management key; \
             <code>gpt-load --help</code> lists the commands &middot; <a href=\"{prefix}/health\">health</a></p>\n</html>\n",
        ),
    )
}
