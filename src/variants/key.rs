//! A key that is looked for, and an entry with its key.

use crate::hash::TableHash;
use std::sync::Arc;

/// A key that is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) text: &'a str,
    pub(crate) hash: TableHash,
}

/// A variant that left its path, or is in a large set.
#[derive(Debug)]
pub(crate) struct Entry<V> {
    pub(crate) key: Arc<str>,
    pub(crate) value: V,
    pub(crate) stale: bool,
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
