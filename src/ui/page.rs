//! The one HTML page of the UI.

use actix_web::{HttpResponse, http::header};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// What the build leaves in the page for the path prefix.
const BASE: &str = "<base href=\"/\" />";
/// What it leaves wherever the nonce of the Content-Security-Policy belongs.
const NONCE: &str = "CSP_NONCE";

/// The page for a node whose paths begin with `prefix`. It is never kept by a cache: the nonce is another each time.
pub(super) fn index(html: &[u8], prefix: &str) -> HttpResponse {
    let nonce = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>());
    // Attribute values of a path that the configuration has checked; a quotation mark would end them all the same.
    let prefix = prefix.replace('&', "&amp;").replace('"', "&quot;");
    let html =
        String::from_utf8_lossy(html).replace(BASE, &format!("<base href=\"{prefix}/\" />")).replace(NONCE, &nonce);
    let policy = format!(
        "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; \
         font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'self'; form-action 'self'; \
         frame-ancestors 'self'"
    );
    uncached().insert_header((header::CONTENT_SECURITY_POLICY, policy)).body(html)
}

/// The head of an HTML page that no cache may keep.
pub(super) fn uncached() -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-cache, no-store, must-revalidate"));
    response
}
