//! What an invalidation would meet: the answers that a dry run is made of.

use crate::freshness::Freshness;
use std::sync::Arc;

/// What a purge of a path would meet.
#[derive(Debug, Default)]
pub(crate) struct Matches {
    /// The variants that may be served.
    pub(crate) variants: Vec<(Arc<str>, Freshness)>,
    /// The open fills that it would overtake.
    pub(crate) fills: usize,
}

/// How much a purge of a prefix would meet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extent {
    pub(crate) live: usize,
    pub(crate) stale: usize,
    pub(crate) fills: usize,
}
