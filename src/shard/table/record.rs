//! A record: one path, as bytes of its node's block. Its variants are in the node's slots.
//!
//! ```text
//!   settled 8 | tenant 4 | hash 4 | stale 4 | text length 2 | text
//! ```
//!
//! Invariants:
//! - The size is a multiple of 8 bytes and at most 255 times that. It never changes.
//! - Each bit of `stale` belongs to one slot. Earlier variants come first.
//! - A record with a large set of variants has no slots: the length has the bit [`LARGE`], and
//!   `stale` is the place of the set outside.
//! - A text longer than [`MAX_TEXT`] is outside: the length is [`OUTSIDE`], and the text is the 4
//!   bytes of its place.
//!
//! The text starts at the same distance from the head in each record. So a lookup that knows where
//! the record starts reads all of it at once, and does not wait for the head.

use crate::freshness::Freshness;
use crate::hash::TableHash;
use crate::scopes::Generation;
use std::ops::Range;

const HEAD: usize = 22;
/// Records are sized in units of this many bytes.
pub(super) const UNIT: usize = 8;
/// Up to this many keys are compared by their tags: hardly a site serves a picture in more sizes.
pub(crate) const MAX_SLOTS: usize = 32;
/// The longest text inside a record.
pub(super) const MAX_TEXT: usize = 1024;
/// Instead of the length of a text that is outside.
const OUTSIDE: u16 = LARGE - 1;
/// In the length of a record with a large set.
const LARGE: u16 = 1 << 15;

const SETTLED: Range<usize> = 0..8;
const OWNER: Range<usize> = 8..16;
const STALE: Range<usize> = 16..20;
const TEXT: Range<usize> = 20..22;

/// A record to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    head: &'a [u8; HEAD],
    rest: &'a [u8],
}

/// A record to change.
#[derive(Debug)]
pub(super) struct RecordMut<'a>(&'a mut [u8; HEAD]);

/// Whose a record is: tenant and hash, compared at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner(u64);

/// The text of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoredText<'a> {
    Inside(&'a [u8]),
    /// The place of a long text.
    Outside(u32),
}

impl Owner {
    #[inline]
    pub(super) fn new(tenant: u32, hash: TableHash) -> Self {
        Self(u64::from(hash.get()) << 32 | u64::from(tenant))
    }
}

impl StoredText<'_> {
    /// The size of a record with this text.
    #[inline]
    pub(super) fn record_size(self) -> usize {
        let text = match self {
            Self::Inside(text) => text.len(),
            Self::Outside(_) => size_of::<u32>(),
        };
        (HEAD + text).next_multiple_of(UNIT)
    }
}

#[inline]
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("as many bytes as were asked for")
}

impl<'a> Record<'a> {
    /// # Panics
    /// If these bytes are shorter than a head.
    #[inline]
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let (head, rest) = bytes.split_first_chunk().expect("a record has a head");
        Self { head, rest }
    }

    #[inline]
    pub(super) fn settled(self) -> Generation {
        Generation::new(u64::from_le_bytes(array(&self.head[SETTLED])))
    }

    #[inline]
    pub(super) fn owner(self) -> Owner {
        Owner(u64::from_le_bytes(array(&self.head[OWNER])))
    }

    pub(super) fn tenant(self) -> u32 {
        u32::from_le_bytes(array(&self.head[OWNER][..4]))
    }

    #[inline]
    pub(super) fn hash(self) -> TableHash {
        TableHash::from_stored(u32::from_le_bytes(array(&self.head[OWNER][4..])))
    }

    /// A bit for each slot that is marked stale; of a large set, its place.
    #[inline]
    pub(super) fn stale(self) -> u32 {
        u32::from_le_bytes(array(&self.head[STALE]))
    }

    /// The place of a large set of variants.
    #[inline]
    pub(super) fn large(self) -> Option<u32> {
        (self.length() & LARGE != 0).then(|| self.stale())
    }

    /// Whether this is the [plain](Self::is_plain) record of a path.
    #[allow(clippy::inline_always, reason = "most of what a purge does to find its record")]
    #[inline(always)]
    pub(super) fn is(self, owner: Owner, path: &[u8]) -> bool {
        let bytes = self.rest.get(..path.len());
        self.owner() == owner && usize::from(self.length()) == path.len() && bytes == Some(path)
    }

    /// Whether text and variants are in the node, and not outside.
    #[inline]
    pub(super) fn is_plain(self) -> bool {
        self.length() < OUTSIDE
    }

    /// Whether a slot is marked stale.
    #[inline]
    pub(super) fn freshness(self, slot: usize) -> Freshness {
        Freshness::stale_if(self.stale() >> slot & 1 == 1)
    }

    #[inline]
    fn length(self) -> u16 {
        u16::from_le_bytes(array(&self.head[TEXT]))
    }

    /// The text, if it is of this length and inside.
    #[inline]
    pub(super) fn text_of(self, len: usize) -> Option<&'a [u8]> {
        // The length of a text outside is beyond the end of any block.
        self.rest.get(..len).filter(|_| usize::from(self.length() & !LARGE) == len)
    }

    #[inline]
    pub(super) fn text(self) -> StoredText<'a> {
        let len = self.length() & !LARGE;
        if len == OUTSIDE {
            return StoredText::Outside(u32::from_le_bytes(array(&self.rest[..4])));
        }
        StoredText::Inside(&self.rest[..len.into()])
    }
}

impl<'a> RecordMut<'a> {
    /// # Panics
    /// If these bytes are shorter than a head.
    #[inline]
    pub(super) fn new(bytes: &'a mut [u8]) -> Self {
        Self(bytes.first_chunk_mut().expect("a record has a head"))
    }

    /// Writes a record without slots.
    #[inline]
    pub(super) fn write(bytes: &mut [u8], owner: Owner, settled: Generation, text: StoredText<'_>) {
        let (head, rest) = bytes.split_first_chunk_mut::<HEAD>().expect("a record has a head");
        head[SETTLED].copy_from_slice(&settled.get().to_le_bytes());
        head[OWNER].copy_from_slice(&owner.0.to_le_bytes());
        head[STALE].copy_from_slice(&[0; 4]);
        let len = match text {
            StoredText::Inside(text) => {
                rest[..text.len()].copy_from_slice(text);
                u16::try_from(text.len()).expect("a text inside of a record is short")
            }
            StoredText::Outside(place) => {
                rest[..4].copy_from_slice(&place.to_le_bytes());
                OUTSIDE
            }
        };
        head[TEXT].copy_from_slice(&len.to_le_bytes());
    }

    fn stale(&self) -> u32 {
        u32::from_le_bytes(array(&self.0[STALE]))
    }

    /// Moves `settled` forward to a generation.
    pub(super) fn settle(&mut self, as_of: Generation) {
        self.0[SETTLED].copy_from_slice(&as_of.get().to_le_bytes());
    }

    pub(super) fn set_stale(&mut self, stale: u32) {
        self.0[STALE].copy_from_slice(&stale.to_le_bytes());
    }

    /// Moves the mark of a slot behind the others, of which there are `slots` with it, and sets it.
    pub(super) fn renew(&mut self, slot: usize, slots: usize, freshness: Freshness) {
        self.set_stale(without(self.stale(), slot) | bit(freshness) << (slots - 1));
    }

    /// Marks a slot stale, or not.
    #[inline]
    pub(super) fn mark(&mut self, slot: usize, freshness: Freshness) {
        let others = self.stale() & !(1 << slot);
        self.set_stale(others | bit(freshness) << slot);
    }

    /// Takes the mark of a slot out.
    pub(super) fn remove(&mut self, slot: usize) {
        self.set_stale(without(self.stale(), slot));
    }

    /// Writes down that the variants are in a large set.
    pub(super) fn set_large(&mut self, place: u32) {
        self.set_length(|len| len | LARGE);
        self.set_stale(place);
    }

    /// Writes down that there is no variant.
    pub(super) fn clear(&mut self) {
        self.set_length(|len| len & !LARGE);
        self.set_stale(0);
    }

    fn set_length(&mut self, change: impl Fn(u16) -> u16) {
        let len = change(u16::from_le_bytes(array(&self.0[TEXT])));
        self.0[TEXT].copy_from_slice(&len.to_le_bytes());
    }
}

/// The bit of a slot.
fn bit(freshness: Freshness) -> u32 {
    freshness.is_stale().into()
}

/// The bits without one, the higher ones moved down.
fn without(bits: u32, at: usize) -> u32 {
    let below = (1 << at) - 1;
    bits & below | bits >> 1 & !below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_move_down_when_one_goes() {
        assert_eq!(without(0b1011, 1), 0b101);
        assert_eq!(without(0b1011, 3), 0b011);
        assert_eq!(without(u32::MAX, 31), u32::MAX >> 1);
        assert_eq!(without(1 << 31, 0), 1 << 30);
    }

    #[test]
    fn size_is_a_multiple_of_eight_that_holds_the_text() {
        let size = |text: &str| StoredText::Inside(text.as_bytes()).record_size();
        assert_eq!([size(""), size("ab"), size("abc")], [24, 24, 32]);
        assert_eq!(StoredText::Outside(7).record_size(), 32);
        assert!(size(&"x".repeat(MAX_TEXT)) <= usize::from(u8::MAX) * UNIT);
    }

    #[test]
    fn marks_come_and_go_and_the_text_stays() {
        let text = StoredText::Inside(b"a/path.jpg");
        let mut bytes = vec![0; text.record_size()];
        let owner = Owner::new(7, TableHash::new(9));
        RecordMut::write(&mut bytes, owner, Generation::new(3), text);
        let marks: Vec<_> = (0..32).map(|n| Freshness::stale_if(n % 3 == 0)).collect();
        for (slot, freshness) in marks.iter().enumerate() {
            RecordMut::new(&mut bytes).mark(slot, *freshness);
        }
        // The first is the youngest, and the one before the last goes.
        RecordMut::new(&mut bytes).renew(0, 32, Freshness::Live);
        RecordMut::new(&mut bytes).remove(29);
        let read = Record::new(&bytes);
        assert_eq!((read.text(), read.owner(), read.tenant()), (text, owner, 7));
        assert_eq!((read.hash(), read.settled()), (TableHash::new(9), Generation::new(3)));
        let kept = (1..32).filter(|n| *n != 30).map(|n| marks[n]).chain([Freshness::Live]);
        assert!(kept.enumerate().all(|(slot, freshness)| read.freshness(slot) == freshness));
    }

    #[test]
    fn large_set_and_long_text_leave_each_other_alone() {
        for text in [StoredText::Inside(b"a.jpg"), StoredText::Outside(5)] {
            let mut bytes = vec![0; text.record_size()];
            let owner = Owner::new(7, TableHash::new(9));
            RecordMut::write(&mut bytes, owner, Generation::START, text);
            assert_eq!(Record::new(&bytes).large(), None);
            RecordMut::new(&mut bytes).set_large(8);
            assert_eq!((Record::new(&bytes).large(), Record::new(&bytes).text()), (Some(8), text));
            RecordMut::new(&mut bytes).clear();
            let read = Record::new(&bytes);
            assert_eq!((read.large(), read.stale(), read.text()), (None, 0, text));
        }
    }
}
