use gpt_load_schema::settings::{DYNAMIC, check_text};
use proptest::prelude::*;

use super::{folder, load, load_in, refusal};
use crate::config::{Config, VARIABLES, dsn, source};

#[test]
fn every_bad_value_is_named_with_its_rule() {
    let boolean = "must be true or false";
    let database =
        "must be a file path, postgres://user:password@host:port/database or user:password@tcp(host:port)/database";
    for (name, value, rule) in [
        ("PORT", "0", "must be a whole number from 1 to 65535"),
        ("PORT", "65536", "must be a whole number from 1 to 65535"),
        ("PORT", "http", "must be a whole number from 1 to 65535"),
        ("WORKERS", "-1", "must be a whole number from 1 to 1024"),
        ("MAX_CONCURRENT_REQUESTS", "0", "must be a whole number, 1 or more"),
        ("SERVER_READ_TIMEOUT", "1m", "must be a whole number of seconds"),
        ("MAX_REQUEST_BYTES", "16 MB/s", "must be a number of bytes or a size such as 16MiB"),
        ("MAX_REQUEST_BYTES", "99999999999G", "must be a number of bytes or a size such as 16MiB"),
        ("JOURNAL_MAX_BYTES", "1KiB", "must be a number of bytes or a size such as 16MiB, 1048576 or more"),
        ("IS_SLAVE", "maybe", boolean),
        ("ENABLE_CORS", "2", boolean),
        ("LOG_LEVEL", "loud", "must be one of trace, debug, info, warn, error, off"),
        ("LOG_FORMAT", "xml", "must be one of text, json"),
        ("JOURNAL_FSYNC", "often", "must be one of never, interval, always"),
        ("TRUSTED_PROXIES", "10.0.0.0/33", "must be addresses or networks such as 10.0.0.0/8"),
        ("BASE_PATH", "gateway", "must be / or a path such as /gateway"),
        ("BASE_PATH", "/a b", "must be / or a path such as /gateway"),
        ("DEFAULT_GROUP", "My Group", "must be 1 to 100 small letters, digits, hyphens or underscores"),
        ("OPENAI_BASE_URL", "https://a,b", "must be http:// or https:// URLs, separated by commas"),
        ("DATABASE_DSN", "mysql://db/gpt", database),
        ("BLACKLIST_THRESHOLD", "-1", "must be 0 or more"),
        ("MAX_WAIT_MS", "30001", "must be 30000 or less"),
        ("KEY_SELECTION", "first", "must be one of round_robin, weighted, least_in_flight, random, sticky"),
    ] {
        assert_eq!(refusal(load(&[(name, value)])), [format!("environment: {name} = {value:?} {rule}")]);
    }
}

#[test]
fn all_errors_come_at_once_each_with_its_place() {
    let folder = folder(&[
        (".env", "\nLOG_LEVEL=loud\nthis is no assignment\nIS_SLAVE=maybe\n"),
        (
            "gpt-load.toml",
            "workers = 0\nprot = 8080\nlog_format = { a = 1 }\n\nDEFAULT_GROUP = \"x\"\nqqqqqqqqqq = 1\n",
        ),
    ]);
    let lines = refusal(load_in(folder.path(), &[("PORT", "abc"), ("IS_SLAVE", "false")]));
    let expected = [
        "gpt-load.toml line 2: prot is not a known setting; did you mean port?",
        "gpt-load.toml line 3: log_format must be a text, a number, true, false, or a list of texts",
        "gpt-load.toml line 5: DEFAULT_GROUP is not a known setting; did you mean default_group?",
        "gpt-load.toml line 6: qqqqqqqqqq is not a known setting",
        ".env line 3: cannot be read: write NAME=value, and put a value with quotes, $ or \\ between single quotes",
        "environment: PORT = \"abc\" must be a whole number from 1 to 65535",
        "gpt-load.toml line 1: workers = \"0\" must be a whole number from 1 to 1024",
        ".env line 2: LOG_LEVEL = \"loud\" must be one of trace, debug, info, warn, error, off",
    ];
    let (mut lines, mut expected) = (lines, expected.map(str::to_owned).to_vec());
    lines.sort();
    expected.sort();
    assert_eq!(lines, expected);
}

#[test]
fn values_are_checked_against_each_other() {
    for (environment, line) in [
        (
            &[("REPLAY_BUFFER_BYTES", "2MiB"), ("MAX_REQUEST_BYTES", "1MiB")][..],
            "environment: REPLAY_BUFFER_BYTES = \"2MiB\" must not be larger than MAX_REQUEST_BYTES",
        ),
        (&[("TLS_CERT_FILE", "cert.pem")], "environment: TLS_CERT_FILE = \"cert.pem\" needs TLS_KEY_FILE"),
        (&[("TLS_KEY_FILE", "key.pem")], "environment: TLS_KEY_FILE = \"key.pem\" needs TLS_CERT_FILE"),
        (
            &[("REDIS_DSN", "redis://:p@host"), ("DATABASE_DSN", "postgres://host/db")],
            "environment: REDIS_DSN = \"redis://****@host\" needs AUTH_KEY: \
             the nodes of a cluster share one management key",
        ),
        (
            &[("REDIS_DSN", "redis://:p@host"), ("AUTH_KEY", "sk-auth")],
            "environment: REDIS_DSN = \"redis://****@host\" needs a database that all nodes reach: \
             let DATABASE_DSN name PostgreSQL or MySQL",
        ),
        (
            &[("IS_SLAVE", "true")],
            "environment: IS_SLAVE = \"true\" needs REDIS_DSN: a single node has nobody to follow",
        ),
    ] {
        assert_eq!(refusal(load(environment)), [line]);
    }
    assert!(load(&[("REPLAY_BUFFER_BYTES", "2MiB"), ("MAX_REQUEST_BYTES", "0")]).is_ok());
    let cluster = [("REDIS_DSN", "redis://host"), ("AUTH_KEY", "sk-auth"), ("DATABASE_DSN", "u:p@tcp(db)/gpt")];
    assert!(load(&cluster).is_ok());
    let refused = refusal(load(&[cluster.as_slice(), &[("OPENAI_BASE_URL", "http://host")]].concat()));
    assert!(refused[0].contains("is for a single node"), "{refused:?}");
}

#[test]
fn a_refusal_holds_no_secret() {
    let folder = folder(&[(".env", "AUTH_KEY='hidden\nENCRYPTION_KEY=\"hidden\" trailing hidden\n")]);
    let errors = load_in(
        folder.path(),
        &[
            ("REDIS_DSN", "http://:hidden@host"),
            ("PROXY_URL", "ftp://u:hidden@host"),
            ("HTTPS_PROXY", "ftp://u:hidden@host"),
        ],
    )
    .expect_err("refused");
    assert!(errors.0.len() >= 4, "{errors}");
    assert!(!errors.to_string().contains("hidden"), "{errors}");
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    let folder = folder(&[("gpt-load.toml", "port = = 1\n")]);
    std::fs::create_dir(folder.path().join(".env")).expect("made");
    let lines = refusal(load_in(folder.path(), &[]));
    assert!(lines.iter().any(|line| line.starts_with(".env: cannot be read: ")), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("gpt-load.toml line 1: is not TOML: ")), "{lines:?}");
}

#[test]
fn the_refusal_reads_as_a_list() {
    let text = load(&[("PORT", "x"), ("IS_SLAVE", "y")]).expect_err("refused").to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "the configuration cannot be used:");
    assert_eq!(lines[1], "  environment: PORT = \"x\" must be a whole number from 1 to 65535");
    assert_eq!(lines.len(), 3);
}

proptest! {
    /// Whatever stands in a file, reading it ends with values or with errors.
    #[test]
    fn no_file_brings_the_reader_down(text in "([A-Za-z_]{1,9} ?[=:] ?)?[\\PC\"'#$\\\\{}=\\n\\[\\]]{0,60}") {
        source::env_file(&text, &mut Vec::new());
        source::toml_file(&text, &mut Vec::new());
    }

    /// Whatever is given as a value, it is taken or refused, and a text that was taken is taken again unchanged.
    #[test]
    fn no_value_brings_the_reader_down(text in "\\PC{0,20}|-?[0-9]{0,25}(\\.[0-9]+)?(e[+-]?[0-9]{1,3})?", index in 0..200_usize) {
        let variable = &VARIABLES[index % VARIABLES.len()];
        let _ = load(&[(variable.name, &text)]);
        let declaration = &DYNAMIC[index % DYNAMIC.len()];
        if let Ok(stored) = check_text(declaration, &text) {
            let again = check_text(declaration, &stored);
            prop_assert_eq!(again, Ok(stored));
        }
    }

    #[test]
    fn no_password_survives_masking(user in "[a-z]{1,5}", password in "[A-Z0-9/:@?=]{8,20}", host in "[a-z]{1,8}") {
        for dsn in [format!("postgres://{user}:{password}@{host}/db"), format!("{user}:{password}@tcp({host})/db")] {
            prop_assert!(!dsn::masked(&dsn).contains(&password));
        }
    }
}

#[test]
fn a_default_gives_way_to_a_limit_that_somebody_set() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [("MAX_REQUEST_BYTES".to_owned(), "1KiB".to_owned())];
    let loaded = Config::load(folder.path(), environment.into_iter()).unwrap();
    assert_eq!((loaded.config.max_request_bytes, loaded.config.replay_buffer_bytes), (1024, 1024));
}
