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
    name: SlotName,
}

/// The tag of a slot, and the three bytes of its number. As bytes, so that a small value needs no
/// padding.
type SlotName = [u8; 4];

fn key_of(name: SlotName) -> KeyId {
    KeyId::from_number(u32::from_le_bytes(name) >> 8)
}

/// So many variants need no memory of their own when they leave their path. Most paths have no
/// more.
const FEW: usize = 4;

/// Variants that were taken out of a path.
pub(crate) enum Taken<V> {
    Few(Few<V>),
    Many(Many<V>),
    Listed(Vec<Entry<V>>),
    /// A large set as it was, so that taking it out is O(1).
    Whole(Box<LargeSet<V>>),
}

/// At most [`FEW`] variants that left a small set, with numbers for keys. The texts are looked up
/// when they are asked for, outside of the shard's lock.
pub(crate) struct Few<V> {
    values: [Option<V>; FEW],
    names: [SlotName; FEW],
    /// How many are left: the first ones.
    len: usize,
    marks: Marks,
}

/// More variants that left a small set.
pub(crate) struct Many<V> {
    slots: Vec<Slot<V>>,
    marks: Marks,
}

struct Marks {
    /// A bit for each slot: whether it is marked stale.
    stale: u32,
    /// The dictionary of the numbers, unless there is none.
    keys: Option<Arc<Dictionary>>,
}

impl<V> Slot<V> {
    #[inline]
    pub(crate) fn new(key: KeyId, tag: KeyTag, value: V) -> Self {
        let name = key.number() << 8 | u32::from(tag.get());
        Self { value, name: name.to_le_bytes() }
    }

    #[inline]
    pub(crate) fn tag(&self) -> u8 {
        self.name[0]
    }

    #[inline]
    pub(crate) fn key(&self) -> KeyId {
        key_of(self.name)
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

impl Marks {
    #[inline]
    fn new(stale: u32, keys: &Arc<Dictionary>) -> Self {
        Self { stale, keys: Some(Arc::clone(keys)) }
    }

    #[inline]
    fn entry<V>(&self, name: SlotName, value: V, at: usize) -> Option<Entry<V>> {
        let key = self.keys.as_ref()?.resolve(key_of(name));
        let freshness = Freshness::stale_if(self.stale >> at & 1 == 1);
        Some(Entry { key, value, freshness })
    }

    #[inline]
    fn visit(&self, name: SlotName, visit: impl FnOnce(&str)) {
        if let Some(keys) = &self.keys {
            keys.visit(key_of(name), visit);
        }
    }

    #[cold]
    #[inline(never)]
    fn release(&self, names: impl Iterator<Item = SlotName>) {
        if let Some(keys) = &self.keys {
            names.for_each(|name| keys.release(key_of(name)));
        }
    }
}

impl<V> Few<V> {
    #[inline]
    fn next(&mut self) -> Option<Entry<V>> {
        self.len = self.len.checked_sub(1)?;
        let value = self.values.get_mut(self.len)?.take()?;
        self.marks.entry(self.names[self.len], value, self.len)
    }

    #[inline]
    fn visit(&mut self, mut visit: impl FnMut(&str, V)) {
        while let Some(at) = self.len.checked_sub(1) {
            self.len = at;
            if let Some(value) = self.values.get_mut(at).and_then(Option::take) {
                self.marks.visit(self.names[at], |key| visit(key, value));
            }
        }
    }
}

impl<V> Many<V> {
    #[inline]
    fn next(&mut self) -> Option<Entry<V>> {
        let slot = self.slots.pop()?;
        self.marks.entry(slot.name, slot.value, self.slots.len())
    }

    #[inline]
    fn visit(&mut self, mut visit: impl FnMut(&str, V)) {
        while let Some(slot) = self.slots.pop() {
            self.marks.visit(slot.name, |key| visit(key, slot.value));
        }
    }
}

impl<V> Drop for Few<V> {
    #[inline]
    fn drop(&mut self) {
        if self.len > 0 {
            self.marks.release(self.names[..self.len].iter().copied());
        }
    }
}

impl<V> Drop for Many<V> {
    #[inline]
    fn drop(&mut self) {
        if !self.slots.is_empty() {
            self.marks.release(self.slots.iter().map(|slot| slot.name));
        }
    }
}

impl<V> Taken<V> {
    #[inline]
    pub(crate) fn none() -> Self {
        let marks = Marks { stale: 0, keys: None };
        Self::Few(Few { values: [const { None }; FEW], names: [[0; 4]; FEW], len: 0, marks })
    }

    /// All slots of a small set, or some of them, with a bit in `stale` for each.
    pub(crate) fn numbered(
        slots: impl ExactSizeIterator<Item = Slot<V>>,
        stale: u32,
        keys: &Arc<Dictionary>,
    ) -> Self {
        let mut taken = Self::none();
        taken.put(slots, stale, keys);
        taken
    }

    /// The same into a `Taken` that holds none.
    #[allow(clippy::inline_always, reason = "a purge takes the slots from its node")]
    #[inline(always)]
    pub(crate) fn put(
        &mut self,
        mut slots: impl ExactSizeIterator<Item = Slot<V>>,
        stale: u32,
        keys: &Arc<Dictionary>,
    ) {
        let marks = Marks::new(stale, keys);
        match self {
            Self::Few(few) if slots.len() <= FEW => {
                few.len = slots.len();
                for at in 0..FEW {
                    let Some(slot) = slots.next() else { break };
                    keys.fetch_uses(slot.key());
                    few.values[at] = Some(slot.value);
                    few.names[at] = slot.name;
                }
                few.marks = marks;
            }
            _ => {
                let slots: Vec<_> = slots.collect();
                for slot in &slots {
                    keys.fetch_uses(slot.key());
                }
                *self = Self::Many(Many { slots, marks });
            }
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Few(few) => few.len,
            Self::Many(many) => many.slots.len(),
            Self::Listed(entries) => entries.len(),
            Self::Whole(large) => large.len(),
        }
    }

    /// The entries in a vector, whose iterator drops the rest when a caller's `Drop` panics. Those
    /// of a small set are from the oldest on.
    pub(crate) fn into_entries(mut self) -> Vec<Entry<V>> {
        match self {
            Self::Few(_) | Self::Many(_) => {
                let mut entries = Vec::with_capacity(self.len());
                entries.extend(std::iter::from_fn(|| self.next()));
                entries.reverse();
                entries
            }
            Self::Listed(entries) => entries,
            Self::Whole(large) => large.into_entries(),
        }
    }

    /// Takes out the next entry, in no particular order.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Entry<V>> {
        match self {
            Self::Few(few) => few.next(),
            Self::Many(many) => many.next(),
            other => other.next_listed(),
        }
    }

    /// Passes each entry on, in no particular order. The texts of keys are borrowed, which costs
    /// less than [`Self::next`].
    #[inline]
    pub(crate) fn visit(mut self, mut visit: impl FnMut(&str, V)) {
        match &mut self {
            Self::Few(few) => few.visit(visit),
            Self::Many(many) => many.visit(visit),
            others => {
                while let Some(entry) = others.next_listed() {
                    visit(&entry.key, entry.value);
                }
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn next_listed(&mut self) -> Option<Entry<V>> {
        if let Self::Whole(_) = self {
            let whole = std::mem::replace(self, Self::none());
            *self = Self::Listed(whole.into_entries());
        }
        match self {
            Self::Listed(entries) => entries.pop(),
            other => other.next(),
        }
    }
}

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
    fn what_is_shown_is_what_was_taken_and_a_panic_ends_the_other_uses() {
        let (keys, hashing) = (Arc::new(Dictionary::default()), Hashing::new());
        // A number has a text that stays; or not, if an earlier key had the number.
        drop(Taken::numbered((0..3).map(|n| slot(&keys, &hashing, n)), 0, &keys));
        for count in 1..=2 * FEW {
            let taken = || {
                let slots: Vec<_> = (10..10 + count).map(|n| slot(&keys, &hashing, n)).collect();
                Taken::numbered(slots.into_iter(), 0, &keys)
            };
            let mut visited = Vec::new();
            taken().visit(|key, n| visited.push((key.to_owned(), n)));
            visited.sort_by_key(|(_, n)| *n);
            assert!(visited.into_iter().eq((10..10 + count).map(|n| (format!("?w={n}"), n))));
            keys.check(std::iter::empty());

            let mut calls = 0;
            let visit = std::panic::AssertUnwindSafe(|| {
                taken().visit(|_, _| {
                    calls += 1;
                    assert!(calls < 2, "the caller's");
                });
            });
            assert_eq!(std::panic::catch_unwind(visit).is_err(), count > 1);
            assert_eq!(calls, count.min(2));
            keys.check(std::iter::empty());
        }
    }

    fn slot(keys: &Dictionary, hashing: &Hashing, n: usize) -> Slot<usize> {
        let text = format!("?w={n}");
        let key = keys.take(&text, hashing.variant(&text)).unwrap();
        Slot::new(key, hashing.tag(&text), n)
    }

    #[test]
    fn what_was_taken_uses_its_keys_until_it_is_listed_or_dropped() {
        let (keys, hashing) = (Arc::new(Dictionary::default()), Hashing::new());
        for count in 1..=2 * FEW {
            let slots: Vec<_> = (0..count).map(|n| slot(&keys, &hashing, n)).collect();
            let ids: Vec<_> = slots.iter().map(Slot::key).collect();
            let mut taken = Taken::numbered(slots.into_iter(), 0b1010, &keys);
            for left in (0..count).rev() {
                assert_eq!(taken.len(), left + 1);
                keys.check(ids[..=left].iter().copied());
                let entry = taken.next().expect("one is left");
                let freshness = Freshness::stale_if([1, 3].contains(&left));
                assert_eq!((&*entry.key, entry.value), (&*format!("?w={left}"), left));
                assert_eq!(entry.freshness, freshness);
                // Dropped, and the rest with it.
                if left * 2 == count {
                    break;
                }
            }
            drop(taken);
            keys.check(std::iter::empty());
        }
    }
}
