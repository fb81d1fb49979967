//! The canonical spelling of each byte and each escape, as tables.
//!
//! Invariant: the output of a table stays the same when the table reads it again. Not here: which
//! bytes stay raw in which part; `bytes` names these classes.
//!
//! A text that needs changes is a sequence of units, each a byte or an escape, and the output for a
//! unit does not depend on its neighbors. So there is one table lookup for each unit, whether it is
//! kept, decoded or encoded, instead of branches that depend on the text.

use super::super::error::{Fault, PathError};
use super::bytes::{
    ALL, Class, OPERATION, ORIGIN_QUERY, PATH, UNRESERVED, escape_at, escaped, is_control,
    is_operation, is_path,
};
use super::scan::count;

/// The spelling of bytes and escapes in one kind of text.
pub(in crate::canonical) struct Spelling {
    raw: [Unit; 256],
    escape: [Unit; 256],
}

/// The output for a byte or an escape: up to three bytes, and their number. The number is zero for
/// a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::canonical) struct Unit([u8; 4]);

impl Unit {
    const FAULT: Self = Self([0; 4]);
    /// The maximum number of bytes for one unit.
    pub(in crate::canonical) const LONGEST: usize = 3;

    const fn of(byte: u8, is_raw: bool) -> Self {
        let [percent, high, low] = escaped(byte);
        if is_raw { Self([byte, 0, 0, 1]) } else { Self([percent, high, low, 3]) }
    }

    /// Returns the bytes, and one more byte that is to be overwritten.
    #[inline]
    pub(in crate::canonical) const fn bytes(self) -> [u8; 4] {
        self.0
    }

    #[inline]
    pub(in crate::canonical) const fn len(self) -> usize {
        self.0[3] as usize
    }

    /// Returns whether it equals the text at `at`, from which this number of bytes was read.
    #[inline]
    pub(in crate::canonical) fn is_at(self, text: &[u8], at: usize, read: usize) -> bool {
        match (read, text.get(at..at + 3)) {
            (3, Some(&[percent, high, low])) => self.0 == [percent, high, low, 3],
            _ => self.0 == [text[at], 0, 0, 1],
        }
    }

    #[inline]
    pub(in crate::canonical) const fn is_fault(self) -> bool {
        self.0[3] == 0
    }
}

/// Paths of origins.
pub(in crate::canonical) static IN_PATH: Spelling = Spelling::of(&PATH, &UNRESERVED, true);
/// Queries of origins.
pub(in crate::canonical) static IN_ORIGIN_QUERY: Spelling =
    Spelling::of(&ORIGIN_QUERY, &UNRESERVED, true);
/// Names and values of operations. A raw plus differs from an encoded one: which of them is a space
/// depends on the reader.
pub(in crate::canonical) static IN_OPERATION: Spelling =
    Spelling::of(&OPERATION.and(b"+"), &OPERATION, false);

/// A path that is encoded as a whole: everything is decoded, once.
pub(in crate::canonical) static DECODED: Spelling = Spelling::of(&ALL, &ALL, false);

impl Spelling {
    /// Follows RFC 3986, section 6.2.2: bytes of `raw` stay raw, escapes of the bytes of `decoded`
    /// are decoded, and everything else is encoded. In the parts of an origin, raw backslashes and
    /// encoded control bytes are faults.
    const fn of(raw: &Class, decoded: &Class, is_origin: bool) -> Self {
        let mut spelling = Self { raw: [Unit::FAULT; 256], escape: [Unit::FAULT; 256] };
        let mut byte: u8 = 0;
        loop {
            if !(is_origin && byte == b'\\') {
                spelling.raw[byte as usize] = Unit::of(byte, raw.contains(byte));
            }
            if !(is_origin && is_control(byte)) {
                spelling.escape[byte as usize] = Unit::of(byte, decoded.contains(byte));
            }
            if byte == 0xFF {
                return spelling;
            }
            byte += 1;
        }
    }

    /// Returns the output for a byte other than a percent sign.
    #[inline]
    pub(in crate::canonical) fn raw(&self, byte: u8) -> Unit {
        self.raw[byte as usize]
    }

    /// Returns the output for the byte or escape at `at`, and the number of bytes that it takes in
    /// the text.
    #[inline]
    pub(in crate::canonical) fn unit(&self, text: &[u8], at: usize) -> (Unit, usize) {
        match text[at] {
            b'%' => {
                let unit = self.escape(text, at);
                (unit, if unit.is_fault() { 1 } else { 3 })
            }
            byte => (self.raw(byte), 1),
        }
    }

    /// Returns the output for the escape at `at`.
    #[inline]
    pub(in crate::canonical) fn escape(&self, text: &[u8], at: usize) -> Unit {
        escape_at(text, at).map_or(Unit::FAULT, |byte| self.escape[byte as usize])
    }

    /// Returns the first position from `start` on where the spelling of `text` changes, or where
    /// there is a fault.
    #[inline]
    pub(in crate::canonical) fn first_change(&self, text: &[u8], start: usize) -> Option<usize> {
        let mut at = start;
        while at < text.len() {
            let (unit, read) = self.unit(text, at);
            if !unit.is_at(text, at, read) {
                return Some(at);
            }
            at += read;
        }
        None
    }

    /// Returns the error for the unit at `at`, which is a fault.
    #[cold]
    pub(in crate::canonical) fn fault(text: &[u8], at: usize) -> PathError {
        match (text[at], escape_at(text, at)) {
            (b'\\', _) => Fault::Backslash.at(at),
            (_, Some(byte)) => Fault::EncodedControlByte(byte).at(at),
            (_, None) => Fault::InvalidEscape.at(at),
        }
    }
}

/// Returns the maximum length of a path or a query of an origin: every byte that a path may not
/// contain raw is written as an escape. An escape that stays one has one such byte, its percent
/// sign, and does not grow.
pub(in crate::canonical) fn longest_path(text: &[u8]) -> usize {
    text.len() + 2 * count(text, |byte| !(is_path(byte) | (byte == b'%')))
}

/// Returns the maximum length of operations.
pub(in crate::canonical) fn longest_operations(text: &[u8]) -> usize {
    text.len() + 2 * count(text, |byte| !(is_operation(byte) | (byte == b'%')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_settled() {
        for spelling in [&IN_PATH, &IN_ORIGIN_QUERY, &IN_OPERATION] {
            for unit in spelling.raw.iter().chain(&spelling.escape) {
                // Input text never contains a control byte.
                if unit.is_fault()
                    || unit.len() == 3 && is_control(escape_at(&unit.bytes(), 0).unwrap_or(0))
                {
                    continue;
                }
                let written = &unit.bytes()[..unit.len()];
                assert_eq!(spelling.first_change(written, 0), None, "{written:?}");
            }
        }
    }

    #[test]
    fn faults_are_few() {
        let faults = |units: &[Unit; 256]| -> Vec<usize> {
            (0..256).filter(|&byte| units[byte].is_fault()).collect()
        };
        assert_eq!(faults(&IN_PATH.raw), [usize::from(b'\\')]);
        assert_eq!(faults(&IN_PATH.escape), (0..0x20).chain([0x7F]).collect::<Vec<_>>());
        assert_eq!(faults(&IN_OPERATION.raw), [0; 0]);
        assert_eq!(faults(&IN_OPERATION.escape), [0; 0]);
    }
}
