//! The one spelling of each byte and each escape, as tables.
//!
//! Invariant: what a table writes, it reads again as itself; so text that was written by it is
//! settled. Not here: which bytes stay raw where; `bytes` names these classes.
//!
//! A text that needs changes is nothing but a sequence of units, each a byte or an escape, and what
//! becomes of a unit doesn't depend on its neighbors. So there is one look-up for each, whether it
//! is kept, decoded or encoded, instead of branches that the text decides.

use super::super::error::{Fault, PathError};
use super::bytes::{
    Class, OPERATION, ORIGIN_QUERY, PATH, UNRESERVED, escape_at, escaped, is_control, is_operation,
    is_path,
};
use super::scan::count;

/// How the bytes and escapes of one kind of text are written.
pub(in crate::canonical) struct Spelling {
    raw: [Unit; 256],
    escape: [Unit; 256],
}

/// What is written for a byte or an escape: up to three bytes, and how many they are; none if it is
/// a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::canonical) struct Unit([u8; 4]);

impl Unit {
    const FAULT: Self = Self([0; 4]);
    /// How many bytes are written for one.
    pub(in crate::canonical) const LONGEST: usize = 3;

    const fn raw(byte: u8) -> Self {
        Self([byte, 0, 0, 1])
    }

    const fn escape(byte: u8) -> Self {
        let [percent, high, low] = escaped(byte);
        Self([percent, high, low, 3])
    }

    /// The bytes, and one more, which is to be written over.
    #[inline]
    pub(in crate::canonical) const fn bytes(self) -> [u8; 4] {
        self.0
    }

    #[inline]
    pub(in crate::canonical) const fn len(self) -> usize {
        self.0[3] as usize
    }

    /// Whether it is what stands at `at`, where it was read from so many bytes.
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
pub(in crate::canonical) static IN_PATH: Spelling = Spelling::of_origin(&PATH);
/// Queries of origins.
pub(in crate::canonical) static IN_ORIGIN_QUERY: Spelling = Spelling::of_origin(&ORIGIN_QUERY);
/// Names and values of operations. A raw plus is not the same as an encoded one: which of the two
/// is a space depends on the reader.
pub(in crate::canonical) static IN_OPERATION: Spelling = Spelling::of_operation();

/// A path that is encoded as a whole: everything is decoded, once.
pub(in crate::canonical) static DECODED: Spelling = Spelling::of_encoded();

impl Spelling {
    /// RFC 3986, section 6.2.2: bytes of `class` stay raw, escapes of unreserved ones are decoded,
    /// everything else is encoded.
    const fn of_origin(class: &Class) -> Self {
        let mut spelling = Self { raw: [Unit::FAULT; 256], escape: [Unit::FAULT; 256] };
        let mut byte: u8 = 0;
        loop {
            let at = byte as usize;
            if class.contains(byte) {
                spelling.raw[at] = Unit::raw(byte);
            } else if byte != b'\\' {
                spelling.raw[at] = Unit::escape(byte);
            }
            if UNRESERVED.contains(byte) {
                spelling.escape[at] = Unit::raw(byte);
            } else if !is_control(byte) {
                spelling.escape[at] = Unit::escape(byte);
            }
            if byte == 0xFF {
                return spelling;
            }
            byte += 1;
        }
    }

    const fn of_encoded() -> Self {
        let mut spelling = Self { raw: [Unit::FAULT; 256], escape: [Unit::FAULT; 256] };
        let mut byte: u8 = 0;
        loop {
            spelling.raw[byte as usize] = Unit::raw(byte);
            spelling.escape[byte as usize] = Unit::raw(byte);
            if byte == 0xFF {
                return spelling;
            }
            byte += 1;
        }
    }

    const fn of_operation() -> Self {
        let mut spelling = Self { raw: [Unit::FAULT; 256], escape: [Unit::FAULT; 256] };
        let mut byte: u8 = 0;
        loop {
            let unit = if OPERATION.contains(byte) { Unit::raw(byte) } else { Unit::escape(byte) };
            spelling.raw[byte as usize] = unit;
            spelling.escape[byte as usize] = unit;
            if byte == 0xFF {
                spelling.raw[b'+' as usize] = Unit::raw(b'+');
                return spelling;
            }
            byte += 1;
        }
    }

    /// What becomes of a byte other than a percent sign.
    #[inline]
    pub(in crate::canonical) fn raw(&self, byte: u8) -> Unit {
        self.raw[byte as usize]
    }

    /// What becomes of the byte or escape at `at`, and how many bytes of the text it takes.
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

    /// What becomes of the escape at `at`.
    #[inline]
    pub(in crate::canonical) fn escape(&self, text: &[u8], at: usize) -> Unit {
        escape_at(text, at).map_or(Unit::FAULT, |byte| self.escape[byte as usize])
    }

    /// Where `text` stops being settled from `start` on: at something that is written otherwise, or
    /// is a fault.
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

    /// What is wrong with the unit at `at`, which is a fault.
    #[cold]
    pub(in crate::canonical) fn fault(text: &[u8], at: usize) -> PathError {
        match (text[at], escape_at(text, at)) {
            (b'\\', _) => Fault::Backslash.at(at),
            (_, Some(byte)) => Fault::EncodedControlByte(byte).at(at),
            (_, None) => Fault::InvalidEscape.at(at),
        }
    }
}

/// How long a path or a query of an origin can become: every byte that is no path's written as an
/// escape. An escape that stays one has one such byte, its percent sign, and doesn't grow.
pub(in crate::canonical) fn longest_path(text: &[u8]) -> usize {
    #[expect(clippy::needless_bitwise_bool, reason = "see `count`")]
    let grows = |byte| !is_path(byte) & (byte != b'%');
    text.len() + 2 * count(text, grows)
}

/// How long operations can become, if no value holds an equals sign.
pub(in crate::canonical) fn longest_operations(text: &[u8]) -> usize {
    #[expect(clippy::needless_bitwise_bool, reason = "see `count`")]
    let grows = |byte| !is_operation(byte) & (byte != b'%') & (byte != b'&') & (byte != b'=');
    text.len() + 2 * count(text, grows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_settled() {
        for spelling in [&IN_PATH, &IN_ORIGIN_QUERY, &IN_OPERATION] {
            for unit in spelling.raw.iter().chain(&spelling.escape) {
                // A control byte can be in no text that is asked about.
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
