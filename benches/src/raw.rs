//! An HTTP/1.1 client that hides nothing: interim answers, chunk borders, and how the connection ended.

use std::io;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

const MAX_HEADERS: usize = 4096;

/// One connection.
#[derive(Debug)]
pub struct Client<S = TcpStream> {
    stream: S,
    input: BytesMut,
    framing: Framing,
}

/// Head of an answer, interim ones included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Status code.
    pub status: u16,
    /// Headers in the order and letter case they came in.
    pub headers: Vec<(String, Bytes)>,
}

impl Head {
    /// First value of a header that is text, in any letter case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.header_values(name).first().copied()
    }

    /// All values of a header that are text, in order.
    pub fn header_values(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name));
        named.filter_map(|(_, value)| std::str::from_utf8(value).ok()).collect()
    }
}

/// A whole answer, or as much of it as came.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Statuses of the interim answers before it.
    pub interim: Vec<u16>,
    /// Its head.
    pub head: Head,
    /// Body, piece by piece: chunks of a chunked body, reads of another one.
    pub pieces: Vec<Bytes>,
    /// How it ended.
    pub end: End,
}

impl Answer {
    /// The body in one.
    pub fn body(&self) -> Bytes {
        self.pieces.concat().into()
    }

    /// Body as JSON, `Null` when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body()).unwrap_or_default()
    }
}

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As its framing says.
    Complete,
    /// By the end of the connection, before its framing says so.
    Cut,
    /// By a reset.
    Reset,
    /// By the end of a TLS stream without `close_notify`, or another error.
    Broken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Done,
    Length(u64),
    Chunked,
    Close,
}

impl Client<TcpStream> {
    /// Connects without TLS.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn connect(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// A client over a stream that is connected already.
    pub fn over(stream: S) -> Self {
        Self { stream, input: BytesMut::new(), framing: Framing::Done }
    }

    /// The stream below.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// The connection ended before the head of the answer was complete.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.send(request).await?;
        self.answer().await
    }

    /// Next head, interim or final.
    ///
    /// # Errors
    /// `UnexpectedEof` where the connection ended before, `InvalidData` for what is not HTTP, `ConnectionReset`.
    pub async fn head(&mut self) -> io::Result<Head> {
        loop {
            let mut slots = vec![httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut parsed = httparse::Response::new(&mut slots);
            let status =
                parsed.parse(&self.input).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            if let httparse::Status::Complete(length) = status {
                let header =
                    |header: &httparse::Header<'_>| (header.name.to_owned(), Bytes::copy_from_slice(header.value));
                let headers = parsed.headers.iter().map(header).collect();
                let head = Head { status: parsed.code.unwrap_or_default(), headers };
                _ = self.input.split_to(length);
                self.framing = framing(&head);
                return Ok(head);
            }
            if self.fill().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Next piece of the body, `None` at its end.
    ///
    /// # Errors
    /// `UnexpectedEof` where the connection ended before the body, `ConnectionReset`.
    pub async fn piece(&mut self) -> io::Result<Option<Bytes>> {
        match self.framing {
            Framing::Done => Ok(None),
            Framing::Length(0) => self.done(),
            Framing::Length(left) => {
                self.fill_if_empty(false).await?;
                let taken = self.input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                self.framing = Framing::Length(left - taken as u64);
                Ok(Some(self.input.split_to(taken).freeze()))
            }
            Framing::Close => {
                self.fill_if_empty(true).await?;
                if self.input.is_empty() { self.done() } else { Ok(Some(self.input.split().freeze())) }
            }
            Framing::Chunked => {
                let line = self.line().await?;
                let size =
                    std::str::from_utf8(&line).ok().and_then(|digits| usize::from_str_radix(digits.trim(), 16).ok());
                let size = size.ok_or(io::ErrorKind::InvalidData)?;
                if size == 0 {
                    while !self.line().await?.is_empty() {}
                    return self.done();
                }
                while self.input.len() < size + 2 {
                    self.fill_some().await?;
                }
                let piece = self.input.split_to(size).freeze();
                _ = self.input.split_to(2);
                Ok(Some(piece))
            }
        }
    }

    /// Next whole answer with the interim ones before it, however its body ends.
    ///
    /// # Errors
    /// The connection ended before the head of the answer was complete.
    pub async fn answer(&mut self) -> io::Result<Answer> {
        let mut interim = Vec::new();
        let head = loop {
            let head = self.head().await?;
            if head.status >= 200 {
                break head;
            }
            interim.push(head.status);
        };
        let mut pieces = Vec::new();
        let end = loop {
            match self.piece().await {
                Ok(Some(piece)) => pieces.push(piece),
                Ok(None) => break End::Complete,
                Err(error) => break self.end_of(&error),
            }
        };
        Ok(Answer { interim, head, pieces, end })
    }

    /// Whether the other side has closed; waits until it does or sends something.
    ///
    /// # Errors
    /// `ConnectionReset` and others of the connection.
    pub async fn closed(&mut self) -> io::Result<bool> {
        Ok(self.input.is_empty() && self.fill().await? == 0)
    }

    fn end_of(&mut self, error: &io::Error) -> End {
        // What came of an unfinished chunk is not a piece.
        self.framing = Framing::Done;
        match error.kind() {
            io::ErrorKind::ConnectionReset => End::Reset,
            // rustls words a missing `close_notify`; the end of a stream has no words.
            io::ErrorKind::UnexpectedEof if error.get_ref().is_none() => End::Cut,
            _ => End::Broken,
        }
    }

    fn done(&mut self) -> io::Result<Option<Bytes>> {
        self.framing = Framing::Done;
        Ok(None)
    }

    async fn line(&mut self) -> io::Result<Bytes> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.input) {
                let line = self.input.split_to(end + 1).freeze();
                return Ok(line.slice(..line.trim_ascii_end().len()));
            }
            self.fill_some().await?;
        }
    }

    async fn fill_if_empty(&mut self, end_is_fine: bool) -> io::Result<()> {
        if self.input.is_empty() && self.fill().await? == 0 && !end_is_fine {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    async fn fill_some(&mut self) -> io::Result<()> {
        if self.fill().await? == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.input.reserve(16 * 1024);
        self.stream.read_buf(&mut self.input).await
    }
}

fn framing(head: &Head) -> Framing {
    if head.status < 200 || head.status == 204 || head.status == 304 {
        return Framing::Done;
    }
    if head.header("transfer-encoding").is_some() {
        return Framing::Chunked;
    }
    match head.header("content-length").and_then(|length| length.parse().ok()) {
        Some(length) => Framing::Length(length),
        None => Framing::Close,
    }
}

/// Bytes of a `POST` with a JSON body and a bearer token.
pub fn post(path: &str, key: &str, body: &str) -> Vec<u8> {
    post_with(path, key, "", body)
}

/// The same with further header lines, each ended by `\r\n`.
pub fn post_with(path: &str, key: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
         {headers}Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Bytes of a request without a body, with a bearer token.
pub fn request(method: &str, path: &str, key: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n").into_bytes()
}
