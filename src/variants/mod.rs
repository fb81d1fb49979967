//! The variants of one path, with their values.
//!
//! ```text
//!   small     a slot for each, in the bucket: the number of its key, and its value        up to 32
//!   large     a table with keys and values of its own, `Many`                             any number, and whatever finds no number for its key
//! ```
//!
//! Invariant: no key occurs twice; what was stored earlier comes first. A set is small if it can be, but stays large once it is. The
//! shard's `Keys` count one use for each slot.
//!
//! Not here: liveness across scopes. A variant knows only whether it was marked stale; what broad scopes say is the record's.

mod keys;
mod many;

pub(crate) use keys::{Keys, Renumbered};
pub(crate) use many::Many;

use crate::hash::{Hashing, TableHash};
use keys::KeyId;
use std::ops::Range;
use std::sync::Arc;

/// Up to this many numbers are compared one by one: they lie side by side, and hardly a site serves a picture in more sizes.
const MOST_SMALL: u8 = 32;

/// A key that was looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    text: &'a str,
    hash: TableHash,
    /// The number that it has in the shard.
    id: Option<KeyId>,
}

/// A variant that left its path, or is in a large set.
#[derive(Debug)]
pub(crate) struct Entry<V> {
    pub(crate) key: Arc<str>,
    pub(crate) value: V,
    pub(crate) stale: bool,
}

impl<V> Entry<V> {
    /// Heap bytes of the key: the text, and the two counts in front of it.
    fn text_bytes(&self) -> usize {
        self.key.len() + 2 * size_of::<usize>()
    }
}

/// A variant in a small set.
#[derive(Debug)]
pub(crate) struct Slot<V> {
    key: KeyId,
    stale: bool,
    value: V,
}

impl<V> Slot<V> {
    #[cfg(any(test, fuzzing))]
    pub(crate) fn key(&self) -> KeyId {
        self.key
    }

    /// Follows the key to its new number.
    pub(crate) fn renumber(&mut self, renumbered: &Renumbered) {
        self.key = renumbered.of(self.key);
    }

    #[cfg(test)]
    pub(crate) fn value(&self) -> &V {
        &self.value
    }
}

/// The variants of one path, to read.
#[derive(Debug)]
pub(crate) struct Variants<'a, V> {
    /// A large set; `slots` is empty then.
    pub(crate) many: Option<&'a Many<V>>,
    pub(crate) slots: &'a [Slot<V>],
}

/// The variants of one path, to change.
#[derive(Debug)]
pub(crate) struct VariantsMut<'a, V> {
    /// A large set; `range` is empty then.
    pub(crate) many: &'a mut Option<Box<Many<V>>>,
    /// Those of all small sets of a bucket,
    pub(crate) slots: &'a mut Vec<Slot<V>>,
    /// and of this one.
    pub(crate) range: Range<usize>,
}

/// Where a variant is in its set, until that is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At(usize);

/// Variants that were taken out of a path.
#[derive(Debug)]
pub(crate) enum Taken<V> {
    Listed(Vec<Entry<V>>),
    /// A large set as it was, so that taking it out is O(1).
    Whole(Box<Many<V>>),
}

impl<V> Taken<V> {
    pub(crate) fn none() -> Self {
        Self::Listed(Vec::new())
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Listed(entries) => entries.len(),
            Self::Whole(many) => many.len(),
        }
    }

    /// The entries alone.
    ///
    /// A `Vec`, as its iterator drops the rest when a caller's `Drop` panics.
    pub(crate) fn into_entries(self) -> Vec<Entry<V>> {
        match self {
            Self::Listed(entries) => entries,
            Self::Whole(many) => many.into_entries(),
        }
    }
}

impl<'a, V> Variants<'a, V> {
    pub(crate) fn len(&self) -> usize {
        self.many.map_or(self.slots.len(), Many::len)
    }

    /// Finds a key.
    #[inline]
    pub(crate) fn find(&self, wanted: Wanted<'_>) -> Option<At> {
        if let Some(many) = self.many {
            return many.position(wanted).map(At);
        }
        let id = wanted.id?;
        self.slots.iter().position(|slot| slot.key == id).map(At)
    }

    /// The value, and whether it is marked stale.
    #[inline]
    pub(crate) fn get(&self, At(at): At) -> (&'a V, bool) {
        match self.many {
            Some(many) => many.get(at),
            None => (&self.slots[at].value, self.slots[at].stale),
        }
    }

    /// The keys, each with whether it is marked stale, in no particular order.
    pub(crate) fn list(&self, keys: &Keys) -> Vec<(Arc<str>, bool)> {
        match self.many {
            Some(many) => many.entries().iter().map(|e| (Arc::clone(&e.key), e.stale)).collect(),
            None => self.slots.iter().map(|s| (Arc::clone(keys.text(s.key)), s.stale)).collect(),
        }
    }

    /// How many variants are marked stale.
    pub(crate) fn stale(&self) -> usize {
        match self.many {
            Some(many) => many.stale(),
            None => self.slots.iter().filter(|slot| slot.stale).count(),
        }
    }

    /// Panics where the invariants at the top of this module don't hold.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn check(&self, keys: &Keys, hashing: &Hashing) {
        assert!(self.slots.len() <= MOST_SMALL.into(), "{} slots", self.slots.len());
        for (at, slot) in self.slots.iter().enumerate() {
            let wanted = keys.find(keys.text(slot.key), hashing);
            assert_eq!(self.find(wanted), Some(At(at)), "{} occurs once", keys.text(slot.key));
        }
        if let Some(many) = self.many {
            assert!(self.slots.is_empty(), "a set is of one kind");
            many.check(hashing);
        }
    }
}

impl<V> VariantsMut<'_, V> {
    pub(crate) fn read(&self) -> Variants<'_, V> {
        Variants { many: self.many.as_deref(), slots: &self.slots[self.range.clone()] }
    }

    /// How many slots there are.
    pub(crate) fn small_len(&self) -> u8 {
        u8::try_from(self.range.len()).expect("a small set has at most 32 variants")
    }

    fn own(&mut self) -> &mut [Slot<V>] {
        &mut self.slots[self.range.clone()]
    }

    /// Adds a key that isn't there.
    pub(crate) fn push(
        &mut self,
        wanted: Wanted<'_>,
        value: V,
        stale: bool,
        keys: &mut Keys,
        hashing: &Hashing,
    ) {
        if self.many.is_none() && self.small_len() < MOST_SMALL {
            if let Some(key) = keys.take(wanted) {
                crate::bucket::make_room(self.slots, 1);
                self.slots.insert(self.range.end, Slot { key, stale, value });
                self.range.end += 1;
                return;
            }
        }
        if self.many.is_none() {
            let entries = self.take_entries(keys);
            *self.many = Some(Box::new(Many::new(entries, hashing)));
        }
        if let Some(many) = self.many {
            many.push(Entry { key: wanted.text.into(), value, stale }, hashing);
        }
    }

    /// Puts another value into the place of one that is there; it is the youngest from then on. Gives the other, and whether that was
    /// marked stale.
    pub(crate) fn replace(&mut self, At(at): At, value: V, stale: bool) -> (V, bool) {
        if let Some(many) = self.many {
            return many.replace(at, value, stale);
        }
        let slots = &mut self.own()[at..];
        let key = slots[0].key;
        let old = std::mem::replace(&mut slots[0], Slot { key, stale, value });
        slots.rotate_left(1);
        (old.value, old.stale)
    }

    pub(crate) fn remove(&mut self, At(at): At, keys: &mut Keys, hashing: &Hashing) -> Entry<V> {
        if let Some(many) = self.many {
            return many.remove(at, hashing);
        }
        let slot = self.slots.remove(self.range.start + at);
        self.range.end -= 1;
        entry(slot, keys)
    }

    /// Takes out what was stored before all others.
    pub(crate) fn remove_oldest(&mut self, keys: &mut Keys, hashing: &Hashing) -> Option<Entry<V>> {
        let oldest = match self.many {
            Some(many) => many.oldest(),
            None => (!self.range.is_empty()).then_some(0),
        };
        oldest.map(|at| self.remove(At(at), keys, hashing))
    }

    /// Marks the picked variants stale; says how many weren't yet, and how many were.
    pub(crate) fn soften(&mut self, pick: impl Fn(&str) -> bool, keys: &Keys) -> (usize, usize) {
        if let Some(many) = self.many {
            return many.soften(pick);
        }
        let (mut fresh, mut before) = (0, 0);
        for slot in self.own().iter_mut().filter(|slot| pick(keys.text(slot.key))) {
            *if slot.stale { &mut before } else { &mut fresh } += 1;
            slot.stale = true;
        }
        (fresh, before)
    }

    /// Marks all variants stale; says how many weren't yet.
    pub(crate) fn soften_all(&mut self) -> usize {
        if let Some(many) = self.many {
            return many.soften(|_| true).0;
        }
        let fresh = self.own().iter_mut().filter(|slot| !slot.stale);
        fresh.map(|slot| slot.stale = true).count()
    }

    /// Takes out the picked variants.
    pub(crate) fn extract(
        &mut self,
        pick: impl Fn(&str) -> bool,
        keys: &mut Keys,
        hashing: &Hashing,
    ) -> Taken<V> {
        let entries = match self.many.take() {
            Some(many) => many.into_entries_by_age(),
            None => self.take_entries(keys),
        };
        let mut gone = Vec::new();
        for entry in entries {
            if pick(&entry.key) {
                gone.push(entry);
            } else {
                let wanted = keys.find(&entry.key, hashing);
                self.push(wanted, entry.value, entry.stale, keys, hashing);
            }
        }
        Taken::Listed(gone)
    }

    /// Takes out all of them: O(1) for a large set.
    pub(crate) fn take(&mut self, keys: &mut Keys) -> Taken<V> {
        match self.many.take() {
            Some(many) => Taken::Whole(many),
            None => Taken::Listed(self.take_entries(keys)),
        }
    }

    /// The entries of a small set, which is empty then.
    fn take_entries(&mut self, keys: &mut Keys) -> Vec<Entry<V>> {
        let slots = self.slots.drain(self.range.clone());
        self.range.end = self.range.start;
        slots.map(|slot| entry(slot, keys)).collect()
    }
}

fn entry<V>(slot: Slot<V>, keys: &mut Keys) -> Entry<V> {
    Entry { key: keys.release(slot.key), value: slot.value, stale: slot.stale }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A set, with what its bucket and its shard lend it: beside its slots lie those of others.
    struct World {
        many: Option<Box<Many<usize>>>,
        slots: Vec<Slot<usize>>,
        range: Range<usize>,
        keys: Keys,
        hashing: Hashing,
    }

    const OTHERS: usize = usize::MAX;

    #[test]
    fn text_of_an_entry_is_counted_with_its_two_counts() {
        let entry = Entry { key: "?w=10".into(), value: (), stale: false };
        assert_eq!(entry.text_bytes(), 5 + 2 * size_of::<usize>());
    }

    fn key(n: usize) -> String {
        format!("?w={n}")
    }

    impl World {
        fn new() -> Self {
            let (mut keys, hashing) = (Keys::default(), Hashing::new());
            let other = |_| {
                let key = keys.take(keys.find("?w=others", &hashing)).unwrap();
                Slot { key, stale: false, value: OTHERS }
            };
            let slots = [0; 4].map(other).into();
            Self { many: None, slots, range: 2..2, keys, hashing }
        }

        fn with(count: usize, stale: impl Fn(usize) -> bool) -> Self {
            let mut world = Self::new();
            (0..count).for_each(|n| world.push(n, stale(n)));
            world
        }

        fn edit<R>(
            &mut self,
            change: impl FnOnce(&mut VariantsMut<'_, usize>, &mut Keys, &Hashing) -> R,
        ) -> R {
            let Self { many, slots, range, keys, hashing } = self;
            let mut set = VariantsMut { many, slots, range: range.clone() };
            let result = change(&mut set, keys, hashing);
            *range = set.range;
            result
        }

        fn read(&self) -> Variants<'_, usize> {
            Variants { many: self.many.as_deref(), slots: &self.slots[self.range.clone()] }
        }

        fn len(&self) -> usize {
            self.read().len()
        }

        fn push(&mut self, n: usize, stale: bool) {
            let key = key(n);
            self.edit(|set, keys, hashing| {
                set.push(keys.find(&key, hashing), n, stale, keys, hashing);
            });
        }

        fn find(&self, n: usize) -> Option<At> {
            self.read().find(self.keys.find(&key(n), &self.hashing))
        }

        fn get(&self, n: usize) -> Option<usize> {
            self.find(n).map(|at| *self.read().get(at).0)
        }

        fn remove(&mut self, n: usize) -> Option<usize> {
            let at = self.find(n)?;
            Some(self.edit(|set, keys, hashing| set.remove(at, keys, hashing).value))
        }

        fn replace(&mut self, n: usize, value: usize) -> (usize, bool) {
            let at = self.find(n).unwrap();
            self.edit(|set, _, _| set.replace(at, value, false))
        }

        fn soften(&mut self, pick: impl Fn(&str) -> bool) -> (usize, usize) {
            self.edit(|set, keys, _| set.soften(pick, keys))
        }

        fn remove_oldest(&mut self) -> Option<usize> {
            self.edit(|set, keys, hashing| set.remove_oldest(keys, hashing).map(|e| e.value))
        }

        fn check(&self) {
            self.read().check(&self.keys, &self.hashing);
            self.keys.check(self.slots.iter().map(Slot::key), &self.hashing);
            let (before, after) = (&self.slots[..2], &self.slots[self.range.end..]);
            assert_eq!(after.len(), 2);
            assert!(before.iter().chain(after).all(|slot| slot.value == OTHERS));
        }
    }

    #[test]
    fn slot_is_its_value_and_a_word_at_most() {
        assert_eq!(size_of::<Slot<u64>>(), 16);
        assert_eq!(size_of::<Slot<()>>(), 4);
    }

    #[test]
    fn finds_every_key_on_both_sides_of_the_limit_and_after_removals() {
        let mut world = World::new();
        for n in 0..100 {
            world.push(n, false);
            assert!((0..=n).all(|m| world.get(m) == Some(m)));
        }
        for n in (0..100).step_by(3) {
            assert_eq!(world.remove(n), Some(n));
            for m in 0..100 {
                let expected = (m > n || m % 3 != 0).then_some(m);
                assert_eq!(world.get(m), expected, "{n} {m}");
            }
            world.check();
        }
        assert_eq!(world.len(), 66);
    }

    #[test]
    fn small_set_keeps_what_is_left_and_frees_the_keys_that_go() {
        let mut world = World::with(5, |n| n == 1);
        assert_eq!(world.remove(1), Some(1));
        assert_eq!(world.get(1), None);
        assert_eq!((world.len(), world.read().stale()), (4, 0));
        world.check();
    }

    #[test]
    fn replacing_gives_the_old_value_and_mark_back() {
        for count in [1, 40] {
            let mut world = World::with(count, |n| n == 0);
            assert_eq!(world.replace(0, 7), (0, true));
            assert_eq!(world.get(0), Some(7));
            assert_eq!((world.len(), world.read().stale()), (count, 0));
            world.check();
        }
    }

    #[test]
    fn soften_counts_only_what_was_fresh() {
        for count in [6, 60] {
            let mut world = World::with(count, |n| n % 2 == 0);
            assert_eq!(world.soften(|key| key == "?w=2" || key == "?w=3"), (1, 1));
            assert_eq!(world.soften(|_| true), (count / 2 - 1, count / 2 + 1));
            assert_eq!(world.edit(|set, _, _| set.soften_all()), 0);
            assert_eq!(world.read().stale(), count);
            world.check();
            let mut world = World::with(count, |n| n % 2 == 0);
            assert_eq!(world.edit(|set, _, _| set.soften_all()), count / 2);
            world.check();
        }
    }

    #[test]
    fn oldest_goes_first_also_after_replacement_removal_and_renumbering() {
        for count in [6, 40] {
            let mut world = World::new();
            for n in 0..count {
                world.push(n, false);
                if let (34, Some(many)) = (n, &mut world.many) {
                    many.set_next_age(u32::MAX - 2);
                }
            }
            assert_eq!(world.replace(0, 1000), (0, false));
            assert_eq!(world.remove(2), Some(2));
            let order: Vec<_> = std::iter::from_fn(|| world.remove_oldest()).collect();
            let expected: Vec<_> = [1].into_iter().chain(3..count).chain([1000]).collect();
            assert_eq!(order, expected);
        }
    }

    #[test]
    fn extract_splits_the_set_and_both_parts_stay_whole() {
        let odd = |text: &str| text.ends_with(['1', '3', '5', '7', '9']);
        for count in [3, 16, 17, 32, 33, 90] {
            let mut world = World::with(count, |n| n % 3 == 0);
            let gone = world.edit(|set, keys, hashing| set.extract(odd, keys, hashing));
            assert_eq!(gone.len() + world.len(), count);
            world.check();
            let gone = gone.into_entries();
            assert!(gone.iter().all(|e| e.value % 2 == 1 && *e.key == *key(e.value)));
            assert!(gone.iter().all(|entry| entry.stale == (entry.value % 3 == 0)));
            assert!((0..count).all(|n| world.get(n) == (n % 2 == 0).then_some(n)));
            let stale = gone.iter().filter(|entry| entry.stale).count();
            assert_eq!(stale + world.read().stale(), count.div_ceil(3));
            assert_eq!(world.remove_oldest(), Some(0));
        }
    }

    #[test]
    fn taking_a_set_gives_every_entry_and_frees_its_keys() {
        for count in [0, 1, 16, 17, 32, 33, 100] {
            let mut world = World::with(count, |n| n % 2 == 1);
            let taken = world.edit(|set, keys, _| set.take(keys));
            assert_eq!(taken.len(), count);
            let mut entries = taken.into_entries();
            entries.sort_by_key(|entry| entry.value);
            for (n, entry) in entries.iter().enumerate() {
                assert_eq!((&*entry.key, entry.value, entry.stale), (&*key(n), n, n % 2 == 1));
            }
            world.check();
            assert_eq!(world.len(), 0);
        }
    }
}
