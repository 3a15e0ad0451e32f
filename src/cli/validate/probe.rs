//! Asks a provider about one key, over the connections that the gateway itself would use.

use std::time::Duration;

use gpt_load_schema::secret::Secret;

use super::verdict::Verdict;
use crate::{
    channel::{credential::AuthScheme, validation::Call},
    cli::{exit::CliError, outbound},
    config::Config,
    node::outbound_proxies,
    proxy::base_url::BaseUrl,
    upstream::{Clients, Profile},
    validation::ask::{Question, ask},
};

/// A provider to be asked.
pub(super) struct Probe {
    clients: Clients,
    upstream: BaseUrl,
    call: Call,
    time: Duration,
}

impl Probe {
    /// Will make `call` at `upstream`, each within `time`.
    ///
    /// # Errors
    /// When the URL, the outbound proxy or the TLS settings cannot be used.
    pub(super) fn new(upstream: &str, call: Call, time: Duration, config: &Config) -> Result<Self, CliError> {
        let proxies = outbound_proxies(config).map_err(|error| CliError::usage(format!("{error:#}")))?;
        let upstream = BaseUrl::parse(upstream, |https, host, port| {
            let profile = Profile {
                connect_timeout: time,
                proxy: proxies.proxy_for(https, host, port).cloned(),
                allow_link_local: config.allow_link_local_upstreams,
                ..Profile::default()
            };
            Ok(profile.into())
        })
        .map_err(|reason| CliError::usage(format!("--upstream {upstream:?} cannot be used: {reason}")))?;
        Ok(Self { clients: outbound::clients(Some(config))?, upstream, call, time })
    }

    /// What the provider says of `key`.
    pub(super) async fn ask(&self, key: &Secret) -> Verdict {
        let Self { clients, upstream, call, time } = self;
        let question = Question { upstream, call, auth_scheme: AuthScheme::Auto, rules: None, time: *time };
        let (outcome, status) = ask(clients, question, key).await;
        Verdict::from_outcome(outcome, status)
    }
}
