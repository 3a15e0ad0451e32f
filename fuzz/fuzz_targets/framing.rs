//! The framing filter must not care how a stream is cut into pieces.

#![no_main]

use gpt_load::upstream::framing::{Filter, FramingError};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, PartialEq, Eq)]
struct Seen {
    output: Vec<u8>,
    end: Result<(), FramingError>,
    status: Option<u16>,
    reusable: bool,
    surplus: bool,
}

fn filtered<'a>(to_head: bool, pieces: impl Iterator<Item = &'a [u8]>) -> Seen {
    let mut filter = Filter::new(to_head);
    let mut output = Vec::new();
    for piece in pieces {
        let mut piece = piece.to_vec();
        let passed = filter.pass(&mut piece);
        assert!(passed <= piece.len());
        output.extend_from_slice(&filter.take_held().split());
        output.extend_from_slice(&piece[..passed]);
    }
    let reusable = filter.is_reusable();
    let end = filter.end();
    Seen { output, end, status: filter.status(), reusable, surplus: filter.has_surplus() }
}

fuzz_target!(|input: (bool, Vec<u8>, Vec<u8>)| {
    let (to_head, lengths, stream) = input;
    let at_once = filtered(to_head, std::iter::once(stream.as_slice()));

    let mut lengths = lengths.iter().map(|&length| usize::from(length).max(1)).cycle();
    let mut rest = stream.as_slice();
    let pieces = std::iter::from_fn(|| {
        let (piece, behind) = rest.split_at(lengths.next().unwrap_or(1).min(rest.len()));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    });
    assert_eq!(filtered(to_head, pieces), at_once);

    assert!(at_once.output.len() <= stream.len());
    if at_once.status.is_none() {
        assert!(at_once.output.is_empty(), "nothing passes before a final head");
        assert!(at_once.end.is_err(), "no answer is not a whole answer");
    }
    assert!(!at_once.reusable || (at_once.end.is_ok() && !at_once.surplus));
    if at_once.reusable {
        let again = filtered(to_head, std::iter::once(at_once.output.as_slice()));
        assert!(again.reusable && again.output == at_once.output, "what passed is a whole answer");
    }
});
