use std::borrow::Cow;

use actix_web::{
    body::to_bytes,
    http::{StatusCode, header::HeaderName},
    test::TestRequest,
};

use super::*;

const PAGE: &str =
    "<base href=\"/\" /><meta property=\"csp-nonce\" nonce=\"CSP_NONCE\"><script nonce=\"CSP_NONCE\" src=\"./a.js\">";

struct Built;
struct Nothing;

impl Files for Built {
    fn get(path: &str) -> Option<File> {
        let data = match path {
            "index.html" => PAGE,
            "favicon.svg" => "<svg/>",
            "assets/app-1.js" => "plain",
            "assets/app-1.js.br" => "brotli",
            "assets/app-1.js.gz" => "gzip",
            "assets/font-1.woff2" => "font",
            _ => return None,
        };
        let mut hash = [0; 32];
        hash[..4].copy_from_slice(&data.as_bytes()[..4]);
        Some(File { data: Cow::Borrowed(data.as_bytes()), hash })
    }
}

impl Files for Nothing {
    fn get(_path: &str) -> Option<File> {
        None
    }
}

/// Status, body and one header, empty when absent.
async fn ask(request: TestRequest, path: &str, name: HeaderName) -> Option<(StatusCode, String, String)> {
    let response = answer::<Built>(&request.to_http_request(), "/gate", path)?;
    let value = response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let status = response.status();
    let body = to_bytes(response.into_body()).await.unwrap();
    Some((status, String::from_utf8(body.to_vec()).unwrap(), value))
}

fn browser() -> TestRequest {
    TestRequest::get().insert_header((header::ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8"))
}

fn program() -> TestRequest {
    TestRequest::get().insert_header((header::ACCEPT, "*/*"))
}

#[actix_web::test]
async fn assets_come_in_the_best_encoding_that_the_client_takes() {
    let cases = [
        ("", "plain", ""),
        ("gzip, deflate, br, zstd", "brotli", "br"),
        ("gzip", "gzip", "gzip"),
        ("br;q=0, GZIP;q=0.5", "gzip", "gzip"),
        ("br; q=0.0", "plain", ""),
        ("brotli", "plain", ""),
    ];
    for (accepted, body, encoding) in cases {
        let request = program().insert_header((header::ACCEPT_ENCODING, accepted));
        let answered = ask(request, "/assets/app-1.js", header::CONTENT_ENCODING).await;
        assert_eq!(answered, Some((StatusCode::OK, body.to_owned(), encoding.to_owned())), "{accepted}");
    }
    let request = program().insert_header((header::ACCEPT_ENCODING, "br"));
    let font = ask(request, "/assets/font-1.woff2", header::CONTENT_TYPE).await;
    assert_eq!(font, Some((StatusCode::OK, "font".to_owned(), "font/woff2".to_owned())));
}

#[actix_web::test]
async fn assets_are_kept_for_ever_and_other_files_asked_for_again() {
    let (_, _, cache) = ask(program(), "/assets/app-1.js", header::CACHE_CONTROL).await.unwrap();
    assert_eq!(cache, "public, max-age=31536000, immutable");
    let (_, _, cache) = ask(program(), "/favicon.svg", header::CACHE_CONTROL).await.unwrap();
    assert_eq!(cache, "no-cache");
    let (_, _, vary) = ask(program(), "/assets/app-1.js", header::VARY).await.unwrap();
    assert_eq!(vary, "Accept-Encoding");
}

#[actix_web::test]
async fn a_client_that_has_the_file_gets_no_body() {
    let (_, _, tag) = ask(program(), "/favicon.svg", header::ETAG).await.unwrap();
    assert_eq!(tag, "\"3c737667000000000000000000000000\"");
    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let request = program().insert_header((header::IF_NONE_MATCH, known.clone()));
        let answered = ask(request, "/favicon.svg", header::ETAG).await;
        assert_eq!(answered, Some((StatusCode::NOT_MODIFIED, String::new(), tag.clone())), "{known}");
    }
    let request = program().insert_header((header::IF_NONE_MATCH, "\"other\""));
    assert_eq!(ask(request, "/favicon.svg", header::ETAG).await.unwrap().0, StatusCode::OK);
}

#[actix_web::test]
async fn browsers_get_the_page_at_every_address_and_programs_at_the_root_only() {
    for path in ["", "/", "/keys", "/keys/7", "/no/such/page", "/index.html"] {
        let (status, body, cache) = ask(browser(), path, header::CACHE_CONTROL).await.unwrap();
        assert_eq!((status, cache.as_str()), (StatusCode::OK, "no-cache, no-store, must-revalidate"), "{path}");
        assert!(body.starts_with("<base href=\"/gate/\" />"), "{path}: {body}");
    }
    assert!(ask(program(), "/", header::CACHE_CONTROL).await.is_some());
    assert!(ask(program(), "/keys", header::CACHE_CONTROL).await.is_none());
    assert!(ask(TestRequest::post(), "/", header::CACHE_CONTROL).await.is_none());
    assert!(ask(browser().method(Method::DELETE), "/keys", header::CACHE_CONTROL).await.is_none());
    // An old page in a browser asks for assets that are gone. HTML instead of a script would be a riddle.
    let (status, body, _) = ask(browser(), "/assets/gone-1.js", header::CACHE_CONTROL).await.unwrap();
    assert_eq!((status, body.as_str()), (StatusCode::NOT_FOUND, ""));
}

#[actix_web::test]
async fn each_page_has_a_nonce_of_its_own_and_allows_no_inline_code_without() {
    let (_, first, policy) = ask(browser(), "/", header::CONTENT_SECURITY_POLICY).await.unwrap();
    let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    assert_eq!(nonce.len(), 22);
    assert_eq!(first.matches(&format!("nonce=\"{nonce}\"")).count(), 2);
    assert!(!first.contains("CSP_NONCE") && !policy.contains("unsafe"), "{policy}");
    let (_, second, _) = ask(browser(), "/", header::CONTENT_SECURITY_POLICY).await.unwrap();
    assert_ne!(first, second);
}

#[actix_web::test]
async fn a_binary_without_the_ui_says_how_to_build_it() {
    let request = browser().to_http_request();
    let response = answer::<Nothing>(&request, "/gate", "/keys").unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let body = String::from_utf8(to_bytes(response.into_body()).await.unwrap().to_vec()).unwrap();
    assert!(body.contains("make web") && body.contains("href=\"/gate/health\""), "{body}");
}

#[test]
fn what_was_built_is_in_the_binary() {
    let built = concat!(env!("CARGO_MANIFEST_DIR"), "/web/dist/index.html");
    assert_eq!(<Embedded as Files>::get(INDEX).is_some(), std::path::Path::new(built).is_file());
}
