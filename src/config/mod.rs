//! Configuration: environment over `.env` over `gpt-load.toml` over defaults.
//!
//! [`VARIABLES`] declares every static setting once; from it come [`Config`], its parsing and checks, and the generated
//! documents ([`docs`]). Dynamic settings are declared in [`gpt_load_schema::settings`]; here they get initial values.

mod check;
pub mod docs;
pub mod dsn;
mod error;
mod load;
mod parse;
mod relations;
mod reload;
mod settings_source;
mod source;
mod table;
mod values;
mod variable;
mod watch;

#[cfg(test)]
mod tests;

pub use error::{ConfigError, ConfigErrors};
pub use load::{Loaded, process_environment};
pub use parse::{JournalFsync, LogFormat};
pub use reload::{Change, Reloader, SharedConfig};
pub use settings_source::ConfiguredSettings;
pub use source::{ENV_FILE, TOML_FILE};
pub use table::{Config, VARIABLES, variable};
pub use values::{Effective, effective_json, effective_text};
pub use variable::{Secrecy, Section, Unit, Variable};
pub use watch::{Watch, watch};
