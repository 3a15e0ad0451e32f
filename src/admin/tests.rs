//! The routes against a real store and running actors.

mod audit;
mod auth;
mod copy;
mod dashboard;
mod group_stats;
mod groups;
mod health;
mod hostile;
mod integration;
mod key_detail;
mod key_notes;
mod key_tasks;
mod keys;
mod legacy;
mod logs;
mod openapi;
mod policies;
mod pool;
mod roles;
mod settings;
mod sub_groups;
mod support;
mod tokens;
mod validation;
