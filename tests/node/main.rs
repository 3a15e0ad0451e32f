//! The whole node in this process, against the provider double, seen by clients that hide nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod aggregates;
mod attempts;
mod bad_input;
mod broken_key;
mod budgets;
mod cancellation;
mod clients;
mod connections;
mod crash;
mod crowd;
mod databases;
mod edges;
mod egress_block;
mod entrances;
mod fidelity;
mod guard;
mod http2;
mod integration;
mod management;
mod outage;
mod outbound;
mod panics;
mod policies;
mod policy_aggregates;
mod policy_keys;
mod prediction;
mod program;
mod resources;
mod resting;
mod revoked;
mod secrets;
mod secrets_of_a_run;
mod set_ups;
mod support;
mod takeover;
mod tap;
mod tasks_crash;
mod tasks_keys;
mod transport;
mod validation;
