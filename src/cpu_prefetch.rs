//! Prefetching for lookups of many keys: the processor fetches memory while the lookups go on with
//! other keys.
//!
//! Invariant: prefetching is a hint. It changes no answer, and a call for an absent item has no
//! effect.
//!
//! Only with the feature `prefetch`: it needs one CPU instruction for which std has no safe
//! function; the crate `branches` wraps it.
//!
//! A lookup learns the next address from the memory it has just read. So memory is fetched in
//! stages, and each stage covers all keys. A batch of 16 keys among 1 M paths takes half the time
//! of single lookups, or two thirds on another processor
//! (`cargo run --release -p peers -- --only single`).

/// The stages of a fetch, in the order in which the addresses become known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The bucket of the path, and the slot of the variant's key in the dictionary of keys.
    Bucket,
    /// The record with its slots, and the dictionary's entry for the key.
    Record,
    /// The text of the path and of the key.
    Text,
}

impl Stage {
    /// All stages, or an empty list if the feature is off.
    pub(crate) const ALL: &[Self] =
        if cfg!(feature = "prefetch") { &[Self::Bucket, Self::Record, Self::Text] } else { &[] };
}

#[inline]
pub(crate) fn fetch<T>(what: &T) {
    #[cfg(feature = "prefetch")]
    branches::prefetch_read_data::<_, 0>(what);
    #[cfg(not(feature = "prefetch"))]
    let _ = what;
}
