use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use proptest::prelude::*;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn at(ms: i64) -> Timestamp {
    Timestamp(1_700_000_000_000 + ms)
}

#[test]
fn a_place_is_free_a_window_after_it_was_taken() {
    let window = SlidingWindow::new(2, MINUTE);
    assert_eq!((window.next_free(at(0)), window.try_take(at(0))), (None, Ok(())));
    assert_eq!((window.next_free(at(10)), window.try_take(at(10))), (None, Ok(())));
    assert_eq!((window.next_free(at(20)), window.try_take(at(20))), (Some(at(60_000)), Err(at(60_000))));
    assert_eq!(window.try_take(at(59_999)), Err(at(60_000)));
    assert_eq!(window.try_take(at(60_000)), Ok(()));
    assert_eq!((window.next_free(at(60_000)), window.try_take(at(60_000))), (Some(at(60_010)), Err(at(60_010))));
}

#[test]
fn no_limit_but_nought_admits_nobody() {
    assert_eq!(SlidingWindow::new(0, MINUTE).try_take(at(0)), Err(at(60_000)));
    assert_eq!(SlidingWindow::new(0, MINUTE).next_free(at(0)), Some(at(60_000)));
    for limit in [1, 255, 256, 257, 1_000, 65_536, 100_003] {
        let window = SlidingWindow::new(limit, MINUTE);
        assert_eq!((0..limit + 9).filter(|_| window.try_take(at(5)).is_ok()).count() as u64, limit);
        assert_eq!(window.next_free(at(6)), Some(at(60_005)), "limit {limit}");
    }
    assert_eq!(SlidingWindow::new(u64::MAX, MINUTE).try_take(Timestamp(i64::MIN)), Ok(()));
}

#[test]
fn a_clock_that_is_set_back_does_not_close_the_window_for_long() {
    let window = SlidingWindow::new(1, MINUTE);
    assert_eq!(window.try_take(at(3_600_000)), Ok(()));
    assert_eq!(window.try_take(at(0)), Ok(()));
    assert_eq!(window.try_take(at(1)), Err(at(60_000)));
}

#[test]
fn threads_together_take_what_there_is_and_not_one_more() {
    for limit in [7, 64, 5_000] {
        let (window, taken) = (SlidingWindow::new(limit, MINUTE), AtomicU64::new(0));
        for round in 0..6 {
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for _ in 0..limit {
                            if window.try_take(at(round * 60_000)).is_ok() {
                                taken.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    });
                }
            });
            assert_eq!(taken.swap(0, Ordering::Relaxed), limit);
        }
    }
}

proptest! {
    #[test]
    fn no_window_ever_holds_more(limit in 1_u64..700, window_ms in 1_i64..500, steps in prop::collection::vec((0_i64..20, 1_usize..40), 1..200)) {
        let window = SlidingWindow::new(limit, Duration::from_millis(window_ms.unsigned_abs()));
        let (mut now, mut taken) = (0, Vec::<i64>::new());
        for (step, tries) in steps {
            now += step;
            for _ in 0..tries {
                let inside = taken.iter().rev().take_while(|time| **time > now - window_ms).count() as u64;
                let free = window.next_free(at(now));
                let answer = window.try_take(at(now));
                prop_assert_eq!(free, answer.err());
                match answer {
                    Ok(()) => {
                        prop_assert!(inside < limit);
                        taken.push(now);
                    }
                    Err(free) => {
                        prop_assert!(free > at(now) && free <= at(now + window_ms));
                        // Of a limit of at most 256 every place has its own cell, so nobody is refused in vain.
                        prop_assert!(limit > 256 || inside == limit);
                        prop_assert!(inside + limit.div_ceil(CELLS) > limit);
                    }
                }
            }
        }
    }
}
