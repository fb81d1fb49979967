//! `Versions`: which version of each picture the origin has, and which is the oldest that may still
//! be served.
//!
//! Invariant: a floor is raised only after the reply to its invalidation was read. So a client that
//! reads a floor before it sends a request may check the answer against it.

use std::sync::atomic::{AtomicU32, Ordering};

/// The versions of each picture, by its number.
pub(crate) struct Versions {
    pictures: Vec<Picture>,
    /// How often the origin was asked for one.
    fetches: AtomicU32,
}

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
        let pictures = (0..pictures).map(|_| Picture::default()).collect();
        Self { pictures, fetches: AtomicU32::new(0) }
    }

    pub(crate) fn len(&self) -> usize {
        self.pictures.len()
    }

    pub(crate) fn note_fetch(&self) {
        self.fetches.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns how often the origin was asked since the last call.
    pub(crate) fn take_fetches(&self) -> u32 {
        self.fetches.swap(0, Ordering::SeqCst)
    }

    // Sequentially consistent throughout: this is the clock of the check, and not part of the
    // measurement.

    pub(crate) fn at_origin(&self, number: usize) -> Option<u32> {
        self.pictures.get(number).map(|picture| picture.at_origin.load(Ordering::SeqCst))
    }

    /// The picture changes.
    pub(crate) fn change(&self, number: usize) -> u32 {
        self.pictures[number].at_origin.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Records that all versions older than `version` were invalidated.
    pub(crate) fn invalidated(&self, number: usize, version: u32, softly: bool) {
        let picture = &self.pictures[number];
        picture.any.fetch_max(version, Ordering::SeqCst);
        if !softly {
            picture.hard.fetch_max(version, Ordering::SeqCst);
        }
    }

    pub(crate) fn floor(&self, number: usize) -> Floor {
        let picture = &self.pictures[number];
        Floor { hard: picture.hard.load(Ordering::SeqCst), any: picture.any.load(Ordering::SeqCst) }
    }
}
