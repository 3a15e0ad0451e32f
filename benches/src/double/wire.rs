//! One connection of the double: reading requests, writing bytes, and noticing at any moment that the client left.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::request::Head;

/// Bytes a client may send ahead while an answer is under way before the double stops looking.
const READ_AHEAD: usize = 64 * 1024;
const MAX_HEAD: usize = 1024 * 1024;

/// The client closed or reset the connection.
#[derive(Debug)]
pub(crate) struct Gone;

/// Why no request could be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The connection ended, in the middle of a request or between two.
    Gone,
    /// What came is not HTTP/1.
    Malformed(&'static str),
}

/// A request body without its transfer coding.
#[derive(Debug, Default)]
pub(crate) struct Body {
    /// Its first bytes, up to the limit.
    pub(crate) bytes: Bytes,
    pub(crate) length: u64,
    pub(crate) sha256: String,
}

enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

pub(crate) struct Conn {
    transport: Transport,
    input: BytesMut,
}

impl Conn {
    pub(crate) fn plain(stream: TcpStream) -> Self {
        Self { transport: Transport::Plain(stream), input: BytesMut::new() }
    }

    pub(crate) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self { transport: Transport::Tls(Box::new(stream)), input: BytesMut::new() }
    }

    /// Head of the next request.
    pub(crate) async fn read_head(&mut self) -> Result<Head, ReadError> {
        loop {
            if !self.input.is_empty()
                && let Some(head) = Head::parse(&mut self.input).map_err(ReadError::Malformed)?
            {
                return Ok(head);
            }
            if self.input.len() > MAX_HEAD {
                return Err(ReadError::Malformed("the head is too large"));
            }
            self.fill().await.map_err(|Gone| ReadError::Gone)?;
        }
    }

    /// Body of the request; keeps `limit` bytes of it, and a hash of all of it where `hash` is set.
    pub(crate) async fn read_body(&mut self, head: &Head, limit: usize, hash: bool) -> Result<Body, ReadError> {
        if head.expects_continue && self.input.is_empty() {
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n").await.map_err(|Gone| ReadError::Gone)?;
        }
        let mut sink = Sink { limit, kept: BytesMut::new(), length: 0, hasher: hash.then(Sha256::new) };
        if head.chunked {
            while let Some(size) = self.read_chunk_size().await? {
                self.read_exactly(size, &mut sink).await?;
                self.read_line().await?;
            }
        } else if head.content_length > 0 && head.content_length <= self.input.len().min(limit) as u64 && !hash {
            // The common case of a bench: the whole body came with the head, and nobody records it.
            let length = head.content_length as usize;
            return Ok(Body { bytes: self.input.split_to(length).freeze(), length: length as u64, ..Body::default() });
        } else {
            self.read_exactly(head.content_length, &mut sink).await?;
        }
        Ok(sink.finish())
    }

    async fn read_exactly(&mut self, mut left: u64, sink: &mut Sink) -> Result<(), ReadError> {
        while left > 0 {
            if self.input.is_empty() {
                self.fill().await.map_err(|Gone| ReadError::Gone)?;
            }
            let taken = self.input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            sink.take(&self.input[..taken]);
            self.input.advance(taken);
            left -= taken as u64;
        }
        Ok(())
    }

    /// Size of the next chunk; `None` after the last one and its trailers.
    async fn read_chunk_size(&mut self) -> Result<Option<u64>, ReadError> {
        let line = self.read_line().await?;
        let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let size = std::str::from_utf8(digits).ok().and_then(|digits| u64::from_str_radix(digits, 16).ok());
        match size.ok_or(ReadError::Malformed("chunk size"))? {
            0 => {
                while !self.read_line().await?.is_empty() {}
                Ok(None)
            }
            size => Ok(Some(size)),
        }
    }

    async fn read_line(&mut self) -> Result<Bytes, ReadError> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.input) {
                let line = self.input.split_to(end + 1).freeze();
                return Ok(line.slice(..line.trim_ascii_end().len()));
            }
            if self.input.len() > MAX_HEAD {
                return Err(ReadError::Malformed("line too long"));
            }
            self.fill().await.map_err(|Gone| ReadError::Gone)?;
        }
    }

    async fn fill(&mut self) -> Result<(), Gone> {
        self.input.reserve(8 * 1024);
        let read = match &mut self.transport {
            Transport::Plain(stream) => stream.read_buf(&mut self.input).await,
            Transport::Tls(stream) => stream.read_buf(&mut self.input).await,
        };
        match read {
            Ok(0) | Err(_) => Err(Gone),
            Ok(_) => Ok(()),
        }
    }

    /// Writes all, or finds that the client left while the write was blocked.
    pub(crate) async fn write(&mut self, mut bytes: &[u8]) -> Result<(), Gone> {
        poll_fn(|cx| {
            while !bytes.is_empty() {
                match self.transport.poll_write(cx, bytes) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(Gone)),
                    Poll::Ready(Ok(written)) => bytes = &bytes[written..],
                    Poll::Pending => return self.poll_gone(cx).map(Err),
                }
            }
            self.transport.poll_flush(cx).map_err(|_| Gone)
        })
        .await
    }

    /// Waits, and returns at once when the client leaves meanwhile.
    pub(crate) async fn pause(&mut self, pause: Duration) -> Result<(), Gone> {
        tokio::select! {
            biased;
            gone = self.gone() => Err(gone),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }

    /// Resolves when the client leaves.
    pub(crate) async fn gone(&mut self) -> Gone {
        poll_fn(|cx| self.poll_gone(cx)).await
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Gone> {
        let mut space = [0; 2048];
        while self.input.len() < READ_AHEAD {
            let mut buf = ReadBuf::new(&mut space);
            match ready!(self.transport.poll_read(cx, &mut buf)) {
                Ok(()) if buf.filled().is_empty() => return Poll::Ready(Gone),
                Ok(()) => self.input.extend_from_slice(buf.filled()),
                Err(_) => return Poll::Ready(Gone),
            }
        }
        Poll::Pending
    }

    /// Ends the connection in order, over TLS with `close_notify`.
    pub(crate) async fn close(mut self) {
        let closed = match &mut self.transport {
            Transport::Plain(stream) => stream.shutdown().await,
            Transport::Tls(stream) => stream.shutdown().await,
        };
        if closed.is_ok() {
            // Unread input would turn the close into a reset: take what comes until the client closes too.
            _ = tokio::time::timeout(Duration::from_secs(5), async {
                while self.fill().await.is_ok() {
                    self.input.clear();
                }
            })
            .await;
        }
    }

    /// Ends the TCP connection, over TLS without `close_notify`.
    pub(crate) fn abandon(self) {
        drop(self.transport);
    }

    /// Ends the connection with a TCP reset.
    pub(crate) fn reset(self) {
        let stream = match &self.transport {
            Transport::Plain(stream) => stream,
            Transport::Tls(stream) => stream.get_ref().0,
        };
        // Only a closed socket refuses the option, and there is nothing to reset then.
        _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
    }
}

impl Transport {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

struct Sink {
    limit: usize,
    kept: BytesMut,
    length: u64,
    hasher: Option<Sha256>,
}

impl Sink {
    fn take(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        let room = self.limit.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
    }

    fn finish(self) -> Body {
        let hex = |digest: &[u8]| digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let sha256 = self.hasher.map(|hasher| hex(&hasher.finalize())).unwrap_or_default();
        Body { bytes: self.kept.freeze(), length: self.length, sha256 }
    }
}
