//! What is said when code panics: where, never with what data.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    panic::PanicHookInfo,
};

/// Logs panics instead of printing them.
///
/// A message that was put together at run time may hold a key or a body, so only messages that stand in the source are
/// told; the place is always.
pub fn install() {
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = Backtrace::capture();
        let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
        let message = message(panic);
        if tracing::enabled!(target: "panic", tracing::Level::ERROR) {
            tracing::error!(target: "panic", place, thread, backtrace, "panic: {message}; please report this defect");
        } else {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "panic in {thread} at {place}: {message}; please report this defect");
        }
    }));
}

fn message(panic: &PanicHookInfo<'_>) -> &'static str {
    panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("(message withheld, it may hold data)")
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        panic::catch_unwind,
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Captured {
        type Writer = Self;
        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn a_panic_tells_its_place_and_no_data() {
        let captured = Captured::default();
        let subscriber = tracing_subscriber::fmt().with_writer(captured.clone()).with_ansi(false).finish();
        let before = std::panic::take_hook();
        install();
        tracing::subscriber::with_default(subscriber, || {
            let secret = std::hint::black_box("sk-secret");
            assert!(catch_unwind(|| panic!("the key is {secret}")).is_err());
            assert!(catch_unwind(|| panic!("a text of the source")).is_err());
        });
        std::panic::set_hook(before);
        let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches("ERROR panic: ").count(), 2, "{text}");
        assert_eq!(text.matches("place=\"src/cli/panic_hook.rs:").count(), 2, "{text}");
        assert!(text.contains("message withheld") && text.contains("a text of the source"), "{text}");
        assert!(!text.contains("sk-secret"), "{text}");
    }
}
