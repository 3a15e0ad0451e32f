//! The page at `/` of a binary that carries no web UI.

use actix_web::{HttpRequest, HttpResponse, http::header};

/// Says that the node runs and where its API is.
pub async fn page(request: HttpRequest) -> HttpResponse {
    let base = request.uri().path().trim_end_matches('/');
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-cache, no-store, must-revalidate"))
        .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'self'"))
        .body(format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>GPT-Load</title>\n\
             <h1>GPT-Load {version} is running</h1>\n\
             <p>Point an SDK at <code>{base}/proxy/{{group}}</code>, or at <code>{base}/v1</code> for the default group.</p>\n\
             <p>Management API: <code>{base}/api</code> with the management key &middot; \
             <a href=\"{base}/health\">health</a></p>\n\
             <p>This binary was built without the web UI; the API and the command line \
             (<code>gpt-load --help</code>) do everything.</p>\n</html>\n",
            version = env!("CARGO_PKG_VERSION"),
        ))
}
