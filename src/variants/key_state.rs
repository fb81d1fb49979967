//! The uses and the shared text of a key.
//!
//! Invariants:
//! - `hash` changes only under the lock of the key's part of the dictionary, and so does everything
//!   else but the number of uses. Those change without it, except from zero to one.
//! - The shared text changes only while the number has no use. So a holder of a use reads it as it
//!   is; and without a lock, if the text is that of the first key that had the number.

use crate::hash::TableHash;
use crate::sync::{AtomicU64, Ordering, RwLock};
use std::sync::{Arc, OnceLock};

/// The longest text that stays with its number.
const FIRST_TEXT: usize = 56;

/// The two counts in front of shared text.
const SHARED: usize = 2 * size_of::<usize>();

/// The uses and the shared text of the key that begins in a line.
// Aligned, because the first keys are the popular ones: their counts do not share a cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct KeyState {
    /// The number of uses; with the bit [`LATER`] if the text is in `later`.
    uses: AtomicU64,
    /// The text of the first key, if it is short.
    first: OnceLock<Arc<str>>,
    later: RwLock<Option<Arc<str>>>,
    /// The hash of the key, with the bit [`KNOWN`]; zero while there is no key. Only under the lock
    /// of the part.
    hash: AtomicU64,
}

const LATER: u64 = 1 << 63;
const KNOWN: u64 = 1 << 32;

impl KeyState {
    /// The number of uses.
    pub(super) fn uses(&self) -> u64 {
        // Acquire: as in `end_use`.
        self.uses.load(Ordering::Acquire) & !LATER
    }

    /// Adds a use, unless there is none.
    pub(super) fn use_again(&self) -> bool {
        let one_more = |uses| (uses & !LATER > 0).then_some(uses + 1);
        // Acquire: pairs with the release in `begin`, so that the text is there.
        self.uses.fetch_update(Ordering::Acquire, Ordering::Relaxed, one_more).is_ok()
    }

    /// Adds a use, whether there is one or not. Only under the lock of the part.
    pub(super) fn revive(&self) {
        // Acquire: as in `use_again`.
        self.uses.fetch_add(1, Ordering::Acquire);
    }

    /// Ends a use. Returns whether it was the last.
    #[inline]
    pub(super) fn end_use(&self) -> bool {
        // Release: what this use read of the text comes before the text changes. Acquire: and so
        // does what other uses read.
        self.uses.fetch_sub(1, Ordering::AcqRel) & !LATER == 1
    }

    /// The text of a key that is in use, if it stays with its number: it can be read when the key
    /// is not in use any more.
    #[inline]
    pub(super) fn lasting_text(&self) -> Option<&Arc<str>> {
        // Relaxed: the bit does not change while the number is in use.
        if self.uses.load(Ordering::Relaxed) & LATER == 0 { self.first.get() } else { None }
    }

    /// The text of a key that is in use.
    #[inline]
    pub(super) fn text(&self) -> Arc<str> {
        self.lasting_text().map_or_else(|| self.later_text(), Arc::clone)
    }

    #[cold]
    #[inline(never)]
    fn later_text(&self) -> Arc<str> {
        let text = self.later.read();
        Arc::clone(text.as_ref().expect("a number that is in use has a text"))
    }

    /// Begins with one use of a new key. Returns how many more bytes of shared text there are.
    pub(super) fn begin(&self, text: &str, hash: TableHash) -> usize {
        let mut more = 0;
        let mut share = || {
            more += SHARED + text.len();
            Arc::from(text)
        };
        let first = (text.len() <= FIRST_TEXT).then(|| self.first.get_or_init(&mut share));
        let is_first = first.is_some_and(|first| **first == *text);
        if !is_first {
            *self.later.write() = Some(share());
        }
        self.hash.store(KNOWN | u64::from(hash.get()), Ordering::Relaxed);
        // Release: pairs with the acquire in `use_again`.
        self.uses.store(if is_first { 1 } else { 1 | LATER }, Ordering::Release);
        more
    }

    /// Ends a key without a use. Returns its hash, and how many less bytes of shared text there
    /// are; `None` if there is no key.
    pub(super) fn end(&self) -> Option<(TableHash, usize)> {
        let hash = self.hash()?;
        self.hash.store(0, Ordering::Relaxed);
        let later = self.later.write().take();
        Some((hash, later.map_or(0, |text| SHARED + text.len())))
    }

    /// The hash of the key, if there is one. Only under the lock of the part.
    pub(super) fn hash(&self) -> Option<TableHash> {
        let known = self.hash.load(Ordering::Relaxed).checked_sub(KNOWN)?;
        Some(TableHash::from_stored(u32::try_from(known).expect("a hash has 32 bits")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash() -> TableHash {
        TableHash::new(7)
    }

    #[test]
    fn state_fills_a_cache_line() {
        assert_eq!(size_of::<KeyState>(), 64);
    }

    #[test]
    fn text_is_that_of_the_present_key_and_the_first_one_stays() {
        let state = KeyState::default();
        assert_eq!(state.begin("?w=1", hash()), SHARED + 4);
        assert!(state.use_again());
        assert_eq!((&*state.text(), state.uses()), ("?w=1", 2));
        assert!(!state.end_use());
        assert!(state.end_use());
        assert!(!state.use_again(), "it has no use");
        assert_eq!(state.end(), Some((hash(), 0)));
        assert_eq!(state.end(), None);

        assert_eq!(state.begin("?w=22", hash()), SHARED + 5);
        assert_eq!((&*state.text(), state.uses()), ("?w=22", 1));
        assert!(state.end_use());
        assert_eq!(state.end(), Some((hash(), SHARED + 5)));

        assert_eq!(state.begin("?w=1", hash()), 0, "it is there");
        assert_eq!((&*state.text(), state.uses()), ("?w=1", 1));
    }

    #[test]
    fn long_text_goes_with_its_key() {
        let (state, long) = (KeyState::default(), "?".repeat(FIRST_TEXT + 1));
        assert_eq!(state.begin(&long, hash()), SHARED + long.len());
        assert_eq!(*state.text(), *long);
        assert!(state.end_use());
        assert_eq!(state.end(), Some((hash(), SHARED + long.len())));
    }
}
