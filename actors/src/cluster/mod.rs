//! A node among others: who leads, what followers send up, what the leader tells, what all know of keys.
//!
//! ```text
//! follower                                                    leader
//!   Committer ─ one shipment under way ─▶ uplink ─▶ Intake ─ commit with its mark ─▶ database
//!       ◀──────────── reply (bus), or the mark in the database ────┘
//!   Changes  ◀── change, version (bus; versions are compared every few seconds) ──── management write
//!   GroupActor ◀────────────────── what became of a key (bus) ──────────────────────▶ GroupActor, on every node
//! ```
//!
//! A node alone has none of this.

pub(crate) mod changes;
mod intake;
pub(crate) mod knowledge;
mod team;
mod view;

pub use self::view::{ClusterView, UplinkView};
pub(crate) use self::{
    intake::Intake,
    team::{REPLIES, Team},
};
