//! `OriginPath` and `PathPrefix`: text known to be canonical.
//!
//! Invariant: the text is what canonicalization gives for some input under some rules. From then on, equality, order and hash are
//! those of its bytes.
//! Not here: the rules themselves; `canonical` makes these values, and checks text that is said to be one.

use crate::canonical::{PathError, check_origin, check_prefix};
use crate::text::canonical_text;

canonical_text! {
    /// The canonical name of a source picture inside a tenant, as in `sample.li/birds.jpg`.
    ///
    /// Made by canonicalization, or from text that is canonical already. Borrowed from the text that it was made from where that
    /// is possible; [`into_owned`](Self::into_owned) lets it outlive that text.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::OriginPath;
    ///
    /// let path = OriginPath::from_canonical("https://img.domain.com/a.jpg?w=22")?;
    /// assert_eq!(path.as_str(), "https://img.domain.com/a.jpg?w=22");
    ///
    /// let error = OriginPath::from_canonical("sample.li/%7Euser/a.jpg").unwrap_err();
    /// assert_eq!(error.to_string(), "text not canonical at byte 10: expected what canonicalization writes");
    /// # Ok::<(), cache_index::canonical::PathError>(())
    /// ```
    OriginPath, check_origin
}

canonical_text! {
    /// What precedes the star of a wildcard entry, as in `sample.li/avatars/`: names every picture whose path starts so.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{OriginPath, PathPrefix};
    ///
    /// let prefix = PathPrefix::from_canonical("sample.li/avatars/")?;
    /// assert!(prefix.contains(&OriginPath::from_canonical("sample.li/avatars/1.png")?));
    /// assert!(!prefix.contains(&OriginPath::from_canonical("sample.li/avatars")?));
    /// # Ok::<(), cache_index::canonical::PathError>(())
    /// ```
    PathPrefix, check_prefix
}

impl PathPrefix<'_> {
    /// Whether `path` starts with this prefix.
    #[must_use]
    pub fn contains(&self, path: &OriginPath<'_>) -> bool {
        path.as_str().starts_with(self.as_str())
    }
}
