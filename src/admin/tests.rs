//! The routes against a real store and running actors.

mod auth;
mod groups;
mod health;
mod hostile;
mod keys;
mod legacy;
mod policies;
mod settings;
mod support;
mod validation;
