//! Progress of long work: a bar on a terminal, plain lines elsewhere; always on standard error.

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

/// Progress towards a known total.
pub(super) struct Progress {
    shown: Shown,
    label: &'static str,
    total: u64,
    done: u64,
}

enum Shown {
    Bar(ProgressBar),
    Lines,
    Nothing,
}

impl Progress {
    /// Shows `label` and the way to `total`.
    pub(super) fn start(label: &'static str, total: u64, quiet: bool) -> Self {
        let shown = if quiet {
            Shown::Nothing
        } else if io::stderr().is_terminal() {
            Shown::Bar(bar(label, total))
        } else {
            Shown::Lines
        };
        Self { shown, label, total, done: 0 }
    }

    /// `count` more are done.
    pub(super) fn advance(&mut self, count: u64) {
        let before = self.done;
        self.done = (before + count).min(self.total);
        match &self.shown {
            Shown::Bar(bar) => bar.set_position(self.done),
            Shown::Lines => {
                if let Some(percent) = tenth_reached(before, self.done, self.total) {
                    let Self { label, done, total, .. } = self;
                    let _ = writeln!(io::stderr(), "{label}: {done} of {total} ({percent} %)");
                }
            }
            Shown::Nothing => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

fn bar(label: &'static str, total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    let style = ProgressStyle::with_template("{msg} [{bar:40}] {human_pos} of {human_len} ({per_sec}, {eta} left)");
    if let Ok(style) = style {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(label);
    bar
}

/// The highest multiple of ten percent that was passed on the way from `before` to `after`.
fn tenth_reached(before: u64, after: u64, total: u64) -> Option<u64> {
    let tenth = |done: u64| if total == 0 { 10 } else { u128::from(done) * 10 / u128::from(total) };
    (tenth(after) > tenth(before)).then(|| u64::try_from(tenth(after) * 10).unwrap_or(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_appears_at_every_tenth() {
        let cases = [
            (0, 0, 10, None),
            (0, 1, 10, Some(10)),
            (1, 1, 10, None),
            (0, 9, 100, None),
            (9, 10, 100, Some(10)),
            (10, 55, 100, Some(50)),
            (2, 3, 3, Some(100)),
            (0, u64::MAX, u64::MAX, Some(100)),
            (0, 0, 0, None),
        ];
        for (before, after, total, percent) in cases {
            assert_eq!(tenth_reached(before, after, total), percent, "{before} → {after} of {total}");
        }
    }
}
