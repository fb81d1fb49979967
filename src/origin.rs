//! `OriginPath` and `PathPrefix`: the names of source pictures, and what such names begin with.
//!
//! Invariant: the text is canonical, or the caller has chosen it as opaque. Either way, equality, order and hash are those of its
//! bytes, and nothing here or in the index reads anything out of them.
//! Not here: the rules of canonical text; `canonical` makes these values, and checks text that is said to be one.

use crate::config::Config;
use crate::text::name_type;

name_type! {
    /// The name of a source picture inside a tenant, as in `sample.li/birds.jpg`.
    ///
    /// Made by canonicalization, from text that is canonical already, or from any text as an opaque name. Borrowed from the text
    /// that it was made from where that is possible; [`into_owned`](Self::into_owned) lets it outlive that text.
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
    /// assert_eq!(error.to_string(), "text not canonical at byte 8: expected what canonicalization writes");
    ///
    /// // A server with rules of its own.
    /// assert_eq!(OriginPath::opaque("images/a b.jpg")?.as_str(), "images/a b.jpg");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    OriginPath, "origin path", Config::MAX_PATH_LEN
}

name_type! {
    /// The text that a path begins with, as in `sample.li/avatars/`: names every picture whose path starts so.
    ///
    /// The comparison is byte for byte, also of opaque names: segments, stars and question marks have no meaning. No opaque prefix
    /// is empty: [`flush_tenant`](crate::CacheIndex::flush_tenant) invalidates everything of a tenant.
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
    PathPrefix, "path prefix", Config::MAX_PATH_LEN
}

impl PathPrefix<'_> {
    /// Returns whether `path` starts with this prefix.
    #[must_use]
    pub fn contains(&self, path: &OriginPath<'_>) -> bool {
        path.as_str().starts_with(self.as_str())
    }
}
