//! The matches of an invalidation that has not happened: a dry run is answered from them.

use crate::freshness::Freshness;
use std::sync::Arc;

/// The entries and in-flight fills that a purge of a path would match.
#[derive(Debug, Default)]
pub(crate) struct Matches {
    /// The variants that may be served.
    pub(crate) variants: Vec<(Arc<str>, Freshness)>,
    /// The in-flight fills that the purge would overtake.
    pub(crate) fills: usize,
}

/// The numbers of entries and in-flight fills that a prefix purge would match.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extent {
    pub(crate) live: usize,
    pub(crate) stale: usize,
    pub(crate) fills: usize,
}
