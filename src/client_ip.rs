//! Who the client is, when trusted reverse proxies stand in between.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::{HttpRequest, http::header::HeaderMap};
use ipnet::IpNet;

/// The client's address; a connection without one, as only tests have, counts as `0.0.0.0`.
pub fn client_ip(request: &HttpRequest, trusted: &[IpNet]) -> IpAddr {
    let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    behind_proxies(peer, request.headers(), trusted)
}

/// The peer, or, when the peer is trusted, the right-most address in `X-Forwarded-For` that is not.
///
/// Reading from the right means that what a client writes into the header itself is never believed; a hop that is no
/// address ends the search.
fn behind_proxies(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |ip: &IpAddr| {
        let ip = ip.to_canonical();
        trusted.iter().any(|net| net.contains(&ip))
    };
    let peer = peer.to_canonical();
    if trusted.is_empty() || !is_trusted(&peer) {
        return peer;
    }
    let mut client = peer;
    let values: Vec<&str> = headers.get_all("x-forwarded-for").filter_map(|value| value.to_str().ok()).collect();
    for hop in values.iter().rev().flat_map(|value| value.rsplit(',')) {
        let Ok(ip) = hop.trim().parse::<IpAddr>() else { break };
        client = ip.to_canonical();
        if !is_trusted(&client) {
            break;
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn forwarded_addresses_count_only_from_trusted_peers() {
        let table: [(&str, &[&str], &str); 11] = [
            ("9.9.9.9", &[], "9.9.9.9"),
            ("9.9.9.9", &["1.2.3.4"], "9.9.9.9"),
            ("10.0.0.1", &["1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", &["6.6.6.6, 1.2.3.4, 10.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", &["6.6.6.6", "1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", &["10.1.1.1"], "10.1.1.1"),
            ("10.0.0.1", &["1.2.3.4, nonsense"], "10.0.0.1"),
            ("10.0.0.1", &[""], "10.0.0.1"),
            ("::ffff:10.0.0.1", &["2001:db8::1"], "2001:db8::1"),
            ("::ffff:9.9.9.9", &["1.2.3.4"], "9.9.9.9"),
            ("::1", &["1.2.3.4, ::ffff:10.1.1.1"], "1.2.3.4"),
        ];
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        for (peer, forwarded, client) in table {
            let request = TestRequest::default().peer_addr((peer.parse::<IpAddr>().unwrap(), 1).into());
            let request =
                forwarded.iter().fold(request, |request, hops| request.append_header(("X-Forwarded-For", *hops)));
            let found = client_ip(&request.to_http_request(), &trusted);
            assert_eq!(found.to_string(), client, "{peer} {forwarded:?}");
        }
    }
}
