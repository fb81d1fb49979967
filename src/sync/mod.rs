//! Locks and atomics. No code outside this folder names a lock or an atomic of the standard
//! library, of parking_lot or of a model checker.

mod padded;
mod primitives;
#[cfg(not(any(cache_index_loom, cache_index_shuttle)))]
mod shard_lock;

pub(crate) use padded::CachePadded;
pub(crate) use primitives::{AtomicU64, Mutex, Ordering, RwLock};
// A model checker has no clock, so it uses a plain lock.
#[cfg(any(cache_index_loom, cache_index_shuttle))]
pub(crate) use primitives::RwLock as ShardLock;
#[cfg(not(any(cache_index_loom, cache_index_shuttle)))]
pub(crate) use shard_lock::ShardLock;
