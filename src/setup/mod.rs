//! First set-ups: what a node does so that it is useful with no, or next to no, configuration.

pub mod first_start;
pub mod greeting;
pub mod keys_file;
pub mod management_key;
pub mod one_file;
