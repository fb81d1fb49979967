//! `OriginPath` and `PathPrefix`: the names of source pictures, and prefixes of such names.
//!
//! Invariant: the text is canonical, or the caller has chosen it as opaque. Either way, equality,
//! order and hash are those of its bytes. Neither this module nor the index interprets the text.
//!
//! Not here: the rules of canonical text. `canonical` creates these values, and checks text that
//! claims to be canonical.

use super::text::{MAX_LEN, name_type};

name_type! {
    /// The name of a source picture inside a tenant, as in `sample.li/birds.jpg`.
    ///
    /// Canonicalization creates it. It can also be created from text that is already canonical, or
    /// from any text as an opaque name. It borrows from that text where possible;
    /// [`into_owned`](Self::into_owned) makes it independent of the text.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::OriginPath;
    ///
    /// let path = OriginPath::from_canonical("https://img.domain.com/a.jpg?w=22")?;
    /// assert_eq!(path.as_str(), "https://img.domain.com/a.jpg?w=22");
    ///
    /// let error = OriginPath::from_canonical("images/a b.jpg").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "text not canonical at byte 8: expected what canonicalization writes"
    /// );
    ///
    /// // A server with rules of its own.
    /// assert_eq!(OriginPath::opaque("images/a b.jpg")?.as_str(), "images/a b.jpg");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    OriginPath, "origin path", MAX_LEN
}

name_type! {
    /// A prefix of paths, as in `sample.li/avatars/`. It names every picture whose path starts with
    /// this text.
    ///
    /// The comparison is byte for byte, for opaque names as well: segments, stars and question
    /// marks have no meaning. An opaque prefix is never empty. To invalidate everything of a
    /// tenant, use [`flush_tenant`](crate::CacheIndex::flush_tenant).
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{OriginPath, PathPrefix};
    ///
    /// let prefix = PathPrefix::from_canonical("sample.li/avatars/")?;
    /// assert!(prefix.contains(&OriginPath::from_canonical("sample.li/avatars/1.png")?));
    /// assert!(!prefix.contains(&OriginPath::from_canonical("sample.li/avatars")?));
    ///
    /// let prefix = PathPrefix::opaque("img?id=7*")?;
    /// assert!(prefix.contains(&OriginPath::opaque("img?id=7*2")?));
    /// assert!(!prefix.contains(&OriginPath::opaque("img?id=72")?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    PathPrefix, "path prefix", MAX_LEN
}

impl PathPrefix<'_> {
    /// Returns whether `path` starts with this prefix.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{OriginPath, PathPrefix};
    ///
    /// assert!(PathPrefix::opaque("avatars/")?.contains(&OriginPath::opaque("avatars/1.png")?));
    /// # Ok::<(), cache_index::NameError>(())
    /// ```
    #[must_use]
    pub fn contains(&self, path: &OriginPath<'_>) -> bool {
        path.as_str().starts_with(self.as_str())
    }
}
