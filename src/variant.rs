//! `VariantKey`: text known to be canonical.
use std::borrow::Cow;

/// The canonical name of one rendition of a picture.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VariantKey<'a>(Cow<'a, str>);

impl<'a> VariantKey<'a> {
    /// Wraps text that canonicalization produced.
    pub(crate) fn new_unchecked(text: impl Into<Cow<'a, str>>) -> Self {
        Self(text.into())
    }
    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// Copies a borrowed key so that it can be kept.
    pub fn into_owned(self) -> VariantKey<'static> {
        VariantKey(Cow::Owned(self.0.into_owned()))
    }
}
