//! Records in a file: length, checksum, bytes. Pure.

/// First bytes of every segment. The last one counts up when records change their form.
pub(super) const MAGIC: [u8; 8] = *b"GPTLJNL1";
/// Bytes before a record: its length and its CRC-32, both little-endian.
pub(super) const HEAD: usize = 8;
/// Longest record. A length beyond it is none.
pub(super) const MAX_RECORD: usize = 16 << 20;

/// Completes the frame at the start of `buffer`, whose first [`HEAD`] bytes are free and whose others are the record;
/// `None` when the record is too long.
pub(super) fn complete(buffer: &mut [u8]) -> Option<()> {
    let (head, record) = buffer.split_at_mut_checked(HEAD)?;
    if record.len() > MAX_RECORD {
        return None;
    }
    let (length, checksum) = (u32::try_from(record.len()).ok()?, crc32fast::hash(record));
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[4..].copy_from_slice(&checksum.to_le_bytes());
    Some(())
}

/// How a segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With a whole record.
    Clean,
    /// In the middle of a record: its writer was killed.
    Torn,
    /// With bytes that no writer has left like that, or it does not begin like a segment.
    Corrupt,
}

/// What is readable of a segment.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    /// The records and their places in the order of writing, from 0.
    pub(super) records: Vec<(u32, &'a [u8])>,
    /// Records whose bytes changed after they were written.
    pub(super) damaged: u32,
    /// How it ends.
    pub(super) end: End,
}

/// Reads a segment. A damaged record is skipped; what follows an impossible length is lost.
pub(super) fn scan(bytes: &[u8]) -> Scan<'_> {
    let mut scan = Scan { records: Vec::new(), damaged: 0, end: End::Clean };
    let Some(mut rest) = bytes.strip_prefix(&MAGIC) else {
        // A writer may be killed before it has written the whole beginning.
        scan.end = if MAGIC.starts_with(bytes) { End::Torn } else { End::Corrupt };
        return scan;
    };
    let mut place = 0;
    while !rest.is_empty() {
        let Some((head, behind)) = rest.split_first_chunk::<HEAD>() else {
            scan.end = End::Torn;
            return scan;
        };
        let [length, checksum] =
            [&head[..4], &head[4..]].map(|half| half.iter().rev().fold(0u32, |n, b| n << 8 | u32::from(*b)));
        let length = length as usize;
        if length > MAX_RECORD {
            scan.end = End::Corrupt;
            return scan;
        }
        let Some((record, behind)) = behind.split_at_checked(length) else {
            scan.end = End::Torn;
            return scan;
        };
        if crc32fast::hash(record) == checksum {
            scan.records.push((place, record));
        } else if behind.is_empty() {
            scan.end = End::Torn;
            return scan;
        } else {
            scan.damaged += 1;
        }
        place += 1;
        rest = behind;
    }
    scan
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segment(records: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for record in records {
            let mut frame = [&[0; HEAD], record.as_slice()].concat();
            complete(&mut frame).expect("short enough");
            bytes.extend(frame);
        }
        bytes
    }

    fn read(bytes: &[u8]) -> (Vec<Vec<u8>>, u32, End) {
        let scan = scan(bytes);
        (scan.records.iter().map(|(_, record)| record.to_vec()).collect(), scan.damaged, scan.end)
    }

    fn records() -> impl Strategy<Value = Vec<Vec<u8>>> {
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..12)
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(records in records()) {
            prop_assert_eq!(read(&segment(&records)), (records, 0, End::Clean));
        }

        #[test]
        fn a_cut_costs_only_what_it_cuts(records in records(), cut in any::<prop::sample::Index>()) {
            let bytes = segment(&records);
            let cut = cut.index(bytes.len() + 1);
            let whole = (0..=records.len()).rev().find(|count| segment(&records[..*count]).len() <= cut).unwrap_or(0);
            let (found, damaged, end) = read(&bytes[..cut]);
            prop_assert_eq!(&found[..], &records[..whole]);
            prop_assert_eq!(damaged, 0);
            prop_assert_eq!(end == End::Clean, cut >= MAGIC.len() && segment(&records[..whole]).len() == cut);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), with_magic: bool) {
            let bytes = if with_magic { [&MAGIC, bytes.as_slice()].concat() } else { bytes };
            scan(&bytes);
        }
    }

    #[test]
    fn a_damaged_record_costs_itself_alone() {
        let records = [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()];
        let mut bytes = segment(&records);
        bytes[MAGIC.len() + HEAD + 3 + HEAD] ^= 1;
        let scan = scan(&bytes);
        assert_eq!(scan.records, [(0, &b"one"[..]), (2, &b"three"[..])]);
        assert_eq!((scan.damaged, scan.end), (1, End::Clean));
    }

    #[test]
    fn a_segment_of_another_form_is_not_read() {
        let mut bytes = segment(&[b"one".to_vec()]);
        bytes[7] = b'2';
        assert_eq!(read(&bytes), (vec![], 0, End::Corrupt));
    }

    #[test]
    fn an_impossible_length_ends_the_reading() {
        let bytes = [&segment(&[b"one".to_vec()])[..], &[0xff; 20]].concat();
        assert_eq!(read(&bytes), (vec![b"one".to_vec()], 0, End::Corrupt));
    }

    #[test]
    fn a_record_that_is_too_long_is_refused() {
        assert_eq!(complete(&mut vec![0; HEAD + MAX_RECORD + 1]), None);
        assert_eq!(complete(&mut [0; HEAD - 1]), None);
    }
}
