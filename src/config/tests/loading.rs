use std::{path::PathBuf, time::Duration};

use gpt_load_schema::secret::Secret;
use tracing::level_filters::LevelFilter;

use super::{config, folder, load, load_in};
use crate::config::{JournalFsync, LogFormat, VARIABLES, effective_json, effective_text};

#[test]
fn nothing_configured_is_a_whole_configuration() {
    let loaded = load(&[]).expect("defaults");
    let config = &loaded.config;
    assert_eq!((config.host.as_str(), config.port, config.base_path.as_str()), ("0.0.0.0", 3001, "/"));
    assert_eq!(config.database_dsn, "./data/gpt-load.db");
    assert_eq!(config.log_file_path, PathBuf::from("./data/logs/app.log"));
    assert_eq!((config.replay_buffer_bytes, config.max_request_bytes), (16 << 20, 256 << 20));
    assert_eq!((config.max_concurrent_requests, config.journal_max_bytes), (100, 1 << 30));
    assert_eq!((config.log_level, config.log_format), (LevelFilter::INFO, LogFormat::Text));
    assert_eq!((config.journal_fsync, config.default_group.as_str()), (JournalFsync::Interval, "default"));
    assert_eq!((config.auth_key.clone(), config.keys_file.clone(), config.initial.len()), (None, None, 0));
    assert_eq!(config.server_write_timeout, Duration::from_secs(600));
    assert!(config.workers >= 1 && !config.node_name.is_empty());
    assert!(loaded.effective.iter().all(|item| item.origin == "default"));
    assert_eq!(loaded.effective.len(), VARIABLES.len());
    assert_eq!(loaded.notes, [""; 0]);
}

#[test]
fn the_environment_rules_over_env_file_over_toml_over_default() {
    let folder = folder(&[
        (".env", "# comment\nPORT=2222\nexport HOST='127.0.0.1'\nBASE_PATH=\"/from-env-file\"\n"),
        ("gpt-load.toml", "port = 3333\nhost = \"10.0.0.1\"\nbase_path = \"/toml\"\n\nworkers = 3\n"),
    ]);
    let loaded = load_in(folder.path(), &[("PORT", "1111"), ("HOST", ""), ("UNKNOWN_NAME", "x")]).expect("good");
    let config = &loaded.config;
    assert_eq!((config.port, config.host.as_str()), (1111, "127.0.0.1"));
    assert_eq!((config.base_path.as_str(), config.workers), ("/from-env-file", 3));
    let origin = |name: &str| loaded.effective.iter().find(|item| item.name == name).expect(name).origin.clone();
    assert_eq!(origin("PORT"), "environment");
    assert_eq!(origin("HOST"), ".env line 3");
    assert_eq!(origin("BASE_PATH"), ".env line 4");
    assert_eq!(origin("WORKERS"), "gpt-load.toml line 5");
    assert_eq!(origin("LOG_LEVEL"), "default");
}

#[test]
fn values_are_read_in_every_form_that_is_documented() {
    for text in ["true", "1", "Yes", "ON"] {
        assert!(config(&[("ALLOW_ANONYMOUS_PROXY", text)]).allow_anonymous_proxy, "{text}");
    }
    for text in ["false", "0", "No", "OFF", " "] {
        assert!(!config(&[("ALLOW_ANONYMOUS_PROXY", text)]).allow_anonymous_proxy, "{text}");
    }
    for (text, bytes) in [("1048576", 1 << 20), ("2MiB", 2 << 20), ("2 mib", 2 << 20), ("3M", 3 << 20), ("4KB", 4000)] {
        assert_eq!(config(&[("REPLAY_BUFFER_BYTES", text)]).replay_buffer_bytes, bytes, "{text}");
    }
    for (text, level) in [("WARNING", LevelFilter::WARN), ("fatal", LevelFilter::ERROR), ("Trace", LevelFilter::TRACE)]
    {
        assert_eq!(config(&[("LOG_LEVEL", text)]).log_level, level, "{text}");
    }
    let networks = config(&[("TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1 ,,::1")]).trusted_proxies;
    let networks: Vec<_> = networks.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "192.0.2.1/32", "::1/128"]);
    let proxies = config(&[("HTTP_PROXY", "proxy:3128"), ("https_proxy", "socks5h://u:p@proxy:1080")]);
    assert_eq!(proxies.http_proxy, Some(Secret::from("http://proxy:3128")));
    assert_eq!(proxies.https_proxy, Some(Secret::from("socks5h://u:p@proxy:1080")));
    assert_eq!(config(&[("BASE_PATH", "/gateway/")]).base_path, "/gateway");
}

#[test]
fn toml_values_have_their_own_types() {
    let text = "enable_cors = true\nallowed_origins = [\"https://a\", \"https://b\"]\nport = 0x1F90\nmax_retries = 5\n";
    let loaded = load_in(folder(&[("gpt-load.toml", text)]).path(), &[]).expect("good");
    assert!(loaded.config.enable_cors);
    assert_eq!((loaded.config.port, loaded.config.allowed_origins.len()), (8080, 2));
    assert_eq!(loaded.config.initial.get("max_retries").map(String::as_str), Some("5"));
}

#[test]
fn the_data_folder_moves_what_lives_in_it() {
    let config = config(&[("DATA_DIR", "/var/lib/gpt-load/")]);
    assert_eq!(config.database_dsn, "/var/lib/gpt-load/gpt-load.db");
    assert_eq!(config.log_file_path, PathBuf::from("/var/lib/gpt-load/logs/app.log"));
}

#[test]
fn a_keys_file_is_found_where_it_lies() {
    let folder = folder(&[("keys.txt", "sk-1\n")]);
    let found = |environment| load_in(folder.path(), environment).expect("good").config.keys_file;
    assert_eq!(found(&[]), Some(folder.path().join("keys.txt")));
    assert_eq!(found(&[("KEYS_FILE", "/etc/keys")]), Some(PathBuf::from("/etc/keys")));
}

#[test]
fn names_of_the_first_generation_become_initial_values_and_say_so() {
    let loaded = load(&[
        ("BLACKLIST_THRESHOLD", "1"),
        ("REQUEST_TIMEOUT", "30500"),
        ("RESPONSE_TIMEOUT", "30"),
        ("IDLE_CONN_TIMEOUT", "90"),
        ("MAX_SOCKETS", "20"),
        ("START_INDEX", "4"),
        ("OPENAI_BASE_URL", "https://a.example/v1, https://b.example"),
    ])
    .expect("good");
    let initial: Vec<_> = loaded.config.initial.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let expected = [
        ("blacklist_threshold", "1"),
        ("idle_conn_timeout", "90"),
        ("max_idle_conns_per_host", "20"),
        ("request_timeout", "31"),
        ("response_header_timeout", "30"),
    ];
    assert_eq!(initial, expected);
    assert_eq!(loaded.config.start_index, 4);
    assert_eq!(loaded.config.openai_base_url, ["https://a.example/v1", "https://b.example"]);
    assert_eq!(loaded.notes[0], "REQUEST_TIMEOUT = 30500 (environment) is read as milliseconds: 31 s");
    let moved = "environment as RESPONSE_TIMEOUT: the value is the initial one of the setting response_header_timeout; \
                 one saved in the settings rules over it";
    assert!(loaded.notes.iter().any(|note| note == moved), "{:?}", loaded.notes);
}

#[test]
fn what_nothing_heeds_is_named_when_it_is_set() {
    let folder = folder(&[("gpt-load.toml", "tz = \"Asia/Tokyo\"\n")]);
    let loaded = load_in(folder.path(), &[]).expect("good");
    let planned: Vec<_> = loaded.notes.iter().filter(|note| note.contains("no effect")).collect();
    assert_eq!(planned, ["gpt-load.toml line 1: TZ is accepted, but has no effect in this version"]);
    assert_eq!(loaded.notes.len(), 1, "and is not said to be in force: {:?}", loaded.notes);
}

#[test]
fn a_current_name_rules_over_a_former_one() {
    for environment in [
        [("RESPONSE_TIMEOUT", "1"), ("RESPONSE_HEADER_TIMEOUT", "2")],
        [("RESPONSE_HEADER_TIMEOUT", "2"), ("RESPONSE_TIMEOUT", "1")],
    ] {
        assert_eq!(config(&environment).initial["response_header_timeout"], "2");
    }
    let below_1000 = config(&[("REQUEST_TIMEOUT", "999")]);
    assert_eq!(below_1000.initial["request_timeout"], "999");
}

#[test]
fn an_env_file_of_an_older_generation_is_read() {
    let text =
        "\u{feff}AUTH_KEY=sk-123456\nALLOWED_METHODS=GET, POST # some\nAPP_NAME=some words\nLOG_LEVEL = debug\r\n";
    let config = load_in(folder(&[(".env", text)]).path(), &[]).expect("good").config;
    assert_eq!(config.auth_key, Some(Secret::from("sk-123456")));
    assert_eq!(config.allowed_methods, ["GET", "POST"]);
    assert_eq!(config.log_level, LevelFilter::DEBUG);
}

#[test]
fn cors_without_origins_is_open_but_without_credentials_and_warns() {
    let loaded = load(&[("ENABLE_CORS", "true"), ("ALLOW_CREDENTIALS", "true")]).expect("good");
    assert_eq!(loaded.config.allowed_origins, ["*"]);
    assert!(!loaded.config.allow_credentials);
    assert!(loaded.warnings.iter().any(|warning| warning.starts_with("ENABLE_CORS without ALLOWED_ORIGINS")));
}

#[test]
fn a_short_shutdown_becomes_ten_seconds() {
    let loaded = load(&[("SERVER_GRACEFUL_SHUTDOWN_TIMEOUT", "3")]).expect("good");
    assert_eq!(loaded.config.server_graceful_shutdown_timeout, Duration::from_secs(10));
    assert!(loaded.warnings.iter().any(|warning| warning.contains("SERVER_GRACEFUL_SHUTDOWN_TIMEOUT")));
}

#[test]
fn what_is_shown_holds_no_secret() {
    let loaded = load(&[
        ("AUTH_KEY", "sk-hidden-auth-key"),
        ("DATABASE_DSN", "postgres://user:hidden-password@db/gpt"),
        ("REDIS_DSN", "redis://:hidden-redis@redis:6379/0"),
        ("HTTPS_PROXY", "http://u:hidden-proxy@proxy:3128"),
        ("PROXY_URL", "http://u:hidden-url@proxy:3128"),
        ("PROXY_KEYS", "hidden-proxy-key"),
    ])
    .expect("good");
    let text = effective_text(&loaded.effective);
    let json = effective_json(&loaded.effective);
    assert!(text.lines().any(|line| line.split_whitespace().eq(["AUTH_KEY", "****", "environment"])), "{text}");
    assert_eq!(json["DATABASE_DSN"]["value"], "postgres://****@db/gpt");
    assert_eq!(json["PORT"], serde_json::json!({"value": "3001", "origin": "default"}));
    for shown in [text, json.to_string(), format!("{loaded:?}"), loaded.notes.join("\n")] {
        assert!(!shown.contains("hidden"), "{shown}");
    }
}
