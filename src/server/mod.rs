//! The HTTP server: which service answers which path, and how connections are treated.

pub mod cors;
pub mod tls;

use std::{net::TcpListener, rc::Rc, sync::Arc, time::Duration};

use actix_http::header::HeaderValue;
use actix_web::{
    App, Error, HttpRequest, HttpResponse, HttpServer,
    body::MessageBody,
    dev::{Server, ServiceRequest, ServiceResponse},
    guard::fn_guard,
    http::{Method, header},
    middleware::{Condition, Next, from_fn},
    web,
};

use self::{cors::Cors, tls::CertificateFiles};
use crate::{
    admin::{self, AdminState, Forwarder},
    proxy::{
        self,
        entrance::PROVIDER_PREFIXES,
        state::{ProxyState, Worker},
    },
    ui,
    upstream::Clients,
};

/// How often idle upstream connections are looked at.
const SWEEP_EVERY: Duration = Duration::from_secs(2);

/// First segments of the paths that are the node's own.
const OWN_PATHS: [&str; 6] = ["api", "health", "metrics", "stats", "blacklist", "reset-keys"];

/// How the server treats connections.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Worker threads.
    pub workers: usize,
    /// Time for a request's head.
    pub read_timeout: Duration,
    /// Time without any byte acknowledged by the client after which a connection counts as dead.
    pub write_timeout: Duration,
    /// Time an idle connection is kept.
    pub idle_timeout: Duration,
    /// Time for requests in flight at shutdown.
    pub shutdown_timeout: Duration,
    /// Cross-origin headers, if switched on.
    pub cors: Option<Cors>,
}

/// Starts serving on `listener`. Dropping the answer does not stop it; its handle does.
///
/// # Errors
///
/// When the listener cannot be used.
pub fn serve(
    listener: TcpListener,
    tls: Option<&Arc<CertificateFiles>>,
    options: &ServerOptions,
    state: &Arc<ProxyState>,
    admin: &web::Data<AdminState>,
    connect: impl Fn() -> Clients + Send + Clone + 'static,
) -> std::io::Result<Server> {
    let state = Arc::clone(state);
    let admin = admin.clone();
    let cors = options.cors.clone();
    let write_timeout = options.write_timeout;
    let server = HttpServer::new(move || {
        let worker = Rc::new(Worker { state: Arc::clone(&state), clients: connect() });
        let forwarder = Rc::new(Forwarder { clients: connect() });
        sweep_regularly(&worker, |worker| &worker.clients);
        sweep_regularly(&forwarder, |forwarder| &forwarder.clients);
        let cors = cors.clone().map(Rc::new);
        let prefix = state.base_path.clone();
        App::new()
            .app_data(worker)
            .app_data(admin.clone())
            .app_data(Rc::clone(&forwarder))
            .service(
                web::scope(&state.base_path)
                    .guard(fn_guard(move |request| {
                        is_proxied(&request.head().method, request.head().uri.path(), &prefix)
                    }))
                    .default_service(web::to(proxy::handle)),
            )
            .service(
                web::scope(&state.base_path)
                    .wrap(admin::security_headers())
                    .configure(admin::configure)
                    .default_service(web::to(own_page)),
            )
            .wrap(Condition::new(cors.is_some(), from_fn(move |request, next| with_cors(cors.clone(), request, next))))
    })
    .workers(options.workers)
    .keep_alive(options.idle_timeout)
    .client_request_timeout(options.read_timeout)
    .shutdown_timeout(options.shutdown_timeout.as_secs())
    .disable_signals()
    .tcp_nodelay(true)
    .h1_allow_half_closed(false)
    .on_connect(move |connection, _| limit_write_stall(connection, write_timeout));
    let server = match tls {
        Some(files) => server.listen_rustls_0_23(listener, files.server_config())?,
        None => server.listen_auto_h2c(listener)?,
    };
    Ok(server.run())
}

/// Whether a request is for a provider. Such requests go straight to the data path, past the routes of the management API,
/// whose patterns would all be tried first. What the management API says about a group at the group's own address is the one
/// exception. Of paths that tell nothing, a browser reads pages and an SDK posts to the default group.
fn is_proxied(method: &Method, path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|path| {
        (path.starts_with("/proxy/") && !admin::is_group_form(path))
            || PROVIDER_PREFIXES.iter().any(|known| path.starts_with(known))
            || (*method != Method::GET && *method != Method::HEAD && !is_own(path))
    })
}

/// Whether a path below the node's prefix belongs to the management API, whatever the method.
fn is_own(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    OWN_PATHS.contains(&first) || admin::is_group_form(path)
}

/// The UI, and for whoever does not want HTML what the data path says of a path that leads nowhere.
async fn own_page(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let prefix = request.app_data::<Rc<Worker>>().map(|worker| worker.state.base_path.clone()).unwrap_or_default();
    let path = request.uri().path();
    match ui::answer::<ui::Embedded>(&request, &prefix, path.strip_prefix(prefix.as_str()).unwrap_or(path)) {
        Some(answer) => answer,
        None => proxy::handle(request, payload).await,
    }
}

/// Closes upstream connections whose time is over, and forgets profiles that no group has any more, as long as the worker
/// lives.
fn sweep_regularly<T: 'static>(owner: &Rc<T>, clients: fn(&T) -> &Clients) {
    let owner = Rc::downgrade(owner);
    actix_web::rt::spawn(async move {
        let mut ticks = tokio::time::interval(SWEEP_EVERY);
        loop {
            ticks.tick().await;
            let Some(owner) = owner.upgrade() else { return };
            clients(&owner).sweep(std::time::Instant::now());
        }
    });
}

/// A client that acknowledges nothing for so long is gone, even when its machine never said so; one that reads slowly is
/// not, so the kernel's own measure of unacknowledged data is the right one.
fn limit_write_stall(connection: &dyn std::any::Any, timeout: Duration) {
    let stream = connection.downcast_ref::<tokio::net::TcpStream>().or_else(|| {
        let tls = connection.downcast_ref::<actix_tls::accept::rustls_0_23::TlsStream<tokio::net::TcpStream>>()?;
        Some(tls.get_ref().0)
    });
    if let Some(stream) = stream
        && let Err(error) = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(timeout))
    {
        tracing::debug!(%error, "the write time-out could not be set on a connection");
    }
}

async fn with_cors<B: MessageBody + 'static>(
    cors: Option<Rc<Cors>>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let Some(cors) = cors else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    let origin: Option<HeaderValue> = request.headers().get(header::ORIGIN).cloned();
    if request.method() == Method::OPTIONS {
        let mut response = HttpResponse::NoContent().finish();
        cors.apply(origin.as_ref(), response.headers_mut());
        return Ok(request.into_response(response).map_into_right_body());
    }
    let mut response = next.call(request).await?;
    cors.apply(origin.as_ref(), response.headers_mut());
    Ok(response.map_into_left_body())
}
