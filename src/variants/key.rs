//! A key that is looked for, and an entry with its key.

use crate::freshness::Freshness;
use crate::hash::{Hashing, TableHash};
use std::sync::Arc;

/// A key that is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) text: &'a str,
    pub(crate) hash: TableHash,
}

/// A key that is looked for, with its hash if that is known already.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LookupKey<'a> {
    pub(crate) text: &'a str,
    pub(crate) hash: Option<TableHash>,
}

impl<'a> LookupKey<'a> {
    #[allow(clippy::inline_always, reason = "most of what it does is hashing, in a lookup")]
    #[inline(always)]
    pub(crate) fn wanted(self, hashing: &Hashing) -> Wanted<'a> {
        let hash = self.hash.unwrap_or_else(|| hashing.variant(self.text));
        Wanted { text: self.text, hash }
    }
}

/// A variant that is to be stored.
#[derive(Debug)]
pub(crate) struct NewVariant<'a, V> {
    pub(crate) wanted: Wanted<'a>,
    pub(crate) value: V,
    pub(crate) freshness: Freshness,
}

/// How many of the picked variants were live until a soft purge, and how many were stale already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SoftenCounts {
    pub(crate) made_stale: usize,
    pub(crate) already_stale: usize,
}

/// A variant that left its path, or is in a large set.
#[derive(Debug)]
pub(crate) struct Entry<V> {
    pub(crate) key: Arc<str>,
    pub(crate) value: V,
    pub(crate) freshness: Freshness,
}

impl<V> Entry<V> {
    /// Heap bytes of the key: the text, and the two counts in front of it.
    pub(super) fn text_bytes(&self) -> usize {
        self.key.len() + 2 * size_of::<usize>()
    }
}

/// Where a variant is in its set, until that is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VariantIndex(pub(crate) usize);
