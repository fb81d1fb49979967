//! Prefetching for operations on many paths: the processor fetches memory while they go on with
//! other paths.
//!
//! Invariant: prefetching is a hint. It changes no answer, and a call for an absent item has no
//! effect.
//!
//! It needs one CPU instruction for which std has no safe function. On x86-64 and on AArch64, a
//! crate wraps it; on other processors, nothing is fetched.
//!
//! A lookup learns the next address from the memory it has just read. So memory is fetched in
//! stages, and each stage covers all keys. A batch of 16 keys among 1 M paths takes half the time
//! of single lookups, or two thirds on another processor
//! (`cargo run --release -p peers -- --only single`).

/// Whether there is such an instruction here.
pub(crate) const IS_KNOWN: bool = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));

/// The stages of a fetch, in the order in which the addresses become known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The bucket of the path.
    Bucket,
    /// The record with its text, and its slots.
    Record,
}

impl Stage {
    /// All stages, or an empty list if there is no such instruction.
    pub(crate) const ALL: &[Self] = if IS_KNOWN { &[Self::Bucket, Self::Record] } else { &[] };
}

#[inline]
pub(crate) fn fetch<T>(what: &T) {
    #[cfg(target_arch = "x86_64")]
    safe_arch::prefetch_t0(what);
    #[cfg(target_arch = "aarch64")]
    branches::prefetch_read_data::<_, 0>(what);
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = what;
}
