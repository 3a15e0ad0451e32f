//! Leadership, bus and shared counters; in memory, and over Redis behind the same traits.

pub mod lease;
pub mod window;

use serde::{Deserialize, Serialize};

/// A term of leadership; only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub i64);
