//! Provider formats: pure functions over bytes and headers; no I/O, no clock.
//!
//! The data path asks here how a request is shaped for its provider ([`path`], [`query`], [`credential`], [`headers`],
//! [`inspect`], [`splice`], [`model`], [`stream`]), what an answer means ([`classify`], [`words`]), what it cost ([`tap`]),
//! what belongs to the key's account ([`resources`]), and how
//! to answer in the provider's own words ([`error`], [`models`]). [`validation`] is the call that proves a key.

pub mod asked;
pub mod classify;
pub mod credential;
pub mod decode;
pub mod error;
pub mod headers;
pub mod inspect;
mod json;
pub mod limits;
pub mod model;
pub mod models;
pub mod path;
pub mod query;
pub mod resources;
pub mod splice;
pub mod sse;
pub mod sticky;
pub mod stream;
pub mod tap;
pub mod validation;
mod wait;
pub mod words;
