//! Which node a command talks to, and the management key to it.

use std::{fs, io, net::IpAddr, path::Path};

use gpt_load_schema::secret::Secret;
use url::{Host, Url};

use super::{args::NodeArgs, exit::CliError};
use crate::config::{Config, ConfigErrors, process_environment};

/// File in `DATA_DIR` that holds the generated management key.
const KEY_FILE: &str = "auth_key";

/// A node and the key to it.
#[derive(Debug)]
pub(super) struct Access {
    /// Base URL without trailing slashes.
    pub url: String,
    /// Management key; `None` when none was found.
    pub key: Option<Secret>,
    /// The configuration, when it was needed and could be read.
    pub config: Option<Config>,
}

impl Access {
    /// Works out node and key; the configuration of the present folder fills what `args` leave open.
    ///
    /// # Errors
    /// When the configuration is needed and wrong, or the key file cannot be read.
    pub(super) fn find(args: &NodeArgs) -> Result<Self, CliError> {
        let config = Config::load(Path::new("."), process_environment()).map(|loaded| loaded.config);
        Self::from_parts(args, config, std::env::var("AUTH_KEY").ok())
    }

    fn from_parts(
        args: &NodeArgs,
        config: Result<Config, ConfigErrors>,
        environment: Option<String>,
    ) -> Result<Self, CliError> {
        let (config, problem) = match config {
            Ok(config) => (Some(config), None),
            Err(errors) => (None, Some(errors)),
        };
        let url = match (&args.url, &config, problem) {
            (Some(url), ..) => url.trim().trim_end_matches('/').to_owned(),
            (None, Some(config), _) => default_url(config),
            (None, None, problem) => return Err(unusable(problem.as_ref())),
        };
        let key = match &args.auth_key_file {
            Some(file) => Some(read_key(file).map_err(|error| {
                CliError::usage(format!("--auth-key-file {} cannot be read: {error}", file.display()))
            })?),
            None => {
                let environment = environment.filter(|text| !text.trim().is_empty()).map(Secret::from);
                let own = args.url.is_none() || is_own(&url);
                environment.or_else(|| config.as_ref().and_then(|config| configured_key(config, own)))
            }
        };
        Ok(Self { url, key, config })
    }
}

fn unusable(problem: Option<&ConfigErrors>) -> CliError {
    let message = problem.map_or_else(|| "the configuration cannot be read".to_owned(), ToString::to_string);
    CliError::usage(message).advise("Correct it, or name the node with --url.")
}

/// The generated key belongs to the node on this machine and is not shown to others.
fn configured_key(config: &Config, own: bool) -> Option<Secret> {
    let generated = || read_key(&config.data_dir.join(KEY_FILE)).ok().filter(|_| own);
    config.auth_key.clone().or_else(generated)
}

/// Whether `url` leads to this machine whatever the configuration.
fn is_own(url: &str) -> bool {
    match Url::parse(url).as_ref().map(Url::host) {
        Ok(Some(Host::Domain(name))) => name == "localhost",
        Ok(Some(Host::Ipv4(address))) => address.is_loopback(),
        Ok(Some(Host::Ipv6(address))) => address.is_loopback(),
        Ok(None) | Err(_) => false,
    }
}

fn read_key(path: &Path) -> io::Result<Secret> {
    let text = zeroize::Zeroizing::new(fs::read_to_string(path)?);
    match text.trim() {
        "" => Err(io::Error::new(io::ErrorKind::InvalidData, "it is empty")),
        key => Ok(Secret::from(key)),
    }
}

/// Where a node of this configuration is reached from its own machine.
fn default_url(config: &Config) -> String {
    let scheme = if config.tls_cert_file.is_some() { "https" } else { "http" };
    let base_path = config.base_path.trim_end_matches('/');
    format!("{scheme}://{}:{}{base_path}", reachable(&config.host), config.port)
}

/// An address that reaches a listener on `host`: the wildcard addresses are reached over loopback.
fn reachable(host: &str) -> String {
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) if address.is_unspecified() => "127.0.0.1".to_owned(),
        Ok(IpAddr::V6(address)) if address.is_unspecified() => "[::1]".to_owned(),
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ if host.is_empty() => "127.0.0.1".to_owned(),
        _ => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;

    fn config(folder: &Path, variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        let data_dir = ("DATA_DIR".to_owned(), folder.display().to_string());
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load(folder, variables.chain([data_dir])).map(|loaded| loaded.config)
    }

    #[test]
    fn a_wildcard_address_is_reached_over_loopback() {
        for (host, expected) in [
            ("0.0.0.0", "127.0.0.1"),
            ("::", "[::1]"),
            ("[::]", "[::1]"),
            ("fd00::1", "[fd00::1]"),
            ("10.0.0.7", "10.0.0.7"),
            ("gateway.example", "gateway.example"),
            ("", "127.0.0.1"),
        ] {
            assert_eq!(reachable(host), expected);
        }
    }

    #[test]
    fn the_configuration_names_the_node() {
        let folder = tempfile::tempdir().unwrap();
        let find =
            |variables| Access::from_parts(&NodeArgs::default(), config(folder.path(), variables), None).unwrap();
        assert_eq!(find(&[]).url, "http://127.0.0.1:3001");
        assert_eq!(find(&[("HOST", "::"), ("PORT", "80"), ("BASE_PATH", "/llm")]).url, "http://[::1]:80/llm");
    }

    #[test]
    fn the_key_is_looked_for_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let find = |args: &NodeArgs, variables, environment: Option<&str>| {
            let access = Access::from_parts(args, config(folder.path(), variables), environment.map(str::to_owned));
            access.unwrap().key.map(|key| key.expose().to_owned())
        };
        let args = NodeArgs::default();
        assert_eq!(find(&args, &[], None), None);
        fs::write(folder.path().join("auth_key"), "sk-generated\n").unwrap();
        assert_eq!(find(&args, &[], None).unwrap(), "sk-generated");
        let configured: &[(&str, &str)] = &[("AUTH_KEY", "sk-configured")];
        assert_eq!(find(&args, configured, None).unwrap(), "sk-configured");
        assert_eq!(find(&args, configured, Some("sk-environment")).unwrap(), "sk-environment");
        let file = folder.path().join("other");
        fs::write(&file, "sk-file").unwrap();
        let args = NodeArgs { url: None, auth_key_file: Some(file) };
        assert_eq!(find(&args, configured, Some("sk-environment")).unwrap(), "sk-file");
    }

    #[test]
    fn the_generated_key_stays_on_this_machine() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("auth_key"), "sk-generated").unwrap();
        for (url, found) in [
            ("http://localhost:3001", true),
            ("http://127.0.0.1:3001/llm", true),
            ("http://[::1]:3001", true),
            ("https://gateway.example", false),
            ("http://10.0.0.7:3001", false),
        ] {
            let args = NodeArgs { url: Some(url.to_owned()), auth_key_file: None };
            let access = Access::from_parts(&args, config(folder.path(), &[]), None).unwrap();
            assert_eq!(access.key.is_some(), found, "{url}");
        }
    }

    #[test]
    fn a_broken_configuration_matters_only_when_it_is_needed() {
        let folder = tempfile::tempdir().unwrap();
        let broken = || config(folder.path(), &[("PORT", "many")]);
        let error = Access::from_parts(&NodeArgs::default(), broken(), None).unwrap_err();
        assert_eq!(error.exit, Exit::Usage);
        assert!(error.message.contains("PORT"), "{error}");
        let args = NodeArgs { url: Some("http://h:1/".to_owned()), auth_key_file: None };
        assert_eq!(Access::from_parts(&args, broken(), None).unwrap().url, "http://h:1");
    }
}
