//! The limits of an index, from its configuration, and the share of each that is in use.
//!
//! Invariant: an operation over a limit has a named outcome, never a wrong answer. The counts of
//! paths and entries are exact: room is taken before an entry is stored, and released when it
//! leaves the tables. Dead entries occupy room until they are swept.

use crate::outcome::Refusal;
use crate::sync::{AtomicU64, Ordering};

/// The policy for a new variant of a path that already has the maximum number of variants.
///
/// # Examples
///
/// ```
/// use cache_index::{CacheIndex, Config, Insertion, OriginPath, VariantKey, WhenFull};
///
/// let config = Config::builder().max_variants(1, WhenFull::EvictOldest).build()?;
/// let index = CacheIndex::new(config);
/// let (tenant, birds) = (index.tenant("doc"), OriginPath::opaque("birds.jpg")?);
/// assert!(index.insert(&tenant, &birds, &VariantKey::opaque("small")?, 7).is_stored());
/// let large = index.insert(&tenant, &birds, &VariantKey::opaque("large")?, 8);
/// let Insertion::Stored(stored) = large else { panic!() };
/// assert_eq!(stored.evicted.map(|(_, value)| value), Some(7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// The index refuses the new variant.
    #[default]
    Refuse,
    /// The path's oldest variant makes room, and the operation returns it. Finding it costs
    /// O(variants of the path).
    EvictOldest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) variants: usize,
    pub(crate) when_full: WhenFull,
    pub(crate) paths: Option<u64>,
    pub(crate) entries: Option<u64>,
    /// In bytes.
    pub(crate) path_length: usize,
    /// In bytes.
    pub(crate) key_length: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // More sizes than any site serves, and fewer than an attacker who counts through `w`
            // would request.
            variants: 16_384,
            when_full: WhenFull::Refuse,
            paths: None,
            entries: None,
            // The longest request that canonicalization accepts is 8192 bytes, and escaping may
            // triple its length.
            path_length: 3 * 8192,
            key_length: 3 * 8192,
        }
    }
}

/// A limited number, and how much of it is taken.
#[derive(Debug)]
struct Room {
    limit: Option<u64>,
    taken: AtomicU64,
}

/// The shares of an index's limits that are taken.
#[derive(Debug)]
pub(crate) struct Occupancy {
    paths: Room,
    entries: Room,
}

impl Room {
    fn new(limit: Option<u64>) -> Self {
        Self { limit, taken: AtomicU64::default() }
    }

    /// Without a limit, the room is not counted, so that it costs no atomic write.
    #[inline]
    fn take(&self) -> bool {
        let Some(limit) = self.limit else { return true };
        // Relaxed: this count publishes nothing. A read-modify-write never counts two takers as
        // one.
        let taken = self.taken.fetch_add(1, Ordering::Relaxed);
        if taken >= limit {
            self.taken.fetch_sub(1, Ordering::Relaxed);
        }
        taken < limit
    }

    /// Takes room for all of these, or for none.
    fn take_all(&self, count: usize) -> bool {
        let Some(limit) = self.limit else { return true };
        let count = count as u64;
        let taken = self.taken.fetch_add(count, Ordering::Relaxed);
        let fits = limit.checked_sub(taken).is_some_and(|left| count <= left);
        if !fits {
            self.taken.fetch_sub(count, Ordering::Relaxed);
        }
        fits
    }

    #[inline]
    fn give_back(&self, count: usize) {
        if self.limit.is_some() {
            self.taken.fetch_sub(count as u64, Ordering::Relaxed);
        }
    }
}

impl Occupancy {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { paths: Room::new(limits.paths), entries: Room::new(limits.entries) }
    }

    /// Takes room for one more entry. Its path is either new or already present.
    pub(crate) fn take(&self, new_path: bool) -> Result<(), Refusal> {
        if new_path && !self.paths.take() {
            return Err(Refusal::TooManyPaths);
        }
        if !self.entries.take() {
            if new_path {
                self.paths.give_back(1);
            }
            return Err(Refusal::TooManyEntries);
        }
        Ok(())
    }

    /// Takes room for a new path with this number of entries. Returns whether there was room for
    /// all of them; otherwise, none is taken.
    pub(crate) fn take_path(&self, entries: usize) -> bool {
        if !self.paths.take() {
            return false;
        }
        let fits = self.entries.take_all(entries);
        if !fits {
            self.paths.give_back(1);
        }
        fits
    }

    /// Panics unless the room taken of each limited number equals the number of paths or entries.
    #[cfg(fuzzing)]
    pub(crate) fn check(&self, paths: u64, entries: u64) {
        for (room, taken) in [(&self.paths, paths), (&self.entries, entries)] {
            assert!(
                room.limit.is_none() || room.taken.load(Ordering::Relaxed) == taken,
                "{room:?}"
            );
        }
    }

    pub(crate) fn give_back(&self, paths: usize, entries: usize) {
        self.paths.give_back(paths);
        self.entries.give_back(entries);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_entry_leaves_no_room_taken() {
        let limits = Limits { paths: Some(2), entries: Some(2), ..Limits::default() };
        let occupancy = Occupancy::new(&limits);
        assert_eq!(occupancy.take(true), Ok(()));
        assert_eq!(occupancy.take(false), Ok(()));
        assert_eq!(occupancy.take(true), Err(Refusal::TooManyEntries));
        occupancy.give_back(0, 1);
        assert_eq!(occupancy.take(true), Ok(()), "the refused path kept its room");
        assert_eq!(occupancy.take(true), Err(Refusal::TooManyPaths));
    }

    #[test]
    fn path_gets_room_for_all_of_its_entries_or_for_none() {
        let limits = Limits { paths: Some(2), entries: Some(5), ..Limits::default() };
        let occupancy = Occupancy::new(&limits);
        assert!(occupancy.take_path(3));
        assert!(!occupancy.take_path(3), "there are two left");
        assert!(occupancy.take_path(2), "what did not fit has kept its room");
        occupancy.give_back(0, 5);
        assert!(!occupancy.take_path(1), "there are two paths");
    }
}
