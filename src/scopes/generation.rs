//! The one counter that decides what came first.
//!
//! Invariant: every purge and flush takes a number that none took before, and a larger one than
//! every invalidation that it can know of.
//!
//! A counter and not a clock: clocks have ties, are set back, and differ between processors; two
//! invalidations in one microsecond, or a fill begun in the same tick as a purge, would be left to
//! chance. The counter can't wrap: at one invalidation each nanosecond its 64 bits last for 584
//! years.

use crate::sync::{AtomicU64, Ordering};
use std::fmt;

/// The number of an invalidation, or the moment between two of them.
///
/// # Examples
///
/// ```
/// use cache_index::{CacheIndex, Hard};
///
/// let index = CacheIndex::<u64>::default();
/// let first = index.flush_all(Hard);
/// let second = index.flush_all(Hard);
/// assert!(first.generation() < second.generation());
/// assert_eq!(second.generation().get(), 2);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(u64);

impl Generation {
    /// Before the first invalidation.
    pub(crate) const START: Self = Self(0);

    #[inline]
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number after this one.
    pub(crate) const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The number before this one, which is not the first.
    pub(crate) const fn previous(self) -> Self {
        Self(self.0 - 1)
    }

    /// The number itself, for logs. It means nothing to another index or another process.
    #[inline]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A generation that several threads read and that only moves forward.
#[derive(Debug, Default)]
pub(crate) struct AtomicGeneration(AtomicU64);

impl AtomicGeneration {
    /// Reads, and sees all that was written before the [`Self::publish`] that it reads from.
    #[inline]
    pub(crate) fn load(&self) -> Generation {
        // Acquire: pairs with the release in `publish`.
        Generation(self.0.load(Ordering::Acquire))
    }

    /// Reads the number alone. For numbers that are written and read under the same lock, or that
    /// publish nothing else.
    #[inline]
    pub(crate) fn load_relaxed(&self) -> Generation {
        Generation(self.0.load(Ordering::Relaxed))
    }

    /// Moves forward to `generation`, never back.
    #[inline]
    pub(crate) fn publish(&self, generation: Generation) {
        // Release: pairs with the acquire in `load`. Acquire is not needed: a read-modify-write
        // continues the release sequence of every earlier publication, and a thread that publishes
        // for another has read the horizon of that thread with an acquire.
        self.0.fetch_max(generation.0, Ordering::Release);
    }

    /// Moves forward to `generation`; publishes nothing else.
    pub(crate) fn raise_relaxed(&self, generation: Generation) {
        self.0.fetch_max(generation.0, Ordering::Relaxed);
    }

    /// Takes the next number.
    #[inline]
    pub(crate) fn next(&self) -> Generation {
        // Relaxed: a read-modify-write never returns a number twice. The counter publishes nothing.
        // The shard's lock (purge of a path) or `publish` (flush) publishes the writes that the
        // number orders.
        Generation(self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Takes the next two numbers, of which no other thread takes one. Returns the first.
    pub(crate) fn next_two(&self) -> Generation {
        // Relaxed, as in `next`.
        Generation(self.0.fetch_add(2, Ordering::Relaxed) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_counts_up_from_one() {
        let clock = AtomicGeneration::default();
        assert_eq!(clock.load_relaxed(), Generation::START);
        assert_eq!(clock.next(), Generation::new(1));
        assert_eq!(clock.next(), Generation::new(2));
        assert_eq!(clock.load_relaxed(), Generation::new(2));
    }

    #[test]
    fn publish_never_moves_back() {
        let generation = AtomicGeneration::default();
        generation.publish(Generation::new(5));
        generation.publish(Generation::new(3));
        assert_eq!(generation.load(), Generation::new(5));
    }
}
