//! HTTP/2 clients whose answers break, and who break off themselves.

use std::{sync::Arc, time::Instant};

use actix_web::http::Version;
use futures_util::StreamExt;
use gpt_load_benches::double::{At, Behaviour};
use gpt_load_schema::log::OutcomeClass;
use serde_json::json;

use crate::{
    support::{AUTH_KEY, PATIENCE},
    transport::{certificate, https_gateway, tls_config},
};

/// Asks for a stream.
macro_rules! ask {
    ($gateway:expr, $client:expr) => {{
        let url = format!("https://localhost:{}/v1/chat/completions", $gateway.address().port());
        let body = json!({"model": "m", "stream": true, "messages": []});
        $client.post(url).insert_header(("authorization", format!("Bearer {AUTH_KEY}"))).send_json(&body)
    }};
}

#[actix_web::test]
async fn a_broken_stream_is_no_clean_end_over_http2_either() {
    let certificate = certificate();
    let gateway = https_gateway(&certificate).await;
    let connector = awc::Connector::new().rustls_0_23(Arc::new(tls_config(&certificate, &[b"h2"])));
    let client = awc::Client::builder().connector(connector).no_default_headers().finish();
    gateway.double.on_next(1, Behaviour::cut(At::After(3)));
    let mut answer = ask!(gateway, client).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
    let mut end = Ok(());
    while let Some(piece) = tokio::time::timeout(PATIENCE, answer.next()).await.expect("an end") {
        if let Err(error) = piece {
            end = Err(error);
            break;
        }
    }
    assert!(end.is_err());
    assert!(!gateway.final_log().await.is_success);
}

#[actix_web::test]
async fn an_http2_client_that_hangs_up_cancels_the_call() {
    let certificate = certificate();
    let gateway = https_gateway(&certificate).await;
    let connector = awc::Connector::new().rustls_0_23(Arc::new(tls_config(&certificate, &[b"h2"])));
    let client = awc::Client::builder().connector(connector).no_default_headers().finish();
    gateway.double.on_next(1, Behaviour::hang(At::After(3)));
    let mut answer = ask!(gateway, client).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
    tokio::time::timeout(PATIENCE, answer.next()).await.expect("a piece").unwrap().unwrap();
    let hung_up = Instant::now();
    drop(answer);
    drop(client);
    let aborted = tokio::time::timeout(PATIENCE, gateway.double.wait_aborted(0)).await.expect("cancelled");
    let delay = aborted.aborted_at.unwrap().saturating_duration_since(hung_up);
    assert!(delay.as_millis() < 100, "{delay:?}");
    assert_eq!(gateway.final_log().await.class, Some(OutcomeClass::Abandoned));
}

#[actix_web::test]
async fn an_http2_client_that_hangs_up_before_the_answer_cancels_the_call() {
    let certificate = certificate();
    let gateway = https_gateway(&certificate).await;
    let connector = awc::Connector::new().rustls_0_23(Arc::new(tls_config(&certificate, &[b"h2"])));
    let client = awc::Client::builder().connector(connector).no_default_headers().finish();
    gateway.double.on_next(1, Behaviour::hang(At::Head));
    let asking = ask!(gateway, client);
    let asked = async { gateway.double.wait_for(1).await };
    futures_util::future::select(Box::pin(asking), Box::pin(asked)).await;
    let hung_up = Instant::now();
    drop(client);
    let aborted = tokio::time::timeout(PATIENCE, gateway.double.wait_aborted(0)).await.expect("cancelled");
    let delay = aborted.aborted_at.unwrap().saturating_duration_since(hung_up);
    assert!(delay.as_millis() < 100, "{delay:?}");
    assert_eq!(gateway.final_log().await.class, Some(OutcomeClass::Abandoned));
}
