//! The index: the public operations, the lease, and the queue of dead entries.

mod cache_index;
mod claim;
mod core;
mod dead_queue;
mod entries;
mod export;
mod invalidations;
mod lease;
mod over_time;
mod restore;
mod sweep;

pub use cache_index::CacheIndex;
pub use claim::{Claim, ClaimLease};
pub use export::ExportCursor;
pub use lease::FillLease;
pub use over_time::RunningFlush;
pub use restore::Restore;
