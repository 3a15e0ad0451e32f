//! The words of GPT-Load and their storage: ids, states, settings declared once, groups, stores, encryption at rest.
//!
//! Nothing here knows of actors, of Redis or of HTTP.

pub mod access;
pub mod audit;
pub mod channel;
pub mod crypto;
pub mod group;
pub mod ids;
pub mod key;
pub mod key_text;
pub mod log;
pub mod policy;
pub mod redact;
pub mod resource;
pub mod secret;
pub mod settings;
pub mod store;
pub mod takeover;
pub mod task;
pub mod time;
pub mod validate;
pub mod watermark;
