//! What all kinds of canonical text have in common.
//!
//! Invariant: the text in them is private, and made only by canonicalization or by a checked constructor.
//! Not here: what is canonical; each kind names its own check.

/// Makes a newtype of canonical text, with its conversions.
macro_rules! canonical_text {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name<'a>(std::borrow::Cow<'a, str>);

        #[allow(dead_code, reason = "not every kind of text is taken apart")]
        impl<'a> $name<'a> {
            /// Takes text that is canonical already, under some rules.
            ///
            /// Cost: O(length). The text is borrowed.
            ///
            /// # Errors
            ///
            /// Says where the text stops being what canonicalization writes, or what is wrong with it.
            pub fn from_canonical(text: &'a str) -> Result<Self, PathError> {
                $check(text).map(|()| Self(text.into()))
            }

            /// Wraps text that canonicalization produced.
            pub(crate) fn new_unchecked(text: impl Into<std::borrow::Cow<'a, str>>) -> Self {
                Self(text.into())
            }

            /// The text as it is held: borrowed if nothing had to be changed, and owned otherwise.
            #[must_use]
            pub fn into_cow(self) -> std::borrow::Cow<'a, str> {
                self.0
            }

            /// The canonical text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The same text, borrowed from this value.
            #[must_use]
            pub fn borrowed(&self) -> $name<'_> {
                $name(std::borrow::Cow::Borrowed(self.as_str()))
            }

            /// Copies borrowed text so that it can be kept; text that is owned is moved.
            #[must_use]
            pub fn into_owned(self) -> $name<'static> {
                $name(std::borrow::Cow::Owned(self.0.into_owned()))
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

        impl<'a> TryFrom<&'a str> for $name<'a> {
            type Error = PathError;

            fn try_from(text: &'a str) -> Result<Self, PathError> {
                Self::from_canonical(text)
            }
        }

        impl std::str::FromStr for $name<'static> {
            type Err = PathError;

            fn from_str(text: &str) -> Result<Self, PathError> {
                $name::from_canonical(text).map($name::into_owned)
            }
        }

        impl From<$name<'_>> for String {
            fn from(text: $name<'_>) -> Self {
                text.0.into_owned()
            }
        }
    };
}

pub(crate) use canonical_text;
