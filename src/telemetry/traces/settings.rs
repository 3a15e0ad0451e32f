//! What the standard variables of OpenTelemetry say.

use std::{collections::HashMap, time::Duration};

use gpt_load_schema::secret::Secret;
use opentelemetry::KeyValue;
use opentelemetry_sdk::{Resource, trace::Sampler};
use percent_encoding::percent_decode_str;

use super::TraceError;
use crate::config::Config;

const SERVICE: &str = "gpt-load";
/// Where an OTLP collector takes traces over HTTP.
const HTTP_PATH: &str = "/v1/traces";

/// How spans travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP over gRPC.
    Grpc,
    /// OTLP as protobuf over HTTP.
    Http,
}

/// Where spans go, and which.
#[derive(Clone, Debug)]
pub struct TraceSettings {
    /// The collector; over HTTP with the path.
    pub endpoint: String,
    /// How.
    pub protocol: Protocol,
    /// `name=value` pairs for the collector.
    pub headers: Option<Secret>,
    /// How long the collector may take over a batch.
    pub timeout: Duration,
    /// Spans that may wait.
    pub queue: usize,
    /// How long a span waits at most for others to go with.
    pub delay: Duration,
    sampler: String,
    sampler_argument: Option<String>,
    attributes: Vec<(String, String)>,
}

impl TraceSettings {
    /// What the configuration says; `None` when no collector is configured, or traces are switched off.
    pub fn of(config: &Config) -> Option<Self> {
        if config.otel_sdk_disabled || config.otel_traces_exporter == "none" {
            return None;
        }
        let protocol = if config.otel_exporter_otlp_protocol == "grpc" { Protocol::Grpc } else { Protocol::Http };
        let general = config.otel_exporter_otlp_endpoint.as_ref().map(|url| match protocol {
            Protocol::Grpc => url.clone(),
            Protocol::Http => format!("{}{HTTP_PATH}", url.trim_end_matches('/')),
        });
        let endpoint = config.otel_exporter_otlp_traces_endpoint.clone().or(general)?;
        Some(Self {
            endpoint,
            protocol,
            headers: config.otel_exporter_otlp_headers.clone(),
            timeout: Duration::from_millis(config.otel_exporter_otlp_timeout),
            queue: config.otel_bsp_max_queue_size,
            delay: Duration::from_millis(config.otel_bsp_schedule_delay),
            sampler: config.otel_traces_sampler.clone(),
            sampler_argument: config.otel_traces_sampler_arg.clone(),
            attributes: attributes(config),
        })
    }

    /// Which requests are recorded.
    ///
    /// # Errors
    /// When `OTEL_TRACES_SAMPLER` is none of those known, or its argument no share.
    pub(super) fn sampler(&self) -> Result<Sampler, TraceError> {
        let share = || {
            let Some(text) = &self.sampler_argument else { return Ok(1.0) };
            let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
            share.ok_or_else(|| TraceError::Setting {
                variable: "OTEL_TRACES_SAMPLER_ARG",
                reason: "must be a number from 0 to 1".to_owned(),
            })
        };
        let honouring_parents = |sampler| Sampler::ParentBased(Box::new(sampler));
        Ok(match self.sampler.as_str() {
            "always_on" => Sampler::AlwaysOn,
            "always_off" => Sampler::AlwaysOff,
            "traceidratio" => Sampler::TraceIdRatioBased(share()?),
            "parentbased_always_on" => honouring_parents(Sampler::AlwaysOn),
            "parentbased_always_off" => honouring_parents(Sampler::AlwaysOff),
            "parentbased_traceidratio" => honouring_parents(Sampler::TraceIdRatioBased(share()?)),
            _ => {
                let reason = "is no sampler of OpenTelemetry that this program knows".to_owned();
                return Err(TraceError::Setting { variable: "OTEL_TRACES_SAMPLER", reason });
            }
        })
    }

    /// Who the spans are from.
    pub(super) fn resource(&self) -> Resource {
        let pair = |(name, value): &(String, String)| KeyValue::new(name.clone(), value.clone());
        Resource::builder_empty().with_attributes(self.attributes.iter().map(pair)).build()
    }

    /// The headers for the collector, names in small letters.
    pub(super) fn header_pairs(&self) -> HashMap<String, String> {
        let text = self.headers.as_ref().map_or("", |headers| headers.expose());
        pairs(text).map(|(name, value)| (name.to_ascii_lowercase(), value)).collect()
    }
}

/// `OTEL_SERVICE_NAME` rules over `service.name` of `OTEL_RESOURCE_ATTRIBUTES`, which rule over what the node knows itself.
fn attributes(config: &Config) -> Vec<(String, String)> {
    let own = [
        ("service.name", SERVICE.to_owned()),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("service.instance.id", config.node_name.clone()),
    ];
    let mut attributes: Vec<_> = own.map(|(name, value)| (name.to_owned(), value)).into();
    let given = config.otel_resource_attributes.as_deref().unwrap_or_default();
    let name = config.otel_service_name.iter().map(|name| ("service.name".to_owned(), name.clone()));
    for (name, value) in pairs(given).chain(name) {
        attributes.retain(|(known, _)| *known != name);
        attributes.push((name, value));
    }
    attributes
}

/// `a=1,b=2` with percent-encoded values.
fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    text.split(',').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8_lossy().into_owned();
        Some((name.trim().to_owned(), value)).filter(|(name, _)| !name.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(environment: &[(&str, &str)]) -> Option<TraceSettings> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let loaded = Config::load(folder.path(), environment).map_err(|errors| errors.to_string());
        TraceSettings::of(&loaded.expect("a configuration").config)
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");

    #[test]
    fn only_a_collector_switches_traces_on() {
        assert!(settings(&[]).is_none());
        assert!(settings(&[("OTEL_SERVICE_NAME", "gateway")]).is_none());
        assert!(settings(&[ENDPOINT, ("OTEL_SDK_DISABLED", "true")]).is_none());
        assert!(settings(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]).is_none());
        assert!(settings(&[ENDPOINT]).is_some());
    }

    #[test]
    fn the_endpoint_gets_a_path_over_http_unless_it_is_that_of_traces() {
        let of = |environment: &[(&str, &str)]| {
            let settings = settings(environment).expect("on");
            (settings.endpoint, settings.protocol)
        };
        let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4318/own");
        assert_eq!(of(&[ENDPOINT]), ("http://collector:4318/v1/traces".to_owned(), Protocol::Http));
        assert_eq!(of(&[ENDPOINT, grpc]), ("http://collector:4318/".to_owned(), Protocol::Grpc));
        assert_eq!(of(&[ENDPOINT, own]), ("http://collector:4318/own".to_owned(), Protocol::Http));
    }

    #[test]
    fn names_and_attributes_rule_in_their_order() {
        let given = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=given,deployment.environment.name=a%20b, x = 1 ,bad");
        let resource = |environment: &[(&str, &str)]| settings(environment).expect("on").resource();
        let get = |resource: &Resource, name: &'static str| {
            resource.get(&opentelemetry::Key::new(name)).map(|value| value.to_string())
        };
        let named = resource(&[ENDPOINT, given, ("OTEL_SERVICE_NAME", "named"), ("NODE_NAME", "node-1")]);
        assert_eq!(get(&named, "service.name").as_deref(), Some("named"));
        assert_eq!(get(&named, "deployment.environment.name").as_deref(), Some("a b"));
        assert_eq!(get(&named, "x").as_deref(), Some("1"));
        assert_eq!(get(&named, "service.instance.id").as_deref(), Some("node-1"));
        assert_eq!(get(&resource(&[ENDPOINT, given]), "service.name").as_deref(), Some("given"));
        assert_eq!(get(&resource(&[ENDPOINT]), "service.name").as_deref(), Some("gpt-load"));
    }

    #[test]
    fn every_sampler_of_the_standard_is_known() {
        let of = |name: &str, argument: &str| {
            let environment = [ENDPOINT, ("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", argument)];
            format!("{:?}", settings(&environment).expect("on").sampler().expect("known"))
        };
        for (name, argument, expected) in [
            ("always_on", "", "AlwaysOn"),
            ("always_off", "", "AlwaysOff"),
            ("traceidratio", "0.25", "TraceIdRatioBased(0.25)"),
            ("parentbased_always_on", "", "ParentBased(AlwaysOn)"),
            ("parentbased_always_off", "", "ParentBased(AlwaysOff)"),
            ("parentbased_traceidratio", "0.1", "ParentBased(TraceIdRatioBased(0.1))"),
            ("parentbased_traceidratio", "", "ParentBased(TraceIdRatioBased(1.0))"),
        ] {
            assert_eq!(of(name, argument), expected, "{name} {argument}");
        }
    }

    #[test]
    fn headers_are_pairs_with_decoded_values() {
        let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "Api-Key=a%3Db, x-tenant = t ");
        let pairs = settings(&[ENDPOINT, headers]).expect("on").header_pairs();
        let expected = [("api-key", "a=b"), ("x-tenant", "t")];
        assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }
}
