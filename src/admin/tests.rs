//! The routes against a real store and running actors.

mod auth;
mod groups;
mod health;
mod hostile;
mod key_detail;
mod keys;
mod legacy;
mod policies;
mod pool;
mod settings;
mod support;
mod validation;
