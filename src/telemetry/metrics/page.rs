//! One answer to `/metrics`.

use std::collections::HashMap;

use prometheus::{
    Histogram, TextEncoder,
    core::Metric as _,
    proto::{self, LabelPair, MetricFamily, MetricType},
};

use super::declared::{Kind, Metric, all};

/// Content type of the text format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Collects samples and writes them in the text format, by metric in the order of the declarations.
#[derive(Debug, Default)]
pub struct Page {
    families: HashMap<&'static str, Vec<proto::Metric>>,
}

impl Page {
    /// Adds a sample of a counter; `labels` are the values of the declared labels.
    pub fn count(&mut self, metric: &Metric, labels: &[&str], value: u64) {
        self.number(metric, labels, value as f64);
    }

    /// Adds a sample of a counter or gauge.
    pub fn number(&mut self, metric: &Metric, labels: &[&str], value: f64) {
        let mut sample = proto::Metric::from_label(pairs(metric, labels));
        match metric.kind {
            Kind::Counter => {
                let mut counter = proto::Counter::default();
                counter.set_value(value);
                sample.set_counter(counter);
            }
            Kind::Gauge | Kind::Histogram => {
                let mut gauge = proto::Gauge::default();
                gauge.set_value(value);
                sample.set_gauge(gauge);
            }
        }
        self.families.entry(metric.name).or_default().push(sample);
    }

    /// Adds a histogram.
    pub fn histogram(&mut self, metric: &Metric, labels: &[&str], histogram: &Histogram) {
        let mut sample = histogram.metric();
        sample.set_label(pairs(metric, labels));
        self.families.entry(metric.name).or_default().push(sample);
    }

    /// The text.
    pub fn text(mut self) -> String {
        let families: Vec<MetricFamily> = all()
            .filter_map(|metric| {
                let samples = self.families.remove(metric.name)?;
                let mut family = MetricFamily::default();
                family.set_name(metric.name.to_owned());
                family.set_help(format!("{}.", metric.help));
                family.set_field_type(match metric.kind {
                    Kind::Counter => MetricType::COUNTER,
                    Kind::Gauge => MetricType::GAUGE,
                    Kind::Histogram => MetricType::HISTOGRAM,
                });
                family.set_metric(samples);
                Some(family)
            })
            .collect();
        // The encoder refuses families without a name or samples only, and there are none.
        TextEncoder::new().encode_to_string(&families).unwrap_or_default()
    }
}

fn pairs(metric: &Metric, values: &[&str]) -> Vec<LabelPair> {
    debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
    let pair = |(name, value): (&&str, &&str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    metric.labels.iter().zip(values).map(pair).collect()
}
