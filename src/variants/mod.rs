//! The variants of one path, with their values.
//!
//! Invariant: no key occurs twice. Up to [`MOST_FEW`] variants are a [`Few`], and mostly so is what a larger set leaves behind.
//!
//! Not here: liveness across scopes. A variant knows only whether it was marked stale; what broad scopes say is the record's.

mod few;
mod keys;
mod many;

pub(crate) use keys::Keys;

use crate::hash::Hashing;
use few::Few;
use keys::{KeyId, Renumbered};
use many::Many;
use std::sync::Arc;

/// Up to this many numbers are compared one by one: they lie side by side, and hardly a site serves a picture in more sizes.
const MOST_FEW: usize = 32;

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

/// The variants of one path.
#[derive(Debug)]
pub(crate) enum VariantSet<V> {
    Few(Few<V>),
    Many(Box<Many<V>>),
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

impl<V> Default for VariantSet<V> {
    fn default() -> Self {
        Self::Few(Few::default())
    }
}

impl<V> VariantSet<V> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Few(few) => few.len(),
            Self::Many(many) => many.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn find(&self, key: &str, keys: &Keys, hashing: &Hashing) -> Option<At> {
        self.find_known(keys.find(key, hashing), key, hashing)
    }

    /// Finds a key whose number, if it has one, is `known`.
    pub(crate) fn find_known(
        &self,
        known: Option<KeyId>,
        key: &str,
        hashing: &Hashing,
    ) -> Option<At> {
        match self {
            Self::Few(few) => few.position(known?),
            Self::Many(many) => many.position(key, hashing),
        }
        .map(At)
    }

    /// The value, and whether it is marked stale.
    pub(crate) fn get(&self, at: At) -> (&V, bool) {
        match self {
            Self::Few(few) => few.get(at.0),
            Self::Many(many) => many.get(at.0),
        }
    }

    /// The keys, in no particular order.
    pub(crate) fn texts(&self, keys: &Keys) -> Vec<Arc<str>> {
        match self {
            Self::Few(few) => few.ids().map(|id| Arc::clone(keys.text(id))).collect(),
            Self::Many(many) => many.entries().iter().map(|entry| Arc::clone(&entry.key)).collect(),
        }
    }

    /// The keys, each with whether it is marked stale, in no particular order.
    pub(crate) fn listed<'s>(
        &'s self,
        keys: &'s Keys,
    ) -> Box<dyn Iterator<Item = (&'s Arc<str>, bool)> + 's> {
        match self {
            Self::Few(few) => Box::new(few.listed().map(|(id, stale)| (keys.text(id), stale))),
            Self::Many(many) => {
                Box::new(many.entries().iter().map(|entry| (&entry.key, entry.stale)))
            }
        }
    }

    /// Adds a key that isn't there.
    pub(crate) fn push(
        &mut self,
        key: &str,
        value: V,
        stale: bool,
        keys: &mut Keys,
        hashing: &Hashing,
    ) {
        if let Self::Few(few) = self {
            if few.len() < MOST_FEW {
                return few.push(key, value, stale, keys, hashing);
            }
            *self = Self::Many(Box::new(std::mem::take(few).into_many(keys, hashing)));
        }
        if let Self::Many(many) = self {
            many.push(Entry { key: key.into(), value, stale }, hashing);
        }
    }

    /// Puts another value into the place of one that is there. Gives that, and whether it was marked stale.
    pub(crate) fn replace(&mut self, at: At, value: V, stale: bool) -> (V, bool) {
        match self {
            Self::Few(few) => few.replace(at.0, value, stale),
            Self::Many(many) => many.replace(at.0, value, stale),
        }
    }

    pub(crate) fn remove(&mut self, at: At, keys: &mut Keys, hashing: &Hashing) -> Entry<V> {
        match self {
            Self::Few(few) => few.remove(at.0, keys),
            Self::Many(many) => many.remove(at.0, hashing),
        }
    }

    /// Takes out what was stored before all others.
    pub(crate) fn remove_oldest(&mut self, keys: &mut Keys, hashing: &Hashing) -> Option<Entry<V>> {
        let oldest = match self {
            Self::Few(few) => (few.len() > 0).then_some(0),
            Self::Many(many) => many.oldest(),
        };
        oldest.map(|at| self.remove(At(at), keys, hashing))
    }

    /// How many variants are marked stale.
    pub(crate) fn stale(&self) -> usize {
        match self {
            Self::Few(few) => few.stale(),
            Self::Many(many) => many.stale(),
        }
    }

    /// Marks the picked variants stale; says how many weren't yet. `pick` is asked once of each variant.
    pub(crate) fn soften(&mut self, pick: impl Fn(&str) -> bool, keys: &Keys) -> usize {
        match self {
            Self::Few(few) => few.soften(pick, keys),
            Self::Many(many) => many.soften(pick),
        }
    }

    /// Takes out the picked variants.
    pub(crate) fn extract(
        &mut self,
        pick: impl Fn(&str) -> bool,
        keys: &mut Keys,
        hashing: &Hashing,
    ) -> Taken<V> {
        let many = match self {
            Self::Few(few) => return Taken::Listed(few.extract(pick, keys)),
            Self::Many(many) => std::mem::take(&mut **many),
        };
        let mut gone = Vec::new();
        *self = Self::default();
        for entry in many.into_entries_by_age() {
            if pick(&entry.key) {
                gone.push(entry);
            } else {
                self.push(&entry.key, entry.value, entry.stale, keys, hashing);
            }
        }
        Taken::Listed(gone)
    }

    /// All of them, as they leave the path: O(1) for a large set.
    pub(crate) fn take(self, keys: &mut Keys) -> Taken<V> {
        match self {
            Self::Few(few) => Taken::Listed(few.into_entries(keys)),
            Self::Many(many) => Taken::Whole(many),
        }
    }

    /// Follows the keys to their new numbers.
    pub(crate) fn renumber(&mut self, renumbered: &Renumbered) {
        if let Self::Few(few) = self {
            few.renumber(renumbered);
        }
    }

    /// Heap bytes; those of the keys of a small set are the shard's.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Few(few) => few.heap_bytes(),
            Self::Many(many) => many.heap_bytes(),
        }
    }

    /// The uses that a set makes of its shard's keys.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn ids(&self) -> Vec<KeyId> {
        match self {
            Self::Few(few) => few.ids().collect(),
            Self::Many(_) => Vec::new(),
        }
    }

    /// Panics where the invariants at the top of this module don't hold.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn check(&self, keys: &Keys, hashing: &Hashing) {
        match self {
            Self::Few(few) => {
                assert!(few.len() <= MOST_FEW, "{} are many", few.len());
                for (at, id) in few.ids().enumerate() {
                    let text = keys.text(id);
                    assert_eq!(few.position(id), Some(at), "{text} occurs once");
                }
            }
            Self::Many(many) => many.check(hashing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A set, with what its shard lends it.
    struct World {
        set: VariantSet<usize>,
        keys: Keys,
        hashing: Hashing,
    }

    fn key(n: usize) -> String {
        format!("?w={n}")
    }

    impl World {
        fn new() -> Self {
            Self { set: VariantSet::default(), keys: Keys::default(), hashing: Hashing::new() }
        }

        fn with(count: usize, stale: impl Fn(usize) -> bool) -> Self {
            let mut world = Self::new();
            (0..count).for_each(|n| world.push(n, stale(n)));
            world
        }

        fn push(&mut self, n: usize, stale: bool) {
            self.set.push(&key(n), n, stale, &mut self.keys, &self.hashing);
        }

        fn find(&self, n: usize) -> Option<At> {
            self.set.find(&key(n), &self.keys, &self.hashing)
        }

        fn get(&self, n: usize) -> Option<usize> {
            self.find(n).map(|at| *self.set.get(at).0)
        }

        fn remove(&mut self, n: usize) -> Option<usize> {
            let at = self.find(n)?;
            Some(self.set.remove(at, &mut self.keys, &self.hashing).value)
        }

        fn check(&self) {
            self.set.check(&self.keys, &self.hashing);
            self.keys.check(self.set.ids().into_iter(), &self.hashing);
        }
    }

    #[test]
    fn record_of_a_small_set_is_two_words() {
        assert_eq!(size_of::<VariantSet<u64>>(), 2 * size_of::<usize>());
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
        assert_eq!(world.set.len(), 66);
    }

    #[test]
    fn small_set_keeps_what_is_left_and_frees_the_keys_that_go() {
        let mut world = World::with(5, |n| n == 1);
        assert_eq!(world.remove(1), Some(1));
        assert_eq!(world.get(1), None);
        assert_eq!((world.set.len(), world.set.stale()), (4, 0));
        world.check();
    }

    #[test]
    fn replacing_gives_the_old_value_and_mark_back() {
        for count in [1, 40] {
            let mut world = World::with(count, |n| n == 0);
            let at = world.find(0).unwrap();
            assert_eq!(world.set.replace(at, 7, false), (0, true));
            assert_eq!(world.get(0), Some(7));
            assert_eq!((world.set.len(), world.set.stale()), (count, 0));
            world.check();
        }
    }

    #[test]
    fn soften_counts_only_what_was_fresh() {
        for count in [6, 60] {
            let mut world = World::with(count, |n| n % 2 == 0);
            assert_eq!(world.set.soften(|key| key == "?w=2" || key == "?w=3", &world.keys), 1);
            assert_eq!(world.set.soften(|_| true, &world.keys), count / 2 - 1);
            assert_eq!(world.set.soften(|_| true, &world.keys), 0);
            assert_eq!(world.set.stale(), count);
            world.check();
        }
    }

    #[test]
    fn oldest_goes_first_also_after_replacement_removal_and_renumbering() {
        for count in [6, 40] {
            let mut world = World::new();
            for n in 0..count {
                world.push(n, false);
                if n == 34
                    && let VariantSet::Many(many) = &mut world.set
                {
                    many.set_next_age(u32::MAX - 2);
                }
            }
            let at = world.find(0).unwrap();
            assert_eq!(world.set.replace(at, 1000, false), (0, false));
            assert_eq!(world.remove(2), Some(2));
            let order: Vec<_> = std::iter::from_fn(|| {
                world.set.remove_oldest(&mut world.keys, &world.hashing).map(|entry| entry.value)
            })
            .collect();
            let expected: Vec<_> = [1].into_iter().chain(3..count).chain([1000]).collect();
            assert_eq!(order, expected);
        }
    }

    #[test]
    fn extract_splits_the_set_and_both_parts_stay_whole() {
        let odd = |text: &str| text.ends_with(['1', '3', '5', '7', '9']);
        for count in [3, 32, 33, 90] {
            let mut world = World::with(count, |n| n % 3 == 0);
            let gone = world.set.extract(odd, &mut world.keys, &world.hashing);
            assert_eq!(gone.len() + world.set.len(), count);
            world.check();
            let gone = gone.into_entries();
            assert!(gone.iter().all(|e| e.value % 2 == 1 && *e.key == *key(e.value)));
            assert!(gone.iter().all(|entry| entry.stale == (entry.value % 3 == 0)));
            assert!((0..count).all(|n| world.get(n) == (n % 2 == 0).then_some(n)));
            let stale = gone.iter().filter(|entry| entry.stale).count();
            assert_eq!(stale + world.set.stale(), count.div_ceil(3));
            let oldest = world.set.remove_oldest(&mut world.keys, &world.hashing);
            assert_eq!(oldest.map(|entry| entry.value), Some(0));
        }
    }

    #[test]
    fn taking_a_set_gives_every_entry_and_frees_its_keys() {
        for count in [0, 1, 32, 33, 100] {
            let World { set, mut keys, hashing } = World::with(count, |n| n % 2 == 1);
            let taken = set.take(&mut keys);
            assert_eq!(taken.len(), count);
            let mut entries = taken.into_entries();
            entries.sort_by_key(|entry| entry.value);
            for (n, entry) in entries.iter().enumerate() {
                assert_eq!((&*entry.key, entry.value, entry.stale), (&*key(n), n, n % 2 == 1));
            }
            keys.check(std::iter::empty(), &hashing);
        }
    }
}
