//! One suite for everything that nodes share, in memory and over Redis, and what only Redis can do: go and come back.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bus;
mod counters;
mod lease;
mod members;
mod outages;
mod place;
mod places;
mod redis_server;
mod uplink;
mod versions;

/// Runs a test in memory and over Redis.
macro_rules! everywhere {
    ($($(#[$attribute:meta])* $test:ident),* $(,)?) => {
        mod in_memory {
            $($(#[$attribute])* #[tokio::test] async fn $test() { super::$test(crate::place::Place::memory()).await; })*
        }
        mod over_redis {
            $($(#[$attribute])* #[tokio::test] async fn $test() { super::$test(crate::place::Place::redis()).await; })*
        }
    };
}
pub(crate) use everywhere;
