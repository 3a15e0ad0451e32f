//! Traces: protocols, sampling, context, and a collector that is no good.

use std::net::TcpListener;

use gpt_load_benches::double::{Behaviour, Options};
use gpt_load_schema::channel::Channel;
use serde_json::json;

use super::{collector::Collector, sum, value};
use crate::support::{AUTH_KEY, Env, Gateway, Request};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// A node that traces by `env`, with the group `default`.
async fn tracing(collector: &str, env: Env<'_>) -> Gateway {
    let base = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector), ("OTEL_BSP_SCHEDULE_DELAY", "5")];
    let env: Vec<_> = base.into_iter().chain(env.iter().copied()).collect();
    let gateway = Gateway::start_with(Options::default(), &env).await;
    gateway.group("default", Channel::OpenAi, &["sk-1", "sk-2"], json!({})).await;
    gateway
}

/// The `traceparent` that the upstream got last.
fn forwarded(gateway: &Gateway) -> Option<String> {
    gateway.double.requests().last().unwrap().header("traceparent").map(str::to_owned)
}

#[actix_web::test]
async fn spans_travel_over_grpc_as_well() {
    let collector = Collector::over_grpc();
    let env = [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=grpc")];
    let gateway = tracing(&collector.url(), &env).await;
    assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 200);
    let spans = collector.spans(2).await;
    assert_eq!((spans[0].kind, spans[1].kind), (2, 3));
    assert_eq!((spans[0].parent.as_str(), &spans[1].parent), ("", &spans[0].id), "a trace of its own");
    assert_eq!(spans[1].get("gpt_load.class"), "success");
    assert!(!spans[1].get("gen_ai.usage.output_tokens").is_empty(), "{spans:#?}");
    assert_eq!(collector.tenant().as_deref(), Some("grpc"));
    gateway.metrics_until(|page| value(page, "gpt_load_spans_exported_total") == Some(2.0)).await;
}

#[actix_web::test]
async fn a_collector_behind_tls_is_trusted_by_the_extra_certificates() {
    for (protocol, alpn, collector) in
        [("grpc", "h2", Collector::over_grpc()), ("http/protobuf", "http/1.1", Collector::over_http())]
    {
        let (url, certificate) = collector.behind_tls(alpn.as_bytes()).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, certificate).unwrap();
        let file = file.display().to_string();
        let of = [("OTEL_EXPORTER_OTLP_PROTOCOL", protocol), ("EXTRA_CA_FILE", &file)];
        let (trusting, wary) = (tracing(&url, &of).await, tracing(&url, &of[..1]).await);
        for gateway in [&wary, &trusting] {
            assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 200);
        }
        collector.spans(2).await;
        wary.metrics_until(|page| value(page, "gpt_load_spans_dropped_total") == Some(2.0)).await;
        trusting.metrics_until(|page| value(page, "gpt_load_spans_exported_total") == Some(2.0)).await;
    }
}

#[actix_web::test]
async fn what_is_refused_is_a_span_with_the_reason() {
    let collector = Collector::over_http();
    let gateway = tracing(&collector.url(), &[]).await;
    let refused = gateway.send(&Request::chat_at("/proxy/none/v1/chat/completions?key=secret", false)).await;
    assert_eq!(refused.head.status, 404);
    let spans = collector.spans(1).await;
    let id = refused.head.header("x-gpt-load-request-id").unwrap();
    assert_eq!(spans[0].name, "POST /proxy/{group}/{path}");
    assert_eq!(spans[0].get("gpt_load.request_id"), id);
    assert_eq!(spans[0].get("error.type"), refused.json()["code"].as_str().unwrap());
    assert_eq!(spans[0].get("url.path"), "/proxy/none/v1/chat/completions");
}

#[actix_web::test]
async fn samplers_honour_the_parent() {
    let collector = Collector::over_http();
    let gateway = tracing(&collector.url(), &[("OTEL_TRACES_SAMPLER", "parentbased_always_off")]).await;
    let traced = |parent: &str| Request::chat(false).header("traceparent", parent);
    for request in [Request::chat(false), traced(UNSAMPLED), traced("00-zz-zz-01"), traced(SAMPLED)] {
        assert_eq!(gateway.send(&request).await.head.status, 200);
    }
    let spans = collector.spans(2).await;
    assert!(spans.iter().all(|span| span.trace == TRACE), "only the last one: {spans:#?}");
    let parents: Vec<_> =
        gateway.double.requests().iter().map(|seen| seen.header("traceparent").map(str::to_owned)).collect();
    let parents: Vec<String> = parents.into_iter().map(Option::unwrap).collect();
    for (parent, of_client, flag) in [(&parents[0], false, "00"), (&parents[1], true, "00"), (&parents[2], false, "00")]
    {
        assert_eq!(parent.contains(TRACE), of_client, "{parent}");
        assert!(parent.len() == 55 && parent.ends_with(flag) && !parent.contains("b7ad6b7169203331"), "{parent}");
    }
    assert_eq!(parents[3], format!("00-{TRACE}-{}-01", spans[1].id));
    gateway.node.stop().await;
    assert_eq!(collector.count(), 2);
}

#[actix_web::test]
async fn a_share_of_requests_is_recorded_whole() {
    let collector = Collector::over_http();
    let env = [("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.5")];
    let gateway = tracing(&collector.url(), &env).await;
    let mut client = gateway.client().await;
    for _ in 0..40 {
        assert_eq!(client.exchange(&Request::chat(false).bytes()).await.unwrap().head.status, 200);
    }
    let sampled =
        gateway.double.requests().iter().filter(|seen| seen.header("traceparent").unwrap().ends_with("01")).count();
    // One in 10^11 runs has less than 1 or more than 39 of 40.
    assert!((1..40).contains(&sampled), "{sampled}");
    collector.spans(2 * sampled).await;
    gateway.node.stop().await;
    assert_eq!(collector.count(), 2 * sampled);
}

#[actix_web::test]
async fn without_a_collector_the_clients_context_passes() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    let request = Request::chat(false).header("traceparent", SAMPLED).header("tracestate", "a=1");
    gateway.send(&request).await;
    assert_eq!(forwarded(&gateway).as_deref(), Some(SAMPLED));
    gateway.send(&Request::chat(false)).await;
    assert_eq!(forwarded(&gateway), None);
}

#[actix_web::test]
async fn a_group_may_keep_the_context_from_its_upstream() {
    let collector = Collector::over_http();
    let gateway = tracing(&collector.url(), &[]).await;
    let id = gateway.find_group("default").await.id;
    let rules = json!({"header_rules": [{"key": "traceparent", "value": "", "action": "remove"}]});
    gateway.api("PUT", &format!("/api/groups/{id}"), &rules).await;
    gateway.send(&Request::chat(false)).await;
    assert_eq!(forwarded(&gateway), None);
}

/// Sends requests that all succeed, to a node whose collector takes nothing, and waits until every span is counted as lost.
async fn all_is_lost(collector: &str) {
    for protocol in ["grpc", "http/protobuf"] {
        let env = [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "50"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "4"),
        ];
        let gateway = tracing(collector, &env).await;
        let mut client = gateway.client().await;
        for _ in 0..30 {
            assert_eq!(client.exchange(&Request::chat(false).bytes()).await.unwrap().head.status, 200);
        }
        let page = gateway.metrics_until(|page| sum(page, "gpt_load_spans_dropped_total") >= 60.0).await;
        assert_eq!(value(&page, "gpt_load_spans_dropped_total"), Some(60.0), "{protocol}");
        assert_eq!(value(&page, "gpt_load_spans_exported_total"), Some(0.0), "{protocol}");
        gateway.node.stop().await;
    }
}

#[actix_web::test]
async fn a_dead_collector_costs_spans_and_nothing_else() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    all_is_lost(&format!("http://{address}")).await;
}

#[actix_web::test]
async fn a_hanging_collector_costs_spans_and_nothing_else() {
    // The system takes its connections; nobody ever reads from them.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    all_is_lost(&format!("http://{}", listener.local_addr().unwrap())).await;
}

#[actix_web::test]
async fn a_client_that_hangs_up_ends_its_spans() {
    let collector = Collector::over_http();
    let gateway = tracing(&collector.url(), &[]).await;
    gateway.double.on_every(Some(Behaviour::hang(gpt_load_benches::double::At::Head)));
    let mut client = gateway.client().await;
    client.send(&Request::chat(false).bytes()).await.unwrap();
    while gateway.double.requests().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    drop(client);
    let spans = collector.spans(2).await;
    for span in &spans {
        assert_eq!((span.get("gpt_load.class"), span.get("error.type")), ("abandoned", "abandoned"), "{spans:#?}");
    }
    assert_eq!(spans[0].get("http.response.status_code"), "499");
}

#[actix_web::test]
async fn settings_that_cannot_be_used_stop_the_start_and_say_why() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier-pigeon"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:secret@collector"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
    ] {
        let refused = crate::support::start_node(folder.path(), &[("AUTH_KEY", AUTH_KEY), (name, text)]).await;
        let error = refused.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(name), "{name}={text}: {error}");
    }
}
