//! The files of the UI and how they are sent.

use std::{borrow::Cow, fmt::Write as _};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, ContentEncoding},
};
use rust_embed::Embed;

/// Where the files come from.
pub trait Files {
    /// The file of this path below the folder of the UI.
    fn get(path: &str) -> Option<File>;
}

/// A file of the UI.
pub struct File {
    /// Its content.
    pub data: Cow<'static, [u8]>,
    /// SHA-256 of the content.
    pub hash: [u8; 32],
}

/// What `make web` built. Empty when there was nothing to embed; a debug build reads the folder at run time.
#[derive(Embed)]
#[folder = "web/dist"]
#[allow_missing = true]
pub struct Embedded;

impl Files for Embedded {
    fn get(path: &str) -> Option<File> {
        let file = <Self as Embed>::get(path)?;
        Some(File { hash: file.metadata.sha256_hash(), data: file.data })
    }
}

/// Names of built assets hold a hash of their content, so they never change.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// Other files are asked for again each time, which costs an empty 304.
const REVALIDATED: &str = "no-cache";

/// Encodings that the build writes beside a file, best first.
const ENCODINGS: [(ContentEncoding, &str, &str); 2] =
    [(ContentEncoding::Brotli, "br", ".br"), (ContentEncoding::Gzip, "gzip", ".gz")];

/// The file of this path, in the best encoding that the client takes; `None` = there is none.
pub(super) fn serve<F: Files>(request: &HttpRequest, path: &str) -> Option<HttpResponse> {
    let plain = F::get(path)?;
    let (encoding, file) = best::<F>(request, path).unwrap_or((ContentEncoding::Identity, plain));
    let etag = etag(&file);
    let cache = if path.starts_with("assets/") { IMMUTABLE } else { REVALIDATED };
    let is_known = request.headers().get(header::IF_NONE_MATCH).is_some_and(|known| names(known, &etag));
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::ETAG, etag))
        .insert_header((header::CACHE_CONTROL, cache))
        .insert_header((header::VARY, "Accept-Encoding"));
    if is_known {
        return Some(response.finish());
    }
    response.insert_header((header::CONTENT_TYPE, content_type(path)));
    if encoding != ContentEncoding::Identity {
        response.insert_header((header::CONTENT_ENCODING, encoding.as_str()));
    }
    Some(match file.data {
        Cow::Borrowed(bytes) => response.body(bytes),
        Cow::Owned(bytes) => response.body(bytes),
    })
}

fn best<F: Files>(request: &HttpRequest, path: &str) -> Option<(ContentEncoding, File)> {
    let accepted = request.headers().get(header::ACCEPT_ENCODING)?.to_str().ok()?;
    ENCODINGS.into_iter().filter(|(_, word, _)| takes(accepted, word)).find_map(|(encoding, _, ending)| {
        let file = F::get(&format!("{path}{ending}"))?;
        Some((encoding, file))
    })
}

/// Whether an `Accept-Encoding` names `word` and does not forbid it with a weight of zero.
fn takes(accepted: &str, word: &str) -> bool {
    accepted.split(',').any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(word));
        let is_forbidden =
            parts.filter_map(|part| part.strip_prefix("q=")).any(|q| q.parse::<f32>().is_ok_and(|q| q == 0.0));
        is_named && !is_forbidden
    })
}

fn etag(file: &File) -> String {
    let mut tag = String::from("\"");
    for byte in &file.hash[..16] {
        let _ = write!(tag, "{byte:02x}");
    }
    tag + "\""
}

/// Whether an `If-None-Match` names the tag. Proxies that compress make a tag weak.
fn names(known: &header::HeaderValue, etag: &str) -> bool {
    known.to_str().is_ok_and(|known| {
        known.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == etag)
    })
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "css" => "text/css; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "ico" => "image/x-icon",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json; charset=utf-8",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "txt" => "text/plain; charset=utf-8",
        "webmanifest" => "application/manifest+json",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}
