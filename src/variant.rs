//! `VariantKey`: text known to be canonical.
//!
//! Invariant: the text is what canonicalization gives for some query. From then on, equality, order and hash are those of its bytes.
//! Not here: what the operations do.

use crate::canonical::{PathError, check_variant};
use crate::text::canonical_text;

canonical_text! {
    /// The canonical name of one rendition of a picture, as in `?h=400&w=600`; `?` is the untransformed picture.
    ///
    /// A delivery URL inside of another gives a chain of such groups, the innermost first: `?r=90?w=300`.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::VariantKey;
    ///
    /// let key: VariantKey = "?h=400&w=600".try_into()?;
    /// assert_eq!(key.as_str(), "?h=400&w=600");
    /// assert_eq!(VariantKey::from_canonical("?w=600&h=400").unwrap_err().at(), 1);
    /// # Ok::<(), cache_index::canonical::PathError>(())
    /// ```
    VariantKey, check_variant
}

impl VariantKey<'_> {
    /// The groups of operations, each with its question mark.
    pub(crate) fn operations(&self) -> &str {
        self.as_str()
    }
}
