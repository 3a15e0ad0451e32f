//! `gpt-load rotate-data-key` and `gpt-load migrate-keys`.

mod migrate;
mod rotate;

pub(super) use self::{migrate::run as migrate, rotate::run as rotate};
