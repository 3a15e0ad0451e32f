//! Many open streams at once, read as slowly as they come.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Target;
use super::body::Scan;

/// Connections from one source address: the ephemeral ports of Linux, less a few.
const PER_SOURCE: usize = 27_000;
/// Connections being opened at the same time.
const OPENING: usize = 128;

/// Streams that are open; dropping it closes them.
#[derive(Debug)]
pub struct Held {
    live: Arc<AtomicUsize>,
    failed: usize,
    _readers: JoinSet<()>,
}

impl Held {
    /// Streams that are open and have sent something.
    pub fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// Streams that could not be opened.
    pub fn failed(&self) -> usize {
        self.failed
    }
}

/// Opens `count` streams and returns when each has sent its first bytes of body, failed, or `patience` is over. Loopback
/// targets are reached from several loopback addresses, since one has not enough ports.
pub async fn hold(target: &Target, count: usize, patience: Duration) -> Held {
    let live = Arc::new(AtomicUsize::new(0));
    let gate = Arc::new(Semaphore::new(OPENING));
    let (opened, mut results) = tokio::sync::mpsc::unbounded_channel();
    let mut readers = JoinSet::new();
    for number in 0..count {
        let (target, live, gate, opened) = (target.clone(), Arc::clone(&live), Arc::clone(&gate), opened.clone());
        readers.spawn(async move {
            let permit = gate.acquire_owned().await;
            let begun = begin(&target, number / PER_SOURCE).await;
            drop(permit);
            // The receiver is gone when patience was over.
            _ = opened.send(begun.is_some());
            drop(opened);
            if let Some(mut stream) = begun {
                live.fetch_add(1, Ordering::Relaxed);
                let mut buffer = [0; 512];
                while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
                live.fetch_sub(1, Ordering::Relaxed);
            }
        });
    }
    drop(opened);
    let mut succeeded = 0;
    let all = async {
        while let Some(good) = results.recv().await {
            succeeded += usize::from(good);
        }
    };
    // Those still opening count as failed.
    _ = tokio::time::timeout(patience, all).await;
    Held { live, failed: count - succeeded, _readers: readers }
}

/// A stream that has sent the first bytes of its body.
async fn begin(target: &Target, source: usize) -> Option<TcpStream> {
    let mut stream = connect(target.addr, source).await.ok()?;
    stream.write_all(&target.request).await.ok()?;
    let mut scan = Scan::new();
    let mut buffer = [0; 512];
    while !scan.body_seen() {
        let read = stream.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        scan.take(&buffer[..read]).ok()?;
    }
    (scan.status() == 200).then_some(stream)
}

async fn connect(addr: SocketAddr, source: usize) -> std::io::Result<TcpStream> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if addr.ip() == IpAddr::V4(Ipv4Addr::LOCALHOST) && source > 0 {
        let source = u8::try_from(source + 1).unwrap_or(u8::MAX);
        socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, source), 0)))?;
    }
    socket.connect(addr).await
}
