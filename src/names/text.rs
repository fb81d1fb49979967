//! The parts that all kinds of names have in common.
//!
//! Invariant: the text in a name is private. It comes from canonicalization or from a checked
//! constructor:
//! - `from_canonical` accepts the output of canonicalization.
//! - `opaque` accepts any text of a permitted length.
//!
//! Names are equal if their bytes are, whichever constructor created them. So no code may conclude
//! from a name that its text is canonical.
//!
//! Not here: the definition of canonical text. Each kind of name has its own check.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// Text as a caller or an index holds it. Equality ignores how the text is stored.
#[derive(Clone)]
pub(crate) enum Text<'a> {
    Borrowed(&'a str),
    Owned(String),
    /// Shared with the index that returned it, so that a purge does not copy the keys it returns.
    Shared(Arc<str>),
}

impl<'a> Text<'a> {
    pub(crate) fn into_cow(self) -> Cow<'a, str> {
        match self {
            Self::Borrowed(text) => Cow::Borrowed(text),
            Self::Owned(text) => Cow::Owned(text),
            Self::Shared(text) => Cow::Owned(text.as_ref().to_owned()),
        }
    }

    pub(crate) fn into_owned(self) -> Text<'static> {
        match self {
            Self::Borrowed(text) => Text::Owned(text.to_owned()),
            Self::Owned(text) => Text::Owned(text),
            Self::Shared(text) => Text::Shared(text),
        }
    }
}

impl Deref for Text<'_> {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Owned(text) => text,
            Self::Shared(text) => text,
        }
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self::Borrowed(text)
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self::Owned(text)
    }
}

impl From<Arc<str>> for Text<'_> {
    fn from(text: Arc<str>) -> Self {
        Self::Shared(text)
    }
}

impl<'a> From<Cow<'a, str>> for Text<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Self::Borrowed(text),
            Cow::Owned(text) => Self::Owned(text),
        }
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text<'_> {}

impl PartialOrd for Text<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl Hash for Text<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// The length of the longest name that an index can be configured to store, in bytes: far more than
/// any server accepts in a URL.
pub(crate) const MAX_LEN: usize = (1 << 24) - 1;

/// Defines a newtype of text, with its conversions.
macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $subject:literal, $limit:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name<'a>(crate::names::Text<'a>);

        #[allow(dead_code, reason = "not every kind of text is taken apart")]
        impl<'a> $name<'a> {
            #[doc = concat!("The length of the longest ", $subject, " in bytes.")]
            const MAX_LEN: usize = $limit;

            /// Creates a name from any text, such as text that the server derives from URLs of its
            /// own.
            ///
            /// Names are compared byte for byte. The caller must ensure that each picture has one
            /// spelling: the index cannot know that `a//b` and `a/b` are the same picture. An
            /// opaque name and a canonical name with the same text are the same name, so a server
            /// can mix both kinds.
            ///
            /// An index refuses to store names that are longer than its configuration permits: see
            /// [`Refusal`](crate::Refusal).
            ///
            /// Cost: O(1). The text is borrowed or moved.
            ///
            /// # Errors
            ///
            #[doc = concat!("If the text is empty, or longer than any ", $subject, " can be: ")]
            #[doc = concat!(stringify!($limit), " bytes.")]
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use cache_index::", stringify!($name), " as Name;")]
            ///
            /// assert_eq!(Name::opaque("any text?")?.as_str(), "any text?");
            /// assert!(Name::opaque("").unwrap_err().to_string().contains("empty"));
            /// # Ok::<(), cache_index::NameError>(())
            /// ```
            pub fn opaque(
                text: impl Into<std::borrow::Cow<'a, str>>,
            ) -> Result<Self, crate::NameError> {
                let text = text.into();
                crate::names::check_len($subject, &text, Self::MAX_LEN)?;
                Ok(Self(text.into()))
            }

            /// Wraps text that canonicalization produced, or that was part of a name before.
            pub(crate) fn new_unchecked(text: impl Into<crate::names::Text<'a>>) -> Self {
                Self(text.into())
            }

            /// Returns the text. It is borrowed if the name is borrowed, and owned otherwise. The
            /// text of a name that an index returned is copied.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use cache_index::", stringify!($name), " as Name;")]
            ///
            /// let text = Name::opaque("a/1.jpg")?.into_cow();
            /// assert!(matches!(text, std::borrow::Cow::Borrowed("a/1.jpg")));
            /// # Ok::<(), cache_index::NameError>(())
            /// ```
            #[must_use]
            pub fn into_cow(self) -> std::borrow::Cow<'a, str> {
                self.0.into_cow()
            }

            /// Returns the text.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use cache_index::", stringify!($name), " as Name;")]
            ///
            /// assert_eq!(Name::opaque("a/1.jpg")?.as_str(), "a/1.jpg");
            /// # Ok::<(), cache_index::NameError>(())
            /// ```
            #[must_use]
            #[inline]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Returns the same name, borrowed from this one.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use cache_index::", stringify!($name), " as Name;")]
            ///
            /// let kept = Name::opaque("a/1.jpg".to_owned())?;
            /// let name: Name<'_> = kept.borrowed();
            /// assert_eq!(name, kept);
            /// # Ok::<(), cache_index::NameError>(())
            /// ```
            #[must_use]
            pub fn borrowed(&self) -> $name<'_> {
                $name(crate::names::Text::Borrowed(self.as_str()))
            }

            /// Copies borrowed text so that the name can be kept. Other text is moved.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use cache_index::", stringify!($name), " as Name;")]
            ///
            /// let line = String::from("a/1.jpg");
            /// let kept: Name<'static> = Name::opaque(&line)?.into_owned();
            /// drop(line);
            /// assert_eq!(kept.as_str(), "a/1.jpg");
            /// # Ok::<(), cache_index::NameError>(())
            /// ```
            #[must_use]
            pub fn into_owned(self) -> $name<'static> {
                $name(self.0.into_owned())
            }
        }

        impl std::fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name<'_> {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl From<$name<'_>> for String {
            fn from(text: $name<'_>) -> Self {
                text.into_cow().into_owned()
            }
        }
    };
}

pub(crate) use name_type;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_hashed_and_given_away_as_what_it_says() {
        let state = ahash::RandomState::with_seeds(1, 2, 3, 4);
        for text in [Text::Borrowed("a/b"), Text::Owned("a/b".into()), Text::Shared("a/b".into())] {
            assert_eq!(state.hash_one(&text), state.hash_one("a/b"));
            assert_ne!(state.hash_one(&text), state.hash_one("a/c"));
            assert_eq!(text.into_cow(), "a/b");
        }
    }
}
