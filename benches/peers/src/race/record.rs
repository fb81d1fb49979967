//! The usage that a careful user of a plain concurrent map or cache can write by hand: one shared
//! record per path, taken *before* the source is read, and written into afterwards.
//!
//! Invariant: an invalidation of the path or more unhooks the record, so what was read before it
//! goes into a record that nobody finds any more; one of a variant counts up in the record, so what
//! was read before it is not written.

use super::Version;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// The renditions of one picture.
#[derive(Clone, Default)]
pub(super) struct Record(Arc<Mutex<Variants>>);

#[derive(Default)]
struct Variants {
    removals: u64,
    stored: HashMap<&'static str, Version>,
}

impl Record {
    pub(super) fn get(&self, variant: &str) -> Option<Version> {
        self.0.lock().stored.get(variant).copied()
    }

    pub(super) fn fill(&self, variant: &'static str, read: impl FnOnce() -> Version) {
        let began = self.0.lock().removals;
        let picture = read();
        let mut variants = self.0.lock();
        if variants.removals == began {
            variants.stored.insert(variant, picture);
        }
    }

    pub(super) fn remove(&self, variant: &str) {
        let mut variants = self.0.lock();
        variants.removals += 1;
        variants.stored.remove(variant);
    }
}
