//! Upstreams and proxies made of raw sockets, so that they can misbehave.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A connection, plain or TLS.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Socket for T {}

pub(crate) struct Connection {
    pub(crate) io: Box<dyn Socket>,
    /// Counted from 0.
    pub(crate) number: usize,
}

/// A request as it stood on the wire.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

impl Connection {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.io.write_all(bytes.as_ref()).await.unwrap();
        self.io.flush().await.unwrap();
    }

    /// Ends the connection properly (TLS: with close_notify).
    pub(crate) async fn finish(mut self) {
        self.io.shutdown().await.unwrap();
    }

    pub(crate) async fn head(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match self.io.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return None,
            }
        }
        Some(String::from_utf8(head).unwrap())
    }

    /// The next request; `None` when the client closed.
    pub(crate) async fn request(&mut self) -> Option<Request> {
        let mut request = Request { head: self.head().await?, body: Vec::new() };
        if let Some(length) = request.header("content-length") {
            request.body = vec![0; length.parse().unwrap()];
            self.io.read_exact(&mut request.body).await.ok()?;
        } else if request.header("transfer-encoding").is_some() {
            while !request.body.ends_with(b"0\r\n\r\n") {
                request.body.push(self.io.read_u8().await.ok()?);
            }
        }
        Some(request)
    }

    /// Returns once the client has closed or reset the connection.
    pub(crate) async fn closed(&mut self) {
        let mut rest = [0; 1024];
        while !matches!(self.io.read(&mut rest).await, Ok(0) | Err(_)) {}
    }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    accepted: Rc<Cell<usize>>,
    task: actix_rt::task::JoinHandle<()>,
}

type Handling = Pin<Box<dyn Future<Output = ()>>>;

impl Server {
    pub(crate) async fn start<F: Future<Output = ()> + 'static>(handle: impl Fn(Connection) -> F + 'static) -> Self {
        Self::run(None, Rc::new(move |connection| Box::pin(handle(connection)) as Handling)).await
    }

    pub(crate) async fn start_tls<F: Future<Output = ()> + 'static>(
        config: ServerConfig,
        handle: impl Fn(Connection) -> F + 'static,
    ) -> Self {
        let config = Arc::new(config);
        Self::start_tls_by(move |_| Arc::clone(&config), handle).await
    }

    /// With TLS settings of its own for each connection.
    pub(crate) async fn start_tls_by<F: Future<Output = ()> + 'static>(
        config: impl Fn(usize) -> Arc<ServerConfig> + 'static,
        handle: impl Fn(Connection) -> F + 'static,
    ) -> Self {
        let handle = Rc::new(move |connection| Box::pin(handle(connection)) as Handling);
        Self::run(Some(Rc::new(config)), handle).await
    }

    async fn run(
        tls: Option<Rc<dyn Fn(usize) -> Arc<ServerConfig>>>,
        handle: Rc<dyn Fn(Connection) -> Handling>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Rc::new(Cell::new(0));
        let count = Rc::clone(&accepted);
        let task = actix_rt::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let number = count.replace(count.get() + 1);
                let (tls, handle) = (tls.clone(), Rc::clone(&handle));
                actix_rt::spawn(async move {
                    let io: Box<dyn Socket> = match tls {
                        None => Box::new(tcp),
                        Some(config) => match TlsAcceptor::from(config(number)).accept(tcp).await {
                            Ok(stream) => Box::new(stream),
                            Err(_) => return,
                        },
                    };
                    handle(Connection { io, number }).await;
                });
            }
        });
        Self { address, accepted, task }
    }

    /// Answers every request with what `answer` makes of it, and records it.
    pub(crate) async fn answering(answer: impl Fn(&Request) -> String + 'static) -> (Self, Rc<RefCell<Vec<Request>>>) {
        let requests = Rc::new(RefCell::new(Vec::new()));
        let (seen, answer) = (Rc::clone(&requests), Rc::new(answer));
        let server = Self::start(move |mut connection| {
            let (seen, answer) = (Rc::clone(&seen), Rc::clone(&answer));
            async move {
                while let Some(request) = connection.request().await {
                    connection.send(answer(&request)).await;
                    seen.borrow_mut().push(request);
                }
            }
        })
        .await;
        (server, requests)
    }

    /// Connections accepted so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.get()
    }

    pub(crate) fn authority(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A certificate for 127.0.0.1 and localhost, and the settings of a server that shows it.
pub(crate) struct Identity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        Self { certificate: made.cert.der().clone(), key: made.signing_key.serialize_der() }
    }

    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        roots
    }

    pub(crate) fn server(&self, protocols: &[&[u8]]) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivatePkcs8KeyDer::from(self.key.clone());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], key.into())
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        config
    }
}
