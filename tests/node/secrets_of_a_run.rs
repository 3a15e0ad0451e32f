//! No secret of a run appears in anything the program prints.

use std::path::Path;

use gpt_load_benches::double::{At, Behaviour, Double, Options};
use gpt_load_schema::secret::mask;
use serde_json::json;

use crate::{
    program::{Program, command, output, start},
    support::{AUTH_KEY, PATIENCE, Request},
    telemetry::collector::Collector,
};

const ENCRYPTION_KEY: &str = "encryption-key-never-printed-0123456789";
const NEW_ENCRYPTION_KEY: &str = "another-encryption-key-never-printed-0123456789";
const PROXY_PASSWORD: &str = "proxy-password-never-printed";
const GROUP_PROXY_KEY: &str = "pk-group-never-printed-0123456789";
const GLOBAL_PROXY_KEY: &str = "pk-global-never-printed-0123456789";
const HEADER_SECRET: &str = "header-rule-never-printed-0123456789";
const WRONG_KEY: &str = "wrong-guess-never-printed-0123456789";
const METRICS_TOKEN: &str = "metrics-token-never-printed-0123456789";
const COLLECTOR_KEY: &str = "collector-key-never-printed-0123456789";
const PROVIDER_KEYS: [&str; 6] = [
    "sk-good-never-printed-0123456789",
    "sk-invalid-never-printed-0123456789",
    "sk-limited-never-printed-0123456789",
    "sk-failing-never-printed-0123456789",
    "sk-hanging-never-printed-0123456789",
    "sk-with\u{7f}control-never-printed-0123456789",
];

async fn manage(
    program: &Program,
    method: &str,
    path: &str,
    body: serde_json::Value,
    status: u16,
) -> serde_json::Value {
    let answer = program.send(&Request::new(method, path).key(AUTH_KEY).json(&body)).await;
    assert_eq!(answer.head.status, status, "{method} {path}: {}", String::from_utf8_lossy(&answer.body()));
    answer.json()
}

async fn group(program: &Program, name: &str, url: &str, config: serde_json::Value) -> i64 {
    let body = json!({
        "name": name, "channel_type": "openai", "test_model": "m", "upstreams": [{"url": url, "weight": 1}],
        "config": config, "proxy_keys": GROUP_PROXY_KEY,
        "header_rules": [{"key": "x-tenant", "value": HEADER_SECRET, "action": "set"}],
    });
    manage(program, "POST", "/api/groups", body, 200).await["data"]["id"].as_i64().unwrap()
}

/// Whatever goes through a node in its life, good and bad; answers the access token that was made in it.
async fn live(program: &Program, double: &Double) -> String {
    let long_message = format!("no such key: {}", PROVIDER_KEYS[1]);
    double.on_key(PROVIDER_KEYS[1], Behaviour::invalid_key().message(&long_message));
    double.on_key(PROVIDER_KEYS[2], Behaviour::rate_limited(60));
    double.on_key(PROVIDER_KEYS[3], Behaviour::status(500).message(&format!("{} fails", PROVIDER_KEYS[3])));
    double.on_key(PROVIDER_KEYS[4], Behaviour::hang(At::Head));
    let plain = group(program, "default", &double.url(), json!({"response_header_timeout": 1, "max_retries": 5})).await;
    let proxy = format!("http://user:{PROXY_PASSWORD}@127.0.0.1:9");
    let proxied = group(program, "proxied", "https://provider.invalid", json!({"proxy_url": proxy})).await;
    for id in [plain, proxied] {
        let body = json!({"group_id": id, "keys": PROVIDER_KEYS, "new_key_state": "active"});
        let answer = program.send(&Request::new("POST", "/api/keys/add-multiple").key(AUTH_KEY).json(&body)).await;
        assert!([200, 400].contains(&answer.head.status));
        if answer.head.status == 400 {
            let body = json!({"group_id": id, "keys": PROVIDER_KEYS[..5], "new_key_state": "active"});
            manage(program, "POST", "/api/keys/add-multiple", body, 200).await;
        }
    }
    let settings = json!({"proxy_keys": format!("{GLOBAL_PROXY_KEY},{AUTH_KEY}"), "proxy_url": ""});
    manage(program, "PUT", "/api/settings", settings, 200).await;
    let broken = json!({"proxy_url": format!("ftp://user:{PROXY_PASSWORD}@host"), "proxy_keys": 1});
    manage(program, "PUT", "/api/settings", broken, 400).await;
    let body = json!({"model": "m", "messages": []});
    for key in [GLOBAL_PROXY_KEY, GROUP_PROXY_KEY, WRONG_KEY] {
        for target in ["/v1/chat/completions", "/proxy/proxied/v1/chat/completions", "/proxy/none/v1/models"] {
            program.send(&Request::new("POST", target).key(key).json(&body)).await;
            program.send(&Request::new("POST", &format!("{target}?key={key}&a=1")).json(&body)).await;
        }
    }
    for _ in 0..6 {
        program.send(&Request::new("POST", "/v1/chat/completions").key(GLOBAL_PROXY_KEY).json(&body)).await;
    }
    let exported =
        program.send(&Request::new("GET", &format!("/api/keys/export?group_id={plain}&key={AUTH_KEY}"))).await;
    assert!(String::from_utf8_lossy(&exported.body()).contains(PROVIDER_KEYS[0]));
    let page = format!("/api/keys?group_id={plain}&key_value={}&key={AUTH_KEY}", PROVIDER_KEYS[0]);
    assert_eq!(program.send(&Request::new("GET", &page)).await.head.status, 200);
    for (path, body) in [
        ("/api/auth/login", json!({"auth_key": WRONG_KEY})),
        ("/api/keys/add-multiple", json!({"group_id": plain, "keys_text": {"a": PROVIDER_KEYS[0]}})),
        (
            "/api/groups",
            json!({"name": PROVIDER_KEYS[0], "proxy_keys": GROUP_PROXY_KEY, "config": {"proxy_url": proxy, "a": 1}}),
        ),
    ] {
        assert!(program.send(&Request::new("POST", path).key(AUTH_KEY).json(&body)).await.head.status >= 400);
    }
    let cut = Request::new("POST", "/api/keys/add-multiple")
        .key(AUTH_KEY)
        .body(format!("{{\"keys_text\": \"{}", PROVIDER_KEYS[0]));
    assert_eq!(program.send(&cut).await.head.status, 400);
    program.send(&Request::new("GET", &format!("/api/groups?key={WRONG_KEY}"))).await;
    let made = manage(program, "POST", "/api/tokens", json!({"name": "robot", "role": "admin"}), 200).await;
    let token = made["data"]["token"].as_str().unwrap().to_owned();
    assert_eq!(program.send(&Request::new("GET", &format!("/api/groups?key={token}"))).await.head.status, 200);
    let login = manage(program, "POST", "/api/auth/login", json!({"auth_key": token}), 200).await;
    assert_eq!(login["role"], "admin");
    assert_eq!(program.send(&Request::new("GET", &format!("/blacklist?key={AUTH_KEY}"))).await.head.status, 200);
    token
}

fn assert_silent(text: &str, place: &str) {
    let secrets = [
        AUTH_KEY,
        ENCRYPTION_KEY,
        NEW_ENCRYPTION_KEY,
        PROXY_PASSWORD,
        GROUP_PROXY_KEY,
        GLOBAL_PROXY_KEY,
        HEADER_SECRET,
        METRICS_TOKEN,
        COLLECTOR_KEY,
        WRONG_KEY,
    ];
    for secret in secrets.into_iter().chain(PROVIDER_KEYS) {
        assert!(!text.contains(secret), "{place} holds {}", mask(secret));
        let encoded = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect::<String>();
        assert!(!text.contains(&encoded), "{place} holds {} encoded", mask(secret));
    }
}

fn files_under(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_under(&path) } else { vec![path] }).collect()
}

#[actix_web::test]
async fn no_secret_of_a_run_is_printed_or_stored_in_clear() {
    let folder = tempfile::tempdir().unwrap();
    let double = Double::start(Options::default()).unwrap();
    let collector = Collector::over_http();
    let (collector_url, collector_key) = (collector.url(), format!("authorization={COLLECTOR_KEY}"));
    let env = [
        ("AUTH_KEY", AUTH_KEY),
        ("ENCRYPTION_KEY", ENCRYPTION_KEY),
        ("LOG_LEVEL", "trace"),
        ("RUST_LOG", "trace"),
        ("RUST_BACKTRACE", "1"),
        ("LOG_ENABLE_FILE", "true"),
        ("METRICS_TOKEN", METRICS_TOKEN),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector_url),
        ("OTEL_EXPORTER_OTLP_HEADERS", &collector_key),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ];
    let mut program = start(folder.path(), &env).await;
    assert!(program.arguments().contains("gpt-load"), "they can be read here");
    assert_silent(&program.arguments(), "the arguments");
    let token = live(&program, &double).await;
    read_all(&program).await;
    rotate(&program).await;
    // What a kill leaves behind, the write-ahead log among it.
    program.signal("KILL");
    program.ended().await;
    assert_files_silent(folder.path(), &token);
    let env = env.map(|(name, value)| (name, if name == "ENCRYPTION_KEY" { NEW_ENCRYPTION_KEY } else { value }));
    let env: Vec<_> = env.into_iter().chain([("ENCRYPTION_KEY_PREVIOUS", ENCRYPTION_KEY)]).collect();
    let mut program = start(folder.path(), &env).await;
    read_all(&program).await;
    program.signal("TERM");
    assert!(program.ended().await.success(), "{}", output(folder.path()));
    let traced = collector.text();
    assert!(traced.contains("gen_ai.request.model"), "requests were traced");
    assert_silent(&traced, "a trace");
    let printed = output(folder.path());
    assert!(printed.contains("access"), "it was talkative: {printed}");
    assert!(printed.contains("key changed its state"), "{printed}");
    assert!(printed.contains(&mask(PROVIDER_KEYS[0])), "masked keys are there");
    assert_files_silent(folder.path(), &token);
    for (arguments, files) in [
        (vec!["rotate-data-key"], None),
        (vec!["migrate-keys", "--from-file", "from", "--to-file", "to"], Some((NEW_ENCRYPTION_KEY, ENCRYPTION_KEY))),
        (vec!["migrate-keys", "--from-file", "from", "--to-file", "to"], Some((WRONG_KEY, ENCRYPTION_KEY))),
        (vec!["config"], None),
        (vec!["config", "--json"], None),
    ] {
        let (from, to) = files.unwrap_or_default();
        std::fs::write(folder.path().join("from"), from).unwrap();
        std::fs::write(folder.path().join("to"), to).unwrap();
        let said = command(folder.path(), &arguments, &env);
        assert_eq!(said.status.success(), from != WRONG_KEY, "{arguments:?}");
        assert_silent(&String::from_utf8_lossy(&[said.stdout, said.stderr].concat()), arguments[0]);
    }
    std::fs::remove_file(folder.path().join("from")).unwrap();
    std::fs::remove_file(folder.path().join("to")).unwrap();
    assert_files_silent(folder.path(), &token);
}

/// Every route that reads, with the key where a careless script puts it. What holds secrets by its purpose is not looked at.
async fn read_all(program: &Program) {
    for path in [
        "/health",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/stats",
        "/blacklist",
        "/api/channel-types",
        "/api/groups",
        "/api/groups/list",
        "/api/groups/config-options",
        "/api/groups/1/policies",
        "/api/groups/1/pool",
        "/api/groups/1/stats",
        "/api/groups/1/sub-groups",
        "/api/groups/1/parent-aggregate-groups",
        "/api/policies",
        "/api/policies/1",
        "/api/keys",
        "/api/keys?group_id=1",
        "/api/keys/1",
        "/api/keys/export?group_id=1",
        "/api/tasks/status",
        "/api/validation/groups/1/history",
        "/api/settings",
        "/api/dashboard/stats",
        "/api/dashboard/chart",
        "/api/dashboard/encryption-status",
        "/api/encryption",
        "/api/logs",
        "/api/logs/export",
        "/api/integration/info",
        "/api/none",
    ] {
        let separator = if path.contains('?') { '&' } else { '?' };
        let answer = program.send(&Request::new("GET", &format!("{path}{separator}key={AUTH_KEY}"))).await;
        assert!(answer.head.status < 500, "{path}: {}", answer.head.status);
        if answer.head.status >= 400 || path == "/metrics" {
            assert_silent(&String::from_utf8_lossy(&answer.body()), path);
        }
    }
    let wrong = program.send(&Request::new("GET", "/api/encryption").key(WRONG_KEY)).await;
    assert_eq!(wrong.head.status, 401);
    assert_silent(&String::from_utf8_lossy(&wrong.body()), "a refusal");
}

/// Rotates the data key to its end.
async fn rotate(program: &Program) {
    manage(program, "POST", "/api/encryption/rotate", json!({}), 200).await;
    let rotating = async {
        loop {
            let state = manage(program, "GET", "/api/encryption", json!({}), 200).await;
            assert_silent(&state.to_string(), "the state of encryption");
            if state["data"]["rotation"]["is_running"] == false {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, rotating).await.expect("it comes to its end");
}

fn assert_files_silent(folder: &Path, token: &str) {
    for path in files_under(folder) {
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        assert_silent(&text, &path.display().to_string());
        assert!(!text.contains(token), "{} holds the access token", path.display());
    }
}

#[actix_web::test]
async fn a_refused_start_tells_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = start(folder.path(), &[("ENCRYPTION_KEY", ENCRYPTION_KEY), ("AUTH_KEY", AUTH_KEY)]).await;
    first.signal("TERM");
    assert!(first.ended().await.success());
    let proxy = format!("http://user:{PROXY_PASSWORD}@h/p");
    let dsn = format!("postgres://user:{PROXY_PASSWORD}@host/db");
    let cases: [&[(&str, &str)]; 5] = [
        &[("ENCRYPTION_KEY", WRONG_KEY)],
        &[("HTTPS_PROXY", &proxy)],
        &[("PROXY_URL", &proxy), ("PROXY_KEYS", GLOBAL_PROXY_KEY)],
        &[("DATABASE_DSN", &dsn)],
        &[("REDIS_DSN", &dsn)],
    ];
    for case in cases {
        let env: Vec<_> = [("AUTH_KEY", AUTH_KEY)].iter().chain(case).copied().collect();
        let mut program = crate::program::spawn(folder.path(), &env);
        assert!(!program.ended().await.success(), "{:?}", case[0].0);
    }
    assert_silent(&output(folder.path()), "the output");
}
