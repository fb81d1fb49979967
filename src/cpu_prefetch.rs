//! Prefetching: the processor fetches memory while an operation goes on with other paths, or with
//! atomic steps.
//!
//! Invariant: prefetching is a hint. It changes no answer, and a call for an absent item has no
//! effect.
//!
//! It needs one CPU instruction for which std has no safe function. On x86-64 and on AArch64, a
//! crate wraps it; on other processors, nothing is fetched.
//!
//! A processor finishes its reads before it acquires a lock or adds to a count, and begins no other
//! read meanwhile. A prefetch is not a read, and does not wait. A purge therefore fetches memory
//! that it is about to move. A lookup of many keys fetches the memory of all keys first, in stages,
//! because it learns each address from the memory before. DESIGN.md has the gains.

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
