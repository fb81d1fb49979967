//! Memory that look-ups of many keys are about to read, which the processor fetches while they go on with other keys.
//!
//! Invariant: a hint. It changes no answer, and a call for what isn't there does nothing.
//!
//! Only with the feature `prefetch`: it needs one machine instruction, which a crate wraps as safe code here doesn't reach it. What a look-up
//! reads tells it where to read next, so memory is fetched in stages, for all keys at once in each. Sixteen keys among a million paths take half of
//! the time that they take one by one, on another processor two thirds (`cargo run --release -p peers -- --only single`).

/// What is fetched, in the order in which it becomes known where that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The bucket of the path, and the place of the variant's key among all keys.
    Bucket,
    /// The record with its slots, and what is known of the key.
    Record,
    /// The texts of both.
    Text,
}

impl Stage {
    /// All of them; none if nothing can be fetched.
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
