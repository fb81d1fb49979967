//! `Selection`: which variants of a path a purge is about.
//!
//! Invariant: what is picked depends on the variant key alone, never on its value or on what else is stored.

use crate::canonical::Operations;
use crate::variant::VariantKey;

/// Some variants of a path, for [`CacheIndex::purge_selected`](crate::CacheIndex::purge_selected).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection<'a> {
    /// Every variant.
    All,
    /// These variants and all that they [cover](VariantKey::covers): `?w=600` picks its representation `?w=600#webp` as well. A key
    /// that names a representation picks that one alone.
    Keys(&'a [VariantKey<'a>]),
    /// Variants that include all operations of at least one of these entries: `?w=200` picks `?h=100&w=200`.
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
}
