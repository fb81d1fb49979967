//! The variants of one path, with their values.
//!
//! ```text
//!   Few       keys in the record, a byte each; values in the bucket       up to 16 of the shard's first 256 keys: those of nearly all
//!   Several   keys in a block of their own; values in the bucket          up to 32
//!   Many      a table with keys and values of its own                    any number, and whatever finds no number for its key
//! ```
//!
//! Invariant: no key occurs twice; what was stored earlier comes first. A set is `Few` if it can be, `Many` at any size, and `Several`
//! otherwise. Small sets, which are the first two, have as many keys as values, and the shard's `Keys` count one use for each.
//!
//! Not here: liveness across scopes. A variant knows only whether it was marked stale; what broad scopes say is the record's.

mod keys;
mod many;
mod marks;

pub(crate) use keys::{Keys, Renumbered};
pub(crate) use marks::Marks;

use crate::hash::{Hashing, TableHash};
use keys::KeyId;
use many::Many;
use marks::{first, is_set, mark, without};
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::Arc;

/// As many numbers as fit into a record in the room that a block's address and length would take.
const MOST_FEW: usize = 16;

/// Up to this many numbers are compared one by one: they lie side by side, and hardly a site serves a picture in more sizes. As many as
/// there are marks.
const MOST_SMALL: usize = Marks::BITS as usize;

/// The numbers of the keys of a small set.
pub(crate) type Ids = SmallVec<[KeyId; MOST_SMALL]>;

/// A key that is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) text: &'a str,
    hash: TableHash,
}

impl<'a> Wanted<'a> {
    pub(crate) fn new(text: &'a str, hashing: &Hashing) -> Self {
        Self { text, hash: hashing.variant(text) }
    }
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

/// What a record keeps of its variants.
#[derive(Debug)]
pub(crate) enum VariantSet<V> {
    Few { len: u8, keys: [u8; MOST_FEW] },
    Several(Box<[KeyId]>),
    Many(Box<Many<V>>),
}

/// The variants of one path, to read.
#[derive(Debug)]
pub(crate) struct Variants<'a, V> {
    pub(crate) set: &'a VariantSet<V>,
    /// Of a small set.
    pub(crate) values: &'a [V],
    pub(crate) marks: Marks,
}

/// The variants of one path, to change.
#[derive(Debug)]
pub(crate) struct VariantsMut<'a, V> {
    pub(crate) set: &'a mut VariantSet<V>,
    pub(crate) marks: &'a mut Marks,
    /// Of all small sets of a bucket; those of this set begin at `start`.
    pub(crate) values: &'a mut Vec<V>,
    pub(crate) start: usize,
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
        Self::Few { len: 0, keys: [0; MOST_FEW] }
    }
}

impl<V> VariantSet<V> {
    /// How many values of the bucket are this set's.
    #[inline]
    pub(crate) fn small_len(&self) -> usize {
        match self {
            Self::Few { len, .. } => usize::from(*len),
            Self::Several(keys) => keys.len(),
            Self::Many(_) => 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Many(many) => many.len(),
            small => small.small_len(),
        }
    }

    #[inline]
    fn position(&self, id: KeyId) -> Option<usize> {
        match self {
            Self::Few { len, keys } => {
                let id = id.narrow()?;
                keys[..usize::from(*len)].iter().position(|other| *other == id)
            }
            Self::Several(keys) => keys.iter().position(|other| *other == id),
            Self::Many(_) => None,
        }
    }

    /// The uses that it makes of the shard's keys: a large set makes none.
    pub(crate) fn ids(&self) -> Ids {
        match self {
            Self::Few { len, keys } => {
                keys[..usize::from(*len)].iter().map(|id| KeyId::from(*id)).collect()
            }
            Self::Several(keys) => Ids::from_slice(keys),
            Self::Many(_) => Ids::new(),
        }
    }

    fn small(ids: Ids) -> Self {
        let mut keys = [0; MOST_FEW];
        let narrow = |(key, id): (&mut u8, &KeyId)| id.narrow().map(|id| *key = id).is_some();
        match u8::try_from(ids.len()) {
            Ok(len) if ids.len() <= MOST_FEW && keys.iter_mut().zip(&ids).all(narrow) => {
                Self::Few { len, keys }
            }
            _ => Self::Several(ids.into_boxed_slice()),
        }
    }

    /// Follows the keys to their new numbers.
    pub(crate) fn renumber(&mut self, renumbered: &Renumbered) {
        if !matches!(self, Self::Many(_)) {
            *self = Self::small(self.ids().into_iter().map(|id| renumbered.of(id)).collect());
        }
    }

    /// Heap bytes beside the bucket and the shard's keys.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Few { .. } => 0,
            Self::Several(keys) => size_of_val(&**keys),
            Self::Many(many) => many.heap_bytes(),
        }
    }
}

impl<'a, V> Variants<'a, V> {
    pub(crate) fn len(&self) -> usize {
        self.set.len()
    }

    /// Finds a key whose number, if it has one, is probably `guess`.
    #[inline]
    pub(crate) fn find(&self, wanted: Wanted<'_>, guess: Option<KeyId>, keys: &Keys) -> Option<At> {
        if let VariantSet::Many(many) = self.set {
            return many.position(wanted).map(At);
        }
        let guess = guess?;
        match self.set.position(guess) {
            Some(at) if **keys.text(guess) == *wanted.text => Some(At(at)),
            // It isn't there, or two keys have one hash.
            _ => self.set.position(keys.find(wanted)?).map(At),
        }
    }

    /// The value, and whether it is marked stale.
    #[inline]
    pub(crate) fn get(&self, at: At) -> (&'a V, bool) {
        match self.set {
            VariantSet::Many(many) => many.get(at.0),
            _ => (&self.values[at.0], is_set(self.marks, at.0)),
        }
    }

    /// The keys, each with whether it is marked stale, in no particular order.
    pub(crate) fn list(&self, keys: &Keys) -> Vec<(Arc<str>, bool)> {
        if let VariantSet::Many(many) = self.set {
            return many.entries().iter().map(|e| (Arc::clone(&e.key), e.stale)).collect();
        }
        let of_small = |(at, id)| (Arc::clone(keys.text(id)), is_set(self.marks, at));
        self.set.ids().into_iter().enumerate().map(of_small).collect()
    }

    /// How many variants are marked stale.
    pub(crate) fn stale(&self) -> usize {
        match self.set {
            VariantSet::Many(many) => many.stale(),
            _ => self.marks.count_ones() as usize,
        }
    }

    /// Panics where the invariants at the top of this module don't hold.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn check(&self, keys: &Keys, hashing: &Hashing) {
        let (ids, len) = (self.set.ids(), self.set.small_len());
        assert_eq!((ids.len(), self.values.len()), (len, len), "a value for each key");
        assert_eq!(u64::from(self.marks) >> len, 0, "marks of {len} variants");
        for (at, id) in ids.iter().enumerate() {
            assert_eq!(self.set.position(*id), Some(at), "{} occurs once", keys.text(*id));
        }
        let narrow = len <= MOST_FEW && ids.iter().all(|id| id.narrow().is_some());
        match self.set {
            VariantSet::Few { .. } => assert!(narrow, "{len} variants are not few"),
            VariantSet::Several(_) => assert!(!narrow && len <= MOST_SMALL, "{len} variants"),
            VariantSet::Many(many) => many.check(hashing),
        }
    }
}

impl<V> VariantsMut<'_, V> {
    pub(crate) fn read(&self) -> Variants<'_, V> {
        Variants { set: self.set, values: &self.values[self.range()], marks: *self.marks }
    }

    fn range(&self) -> Range<usize> {
        self.start..self.start + self.set.small_len()
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
        if let VariantSet::Many(many) = self.set {
            return many.push(Entry { key: wanted.text.into(), value, stale }, hashing);
        }
        let Range { end, .. } = self.range();
        let len = self.set.small_len();
        let id = if len < MOST_SMALL { keys.take(wanted) } else { None };
        if let Some(id) = id {
            *self.marks |= mark(stale, len);
            crate::bucket::make_room(self.values, 1);
            self.values.insert(end, value);
            self.push_id(id);
            return;
        }
        let mut many = Many::new(self.take_entries(keys), hashing);
        many.push(Entry { key: wanted.text.into(), value, stale }, hashing);
        *self.set = VariantSet::Many(Box::new(many));
    }

    fn push_id(&mut self, id: KeyId) {
        if let (VariantSet::Few { len, keys }, Some(narrow)) = (&mut *self.set, id.narrow()) {
            if let Some(free) = keys.get_mut(usize::from(*len)) {
                *free = narrow;
                *len += 1;
                return;
            }
        }
        let mut ids = self.set.ids();
        ids.push(id);
        *self.set = VariantSet::small(ids);
    }

    /// Puts another value into the place of one that is there; it is the youngest from then on. Gives the other, and whether that was
    /// marked stale.
    pub(crate) fn replace(&mut self, at: At, value: V, stale: bool) -> (V, bool) {
        let (At(at), range) = (at, self.range());
        match self.set {
            VariantSet::Many(many) => return many.replace(at, value, stale),
            VariantSet::Few { len, keys } => keys[at..usize::from(*len)].rotate_left(1),
            VariantSet::Several(keys) => keys[at..].rotate_left(1),
        }
        let was_stale = is_set(*self.marks, at);
        *self.marks = without(*self.marks, at) | mark(stale, range.len() - 1);
        let values = &mut self.values[range][at..];
        let old = std::mem::replace(&mut values[0], value);
        values.rotate_left(1);
        (old, was_stale)
    }

    pub(crate) fn remove(&mut self, at: At, keys: &mut Keys, hashing: &Hashing) -> Entry<V> {
        let At(at) = at;
        if let VariantSet::Many(many) = self.set {
            return many.remove(at, hashing);
        }
        let mut ids = self.set.ids();
        let (key, stale) = (keys.release(ids.remove(at)), is_set(*self.marks, at));
        *self.set = VariantSet::small(ids);
        *self.marks = without(*self.marks, at);
        Entry { key, value: self.values.remove(self.start + at), stale }
    }

    /// Takes out what was stored before all others.
    pub(crate) fn remove_oldest(&mut self, keys: &mut Keys, hashing: &Hashing) -> Option<Entry<V>> {
        let oldest = match &*self.set {
            VariantSet::Many(many) => many.oldest(),
            small => (small.len() > 0).then_some(0),
        };
        oldest.map(|at| self.remove(At(at), keys, hashing))
    }

    /// Marks the picked variants stale; says how many weren't yet, and how many were.
    pub(crate) fn soften(&mut self, pick: impl Fn(&str) -> bool, keys: &Keys) -> (usize, usize) {
        if let VariantSet::Many(many) = self.set {
            return many.soften(pick);
        }
        let ids = self.set.ids().into_iter().enumerate();
        let picked = ids.filter(|(_, id)| pick(keys.text(*id)));
        let picked = picked.fold(0, |marks, (at, _)| marks | mark(true, at));
        let (fresh, before) = (picked & !*self.marks, picked & *self.marks);
        *self.marks |= picked;
        (fresh.count_ones() as usize, before.count_ones() as usize)
    }

    /// Marks all variants stale; says how many weren't yet.
    pub(crate) fn soften_all(&mut self) -> usize {
        if let VariantSet::Many(many) = self.set {
            return many.soften(|_| true).0;
        }
        let before = self.marks.count_ones();
        *self.marks = first(self.set.small_len());
        (self.marks.count_ones() - before) as usize
    }

    /// Takes out the picked variants.
    pub(crate) fn extract(
        &mut self,
        pick: impl Fn(&str) -> bool,
        keys: &mut Keys,
        hashing: &Hashing,
    ) -> Taken<V> {
        let entries = match self.set {
            VariantSet::Many(many) => {
                let entries = std::mem::take(&mut **many).into_entries_by_age();
                *self.set = VariantSet::default();
                entries
            }
            _ => self.take_entries(keys),
        };
        let mut gone = Vec::new();
        for entry in entries {
            if pick(&entry.key) {
                gone.push(entry);
            } else {
                let wanted = Wanted::new(&entry.key, hashing);
                self.push(wanted, entry.value, entry.stale, keys, hashing);
            }
        }
        Taken::Listed(gone)
    }

    /// Takes out all of them: O(1) for a large set.
    pub(crate) fn take(&mut self, keys: &mut Keys) -> Taken<V> {
        match self.set {
            VariantSet::Many(many) => {
                let whole = Taken::Whole(std::mem::take(many));
                *self.set = VariantSet::default();
                whole
            }
            _ => Taken::Listed(self.take_entries(keys)),
        }
    }

    /// The entries of a small set, which is empty then.
    fn take_entries(&mut self, keys: &mut Keys) -> Vec<Entry<V>> {
        let (ids, marks) = (self.set.ids(), std::mem::take(self.marks));
        let values = self.values.drain(self.range());
        let entry =
            |(at, (id, value))| Entry { key: keys.release(id), value, stale: is_set(marks, at) };
        let entries = ids.into_iter().zip(values).enumerate().map(entry).collect();
        *self.set = VariantSet::default();
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A set, with what its bucket and its shard lend it: beside its values lie those of others.
    struct World {
        set: VariantSet<usize>,
        marks: Marks,
        values: Vec<usize>,
        keys: Keys,
        hashing: Hashing,
    }

    const OTHERS: usize = usize::MAX;

    fn key(n: usize) -> String {
        format!("?w={n}")
    }

    impl World {
        fn new() -> Self {
            Self {
                set: VariantSet::default(),
                marks: 0,
                values: vec![OTHERS; 4],
                keys: Keys::default(),
                hashing: Hashing::new(),
            }
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
            let Self { set, marks, values, keys, hashing } = self;
            change(&mut VariantsMut { set, marks, values, start: 2 }, keys, hashing)
        }

        fn read(&self) -> Variants<'_, usize> {
            let values = &self.values[2..2 + self.set.small_len()];
            Variants { set: &self.set, values, marks: self.marks }
        }

        fn push(&mut self, n: usize, stale: bool) {
            let key = key(n);
            self.edit(|set, keys, hashing| {
                set.push(Wanted::new(&key, hashing), n, stale, keys, hashing);
            });
        }

        fn find(&self, n: usize) -> Option<At> {
            let key = key(n);
            let wanted = Wanted::new(&key, &self.hashing);
            self.read().find(wanted, self.keys.guess(wanted), &self.keys)
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
            self.keys.check(self.set.ids().into_iter(), &self.hashing);
            assert_eq!(self.values.len(), self.set.small_len() + 4);
            let (before, after) = (&self.values[..2], &self.values[self.set.small_len() + 2..]);
            assert!(before.iter().chain(after).all(|value| *value == OTHERS));
        }
    }

    #[test]
    fn set_takes_three_words_whatever_its_values_are() {
        assert_eq!(size_of::<VariantSet<u64>>(), 24);
        assert_eq!(size_of::<VariantSet<[u64; 4]>>(), 24);
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
        assert_eq!((world.set.len(), world.read().stale()), (4, 0));
        world.check();
    }

    #[test]
    fn replacing_gives_the_old_value_and_mark_back() {
        for count in [1, 40] {
            let mut world = World::with(count, |n| n == 0);
            assert_eq!(world.replace(0, 7), (0, true));
            assert_eq!(world.get(0), Some(7));
            assert_eq!((world.set.len(), world.read().stale()), (count, 0));
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
                if let (34, VariantSet::Many(many)) = (n, &mut world.set) {
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
            assert_eq!(gone.len() + world.set.len(), count);
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
            assert_eq!(world.set.len(), 0);
        }
    }
}
