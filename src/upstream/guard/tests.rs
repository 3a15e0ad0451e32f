use std::error::Error as _;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;
use crate::upstream::idle::IdleConnections;
use crate::upstream::scope::Facts;

impl PendingInput for DuplexStream {
    fn has_pending_input(&self) -> bool {
        false
    }
}

struct Bench {
    guarded: GuardedIo<DuplexStream>,
    upstream: DuplexStream,
    scope: Rc<Scope>,
}

fn bench() -> Bench {
    let (io, upstream) = duplex(4096);
    let scope = Rc::new(Scope::default());
    let guarded = GuardedIo::new(io, Rc::clone(&scope), IdleConnections::default().place("h", 1, 1));
    Bench { guarded, upstream, scope }
}

impl Bench {
    /// One request and what the upstream says to it, as awc reads it.
    async fn exchange(&mut self, reply: &str, ends: bool) -> io::Result<String> {
        self.guarded.write_all(b"GET / HTTP/1.1\r\n\r\n").await?;
        self.upstream.write_all(reply.as_bytes()).await?;
        if ends {
            self.upstream.shutdown().await?;
        }
        let mut seen = vec![0; 4096];
        let length = self.guarded.read(&mut seen).await?;
        Ok(String::from_utf8_lossy(&seen[..length]).into_owned())
    }

    /// What awc's pool sees when it looks at the connection.
    fn is_offered(&mut self) -> bool {
        let mut probe = [0; 2];
        let mut probe = ReadBuf::new(&mut probe);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        Pin::new(&mut self.guarded).poll_read(&mut cx, &mut probe).is_pending()
    }
}

fn guard_error(error: &io::Error) -> Option<GuardError> {
    error.get_ref().and_then(|inner| inner.downcast_ref()).copied()
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

#[tokio::test]
async fn a_whole_answer_leaves_the_connection_open() {
    let mut bench = bench();
    assert_eq!(bench.exchange(OK, false).await.unwrap(), OK);
    assert!(bench.is_offered());
    assert_eq!(bench.exchange(&format!("HTTP/1.1 103 E\r\n\r\n{OK}"), false).await.unwrap(), OK);
    assert!(bench.is_offered());
    bench.upstream.write_all(b"x").await.unwrap();
    assert!(!bench.is_offered());
    assert!(!bench.is_offered());
}

#[tokio::test]
async fn every_failure_carries_its_reason() {
    for (reply, expected) in [
        ("", FramingError::NoAnswer),
        ("HTTP/1.1 200", FramingError::CutHead),
        ("HTTP/1.1 101 S\r\n\r\n", FramingError::UnexpectedUpgrade),
    ] {
        let error = bench().exchange(reply, true).await.unwrap_err();
        assert_eq!(guard_error(&error), Some(GuardError::Framing(expected)));
        assert!(error.source().is_none() && error.to_string() == expected.to_string());
    }
    let mut cut = bench();
    assert_eq!(cut.exchange("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", true).await.unwrap().len(), 40);
    let error = cut.guarded.read_u8().await.unwrap_err();
    assert_eq!(guard_error(&error), Some(GuardError::Framing(FramingError::CutBody)));
    assert_eq!(guard_error(&cut.guarded.write_all(b"x").await.unwrap_err()), Some(GuardError::Closed));
}

#[tokio::test]
async fn the_facts_of_the_call_in_scope_are_kept() {
    let mut bench = bench();
    bench.exchange(OK, false).await.unwrap();
    let facts = Rc::new(Facts::default());
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let scope = Rc::clone(&bench.scope);
    let written =
        scope.enter(&facts, false, || Pin::new(&mut bench.guarded).poll_write(&mut cx, b"GET / HTTP/1.1\r\n\r\n"));
    assert!(written.is_ready());
    assert_eq!((facts.reused.get(), facts.sent.get(), facts.answered.get()), (true, true, false));
    drop(bench.upstream);
    assert!(bench.guarded.read_u8().await.is_err());
    assert_eq!(facts.failure.get(), Some(GuardError::Framing(FramingError::NoAnswer)));
}

#[tokio::test]
async fn a_call_that_wants_a_new_connection_gets_no_pooled_one() {
    let mut bench = bench();
    bench.exchange(OK, false).await.unwrap();
    let scope = Rc::clone(&bench.scope);
    assert!(!scope.enter(&Rc::default(), true, || bench.is_offered()));
    assert!(!bench.is_offered());
}
