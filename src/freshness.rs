//! `Freshness`: live or stale, as a value.

/// Whether an entry may be served as it is.
///
/// # Examples
///
/// ```
/// use cache_index::{CacheIndex, Freshness, Insertion, OriginPath, Soft, VariantKey};
///
/// let index = CacheIndex::default();
/// let (tenant, birds) = (index.tenant("doc"), OriginPath::opaque("birds.jpg")?);
/// let lease = index.lease(&tenant, &birds);
/// index.purge(&tenant, &birds, Soft);
/// let late = lease.commit(&VariantKey::opaque("small")?, 7);
/// let Insertion::Stored(stored) = late else { panic!() };
/// assert_eq!(stored.freshness, Freshness::Stale);
/// # Ok::<(), cache_index::NameError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Freshness {
    /// May be served.
    Live,
    /// May be served while it is refreshed.
    Stale,
}

impl Freshness {
    #[inline]
    pub(crate) fn stale_if(stale: bool) -> Self {
        if stale { Self::Stale } else { Self::Live }
    }

    #[inline]
    pub(crate) fn is_stale(self) -> bool {
        self == Self::Stale
    }
}
