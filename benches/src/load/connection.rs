//! One connection that sends a request at a time, and connects again when it was closed.

use std::net::SocketAddr;
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::body::Scan;

/// A request that did not get its whole answer.
#[derive(Debug)]
pub(crate) struct Failure;

/// An answer.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) first_byte: Instant,
    pub(crate) end: Instant,
}

pub(crate) struct Connection {
    addr: SocketAddr,
    stream: Option<TcpStream>,
    buffer: Box<[u8]>,
}

impl Connection {
    pub(crate) fn new(addr: SocketAddr) -> Self {
        Self { addr, stream: None, buffer: vec![0; 16 * 1024].into() }
    }

    /// Connects ahead of the first request, so that it does not pay for it.
    pub(crate) async fn connect(&mut self) -> Result<(), Failure> {
        let stream = TcpStream::connect(self.addr).await.map_err(|_| Failure)?;
        stream.set_nodelay(true).map_err(|_| Failure)?;
        self.stream = Some(stream);
        Ok(())
    }

    /// Sends a request and reads its answer to the end.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Seen, Failure> {
        if self.stream.is_none() {
            self.connect().await?;
        }
        // Comes back only after a whole answer.
        let mut stream = self.stream.take().ok_or(Failure)?;
        stream.write_all(request).await.map_err(|_| Failure)?;
        let mut scan = Scan::new();
        let mut first_byte = None;
        loop {
            let read = stream.read(&mut self.buffer).await.map_err(|_| Failure)?;
            let closed = read == 0;
            let done = scan.take(&self.buffer[..read]).map_err(|_| Failure)?;
            if first_byte.is_none() && scan.body_seen() {
                first_byte = Some(Instant::now());
            }
            if done || closed && scan.may_close() {
                if !closed {
                    self.stream = Some(stream);
                }
                let end = Instant::now();
                return Ok(Seen { status: scan.status(), first_byte: first_byte.unwrap_or(end), end });
            }
            if closed {
                return Err(Failure);
            }
        }
    }
}
