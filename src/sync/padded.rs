//! A value on cache lines of its own.

/// Keeps its content on cache lines of its own, so that the lock word of one shard and the counters of another don't share
/// one. 128 bytes, because the prefetcher of current x86 processors fetches lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct CachePadded<T>(pub(crate) T);

impl<T> std::ops::Deref for CachePadded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
