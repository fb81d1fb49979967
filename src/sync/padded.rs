//! A value on cache lines of its own.

/// Keeps its content on its own cache lines, so that the lock word of one shard and the counters of
/// another do not share one. It is 128 bytes, because the prefetcher of current x86 processors
/// fetches lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct CachePadded<T>(pub(crate) T);

impl<T> std::ops::Deref for CachePadded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
