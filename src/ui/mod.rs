//! The web UI: its files, which are inside of the binary, and the page that loads them.
//!
//! `files` holds what `make web` built, in up to three encodings; `page` writes the path prefix and a nonce into the one HTML
//! page; `missing` is the page of a binary that was built without the UI.

mod files;
mod missing;
mod page;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, header},
};

pub use self::files::{Embedded, File, Files};

/// The page that every address of the UI begins with.
const INDEX: &str = "index.html";

/// Answers `GET` and `HEAD` of a file of the UI or, for browsers, of any other address, since the UI has pages of its own
/// there. `path` is the percent-encoded path below `prefix`, the node's path prefix without a slash at its end. `None` = the
/// request is not for the UI.
pub fn answer<F: Files>(request: &HttpRequest, prefix: &str, path: &str) -> Option<HttpResponse> {
    if *request.method() != Method::GET && *request.method() != Method::HEAD {
        return None;
    }
    let name = path.trim_start_matches('/');
    if name.starts_with("assets/") {
        return Some(files::serve::<F>(request, name).unwrap_or_else(|| HttpResponse::NotFound().finish()));
    }
    if !name.is_empty() && name != INDEX {
        if let Some(file) = files::serve::<F>(request, name) {
            return Some(file);
        }
        if !accepts_html(request) {
            return None;
        }
    }
    Some(match F::get(INDEX) {
        Some(index) => page::index(&index.data, prefix),
        None => missing::page(prefix),
    })
}

/// Whether a browser asks for a page. Programs ask for anything (`*/*`) or for JSON.
fn accepts_html(request: &HttpRequest) -> bool {
    let mut accepted = request.headers().get_all(header::ACCEPT);
    accepted.any(|value| value.to_str().is_ok_and(|value| value.contains("text/html")))
}

#[cfg(test)]
mod tests;
