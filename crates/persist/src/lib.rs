//! Keeps a [`CacheIndex`](cache_index::CacheIndex) on disk: an acknowledged purge survives a crash,
//! and a restarted server is warm in seconds.
//!
//! [`Persistent`] is the index with a log and snapshots. Purges and flushes are applied, then
//! logged, and acknowledged after a sync that concurrent callers share. Fills are saved by
//! snapshots in the background; those since the last snapshot are lost in a crash, and are misses.
//! Data on disk that cannot be trusted is never used: the index starts cold, and returns the
//! reason.
//!
//! ```
//! use cache_index::Hard;
//! use cache_index_persist::{PersistConfig, Persistent, Recovery};
//!
//! let dir = tempfile::tempdir()?;
//! let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
//! match cache.recovery() {
//!     Recovery::New => { /* delete all objects, should there be any */ }
//!     Recovery::Warm { .. } => { /* delete the objects that `values` doesn't name */ }
//!     Recovery::Cold { reason } => println!("cold start: {reason}"),
//!     _ => {}
//! }
//!
//! let tenant = cache.tenant("doc");
//! let flushed = cache.flush_tenant(&tenant, Hard);
//! assert!(flushed.is_durable());
//! cache.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Guarantees
//!
//! | failure | guarantee |
//! |---|---|
//! | killed process | every acknowledged purge and flush, and the fills of the last snapshot |
//! | power loss | the same, for records acknowledged as [`Durable`](Durability::Durable) |
//! | damaged, missing or unknown file | nothing is served: [`Recovery::Cold`] with the reason |
//! | failed write or sync, full disk | invalidations hold in memory and are [`NotDurable`] |
//! | a disk that loses synced data | detected if any later write survived, else no guarantee |
//!
//! Fills since the last snapshot are lost. After a failed write or sync, a crash is followed by a
//! cold start, until the next snapshot makes the invalidations durable.
//!
//! [`NotDurable`]: Durability::NotDurable
//!
//! `docs/durable.md` in the repository has the whole table, and `docs/format.md` specifies the
//! files.
//!
//! # Serving at once
//!
//! [`Persistent::open`] returns when all entries are loaded. [`Persistent::open_serving`] loads
//! them in the background: until then, an entry that is not loaded yet is a miss. Nothing comes
//! back that was purged meanwhile, and no newer value is replaced.
//!
//! # Flushes over time
//!
//! A [flush over time](Persistent::flush_all_over) that runs when the process ends has ended when
//! the next one starts: its older entries are dead. So nothing that it killed comes back.
//!
//! # Ids of objects
//!
//! An index that comes from disk is older than the objects beside it. Ids of objects must contain
//! [`Persistent::incarnation`], so that no id is used twice; and the server must verify an object
//! when it first reads it.
//!
//! # Requirements
//!
//! A Unix file system on which a synced directory makes a rename durable. Other storages can be put
//! behind [`FileLayer`].
#![forbid(unsafe_code)]

#[cfg(not(unix))]
compile_error!("cache-index-persist needs a Unix file system: it syncs directories");

mod background;
mod bytes;
mod carried;
mod codec;
mod config;
mod damage;
mod frame;
pub mod inspect;
mod invalidations;
mod invalidator;
mod layer;
mod load;
mod log;
mod manifest;
mod names;
mod operations;
mod outcome;
mod over_time;
mod parts;
mod persistent;
mod record;
mod recover;
mod relay;
mod replay;
mod segment;
mod serving;
mod snapshot;
mod snapshotter;
mod spare;
mod stats;
mod store;
mod wake;
mod writer;

pub use carried::Carried;
pub use codec::Codec;
pub use config::{PersistConfig, PersistConfigBuilder, PersistConfigError, SyncPolicy};
pub use damage::{ColdKind, ColdReason};
pub use invalidator::Invalidator;
pub use layer::{DiskLayer, FileLayer, LayerFile, LayerLock};
pub use outcome::{
    Acknowledged, Durability, Loading, LogError, PersistError, Recovery, SnapshotWritten,
};
pub use persistent::Persistent;
pub use record::{OutboxId, Record, Scope};
pub use stats::PersistStats;
