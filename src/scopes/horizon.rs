//! The last invalidations of a scope: everything, a tenant, or the prefixes of a path.
//!
//! Invariant: a horizon only rises, and its writers take turns; see `registry`.

use super::generation::{AtomicGeneration, Generation};
use crate::severity::Severity;

/// The last invalidations of one prefix, or of all prefixes that match a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LastInvalidations {
    pub(crate) hard: Generation,
    pub(crate) soft: Generation,
}

impl LastInvalidations {
    #[inline]
    pub(crate) fn newest(self) -> Generation {
        self.hard.max(self.soft)
    }

    #[inline]
    pub(crate) fn or(self, other: Self) -> Self {
        Self { hard: self.hard.max(other.hard), soft: self.soft.max(other.soft) }
    }
}

/// The last hard and the last soft invalidation of one broad scope.
///
/// Invariant: written only while it is the writer's turn, see [`crate::scopes`].
#[derive(Debug, Default)]
pub(crate) struct Horizon {
    hard: AtomicGeneration,
    soft: AtomicGeneration,
    /// The last flush over time: no older fill is stored.
    over_time: AtomicGeneration,
}

impl Horizon {
    /// Acquire: a thread that publishes this invalidation for another must also publish everything
    /// that happened before it.
    #[inline]
    pub(crate) fn read(&self) -> LastInvalidations {
        LastInvalidations { hard: self.hard.load(), soft: self.soft.load() }
    }

    /// Returns the last flush over time. Acquire, as in `read`.
    #[inline]
    pub(crate) fn over_time(&self) -> Generation {
        self.over_time.load()
    }

    pub(crate) fn raise_over_time(&self, generation: Generation) {
        self.over_time.publish(generation);
    }

    pub(crate) fn raise(&self, severity: Severity, generation: Generation) {
        match severity {
            Severity::Hard => self.hard.publish(generation),
            Severity::Soft => self.soft.publish(generation),
        }
    }
}
