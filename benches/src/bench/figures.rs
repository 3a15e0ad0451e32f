//! From measurements to the figures that count: medians over the rounds, ratios to nginx, targets.

use std::fmt::Write as _;

use serde::Serialize;

use super::measure::{Memory, Saturated, Streamed};

/// All measurements of one contestant, one for each round.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Measured {
    pub(crate) saturated: Vec<Saturated>,
    /// At half of the contestant's own maximum, less the provider's at the same rate; microseconds.
    pub(crate) added_p99_us: Vec<f64>,
    pub(crate) streamed: Vec<Streamed>,
    pub(crate) first_byte_us: Vec<f64>,
    pub(crate) memory: Vec<Memory>,
}

/// One line of the result.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) provider: Option<f64>,
    pub(crate) nginx: Option<f64>,
    pub(crate) gateway: Option<f64>,
    /// Gateway to nginx, where the target is a ratio.
    pub(crate) ratio: Option<f64>,
    pub(crate) target: String,
    /// Whether the target is met; `None` where it could not be measured.
    pub(crate) met: Option<bool>,
}

/// What must hold for a figure.
#[derive(Clone, Copy)]
enum Goal {
    RatioAtMost(f64),
    RatioAtLeast(f64),
    GatewayBelow(f64),
}

/// Figures of quality.md that this run measured.
pub(crate) fn figures(provider: &Measured, nginx: Option<&Measured>, gateway: Option<&Measured>) -> Vec<Figure> {
    let own = |of: &dyn Fn(&Measured) -> Option<f64>| (nginx.and_then(of), gateway.and_then(of));
    let cpu = |measured: &Measured| median(measured.saturated.iter().map(|round| round.cpu_us));
    let rate = |measured: &Measured| median(measured.saturated.iter().map(|round| round.rate));
    let p99 = |measured: &Measured| median(measured.added_p99_us.iter().copied());
    let stream_cpu = |measured: &Measured| median(measured.streamed.iter().map(|round| round.cpu_us));
    let stream_rate = |measured: &Measured| median(measured.streamed.iter().map(|round| round.rate));
    let first = |measured: &Measured| median(measured.first_byte_us.iter().copied());
    let base = first(provider);
    let added_first = |measured: &Measured| Some(first(measured)? - base?);
    let mut figures = vec![
        figure("CPU per request", "µs", None, own(&cpu), Goal::RatioAtMost(2.0)),
        figure("throughput, 64 connections", "1/s", rate(provider), own(&rate), Goal::RatioAtLeast(0.5)),
        figure("added p99 at half of own maximum", "µs", None, own(&p99), Goal::RatioAtMost(2.0)),
        figure("CPU per stream of 50 events", "µs", None, own(&stream_cpu), Goal::RatioAtMost(1.0)),
        figure("streams, 32 connections", "1/s", stream_rate(provider), own(&stream_rate), Goal::RatioAtLeast(1.0)),
        figure("added time to first byte, p50", "µs", base, own(&added_first), Goal::GatewayBelow(200.0)),
    ];
    let runs = gateway.or(nginx).map(|measured| measured.memory.len()).unwrap_or_default();
    for run in 0..runs {
        let at = |measured: &Measured| measured.memory.get(run).copied();
        let kib = |measured: &Measured| Some(at(measured)?.bytes_per_stream / 1024.0);
        let streams = [gateway, nginx].into_iter().flatten().find_map(at).map(|memory| memory.streams);
        let name = format!("memory per open stream, {} streams", streams.unwrap_or_default());
        figures.push(figure(&name, "KiB", None, own(&kib), Goal::GatewayBelow(32.0)));
    }
    figures
}

fn figure(
    name: &str,
    unit: &'static str,
    provider: Option<f64>,
    (nginx, gateway): (Option<f64>, Option<f64>),
    goal: Goal,
) -> Figure {
    let quotient = || Some(gateway? / nginx.filter(|nginx| *nginx > 0.0)?);
    let (ratio, target, met) = match goal {
        Goal::RatioAtMost(most) => (quotient(), format!("≤ {most:.1} ×"), quotient().map(|ratio| ratio <= most)),
        Goal::RatioAtLeast(least) => (quotient(), format!("≥ {least:.1} ×"), quotient().map(|ratio| ratio >= least)),
        Goal::GatewayBelow(most) => (None, format!("≤ {most:.0} {unit}"), gateway.map(|value| value <= most)),
    };
    Figure { name: name.to_owned(), unit, provider, nginx, gateway, ratio, target, met }
}

/// The figures as a table.
pub(crate) fn table(figures: &[Figure], nginx: bool, gateway: bool) -> String {
    let mut out = String::new();
    let mut line = |cells: [&str; 8]| {
        let [name, unit, provider, nginx, gateway, ratio, target, met] = cells;
        // Writing to a `String` cannot fail.
        _ = writeln!(
            out,
            "{name:<42} {unit:<4} {provider:>10} {nginx:>10} {gateway:>10} {ratio:>8} {target:>10} {met:>4}"
        );
    };
    line(["figure", "unit", "provider", "nginx", "gateway", "ratio", "target", "met"]);
    for figure in figures {
        let absent = |there: bool| if there { "–" } else { "absent" }.to_owned();
        let number =
            |value: Option<f64>, there: bool| value.map_or_else(|| absent(there), |value| format!("{value:.1}"));
        line([
            &figure.name,
            figure.unit,
            &number(figure.provider, true),
            &number(figure.nginx, nginx),
            &number(figure.gateway, gateway),
            &figure.ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}")),
            &figure.target,
            figure.met.map_or("–", |met| if met { "yes" } else { "no" }),
        ]);
    }
    out
}

/// Middle value; of an even number the mean of the two in the middle.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median([].into_iter()), None);
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
    }

    #[test]
    fn goals_are_judged_only_where_measured() {
        let at_most = |nginx, gateway| figure("f", "µs", None, (nginx, gateway), Goal::RatioAtMost(2.0));
        assert_eq!(at_most(Some(10.0), Some(20.0)).met, Some(true));
        assert_eq!(at_most(Some(10.0), Some(21.0)).met, Some(false));
        assert_eq!(at_most(None, Some(21.0)).met, None);
        assert_eq!(figure("f", "µs", None, (None, Some(1.0)), Goal::GatewayBelow(2.0)).met, Some(true));
    }
}
