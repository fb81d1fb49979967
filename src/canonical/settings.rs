//! The settings of a tenant's rules that have their own types.
//!
//! Invariant: every default accepts the requests of a token without legacy settings. Not here: the
//! effect of the settings on a text.

/// Whether paths of the token start with the segment `v7`.
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
