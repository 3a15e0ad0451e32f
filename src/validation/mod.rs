//! The calls that prove keys: `ask` makes one, [`ThreadedProber`] makes those of the node's validations, on threads of
//! its own and over connections of its own, so that no client's request waits for them.

pub mod ask;
mod prober;

pub use self::prober::ThreadedProber;
