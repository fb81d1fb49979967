//! The two modes of an invalidation as types: `Hard` makes entries dead, `Soft` makes them stale.
//!
//! Invariant: the two modes have different outcome types, so that a caller cannot overlook the
//! removed values.

use crate::outcome::{PurgeOutcome, Purged, Softened};
use crate::severity::Severity;

/// A mode that makes entries dead: they are never served again.
///
/// # Examples
///
/// ```
/// use cache_index::{CacheIndex, Hard, Lookup, OriginPath, VariantKey};
///
/// let index = CacheIndex::default();
/// let tenant = index.tenant("doc");
/// let birds = OriginPath::from_canonical("sample.li/birds.jpg")?;
/// let small = VariantKey::from_canonical("?w=200")?;
/// assert!(index.insert(&tenant, &birds, &small, 7_u64).is_stored());
///
/// assert_eq!(index.purge(&tenant, &birds, Hard).len(), 1);
/// assert_eq!(index.lookup(&tenant, &birds, &small), Lookup::Miss);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hard;

/// A mode that makes entries stale: they may be served while they are refreshed.
///
/// # Examples
///
/// ```
/// use cache_index::{CacheIndex, Lookup, OriginPath, Soft, VariantKey};
///
/// let index = CacheIndex::default();
/// let tenant = index.tenant("doc");
/// let birds = OriginPath::from_canonical("sample.li/birds.jpg")?;
/// let small = VariantKey::from_canonical("?w=200")?;
/// assert!(index.insert(&tenant, &birds, &small, 7_u64).is_stored());
///
/// assert_eq!(index.purge(&tenant, &birds, Soft).len(), 1);
/// assert_eq!(index.lookup(&tenant, &birds, &small), Lookup::Stale(7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Soft;

/// Either [`Hard`] or [`Soft`]. The trait is sealed: there are no other modes.
///
/// # Examples
///
/// ```
/// use cache_index::{Hard, Mode, Severity, Soft};
///
/// fn severity_of(mode: impl Mode) -> Severity {
///     mode.severity()
/// }
/// assert_eq!((severity_of(Hard), severity_of(Soft)), (Severity::Hard, Severity::Soft));
/// ```
pub trait Mode: Copy + sealed::Sealed {
    /// The result of a path purge: the removed entries, or the number of entries that became stale.
    type Outcome<V>;

    /// The mode as a value.
    const SEVERITY: Severity;

    /// Returns the mode as a value.
    #[must_use]
    fn severity(self) -> Severity {
        Self::SEVERITY
    }

    #[doc(hidden)]
    fn outcome<V>(done: PurgeOutcome<V>) -> Self::Outcome<V>;

    /// The outcome of a hard purge, where it is to be: its variants are not moved.
    #[doc(hidden)]
    fn hard_outcome<V>(purge: impl FnOnce(&mut Purged<V>)) -> Self::Outcome<V>;
}

impl Mode for Hard {
    type Outcome<V> = Purged<V>;
    const SEVERITY: Severity = Severity::Hard;

    #[inline]
    fn outcome<V>(done: PurgeOutcome<V>) -> Purged<V> {
        match done {
            PurgeOutcome::Hard(purged) => purged,
            PurgeOutcome::Soft(_) => unreachable!("the purge was hard"),
        }
    }

    #[inline]
    fn hard_outcome<V>(purge: impl FnOnce(&mut Purged<V>)) -> Purged<V> {
        let mut purged = Purged::none();
        purge(&mut purged);
        purged
    }
}

impl Mode for Soft {
    type Outcome<V> = Softened;
    const SEVERITY: Severity = Severity::Soft;

    #[inline]
    fn outcome<V>(done: PurgeOutcome<V>) -> Softened {
        match done {
            PurgeOutcome::Soft(softened) => softened,
            PurgeOutcome::Hard(_) => unreachable!("the purge was soft"),
        }
    }

    fn hard_outcome<V>(_: impl FnOnce(&mut Purged<V>)) -> Softened {
        unreachable!("the purge was soft")
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Hard {}
    impl Sealed for super::Soft {}
}
