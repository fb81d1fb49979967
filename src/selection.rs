//! `Selection`: the variants of a path that a purge selects.
//!
//! Invariant: the variant key alone decides whether a variant is selected, never its value or other
//! stored variants.

#[cfg(feature = "cloudimage")]
use crate::canonical::Operations;
use crate::names::VariantKey;

/// The variants of a path that [`CacheIndex::purge_selected`](crate::CacheIndex::purge_selected)
/// purges.
///
/// # Examples
///
/// ```
/// use cache_index::{CacheIndex, Hard, OriginPath, Selection, VariantKey};
///
/// let index = CacheIndex::default();
/// let (tenant, birds) = (index.tenant("doc"), OriginPath::opaque("birds.jpg")?);
/// let keys = [VariantKey::opaque("small")?, VariantKey::opaque("large")?];
/// for key in &keys {
///     assert!(index.insert(&tenant, &birds, key, 7).is_stored());
/// }
/// let gone = index.purge_selected(&tenant, &birds, Selection::Keys(&keys[..1]), Hard);
/// assert_eq!(gone.len(), 1);
/// # Ok::<(), cache_index::NameError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selection<'a> {
    /// Every variant.
    All,
    /// These variants and all variants that they [cover](VariantKey::covers): `?w=600` selects its
    /// representation `?w=600#webp` as well. A key that names a representation selects only that
    /// representation. An opaque key that does not begin with `?` selects only itself: `300x200`
    /// selects `300x200`, and not `300x200#webp`.
    Keys(&'a [VariantKey<'a>]),
    /// Variants that include all operations of at least one of these entries: `?w=200` selects
    /// `?h=100&w=200`. An opaque key that does not begin with `?` has no operations and is not
    /// selected. Purge it by its key, or purge the whole path.
    #[cfg(feature = "cloudimage")]
    Operations(&'a [Operations<'a>]),
}

impl Selection<'_> {
    /// Returns whether the variant is selected.
    pub(crate) fn picks(self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::Keys(keys) => {
                let key = VariantKey::new_unchecked(key);
                keys.iter().any(|wanted| wanted.covers(&key))
            }
            #[cfg(feature = "cloudimage")]
            Self::Operations(entries) => {
                let key = VariantKey::new_unchecked(key);
                entries.iter().any(|entry| entry.matches(&key))
            }
        }
    }
}

/// A selection that can be kept.
#[derive(Clone, Debug)]
pub(crate) enum OwnedSelection {
    All,
    Keys(Box<[VariantKey<'static>]>),
    #[cfg(feature = "cloudimage")]
    Operations(Box<[Operations<'static>]>),
}

impl OwnedSelection {
    pub(crate) fn new(selection: Selection<'_>) -> Self {
        match selection {
            Selection::All => Self::All,
            Selection::Keys(keys) => {
                Self::Keys(keys.iter().map(|key| key.clone().into_owned()).collect())
            }
            #[cfg(feature = "cloudimage")]
            Selection::Operations(entries) => {
                Self::Operations(entries.iter().map(|entry| entry.clone().into_owned()).collect())
            }
        }
    }

    /// Returns the same selection, borrowed.
    pub(crate) fn get(&self) -> Selection<'_> {
        match self {
            Self::All => Selection::All,
            Self::Keys(keys) => Selection::Keys(keys),
            #[cfg(feature = "cloudimage")]
            Self::Operations(entries) => Selection::Operations(entries),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_picks_itself_and_its_representations_and_no_longer_key() {
        let keys = ["?w=60", "?h=1#webp"].map(VariantKey::new_unchecked);
        let picked = Selection::Keys(&keys);
        assert!(picked.picks("?w=60"));
        assert!(picked.picks("?w=60#webp"));
        assert!(picked.picks("?w=60@https#webp"));
        assert!(picked.picks("?h=1#webp"));
        assert!(!picked.picks("?h=1"));
        assert!(!picked.picks("?h=1#jpeg"));
        assert!(!picked.picks("?w=600"));
        assert!(!picked.picks("?w=60?r=90"));
    }

    #[test]
    fn opaque_key_picks_itself_alone_and_is_not_picked_by_operations() {
        let keys = ["a", "300x200", "w=200"].map(VariantKey::new_unchecked);
        let by_key = Selection::Keys(&keys);
        assert!(by_key.picks("a") && by_key.picks("300x200"));
        for other in ["a#b", "a@b", "300x200#webp", "?a", "a ", "A", "?w=200"] {
            assert!(!by_key.picks(other), "{other}");
        }
        let entries = [crate::canonical::Rules::default().operations("w=200").unwrap()];
        let by_operations = Selection::Operations(&entries);
        assert!(by_operations.picks("?w=200") && by_operations.picks("?h=1&w=200#webp"));
        for opaque in ["w=200", "w=200#webp", "a?w=200", "rs:fit:300?w=200", "h=1&w=200"] {
            assert!(!by_operations.picks(opaque), "{opaque}");
            assert!(Selection::All.picks(opaque));
        }
    }
}
