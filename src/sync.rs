//! The only place that names a lock or an atomic.
//!
//! Invariant: no other module imports `parking_lot` or `std::sync::atomic`, so that a model checker can put its own types in
//! their place by changing this file alone.

pub(crate) use parking_lot::{Mutex, RwLock};
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};

/// Keeps its content on cache lines of its own, so that the lock word of one shard and the counters of another don't share
/// one. 128 bytes, because the prefetcher of current x86 processors fetches lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct CachePadded<T>(pub(crate) T);
