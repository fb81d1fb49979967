//! Segments: files of fixed size, written with zeros before use, that hold the frames of the log.
//!
//! Invariant: what [`read`] returns contains every record that had been acknowledged. Where that
//! cannot be known, it is an error.
//!
//! ```text
//!   block 0   magic, version, crc32c, size, number, incarnation, first sequence; then zeros
//!   block 1   the seal: a frame without payload; then zeros
//!   block 2.. frames, one behind the other, then zeros
//! ```
//!
//! The seal holds the number of the last record that a sync has covered. It is written after each
//! sync and is itself not synced. It lies in a block of its own, so that no single bad block holds
//! both the last record and the proof that there was one.

use crate::bytes::Reader;
use crate::damage::{ColdKind, ColdReason};
use crate::frame::{ALIGN, Frame, Slot, frame_len, put_frame, read_slot};
use crate::names::{END_OF_NUMBERS, FileId, FileName};
use crate::record::{BadRecord, Record};

/// The unit in which a disk loses what was not synced.
pub(crate) const BLOCK: usize = 4096;

/// Where the frames begin.
pub(crate) const DATA: usize = 2 * BLOCK;

const MAGIC: [u8; 8] = *b"cidx-log";
pub(crate) const VERSION: u32 = 1;
const HEADER_LEN: usize = 48;

/// The longest payload in any segment. It bounds the search for frames behind damage.
const MAX_PAYLOAD: usize = 1 << 16;

/// Returns the longest payload in a segment of this size.
pub(crate) fn max_payload(segment_bytes: u64) -> usize {
    usize::try_from(segment_bytes / 4).unwrap_or(usize::MAX).min(MAX_PAYLOAD)
}

/// Returns the first two blocks of a new segment.
pub(crate) fn header(id: FileId, segment_bytes: u64, first_sequence: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(DATA);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    for number in [segment_bytes, id.number, id.incarnation, first_sequence] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    let crc = crc32c::crc32c(&out);
    out[12..16].copy_from_slice(&crc.to_le_bytes());
    out.resize(DATA, 0);
    out
}

/// Returns the seal of a segment, to be written at the start of block 1.
pub(crate) fn seal(id: FileId, durable: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_frame(&mut out, id.number, &Frame { sequence: durable, durable, payload: &[] });
    out
}

/// Whether all bytes are zeros.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    // Compared in pieces, as a comparison of slices takes many bytes at once.
    const ZEROS: [u8; BLOCK] = [0; BLOCK];
    bytes.chunks(BLOCK).all(|piece| *piece == ZEROS[..piece.len()])
}

/// A segment that was read.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) first_sequence: u64,
    /// The number of the last whole record, or the one before the first.
    pub(crate) last_sequence: u64,
    /// The highest number in the segment that had been acknowledged.
    pub(crate) durable: u64,
    /// Each record with its number.
    pub(crate) records: Vec<(u64, Record)>,
    /// Where the records end.
    pub(crate) end: usize,
    /// The length of the file.
    pub(crate) bytes: u64,
    /// Whether something that nobody was promised lies behind the records.
    pub(crate) is_torn: bool,
}

/// Reads a whole segment. Only the last segment of a log can be torn by a crash: `is_last`.
pub(crate) fn read(id: FileId, is_last: bool, bytes: &[u8]) -> Result<Segment, ColdReason> {
    let file = FileName::Segment(id).to_string();
    let damaged = |offset: usize, expected| ColdReason::damaged(&file, offset as u64, expected);
    if bytes.len() < DATA {
        return Err(damaged(bytes.len(), "the header of a segment"));
    }
    let (head, data) = bytes.split_at(DATA);
    let first_sequence = read_header(&file, id, bytes.len() as u64, head)?;
    let sealed = read_seal(id, &head[BLOCK..])
        .map_err(|()| damaged(BLOCK, "a seal, or zeros up to the first record"))?;
    let mut segment = Segment {
        first_sequence,
        last_sequence: first_sequence.saturating_sub(1),
        durable: sealed.max(first_sequence.saturating_sub(1)),
        records: Vec::new(),
        end: DATA,
        bytes: bytes.len() as u64,
        is_torn: false,
    };
    segment.take_records(&file, id, data)?;
    let rest = &bytes[segment.end..];
    segment.is_torn = !is_zero(rest);
    if segment.is_torn {
        if !is_last {
            return Err(damaged(segment.end, "zeros behind the last record of a full segment"));
        }
        segment.durable = segment.durable.max(durable_behind(id, rest));
    }
    if segment.durable > segment.last_sequence {
        let (last, durable) = (segment.last_sequence, segment.durable);
        return Err(ColdReason::new(&file, ColdKind::AcknowledgedRecordMissing { last, durable }));
    }
    Ok(segment)
}

impl Segment {
    /// Checks that no record is missing between those up to `last` and this segment. The first
    /// segment of a log may begin with records that the snapshot contains, but has all of those
    /// that had been written when the snapshot began.
    pub(crate) fn check_order(
        &self,
        id: FileId,
        last: u64,
        is_first: bool,
    ) -> Result<(), ColdReason> {
        let file = FileName::Segment(id).to_string();
        let next = last.saturating_add(1);
        let firsts = if is_first { 1..=next } else { next..=next };
        if !firsts.contains(&self.first_sequence) {
            return Err(ColdReason::damaged(&file, 0, "the record after the last one before it"));
        }
        if self.last_sequence < last {
            let kind =
                ColdKind::AcknowledgedRecordMissing { last: self.last_sequence, durable: last };
            return Err(ColdReason::new(&file, kind));
        }
        Ok(())
    }

    /// Takes the records up to the first slot that does not continue them.
    fn take_records(&mut self, file: &str, id: FileId, data: &[u8]) -> Result<(), ColdReason> {
        let mut at = 0;
        while let Slot::Frame(frame, len) = read_slot(id.number, &data[at..]) {
            let continues = Some(frame.sequence) == self.last_sequence.checked_add(1)
                && frame.durable < frame.sequence
                && !frame.payload.is_empty();
            if !continues {
                break;
            }
            let record = Record::decode(frame.payload).map_err(|bad| match bad {
                BadRecord::UnknownKind(kind) => {
                    ColdReason::new(file, ColdKind::UnknownRecord(kind))
                }
                BadRecord::Malformed => {
                    ColdReason::damaged(file, (DATA + at) as u64, "a well-formed record")
                }
            })?;
            self.records.push((frame.sequence, record));
            self.last_sequence = frame.sequence;
            self.durable = self.durable.max(frame.durable);
            at += len;
        }
        self.end = DATA + at;
        Ok(())
    }
}

/// Checks the header and returns the first sequence number.
fn read_header(file: &str, id: FileId, len: u64, head: &[u8]) -> Result<u64, ColdReason> {
    let (header, zeros) = head[..BLOCK].split_at(HEADER_LEN);
    let mut reader = Reader::new(header);
    let expected = "the header of a segment";
    let fields = (|| {
        let is_log = reader.array() == Some(MAGIC);
        let (version, crc) = (reader.number32()?, reader.number32()?);
        let [size, number, incarnation, first] =
            [reader.number64()?, reader.number64()?, reader.number64()?, reader.number64()?];
        is_log.then_some((version, crc, size, FileId { incarnation, number }, first))
    })();
    let (version, crc, size, written_id, first) =
        fields.ok_or_else(|| ColdReason::damaged(file, 0, expected))?;
    if version != VERSION {
        return Err(ColdReason::new(file, ColdKind::UnknownVersion(version)));
    }
    let mut unsigned = header.to_vec();
    unsigned[12..16].fill(0);
    let is_whole =
        crc32c::crc32c(&unsigned) == crc && written_id == id && zeros.iter().all(|&byte| byte == 0);
    if !is_whole {
        return Err(ColdReason::damaged(file, 0, expected));
    }
    if size != len {
        return Err(ColdReason::damaged(file, len, "a segment of the length in its header"));
    }
    if first >= END_OF_NUMBERS {
        return Err(ColdReason::damaged(file, 40, "a sequence number below 2^63"));
    }
    Ok(first)
}

/// Returns the number in the seal, or 0 if there is no seal yet.
fn read_seal(id: FileId, block: &[u8]) -> Result<u64, ()> {
    let (slot, zeros) = block.split_at(frame_len(0));
    if zeros.iter().any(|&byte| byte != 0) {
        return Err(());
    }
    match read_slot(id.number, slot) {
        Slot::Frame(seal, _) if seal.payload.is_empty() => Ok(seal.durable),
        // A slot is empty only if all of it is, and its last bytes lie behind what a frame's header
        // takes.
        Slot::Empty if slot.iter().all(|&byte| byte == 0) => Ok(0),
        _ => Err(()),
    }
}

/// Searches the bytes behind damage for whole frames, and returns the highest `durable` in them.
fn durable_behind(id: FileId, rest: &[u8]) -> u64 {
    let starts = (0..rest.len()).step_by(ALIGN);
    let frames = starts.filter_map(|at| {
        let slot = &rest[at..];
        let slot = &slot[..slot.len().min(frame_len(MAX_PAYLOAD))];
        match read_slot(id.number, slot) {
            Slot::Frame(frame, _) => Some(frame.durable),
            Slot::Empty | Slot::Broken => None,
        }
    });
    frames.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Scope;
    use cache_index::Severity;

    const ID: FileId = FileId { incarnation: 1, number: 9 };
    const LEN: usize = 16 << 10;

    fn payload(at: u64) -> Vec<u8> {
        let scope = Scope::Path { tenant: "doc".to_owned(), path: format!("a/{at}.jpg") };
        let by = (at % 2 == 0).then(|| "alice".to_owned());
        Record { unix_millis: at, by, outbox: None, severity: Severity::Hard, scope }
            .encode(usize::MAX)
    }

    /// A segment with records from `first` on, all of them synced and sealed one by one.
    fn segment(first: u64, records: u64) -> Vec<u8> {
        let mut bytes = header(ID, LEN as u64, first);
        for sequence in first..first + records {
            let frame = Frame { sequence, durable: sequence - 1, payload: &payload(sequence) };
            put_frame(&mut bytes, ID.number, &frame);
        }
        let seal = seal(ID, first + records - 1);
        bytes[BLOCK..BLOCK + seal.len()].copy_from_slice(&seal);
        bytes.resize(LEN, 0);
        bytes
    }

    /// Returns whether damage was noticed; panics if it was not and changed anything.
    fn is_noticed(bytes: &[u8], whole: &Segment, context: &str) -> bool {
        match read(ID, true, bytes) {
            Err(_) => true,
            Ok(read) => {
                assert_eq!(read.records, whole.records, "{context}");
                assert_eq!(read.first_sequence, whole.first_sequence, "{context}");
                false
            }
        }
    }

    #[test]
    fn every_bit_is_noticed_or_harmless() {
        let mut bytes = segment(5, 12);
        let whole = read(ID, true, &bytes).unwrap();
        assert_eq!((whole.records.len(), whole.last_sequence, whole.is_torn), (12, 16, false));
        let bits = LEN * 8;
        // Behind the records all bits are alike; the long form takes each of them.
        let is_long = std::env::var_os("PERSIST_SCALE").is_some();
        let mut noticed = 0;
        for bit in (0..bits).filter(|bit| is_long || *bit < (whole.end + 64) * 8 || bit % 61 == 0) {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let context = format!("bit {bit}");
            let is_noticed = is_noticed(&bytes, &whole, &context);
            assert!(is_noticed || bit / 8 >= whole.end, "{context} is not noticed");
            noticed += usize::from(is_noticed);
            // A segment that another one follows must be exactly as it was.
            assert!(read(ID, false, &bytes).is_err(), "{context}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(noticed >= whole.end * 8);
    }

    #[test]
    fn every_truncation_and_every_lost_sector_is_noticed() {
        let bytes = segment(5, 12);
        let whole = read(ID, true, &bytes).unwrap();
        for len in 0..LEN {
            assert!(read(ID, true, &bytes[..len]).is_err(), "length {len}");
        }
        for sector in [512, 4096] {
            for start in (0..whole.end).step_by(sector) {
                let mut zeroed = bytes.clone();
                zeroed[start..start + sector].fill(0);
                let was_empty = bytes[start..start + sector].iter().all(|&byte| byte == 0);
                let noticed = is_noticed(&zeroed, &whole, &format!("sector at {start}"));
                // The seal only matters if a record is missing.
                let is_seal = (BLOCK..DATA).contains(&start);
                assert!(noticed || was_empty || is_seal, "sector at {start}");
            }
        }
    }

    #[test]
    fn a_torn_write_that_nobody_was_promised_is_cut_off() {
        // Records 5 to 8 are durable; 9 to 12 were written together, and the first of them was
        // lost.
        let mut bytes = header(ID, LEN as u64, 5);
        for sequence in 5..9 {
            let frame = Frame { sequence, durable: sequence - 1, payload: &payload(sequence) };
            put_frame(&mut bytes, ID.number, &frame);
        }
        let lost = bytes.len();
        for sequence in 9..13 {
            let frame = Frame { sequence, durable: 8, payload: &payload(sequence) };
            put_frame(&mut bytes, ID.number, &frame);
        }
        let seal = seal(ID, 8);
        bytes[BLOCK..BLOCK + seal.len()].copy_from_slice(&seal);
        bytes.resize(LEN, 0);
        bytes[lost..lost + 16].fill(0);
        let segment = read(ID, true, &bytes).unwrap();
        assert_eq!((segment.last_sequence, segment.end, segment.is_torn), (8, lost, true));
        assert!(read(ID, false, &bytes).is_err());
    }

    #[test]
    fn a_gap_between_snapshot_and_first_segment_is_noticed() {
        let read = |first, records| read(ID, true, &segment(first, records)).unwrap();
        let gap = "the record after the last one before it";
        let expected = |segment: &Segment, last, is_first| {
            segment.check_order(ID, last, is_first).map_err(|reason| reason.kind().clone())
        };
        let damaged = Err(ColdKind::Damaged { byte_offset: 0, expected: gap });
        // Records 5 to 8. The snapshot may have any of them, all of them, or none.
        let whole = read(5, 4);
        for last in 4..=8 {
            assert_eq!(expected(&whole, last, true), Ok(()), "{last}");
        }
        assert_eq!(expected(&whole, 3, true), damaged);
        // Records that were there when the snapshot was begun are missing.
        let missing = ColdKind::AcknowledgedRecordMissing { last: 8, durable: 9 };
        assert_eq!(expected(&whole, 9, true), Err(missing));
        // A later segment begins where the one before it ends.
        assert_eq!(expected(&whole, 4, false), Ok(()));
        for last in [3, 5, 8, u64::MAX] {
            assert_eq!(expected(&whole, last, false), damaged, "{last}");
        }
        // Without a snapshot, there is no record 0.
        let mut first = read(1, 0);
        assert_eq!(expected(&first, 0, true), Ok(()));
        first.first_sequence = 0;
        assert_eq!(expected(&first, 0, true), damaged);
    }

    #[test]
    fn unknown_versions_and_records_are_named() {
        let mut bytes = segment(1, 1);
        bytes[8] = 2;
        let reason = read(ID, true, &bytes).unwrap_err();
        assert_eq!(*reason.kind(), ColdKind::UnknownVersion(2));
        let mut bytes = header(ID, LEN as u64, 1);
        let mut unknown = payload(1);
        let kind = unknown.len() - (1 + 4 + 3 + 4 + 7);
        unknown[kind] = 64;
        put_frame(&mut bytes, ID.number, &Frame { sequence: 1, durable: 0, payload: &unknown });
        bytes.resize(LEN, 0);
        assert_eq!(*read(ID, true, &bytes).unwrap_err().kind(), ColdKind::UnknownRecord(64));
    }

    #[test]
    fn a_first_number_that_leaves_no_next_one_is_refused() {
        for (first, is_read) in [(END_OF_NUMBERS - 1, true), (END_OF_NUMBERS, false)] {
            let mut bytes = header(ID, LEN as u64, first);
            bytes.resize(LEN, 0);
            assert_eq!(read(ID, true, &bytes).is_ok(), is_read, "{first}");
        }
    }

    #[test]
    fn random_bytes_behind_a_good_header_do_not_panic() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..200 {
            let mut bytes = segment(1, 8);
            for _ in 0..random.usize(1..200) {
                let at = random.usize(DATA..DATA + 1024);
                bytes[at] = random.u8(..);
            }
            let _ = read(ID, true, &bytes);
        }
    }
}
