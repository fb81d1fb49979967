//! `Selection`: which variants of a path a purge is about.
//!
//! Invariant: what is picked depends on the variant key alone, never on its value or on what else is stored.

#[cfg(feature = "cloudimage")]
use crate::canonical::Operations;
use crate::names::VariantKey;

/// Some variants of a path, for [`CacheIndex::purge_selected`](crate::CacheIndex::purge_selected).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selection<'a> {
    /// Every variant.
    All,
    /// These variants and all that they [cover](VariantKey::covers): `?w=600` picks its representation `?w=600#webp` as well. A key
    /// that names a representation picks that one alone. So does an opaque key that doesn't begin with `?`: `300x200` picks
    /// `300x200`, and not `300x200#webp`.
    Keys(&'a [VariantKey<'a>]),
    /// Variants that include all operations of at least one of these entries: `?w=200` picks `?h=100&w=200`. An opaque key that doesn't
    /// begin with `?` has no operations, and is not picked: purge it by its key, or purge the whole path.
    #[cfg(feature = "cloudimage")]
    Operations(&'a [Operations<'a>]),
}

impl Selection<'_> {
    /// Whether the variant is among those meant.
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
