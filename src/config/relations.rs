//! Rules between values.

use std::time::Duration;

use gpt_load_schema::{secret::Secret, store::Dsn};

use super::{error::ConfigError, table::Config, values::Values};

/// Checks values against each other and brings them into the form that the node uses.
pub(super) fn settle(
    mut config: Config,
    values: &Values,
    problems: &mut Vec<ConfigError>,
    warnings: &mut Vec<String>,
) -> Config {
    let mut refuse = |name: &str, rule: &str| problems.push(values.error(name, rule));

    if config.max_request_bytes != 0 && config.replay_buffer_bytes as u64 > config.max_request_bytes {
        match values.place("replay_buffer_bytes") {
            Some(_) => refuse("REPLAY_BUFFER_BYTES", "must not be larger than MAX_REQUEST_BYTES"),
            // Nobody asked for the default: it gives way to the limit that somebody set.
            None => config.replay_buffer_bytes = usize::try_from(config.max_request_bytes).unwrap_or(usize::MAX),
        }
    }
    match (&config.tls_cert_file, &config.tls_key_file) {
        (Some(_), None) => refuse("TLS_CERT_FILE", "needs TLS_KEY_FILE"),
        (None, Some(_)) => refuse("TLS_KEY_FILE", "needs TLS_CERT_FILE"),
        _ => {}
    }
    if config.redis_dsn.is_some() && config.auth_key.is_none() {
        refuse("REDIS_DSN", "needs AUTH_KEY: the nodes of a cluster share one management key");
    }
    if config.redis_dsn.is_some() && matches!(config.database_dsn.parse(), Ok(Dsn::Sqlite(_))) {
        refuse("REDIS_DSN", "needs a database that all nodes reach: let DATABASE_DSN name PostgreSQL or MySQL");
    }
    let by_hand = "is for a single node; make groups and keys through the management API, or unset REDIS_DSN";
    if config.redis_dsn.is_some() && config.keys_file.is_some() {
        refuse("KEYS_FILE", by_hand);
    }
    if config.redis_dsn.is_some() && !config.openai_base_url.is_empty() {
        refuse("OPENAI_BASE_URL", by_hand);
    }
    if config.is_slave && config.redis_dsn.is_none() {
        refuse("IS_SLAVE", "needs REDIS_DSN: a single node has nobody to follow");
    }

    if config.enable_cors && config.allowed_origins.is_empty() {
        config.allowed_origins = vec!["*".to_owned()];
        config.allow_credentials = false;
        warnings.push(
            "ENABLE_CORS without ALLOWED_ORIGINS lets every origin call this node, without credentials; \
             name the origins in ALLOWED_ORIGINS"
                .to_owned(),
        );
    } else if config.enable_cors && config.allow_credentials && config.allowed_origins.iter().any(|o| o == "*") {
        warnings.push("ALLOW_CREDENTIALS with ALLOWED_ORIGINS = * lets every origin call with credentials".to_owned());
    }
    if config.encryption_key.is_none() {
        warnings.push("ENCRYPTION_KEY is not set: keys are stored as plain text".to_owned());
    }
    let shortest = Duration::from_secs(10);
    if config.server_graceful_shutdown_timeout < shortest {
        config.server_graceful_shutdown_timeout = shortest;
        warnings.push("SERVER_GRACEFUL_SHUTDOWN_TIMEOUT is below 10; 10 is used".to_owned());
    }

    for proxy in [&mut config.http_proxy, &mut config.https_proxy, &mut config.all_proxy] {
        *proxy = proxy.take().map(with_scheme);
    }
    if config.base_path.len() > 1 {
        config.base_path.truncate(config.base_path.trim_end_matches('/').len());
    }
    config
}

/// `proxy` with `http://` in front when it has no scheme, as `HTTP_PROXY` is often written.
fn with_scheme(proxy: Secret) -> Secret {
    if proxy.expose().contains("://") { proxy } else { Secret::new(format!("http://{}", proxy.expose())) }
}
