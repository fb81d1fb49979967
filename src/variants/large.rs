//! The variants of a path that has many: found by the hash of the key, and taken away whole in
//! O(1).
//!
//! Invariant: no key occurs twice; `table` holds the index of each entry. `stale` and `text` agree
//! with the entries. The keys are here and not in the dictionary: a path with so many variants is
//! likely enumerated, and its keys are on no other path. A smaller set also uses this form if the
//! dictionary had no number left for one of its keys.

use super::index_table::IndexTable;
use super::key::{Entry, SoftenCounts};
use crate::freshness::Freshness;
use crate::hash::Hashing;
use std::mem;

#[derive(Debug)]
pub(crate) struct LargeSet<V> {
    entries: Vec<Entry<V>>,
    /// The age of each entry: smaller for earlier entries.
    ages: Vec<u32>,
    next_age: u32,
    /// The index of each entry, by the hash of its key.
    table: IndexTable,
    /// How many entries are marked stale.
    stale: usize,
    /// Bytes of the keys, with their counts.
    text: usize,
}

impl<V> Default for LargeSet<V> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            ages: Vec::new(),
            next_age: 0,
            table: IndexTable::default(),
            stale: 0,
            text: 0,
        }
    }
}

impl<V> LargeSet<V> {
    /// A set of entries without repeats, from the oldest on.
    pub(crate) fn new(entries: Vec<Entry<V>>, hashing: &Hashing) -> Self {
        let mut large = Self::default();
        for entry in entries {
            large.push(entry, hashing);
        }
        large
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    #[inline(never)]
    pub(crate) fn position(&self, key: &str, hashing: &Hashing) -> Option<usize> {
        let is = |at: u32| *self.entries[at as usize].key == *key;
        self.table.find(hashing.variant(key), is).map(|at| at as usize)
    }

    pub(crate) fn get(&self, at: usize) -> (&V, Freshness) {
        (&self.entries[at].value, self.entries[at].freshness)
    }

    pub(crate) fn entries(&self) -> &[Entry<V>] {
        &self.entries
    }

    /// Adds a key that isn't there.
    pub(crate) fn push(&mut self, entry: Entry<V>, hashing: &Hashing) {
        let age = self.next_age();
        self.stale += usize::from(entry.freshness.is_stale());
        self.text += entry.text_bytes();
        self.table.insert(hashing.variant(&entry.key), place(self.entries.len()));
        self.entries.push(entry);
        self.ages.push(age);
    }

    /// Puts another value into an entry, which is the youngest from then on. Returns what was
    /// there.
    pub(crate) fn replace(&mut self, at: usize, value: V, freshness: Freshness) -> (V, Freshness) {
        self.ages[at] = self.next_age();
        let entry = &mut self.entries[at];
        let old = mem::replace(&mut entry.freshness, freshness);
        self.stale += usize::from(freshness.is_stale());
        self.stale -= usize::from(old.is_stale());
        (mem::replace(&mut entry.value, value), old)
    }

    /// Takes an entry out. The last takes its place.
    pub(crate) fn remove(&mut self, at: usize, hashing: &Hashing) -> Entry<V> {
        let last = self.entries.len() - 1;
        self.table.remove(hashing.variant(&self.entries[at].key), place(at));
        if at < last {
            self.table.rename(hashing.variant(&self.entries[last].key), place(last), place(at));
        }
        self.ages.swap_remove(at);
        let entry = self.entries.swap_remove(at);
        self.stale -= usize::from(entry.freshness.is_stale());
        self.text -= entry.text_bytes();
        entry
    }

    /// Where the entry is that was stored before all others.
    pub(crate) fn oldest(&self) -> Option<usize> {
        let ages = self.ages.iter().enumerate();
        ages.min_by_key(|(_, age)| **age).map(|(at, _)| at)
    }

    pub(crate) fn stale(&self) -> usize {
        self.stale
    }

    /// Marks the picked entries stale.
    pub(crate) fn soften(&mut self, pick: impl Fn(&str) -> bool) -> SoftenCounts {
        let mut counts = SoftenCounts::default();
        for entry in self.entries.iter_mut().filter(|entry| pick(&entry.key)) {
            match mem::replace(&mut entry.freshness, Freshness::Stale) {
                Freshness::Live => counts.made_stale += 1,
                Freshness::Stale => counts.already_stale += 1,
            }
        }
        self.stale += counts.made_stale;
        counts
    }

    /// The entries, in no particular order; O(1).
    pub(crate) fn into_entries(self) -> Vec<Entry<V>> {
        self.entries
    }

    /// The entries from the oldest on.
    pub(crate) fn into_entries_by_age(self) -> Vec<Entry<V>> {
        let mut entries: Vec<_> = self.ages.into_iter().zip(self.entries).collect();
        entries.sort_unstable_by_key(|(age, _)| *age);
        entries.into_iter().map(|(_, entry)| entry).collect()
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        size_of::<Self>()
            + self.text
            + self.entries.capacity() * size_of::<Entry<V>>()
            + self.ages.capacity() * size_of::<u32>()
            + self.table.bytes()
    }

    fn next_age(&mut self) -> u32 {
        if self.next_age == u32::MAX {
            // After 2^32 ages, renumber from zero in the same order.
            let mut order: Vec<&mut u32> = self.ages.iter_mut().collect();
            order.sort_unstable();
            order.into_iter().zip(0..).for_each(|(age, n)| *age = n);
            self.next_age = place(self.entries.len());
        }
        self.next_age += 1;
        self.next_age - 1
    }

    /// Panics where the invariants at the top of this module don't hold.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn check(&self, hashing: &Hashing) {
        self.table.check();
        assert_eq!(self.text, self.entries.iter().map(Entry::text_bytes).sum::<usize>(), "text");
        let stale = self.entries.iter().filter(|entry| entry.freshness.is_stale());
        assert_eq!(self.stale, stale.count(), "stale");
        assert_eq!(self.ages.len(), self.entries.len(), "ages");
        assert_eq!(self.table.len(), self.entries.len(), "table");
        assert!(self.ages.iter().all(|age| *age < self.next_age), "an entry younger than the set");
        for (at, entry) in self.entries.iter().enumerate() {
            let found = self.position(&entry.key, hashing);
            assert_eq!(found, Some(at), "{} occurs once", entry.key);
        }
    }

    #[cfg(test)]
    fn set_next_age(&mut self, age: u32) {
        self.next_age = age;
    }
}

/// # Panics
/// Past 2^32 variants of one path, whose keys alone would fill more than 16 GiB.
fn place(at: usize) -> u32 {
    u32::try_from(at).expect("memory ends before 2^32 variants of one path")
}

#[cfg(test)]
mod tests {
    use super::*;
    use Freshness::{Live, Stale};

    fn entry(n: u32, stale: bool) -> Entry<u32> {
        let freshness = Freshness::stale_if(stale);
        Entry { key: format!("?w={n}").into(), value: n, freshness }
    }

    #[test]
    fn stale_entries_are_counted_while_they_come_and_go() {
        let hashing = Hashing::new();
        let mut large = LargeSet::new((0..100).map(|n| entry(n, n % 3 == 0)).collect(), &hashing);
        assert_eq!((large.len(), large.stale()), (100, 34));
        large.push(entry(100, true), &hashing);
        assert_eq!(large.stale(), 35);
        assert_eq!(large.replace(0, 7, Live), (0, Stale));
        assert_eq!(large.replace(1, 7, Stale), (1, Live));
        assert_eq!(large.replace(100, 7, Stale), (100, Stale));
        assert_eq!(large.stale(), 35);
        assert_eq!(large.remove(100, &hashing).freshness, Stale);
        assert_eq!(large.remove(0, &hashing).freshness, Live);
        assert_eq!(large.stale(), 34);
        large.check(&hashing);
        while large.len() > 0 {
            drop(large.remove(large.len() / 2, &hashing));
            large.check(&hashing);
        }
        assert_eq!(large.stale(), 0);
    }

    #[test]
    fn oldest_goes_first_also_after_replacement_removal_and_renumbering() {
        let hashing = Hashing::new();
        let mut large = LargeSet::new((0..34).map(|n| entry(n, false)).collect(), &hashing);
        large.set_next_age(u32::MAX - 2);
        (34..40).for_each(|n| large.push(entry(n, false), &hashing));
        assert_eq!(large.replace(0, 1000, Live), (0, Live));
        assert_eq!(large.remove(2, &hashing).value, 2);
        let oldest = || large.oldest().map(|at| large.remove(at, &hashing).value);
        let order: Vec<_> = std::iter::from_fn(oldest).collect();
        let expected: Vec<_> = [1].into_iter().chain(3..40).chain([1000]).collect();
        assert_eq!(order, expected);
    }

    #[test]
    fn bytes_are_those_of_all_parts() {
        let large = LargeSet::new((10..60).map(|n| entry(n, false)).collect(), &Hashing::new());
        let text = 50 * ("?w=10".len() + 2 * size_of::<usize>());
        let tables = large.entries.capacity() * size_of::<Entry<u32>>() + large.ages.capacity() * 4;
        assert!(large.ages.capacity() >= 50);
        let expected = size_of::<LargeSet<u32>>() + text + tables + large.table.bytes();
        assert_eq!(large.heap_bytes(), expected);
    }
}
