//! The exporters: OTLP over gRPC, and as protobuf over HTTP.

use std::{collections::HashMap, fmt::Display};

use hyper_rustls::HttpsConnectorBuilder;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::{Protocol as OtlpProtocol, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig};
use rustls::ClientConfig;
use tonic::{
    metadata::{MetadataKey, MetadataMap, MetadataValue},
    transport::Endpoint,
};

use super::{
    TraceError,
    settings::{Protocol, TraceSettings},
};

/// The exporter that the settings ask for. Needs the runtime that will drive it.
pub(super) fn exporter(settings: &TraceSettings, tls: ClientConfig) -> Result<SpanExporter, TraceError> {
    match settings.protocol {
        Protocol::Grpc => grpc(settings, tls),
        Protocol::Http => http(settings, tls),
    }
}

fn grpc(settings: &TraceSettings, tls: ClientConfig) -> Result<SpanExporter, TraceError> {
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http2().build();
    let endpoint = Endpoint::from_shared(settings.endpoint.clone()).map_err(unusable)?;
    let channel = endpoint.timeout(settings.timeout).connect_with_connector_lazy(connector);
    SpanExporter::builder()
        .with_tonic()
        .with_channel(channel)
        .with_metadata(metadata(&settings.header_pairs())?)
        .with_timeout(settings.timeout)
        .build()
        .map_err(unusable)
}

fn http(settings: &TraceSettings, tls: ClientConfig) -> Result<SpanExporter, TraceError> {
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_all_versions().build();
    SpanExporter::builder()
        .with_http()
        .with_http_client(HyperClient::new(connector, settings.timeout, None))
        .with_protocol(OtlpProtocol::HttpBinary)
        .with_endpoint(settings.endpoint.clone())
        .with_headers(settings.header_pairs())
        .with_timeout(settings.timeout)
        .build()
        .map_err(unusable)
}

fn metadata(pairs: &HashMap<String, String>) -> Result<MetadataMap, TraceError> {
    let mut metadata = MetadataMap::new();
    for (name, value) in pairs {
        let key = MetadataKey::from_bytes(name.as_bytes()).ok();
        let (Some(key), Ok(value)) = (key, MetadataValue::try_from(value.as_str())) else {
            return Err(TraceError::Setting {
                variable: "OTEL_EXPORTER_OTLP_HEADERS",
                reason: "holds a name or value that no header may carry".to_owned(),
            });
        };
        metadata.insert(key, value);
    }
    Ok(metadata)
}

fn unusable(error: impl Display) -> TraceError {
    TraceError::Exporter(error.to_string())
}
