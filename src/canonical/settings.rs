//! The settings of a tenant's rules that have their own types.
//!
//! Invariant: every default accepts the requests of a token without legacy settings. Not here: the
//! effect of the settings on a text.

/// Whether paths of the token start with the segment `v7`.
///
/// # Examples
///
/// ```
/// use cache_index::canonical::{Rules, V7};
///
/// let rules = Rules::builder().v7(V7::Optional).build()?;
/// assert_eq!(rules.delivery("/v7/sample.li/a.jpg")?, rules.delivery("/sample.li/a.jpg")?);
/// assert!(Rules::default().delivery("/v7/sample.li/a.jpg").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum V7 {
    /// Tokens since November 2021: they never do, and a `v7` is an error.
    #[default]
    Never,
    /// Tokens from before November 2021: they always do.
    Required,
    /// Migrated tokens: both spellings name the same picture.
    Optional,
}

/// The meaning of the first segment of a path without a scheme.
///
/// # Examples
///
/// ```
/// use cache_index::canonical::{Root, Rules};
///
/// let library = Rules::builder().root(Root::Path).build()?;
/// assert_eq!(library.delivery("/Sample.LI/a.jpg")?.origin.as_str(), "Sample.LI/a.jpg");
/// assert_eq!(Rules::default().delivery("/Sample.LI/a.jpg")?.origin.as_str(), "sample.li/a.jpg");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Root {
    /// A host if it is shaped like one (`sample.li/birds.jpg`), and a folder otherwise.
    #[default]
    Host,
    /// Always a folder: a library, or the part below an origin prefix.
    Path,
}

/// Whether the spellings of a picture are grouped.
///
/// # Examples
///
/// ```
/// use cache_index::canonical::{Grouping, Rules};
///
/// let rules = Rules::builder().grouping(Grouping::Grouped).build()?;
/// let request = rules.delivery("/https://sample.li/a.jpg?w=600")?;
/// assert_eq!(request.origin.as_str(), "sample.li/a.jpg");
/// assert_eq!(request.variant.as_str(), "?w=600@https");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Grouping {
    /// Under the exact origin: spellings that the rules distinguish are purged separately.
    #[default]
    Exact,
    /// Under a coarser origin: without scheme, default port and dot after the host, with one
    /// spelling for a host in any script, and one for reserved bytes. A purge of one spelling
    /// includes all. The variant key records the spelling that a variant was stored for.
    Grouped,
}
