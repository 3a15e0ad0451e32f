//! What the choice of a key costs, against the size of the pool and the share of dead keys.
#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a bench that cannot go on has nothing to say")]

use std::{hint::black_box, time::Duration};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use gpt_load_actors::pool::{Announced, Remaining, Want, bench::BenchPool};
use gpt_load_schema::{settings::Settings, time::Timestamp};

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const STRATEGIES: [&str; 5] = ["round_robin", "weighted", "least_in_flight", "random", "sticky"];

fn settings(strategy: &str) -> Settings {
    Settings { key_selection: strategy.to_owned(), ..Settings::defaults() }
}

/// One key handed out and given back.
fn measure(bencher: &mut criterion::Bencher<'_>, pool: &BenchPool) {
    let mut user = 0_u64;
    bencher.iter(|| {
        user = user.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let want = Want { first_attempt: true, sticky: Some(user), model: "gpt-4o-mini", ..Want::default() };
        black_box(pool.handle().checkout(&want, NOW).expect("some key lives").id())
    });
}

fn by_size(criterion: &mut Criterion) {
    for strategy in STRATEGIES {
        let mut group = criterion.benchmark_group(format!("size/{strategy}"));
        for keys in [100, 1_000, 10_000, 100_000, 1_000_000] {
            let pool = BenchPool::new(keys, 0, &settings(strategy), NOW);
            group.bench_function(BenchmarkId::from_parameter(keys), |bencher| measure(bencher, &pool));
        }
    }
}

fn by_dead_share(criterion: &mut Criterion) {
    for strategy in STRATEGIES {
        let mut group = criterion.benchmark_group(format!("dead/{strategy}"));
        for dead in [0, 50, 90, 99] {
            let pool = BenchPool::new(100_000, dead, &settings(strategy), NOW);
            group.bench_function(BenchmarkId::from_parameter(format!("{dead}%")), |bencher| measure(bencher, &pool));
        }
        let pool = BenchPool::new(1_000_000, 99, &settings(strategy), NOW);
        group.bench_function("99% of a million", |bencher| measure(bencher, &pool));
    }
}

/// With all limits on: own ones, and those that the provider announces per model.
fn with_limits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("limits");
    for keys in [100, 10_000] {
        let settings = Settings { key_max_concurrency: 100, key_rpm: 1 << 40, ..settings("round_robin") };
        let pool = BenchPool::new(keys, 0, &settings, NOW);
        let model = "gpt-4o-mini";
        let want = Want { first_attempt: true, model, ..Want::default() };
        let remaining = Remaining { left: 1 << 40, limit: Some(1 << 40), reset_in: Duration::from_secs(60) };
        let announced =
            Announced { requests: Some(remaining), tokens: Some(remaining), per_model: true, account: None };
        for _ in 0..2 * keys {
            pool.handle().checkout(&want, NOW).expect("every key lives").learn(&announced, model, NOW);
        }
        group.bench_function(BenchmarkId::from_parameter(keys), |bencher| measure(bencher, &pool));
    }
}

/// What the group actor does after changes, off the hot path.
fn rebuild(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rebuild");
    group.sample_size(10);
    for strategy in STRATEGIES {
        for keys in [10_000, 1_000_000] {
            let mut pool = BenchPool::new(keys, 10, &settings(strategy), NOW);
            group.bench_function(BenchmarkId::new(strategy, keys), |bencher| bencher.iter(|| pool.rebuild(NOW)));
        }
    }
}

criterion_group!(benches, by_size, by_dead_share, with_limits, rebuild);
criterion_main!(benches);
