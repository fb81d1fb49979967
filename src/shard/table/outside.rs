//! Items that are too large for a record: long texts and large sets of variants, each with a place.

use crate::variants::LargeSet;

#[derive(Debug)]
pub(super) struct Outside<V> {
    pub(super) texts: Slab<Box<str>>,
    pub(super) sets: Slab<Box<LargeSet<V>>>,
}

/// Things with a place each. Places are used again.
#[derive(Debug)]
pub(super) struct Slab<T> {
    things: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<V> Default for Outside<V> {
    fn default() -> Self {
        Self { texts: Slab::default(), sets: Slab::default() }
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { things: Vec::new(), free: Vec::new() }
    }
}

impl<V> Outside<V> {
    /// Heap bytes of the lists of places, without those of the things.
    pub(super) fn bytes(&self) -> usize {
        self.texts.bytes() + self.sets.bytes()
    }
}

impl<T> Slab<T> {
    /// # Panics
    /// Past 2^32 things of one shard, which would fill more than 16 GiB.
    pub(super) fn insert(&mut self, thing: T) -> u32 {
        if let Some(place) = self.free.pop() {
            self.things[place as usize] = Some(thing);
            return place;
        }
        self.things.push(Some(thing));
        u32::try_from(self.things.len() - 1).expect("memory ends before 2^32 things")
    }

    pub(super) fn get(&self, place: u32) -> &T {
        self.things[place as usize].as_ref().expect("a place in use has its thing")
    }

    pub(super) fn get_mut(&mut self, place: u32) -> &mut T {
        self.things[place as usize].as_mut().expect("a place in use has its thing")
    }

    pub(super) fn remove(&mut self, place: u32) -> T {
        let thing = self.things[place as usize].take().expect("a place in use has its thing");
        self.free.push(place);
        if self.free.len() == self.things.len() {
            *self = Self::default();
        }
        thing
    }

    fn bytes(&self) -> usize {
        self.things.capacity() * size_of::<Option<T>>() + self.free.capacity() * size_of::<u32>()
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.things.iter().flatten()
    }
}
