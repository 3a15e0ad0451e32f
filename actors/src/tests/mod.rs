//! The actors over a real database.

mod commands;
mod fixture;
mod guard;
mod orders;
mod outcomes;
mod panics;
mod policies;
mod resources;
mod rows;

pub(crate) use self::fixture::log_row;
