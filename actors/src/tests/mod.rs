//! The actors over a real database.

mod cluster;
mod commands;
pub(crate) mod fixture;
mod guard;
mod orders;
mod outcomes;
mod panics;
mod policies;
mod replay;
mod resources;
mod rows;

pub(crate) use self::fixture::log_row;
