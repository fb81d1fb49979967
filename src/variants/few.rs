//! The variants of a path that has few, as nearly all have: one block, exactly as long as it must be, of key numbers and values.
//!
//! Invariant: no key occurs twice; what was stored earlier comes first; the shard's `Keys` count one use for each slot.

use super::keys::{KeyId, Keys, Renumbered};
use super::{Entry, Many};
use crate::hash::Hashing;

/// One variant. The lowest bit of `mark` says that it is stale, the others are the number of its key.
#[derive(Debug)]
struct Slot<V> {
    mark: u32,
    value: V,
}

#[derive(Debug)]
pub(crate) struct Few<V>(Box<[Slot<V>]>);

impl<V> Default for Few<V> {
    fn default() -> Self {
        Self(Box::default())
    }
}

impl<V> Slot<V> {
    fn key(&self) -> KeyId {
        KeyId::new(self.mark >> 1)
    }

    fn is_stale(&self) -> bool {
        self.mark & 1 == 1
    }

    fn into_entry(self, keys: &mut Keys) -> Entry<V> {
        let (id, stale) = (self.key(), self.is_stale());
        Entry { key: keys.release(id), value: self.value, stale }
    }
}

fn mark(key: KeyId, stale: bool) -> u32 {
    key.get() << 1 | u32::from(stale)
}

impl<V> Few<V> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn position(&self, key: KeyId) -> Option<usize> {
        let fresh = mark(key, false);
        self.0.iter().position(|slot| slot.mark & !1 == fresh)
    }

    pub(super) fn get(&self, at: usize) -> (&V, bool) {
        (&self.0[at].value, self.0[at].is_stale())
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.0.iter().map(Slot::key)
    }

    /// The numbers of the keys, each with whether it is marked stale.
    pub(super) fn listed(&self) -> impl Iterator<Item = (KeyId, bool)> {
        self.0.iter().map(|slot| (slot.key(), slot.is_stale()))
    }

    /// Adds a key that isn't there.
    pub(super) fn push(
        &mut self,
        key: &str,
        value: V,
        stale: bool,
        keys: &mut Keys,
        hashing: &Hashing,
    ) {
        let slot = Slot { mark: mark(keys.take(key, hashing), stale), value };
        let mut slots = self.take_slots();
        slots.reserve_exact(1);
        slots.push(slot);
        self.0 = slots.into_boxed_slice();
    }

    /// Puts another value into a slot, which is the youngest from then on. Gives what was there.
    pub(super) fn replace(&mut self, at: usize, value: V, stale: bool) -> (V, bool) {
        let slot = &mut self.0[at];
        let was_stale = slot.is_stale();
        slot.mark = mark(slot.key(), stale);
        let old = std::mem::replace(&mut slot.value, value);
        self.0[at..].rotate_left(1);
        (old, was_stale)
    }

    pub(super) fn remove(&mut self, at: usize, keys: &mut Keys) -> Entry<V> {
        let mut slots = self.take_slots();
        let slot = slots.remove(at);
        self.0 = slots.into_boxed_slice();
        slot.into_entry(keys)
    }

    pub(super) fn stale(&self) -> usize {
        self.0.iter().filter(|slot| slot.is_stale()).count()
    }

    /// Marks the picked slots stale; says how many weren't yet.
    pub(super) fn soften(&mut self, pick: impl Fn(&str) -> bool, keys: &Keys) -> usize {
        let fresh =
            self.0.iter_mut().filter(|slot| pick(keys.text(slot.key())) && !slot.is_stale());
        fresh.map(|slot| slot.mark |= 1).count()
    }

    /// Takes out the picked slots.
    pub(super) fn extract(
        &mut self,
        pick: impl Fn(&str) -> bool,
        keys: &mut Keys,
    ) -> Vec<Entry<V>> {
        let (gone, stay) = self
            .take_slots()
            .into_iter()
            .partition::<Vec<_>, _>(|slot| pick(keys.text(slot.key())));
        self.0 = stay.into_boxed_slice();
        gone.into_iter().map(|slot| slot.into_entry(keys)).collect()
    }

    pub(super) fn into_entries(self, keys: &mut Keys) -> Vec<Entry<V>> {
        self.0.into_iter().map(|slot| slot.into_entry(keys)).collect()
    }

    /// The same variants as a large set.
    pub(super) fn into_many(self, keys: &mut Keys, hashing: &Hashing) -> Many<V> {
        let mut many = Many::default();
        for entry in self.into_entries(keys) {
            many.push(entry, hashing);
        }
        many
    }

    pub(super) fn renumber(&mut self, renumbered: &Renumbered) {
        for slot in &mut self.0 {
            slot.mark = mark(renumbered.of(slot.key()), slot.is_stale());
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        size_of_val(&*self.0)
    }

    fn take_slots(&mut self) -> Vec<Slot<V>> {
        std::mem::take(&mut self.0).into_vec()
    }
}
