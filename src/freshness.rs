//! `Freshness`: live or stale, as a value.

/// Whether an entry may be served as it is.
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
