//! `Versions`: which version of each picture the origin has, and which is the oldest that may still
//! be served.
//!
//! Invariant: a floor is raised only after the reply to its invalidation was read. So a client that
//! reads a floor before it sends a request may check the answer against it.

use std::sync::atomic::{AtomicU32, Ordering};

/// The versions of each picture, by its number.
pub(crate) struct Versions(Vec<Picture>);

#[derive(Default)]
struct Picture {
    at_origin: AtomicU32,
    /// The oldest that may be served as stale.
    hard: AtomicU32,
    /// The oldest that may be served otherwise.
    any: AtomicU32,
}

/// The version that may be served at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floor {
    pub(crate) hard: u32,
    pub(crate) any: u32,
}

impl Versions {
    pub(crate) fn new(pictures: usize) -> Self {
        Self((0..pictures).map(|_| Picture::default()).collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    // Sequentially consistent throughout: this is the clock of the check, and not part of the
    // measurement.

    pub(crate) fn at_origin(&self, number: usize) -> Option<u32> {
        self.0.get(number).map(|picture| picture.at_origin.load(Ordering::SeqCst))
    }

    /// The picture changes.
    pub(crate) fn change(&self, number: usize) -> u32 {
        self.0[number].at_origin.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Records that all versions older than `version` were invalidated.
    pub(crate) fn invalidated(&self, number: usize, version: u32, softly: bool) {
        let picture = &self.0[number];
        picture.any.fetch_max(version, Ordering::SeqCst);
        if !softly {
            picture.hard.fetch_max(version, Ordering::SeqCst);
        }
    }

    pub(crate) fn floor(&self, number: usize) -> Floor {
        let picture = &self.0[number];
        Floor { hard: picture.hard.load(Ordering::SeqCst), any: picture.any.load(Ordering::SeqCst) }
    }
}
