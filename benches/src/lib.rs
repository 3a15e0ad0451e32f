//! What the node is tried and measured against: a scriptable double of the AI providers, a load generator, the runner
//! that compares the node with nginx and with the provider alone, and a raw HTTP/1.1 client that sees what is on the
//! wire.

pub mod bench;
pub mod double;
mod limits;
pub mod load;
pub mod raw;

pub use limits::raise_open_files;
