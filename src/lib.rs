//! GPT-Load: a transparent gateway between applications and AI providers.
//!
//! `proxy` is the data path, `channel` knows the providers' formats, `upstream` makes the outbound calls, `policy` applies
//! people's rules, `validation` makes the calls that prove keys, `admin` serves the management API, `config` reads the
//! configuration, `ui` holds the web UI, `node` puts the parts together, `cli` is the command line.

pub mod admin;
pub mod channel;
pub mod cli;
pub mod client_ip;
pub mod cluster;
pub mod config;
pub mod node;
pub mod policy;
pub mod proxy;
pub mod server;
pub mod setup;
pub mod telemetry;
pub mod ui;
pub mod upstream;
pub mod validation;
