//! An OpenTelemetry collector for tests: takes OTLP over HTTP or gRPC and reads it by the official definitions.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span as OtlpSpan,
};
use prost::Message;
use rustls::ServerConfig;
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tonic::{Request, Response, Status, transport::server::TcpIncoming};

use crate::support::PATIENCE;

/// A span as a test looks at it.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty for a root.
    pub(crate) parent: String,
    pub(crate) name: String,
    /// 2 = server, 3 = client.
    pub(crate) kind: i32,
    /// 2 = error.
    pub(crate) status: i32,
    pub(crate) attributes: BTreeMap<String, String>,
}

impl Span {
    /// An attribute; empty when there is none of this name.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// What arrived.
#[derive(Default)]
struct Arrived {
    spans: Vec<Span>,
    resource: BTreeMap<String, String>,
    /// Header `x-tenant` of the last delivery.
    tenant: Option<String>,
    /// Every message, for those who look for secrets.
    text: String,
}

/// A running collector.
#[derive(Clone)]
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    arrived: Arc<Mutex<Arrived>>,
}

impl Collector {
    /// Takes `POST /v1/traces`.
    pub(crate) fn over_http() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let collector = Self { address: listener.local_addr().unwrap(), arrived: Arc::default() };
        let data = collector.clone();
        let take = async |collector: web::Data<Collector>, request: HttpRequest, body: web::Bytes| {
            assert_eq!(request.headers().get("content-type").unwrap(), "application/x-protobuf");
            let tenant = request.headers().get("x-tenant").map(|value| value.to_str().unwrap().to_owned());
            collector.take(ExportTraceServiceRequest::decode(body).unwrap(), tenant);
            let answer = ExportTraceServiceResponse::default().encode_to_vec();
            HttpResponse::Ok().content_type("application/x-protobuf").body(answer)
        };
        let server = HttpServer::new(move || {
            App::new().app_data(web::Data::new(data.clone())).route("/v1/traces", web::post().to(take))
        });
        actix_web::rt::spawn(server.workers(1).disable_signals().listen(listener).unwrap().run());
        collector
    }

    /// Takes `TraceService/Export`.
    pub(crate) fn over_grpc() -> Self {
        let incoming = TcpIncoming::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let collector = Self { address: incoming.local_addr().unwrap(), arrived: Arc::default() };
        let service = TraceServiceServer::new(collector.clone());
        tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
        collector
    }

    /// The same at an address behind TLS, and the certificate (PEM) that it shows.
    pub(crate) async fn behind_tls(&self, protocol: &[u8]) -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config =
            config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key.into()).unwrap();
        config.alpn_protocols = vec![protocol.to_vec()];
        let (acceptor, plain) = (TlsAcceptor::from(Arc::new(config)), self.address);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(stream).await?;
                    tokio::io::copy_bidirectional(&mut stream, &mut TcpStream::connect(plain).await?).await
                });
            }
        });
        (url, made.cert.pem())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn take(&self, request: ExportTraceServiceRequest, tenant: Option<String>) {
        let mut arrived = self.arrived.lock().unwrap();
        arrived.tenant = tenant;
        arrived.text.push_str(&format!("{request:?}"));
        for resource_spans in request.resource_spans {
            arrived.resource = attributes(&resource_spans.resource.unwrap().attributes);
            let spans = resource_spans.scope_spans.into_iter().flat_map(|scope| scope.spans);
            arrived.spans.extend(spans.map(span));
        }
    }

    /// What has arrived, once that are `count` spans, the server's before those of its attempts, which are by number.
    pub(crate) async fn spans(&self, count: usize) -> Vec<Span> {
        let arriving = async {
            while self.arrived.lock().unwrap().spans.len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, arriving).await.expect("the spans arrive");
        let mut spans = self.arrived.lock().unwrap().spans.clone();
        assert_eq!(spans.len(), count, "{spans:#?}");
        spans.sort_by_key(|span| (span.kind, span.get("http.request.resend_count").parse::<u32>().unwrap_or(0)));
        spans
    }

    pub(crate) fn count(&self) -> usize {
        self.arrived.lock().unwrap().spans.len()
    }

    pub(crate) fn resource(&self) -> BTreeMap<String, String> {
        self.arrived.lock().unwrap().resource.clone()
    }

    pub(crate) fn tenant(&self) -> Option<String> {
        self.arrived.lock().unwrap().tenant.clone()
    }

    /// Everything that arrived, as text.
    pub(crate) fn text(&self) -> String {
        self.arrived.lock().unwrap().text.clone()
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let tenant = request.metadata().get("x-tenant").map(|value| value.to_str().unwrap().to_owned());
        self.take(request.into_inner(), tenant);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn span(span: OtlpSpan) -> Span {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Span {
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        name: span.name,
        kind: span.kind,
        status: span.status.map_or(0, |status| status.code),
        attributes: attributes(&span.attributes),
    }
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::BoolValue(flag) => flag.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let pair = |pair: &KeyValue| {
        let value = pair.value.as_ref().and_then(|value| value.value.as_ref()).map(text);
        (pair.key.clone(), value.unwrap_or_default())
    };
    pairs.iter().map(pair).collect()
}
