//! What the data path shows of its groups at `/metrics`.

use gpt_load_schema::key::KeyState;

use super::{
    state::ProxyState,
    table::{Route, Serving, Standard},
};
use crate::{
    telemetry::metrics::{
        Page,
        declared::{
            CIRCUIT, CONSECUTIVE_FAULTS, GUARD_EPISODES, GUARD_FAILED, GUARD_HELD, IN_FLIGHT, IN_FLIGHT_LIMIT, KEYS,
            KEYS_RESTING,
        },
    },
    upstream::breaker::Circuit,
};

impl ProxyState {
    /// Shows requests in flight, and of every group what was counted, its keys, guard and upstreams. Looks at no key.
    pub fn show(&self, page: &mut Page) {
        page.count(&IN_FLIGHT, &[], self.concurrency.in_flight() as u64);
        page.count(&IN_FLIGHT_LIMIT, &[], self.concurrency.limit() as u64);
        let routes = self.table.load();
        let mut routes: Vec<&Route> = routes.iter().map(|route| &**route).collect();
        routes.sort_unstable_by_key(|route| name(route));
        for route in routes {
            route.metrics.show(name(route), page);
            match &route.serving {
                Serving::Aggregate(_) => {}
                Serving::Broken(_) => show_keys(route, page),
                Serving::Standard(standard) => {
                    show_keys(route, page);
                    show_upstreams(route, standard, page);
                }
            }
        }
    }
}

fn name(route: &Route) -> &str {
    &route.group.definition.name
}

fn show_keys(route: &Route, page: &mut Page) {
    let mut counts = route.pool.counts();
    for state in KeyState::ALL {
        page.number(&KEYS, &[name(route), state.as_str()], *counts.of_mut(state) as f64);
    }
    page.count(&KEYS_RESTING, &[name(route)], route.pool.resting());
    let guard = route.pool.guard();
    for (metric, count) in [
        (&GUARD_EPISODES, guard.len()),
        (&GUARD_FAILED, guard.iter().map(|episode| episode.failed).sum()),
        (&GUARD_HELD, guard.iter().map(|episode| episode.held).sum()),
    ] {
        page.count(metric, &[name(route)], count as u64);
    }
}

fn show_upstreams(route: &Route, standard: &Standard, page: &mut Page) {
    let states = standard.balancer.states();
    for (index, (upstream, state)) in standard.upstreams.iter().zip(states).enumerate() {
        // One that is named twice is one series: the first.
        if standard.upstreams[..index].iter().any(|earlier| earlier.url == upstream.url) {
            continue;
        }
        let now = match state.circuit {
            Circuit::Closed => "closed",
            Circuit::Open { .. } => "open",
            Circuit::Probing { .. } => "probing",
        };
        for word in ["closed", "open", "probing"] {
            page.count(&CIRCUIT, &[name(route), &upstream.url, word], u64::from(word == now));
        }
        page.count(&CONSECUTIVE_FAULTS, &[name(route), &upstream.url], state.consecutive_faults.into());
    }
}
