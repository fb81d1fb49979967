//! The variants of one path, with their values.
//!
//! Invariant: no key occurs twice; once there are more than `SCAN_LIMIT` variants, `index` holds the slot number of each, so
//! that a look-up stays O(1). `stale` and `text` agree with the slots, so that a whole set can be taken away in O(1).
//!
//! Not here: liveness across scopes. A slot knows only whether it was marked stale; what broad scopes say is the record's.

use crate::hash::Hashing;
use crate::variant::VariantKey;
use hashbrown::HashTable;
use smallvec::SmallVec;

/// Up to this many keys are compared one by one: most pictures have fewer variants, and comparing lengths and bytes of
/// neighbors is cheaper than a second table.
const SCAN_LIMIT: usize = 16;

/// One variant of a path.
#[derive(Debug)]
pub(crate) struct Slot<V> {
    pub(crate) key: Box<str>,
    pub(crate) value: V,
    pub(crate) stale: bool,
    /// Smaller for what was stored earlier.
    age: u32,
}

/// The variants of one path.
#[derive(Debug)]
pub(crate) struct VariantSet<V> {
    slots: SmallVec<[Slot<V>; 1]>,
    /// How many slots are marked stale.
    stale: usize,
    next_age: u32,
    /// Bytes of the keys' text.
    text: usize,
    /// Slot numbers by the hash of the key. Boxed, as few paths need it.
    index: Option<Box<HashTable<u32>>>,
}

impl<V> Default for VariantSet<V> {
    fn default() -> Self {
        Self { slots: SmallVec::new(), stale: 0, next_age: 0, text: 0, index: None }
    }
}

impl<V> VariantSet<V> {
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Slot<V>> {
        self.slots.iter()
    }

    pub(crate) fn get(&self, key: &str, hashing: &Hashing) -> Option<&Slot<V>> {
        self.position(key, hashing).map(|at| &self.slots[at])
    }

    /// Stores `value` under `key`; gives back the value and the stale mark that were there.
    pub(crate) fn insert(
        &mut self,
        key: &VariantKey<'_>,
        value: V,
        stale: bool,
        hashing: &Hashing,
    ) -> Option<(V, bool)> {
        let key = key.as_str();
        let age = self.next_age();
        if let Some(at) = self.position(key, hashing) {
            self.stale += usize::from(stale);
            let slot = &mut self.slots[at];
            slot.age = age;
            let was_stale = std::mem::replace(&mut slot.stale, stale);
            self.stale -= usize::from(was_stale);
            return Some((std::mem::replace(&mut slot.value, value), was_stale));
        }
        self.push(Slot { key: key.into(), value, stale, age }, hashing);
        None
    }

    /// Adds a slot whose key is not there yet.
    fn push(&mut self, slot: Slot<V>, hashing: &Hashing) {
        self.text += slot.key.len();
        self.stale += usize::from(slot.stale);
        let at = self.slots.len();
        self.slots.push(slot);
        if self.index.is_some() {
            self.index_slot(at, hashing);
        } else if self.slots.len() > SCAN_LIMIT {
            self.index = Some(Box::default());
            (0..=at).for_each(|at| self.index_slot(at, hashing));
        }
    }

    /// Takes out what was stored before all others.
    pub(crate) fn remove_oldest(&mut self, hashing: &Hashing) -> Option<Slot<V>> {
        let oldest = self.slots.iter().min_by_key(|slot| slot.age)?.key.clone();
        self.remove(&oldest, hashing)
    }

    /// Takes out `key`. The last slot takes its place.
    pub(crate) fn remove(&mut self, key: &str, hashing: &Hashing) -> Option<Slot<V>> {
        let at = self.position(key, hashing)?;
        let last = self.slots.len() - 1;
        if let Some(index) = &mut self.index {
            let hash = hashing.variant(key);
            if let Ok(entry) = index.find_entry(hash, |&slot| slot as usize == at) {
                entry.remove();
            }
            let hash = hashing.variant(&self.slots[last].key);
            if let Some(slot) = index.find_mut(hash, |&slot| slot as usize == last) {
                *slot = slot_number(at);
            }
        }
        let slot = self.slots.swap_remove(at);
        self.text -= slot.key.len();
        self.stale -= usize::from(slot.stale);
        Some(slot)
    }

    /// Marks every slot stale; says how many weren't yet.
    pub(crate) fn soften(&mut self) -> usize {
        let fresh = self.slots.len() - self.stale;
        if fresh > 0 {
            self.slots.iter_mut().for_each(|slot| slot.stale = true);
            self.stale = self.slots.len();
        }
        fresh
    }

    /// Marks the picked slots stale; says how many weren't yet.
    pub(crate) fn soften_picked(&mut self, pick: impl Fn(&str) -> bool) -> usize {
        let fresh = self.slots.iter_mut().filter(|slot| !slot.stale && pick(&slot.key));
        let count = fresh.map(|slot| slot.stale = true).count();
        self.stale += count;
        count
    }

    /// Takes out the picked slots.
    pub(crate) fn extract(&mut self, pick: impl Fn(&str) -> bool, hashing: &Hashing) -> Self {
        let (mut picked, mut rest) = (Self::default(), Self::default());
        rest.next_age = self.next_age;
        for slot in std::mem::take(&mut self.slots) {
            let set = if pick(&slot.key) { &mut picked } else { &mut rest };
            set.push(slot, hashing);
        }
        *self = rest;
        picked
    }

    /// How many slots are marked stale.
    pub(crate) fn stale(&self) -> usize {
        self.stale
    }

    /// Panics where the invariants at the top of this module don't hold.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn check(&self, hashing: &Hashing) {
        assert_eq!(self.text, self.slots.iter().map(|slot| slot.key.len()).sum(), "text");
        assert_eq!(self.stale, self.slots.iter().filter(|slot| slot.stale).count(), "stale");
        for (at, slot) in self.slots.iter().enumerate() {
            assert_eq!(self.position(&slot.key, hashing), Some(at), "{} occurs once", slot.key);
            assert!(slot.age < self.next_age, "{} is younger than the set", slot.key);
        }
        if let Some(index) = &self.index {
            assert_eq!(index.len(), self.slots.len(), "index");
        } else {
            assert!(self.slots.len() <= SCAN_LIMIT, "index missing");
        }
    }

    /// Heap bytes, the keys' text included.
    pub(crate) fn heap_bytes(&self) -> usize {
        let slots =
            if self.slots.spilled() { self.slots.capacity() * size_of::<Slot<V>>() } else { 0 };
        let index =
            self.index.as_ref().map_or(0, |i| size_of::<HashTable<u32>>() + i.allocation_size());
        self.text + slots + index
    }

    fn next_age(&mut self) -> u32 {
        if self.next_age == u32::MAX {
            // Every 2^32 times, number anew from zero, in the same order.
            let mut order: Vec<&mut u32> = self.slots.iter_mut().map(|s| &mut s.age).collect();
            order.sort_unstable();
            order.into_iter().zip(0..).for_each(|(age, n)| *age = n);
            self.next_age = slot_number(self.slots.len());
        }
        self.next_age += 1;
        self.next_age - 1
    }

    fn position(&self, key: &str, hashing: &Hashing) -> Option<usize> {
        match &self.index {
            None => self.slots.iter().position(|slot| &*slot.key == key),
            Some(index) => index
                .find(hashing.variant(key), |&slot| &*self.slots[slot as usize].key == key)
                .map(|&slot| slot as usize),
        }
    }

    fn index_slot(&mut self, at: usize, hashing: &Hashing) {
        let slots = &self.slots;
        let index = self.index.as_mut().expect("the caller made the index");
        index.insert_unique(hashing.variant(&slots[at].key), slot_number(at), |&slot| {
            hashing.variant(&slots[slot as usize].key)
        });
    }
}

/// # Panics
/// Past 2^32 variants of one path, whose keys alone would fill more than 16 GiB.
fn slot_number(at: usize) -> u32 {
    u32::try_from(at).expect("memory ends before 2^32 variants of one path")
}

impl<V> VariantSet<V> {
    /// The slots alone.
    ///
    /// A `Vec`, as its iterator drops the rest when a caller's `Drop` panics; that of a `SmallVec` forgets it.
    pub(crate) fn into_slots(self) -> Vec<Slot<V>> {
        self.slots.into_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> VariantKey<'static> {
        VariantKey::new_unchecked(format!("?w={n}"))
    }

    #[test]
    fn finds_every_key_on_both_sides_of_the_scan_limit_and_after_removals() {
        let hashing = Hashing::new();
        let mut set = VariantSet::default();
        for n in 0..100 {
            assert_eq!(set.insert(&key(n), n, false, &hashing), None);
            assert!(
                (0..=n).all(|m| set.get(key(m).as_str(), &hashing).map(|s| s.value) == Some(m))
            );
        }
        for n in (0..100).step_by(3) {
            assert_eq!(set.remove(key(n).as_str(), &hashing).map(|s| s.value), Some(n));
            for m in 0..100 {
                let expected = (m > n || m % 3 != 0).then_some(m);
                assert_eq!(
                    set.get(key(m).as_str(), &hashing).map(|s| s.value),
                    expected,
                    "{n} {m}"
                );
            }
            set.check(&hashing);
        }
        assert_eq!(set.len(), 66);
    }

    #[test]
    fn insert_of_a_present_key_gives_the_old_value_and_mark_back() {
        let hashing = Hashing::new();
        let mut set = VariantSet::default();
        assert_eq!(set.insert(&key(1), 'a', true, &hashing), None);
        assert_eq!(set.insert(&key(1), 'b', false, &hashing), Some(('a', true)));
        assert_eq!(set.len(), 1);
        assert_eq!(set.stale(), 0);
    }

    #[test]
    fn soften_counts_only_what_was_fresh() {
        let hashing = Hashing::new();
        let mut set = VariantSet::default();
        assert_eq!(set.insert(&key(1), (), true, &hashing), None);
        assert_eq!(set.insert(&key(2), (), false, &hashing), None);
        assert_eq!(set.soften(), 1);
        assert_eq!(set.soften(), 0);
    }

    #[test]
    fn oldest_goes_first_also_after_replacement_removal_and_renumbering() {
        let hashing = Hashing::new();
        let mut set = VariantSet { next_age: u32::MAX - 4, ..VariantSet::default() };
        for n in 0..6 {
            assert_eq!(set.insert(&key(n), n, false, &hashing), None);
        }
        assert_eq!(set.insert(&key(0), 60, false, &hashing), Some((0, false)));
        assert_eq!(set.remove(key(2).as_str(), &hashing).map(|s| s.value), Some(2));
        let order: Vec<_> =
            std::iter::from_fn(|| set.remove_oldest(&hashing)).map(|slot| slot.value).collect();
        assert_eq!(order, [1, 3, 4, 5, 60]);
    }

    #[test]
    fn extract_splits_the_set_and_both_parts_stay_whole() {
        let hashing = Hashing::new();
        for count in [3, 16, 17, 40] {
            let mut set = VariantSet::default();
            for n in 0..count {
                assert_eq!(set.insert(&key(n), n, n % 3 == 0, &hashing), None);
            }
            let odd = |text: &str| text.ends_with(['1', '3', '5', '7', '9']);
            let mut picked = set.extract(odd, &hashing);
            assert_eq!(picked.len() + set.len(), count);
            picked.check(&hashing);
            set.check(&hashing);
            assert_eq!(picked.stale() + set.stale(), count.div_ceil(3));
            for n in 0..count {
                let of =
                    |set: &VariantSet<usize>| set.get(key(n).as_str(), &hashing).map(|s| s.value);
                let expected = if n % 2 == 1 { (Some(n), None) } else { (None, Some(n)) };
                assert_eq!((of(&picked), of(&set)), expected);
            }
            assert_eq!(set.insert(&key(1), 0, false, &hashing), None);
            assert_eq!(picked.remove_oldest(&hashing).map(|slot| slot.value), Some(1));
        }
    }
}
