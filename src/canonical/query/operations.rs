//! Entries of a transformations list: operations that select some of a picture's variants.
//!
//! Invariant: an entry has at least one parameter; an empty one would select everything. Not here:
//! which pictures are meant; the other entries of the request name them.

use super::parameters::canonical_name;
use super::split::parameters_of_key;
use crate::names::{Marks, VariantKey, has_grammar};
use std::fmt;

/// Operations, such as `?w=200`, that select the variants which include all of them.
///
/// # Examples
///
/// ```
/// use cache_index::canonical::Rules;
/// use cache_index::VariantKey;
///
/// let entry = Rules::default().operations("?width=200")?;
/// assert_eq!(entry.as_str(), "?w=200");
/// assert!(entry.matches(&VariantKey::from_canonical("?h=100&w=200")?));
/// assert!(!entry.matches(&VariantKey::from_canonical("?w=2000")?));
/// # Ok::<(), cache_index::canonical::PathError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Operations<'a>(VariantKey<'a>);

impl<'a> Operations<'a> {
    pub(in crate::canonical) fn new(key: VariantKey<'a>) -> Self {
        Self(key)
    }

    /// Returns whether a variant includes all of these operations, in any position: in a chain of
    /// nested delivery URLs, a parameter counts wherever it occurs. A key that does not begin with
    /// `?` has no operations, and never matches.
    ///
    /// Cost: O(parameters of the entry × length of the key). Does not allocate.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::Rules;
    /// use cache_index::VariantKey;
    ///
    /// let wide = Rules::default().operations("w=600")?;
    /// assert!(wide.matches(&VariantKey::from_canonical("?h=400&w=600#webp")?));
    /// # Ok::<(), cache_index::canonical::PathError>(())
    /// ```
    #[must_use]
    pub fn matches(&self, variant: &VariantKey<'_>) -> bool {
        let variant = variant.as_str();
        if !has_grammar(variant) {
            return false;
        }
        let operations = Marks::of(variant).operations;
        parameters(self.0.operations())
            .all(|wanted| parameters(operations).any(|parameter| parameter == wanted))
    }

    /// Returns the canonical text, which is a variant key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Copies borrowed operations so that they can be kept.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::{Operations, Rules};
    ///
    /// let line = String::from("w=600");
    /// let kept: Operations<'static> = Rules::default().operations(&line)?.into_owned();
    /// drop(line);
    /// assert_eq!(kept.as_str(), "?w=600");
    /// # Ok::<(), cache_index::canonical::PathError>(())
    /// ```
    #[must_use]
    pub fn into_owned(self) -> Operations<'static> {
        Operations(self.0.into_owned())
    }
}

impl fmt::Display for Operations<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Returns name and rest of each parameter of a key. If a key contains a parameter by both of its
/// names, both have been kept. They count as one parameter here, because it is not known which of
/// them is effective.
fn parameters(key: &str) -> impl Iterator<Item = (&[u8], &[u8])> {
    parameters_of_key(key).map(|(name, rest)| (canonical_name(name), rest))
}
