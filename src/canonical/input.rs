//! Input text: strings, or bytes of any kind.
//!
//! Invariant: if the bytes are known to be a string, canonical parts of it are borrowed without a
//! second check. Such a check would take a seventh of the time of a canonical request.

use std::borrow::Cow;

/// Text that can be read: a string, or arbitrary bytes.
///
/// Implemented for strings and bytes, owned, borrowed and boxed. The trait is sealed: an
/// implementation whose string differs from its bytes could create names that are not canonical.
///
/// # Examples
///
/// ```
/// use cache_index::canonical::Rules;
///
/// let rules = Rules::default();
/// let from_string = rules.delivery("/sample.li/a.jpg?w=600")?;
/// let from_bytes = rules.delivery(b"/sample.li/a.jpg?w=600")?;
/// assert_eq!(from_string, from_bytes);
/// # Ok::<(), cache_index::canonical::PathError>(())
/// ```
///
/// No other type can implement it:
///
/// ```compile_fail,E0277
/// struct Mine;
/// impl cache_index::canonical::Input for Mine {}
/// ```
pub trait Input: Source {}

impl<T: Source + ?Sized> Input for T {}

/// The content of an [`Input`]; other crates cannot use it.
pub trait Source {
    /// Returns the bytes.
    fn bytes(&self) -> &[u8];

    /// Returns the same text as a string, if it is known to be one.
    fn text(&self) -> Option<&str> {
        None
    }
}

macro_rules! strings {
    ($($string:ty),*) => {$(
        impl Source for $string {
            fn bytes(&self) -> &[u8] {
                self.as_bytes()
            }

            fn text(&self) -> Option<&str> {
                Some(self)
            }
        }
    )*};
}

macro_rules! bytes {
    ($($bytes:ty),*) => {$(
        impl Source for $bytes {
            fn bytes(&self) -> &[u8] {
                self
            }
        }
    )*};
}

strings!(str, String, Box<str>, Cow<'_, str>);
bytes!([u8], Vec<u8>, Box<[u8]>, Cow<'_, [u8]>);

impl<const N: usize> Source for [u8; N] {
    fn bytes(&self) -> &[u8] {
        self
    }
}

impl<T: Source + ?Sized> Source for &T {
    fn bytes(&self) -> &[u8] {
        (**self).bytes()
    }

    fn text(&self) -> Option<&str> {
        (**self).text()
    }
}
