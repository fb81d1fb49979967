//! A key that is looked for, and an entry with its key.

use crate::freshness::Freshness;
use crate::hash::{Hashing, KeyTag, TableHash};
use std::sync::Arc;

/// A key that is looked for. Its hash is computed only where it is needed: few keys are found by
/// their tags.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) text: &'a str,
    pub(crate) tag: KeyTag,
    pub(crate) hashing: &'a Hashing,
}

impl<'a> Wanted<'a> {
    #[allow(clippy::inline_always, reason = "a good part of a lookup")]
    #[inline(always)]
    pub(crate) fn new(text: &'a str, hashing: &'a Hashing) -> Self {
        Self { text, tag: hashing.tag(text), hashing }
    }

    #[inline]
    pub(crate) fn hash(self) -> TableHash {
        self.hashing.variant(self.text)
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
