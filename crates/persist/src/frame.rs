//! Frames: one record of the log with its checksum.
//!
//! Invariant: a frame that reads as whole was written by this crate, into this segment.
//!
//! ```text
//!   [length u32][crc32c u32][sequence u64][durable u64][payload][zeros up to a multiple of 16]
//! ```

use crate::bytes::Reader;

/// Bytes in front of a payload.
pub(crate) const HEADER: usize = 24;

/// Frames begin at multiples of this many bytes of their segment.
pub(crate) const ALIGN: usize = 16;

/// One record as it lies in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// The number of the record.
    pub(crate) sequence: u64,
    /// The last number that a sync had covered when the frame was written.
    pub(crate) durable: u64,
    /// Empty in a seal.
    pub(crate) payload: &'a [u8],
}

/// The content at one position of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot<'a> {
    Frame(Frame<'a>, usize),
    /// Nothing has been written here.
    Empty,
    Broken,
}

/// Returns the bytes that a frame with such a payload takes.
pub(crate) fn frame_len(payload: usize) -> usize {
    (HEADER + payload).next_multiple_of(ALIGN)
}

fn checksum(segment: u64, len: [u8; 4], rest: &[u8]) -> u32 {
    // Includes the number of the segment, so that a block of another segment is not accepted.
    let crc = crc32c::crc32c(&segment.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(crc, &len), rest)
}

/// Appends a frame to `out`.
///
/// # Panics
/// If the payload is 4 GiB long. The log bounds it to a quarter of a segment.
pub(crate) fn put_frame(out: &mut Vec<u8>, segment: u64, frame: &Frame<'_>) {
    let start = out.len();
    let len = u32::try_from(frame.payload.len()).expect("payloads are bounded").to_le_bytes();
    out.extend_from_slice(&len);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&frame.sequence.to_le_bytes());
    out.extend_from_slice(&frame.durable.to_le_bytes());
    out.extend_from_slice(frame.payload);
    let crc = checksum(segment, len, &out[start + 8..]);
    out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
    out.resize(start + frame_len(frame.payload.len()), 0);
}

/// Reads what lies at the front of `bytes`, which go on to the end of the segment.
pub(crate) fn read_slot(segment: u64, bytes: &[u8]) -> Slot<'_> {
    match bytes.get(..HEADER.min(bytes.len())) {
        Some(header) if header.iter().all(|&byte| byte == 0) => Slot::Empty,
        _ => whole_frame(segment, bytes)
            .map_or(Slot::Broken, |frame| Slot::Frame(frame, frame_len(frame.payload.len()))),
    }
}

fn whole_frame(segment: u64, bytes: &[u8]) -> Option<Frame<'_>> {
    let mut reader = Reader::new(bytes);
    let len = reader.array::<4>()?;
    let crc = reader.number32()?;
    let sequence = reader.number64()?;
    let durable = reader.number64()?;
    let payload = reader.take(usize::try_from(u32::from_le_bytes(len)).ok()?)?;
    let end = HEADER + payload.len();
    let padding = bytes.get(end..frame_len(payload.len()))?;
    let is_whole =
        checksum(segment, len, bytes.get(8..end)?) == crc && padding.iter().all(|&byte| byte == 0);
    is_whole.then_some(Frame { sequence, durable, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_round_trip_and_every_bit_of_them_counts() {
        for payload in [&b""[..], b"x", b"12345678", b"a record of some length"] {
            let frame = Frame { sequence: 7, durable: 5, payload };
            let mut bytes = Vec::new();
            put_frame(&mut bytes, 3, &frame);
            assert_eq!(bytes.len() % ALIGN, 0);
            assert_eq!(read_slot(3, &bytes), Slot::Frame(frame, bytes.len()));
            assert_eq!(read_slot(4, &bytes), Slot::Broken);
            for bit in 0..bytes.len() * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(read_slot(3, &bytes), Slot::Broken, "bit {bit}");
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            for len in 0..bytes.len() {
                assert!(!matches!(read_slot(3, &bytes[..len]), Slot::Frame(..)), "length {len}");
            }
        }
    }

    #[test]
    fn zeros_are_an_empty_slot_and_no_frame() {
        assert_eq!(read_slot(0, &[0; 64]), Slot::Empty);
        assert_eq!(read_slot(0, &[0; 16]), Slot::Empty);
        assert_eq!(read_slot(0, &[]), Slot::Empty);
    }
}
