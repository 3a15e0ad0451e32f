//! The way through an HTTP or SOCKS proxy.

use std::net::SocketAddr;

use gpt_load_schema::secret::Secret;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_socks::tcp::Socks5Stream;
use tokio_socks::{IntoTargetAddr, TargetAddr};

use super::address::host_and_port;
use super::dial::DialError;
use super::proxy_url::ProxyUrl;
use super::wire::Wire;

/// The largest answer to a `CONNECT` that is accepted, in bytes.
const MAX_CONNECT_ANSWER: usize = 16 * 1024;

/// Where a SOCKS proxy shall connect.
pub(super) enum SocksTarget<'a> {
    /// A name that the proxy resolves.
    Name(&'a str, u16),
    Address(SocketAddr),
}

impl<'a> IntoTargetAddr<'a> for SocksTarget<'a> {
    fn into_target_addr(self) -> tokio_socks::Result<TargetAddr<'a>> {
        match self {
            Self::Name(name, port) => (name, port).into_target_addr(),
            Self::Address(address) => address.into_target_addr(),
        }
    }
}

/// Asks the SOCKS 5 proxy at the other end of `wire` for a connection.
pub(super) async fn socks5(wire: Wire, proxy: &ProxyUrl, target: SocksTarget<'_>) -> Result<Wire, DialError> {
    let Wire::Tcp(tcp) = wire else { return Err(DialError::proxy(proxy, "a SOCKS proxy is spoken to in plain TCP")) };
    let connected = match &proxy.credentials {
        Some(credentials) => {
            let password = credentials.password.expose();
            Socks5Stream::connect_with_password_and_socket(tcp, target, &credentials.name, password).await
        }
        None => Socks5Stream::connect_with_socket(tcp, target).await,
    };
    match connected {
        Ok(stream) => Ok(Wire::Tcp(stream.into_inner())),
        // The name of the user is the only part of the URL that this library echoes, and only in `Debug`.
        Err(error) => Err(DialError::proxy(proxy, &error.to_string())),
    }
}

/// Asks the HTTP proxy at the other end of `wire` for a tunnel (RFC 9110 §9.3.6).
pub(super) async fn connect(mut wire: Wire, proxy: &ProxyUrl, host: &str, port: u16) -> Result<Wire, DialError> {
    let target = host_and_port(host, port);
    let authorization =
        proxy.basic_authorization().map(|value| Secret::new(format!("Proxy-Authorization: {}\r\n", value.expose())));
    let authorization = authorization.as_ref().map_or("", Secret::expose);
    let request = Secret::new(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n"));
    let broken = |error: std::io::Error| DialError::proxy(proxy, &format!("the connection broke: {error}"));
    wire.write_all(request.expose().as_bytes()).await.map_err(broken)?;
    wire.flush().await.map_err(broken)?;

    let mut answer = Vec::with_capacity(256);
    loop {
        if wire.read_buf(&mut answer).await.map_err(broken)? == 0 {
            return Err(DialError::proxy(proxy, "it closed the connection instead of opening a tunnel"));
        }
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(&answer) {
            Ok(httparse::Status::Complete(length)) => {
                return match response.code {
                    Some(200..=299) if length == answer.len() => Ok(wire),
                    Some(200..=299) => Err(DialError::proxy(proxy, "it sent data before the tunnel was used")),
                    Some(407) => Err(DialError::proxy(proxy, "it asks for other credentials (407)")),
                    code => Err(DialError::proxy(
                        proxy,
                        &format!("it refused a tunnel to {target} with status {}", code.unwrap_or_default()),
                    )),
                };
            }
            Ok(httparse::Status::Partial) if answer.len() < MAX_CONNECT_ANSWER => {}
            _ => return Err(DialError::proxy(proxy, "its answer is not HTTP/1.1")),
        }
    }
}
