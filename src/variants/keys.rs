//! Every variant key of a shard, once.
//!
//! A shop uses the same dozen sizes on all of its pictures. So the small sets hold numbers, and the text is here: two bytes for an
//! entry and not some forty, and a look-up compares numbers.
//!
//! Invariant: a key is here exactly while it is used, as often as `uses` says; no text has two numbers. There are at most
//! [`MOST_KEYS`]: who gets no number keeps the text himself.

use super::Wanted;
use crate::hash::{Hashing, TableHash};
use crate::places::Places;
use crate::prefetch::{Stage, fetch};
use std::sync::Arc;

/// The number of a key in its shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyId(u16);

#[derive(Debug)]
struct Known {
    /// None if the place is free.
    text: Option<Arc<str>>,
    uses: u32,
    hash: TableHash,
}

/// The keys of one shard.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    known: Vec<Known>,
    by_text: Places,
    free: Vec<KeyId>,
    /// Bytes of text.
    text: usize,
}

/// Where each number went when the numbers were drawn together.
#[derive(Debug)]
pub(crate) struct Renumbered(Vec<KeyId>);

/// As many as there are numbers of two bytes, but for one.
const MOST_KEYS: usize = u16::MAX as usize;

/// The two counts in front of shared text.
const SHARED: usize = 2 * size_of::<usize>();

impl KeyId {
    /// The number of no key.
    const NONE: Self = Self(u16::MAX);
}

impl Renumbered {
    pub(super) fn of(&self, id: KeyId) -> KeyId {
        self.0[usize::from(id.0)]
    }
}

impl Keys {
    /// Looks for the number of a key.
    #[inline]
    pub(crate) fn find<'a>(&self, text: &'a str, hashing: &Hashing) -> Wanted<'a> {
        self.find_hashed(text, hashing.variant(text))
    }

    /// The same, of a key that was hashed before.
    #[inline]
    pub(crate) fn find_hashed<'a>(&self, text: &'a str, hash: TableHash) -> Wanted<'a> {
        Wanted { text, hash, id: self.id(text, hash) }
    }

    /// Fetches what [`Self::find`] is about to read.
    pub(crate) fn fetch(&self, stage: Stage, hash: TableHash) {
        if stage == Stage::Bucket {
            return self.by_text.fetch(hash);
        }
        let Some(id) = self.by_text.find(hash, |_| true) else { return };
        let known = &self.known[usize::from(key_id(id).0)];
        if stage == Stage::Record {
            fetch(known);
        } else if let Some(first) = known.text.as_ref().and_then(|text| text.as_bytes().first()) {
            fetch(first);
        }
    }

    #[inline]
    fn id(&self, text: &str, hash: TableHash) -> Option<KeyId> {
        self.by_text.find(hash, |id| **self.text(key_id(id)) == *text).map(key_id)
    }

    #[inline]
    pub(super) fn text(&self, id: KeyId) -> &Arc<str> {
        let known = &self.known[usize::from(id.0)];
        known.text.as_ref().expect("a number that is used has a text")
    }

    /// Uses a key once more, which was looked for after the last change. None if that would need a new number, and none is left.
    pub(super) fn take(&mut self, wanted: Wanted<'_>) -> Option<KeyId> {
        if let Some(id) = wanted.id {
            self.known[usize::from(id.0)].uses += 1;
            return Some(id);
        }
        let new = Known { text: Some(wanted.text.into()), uses: 1, hash: wanted.hash };
        let id = if let Some(id) = self.free.pop() {
            self.known[usize::from(id.0)] = new;
            id
        } else if self.known.len() < MOST_KEYS {
            self.known.push(new);
            number(self.known.len() - 1)
        } else {
            return None;
        };
        self.text += SHARED + wanted.text.len();
        self.by_text.insert(wanted.hash, u32::from(id.0));
        Some(id)
    }

    /// Uses a key once less, and gives its text.
    pub(super) fn release(&mut self, id: KeyId) -> Arc<str> {
        let known = &mut self.known[usize::from(id.0)];
        known.uses -= 1;
        if known.uses > 0 {
            return Arc::clone(self.text(id));
        }
        let text = known.text.take().expect("a number that is used has a text");
        self.by_text.remove(known.hash, u32::from(id.0));
        self.free.push(id);
        self.text -= SHARED + text.len();
        text
    }

    /// If most places are free: draws the keys together, gives memory back, and says which numbers they have now.
    pub(crate) fn shrink(&mut self) -> Option<Renumbered> {
        const WORTH_IT: usize = 32;
        if self.by_text.len() == 0 {
            *self = Self::default();
        }
        if self.free.len() < WORTH_IT || self.free.len() < self.known.len() / 2 {
            return None;
        }
        let mut numbers = vec![KeyId::NONE; self.known.len()];
        let mut kept = Vec::with_capacity(self.known.len() - self.free.len());
        for (at, known) in std::mem::take(&mut self.known).into_iter().enumerate() {
            if known.text.is_some() {
                numbers[at] = number(kept.len());
                kept.push(known);
            }
        }
        self.known = kept;
        self.free = Vec::new();
        self.by_text = Places::default();
        for (id, key) in self.known.iter().enumerate() {
            self.by_text.insert(key.hash, u32::from(number(id).0));
        }
        Some(Renumbered(numbers))
    }

    /// Heap bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.text
            + self.known.capacity() * size_of::<Known>()
            + self.free.capacity() * size_of::<KeyId>()
            + self.by_text.bytes()
    }

    /// Panics where the invariants at the top of this module don't hold, `ids` being all uses there are.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn check(&self, ids: impl Iterator<Item = KeyId>, hashing: &Hashing) {
        self.by_text.check();
        let mut uses = vec![0; self.known.len()];
        ids.for_each(|id| uses[usize::from(id.0)] += 1);
        assert_eq!(uses, self.known.iter().map(|known| known.uses).collect::<Vec<_>>(), "uses");
        let texts = self.known.iter().filter_map(|known| known.text.as_deref());
        assert_eq!(self.text, texts.clone().map(|text| SHARED + text.len()).sum::<usize>(), "text");
        assert_eq!(self.by_text.len(), texts.clone().count(), "numbers by text");
        assert_eq!(self.free.len(), self.known.len() - self.by_text.len(), "free places");
        for text in texts {
            let id = self.find(text, hashing).id.expect("a text has a number");
            assert_eq!(**self.text(id), *text);
            assert!(self.known[usize::from(id.0)].uses > 0, "{text} is used");
        }
    }
}

fn number(at: usize) -> KeyId {
    KeyId(u16::try_from(at).expect("there are at most 65,535 keys"))
}

/// A number that comes out of `by_text`.
#[allow(clippy::cast_possible_truncation, reason = "only numbers of keys are put in")]
fn key_id(number: u32) -> KeyId {
    KeyId(number as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World {
        keys: Keys,
        hashing: Hashing,
    }

    impl World {
        fn new() -> Self {
            Self { keys: Keys::default(), hashing: Hashing::new() }
        }

        fn take(&mut self, text: &str) -> KeyId {
            self.keys.take(self.keys.find(text, &self.hashing)).expect("numbers are left")
        }

        fn find(&self, text: &str) -> Option<KeyId> {
            self.keys.find(text, &self.hashing).id
        }
    }

    #[test]
    fn key_has_one_number_until_its_last_use_ends() {
        let mut world = World::new();
        let id = world.take("?w=1");
        assert_eq!(world.take("?w=1"), id);
        assert_eq!(&*world.keys.release(id), "?w=1");
        assert_eq!(world.find("?w=1"), Some(id));
        assert_eq!(&*world.keys.release(id), "?w=1");
        assert_eq!(world.find("?w=1"), None);
        world.keys.check(std::iter::empty(), &world.hashing);
    }

    #[test]
    fn free_numbers_are_used_again() {
        let mut world = World::new();
        let (a, b) = (world.take("?w=1"), world.take("?w=2"));
        drop(world.keys.release(a));
        assert_eq!(world.take("?w=3"), a);
        assert_eq!(&**world.keys.text(b), "?w=2");
        world.keys.check([a, b].into_iter(), &world.hashing);
    }

    #[test]
    fn keys_of_one_hash_are_told_apart() {
        let mut world = World::new();
        let hash = TableHash::new(7);
        let new = |text| Wanted { text, hash, id: None };
        let a = world.keys.take(new("?w=1")).unwrap();
        let b = world.keys.take(new("?w=2")).unwrap();
        assert_eq!(world.keys.id("?w=1", hash), Some(a));
        assert_eq!(world.keys.id("?w=2", hash), Some(b));
        assert_eq!(world.keys.id("?w=3", hash), None);
    }

    #[test]
    fn numbers_end_and_begin_again() {
        let mut world = World::new();
        let ids: Vec<_> = (0..MOST_KEYS).map(|n| world.take(&format!("?w={n}"))).collect();
        let one_more = world.keys.find("?w=one-more", &world.hashing);
        assert_eq!(world.keys.take(one_more), None);
        assert_eq!(world.take("?w=7"), ids[7], "what has a number keeps it");
        drop(world.keys.release(ids[8]));
        assert_eq!(world.keys.take(one_more), Some(ids[8]));
        assert!(!ids.contains(&KeyId::NONE));
    }

    #[test]
    fn shrinking_is_worth_it_for_half_of_the_places_and_32_of_them() {
        for (keys, too_few) in [(40, 31), (64, 31), (100, 49)] {
            let mut world = World::new();
            let mut ids: Vec<_> = (0..keys).map(|n| world.take(&format!("?w={n}"))).collect();
            ids.drain(..too_few).for_each(|id| drop(world.keys.release(id)));
            assert!(world.keys.shrink().is_none(), "{too_few} of {keys}");
            drop(world.keys.release(ids.remove(0)));
            assert!(world.keys.shrink().is_some(), "one more of {keys}");
        }
    }

    #[test]
    fn bytes_are_those_of_all_parts() {
        let mut world = World::new();
        let (a, _) = (world.take("?w=1"), world.take("?w=10"));
        drop(world.keys.release(a));
        let Keys { known, by_text, free, .. } = &world.keys;
        assert!(free.capacity() > 1 && known.capacity() > 1);
        let places = known.capacity() * size_of::<Known>() + free.capacity() * 2;
        let text = "?w=10".len() + 2 * size_of::<usize>();
        assert_eq!(world.keys.bytes(), text + places + by_text.bytes());
    }

    #[test]
    fn shrinking_keeps_every_key_that_is_used_under_the_number_it_says() {
        let mut world = World::new();
        let text = |n: usize| format!("?w={n}");
        let ids: Vec<_> = (0..1000).map(|n| world.take(&text(n))).collect();
        assert!(world.keys.shrink().is_none(), "every place is taken");
        let peak = world.keys.bytes();
        let mut left = Vec::new();
        for (n, id) in ids.into_iter().enumerate() {
            if n % 50 == 7 { left.push((n, id)) } else { drop(world.keys.release(id)) }
        }
        let renumbered = world.keys.shrink().expect("most places are free");
        for (n, id) in &left {
            assert_eq!(**world.keys.text(renumbered.of(*id)), *text(*n));
        }
        world.keys.check(left.iter().map(|(_, id)| renumbered.of(*id)), &world.hashing);
        assert!(world.keys.bytes() * 10 < peak, "{} of {peak}", world.keys.bytes());
    }
}
