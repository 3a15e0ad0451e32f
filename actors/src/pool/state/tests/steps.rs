//! Random events, of which streaks are likely.

use super::*;

pub(super) const SECOND: i64 = 1_000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const MODELS: [&str; 3] = ["", "a", "b"];

/// An event, before it knows the key's generation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Attempt(Attempt),
    Validated { class: OutcomeClass, wait: Option<u64>, behind: i64 },
    BackoffOver,
    Rest(u64, Option<&'static str>),
    Restore,
    Disable,
    Enable,
    Invalidate,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub(super) class: OutcomeClass,
    pub(super) wait: Option<u64>,
    pub(super) ruling: Option<Consequence>,
    /// The model asked for, and whether the provider spoke of it.
    pub(super) model: &'static str,
    pub(super) is_about_model: bool,
    pub(super) is_own_fault: bool,
    /// Generations that passed since the key was checked out.
    pub(super) behind: i64,
}

/// Reads a number as a story is read: digit by digit. Much cheaper than a strategy per choice, of which a hundred
/// thousand cases make millions.
struct Digits(u64);

impl Digits {
    fn below(&mut self, count: usize) -> usize {
        let count = count as u64;
        let digit = self.0 % count;
        self.0 /= count;
        usize::try_from(digit).expect("small")
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// What most attempts of one case have in common, so that streaks happen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    class: OutcomeClass,
    model: &'static str,
    is_about_model: bool,
    is_own_fault: bool,
    wait: Option<u64>,
    longest_pause: i64,
}

impl Theme {
    pub(super) fn of(number: u64) -> Self {
        let mut digits = Digits(number);
        Self {
            class: digits.of(&OutcomeClass::ALL[2..]),
            model: digits.of(&MODELS),
            is_about_model: digits.of(&[true, false]),
            is_own_fault: digits.of(&[true, false]),
            wait: digits.of(&[None, None, Some(90), Some(90_000)]),
            longest_pause: digits.of(&[0, MINUTE, 25 * HOUR]),
        }
    }
}

/// The event that a number stands for, and the time that passes before it.
pub(super) fn step(theme: &Theme, number: u64) -> (Step, i64) {
    const WAITS: [Option<u64>; 8] = [None, None, None, Some(0), Some(5), Some(90), Some(5_000), Some(90_000)];
    const TIMES: [Option<Duration>; 3] = [None, Some(Duration::from_secs(30)), Some(Duration::from_secs(7_200))];
    let mut digits = Digits(number);
    let pause = digits.of(&[0, 0, SECOND, 5 * SECOND, MINUTE, 30 * MINUTE, 2 * HOUR, 25 * HOUR]);
    let (pause, is_usual) = (pause.min(theme.longest_pause), digits.below(5) < 3);
    let step = match digits.below(27) {
        kind @ 0..12 => {
            let time = digits.of(&TIMES);
            let ruling = match digits.below(5) {
                0 => Consequence::Spare,
                1 => Consequence::Invalidate,
                2 => Consequence::Degrade(time),
                3 => Consequence::Disable(time),
                _ => Consequence::Rest(time.unwrap_or(Duration::from_secs(1))),
            };
            let usual = Attempt {
                class: theme.class,
                wait: theme.wait,
                ruling: None,
                model: theme.model,
                is_about_model: theme.is_about_model,
                is_own_fault: theme.is_own_fault,
                behind: 0,
            };
            let any = Attempt {
                class: digits.of(&OutcomeClass::ALL),
                wait: digits.of(&WAITS),
                ruling: Some(ruling).filter(|_| kind < 2),
                model: digits.of(&MODELS),
                is_about_model: digits.of(&[true, false]),
                is_own_fault: digits.of(&[true, false]),
                behind: i64::from(digits.below(10) == 9),
            };
            Step::Attempt(if is_usual { usual } else { any })
        }
        12..18 => Step::Validated {
            class: if is_usual { theme.class } else { digits.of(&OutcomeClass::ALL) },
            wait: digits.of(&WAITS),
            behind: i64::from(digits.below(10) == 9),
        },
        18..23 => Step::BackoffOver,
        23 => Step::Rest(digits.of(&[0, 10, 100]), digits.of(&[None, Some("a"), Some("b")])),
        24 => Step::Restore,
        25 => digits.of(&[Step::Disable, Step::Enable]),
        _ => Step::Invalidate,
    };
    (step, pause)
}
