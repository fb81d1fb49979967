//! The results of canonicalization: the names in a request, and those in an invalidation entry.
//!
//! Invariant: the parts belong together: the variant key belongs to the picture beside it. Not
//! here: how they are found.

use super::path::grouping;
use crate::names::{OriginPath, PathPrefix, VariantKey};

/// The names in a delivery URL.
///
/// # Examples
///
/// ```
/// use cache_index::canonical::Rules;
///
/// let request = Rules::default().delivery("/sample.li/a.jpg?width=600")?;
/// assert_eq!(request.origin.as_str(), "sample.li/a.jpg");
/// assert_eq!(request.variant.as_str(), "?w=600");
/// # Ok::<(), cache_index::canonical::PathError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Delivery<'a> {
    /// The picture.
    pub origin: OriginPath<'a>,
    /// The rendition.
    pub variant: VariantKey<'a>,
}

impl Delivery<'_> {
    /// Returns the same request under [`Grouping::Grouped`](super::Grouping::Grouped). Call it
    /// once, on exact names: a server needs the exact origin to fetch the picture, and the grouped
    /// origin to store it.
    ///
    /// Cost: O(length). Allocates only if grouping changes the text.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::Rules;
    ///
    /// let exact = Rules::default().delivery("/https://img.domain.com/a%281%29.jpg?w=600")?;
    /// let grouped = exact.clone().grouped();
    /// assert_eq!(exact.origin.as_str(), "https://img.domain.com/a%281%29.jpg");
    /// assert_eq!(grouped.origin.as_str(), "img.domain.com/a(1).jpg");
    /// assert_eq!(grouped.variant.as_str(), "?w=600@https%3");
    /// # Ok::<(), cache_index::canonical::PathError>(())
    /// ```
    #[must_use]
    pub fn grouped(self) -> Self {
        let (origin, variant) = grouping::group(self.origin, self.variant);
        Self { origin, variant }
    }

    /// Copies borrowed names so that they can be kept.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::{Delivery, PathError, Rules};
    ///
    /// fn names(url: &str) -> Result<Delivery<'static>, PathError> {
    ///     Ok(Rules::default().delivery(url)?.into_owned())
    /// }
    ///
    /// let request = names(&format!("/sample.li/a.jpg?w={}", 600))?;
    /// assert_eq!(request.variant.as_str(), "?w=600");
    /// # Ok::<(), PathError>(())
    /// ```
    #[must_use]
    pub fn into_owned(self) -> Delivery<'static> {
        Delivery { origin: self.origin.into_owned(), variant: self.variant.into_owned() }
    }
}

/// The target of an invalidation entry.
///
/// # Examples
///
/// ```
/// use cache_index::canonical::{Rules, Target};
///
/// let rules = Rules::builder().allow_wildcards().build()?;
/// assert!(matches!(rules.invalidation("sample.li/a.jpg")?, Target::Path(_)));
/// assert!(matches!(rules.invalidation("sample.li/avatars/*")?, Target::Prefix(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target<'a> {
    /// One picture.
    Path(OriginPath<'a>),
    /// Every picture whose path starts with this prefix: the entry ended in a star.
    Prefix(PathPrefix<'a>),
}

impl Target<'_> {
    /// Returns the canonical text of the path or of the prefix.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Path(path) => path.as_str(),
            Self::Prefix(prefix) => prefix.as_str(),
        }
    }

    /// Returns the same target under [`Grouping::Grouped`](super::Grouping::Grouped). Call it once,
    /// on exact names.
    ///
    /// Cost: O(length). Allocates only if grouping changes the text.
    #[must_use]
    pub fn grouped(self) -> Self {
        match self {
            Self::Path(path) => Self::Path(grouping::group_path(path)),
            Self::Prefix(prefix) => Self::Prefix(grouping::group_prefix(prefix)),
        }
    }

    /// Copies a borrowed name so that it can be kept.
    #[must_use]
    pub fn into_owned(self) -> Target<'static> {
        match self {
            Self::Path(path) => Target::Path(path.into_owned()),
            Self::Prefix(prefix) => Target::Prefix(prefix.into_owned()),
        }
    }
}

/// The target of an entry that invalidates single variants.
///
/// # Examples
///
/// ```
/// use cache_index::canonical::Rules;
///
/// let entry = Rules::default().variant_entry("sample.li/a.jpg?width=600")?;
/// assert_eq!(entry.target.as_str(), "sample.li/a.jpg");
/// assert_eq!(entry.variant.as_str(), "?w=600");
/// # Ok::<(), cache_index::canonical::PathError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VariantTarget<'a> {
    /// The picture, or the pictures.
    pub target: Target<'a>,
    /// The rendition of each.
    pub variant: VariantKey<'a>,
}

impl VariantTarget<'_> {
    /// Copies borrowed names so that they can be kept.
    #[must_use]
    pub fn into_owned(self) -> VariantTarget<'static> {
        VariantTarget { target: self.target.into_owned(), variant: self.variant.into_owned() }
    }
}
