//! Threads, connections, and the way of one request through the double.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::answer::Answer;
use super::behaviour::Behaviour;
use super::budget::Budgets;
use super::errors::Dialect;
use super::files::Files;
use super::record::{Received, Record};
use super::request::Head;
use super::respond::{self, Next, Sent};
use super::script::Script;
use super::wire::{Body, Conn, ReadError};
use super::{control, route};

/// Model names that begin so carry a behaviour in text form.
const MAGIC: &str = "double;";
const BACKLOG: i32 = 16_384;

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) script: Script,
    pub(crate) budgets: Budgets,
    pub(crate) record: Record,
    pub(crate) files: Files,
    pub(crate) base: Behaviour,
    pub(crate) body_limit: usize,
    pub(crate) connections: AtomicU64,
    pub(crate) crowd: Crowd,
    /// Threads that have shut the door since it was told to be.
    pub(crate) shut: AtomicUsize,
    pub(crate) scheme: &'static str,
}

/// How many requests are here at the same time.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    present: AtomicU64,
    peak: AtomicU64,
}

impl Crowd {
    fn enter(&self) -> Present<'_> {
        let present = self.present.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak.fetch_max(present, Ordering::Relaxed);
        Present(self)
    }

    /// The most since the last call; those that are here count again from now on.
    pub(crate) fn take_peak(&self) -> u64 {
        self.peak.swap(self.present.load(Ordering::Relaxed), Ordering::Relaxed)
    }
}

/// A request from its head to the last byte of its answer.
struct Present<'a>(&'a Crowd);

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.0.present.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A listening socket with room for bursts of connections.
pub(crate) fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let domain = socket2::Domain::for_address(addr);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts and serves on the calling thread until told to stop. While the door is shut there is neither a listening socket
/// nor a connection.
pub(crate) async fn run(
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    mut door: watch::Receiver<Door>,
) -> io::Result<()> {
    let mut connections = JoinSet::new();
    // Whoever could move the door is gone when the channel is closed.
    while door.has_changed().is_ok() {
        let told = door.borrow_and_update().clone();
        let listener = match told {
            Door::Open(open) => Some(tokio::net::TcpListener::from_std(open.try_clone()?)?),
            Door::Shut => {
                connections.shutdown().await;
                shared.shut.fetch_add(1, Ordering::AcqRel);
                None
            }
            Door::Stopped => break,
        };
        while let Some(accepted) = next(&mut door, listener.as_ref(), &mut connections).await {
            match accepted {
                Ok((stream, _)) => _ = connections.spawn(connect(stream, tls.clone(), Arc::clone(&shared))),
                // Out of file descriptors, or a connection that was gone before it was accepted: others may work.
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }
    Ok(())
}

/// Whether connections are taken.
#[derive(Debug, Clone)]
pub(crate) enum Door {
    /// On this socket.
    Open(Arc<TcpListener>),
    /// No.
    Shut,
    /// No, and never again.
    Stopped,
}

/// The next connection; `None` when the door was moved.
async fn next(
    door: &mut watch::Receiver<Door>,
    listener: Option<&tokio::net::TcpListener>,
    connections: &mut JoinSet<()>,
) -> Option<io::Result<(TcpStream, SocketAddr)>> {
    let accept = async {
        match listener {
            Some(listener) => listener.accept().await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(accept);
    loop {
        tokio::select! {
            // A dropped sender means stop as well, which the last value says.
            _ = door.changed() => return None,
            accepted = &mut accept => return Some(accepted),
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connect(stream: TcpStream, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    // Only a closed socket refuses the option; the first read tells.
    _ = stream.set_nodelay(true);
    let conn = match tls {
        None => Conn::plain(stream),
        Some(acceptor) => match acceptor.accept(stream).await {
            Ok(stream) => Conn::tls(stream),
            Err(_) => return,
        },
    };
    let number = shared.connections.fetch_add(1, Ordering::Relaxed);
    let mut next = Next::KeepAlive(conn);
    while let Next::KeepAlive(conn) = next {
        next = exchange(conn, number, &shared).await;
    }
    if let Next::Close(conn) = next {
        conn.close().await;
    }
}

/// One request and its answer.
async fn exchange(mut conn: Conn, number: u64, shared: &Shared) -> Next {
    let head = match conn.read_head().await {
        Ok(head) => head,
        Err(ReadError::Gone) => return Next::Ended,
        Err(ReadError::Malformed(why)) => return refuse(conn, why).await,
    };
    let at = Instant::now();
    if head.path().starts_with("/__double") {
        return control_exchange(conn, &head, shared).await;
    }
    let _present = shared.crowd.enter();
    let key = head.key().map(|key| key.into_owned());
    let asked = head.header("x-double").map(Behaviour::parse).transpose();
    let mut how = match asked {
        Err(why) => return refuse(conn, &why).await,
        Ok(asked) => asked.or_else(|| shared.script.take(key.as_deref(), &head.target)),
    };
    let early = how.as_ref().is_some_and(|how| how.early);
    let recording = shared.record.is_on();
    let read = match early {
        true => Ok(Body::default()),
        false => conn.read_body(&head, shared.body_limit, recording).await,
    };
    let (body, complete) = match read {
        Ok(body) => (body, true),
        Err(ReadError::Malformed(why)) => return refuse(conn, why).await,
        Err(ReadError::Gone) => (Body::default(), false),
    };
    let index = recording.then(|| shared.record.add(received(number, at, &head, &body, key.clone())));
    if !complete {
        if let Some(index) = index {
            shared.record.aborted(index);
        }
        return Next::Ended;
    }
    let names_magic = || memchr::memmem::find(&body.bytes, MAGIC.as_bytes()).is_some() || head.target.contains(MAGIC);
    if how.is_none() && names_magic() {
        match route::model(&head, &body).as_deref().and_then(|model| model.strip_prefix(MAGIC)).map(Behaviour::parse) {
            Some(Err(why)) => return refuse(conn, &why).await,
            Some(Ok(asked)) => how = Some(asked),
            None => {}
        }
    }
    let how = how.map_or_else(|| shared.base.clone(), |how| how.or_extent_of(&shared.base));
    let (how, is_counted) = shared.budgets.spend(key.as_deref(), how, at);
    let mut answer = answer(&head, &body, &how, key.as_deref(), shared);
    if is_counted {
        answer.headers.retain(|(name, _)| !name.contains("ratelimit"));
    }
    let (next, sent) = respond::send(conn, &head, answer, &how).await;
    if let Some(index) = index {
        match sent {
            Sent::Complete => shared.record.answered(index),
            Sent::Aborted => shared.record.aborted(index),
        }
    }
    match next {
        // What the client sent of its body is no request.
        Next::KeepAlive(conn) if early => Next::Close(conn),
        next => next,
    }
}

fn answer(head: &Head, body: &Body, how: &Behaviour, key: Option<&str>, shared: &Shared) -> Answer {
    match how.status {
        // In a stream with an error event the status is that of the event.
        Some(status) if status >= 400 && how.error_event.is_none() => {
            respond::error(route::dialect(head), how, status, key.unwrap_or_default())
        }
        _ if how.early => Answer::json(route::dialect(head), "{}"),
        _ => route::answer(head, body, &shared.files, how, shared.scheme),
    }
}

async fn control_exchange(mut conn: Conn, head: &Head, shared: &Shared) -> Next {
    let Ok(body) = conn.read_body(head, shared.body_limit, false).await else { return Next::Ended };
    match control::answer(head, &body, shared).await {
        Some(answer) => respond::send(conn, head, answer, &Behaviour::default()).await.0,
        None => Next::Ended,
    }
}

async fn refuse(mut conn: Conn, why: &str) -> Next {
    let body = Dialect::OpenAi.error_body(400, Some("provider_double"), why, None);
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    match conn.write(answer.as_bytes()).await {
        Ok(()) => Next::Close(conn),
        Err(_) => Next::Ended,
    }
}

fn received(connection: u64, at: Instant, head: &Head, body: &Body, key: Option<String>) -> Received {
    Received {
        index: 0,
        connection,
        at,
        method: head.method.clone(),
        target: head.target.clone(),
        headers: head.headers.clone(),
        body: body.bytes.clone(),
        body_length: body.length,
        body_sha256: body.sha256.clone(),
        key,
        answered_at: None,
        aborted_at: None,
    }
}
