//! From text to the types of the fields.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use gpt_load_schema::secret::Secret;
use ipnet::IpNet;
use tracing::level_filters::LevelFilter;

use super::variable::{Unit, Variable};

/// A type that a variable can have.
pub(super) trait FromText: Sized {
    /// Reads `text`; `Err` says what the value must be, as the end of a sentence that begins with its name.
    fn from_text(text: &str, variable: &Variable) -> Result<Self, String>;
}

fn number<N: TryFrom<u64>>(text: &str, variable: &Variable) -> Result<N, String> {
    let parsed = match variable.unit {
        Unit::Bytes => bytes(text),
        Unit::None | Unit::Seconds => text.parse().ok(),
    };
    let in_range = parsed.filter(|number| (variable.min..=variable.max).contains(number));
    in_range.and_then(|number| N::try_from(number).ok()).ok_or_else(|| number_rule(variable))
}

/// What a number must be.
fn number_rule(variable: &Variable) -> String {
    let what = match variable.unit {
        Unit::None => "a whole number",
        Unit::Seconds => "a whole number of seconds",
        Unit::Bytes => "a number of bytes or a size such as 16MiB",
    };
    match (variable.min, variable.max) {
        (0, u64::MAX) => format!("must be {what}"),
        (min, u64::MAX) => format!("must be {what}, {min} or more"),
        (min, max) => format!("must be {what} from {min} to {max}"),
    }
}

/// Plain bytes, or a number with `KiB`, `MiB`, `GiB` (powers of 1024), `K`, `M`, `G` (the same) or `KB`, `MB`, `GB`
/// (powers of 1000), in any case.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// Parts between commas, trimmed; empty ones are dropped.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl FromText for $number {
            fn from_text(text: &str, variable: &Variable) -> Result<Self, String> {
                number(text, variable)
            }
        }
    )*};
}

numbers!(u16, u32, u64, usize);

impl FromText for Duration {
    fn from_text(text: &str, variable: &Variable) -> Result<Self, String> {
        number(text, variable).map(Self::from_secs)
    }
}

impl FromText for bool {
    fn from_text(text: &str, _: &Variable) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err("must be true or false".to_owned()),
        }
    }
}

impl FromText for String {
    fn from_text(text: &str, _: &Variable) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl FromText for Secret {
    fn from_text(text: &str, _: &Variable) -> Result<Self, String> {
        Ok(Self::new(text))
    }
}

impl FromText for PathBuf {
    fn from_text(text: &str, _: &Variable) -> Result<Self, String> {
        Ok(text.into())
    }
}

impl<T: FromText> FromText for Option<T> {
    fn from_text(text: &str, variable: &Variable) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::from_text(text, variable).map(Some) }
    }
}

impl FromText for Vec<String> {
    fn from_text(text: &str, _: &Variable) -> Result<Self, String> {
        Ok(parts(text).map(str::to_owned).collect())
    }
}

impl FromText for Vec<IpNet> {
    fn from_text(text: &str, _: &Variable) -> Result<Self, String> {
        let network = |part: &str| part.parse().or_else(|_| part.parse::<IpAddr>().map(IpNet::from));
        parts(text)
            .map(|part| network(part).map_err(|_| "must be addresses or networks such as 10.0.0.0/8".to_owned()))
            .collect()
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people; coloured on a terminal.
    Text,
    /// One JSON object per line.
    Json,
}

/// When the journal reaches the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalFsync {
    /// When the operating system decides.
    Never,
    /// Every second.
    Interval,
    /// Before each record counts as written.
    Always,
}

impl FromText for LogFormat {
    fn from_text(text: &str, variable: &Variable) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(one_of(variable)),
        }
    }
}

impl FromText for JournalFsync {
    fn from_text(text: &str, variable: &Variable) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "never" => Ok(Self::Never),
            "interval" => Ok(Self::Interval),
            "always" => Ok(Self::Always),
            _ => Err(one_of(variable)),
        }
    }
}

impl FromText for LevelFilter {
    /// Also the words of older generations: `warning`, `fatal`, `panic`.
    fn from_text(text: &str, variable: &Variable) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "trace" => Ok(Self::TRACE),
            "debug" => Ok(Self::DEBUG),
            "info" => Ok(Self::INFO),
            "warn" | "warning" => Ok(Self::WARN),
            "error" | "fatal" | "panic" => Ok(Self::ERROR),
            "off" => Ok(Self::OFF),
            _ => Err(one_of(variable)),
        }
    }
}

fn one_of(variable: &Variable) -> String {
    format!("must be one of {}", variable.values.join(", "))
}
