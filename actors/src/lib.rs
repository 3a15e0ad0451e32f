//! The key pool, its actors, and what carries their outcomes to the database.
//!
//! One outcome, from the data path to the database:
//!
//! ```text
//! KeyLease ─ settle ─▶ Slot (marked at once)
//!     └─▶ Inbox ─ one nudge per few ms ─▶ GroupActor ─ accept ─▶ Slot (published), Snapshot (rebuilt)
//!                                             └─▶ DeltaQueue ─▶ SyncActor ─ commit ─▶ database
//!                                Runtime::record ─▶ LogQueue ─────┘
//! ```
//!
//! Queues, slots and snapshots belong to no actor: an actor that panics loses nothing, and its successor goes on with them.

pub mod audit;
pub mod cluster;
pub mod commands;
mod deltas;
pub mod events;
mod group;
mod groups;
pub mod journal;
pub mod key_work;
pub mod pool;
mod replay;
mod resources;
mod respawn;
pub mod routing;
pub mod runtime;
mod sync;
pub mod tasks;
#[cfg(test)]
mod tests;
pub mod tokens;
pub mod validation;
