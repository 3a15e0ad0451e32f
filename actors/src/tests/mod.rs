//! The actors over a real database.

mod commands;
pub(crate) mod fixture;
mod outcomes;
mod panics;
mod rows;

pub(crate) use self::fixture::log_row;
