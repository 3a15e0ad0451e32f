//! How commands end.

use std::{fmt, process::ExitCode};

use serde_json::{Value, json};

/// How a command ended, as scripts see it. The numbers are documented in `gpt-load --help` and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All that was asked for is done.
    Success = 0,
    /// It could not be done.
    Failure = 1,
    /// Wrong arguments or configuration; nothing was tried.
    Usage = 2,
    /// The node did not answer.
    Unreachable = 3,
    /// The node refused the management key.
    Refused = 4,
    /// Some of it is done, some is not; the output says what.
    Partial = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CliError {
    /// Exit code.
    pub exit: Exit,
    /// What happened.
    pub message: String,
    /// What to do about it; empty when the message says it all.
    pub advice: String,
}

impl CliError {
    /// An error without advice.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), advice: String::new() }
    }

    /// Something that could not be done.
    pub fn failure(message: impl Into<String>) -> Self {
        Self::new(Exit::Failure, message)
    }

    /// Wrong arguments or configuration.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The same with what to do about it.
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        json!({"error": self.message, "advice": self.advice, "exit_code": self.exit as u8})
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        if self.advice.is_empty() { Ok(()) } else { write!(f, "\n  {}", self.advice) }
    }
}

impl std::error::Error for CliError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_the_documented_ones() {
        let all = [Exit::Success, Exit::Failure, Exit::Usage, Exit::Unreachable, Exit::Refused, Exit::Partial];
        assert_eq!(all.map(|exit| exit as u8), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn an_error_says_what_happened_and_what_to_do() {
        let error = CliError::failure("the file is empty").advise("put one key on each line");
        assert_eq!(error.to_string(), "error: the file is empty\n  put one key on each line");
        assert_eq!(
            error.to_json(),
            json!({"error": "the file is empty", "advice": "put one key on each line", "exit_code": 1})
        );
        assert_eq!(CliError::usage("no").to_string(), "error: no");
    }
}
