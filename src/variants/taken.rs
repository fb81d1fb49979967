//! Variants that were taken out of a path.
//!
//! Invariant: a number of a key stays in use until its variant is resolved or dropped.

use super::dictionary::{Dictionary, KeyId};
use super::key::Entry;
use super::large::LargeSet;
use crate::freshness::Freshness;
use crate::hash::KeyTag;
use std::sync::Arc;

/// A variant of a small set: its value, the number of its key, and the tag of the key's hash.
#[derive(Debug)]
pub(crate) struct Slot<V> {
    value: V,
    /// The tag, and the three bytes of the number. As bytes, so that a small value needs no
    /// padding.
    name: [u8; 4],
}

/// Variants that left a small set, with numbers for keys. The texts are looked up when they are
/// asked for, outside of the shard's lock.
pub(crate) struct Numbered<V> {
    slots: std::vec::IntoIter<Slot<V>>,
    /// A bit for each slot that is left: whether it is marked stale. The lowest is the next slot's.
    stale: u32,
    keys: Arc<Dictionary>,
}

/// Variants that were taken out of a path.
pub(crate) enum Taken<V> {
    Numbered(Numbered<V>),
    Listed(Vec<Entry<V>>),
    /// A large set as it was, so that taking it out is O(1).
    Whole(Box<LargeSet<V>>),
}

/// The variants that were taken out of a path, one after the other.
pub(crate) enum TakenEntries<V> {
    Numbered(Numbered<V>),
    Listed(std::vec::IntoIter<Entry<V>>),
}

impl<V> Slot<V> {
    #[inline]
    pub(crate) fn new(key: KeyId, tag: KeyTag, value: V) -> Self {
        let [a, b, c] = key.to_bytes();
        Self { value, name: [tag.get(), a, b, c] }
    }

    #[inline]
    pub(crate) fn tag(&self) -> u8 {
        self.name[0]
    }

    #[inline]
    pub(crate) fn key(&self) -> KeyId {
        KeyId::from_bits(u32::from_le_bytes(self.name) >> u8::BITS)
    }

    #[inline]
    pub(crate) fn value(&self) -> &V {
        &self.value
    }

    #[inline]
    pub(crate) fn value_mut(&mut self) -> &mut V {
        &mut self.value
    }

    pub(crate) fn into_value(self) -> V {
        self.value
    }
}

impl<V> Numbered<V> {
    /// Each bit of `stale` belongs to one slot.
    pub(crate) fn new(slots: Vec<Slot<V>>, stale: u32, keys: &Arc<Dictionary>) -> Self {
        Self { slots: slots.into_iter(), stale, keys: Arc::clone(keys) }
    }
}

impl<V> Iterator for Numbered<V> {
    type Item = Entry<V>;

    #[inline]
    fn next(&mut self) -> Option<Entry<V>> {
        let slot = self.slots.next()?;
        let freshness = Freshness::stale_if(self.stale & 1 == 1);
        self.stale >>= 1;
        let key = self.keys.resolve(slot.key());
        Some(Entry { key, value: slot.value, freshness })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.slots.size_hint()
    }
}

impl<V> ExactSizeIterator for Numbered<V> {}

impl<V> Drop for Numbered<V> {
    fn drop(&mut self) {
        self.slots.as_slice().iter().for_each(|slot| self.keys.release(slot.key()));
    }
}

impl<V> Taken<V> {
    pub(crate) fn none() -> Self {
        Self::Listed(Vec::new())
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Numbered(slots) => slots.len(),
            Self::Listed(entries) => entries.len(),
            Self::Whole(large) => large.len(),
        }
    }

    /// The entries in a vector, whose iterator drops the rest when a caller's `Drop` panics.
    pub(crate) fn into_entries(self) -> Vec<Entry<V>> {
        match self {
            Self::Numbered(slots) => slots.collect(),
            Self::Listed(entries) => entries,
            Self::Whole(large) => large.into_entries(),
        }
    }
}

impl<V> IntoIterator for Taken<V> {
    type Item = Entry<V>;
    type IntoIter = TakenEntries<V>;

    fn into_iter(self) -> TakenEntries<V> {
        match self {
            Self::Numbered(slots) => TakenEntries::Numbered(slots),
            Self::Listed(entries) => TakenEntries::Listed(entries.into_iter()),
            Self::Whole(large) => TakenEntries::Listed(large.into_entries().into_iter()),
        }
    }
}

impl<V> Iterator for TakenEntries<V> {
    type Item = Entry<V>;

    #[inline]
    fn next(&mut self) -> Option<Entry<V>> {
        match self {
            Self::Numbered(slots) => slots.next(),
            Self::Listed(entries) => entries.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Self::Numbered(slots) => slots.size_hint(),
            Self::Listed(entries) => entries.size_hint(),
        }
    }
}

impl<V> ExactSizeIterator for TakenEntries<V> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hashing;

    #[test]
    fn text_of_an_entry_is_counted_with_its_two_counts() {
        let entry = Entry { key: "?w=10".into(), value: (), freshness: Freshness::Live };
        assert_eq!(entry.text_bytes(), 5 + 2 * size_of::<usize>());
    }

    #[test]
    fn what_was_taken_uses_its_keys_until_it_is_listed_or_dropped() {
        let (keys, hashing) = (Arc::new(Dictionary::default()), Hashing::new());
        let slot = |n: usize| {
            let text = format!("?w={n}");
            let key = keys.take(&text, hashing.variant(&text)).unwrap();
            Slot::new(key, hashing.tag(&text), n)
        };
        let numbered = Numbered::new((0..5).map(slot).collect(), 0b10, &keys);
        let ids: Vec<_> = numbered.slots.as_slice().iter().map(Slot::key).collect();
        let mut taken = Taken::Numbered(numbered).into_iter();
        let mut next = || taken.next().map(|entry| (entry.key, entry.value, entry.freshness));
        assert_eq!(next(), Some(("?w=0".into(), 0, Freshness::Live)));
        assert_eq!(next(), Some(("?w=1".into(), 1, Freshness::Stale)));
        assert_eq!(next(), Some(("?w=2".into(), 2, Freshness::Live)));
        keys.check(ids[3..].iter().copied());
        assert_eq!(taken.len(), 2);
        drop(taken);
        keys.check(std::iter::empty());
    }
}
