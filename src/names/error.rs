//! `NameError`: the reason why a text is not a valid name, or a mark not a valid part of one.
//!
//! Invariant: the message names the limit or the wrong byte, and reads alone.
//!
//! Not here: errors in text that claims to be canonical. `canonical` has an error type for them.

use std::fmt;

/// The reason why a text is not a valid opaque name, or a mark not a valid part of a key.
///
/// # Examples
///
/// ```
/// use cache_index::{NameErrorKind, OriginPath};
///
/// let error = OriginPath::opaque("").unwrap_err();
/// assert_eq!(error.kind(), NameErrorKind::Empty);
/// assert_eq!(error.to_string(), "origin path is empty: expected 1 to 16777215 bytes");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameError {
    subject: &'static str,
    kind: NameErrorKind,
    limit: usize,
}

/// The kind of a [`NameError`].
///
/// # Examples
///
/// ```
/// use cache_index::{NameErrorKind, VariantKey};
///
/// let error = VariantKey::opaque("?w=600")?.with_representation("web p").unwrap_err();
/// assert!(matches!(error.kind(), NameErrorKind::InvalidMark { byte_offset: 3, .. }));
/// # Ok::<(), cache_index::NameError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NameErrorKind {
    /// The text has no bytes.
    Empty,
    /// The text is longer than any name that an index can be configured to store.
    #[non_exhaustive]
    TooLong {
        /// The length of the text in bytes.
        len: usize,
        /// The maximum length in bytes.
        limit: usize,
    },
    /// The mark holds a byte other than letters, digits and `-._~,:/+`.
    #[non_exhaustive]
    InvalidMark {
        /// The byte offset in the mark.
        byte_offset: usize,
    },
    /// The key does not begin with `?`, so it cannot have marks.
    KeyWithoutMarks,
}

impl NameError {
    pub(crate) const fn new(subject: &'static str, kind: NameErrorKind, limit: usize) -> Self {
        Self { subject, kind, limit }
    }

    /// Returns the kind of the error.
    #[must_use]
    pub const fn kind(&self) -> NameErrorKind {
        self.kind
    }
}

/// Checks that `text` is a name: it is neither empty nor longer than `limit` bytes.
#[inline]
pub(crate) fn check_len(subject: &'static str, text: &str, limit: usize) -> Result<(), NameError> {
    let kind = match text.len() {
        0 => NameErrorKind::Empty,
        len if len > limit => NameErrorKind::TooLong { len, limit },
        _ => return Ok(()),
    };
    Err(NameError::new(subject, kind, limit))
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, kind, limit } = self;
        match kind {
            NameErrorKind::Empty => write!(f, "{subject} is empty: expected 1 to {limit} bytes"),
            NameErrorKind::TooLong { len, limit } => {
                write!(f, "{subject} has {len} bytes: expected 1 to {limit} bytes")
            }
            NameErrorKind::InvalidMark { byte_offset } => write!(
                f,
                "invalid mark at byte {byte_offset}: expected letters, digits and \"-._~,:/+\""
            ),
            NameErrorKind::KeyWithoutMarks => {
                f.write_str("variant key can't have marks: expected a key that begins with \"?\"")
            }
        }
    }
}

impl std::error::Error for NameError {}
