//! What a node tells of itself: log lines (here: where they go, how they look, which are written), [`metrics`] and [`traces`].

pub mod access;
mod lines;
pub mod metrics;
pub mod traces;

use std::{
    io::{self, IsTerminal},
    path::Path,
};

use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt,
};

use self::lines::LineWriter;
use crate::config::{Config, LogFormat};

/// Daily log files that are kept.
const FILES_KEPT: usize = 7;

/// Targets of this program; libraries never log below [`LIBRARIES`].
const OWN_TARGETS: [&str; 6] =
    ["gpt_load", "gpt_load_actors", "gpt_load_cluster", "gpt_load_schema", access::TARGET, "panic"];

/// Libraries print headers and bodies, and so secrets, below this level.
const LIBRARIES: LevelFilter = LevelFilter::INFO;

/// Why logging cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The folder or file of `LOG_FILE_PATH`.
    #[error("the log file {path} cannot be opened: {source}; check LOG_FILE_PATH and the rights of its folder")]
    File {
        /// `LOG_FILE_PATH`.
        path: String,
        /// What the operating system says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The operating system gives no thread.
    #[error("the thread that writes logs cannot be started: {0}")]
    Thread(#[from] io::Error),
    /// A subscriber rules this process already.
    #[error("logging is set up already")]
    Twice,
}

/// Logging of this process; writes what is buffered when it is dropped.
#[derive(Debug)]
pub struct Telemetry {
    level: reload::Handle<EnvFilter, Registry>,
    writers: Vec<LineWriter>,
}

impl Telemetry {
    /// Sends the log lines of this process to standard output and, with `LOG_ENABLE_FILE`, to a file that is rotated daily.
    ///
    /// # Errors
    /// The log file cannot be opened, or logging is set up already.
    pub fn start(config: &Config) -> Result<Self, TelemetryError> {
        let (level, handle) = reload::Layer::new(filter(config.log_level));
        let stdout = LineWriter::start(io::stdout(), "log-stdout")?;
        let mut layers = vec![layer(config.log_format, io::stdout().is_terminal(), stdout.lines())];
        let mut writers = vec![stdout];
        if config.log_enable_file {
            let file = LineWriter::start(log_file(&config.log_file_path)?, "log-file")?;
            layers.push(layer(config.log_format, false, file.lines()));
            writers.push(file);
        }
        let subscriber = tracing_subscriber::registry().with(level).with(layers);
        subscriber.try_init().map_err(|_| TelemetryError::Twice)?;
        Ok(Self { level: handle, writers })
    }

    /// Log lines lost since the start because a terminal or disk was too slow or full.
    pub fn lines_dropped(&self) -> u64 {
        self.writers.iter().map(LineWriter::dropped).sum()
    }

    /// From now on only lines of `level` and more severe ones are written.
    pub fn set_level(&self, level: LevelFilter) {
        // Fails only when the subscriber is gone, and then nothing is logged anyway.
        let _ = self.level.reload(filter(level));
    }
}

/// `level` for this program, but never below [`LIBRARIES`] for libraries.
fn filter(level: LevelFilter) -> EnvFilter {
    let own = OWN_TARGETS.map(|target| format!("{target}={level}")).join(",");
    EnvFilter::new(format!("{},{own}", level.min(LIBRARIES)))
}

fn layer<S, W>(format: LogFormat, colours: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    match format {
        LogFormat::Text => fmt::layer().with_ansi(colours).with_writer(writer).boxed(),
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_ansi(false).with_writer(writer).boxed(),
    }
}

/// `name.ext` becomes `name.2026-01-31.ext` and so on.
fn log_file(path: &Path) -> Result<RollingFileAppender, TelemetryError> {
    let failed = |source| TelemetryError::File { path: path.display().to_string(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|error| failed(error.into()))?;
    let part = |part: Option<&std::ffi::OsStr>| part.map(|text| text.to_string_lossy().into_owned());
    RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix(part(path.file_stem()).unwrap_or_else(|| "app".to_owned()))
        .filename_suffix(part(path.extension()).unwrap_or_else(|| "log".to_owned()))
        .max_log_files(FILES_KEPT)
        .build(folder)
        .map_err(|error| failed(error.into()))
}

#[cfg(test)]
mod tests;
