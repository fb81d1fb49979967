//! The settings of a tenant's rules that have a name of their own.
//!
//! Invariant: every default accepts what a token without legacy settings is asked for.
//! Not here: what they do to a text.

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

/// What the first segment of a path without a scheme is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Root {
    /// A host if it is shaped like one (`sample.li/birds.jpg`), and a folder otherwise.
    #[default]
    Host,
    /// Always a folder: a library, or the part below an origin prefix.
    Path,
}

/// Whether the spellings of a picture are filed together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Grouping {
    /// Under the exact origin: what the rules tell apart is purged apart.
    #[default]
    Exact,
    /// Under a coarser origin: without scheme, default port and dot behind the host, with one
    /// spelling for a host in any script, and with one for reserved bytes. A purge of one spelling
    /// takes all; the variant key says which one a variant was stored for.
    Grouped,
}
