//! `Reader`: takes numbers and texts off the front of untrusted bytes.
//!
//! Invariants: never panics, never allocates; what is not there is `None`.

/// The bytes that are left, and how many were taken.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { all: bytes, at: 0 }
    }

    /// Returns the number of bytes taken so far.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.all.get(self.at..).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let taken = self.rest().get(..len)?;
        self.at += len;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn number32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn number64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Takes a text with its length in front, as a 32-bit number.
    pub(crate) fn text32(&mut self) -> Option<&'a str> {
        let len = usize::try_from(self.number32()?).ok()?;
        std::str::from_utf8(self.take(len)?).ok()
    }

    /// Takes a number of seven bits a byte, the lowest first. Only the shortest spelling is
    /// accepted.
    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return (byte != 0 || shift == 0).then_some(number);
            }
        }
        None
    }

    /// Takes a varint that counts items, each of which needs at least `bytes_each` of the remaining
    /// bytes.
    pub(crate) fn count(&mut self, bytes_each: usize) -> Option<usize> {
        let count = usize::try_from(self.varint()?).ok()?;
        (count.checked_mul(bytes_each)? <= self.rest().len()).then_some(count)
    }

    /// Takes a text with its length in front, as a varint.
    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let len = self.count(1)?;
        std::str::from_utf8(self.take(len)?).ok()
    }
}

/// Appends a number of seven bits a byte, the lowest first.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Appends a text with its length in front, as a varint.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Appends a text with its length in front, as a 32-bit number.
///
/// # Panics
/// If the text is 4 GiB long. Longer texts cannot be names in the index.
pub(crate) fn put_text32(out: &mut Vec<u8>, text: &str) {
    let len = u32::try_from(text.len()).expect("names are shorter than 4 GiB");
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_of_every_length_round_trip() {
        for number in (0..64).map(|bit| 1_u64 << bit).chain([0, 127, 128, 16_383, u64::MAX]) {
            let mut out = Vec::new();
            put_varint(&mut out, number);
            let mut reader = Reader::new(&out);
            assert_eq!((reader.varint(), reader.is_empty()), (Some(number), true));
        }
    }

    #[test]
    fn overlong_and_overflowing_varints_are_refused() {
        assert_eq!(Reader::new(&[0x80, 0]).varint(), None);
        assert_eq!(Reader::new(&[0xff; 10]).varint(), None);
        assert_eq!(Reader::new(&[0x80]).varint(), None);
    }

    #[test]
    fn counts_beyond_the_bytes_left_are_refused() {
        assert_eq!(Reader::new(&[3, 1, 2, 3]).count(1), Some(3));
        assert_eq!(Reader::new(&[3, 1, 2, 3]).count(2), None);
        let mut huge = Vec::new();
        put_varint(&mut huge, u64::MAX);
        assert_eq!(Reader::new(&huge).count(2), None);
    }
}
