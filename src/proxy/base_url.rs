//! An upstream's base URL, taken apart once.

use std::sync::Arc;

use gpt_load_schema::channel::Channel;

use crate::{
    channel::path,
    upstream::{profile::Profile, send::Target},
};

/// A provider base URL and how to connect to it.
pub struct BaseUrl {
    /// The URL as a person wrote it, without trailing slashes; names the upstream in outcomes and logs.
    pub url: Arc<str>,
    /// Where awc connects.
    pub target: Target,
    /// Host without port, for the credential style.
    pub host: String,
    /// Path, percent-encoded, without trailing slashes; may be empty.
    base_path: String,
}

impl BaseUrl {
    /// Takes `text` apart; `profile` is asked with (https, host, port).
    ///
    /// # Errors
    ///
    /// A sentence for people when `text` is no `http` or `https` URL with a host, or carries credentials, or what
    /// `profile` says.
    pub fn parse(
        text: &str,
        profile: impl FnOnce(bool, &str, u16) -> Result<Arc<Profile>, String>,
    ) -> Result<Self, String> {
        let url = url::Url::parse(text.trim()).map_err(|error| format!("not a URL: {error}"))?;
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err("a base URL starts with http:// or https://".to_owned()),
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("the base URL names no host")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a base URL carries no user or password; keys belong into the group".to_owned());
        }
        let port = url.port_or_known_default().unwrap_or(if https { 443 } else { 80 });
        let authority = authority(&url, host);
        let base_path = base_path(&url);
        Ok(Self {
            url: format!("{}://{authority}{base_path}", url.scheme()).into(),
            target: Target { profile: profile(https, host, port)?, scheme_https: https, authority },
            host: host.to_owned(),
            base_path: base_path.to_owned(),
        })
    }

    /// How [`BaseUrl::url`] writes `text`; `None` when it is no URL with a host.
    pub fn canonical(text: &str) -> Option<String> {
        let url = url::Url::parse(text.trim()).ok()?;
        Some(format!("{}://{}{}", url.scheme(), authority(&url, url.host_str()?), base_path(&url)))
    }

    /// The path to ask for, from the client's.
    pub fn path(&self, channel: Channel, client_path: &str) -> String {
        path::join(channel, &self.base_path, client_path)
    }

    /// The whole URL of `path_and_query`, for the log.
    pub fn full_url(&self, path_and_query: &str) -> String {
        let origin = &self.url[..self.url.len() - self.base_path.len()];
        format!("{origin}{path_and_query}")
    }
}

fn authority(url: &url::Url, host: &str) -> String {
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn base_path(url: &url::Url) -> &str {
    url.path().trim_end_matches('/')
}
