//! Requests for what a provider stores go to the key whose account it is in.

use std::{sync::Arc, time::Duration};

use gpt_load_actors::{
    pool::{KeyLease, Withheld},
    runtime::Runtime,
};
use gpt_load_schema::{
    ids::{GroupId, KeyId},
    log::OutcomeClass,
    resource::{Resource, ResourceOwner},
    time::Timestamp,
};
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    body::Body,
    error::ProxyError,
    exchange::Exchange,
    request::ClientRequest,
    table::{Route, Serving},
};
use crate::channel::resources::{Named, Reading, named};

/// How long a request waits for the database to say whose a resource is.
const LOOKUP_TIME: Duration = Duration::from_secs(2);
/// In the evidence of a request whose resources could not be looked up.
const LOOKUP_FAILED: &str =
    "the request names stored resources, and the database could not say which key they belong to; any key was taken";

/// The one key that reaches what a request names.
pub struct Owner {
    route: Arc<Route>,
    key: KeyId,
    id: Box<str>,
    /// Until when the resting key is waited for, once it rested.
    patience: Option<Instant>,
}

/// Prepares the reading of the answer, and finds the key that the request needs; `None` when any will do.
///
/// A database that cannot be asked stops no request: it goes to any key, and a failure then tells so in its log row.
pub async fn owner(
    runtime: &Runtime,
    entrance: &Arc<Route>,
    client: &ClientRequest<'_>,
    exchange: &mut Exchange,
) -> Option<Owner> {
    let channel = entrance.group.definition.channel;
    exchange.reading = Reading::of(channel, client.method.as_str(), client.path);
    let body = match &client.body {
        Body::Buffered(body) => body.as_ref(),
        // Of a body too large to keep the beginning is read, as far as it is at hand.
        Body::Streaming(body) => body.prefix(),
    };
    let ids = named(channel, client.path, Some(body));
    if ids.is_empty() {
        return None;
    }
    let places = places(entrance);
    let groups: Vec<GroupId> = places.iter().map(|route| route.group.id).collect();
    let now = Timestamp::now();
    let asked = timeout(LOOKUP_TIME, runtime.resource_owners(&groups, &ids, now)).await;
    let owners = match asked.map_err(|_| "it did not answer in time".to_owned()) {
        Ok(Ok(owners)) => owners,
        Ok(Err(error)) => return not_found_out(entrance, exchange, &error.to_string()),
        Err(error) => return not_found_out(entrance, exchange, &error),
    };
    let owners = common(&ids, &owners).into_iter().filter_map(|owner| {
        let route = places.iter().find(|route| route.group.id == owner.group_id)?;
        Some(Owner { route: Arc::clone(route), key: owner.key_id, id: owner.id.clone(), patience: None })
    });
    let mut owners: Vec<Owner> = owners.collect();
    // Members of an aggregate that share an account may all know the same resource.
    let ready = || owners.iter().position(|owner| owner.route.pool.is_ready(owner.key, now));
    let index = if owners.len() > 1 { ready().unwrap_or(0) } else { 0 };
    (index < owners.len()).then(|| owners.swap_remove(index))
}

fn not_found_out(entrance: &Route, exchange: &mut Exchange, error: &str) -> Option<Owner> {
    tracing::warn!(group = entrance.group.definition.name, error, "{LOOKUP_FAILED}");
    exchange.note = Some(LOOKUP_FAILED);
    None
}

/// The groups that may hold what the request names.
fn places(entrance: &Arc<Route>) -> Vec<&Arc<Route>> {
    match &entrance.serving {
        Serving::Aggregate(aggregate) => aggregate.members.iter().chain(&aggregate.idle).collect(),
        _ => vec![entrance],
    }
}

/// The owners that all known ids share, as they own the first of these; none when no id is known.
///
/// Ids without a common owner may still belong to one account that has several keys, which the provider alone knows:
/// it is asked with an owner of the ids named first.
fn common<'a>(ids: &[Box<str>], owners: &'a [ResourceOwner]) -> Vec<&'a ResourceOwner> {
    let mut shared: Vec<&ResourceOwner> = Vec::new();
    for id in ids {
        let theirs: Vec<_> = owners.iter().filter(|owner| owner.id == *id).collect();
        let is_theirs = |owner: &&ResourceOwner| {
            theirs.iter().any(|their| (their.group_id, their.key_id) == (owner.group_id, owner.key_id))
        };
        if shared.is_empty() {
            shared = theirs;
        } else if shared.iter().any(&is_theirs) {
            shared.retain(is_theirs);
        }
    }
    shared
}

impl Owner {
    /// The group that serves.
    pub fn route(&self) -> Arc<Route> {
        Arc::clone(&self.route)
    }

    /// Checks the key out for a request that asks for `model`; waits for it at most `max_wait_ms` while it rests, and not beyond `deadline`.
    ///
    /// # Errors
    /// [`ProxyError::ResourceKeyGone`], [`ProxyError::ResourceKeyUnavailable`] and [`ProxyError::ResourceKeyResting`].
    pub async fn checkout(&mut self, model: &str, max_wait_ms: u64, deadline: Instant) -> Result<KeyLease, ProxyError> {
        loop {
            let now = Timestamp::now();
            let withheld = match self.route.pool.checkout_key(self.key, model, now) {
                Ok(lease) => {
                    self.patience = None;
                    return Ok(lease);
                }
                Err(withheld) => withheld,
            };
            let id = || self.id.to_string();
            match withheld {
                Withheld::Gone => return Err(ProxyError::ResourceKeyGone(id())),
                Withheld::Out { state, until } => {
                    let retry_after = until.map(|until| whole_seconds(until.since(now)));
                    return Err(ProxyError::ResourceKeyUnavailable { id: id(), state, retry_after });
                }
                Withheld::Resting(until) => {
                    let wait = until.since(now);
                    let wake = Instant::now() + wait;
                    let patience =
                        *self.patience.get_or_insert_with(|| Instant::now() + Duration::from_millis(max_wait_ms));
                    if wake > patience.min(deadline) {
                        let retry_after = whole_seconds(wait);
                        return Err(ProxyError::ResourceKeyResting { id: self.id.to_string(), retry_after });
                    }
                    sleep_until(wake).await;
                }
            }
        }
    }
}

/// Whether a failure of this class is the key's, so that asking it again is of no use.
pub const fn is_of_the_key(class: OutcomeClass) -> bool {
    matches!(
        class,
        OutcomeClass::QuotaExhausted
            | OutcomeClass::RateLimited
            | OutcomeClass::KeyInvalid
            | OutcomeClass::KeyForbidden
    )
}

/// Takes note of what belongs to the account of `key`, of the group that `route` leads to.
pub fn remember(runtime: &Runtime, route: &Route, key: KeyId, learnt: Vec<Named>) {
    for Named { kind, id } in learnt {
        let now = Timestamp::now();
        let days = u32::try_from(route.settings.resource_ttl_days).unwrap_or(u32::MAX);
        let expires_at = now + Duration::from_secs(24 * 60 * 60).saturating_mul(days);
        runtime.remember(Resource { group_id: route.group.id, id, key_id: key, kind, created_at: now, expires_at });
    }
}

fn whole_seconds(wait: Duration) -> Duration {
    Duration::from_secs(u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(group: i64, id: &str, key: i64) -> ResourceOwner {
        ResourceOwner { group_id: GroupId(group), id: id.into(), key_id: KeyId(key), expires_at: Timestamp(1) }
    }

    #[test]
    fn the_owner_of_all_that_is_known() {
        let owners = [
            owner(1, "a", 1),
            owner(1, "b", 1),
            owner(1, "c", 2),
            owner(2, "a", 9),
            owner(2, "c", 9),
            owner(2, "d", 8),
        ];
        let ids = |ids: &[&str]| ids.iter().map(|id| Box::from(*id)).collect::<Vec<Box<str>>>();
        for (named, expected) in [
            (&[][..], vec![]),
            (&["x"], vec![]),
            (&["a"], vec![(1, 1), (2, 9)]),
            (&["x", "a", "b"], vec![(1, 1)]),
            (&["a", "c"], vec![(2, 9)]),
            (&["b", "c"], vec![(1, 1)]),
            (&["a", "b", "d"], vec![(1, 1)]),
        ] {
            let ids = ids(named);
            let common: Vec<_> = common(&ids, &owners).iter().map(|owner| (owner.group_id.0, owner.key_id.0)).collect();
            assert_eq!(common, expected, "{named:?}");
        }
    }
}
