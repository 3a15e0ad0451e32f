use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use gpt_load_schema::log::{OutcomeClass, TokenUsage};
use serde_json::{Value, json};
use tracing::subscriber::with_default;
use uuid::Uuid;

use super::{access::Access, *};

/// What was written, shared between the writer and the test.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("not poisoned").clone()).expect("UTF-8")
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What `log` writes at `level` in `format`.
fn written(level: LevelFilter, format: LogFormat, log: impl FnOnce()) -> String {
    let buffer = Buffer::default();
    let to = buffer.clone();
    let subscriber = tracing_subscriber::registry().with(filter(level)).with(layer(format, false, move || to.clone()));
    with_default(subscriber, log);
    buffer.text()
}

fn access() -> Access<'static> {
    Access {
        id: Uuid::nil(),
        method: "POST",
        path: "/v1/chat/completions",
        group: "default",
        model: "gpt-4.1",
        key: "sk-1****7890",
        attempts: 2,
        class: Some(OutcomeClass::Success),
        status: 200,
        duration: Duration::from_micros(12_900),
        usage: TokenUsage { input: Some(9), output: Some(12), ..TokenUsage::default() },
    }
}

#[test]
fn the_access_line_is_one_json_object() {
    let line = written(LevelFilter::INFO, LogFormat::Json, || access::log(&access()));
    let mut line: Value = serde_json::from_str(&line).expect("one object");
    line.as_object_mut().expect("an object").remove("timestamp").expect("a time");
    let expected = json!({
        "level": "INFO", "target": "access", "id": "00000000-0000-0000-0000-000000000000",
        "method": "POST", "path": "/v1/chat/completions", "group": "default", "model": "gpt-4.1",
        "key": "sk-1****7890", "attempts": 2, "class": "success", "status": 200, "duration_ms": 12,
        "input_tokens": 9, "output_tokens": 12,
    });
    assert_eq!(line, expected);
}

#[test]
fn the_text_line_names_the_same() {
    let line = written(LevelFilter::INFO, LogFormat::Text, || access::log(&access()));
    assert_eq!(line.lines().count(), 1);
    for part in ["access:", "group=\"default\"", "key=\"sk-1****7890\"", "class=\"success\"", "duration_ms=12"] {
        assert!(line.contains(part), "{part} in {line}");
    }
}

#[test]
fn libraries_stay_at_info_however_much_is_asked_for() {
    let log = || {
        tracing::trace!(target: "gpt_load::proxy", "own trace");
        tracing::debug!(target: "awc::sender", "library debug");
        tracing::info!(target: "rustls", "library info");
    };
    let text = written(LevelFilter::TRACE, LogFormat::Text, log);
    assert!(text.contains("own trace") && text.contains("library info"), "{text}");
    assert!(!text.contains("library debug"), "{text}");
    assert_eq!(written(LevelFilter::WARN, LogFormat::Text, log), "");
}

#[test]
fn the_level_changes_while_the_program_runs() {
    let buffer = Buffer::default();
    let to = buffer.clone();
    let (level, handle) = reload::Layer::new(filter(LevelFilter::WARN));
    let subscriber = tracing_subscriber::registry().with(level).with(layer(LogFormat::Text, false, move || to.clone()));
    let telemetry = Telemetry { level: handle, writers: Vec::new() };
    with_default(subscriber, || {
        tracing::info!("first");
        telemetry.set_level(LevelFilter::INFO);
        tracing::info!("second");
    });
    assert!(!buffer.text().contains("first") && buffer.text().contains("second"), "{}", buffer.text());
}

/// A place that takes nothing, as a full disk.
struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn every_line_arrives_in_order_when_the_writer_ends() {
    let buffer = Buffer::default();
    let writer = LineWriter::start(buffer.clone(), "test").expect("started");
    let mut lines = writer.lines().make_writer();
    for number in 0..1_000 {
        writeln!(lines, "{number}").expect("taken");
    }
    drop(writer);
    assert_eq!(buffer.text(), (0..1_000).map(|number| format!("{number}\n")).collect::<String>());
}

#[test]
fn lines_that_cannot_be_written_are_counted() {
    let writer = LineWriter::start(Full, "test").expect("started");
    let lines = writer.lines();
    lines.make_writer().write_all(b"one\ntwo\n").expect("taken");
    assert_eq!(writer.end(), 2);
}

#[test]
fn the_log_file_and_its_folder_are_made() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut file = log_file(&folder.path().join("logs/app.log")).expect("opened");
    file.write_all(b"line\n").expect("written");
    let files: Vec<_> =
        std::fs::read_dir(folder.path().join("logs")).expect("made").map(|f| f.expect("read")).collect();
    let name = files[0].file_name().to_string_lossy().into_owned();
    assert_eq!(files.len(), 1);
    assert!(name.starts_with("app.20") && name.ends_with(".log"), "{name}");
    assert!(log_file(&files[0].path().join("app.log")).is_err(), "a file is no folder");
}
