//! Databases of older GPT-Load programs, understood: what their rows mean here.
//!
//! Pure, apart from [`source::Source`], which hands rows over. What is written where, and in which order, is the store's
//! business (`store/takeover`).

pub(crate) mod cipher;
pub(crate) mod groups;
pub(crate) mod keys;
pub(crate) mod logs;
mod report;
pub(crate) mod rows;
pub(crate) mod settings;
pub(crate) mod source;
mod times;

pub use report::{HoursReport, KeysReport, LogsReport, Report};
pub use times::TimesRead;
