//! A record: one path with its variants, as bytes of its node's block.
//!
//! ```text
//!   head, 24 bytes
//!     settled 8 | tenant 4 | hash 4 | stale 4 | text length 2 | slots 1 | room 1
//!   rest
//!     tags, one byte for each slot | numbers, 3 bytes for each slot | text
//! ```
//!
//! Invariants:
//! - The size is a multiple of 8 bytes and at most 255 times that. Bytes left over are room for
//!   slots.
//! - A tag is a byte of the hash of the variant's key; the number is that of the key. Earlier
//!   variants come first. Each bit of `stale` belongs to one slot.
//! - A large set of variants has no slots and no room: `slots` is [`LARGE`], and `stale` is the
//!   place of the set outside.
//! - A text longer than [`MAX_TEXT`] is outside: the length is [`OUTSIDE`], and the text is the 4
//!   bytes of its place.
//!
//! Fields are read as integers from subslices: one check of bounds for the head, and one for each
//! part of the rest.

use super::lanes::zeros;
use crate::freshness::Freshness;
use crate::hash::TableHash;
use crate::scopes::Generation;
use crate::variants::KeyId;
use std::ops::Range;

const HEAD: usize = 24;
/// A number and a tag.
const SLOT: usize = 4;
/// Records are sized in units of this many bytes.
pub(super) const UNIT: usize = 8;
/// Up to this many keys are compared by their tags: hardly a site serves a picture in more sizes.
pub(crate) const MAX_SLOTS: usize = 32;
/// The longest text inside a record.
pub(super) const MAX_TEXT: usize = 1024;
/// Instead of the length of a text that is outside.
const OUTSIDE: u16 = u16::MAX;
/// Instead of the number of slots of a large set.
const LARGE: u8 = u8::MAX;

const SETTLED: Range<usize> = 0..8;
const OWNER: Range<usize> = 8..16;
const STALE: Range<usize> = 16..20;
const TEXT: Range<usize> = 20..22;
const SLOTS: usize = 22;
const ROOM: usize = 23;

/// A record to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    head: &'a [u8; HEAD],
    rest: &'a [u8],
}

/// A record to change.
#[derive(Debug)]
pub(super) struct RecordMut<'a> {
    pub(super) bytes: &'a mut [u8],
}

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

/// The room for slots, and the size, of a record with at least so many slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) room: usize,
    pub(super) size: usize,
}

impl Shape {
    pub(super) fn new(slots: usize, text: usize) -> Self {
        let needed = HEAD + slots * SLOT + text;
        let size = needed.next_multiple_of(UNIT);
        // A large set has no slots, whatever is left over.
        let room = if slots == 0 { 0 } else { slots + (size - needed) / SLOT };
        Self { room, size }
    }
}

impl Owner {
    #[inline]
    pub(super) fn new(tenant: u32, hash: TableHash) -> Self {
        Self(u64::from(hash.get()) << 32 | u64::from(tenant))
    }
}

impl StoredText<'_> {
    pub(super) fn len(self) -> usize {
        match self {
            Self::Inside(text) => text.len(),
            Self::Outside(_) => size_of::<u32>(),
        }
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
        (self.head[SLOTS] == LARGE).then(|| self.stale())
    }

    /// The number of slots: none for a large set.
    #[inline]
    pub(super) fn slots(self) -> usize {
        if self.head[SLOTS] == LARGE { 0 } else { self.head[SLOTS].into() }
    }

    /// Whether a slot is marked stale.
    #[inline]
    pub(super) fn freshness(self, slot: usize) -> Freshness {
        Freshness::stale_if(self.stale() >> slot & 1 == 1)
    }

    #[inline]
    pub(super) fn room(self) -> usize {
        self.head[ROOM].into()
    }

    #[inline]
    pub(super) fn text(self) -> StoredText<'a> {
        let len = u16::from_le_bytes(array(&self.head[TEXT]));
        let text = &self.rest[self.room() * SLOT..];
        if len == OUTSIDE {
            return StoredText::Outside(u32::from_le_bytes(array(&text[..4])));
        }
        StoredText::Inside(&text[..len.into()])
    }

    #[inline]
    pub(super) fn key(self, slot: usize) -> KeyId {
        let start = self.room() + slot * 3;
        KeyId::from_bytes(array(&self.rest[start..start + 3]))
    }

    pub(super) fn keys(self) -> impl ExactSizeIterator<Item = KeyId> + use<'a> {
        (0..self.slots()).map(move |slot| self.key(slot))
    }

    /// The slot with the tag of a hash for whose key `is` holds.
    #[allow(clippy::inline_always, reason = "a lookup has all of this in registers")]
    #[inline(always)]
    pub(super) fn find(self, hash: TableHash, mut is: impl FnMut(KeyId) -> bool) -> Option<usize> {
        let (slots, wanted) = (self.slots(), u64::from_le_bytes([hash.tag(); 8]));
        let mut start = 0;
        // A size is a multiple of eight, and so is that of the rest.
        while start < slots {
            let tags = u64::from_le_bytes(array(&self.rest[start..start + 8]));
            let mut candidates = zeros(tags ^ wanted);
            while candidates != 0 {
                let slot = start + candidates.trailing_zeros() as usize / 8;
                if slot < slots && is(self.key(slot)) {
                    return Some(slot);
                }
                candidates &= candidates - 1;
            }
            start += 8;
        }
        None
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn tag(self, slot: usize) -> u8 {
        self.rest[slot]
    }
}

impl RecordMut<'_> {
    /// Writes a record without slots.
    pub(super) fn write(
        &mut self,
        owner: Owner,
        settled: Generation,
        text: StoredText<'_>,
        room: usize,
    ) {
        let (head, rest) = self.bytes.split_first_chunk_mut::<HEAD>().expect("a record has a head");
        head[SETTLED].copy_from_slice(&settled.get().to_le_bytes());
        head[OWNER].copy_from_slice(&owner.0.to_le_bytes());
        head[STALE].copy_from_slice(&[0; 4]);
        head[SLOTS] = 0;
        head[ROOM] = narrow(room);
        let start = room * SLOT;
        let len = match text {
            StoredText::Inside(text) => {
                rest[start..start + text.len()].copy_from_slice(text);
                u16::try_from(text.len()).expect("a text inside of a record is short")
            }
            StoredText::Outside(place) => {
                rest[start..start + 4].copy_from_slice(&place.to_le_bytes());
                OUTSIDE
            }
        };
        head[TEXT].copy_from_slice(&len.to_le_bytes());
    }

    #[inline]
    pub(super) fn read(&self) -> Record<'_> {
        Record::new(self.bytes)
    }

    pub(super) fn settle(&mut self, as_of: Generation) {
        let settled = self.read().settled().max(as_of);
        self.bytes[SETTLED].copy_from_slice(&settled.get().to_le_bytes());
    }

    pub(super) fn set_stale(&mut self, stale: u32) {
        self.bytes[STALE].copy_from_slice(&stale.to_le_bytes());
    }

    /// Adds a slot. There is room.
    #[inline]
    pub(super) fn push(&mut self, key: KeyId, hash: TableHash, freshness: Freshness) {
        let (head, rest) = self.bytes.split_first_chunk_mut::<HEAD>().expect("a record has a head");
        let (slot, room) = (usize::from(head[SLOTS]), usize::from(head[ROOM]));
        assert!(slot < room, "there is room for a slot");
        rest[slot] = hash.tag();
        let start = room + slot * 3;
        rest[start..start + 3].copy_from_slice(&key.to_bytes());
        head[SLOTS] += 1;
        if freshness.is_stale() {
            self.set_stale(self.read().stale() | 1 << slot);
        }
    }

    /// Moves a slot behind the others, and marks it.
    pub(super) fn renew(&mut self, slot: usize, freshness: Freshness) {
        let last = self.read().slots() - 1;
        let (tag, key) = (self.bytes[HEAD + slot], self.read().key(slot).to_bytes());
        if slot < last {
            self.close_gap(slot);
            let start = HEAD + self.read().room() + last * 3;
            self.bytes[HEAD + last] = tag;
            self.bytes[start..start + 3].copy_from_slice(&key);
        }
        self.set_stale(without(self.read().stale(), slot) | bit(freshness) << last);
    }

    /// Marks a slot stale, or not.
    pub(super) fn mark(&mut self, slot: usize, freshness: Freshness) {
        let others = self.read().stale() & !(1 << slot);
        self.set_stale(others | bit(freshness) << slot);
    }

    /// Takes a slot out.
    pub(super) fn remove(&mut self, slot: usize) {
        let slots = self.read().slots();
        self.close_gap(slot);
        self.set_stale(without(self.read().stale(), slot));
        self.bytes[SLOTS] = narrow(slots - 1);
    }

    fn close_gap(&mut self, slot: usize) {
        let (slots, room) = (self.read().slots(), self.read().room());
        self.bytes.copy_within(HEAD + slot + 1..HEAD + slots, HEAD + slot);
        let numbers = HEAD + room;
        self.bytes.copy_within(numbers + slot * 3 + 3..numbers + slots * 3, numbers + slot * 3);
    }

    /// Makes more or less room for slots, without changing the size: text and numbers move. The
    /// bytes are as many as it takes.
    pub(super) fn set_room(&mut self, room: usize) {
        let record = self.read();
        let (old, numbers, text) = (record.room(), record.slots() * 3, record.text().len());
        let move_text = |bytes: &mut [u8]| {
            let start = HEAD + old * SLOT;
            bytes.copy_within(start..start + text, HEAD + room * SLOT);
        };
        let move_numbers = |bytes: &mut [u8]| {
            bytes.copy_within(HEAD + old..HEAD + old + numbers, HEAD + room);
        };
        // The part that moves away first makes room for the other part.
        if room > old {
            move_text(self.bytes);
            move_numbers(self.bytes);
        } else {
            move_numbers(self.bytes);
            move_text(self.bytes);
        }
        self.bytes[ROOM] = narrow(room);
    }

    /// Turns a record whose slots were taken out into one with a large set.
    pub(super) fn set_large(&mut self, place: u32) {
        self.bytes[SLOTS] = LARGE;
        self.set_stale(place);
    }

    /// Forgets all slots, or the large set.
    pub(super) fn clear(&mut self) {
        self.bytes[SLOTS] = 0;
        self.set_stale(0);
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

/// # Panics
/// Past 255. A record has at most 33 slots.
fn narrow(number: usize) -> u8 {
    u8::try_from(number).expect("a record has few slots")
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
    fn size_is_a_multiple_of_eight_and_the_rest_is_room() {
        assert_eq!(Shape::new(1, 4), Shape { room: 1, size: 32 });
        assert_eq!(Shape::new(1, 5), Shape { room: 2, size: 40 });
        assert_eq!(Shape::new(1, 9), Shape { room: 1, size: 40 });
        assert_eq!(Shape::new(0, 9), Shape { room: 0, size: 40 });
        assert!(Shape::new(MAX_SLOTS, MAX_TEXT).size <= u8::MAX as usize * UNIT);
    }

    #[test]
    fn slots_come_and_go_and_the_text_stays() {
        let mut bytes = vec![0; 200];
        let text = StoredText::Inside(b"a/path.jpg");
        let (key, hash) = (
            |n: u32| KeyId::from_bytes([n.to_le_bytes()[0], 1, 2]),
            |n: u32| TableHash::new(n << 24),
        );
        let owner = Owner::new(7, TableHash::new(9));
        let mut record = RecordMut { bytes: &mut bytes };
        record.write(owner, Generation::new(3), text, 2);
        for n in 0..32 {
            if record.read().slots() == record.read().room() {
                record.set_room(record.read().room() + 1);
            }
            record.push(key(n), hash(n), Freshness::stale_if(n % 3 == 0));
        }
        record.renew(0, Freshness::Live);
        record.remove(30);
        let read = record.read();
        assert_eq!((read.text(), read.owner(), read.tenant()), (text, owner, 7));
        let expected: Vec<_> = (1..31).chain([0]).collect();
        assert!(read.keys().eq(expected.iter().map(|n| key(*n))));
        for (slot, n) in expected.into_iter().enumerate() {
            assert_eq!(read.find(hash(n), |id| id == key(n)), Some(slot));
            assert_eq!(read.freshness(slot).is_stale(), n % 3 == 0 && n > 0, "{n}");
        }
        assert_eq!(read.find(hash(31), |_| true), None);
        assert_eq!(read.find(hash(3), |_| false), None);
        while record.read().slots() > 3 {
            record.remove(1);
        }
        record.set_room(3);
        assert!(record.read().keys().eq([1, 30, 0].map(key)) || record.read().slots() == 3);
        assert_eq!(record.read().text(), text);
    }
}
