//! `Severity`: hard or soft, as a value.

use std::fmt;

/// Either [`Hard`](crate::Hard) or [`Soft`](crate::Soft) as a value, for code that learns the mode
/// from a request.
///
/// # Examples
///
/// ```
/// use cache_index::Severity;
///
/// assert_eq!(Severity::default(), Severity::Hard);
/// assert_eq!(Severity::Soft.to_string(), "soft");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Severity {
    /// Makes entries dead.
    #[default]
    Hard,
    /// Makes entries stale.
    Soft,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
        })
    }
}
