//! The load generator against the double.

use std::time::Duration;

use gpt_load_benches::double::{At, Behaviour, Double, Options};
use gpt_load_benches::load::{Target, closed, hold, open};

fn target(double: &Double, stream: bool) -> Target {
    Target::chat(double.addr, "sk-a", stream, 1024)
}

#[test]
fn a_closed_loop_counts_every_answer() {
    let double = Double::start(Options { record: 1_000_000, ..Options::default() }).unwrap();
    let report = closed(&target(&double, false), 8, 2, Duration::from_millis(200)).unwrap();
    assert_eq!((report.errors(), report.answers), (0, double.requests().len() as u64));
    assert_eq!((double.connections(), report.latency.len()), (8, report.answers));
    let length = double.requests()[0].body_length;
    assert!((1000..1050).contains(&length), "{length}");
}

#[test]
fn streams_are_read_to_their_end() {
    let double = Double::start(Options::default()).unwrap();
    let report = closed(&target(&double, true), 4, 1, Duration::from_millis(100)).unwrap();
    assert_eq!((report.errors(), report.answers), (0, double.requests().len() as u64));
    assert_eq!(double.connections(), 4);
}

#[test]
fn errors_and_failures_are_counted_apart() {
    let double = Double::start(Options::default()).unwrap();
    double.on_next(3, Behaviour::status(500));
    double.on_next(2, Behaviour::cut(At::After(10)));
    let report = closed(&target(&double, false), 1, 1, Duration::from_millis(100)).unwrap();
    assert_eq!((report.statuses.get(&500), report.failures, report.errors()), (Some(&3), 2, 5));
}

#[test]
fn an_open_loop_keeps_its_rate_and_counts_delay_from_when_requests_were_due() {
    let double = Double::start(Options::default()).unwrap();
    double.on_next(1, Behaviour::ok().delay_head(Duration::from_millis(100)));
    let report = open(&target(&double, false), 1000.0, 1, Duration::from_millis(500)).unwrap();
    assert_eq!((report.answers + report.unsent, report.failures), (500, 0));
    // The one connection was blocked for 100 ms: the requests due in that time waited 50 ms on the average.
    let slow = report.latency.count_between(50_000_000, 500_000_000);
    assert!(slow >= 45, "only {slow} requests show the stall");
}

#[tokio::test]
async fn streams_are_held_open() {
    let base = Behaviour::ok().delay_event(Duration::from_secs(600));
    let double = Double::start(Options { base, ..Options::default() }).unwrap();
    let held = hold(&target(&double, true), 100, Duration::from_secs(10)).await;
    assert_eq!((held.live(), held.failed()), (100, 0));
    drop(held);
    for index in 0..100 {
        double.wait_aborted(index).await;
    }
}
