//! Rate limits: what they count together, and whom they refuse.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use gpt_load_schema::{
    ids::{GroupId, KeyId, PolicyId},
    policy::{LimitScope, Policy, RateLimit},
};

/// A rate limit of a group.
#[derive(Clone, Debug)]
pub struct Limit {
    /// Its policy.
    pub id: PolicyId,
    /// Its policy, as a person should read it.
    pub label: Arc<str>,
    /// What is counted, and how much of it is allowed.
    pub rule: RateLimit,
}

impl Limit {
    pub(super) fn new(policy: &Policy, rule: RateLimit) -> Self {
        Self { id: policy.id, label: format!("policy {}", policy.definition.name).into(), rule }
    }

    /// Whether it counts calls with a key, rather than requests of clients.
    pub fn is_of_keys(&self) -> bool {
        self.rule.scope == LimitScope::Key
    }

    /// What a client's request counts as; `None` for a limit of keys.
    pub fn subject(&self, client: &Client) -> Option<Subject> {
        match self.rule.scope {
            LimitScope::Group => Some(Subject::Group),
            LimitScope::ProxyKey => Some(Subject::ProxyKey(client.proxy_key)),
            LimitScope::Ip => Some(Subject::Ip(network(client.ip))),
            LimitScope::Key => None,
        }
    }

    /// The counter of `subject` in `group`.
    pub fn counter(&self, group: GroupId, subject: Subject) -> Counter {
        Counter { policy: self.id, group, subject }
    }
}

/// Who sent a request.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// Its address.
    pub ip: IpAddr,
    /// Hash of its proxy key, when that is one; requests without one count together.
    pub proxy_key: Option<[u8; 32]>,
}

/// One counter: a policy counts apart in each group that it is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Counter {
    /// The policy.
    pub policy: PolicyId,
    /// The group.
    pub group: GroupId,
    /// What is counted together.
    pub subject: Subject,
}

/// What is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Everything.
    Group,
    /// Calls with one key.
    Key(KeyId),
    /// Requests with one proxy key.
    ProxyKey(Option<[u8; 32]>),
    /// Requests from one network.
    Ip(IpAddr),
}

/// A limit is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// The policy, as a person should read it.
    pub label: Arc<str>,
    /// When the next request fits.
    pub wait: Duration,
}

/// The address; of IPv6 the /64, of which any one client has all addresses.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_one_client_has_count_together() {
        for (ip, expected) in [
            ("1.2.3.4", "1.2.3.4"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("::1", "::"),
        ] {
            assert_eq!(network(ip.parse().unwrap()).to_string(), expected);
        }
    }
}
