//! `OriginPath` and `PathPrefix`: text known to be canonical.
use std::borrow::Cow;

/// The canonical name of a source picture inside a tenant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OriginPath<'a>(Cow<'a, str>);

impl<'a> OriginPath<'a> {
    /// Wraps text that canonicalization produced.
    pub(crate) fn new_unchecked(text: impl Into<Cow<'a, str>>) -> Self {
        Self(text.into())
    }
    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// Copies a borrowed path so that it can be kept.
    pub fn into_owned(self) -> OriginPath<'static> {
        OriginPath(Cow::Owned(self.0.into_owned()))
    }
}

/// What precedes the star of a wildcard entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathPrefix<'a>(Cow<'a, str>);
