//! Hard and soft: what an invalidation does to the entries that it covers, as types.
//!
//! Invariant: the two modes give different outcomes, so that values that went can't be overlooked where there are some.

use crate::outcome::{Purged, Softened};
use std::fmt;

/// Invalidated entries are dead: they are never served again.
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

/// Invalidated entries are stale: they may be served while they are refreshed.
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

/// [`Hard`] or [`Soft`]. Sealed: there is no third.
pub trait Mode: Copy + sealed::Sealed {
    /// What the purge of a path returns: the entries that went, or how many became stale.
    type Outcome<V>;

    #[doc(hidden)]
    const IS_HARD: bool;

    #[doc(hidden)]
    fn outcome<V>(purged: Purged<V>, softened: Softened) -> Self::Outcome<V>;
}

impl Mode for Hard {
    type Outcome<V> = Purged<V>;
    const IS_HARD: bool = true;

    fn outcome<V>(purged: Purged<V>, _: Softened) -> Purged<V> {
        purged
    }
}

impl Mode for Soft {
    type Outcome<V> = Softened;
    const IS_HARD: bool = false;

    fn outcome<V>(_: Purged<V>, softened: Softened) -> Softened {
        softened
    }
}

/// [`Hard`] or [`Soft`] as a value, for where only a request says which.
///
/// # Examples
///
/// ```
/// use cache_index::Severity;
///
/// assert_eq!(Severity::default(), Severity::Hard);
/// assert_eq!(Severity::Soft.to_string(), "soft");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Severity {
    /// Makes entries dead.
    #[default]
    Hard,
    /// Makes entries stale.
    Soft,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
        })
    }
}

impl Severity {
    pub(crate) fn of<M: Mode>() -> Self {
        if M::IS_HARD { Self::Hard } else { Self::Soft }
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Hard {}
    impl Sealed for super::Soft {}
}
