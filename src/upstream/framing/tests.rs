use proptest::prelude::*;

use super::*;

/// What a stream, given in pieces and then ended, looks like behind the filter.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    output: Vec<u8>,
    end: Result<(), FramingError>,
    status: Option<u16>,
    reusable: bool,
    surplus: bool,
}

fn filtered<'a>(to_head: bool, pieces: impl IntoIterator<Item = &'a [u8]>) -> Seen {
    let mut filter = Filter::new(to_head);
    let mut output = Vec::new();
    for piece in pieces {
        let mut piece = piece.to_vec();
        let passed = filter.pass(&mut piece);
        output.extend_from_slice(&filter.take_held().split());
        output.extend_from_slice(&piece[..passed]);
    }
    let reusable = filter.is_reusable();
    let end = filter.end();
    Seen { output, end, status: filter.status(), reusable, surplus: filter.has_surplus() }
}

fn whole(stream: &str) -> Seen {
    filtered(false, [stream.as_bytes()])
}

fn passes(stream: &str, output: &str, reusable: bool) {
    let seen = whole(stream);
    assert_eq!((String::from_utf8_lossy(&seen.output).as_ref(), seen.end, seen.reusable), (output, Ok(()), reusable));
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

#[test]
fn whole_answers_pass_unchanged() {
    for (stream, reusable) in [
        (OK, true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n2;a=b\r\nhi\r\n0\r\nX: y\r\nZ: w\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nConnection: x, CLOSE\r\nContent-Length: 2\r\n\r\nhi", false),
        ("HTTP/1.1 204 No Content\r\n\r\n", true),
        ("HTTP/1.1 304 Not Modified\r\n\r\n", true),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", false),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi", true),
        ("HTTP/1.0 200 OK\r\n\r\nhi", false),
        ("\r\nHTTP/1.1 200 OK\nContent-Length : 2\n\nhi", true),
    ] {
        passes(stream, stream, reusable);
    }
}

#[test]
fn answers_awc_would_misread_are_kept_from_the_pool() {
    // awc waits for the announced body of a 304 and for the end behind HTTP/1.0.
    for stream in [
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
    ] {
        passes(stream, stream, false);
    }
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n";
    let seen = filtered(true, [&head[..]]);
    assert_eq!((seen.output.as_slice(), seen.end, seen.reusable), (&head[..], Ok(()), true));
}

#[test]
fn interim_answers_are_dropped() {
    passes(&format!("HTTP/1.1 100 Continue\r\n\r\n{OK}"), OK, true);
    passes(&format!("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 P\r\n\r\n{OK}"), OK, true);
    let many = "HTTP/1.1 102 P\r\n\r\n".repeat(MAX_INTERIM_ANSWERS);
    passes(&format!("{many}{OK}"), OK, true);
    assert_eq!(whole(&format!("{many}HTTP/1.1 102 P\r\n\r\n{OK}")).end, Err(FramingError::TooManyInterimAnswers));
}

#[test]
fn an_answer_that_ends_with_the_connection_is_marked_for_awc() {
    passes("HTTP/1.1 200 OK\r\nX: y\r\n\r\nto the end", "HTTP/1.0 200 OK\r\nX: y\r\n\r\nto the end", false);
    passes("\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhi", "\r\n\r\nHTTP/1.0 200 OK\r\n\r\nhi", false);
    passes(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhi",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhi",
        false,
    );
}

#[test]
fn an_upgrade_header_does_not_lose_the_body() {
    passes(
        "HTTP/1.1 426 U\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.1 426 U\r\nUpgrade:          \r\nContent-Length: 2\r\n\r\nhi",
        true,
    );
}

#[test]
fn bytes_behind_the_answer_do_not_pass() {
    for surplus in ["x", OK, "HTTP/1.1 103 Early Hints\r\n\r\n"] {
        let seen = whole(&format!("{OK}{surplus}"));
        assert_eq!((seen.output.as_slice(), seen.surplus, seen.reusable), (OK.as_bytes(), true, false));
    }
}

#[test]
fn broken_and_cut_answers_are_told_apart() {
    let heads = |count: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{}\r\n", "a: b\r\n".repeat(count - 1));
    let large = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(MAX_HEAD_BYTES));
    assert_eq!(whole(&heads(MAX_HEADERS)).end, Ok(()));
    for (stream, error) in [
        ("", FramingError::NoAnswer),
        ("H", FramingError::CutHead),
        ("HTTP/1.1 200 OK\r\nContent-Le", FramingError::CutHead),
        ("HTTP/1.1 103 Early Hints\r\n\r\n", FramingError::CutHead),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", FramingError::CutBody),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", FramingError::CutBody),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n", FramingError::CutBody),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", FramingError::UnexpectedUpgrade),
        ("SSH-2.0-OpenSSH_9.2\r\n", FramingError::MalformedHead),
        ("HTTP/1.1 099 X\r\n\r\n", FramingError::MalformedHead),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nhih", FramingError::BadContentLength),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi", FramingError::BadContentLength),
        ("HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nhi", FramingError::BadContentLength),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nhi", FramingError::BadContentLength),
        ("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\nhi", FramingError::BadContentLength),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            FramingError::LengthAndTransferEncoding,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            FramingError::UnsupportedTransferEncoding,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            FramingError::UnsupportedTransferEncoding,
        ),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", FramingError::UnsupportedTransferEncoding),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhixx", FramingError::MalformedChunk),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", FramingError::MalformedChunk),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\n", FramingError::MalformedChunk),
        (heads(MAX_HEADERS + 1).as_str(), FramingError::TooManyHeaders),
        (large.as_str(), FramingError::HeadTooLarge),
    ] {
        let seen = whole(stream);
        assert_eq!((seen.end, seen.reusable), (Err(error), false), "{stream:.80}");
    }
}

/// Streams made of the parts that matter, in sensible and senseless order.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => Just("HTTP/1.1 200 OK\r\n"),
        1 => Just("HTTP/1.0 200 OK\r\n"),
        1 => Just("HTTP/1.1 304 Not Modified\r\n"),
        2 => Just("HTTP/1.1 103 Early Hints\r\n\r\n"),
        1 => Just("HTTP/1.1 100 Continue\r\n\r\n"),
        3 => Just("Content-Length: 5\r\n"),
        3 => Just("Transfer-Encoding: chunked\r\n"),
        1 => Just("Connection: close\r\n"),
        1 => Just("Upgrade: websocket\r\n"),
        4 => Just("\r\n"),
        3 => Just("5\r\nhello\r\n"),
        3 => Just("0\r\n\r\n"),
        2 => Just("hello"),
        1 => Just("\n"),
        1 => Just("\u{0}"),
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat().into_bytes())
}

fn split<'a>(stream: &'a [u8], lengths: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = stream;
    let mut lengths = lengths.iter().copied().cycle();
    std::iter::from_fn(move || {
        let (piece, behind) = rest.split_at(lengths.next().unwrap_or(1).min(rest.len()));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

proptest! {
    #[test]
    fn any_split_gives_the_same_result(
        to_head: bool,
        stream in streams(),
        lengths in prop::collection::vec(1_usize..40, 1..8),
    ) {
        let at_once = filtered(to_head, [stream.as_slice()]);
        prop_assert_eq!(&filtered(to_head, split(&stream, &lengths)), &at_once);
        prop_assert_eq!(&filtered(to_head, split(&stream, &[1])), &at_once);
    }

    #[test]
    fn a_shortened_answer_is_never_whole(length in 1_usize..100, chunked: bool, cut in 1_usize..200) {
        let body = "x".repeat(length);
        let stream = if chunked {
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n")
        } else {
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")
        };
        prop_assert_eq!(whole(&stream).end, Ok(()));
        let kept = stream.len().saturating_sub(cut);
        prop_assert!(whole(&stream[..kept]).end.is_err());
    }

    #[test]
    fn no_bytes_make_it_panic(to_head: bool, stream: Vec<u8>, lengths in prop::collection::vec(1_usize..9, 1..4)) {
        filtered(to_head, split(&stream, &lengths));
    }
}
