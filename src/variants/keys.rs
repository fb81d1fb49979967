//! Every variant key of a shard, once.
//!
//! A shop uses the same dozen sizes on all of its pictures. So the small sets hold numbers, and the text is here: four bytes for an
//! entry and not some forty, and a look-up compares numbers.
//!
//! Invariant: a key is here exactly while it is used, as often as `uses` says; no text has two numbers.

use crate::hash::{Hashing, TableHash};
use crate::places::Places;
use std::sync::Arc;

/// The number of a key in its shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyId(u32);

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
    free: Vec<u32>,
    /// Bytes of text.
    text: usize,
}

/// Where each number went when the numbers were drawn together.
#[derive(Debug)]
pub(crate) struct Renumbered(Vec<u32>);

/// Numbers below this leave a bit for who keeps them.
const MOST_KEYS: usize = 1 << 31;

/// The two counts in front of shared text.
const SHARED: usize = 2 * size_of::<usize>();

impl KeyId {
    /// Below 2^31.
    pub(crate) fn get(self) -> u32 {
        self.0
    }

    pub(super) fn new(number: u32) -> Self {
        Self(number)
    }
}

impl Renumbered {
    pub(crate) fn of(&self, id: KeyId) -> KeyId {
        KeyId(self.0[id.0 as usize])
    }
}

impl Keys {
    /// The number of a key that is used.
    pub(crate) fn find(&self, text: &str, hashing: &Hashing) -> Option<KeyId> {
        self.find_hashed(text, hashing.variant(text))
    }

    fn find_hashed(&self, text: &str, hash: TableHash) -> Option<KeyId> {
        let is = |id: u32| self.known[id as usize].text.as_deref() == Some(text);
        self.by_text.find(hash, is).map(KeyId)
    }

    pub(crate) fn text(&self, id: KeyId) -> &Arc<str> {
        self.known[id.0 as usize].text.as_ref().expect("a number that is used has a text")
    }

    /// Uses a key once more.
    ///
    /// # Panics
    /// Past 2^31 different keys in one shard, whose text alone would fill more than 32 GiB.
    pub(crate) fn take(&mut self, text: &str, hashing: &Hashing) -> KeyId {
        let hash = hashing.variant(text);
        if let Some(id) = self.find_hashed(text, hash) {
            self.known[id.0 as usize].uses += 1;
            return id;
        }
        let new = Known { text: Some(text.into()), uses: 1, hash };
        self.text += SHARED + text.len();
        let id = if let Some(id) = self.free.pop() {
            self.known[id as usize] = new;
            id
        } else {
            assert!(self.known.len() < MOST_KEYS, "memory ends before 2^31 keys of one shard");
            self.known.push(new);
            number(self.known.len() - 1)
        };
        self.by_text.insert(hash, id);
        KeyId(id)
    }

    /// Uses a key once less, and gives its text.
    pub(crate) fn release(&mut self, id: KeyId) -> Arc<str> {
        let known = &mut self.known[id.0 as usize];
        known.uses -= 1;
        if known.uses > 0 {
            return Arc::clone(self.text(id));
        }
        let text = known.text.take().expect("a number that is used has a text");
        self.by_text.remove(known.hash, id.0);
        self.free.push(id.0);
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
        let mut numbers = vec![u32::MAX; self.known.len()];
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
            self.by_text.insert(key.hash, number(id));
        }
        Some(Renumbered(numbers))
    }

    /// Heap bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.text
            + self.known.capacity() * size_of::<Known>()
            + self.free.capacity() * size_of::<u32>()
            + self.by_text.bytes()
    }

    /// Panics where the invariants at the top of this module don't hold, `ids` being all uses there are.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn check(&self, ids: impl Iterator<Item = KeyId>, hashing: &Hashing) {
        self.by_text.check();
        let mut uses = vec![0; self.known.len()];
        ids.for_each(|id| uses[id.0 as usize] += 1);
        assert_eq!(uses, self.known.iter().map(|known| known.uses).collect::<Vec<_>>(), "uses");
        let texts = self.known.iter().filter_map(|known| known.text.as_deref());
        assert_eq!(self.text, texts.clone().map(|text| SHARED + text.len()).sum::<usize>(), "text");
        assert_eq!(self.by_text.len(), texts.clone().count(), "numbers by text");
        assert_eq!(self.free.len(), self.known.len() - self.by_text.len(), "free places");
        for text in texts {
            let id = self.find(text, hashing).expect("a text has a number");
            assert_eq!(**self.text(id), *text);
            assert!(self.known[id.0 as usize].uses > 0, "{text} is used");
        }
    }
}

fn number(at: usize) -> u32 {
    u32::try_from(at).expect("there are less than 2^31 keys")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_has_one_number_until_its_last_use_ends() {
        let (mut keys, hashing) = (Keys::default(), Hashing::new());
        let id = keys.take("?w=1", &hashing);
        assert_eq!(keys.take("?w=1", &hashing), id);
        assert_eq!(&*keys.release(id), "?w=1");
        assert_eq!(keys.find("?w=1", &hashing), Some(id));
        assert_eq!(&*keys.release(id), "?w=1");
        assert_eq!(keys.find("?w=1", &hashing), None);
        keys.check(std::iter::empty(), &hashing);
    }

    #[test]
    fn free_numbers_are_used_again() {
        let (mut keys, hashing) = (Keys::default(), Hashing::new());
        let a = keys.take("?w=1", &hashing);
        let b = keys.take("?w=2", &hashing);
        keys.release(a);
        assert_eq!(keys.take("?w=3", &hashing), a);
        assert_eq!(&**keys.text(b), "?w=2");
        keys.check([a, b].into_iter(), &hashing);
    }

    #[test]
    fn shrinking_keeps_every_key_that_is_used_under_the_number_it_says() {
        let (mut keys, hashing) = (Keys::default(), Hashing::new());
        let text = |n: usize| format!("?w={n}");
        let ids: Vec<_> = (0..1000).map(|n| keys.take(&text(n), &hashing)).collect();
        assert!(keys.shrink().is_none(), "every place is taken");
        let peak = keys.bytes();
        let mut left = Vec::new();
        for (n, id) in ids.into_iter().enumerate() {
            if n % 50 == 7 { left.push((n, id)) } else { drop(keys.release(id)) }
        }
        let renumbered = keys.shrink().expect("most places are free");
        for (n, id) in &left {
            assert_eq!(**keys.text(renumbered.of(*id)), *text(*n));
        }
        keys.check(left.iter().map(|(_, id)| renumbered.of(*id)), &hashing);
        assert!(keys.bytes() * 10 < peak, "{} of {peak}", keys.bytes());
    }
}
