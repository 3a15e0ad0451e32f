//! Trace, metrics, access line and log row of one request say the same.

use gpt_load_benches::double::{Behaviour, Double, Options};
use serde_json::{Value, json};

use super::{collector::Collector, value};
use crate::{
    program::{Program, output, start},
    support::{AUTH_KEY, PATIENCE, Request},
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

async fn api(program: &Program, method: &str, path: &str, body: Value) -> Value {
    let answer = program.send(&Request::new(method, path).key(AUTH_KEY).json(&body)).await;
    assert_eq!(answer.head.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body()));
    answer.json()["data"].take()
}

/// Both rows of a request, once they are in the database.
async fn stored_rows(program: &Program, id: &str) -> Value {
    let request = Request::new("GET", &format!("/api/logs/{id}/attempts")).key(AUTH_KEY);
    let storing = async {
        loop {
            let answer = program.send(&request).await;
            let mut rows = answer.json();
            if rows["data"]["attempts"].as_array().is_some_and(|attempts| attempts.len() == 2) {
                return rows["data"].take();
            }
            assert!([200, 404].contains(&answer.head.status), "{rows}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, storing).await.expect("rows")
}

/// `/metrics`, once the node knows that its spans have arrived.
async fn page(program: &Program) -> String {
    let asking = async {
        loop {
            let answer = program.send(&Request::new("GET", "/metrics").key(AUTH_KEY)).await;
            let page = String::from_utf8(answer.body().to_vec()).unwrap();
            if value(&page, "gpt_load_spans_exported_total") == Some(3.0) {
                return page;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("the spans are counted")
}

/// The one access line of the data path that was printed.
async fn access_line(folder: &std::path::Path) -> Value {
    let printed = async {
        loop {
            let text = output(folder);
            let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let lines: Vec<Value> = lines.filter(|line| line["target"] == "access").collect();
            if let [line] = &lines[..] {
                return line.clone();
            }
            assert!(lines.len() < 2, "{text}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, printed).await.expect("a line")
}

#[actix_web::test]
async fn one_request_is_told_alike_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let (double, collector) = (Double::start(Options::default()).unwrap(), Collector::over_http());
    let env = [
        ("AUTH_KEY", AUTH_KEY),
        ("LOG_FORMAT", "json"),
        ("NODE_NAME", "node-1"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=t%201"),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
    ];
    let program = start(folder.path(), &env).await;
    let group = json!({
        "name": "default", "channel_type": "openai", "test_model": "m",
        "upstreams": [{"url": double.url(), "weight": 1}],
    });
    let group = api(&program, "POST", "/api/groups", group).await["id"].as_i64().unwrap();
    let keys = json!({"group_id": group, "keys": ["sk-telemetry-1", "sk-telemetry-2"], "new_key_state": "active"});
    api(&program, "POST", "/api/keys/add-multiple", keys).await;
    api(&program, "PUT", "/api/settings", json!({"proxy_keys": AUTH_KEY})).await;
    double.on_next(1, Behaviour::status(500));

    let traced = Request::chat(false).header("traceparent", &format!("00-{TRACE}-{CALLER}-01"));
    let answer = program.send(&traced.header("tracestate", "vendor=1")).await;
    assert_eq!(answer.head.status, 200);
    let id = answer.head.header("x-gpt-load-request-id").unwrap().to_owned();
    let usage = &answer.json()["usage"];

    let spans = collector.spans(3).await;
    let [server, first, second] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!((server.trace.as_str(), server.parent.as_str(), server.kind), (TRACE, CALLER, 2));
    assert_eq!(server.name, "POST /{path}");
    for (attempt, class, status) in [(first, "upstream_fault", "500"), (second, "success", "200")] {
        assert_eq!((attempt.trace.as_str(), &attempt.parent, attempt.kind), (TRACE, &server.id, 3));
        assert_eq!(attempt.name, "chat test-model");
        assert_eq!(attempt.get("gen_ai.operation.name"), "chat");
        assert_eq!(attempt.get("gen_ai.provider.name"), "openai");
        assert_eq!(attempt.get("gen_ai.request.model"), "test-model");
        assert_eq!(attempt.get("gpt_load.class"), class);
        assert_eq!(attempt.get("http.response.status_code"), status);
        assert_eq!(attempt.get("server.address"), "127.0.0.1");
        assert_eq!(attempt.get("server.port"), double.addr.port().to_string());
    }
    assert_eq!((first.get("error.type"), first.status), ("upstream_fault", 2));
    assert_eq!((second.get("error.type"), second.status), ("", 0));
    assert_eq!(second.get("http.request.resend_count"), "1");
    for span in &spans {
        assert_eq!((span.get("gpt_load.request_id"), span.get("gpt_load.group")), (id.as_str(), "default"));
    }
    assert_eq!((server.get("gpt_load.attempts"), server.get("http.response.status_code")), ("2", "200"));
    assert_eq!((server.get("url.path"), server.get("error.type")), ("/v1/chat/completions", ""));
    assert_eq!(collector.tenant().as_deref(), Some("t 1"));
    let resource = collector.resource();
    for (name, expected) in [
        ("service.name", "gpt-load"),
        ("service.instance.id", "node-1"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("deployment.environment.name", "test"),
    ] {
        assert_eq!(resource.get(name).map(String::as_str), Some(expected), "{resource:?}");
    }

    // Upstreams see the attempts, not the client.
    let seen: Vec<_> = double.requests().iter().map(|seen| seen.header_values("traceparent").join(",")).collect();
    let expected = [first, second].map(|attempt| format!("00-{TRACE}-{}-01", attempt.id));
    assert_eq!(seen, expected);
    assert!(double.requests().iter().all(|seen| seen.header("tracestate") == Some("vendor=1")));

    let line = access_line(folder.path()).await;
    assert_eq!((line["id"].as_str(), line["class"].as_str()), (Some(id.as_str()), Some("success")));
    assert_eq!((&line["attempts"], &line["status"]), (&json!(2), &json!(200)));
    let row = stored_rows(&program, &id).await.to_string();
    assert!(row.contains(&id) && row.contains("\"upstream_fault\"") && row.contains("\"success\""), "{row}");
    let page = page(&program).await;
    for (kind, attribute, member, field) in [
        ("input", "gen_ai.usage.input_tokens", "prompt_tokens", "input_tokens"),
        ("output", "gen_ai.usage.output_tokens", "completion_tokens", "output_tokens"),
    ] {
        let count = usage[member].as_u64().unwrap();
        assert!(count > 0);
        assert_eq!(second.get(attribute), count.to_string());
        assert_eq!(line[field].as_u64(), Some(count), "{line}");
        let series = format!("gpt_load_tokens_total{{group=\"default\",model=\"test-model\",kind=\"{kind}\"}}");
        assert_eq!(value(&page, &series), Some(count as f64), "{page}");
        assert!(row.contains(&format!("\"{field}\":{count}")), "{row}");
    }
    for (series, expected) in [
        ("gpt_load_requests_total{group=\"default\",class=\"success\",status=\"200\"}", 1.0),
        ("gpt_load_attempts_total{group=\"default\",class=\"success\"}", 1.0),
        ("gpt_load_attempts_total{group=\"default\",class=\"upstream_fault\"}", 1.0),
        ("gpt_load_upstream_duration_seconds_count{group=\"default\"}", 2.0),
        ("gpt_load_time_to_first_byte_seconds_count{group=\"default\"}", 1.0),
        ("gpt_load_spans_exported_total", 3.0),
        ("gpt_load_spans_dropped_total", 0.0),
    ] {
        assert_eq!(value(&page, series), Some(expected), "{series}: {page}");
    }
}
