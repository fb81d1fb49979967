//! `VariantKey`: text known to be canonical.
//!
//! Invariant: the text is what canonicalization gives for some query, with well-formed marks behind it. From then on, equality,
//! order and hash are those of its bytes. Operations hold neither `@` nor `#`, so that marks can't be mistaken for them.
//! Not here: what the operations do, and which representations a server has.

use crate::canonical::{PathError, check_representation, check_variant};
use crate::text::canonical_text;

canonical_text! {
    /// The canonical name of one rendition of a picture, as in `?h=400&w=600`; `?` is the untransformed picture.
    ///
    /// A delivery URL inside of another gives a chain of such groups, the innermost first: `?r=90?w=300`. Behind the operations,
    /// two marks may follow: what [grouping](crate::canonical::Grouping) dropped from the origin (`?w=600@https`), and which of
    /// several stored answers this is (`?w=600#webp`).
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::VariantKey;
    ///
    /// let key: VariantKey = "?h=400&w=600".try_into()?;
    /// assert_eq!(key.as_str(), "?h=400&w=600");
    /// assert_eq!(VariantKey::from_canonical("?w=600&h=400").unwrap_err().byte_offset(), 1);
    /// # Ok::<(), cache_index::canonical::PathError>(())
    /// ```
    VariantKey, check_variant
}

impl VariantKey<'_> {
    /// The key without its marks: the operations, with their question marks.
    #[must_use]
    pub fn operations(&self) -> &str {
        Marks::of(self.as_str()).operations
    }

    /// Which of several stored answers this is, if the key says so.
    #[must_use]
    pub fn representation(&self) -> Option<&str> {
        Marks::of(self.as_str()).representation
    }

    /// The key of one of several stored answers to this one, such as the one in a format that only some clients accept. It takes the
    /// place of a representation that the key has.
    ///
    /// Cost: O(length), one allocation.
    ///
    /// # Errors
    ///
    /// If `mark` is empty, or holds anything but letters, digits and `-._~,:/+`; the position is one in `mark`.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::VariantKey;
    ///
    /// let key = VariantKey::from_canonical("?w=600")?;
    /// let webp = key.with_representation("webp")?;
    /// assert_eq!(webp.as_str(), "?w=600#webp");
    /// assert_eq!(webp.representation(), Some("webp"));
    /// assert!(key.covers(&webp) && !webp.covers(&key));
    /// # Ok::<(), cache_index::canonical::PathError>(())
    /// ```
    pub fn with_representation(&self, mark: &str) -> Result<VariantKey<'static>, PathError> {
        check_representation(mark)?;
        let key = self.as_str().split('#').next().unwrap_or_default();
        Ok(VariantKey::new_unchecked([key, "#", mark].concat()))
    }

    /// Whether a purge of this key takes `other`: the operations are the same, and each mark that this key has, the other has, too.
    ///
    /// Cost: O(length). Allocates nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::VariantKey;
    ///
    /// let key = |text| VariantKey::from_canonical(text);
    /// assert!(key("?w=600")?.covers(&key("?w=600@https#webp")?));
    /// assert!(!key("?w=600#jpeg")?.covers(&key("?w=600#webp")?));
    /// assert!(!key("?w=600")?.covers(&key("?h=1&w=600")?));
    /// # Ok::<(), cache_index::canonical::PathError>(())
    /// ```
    #[must_use]
    pub fn covers(&self, other: &VariantKey<'_>) -> bool {
        let (named, stored) = (Marks::of(self.as_str()), Marks::of(other.as_str()));
        named.operations == stored.operations
            && (named.grouping.is_none() || named.grouping == stored.grouping)
            && (named.representation.is_none() || named.representation == stored.representation)
    }

    /// The key with a mark of what grouping dropped; it must have no marks yet.
    pub(crate) fn with_grouping(self, mark: &[u8]) -> VariantKey<'static> {
        let mut key = self.into_cow().into_owned();
        key.reserve_exact("@".len() + mark.len());
        key.push('@');
        key.extend(mark.iter().map(|&byte| char::from(byte)));
        VariantKey::new_unchecked(key)
    }
}

/// A key, taken apart.
pub(crate) struct Marks<'k> {
    pub(crate) operations: &'k str,
    pub(crate) grouping: Option<&'k str>,
    pub(crate) representation: Option<&'k str>,
}

impl<'k> Marks<'k> {
    pub(crate) fn of(key: &'k str) -> Self {
        let cut = |text: &'k str, mark: u8| match text.bytes().position(|byte| byte == mark) {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        let (key, representation) = cut(key, b'#');
        let (operations, grouping) = cut(key, b'@');
        Self { operations, grouping, representation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_covers_what_differs_in_marks_that_it_lacks() {
        let key = |text| VariantKey::from_canonical(text).unwrap();
        let stored =
            ["?w=6", "?w=6@http", "?w=6#webp", "?w=6@http#webp", "?w=6@https#avif", "?h=6"];
        for (named, covered) in [
            ("?w=6", &stored[..5]),
            ("?w=6@http", &["?w=6@http", "?w=6@http#webp"]),
            ("?w=6#webp", &["?w=6#webp", "?w=6@http#webp"]),
            ("?w=6@http#webp", &["?w=6@http#webp"]),
            ("?w=6@https", &["?w=6@https#avif"]),
            ("?h=6#webp", &[]),
        ] {
            let covers: Vec<_> =
                stored.into_iter().filter(|stored| key(named).covers(&key(stored))).collect();
            assert_eq!(covers, covered, "{named}");
        }
        assert_eq!(key("?w=6@http#webp").representation(), Some("webp"));
        assert_eq!(key("?w=6@http").representation(), None);
        assert_eq!(key("?w=6@http#webp").operations(), "?w=6");
    }
}
