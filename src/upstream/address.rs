//! Addresses that outbound calls must not reach: link-local ones, where clouds serve credentials to whoever asks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether `address` is link-local or a cloud's metadata service, also when wrapped in IPv6.
///
/// Metadata services outside link-local ranges: AWS over IPv6 (`fd00:ec2::254`), Google over IPv6 (`fd20:ce::254`), Alibaba
/// (`100.100.100.200`), Oracle classic (`192.0.0.192`).
pub fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_link_local_v4(v4),
        IpAddr::V6(v6) => {
            let [a, b, c, d, e, f, g, h] = v6.segments();
            let embedded = Ipv4Addr::from((u32::from(g) << 16) | u32::from(h));
            // ::ffff:0:0/96 mapped, ::/96 compatible, 64:ff9b::/96 NAT64
            let wraps_v4 = matches!((a, b, c, d, e, f), (0, 0, 0, 0, 0, 0 | 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0));
            (wraps_v4 && is_link_local_v4(embedded))
                || a & 0xffc0 == 0xfe80
                || v6 == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
                || v6 == Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)
        }
    }
}

fn is_link_local_v4(address: Ipv4Addr) -> bool {
    address.is_link_local() || matches!(address.octets(), [100, 100, 100, 200] | [192, 0, 0, 192])
}

/// `host` without the brackets of an IPv6 literal.
pub(super) fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// `host:port` as it stands in a request line; IPv6 literals in brackets.
pub(super) fn host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_addresses_are_known_in_every_dress() {
        for (text, expected) in [
            ("169.254.169.254", true),
            ("169.254.0.1", true),
            ("169.253.255.255", false),
            ("100.100.100.200", true),
            ("192.0.0.192", true),
            ("127.0.0.1", false),
            ("10.0.0.1", false),
            ("fe80::1", true),
            ("febf::1", true),
            ("fec0::1", false),
            ("::ffff:169.254.169.254", true),
            ("::169.254.169.254", true),
            ("64:ff9b::169.254.169.254", true),
            ("::ffff:10.0.0.1", false),
            ("fd00:ec2::254", true),
            ("fd20:ce::254", true),
            ("::1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_link_local(text.parse().unwrap()), expected, "{text}");
        }
    }
}
