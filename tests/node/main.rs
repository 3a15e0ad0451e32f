//! The whole node in this process, against the provider double, seen by clients that hide nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod aggregates;
mod attempts;
mod bad_input;
mod cancellation;
mod connections;
mod crash;
mod crowd;
mod edges;
mod entrances;
mod fidelity;
mod guard;
mod http2;
mod integration;
mod management;
mod outbound;
mod panics;
mod prediction;
mod program;
mod secrets;
mod secrets_of_a_run;
mod set_ups;
mod support;
mod tap;
mod transport;
