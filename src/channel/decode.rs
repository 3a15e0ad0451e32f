//! Bounded decompression: error bodies for the classifier, answers for the tap. What goes to the client is never decoded.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use brotli::DecompressorWriter;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// Largest window of a zstd frame, as a power of two (8 MiB): the bound that RFC 8878 recommends and HTTP requires.
const MAX_ZSTD_WINDOW_LOG: u32 = 23;

/// The decoded form of `data`, at most `cap` bytes of it.
///
/// Data that ends early or turns bad is decoded as far as it goes; text that is not in its stated encoding at all comes
/// back as it is.
pub fn decode<'a>(encoding: Option<&str>, data: &'a [u8], cap: usize) -> Cow<'a, [u8]> {
    let plain = Cow::Borrowed(&data[..data.len().min(cap)]);
    if is_identity(encoding) {
        return plain;
    }
    let mut decoder = Decoder::new(encoding, Bounded { out: Vec::new(), cap });
    decoder.feed(data);
    let out = std::mem::take(&mut decoder.sink().out);
    // No compressed format looks like text.
    if out.is_empty() && std::str::from_utf8(data).is_ok() { plain } else { Cow::Owned(out) }
}

fn is_identity(encoding: Option<&str>) -> bool {
    encoding.is_none_or(|encoding| matches!(encoding.trim(), "" | "identity"))
}

/// A sink that refuses more than `cap` bytes.
struct Bounded {
    out: Vec<u8>,
    cap: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.cap - self.out.len();
        if room == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let taken = &bytes[..bytes.len().min(room)];
        self.out.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Decodes a body as it arrives into `W`, which bounds the output: when it refuses, decoding ends.
///
/// Memory is bounded by the format's window (gzip, deflate 32 KiB; zstd 8 MiB; brotli 16 MiB).
pub(super) struct Decoder<W: Write> {
    body: Body<W>,
    is_broken: bool,
}

enum Body<W: Write> {
    Identity(W),
    Gzip(Box<MultiGzDecoder<W>>),
    /// `deflate` before its first two bytes are known: they tell zlib (RFC 9110) from what some servers send.
    Deflate {
        first: Option<u8>,
        sink: Option<W>,
    },
    Zlib(Box<ZlibDecoder<W>>),
    RawDeflate(Box<DeflateDecoder<W>>),
    Brotli(Box<DecompressorWriter<W>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, W>>),
}

impl<W: Write> Decoder<W> {
    /// A decoder for the value of a `Content-Encoding` header; one that it does not know is broken from the start.
    pub(super) fn new(encoding: Option<&str>, sink: W) -> Self {
        let mut is_broken = false;
        let body = match encoding.map(|encoding| encoding.trim().to_ascii_lowercase()).as_deref() {
            None | Some("" | "identity") => Body::Identity(sink),
            Some("gzip" | "x-gzip") => Body::Gzip(Box::new(MultiGzDecoder::new(sink))),
            Some("deflate") => Body::Deflate { first: None, sink: Some(sink) },
            Some("br") => Body::Brotli(Box::new(DecompressorWriter::new(sink, 4096))),
            Some("zstd") => {
                let decoder = zstd::stream::raw::Decoder::new().and_then(|mut raw| {
                    raw.set_parameter(zstd::stream::raw::DParameter::WindowLogMax(MAX_ZSTD_WINDOW_LOG)).map(|()| raw)
                });
                match decoder {
                    Ok(raw) => Body::Zstd(Box::new(zstd::stream::write::Decoder::with_decoder(sink, raw))),
                    Err(_) => {
                        is_broken = true;
                        Body::Identity(sink)
                    }
                }
            }
            Some(_) => {
                is_broken = true;
                Body::Identity(sink)
            }
        };
        Self { body, is_broken }
    }

    /// Decodes the next bytes; a no-op once broken.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if !self.is_broken {
            self.is_broken = self.try_feed(bytes).is_err();
        }
    }

    /// Whether the encoding is unknown, the data bad, or the sink full.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Where the decoded bytes went.
    pub(super) fn output(&self) -> &W {
        match &self.body {
            Body::Identity(sink) => sink,
            Body::Gzip(decoder) => decoder.get_ref(),
            Body::Deflate { sink, .. } => sink.as_ref().expect("taken only where the variant is replaced"),
            Body::Zlib(decoder) => decoder.get_ref(),
            Body::RawDeflate(decoder) => decoder.get_ref(),
            Body::Brotli(decoder) => decoder.get_ref(),
            Body::Zstd(decoder) => decoder.get_ref(),
        }
    }

    /// Where the decoded bytes go.
    pub(super) fn sink(&mut self) -> &mut W {
        match &mut self.body {
            Body::Identity(sink) => sink,
            Body::Gzip(decoder) => decoder.get_mut(),
            Body::Deflate { sink, .. } => sink.as_mut().expect("taken only where the variant is replaced"),
            Body::Zlib(decoder) => decoder.get_mut(),
            Body::RawDeflate(decoder) => decoder.get_mut(),
            Body::Brotli(decoder) => decoder.get_mut(),
            Body::Zstd(decoder) => decoder.get_mut(),
        }
    }

    fn try_feed(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Body::Deflate { first, sink } = &mut self.body {
            let mut known = first.iter().chain(bytes).copied();
            let (Some(one), two) = (known.next(), known.next()) else { return Ok(()) };
            let Some(two) = two else {
                *first = Some(one);
                return Ok(());
            };
            let held = *first;
            let Some(sink) = sink.take() else { return Ok(()) };
            self.body = if is_zlib_header(one, two) {
                Body::Zlib(Box::new(ZlibDecoder::new(sink)))
            } else {
                Body::RawDeflate(Box::new(DeflateDecoder::new(sink)))
            };
            if let Some(held) = held {
                self.write(&[held])?;
            }
        }
        self.write(bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        fn whole(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
            to.write_all(bytes)?;
            to.flush()
        }
        match &mut self.body {
            Body::Identity(sink) => sink.write_all(bytes),
            Body::Gzip(decoder) => whole(decoder, bytes),
            Body::Deflate { .. } => Ok(()),
            Body::Zlib(decoder) => whole(decoder, bytes),
            Body::RawDeflate(decoder) => whole(decoder, bytes),
            Body::Brotli(decoder) => whole(decoder, bytes),
            Body::Zstd(decoder) => whole(decoder, bytes),
        }
    }
}

/// Whether two bytes start a zlib stream (RFC 1950, section 2.2: method 8, check bits).
fn is_zlib_header(one: u8, two: u8) -> bool {
    one & 0x0f == 8 && u16::from_be_bytes([one, two]).is_multiple_of(31)
}

#[cfg(test)]
mod tests {
    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };
    use proptest::prelude::*;

    use super::*;

    const ENCODINGS: [&str; 5] = ["gzip", "deflate", "raw-deflate", "br", "zstd"];

    fn encoded(encoding: &str, data: &[u8]) -> Vec<u8> {
        fn finished<W: Write>(mut encoder: W, data: &[u8], finish: impl FnOnce(W) -> io::Result<Vec<u8>>) -> Vec<u8> {
            encoder.write_all(data).unwrap();
            finish(encoder).unwrap()
        }
        match encoding {
            "gzip" => finished(GzEncoder::new(Vec::new(), Compression::default()), data, GzEncoder::finish),
            "deflate" => finished(ZlibEncoder::new(Vec::new(), Compression::default()), data, ZlibEncoder::finish),
            "raw-deflate" => {
                finished(DeflateEncoder::new(Vec::new(), Compression::default()), data, DeflateEncoder::finish)
            }
            "br" => {
                let mut out = Vec::new();
                brotli::CompressorWriter::new(&mut out, 4096, 5, 22).write_all(data).unwrap();
                out
            }
            _ => zstd::encode_all(data, 3).unwrap(),
        }
    }

    fn header(encoding: &str) -> Option<&str> {
        Some(encoding.strip_prefix("raw-").unwrap_or(encoding))
    }

    #[test]
    fn every_encoding_is_decoded() {
        let text = br#"{"error":{"message":"no"}}"#.repeat(50);
        for encoding in ENCODINGS {
            assert_eq!(decode(header(encoding), &encoded(encoding, &text), 1 << 20), &text[..], "{encoding}");
        }
        assert_eq!(decode(Some("X-GZip "), &encoded("gzip", &text), 1 << 20), &text[..]);
        for plain in [None, Some(""), Some("identity"), Some("unknown"), Some("gzip, br"), Some("gzip"), Some("zstd")] {
            assert_eq!(decode(plain, b"{}", 10), &b"{}"[..], "{plain:?}");
        }
        assert_eq!(decode(None, b"abcdef", 3), &b"abc"[..]);
    }

    #[test]
    fn a_bomb_stops_at_the_cap() {
        let zeros = vec![0; 8 << 20];
        for encoding in ENCODINGS {
            assert_eq!(decode(header(encoding), &encoded(encoding, &zeros), 1000), &zeros[..1000], "{encoding}");
        }
    }

    #[test]
    fn cut_data_is_decoded_as_far_as_it_goes() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        for encoding in ENCODINGS {
            let whole = encoded(encoding, &text);
            let out = decode(header(encoding), &whole[..whole.len() / 2], 1 << 20);
            assert!(!out.is_empty() && text.starts_with(&out), "{encoding}");
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(
            data in prop::collection::vec(any::<u8>(), 0..300),
            encoding in prop::sample::select(&ENCODINGS[..]),
            piece in 1_usize..40,
        ) {
            let mut decoder = Decoder::new(header(encoding), Vec::new());
            for bytes in encoded(encoding, &data).chunks(piece) {
                decoder.feed(bytes);
            }
            prop_assert!(!decoder.is_broken());
            prop_assert_eq!(&*decoder.sink(), &data);
        }

        #[test]
        fn survives_any_bytes(
            data in prop::collection::vec(any::<u8>(), 0..200),
            encoding in prop::sample::select(&ENCODINGS[..]),
        ) {
            let mut decoder = Decoder::new(header(encoding), Bounded { out: Vec::new(), cap: 1000 });
            for bytes in data.chunks(7) {
                decoder.feed(bytes);
            }
            prop_assert!(decoder.sink().out.len() <= 1000);
        }
    }
}
