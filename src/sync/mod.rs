//! Locks and atomics. Nothing outside of this folder names one of the standard library, of parking_lot or of a model checker.

mod padded;
mod primitives;
#[cfg(not(any(cache_index_loom, cache_index_shuttle)))]
mod shard_lock;

pub(crate) use padded::CachePadded;
pub(crate) use primitives::{AtomicU64, Mutex, Ordering, RwLock};
// To a checker, which has no clock, it is a lock like any other.
#[cfg(any(cache_index_loom, cache_index_shuttle))]
pub(crate) use primitives::RwLock as ShardLock;
#[cfg(not(any(cache_index_loom, cache_index_shuttle)))]
pub(crate) use shard_lock::ShardLock;
