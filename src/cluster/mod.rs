//! The node among others: how it joins them, and how nodes recognise what one of them forwards.

mod duties;
mod join;
mod seal;

pub use self::{
    duties::Duties,
    join::join,
    seal::{Forwarded, SEAL, Seal},
};
