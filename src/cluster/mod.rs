//! The node among others: how it joins them, and how nodes recognise what one of them forwards.

mod join;
mod seal;

pub use self::{
    join::{join, report},
    seal::{Forwarded, SEAL, Seal},
};
