//! `VariantKey`: the name of one rendition of a picture.
//!
//! Invariant: the text is canonical, or the caller has chosen it as opaque. Equality, order and
//! hash are those of its bytes.
//!
//! A key that begins with `?` has a grammar: operations, then at most two marks, `@` and `#`. All
//! canonical keys begin with `?`, and their operations contain neither `@` nor `#`, so marks are
//! never mistaken for operations. Every other key is opaque from its first byte to its last.
//! Whether a key has the grammar depends on its text alone, because a canonical key and an opaque
//! key with the same text are the same key.
//!
//! Not here: the effect of the operations, and which representations a server has.

use super::error::{NameError, NameErrorKind};
use super::text::{MAX_LEN, name_type};

name_type! {
    /// The name of one rendition of a picture, as in `?h=400&w=600`; `?` is the untransformed
    /// picture.
    ///
    /// # Canonical keys
    ///
    /// A delivery URL inside another delivery URL results in a chain of groups of operations, the
    /// innermost first: `?r=90?w=300`. Two marks may follow the operations:
    /// - the part of the origin that grouping dropped, as in `?w=600@https`
    /// - the representation, one of several stored answers, as in `?w=600#webp`
    ///
    /// # Opaque keys
    ///
    /// A server with its own URLs uses [`opaque`](Self::opaque) keys, such as `300x200` or
    /// `rs:fit:300/plain`. The first byte decides how a key is read:
    ///
    /// | | key that begins with `?` | any other key |
    /// |---|---|---|
    /// | [`operations`] | the text before the first mark | the whole text |
    /// | [`representation`] | the text after `#`, if any | always `None` |
    /// | [`with_representation`] | replaces or adds the mark | an error |
    /// | [`covers`] | the key, with or without more marks | the same key only |
    /// | selected by operations, `?w=200` | if it includes them | never |
    ///
    /// [`operations`]: Self::operations
    /// [`representation`]: Self::representation
    /// [`with_representation`]: Self::with_representation
    /// [`covers`]: Self::covers
    ///
    /// So a server that stores several answers for one key begins its opaque keys with `?`. A
    /// server whose keys have no meaning to the index does not.
    ///
    /// For a key without the grammar, `with_representation` is an error because no purge of the key
    /// would cover the result.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::VariantKey;
    ///
    /// let key: VariantKey = "?h=400&w=600".try_into()?;
    /// assert_eq!(key.as_str(), "?h=400&w=600");
    /// assert_eq!(VariantKey::from_canonical("?w=600&h=400").unwrap_err().byte_offset(), 1);
    ///
    /// let own = VariantKey::opaque("300x200 @2x #1")?;
    /// assert_eq!((own.operations(), own.representation()), ("300x200 @2x #1", None));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    VariantKey, "variant key", MAX_LEN
}

impl VariantKey<'_> {
    /// Returns the key without its marks: the operations, with their question marks. A key that
    /// does not begin with `?` has no marks and is returned whole.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::VariantKey;
    ///
    /// assert_eq!(VariantKey::opaque("?w=600@https#webp")?.operations(), "?w=600");
    /// # Ok::<(), cache_index::NameError>(())
    /// ```
    #[must_use]
    pub fn operations(&self) -> &str {
        Marks::of(self.as_str()).operations
    }

    /// Returns the representation, which is one of several stored answers. Returns `None` if the
    /// key has no such mark or does not begin with `?`.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::VariantKey;
    ///
    /// assert_eq!(VariantKey::opaque("?w=600#webp")?.representation(), Some("webp"));
    /// # Ok::<(), cache_index::NameError>(())
    /// ```
    #[must_use]
    pub fn representation(&self) -> Option<&str> {
        Marks::of(self.as_str()).representation
    }

    /// Returns the key of one of several stored answers for this key, such as the answer in a
    /// format that only some clients accept. Replaces a representation that the key already has.
    ///
    /// Cost: O(length), one allocation.
    ///
    /// # Errors
    ///
    /// If `mark` is empty, or contains a byte other than letters, digits and `-._~,:/+`. The byte
    /// offset in the error refers to `mark`. Also if the key does not begin with `?`: such a key
    /// cannot have marks.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{NameErrorKind, VariantKey};
    ///
    /// let key = VariantKey::opaque("?600x400")?;
    /// let webp = key.with_representation("webp")?;
    /// assert_eq!(webp.as_str(), "?600x400#webp");
    /// assert_eq!(webp.representation(), Some("webp"));
    /// assert!(key.covers(&webp) && !webp.covers(&key));
    ///
    /// let error = VariantKey::opaque("600x400")?.with_representation("webp").unwrap_err();
    /// assert_eq!(error.kind(), NameErrorKind::KeyWithoutMarks);
    /// # Ok::<(), cache_index::NameError>(())
    /// ```
    pub fn with_representation(&self, mark: &str) -> Result<VariantKey<'static>, NameError> {
        let error = |subject, kind| Err(NameError::new(subject, kind, Self::MAX_LEN));
        if mark.is_empty() {
            return error("mark", NameErrorKind::Empty);
        }
        if let Some(byte_offset) = invalid_mark(mark) {
            return error("mark", NameErrorKind::InvalidMark { byte_offset });
        }
        if !has_grammar(self.as_str()) {
            return error("variant key", NameErrorKind::KeyWithoutMarks);
        }
        let key = self.as_str().split('#').next().unwrap_or_default();
        Ok(VariantKey::new_unchecked([key, "#", mark].concat()))
    }

    /// Returns whether a purge of this key includes `other`: the operations are the same, and
    /// `other` has each mark that this key has.
    ///
    /// A key that does not begin with `?` covers only itself: `300x200` does not cover
    /// `300x200#webp`, which is another opaque key.
    ///
    /// Cost: O(length). Does not allocate.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::VariantKey;
    ///
    /// let key = |text| VariantKey::opaque(text);
    /// assert!(key("?w=600")?.covers(&key("?w=600@https#webp")?));
    /// assert!(!key("?w=600#jpeg")?.covers(&key("?w=600#webp")?));
    /// assert!(!key("?w=600")?.covers(&key("?h=1&w=600")?));
    /// assert!(!key("a")?.covers(&key("a#b")?));
    /// # Ok::<(), cache_index::NameError>(())
    /// ```
    #[must_use]
    pub fn covers(&self, other: &VariantKey<'_>) -> bool {
        let (named, stored) = (Marks::of(self.as_str()), Marks::of(other.as_str()));
        named.operations == stored.operations
            && (named.grouping.is_none() || named.grouping == stored.grouping)
            && (named.representation.is_none() || named.representation == stored.representation)
    }

    /// Returns the key with a mark for the part of the origin that grouping dropped. The key must
    /// not have marks yet.
    #[cfg(feature = "cloudimage")]
    pub(crate) fn with_grouping(self, mark: &[u8]) -> VariantKey<'static> {
        let mut key = self.into_cow().into_owned();
        key.reserve_exact("@".len() + mark.len());
        key.push('@');
        key.extend(mark.iter().map(|&byte| char::from(byte)));
        VariantKey::new_unchecked(key)
    }
}

/// Returns whether a key consists of operations and marks. Otherwise, the key is one opaque text.
pub(crate) fn has_grammar(key: &str) -> bool {
    key.starts_with('?')
}

/// Returns the position of the first byte that a mark must not contain.
pub(crate) fn invalid_mark(mark: &str) -> Option<usize> {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~,:/+".contains(&byte);
    mark.bytes().position(|byte| !is_valid(byte))
}

/// The parts of a key. Without the grammar, the whole key counts as operations.
pub(crate) struct Marks<'k> {
    pub(crate) operations: &'k str,
    pub(crate) grouping: Option<&'k str>,
    pub(crate) representation: Option<&'k str>,
}

impl<'k> Marks<'k> {
    pub(crate) fn of(key: &'k str) -> Self {
        if !has_grammar(key) {
            return Self { operations: key, grouping: None, representation: None };
        }
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

    #[test]
    fn key_without_grammar_covers_itself_alone() {
        let keys = ["300x200", "a", "a#b", "a@b", "a@b#c", "a#", "#", "@", " ?w=6", "w=6", "é?w=6"];
        let key = |text| VariantKey::opaque(text).unwrap();
        for named in keys {
            let covered = keys.into_iter().filter(|stored| key(named).covers(&key(stored)));
            assert!(covered.eq([named]), "{named}");
            assert!(!key("?").covers(&key(named)) && !key(named).covers(&key("?")), "{named}");
            assert_eq!((key(named).operations(), key(named).representation()), (named, None));
            let error = key(named).with_representation("webp").unwrap_err();
            assert_eq!(error.kind(), NameErrorKind::KeyWithoutMarks);
        }
    }

    #[test]
    fn every_key_covers_itself() {
        for text in ["?", "?@", "?#", "?#@", "??", "?@#", "?a@b@c", "?a#b#c", "?a b#é", "?#a@b"] {
            let key = VariantKey::opaque(text).unwrap();
            assert!(key.covers(&key), "{text}");
        }
    }

    #[test]
    fn opaque_key_with_a_question_mark_is_the_canonical_one_of_its_text() {
        let (opaque, canonical) = (VariantKey::opaque("?w=6"), VariantKey::from_canonical("?w=6"));
        assert_eq!(opaque.unwrap(), canonical.unwrap());
        let spaced = VariantKey::opaque("?6 by 4").unwrap();
        assert!(spaced.covers(&spaced.with_representation("webp").unwrap()));
    }
}
