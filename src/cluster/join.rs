//! Joining the others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use anyhow::Context;
use gpt_load_cluster::{
    Cluster, NodeIdentity,
    over_redis::{self, RedisDsn, RedisOptions},
};

use crate::config::Config;

/// The cluster of this node, which listens at `listening`: that of `REDIS_DSN`, else one of its own.
///
/// # Errors
///
/// A sentence for people: why Redis cannot be used, or that the name is taken.
pub async fn join(config: &Config, listening: SocketAddr) -> anyhow::Result<Cluster> {
    let mut node = NodeIdentity::new(&config.node_name);
    node.version = env!("CARGO_PKG_VERSION").to_owned();
    node.is_tls = config.tls_cert_file.is_some();
    let Some(dsn) = &config.redis_dsn else { return Ok(Cluster::local(node)) };
    let dsn: RedisDsn = dsn.expose().parse().context("REDIS_DSN")?;
    node.is_slave = config.is_slave;
    node.address = match config.node_address.is_empty() {
        false => config.node_address.clone(),
        true => SocketAddr::new(own_address(&dsn, listening.ip()), listening.port()).to_string(),
    };
    let extra_ca = match &config.extra_ca_file {
        Some(path) => {
            Some(std::fs::read(path).with_context(|| format!("EXTRA_CA_FILE: cannot read {}", path.display()))?)
        }
        None => None,
    };
    let cluster = config.cluster_name.clone();
    let options = RedisOptions { dsn, cluster, extra_ca, patience: over_redis::PATIENCE };
    let place = options.dsn.to_string();
    let cluster = over_redis::join(&options, node).await;
    cluster.with_context(|| format!("REDIS_DSN: the cluster at {place} cannot be joined"))
}

/// Where others reach a node that listens at `listening`: from every address, at the one that leads to Redis.
fn own_address(dsn: &RedisDsn, listening: IpAddr) -> IpAddr {
    if !listening.is_unspecified() {
        return listening;
    }
    let towards = |from: IpAddr, host: &str, port| {
        // Nothing is sent: the system only says by which address it would.
        let socket = UdpSocket::bind((from, 0)).ok()?;
        socket.connect((host, port)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    let found = dsn.host().and_then(|(host, port)| {
        let from = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        from.into_iter().find_map(|from| towards(from, host, port))
    });
    found.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_reached_where_it_listens_or_towards_redis() {
        let of =
            |dsn: &str, listening: &str| own_address(&dsn.parse().unwrap(), listening.parse().unwrap()).to_string();
        assert_eq!(of("redis://192.0.2.1", "10.0.0.7"), "10.0.0.7");
        assert_eq!(of("redis://127.0.0.1", "0.0.0.0"), "127.0.0.1");
        assert_eq!(of("unix:///run/redis.sock", "0.0.0.0"), "127.0.0.1");
    }
}
