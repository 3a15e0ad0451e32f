//! Sending an answer the way a behaviour asks for.

use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::answer::{Answer, Content};
use super::behaviour::{At, Behaviour, Framing};
use super::errors::Dialect;
use super::request::Head;
use super::wire::{Conn, Gone};

const EARLY_HINTS: &[u8] = b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload; as=style\r\n\r\n";
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
const PADDING: usize = 1000;

/// What becomes of the connection.
pub(crate) enum Next {
    /// Further requests are welcome.
    KeepAlive(Conn),
    /// Orderly end.
    Close(Conn),
    /// The script ended it.
    Ended,
}

/// How the client saw the answer.
pub(crate) enum Sent {
    /// All that was meant to be sent.
    Complete,
    /// The client left before.
    Aborted,
}

/// Error answer of a behaviour with a status from 400 up.
pub(crate) fn error(dialect: Dialect, how: &Behaviour, status: u16, key: &str) -> Answer {
    let message = how.message.as_deref().unwrap_or_else(|| dialect.usual_message(status)).replace("{key}", key);
    let body = dialect.error_body(status, how.code.as_deref(), &message, how.retry_after.as_deref());
    Answer { status: dialect.status(status), ..Answer::json(dialect, body) }
}

/// Sends the answer; the connection comes back unless the script ended it.
pub(crate) async fn send(mut conn: Conn, head: &Head, answer: Answer, how: &Behaviour) -> (Next, Sent) {
    let mut script = Sending { how, head, stop: stop(how) };
    match script.run(&mut conn, answer).await {
        Ok(true) => (Next::KeepAlive(conn), Sent::Complete),
        Ok(false) => (Next::Close(conn), Sent::Complete),
        Err(End::Gone) => (Next::Ended, Sent::Aborted),
        Err(End::Stop(Stop::Hang)) => {
            conn.gone().await;
            (Next::Ended, Sent::Aborted)
        }
        Err(End::Stop(Stop::Reset)) => {
            conn.reset();
            (Next::Ended, Sent::Complete)
        }
        Err(End::Stop(Stop::Cut)) => (Next::Close(conn), Sent::Complete),
        Err(End::Stop(Stop::Drop)) => {
            conn.abandon();
            (Next::Ended, Sent::Complete)
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Stop {
    Hang,
    Reset,
    Cut,
    Drop,
}

enum End {
    Gone,
    Stop(Stop),
}

impl From<Gone> for End {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}

fn stop(how: &Behaviour) -> Option<(Stop, At)> {
    let points = [(Stop::Hang, how.hang), (Stop::Reset, how.reset), (Stop::Cut, how.cut), (Stop::Drop, how.drop)];
    points.into_iter().find_map(|(stop, at)| Some((stop, at?)))
}

struct Sending<'a> {
    how: &'a Behaviour,
    head: &'a Head,
    stop: Option<(Stop, At)>,
}

impl Sending<'_> {
    /// Says whether the connection may be used again.
    async fn run(&mut self, conn: &mut Conn, answer: Answer) -> Result<bool, End> {
        let how = self.how;
        if how.delay_head_ms > 0 {
            conn.pause(Duration::from_millis(how.delay_head_ms)).await?;
        }
        if let Some((stop, At::Head)) = self.stop {
            return Err(End::Stop(stop));
        }
        if let Some(raw) = &how.raw {
            let pieces = cut(vec![raw.0.clone()], how.chunk);
            self.write_pieces(conn, &pieces, Framing::Close).await?;
            return Ok(false);
        }
        if how.unsolicited_continue {
            conn.write(CONTINUE).await?;
        }
        if how.early_hints {
            conn.write(EARLY_HINTS).await?;
        }
        let bodiless = self.head.method == "HEAD";
        let is_stream = matches!(answer.content, Content::Events { .. });
        let framing = self.framing(is_stream);
        let keep_alive = self.head.keep_alive && framing != Framing::Close && !how.close;
        let status = self.status(&answer);
        let mut out = self.start(&answer, status, keep_alive);
        let pieces = self.pieces(answer);
        let length: usize = pieces.iter().map(Bytes::len).sum();
        match framing {
            Framing::Length => _ = write!(out, "content-length: {length}\r\n\r\n"),
            Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n"),
            Framing::Close => out.extend_from_slice(b"\r\n"),
        }
        if bodiless {
            conn.write(&out).await?;
        } else if let (Framing::Length, [piece], None) = (framing, pieces.as_slice(), self.stop) {
            out.extend_from_slice(piece);
            conn.write(&out).await?;
        } else {
            conn.write(&out).await?;
            self.write_body(conn, pieces, framing, is_stream).await?;
        }
        if how.trailing_hints {
            conn.write(EARLY_HINTS).await?;
        }
        Ok(keep_alive && !how.close_silently)
    }

    fn status(&self, answer: &Answer) -> u16 {
        let redirect = self.how.redirect.as_ref().map(|_| 307);
        // An error status is in the answer already, in the words of its provider.
        self.how.status.filter(|status| *status < 400).or(redirect).unwrap_or(answer.status)
    }

    fn framing(&self, is_stream: bool) -> Framing {
        let usual = if is_stream { Framing::Chunked } else { Framing::Length };
        match self.how.framing.unwrap_or(usual) {
            Framing::Chunked if !self.head.http11 => Framing::Close,
            framing => framing,
        }
    }

    /// Head up to the framing header.
    fn start(&self, answer: &Answer, status: u16, keep_alive: bool) -> Vec<u8> {
        let how = self.how;
        let mut out = Vec::with_capacity(2048);
        // Writing to a `Vec` cannot fail.
        _ = write!(out, "HTTP/1.1 {status} {}\r\ncontent-type: {}\r\n", reason(status), answer.content_type);
        let mut header = |name: &str, value: &str| _ = write!(out, "{name}: {value}\r\n");
        for (name, value) in answer.headers.iter().chain(&how.headers) {
            header(name, value);
        }
        if let Some(value) = &how.retry_after {
            header("retry-after", value);
        }
        if let Some(location) = &how.redirect {
            header("location", location);
        }
        if how.gzip {
            header("content-encoding", "gzip");
        }
        for number in 0..how.set_cookies {
            header("set-cookie", &format!("cookie-{number}=value-{number}; Path=/; HttpOnly"));
        }
        for number in 0..how.huge_headers.div_ceil(PADDING) {
            let length = (how.huge_headers - number * PADDING).min(PADDING);
            header(&format!("x-double-padding-{number}"), &"x".repeat(length));
        }
        if !keep_alive {
            header("connection", "close");
        }
        out
    }

    /// Body in the pieces that are written one by one.
    fn pieces(&self, answer: Answer) -> Vec<Bytes> {
        let how = self.how;
        if how.empty {
            return Vec::new();
        }
        let mut pieces = match (&how.body, answer.content) {
            (Some(body), _) => vec![body.0.clone()],
            (None, Content::Whole(body)) => vec![body],
            (None, Content::Events { mut events, terminal }) => {
                if how.no_terminal {
                    events.truncate(events.len() - terminal);
                }
                if let Some(after) = how.error_event {
                    events.truncate(after);
                    let status = how.status.filter(|status| *status >= 400).unwrap_or(500);
                    let message = how.message.as_deref().unwrap_or_else(|| answer.dialect.usual_message(status));
                    events.push(answer.dialect.error_event(status, how.code.as_deref(), message).into());
                }
                events
            }
        };
        if how.gzip {
            pieces = compress(&pieces);
        }
        cut(pieces, how.chunk)
    }

    async fn write_body(
        &self,
        conn: &mut Conn,
        mut pieces: Vec<Bytes>,
        framing: Framing,
        is_stream: bool,
    ) -> Result<(), End> {
        let Some((stop, At::After(after))) = self.stop else {
            self.write_pieces(conn, &pieces, framing).await?;
            if framing == Framing::Chunked {
                conn.write(b"0\r\n\r\n").await?;
            }
            return Ok(());
        };
        if is_stream {
            pieces.truncate(after);
        } else {
            let mut left = after;
            for piece in &mut pieces {
                piece.truncate(left);
                left -= piece.len();
            }
        }
        self.write_pieces(conn, &pieces, framing).await?;
        if self.how.delay_event_ms.is_some() {
            self.pause(conn).await?;
        }
        Err(End::Stop(stop))
    }

    async fn write_pieces(&self, conn: &mut Conn, pieces: &[Bytes], framing: Framing) -> Result<(), End> {
        let mut framed = Vec::new();
        for (number, piece) in pieces.iter().enumerate().filter(|(_, piece)| !piece.is_empty()) {
            if number > 0 {
                self.pause(conn).await?;
            }
            if framing == Framing::Chunked {
                framed.clear();
                _ = write!(framed, "{:x}\r\n", piece.len());
                framed.extend_from_slice(piece);
                framed.extend_from_slice(b"\r\n");
                conn.write(&framed).await?;
            } else {
                conn.write(piece).await?;
            }
        }
        Ok(())
    }

    async fn pause(&self, conn: &mut Conn) -> Result<(), Gone> {
        match self.how.delay_event_ms {
            Some(millis) if millis > 0 => conn.pause(Duration::from_millis(millis)).await,
            // Other connections of the thread take their turn.
            _ => {
                tokio::task::yield_now().await;
                Ok(())
            }
        }
    }
}

fn cut(pieces: Vec<Bytes>, chunk: Option<usize>) -> Vec<Bytes> {
    let Some(chunk) = chunk.filter(|chunk| *chunk > 0) else { return pieces };
    let whole: Bytes = pieces.concat().into();
    (0..whole.len()).step_by(chunk).map(|at| whole.slice(at..whole.len().min(at + chunk))).collect()
}

fn compress(pieces: &[Bytes]) -> Vec<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let last = pieces.len().saturating_sub(1);
    let mut compressed = Vec::with_capacity(pieces.len());
    for (number, piece) in pieces.iter().enumerate() {
        // Writing to a `Vec` cannot fail.
        _ = encoder.write_all(piece);
        _ = if number == last { encoder.try_finish() } else { encoder.flush() };
        compressed.push(std::mem::take(encoder.get_mut()).into());
    }
    compressed
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Unnamed",
    }
}
