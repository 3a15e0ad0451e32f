//! Policies at work. Pure: no I/O, and time is a parameter.
//!
//! [`compile`] turns a stored policy into something that decides quickly; [`evaluate`] says what a group's retry and
//! degradation policies make of a failed attempt, [`models`] which models a group allows, [`limits`] and [`limiter`] how
//! many requests. The data path and the dry run of the management API ask the same functions.

pub mod compile;
pub mod conditions;
pub mod evaluate;
pub mod limiter;
pub mod limits;
pub mod models;
#[cfg(test)]
mod tests;

pub use self::{
    compile::{Compiled, Policies},
    conditions::Facts,
    evaluate::{Decision, Step, decide},
    limits::{Limit, Subject},
    models::{Allowance, bare_model},
};
