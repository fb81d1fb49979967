//! `Persistent`: an index whose invalidations are logged and whose entries are saved.
//!
//! Invariant: no operation that invalidates bypasses the log; so the index itself is not reachable
//! from outside.

use crate::background::Background;
use crate::codec::Codec;
use crate::config::PersistConfig;
use crate::layer::{DiskLayer, FileLayer};
use crate::log::Log;
use crate::outcome::{Durability, Loading, PersistError, Recovery, SnapshotWritten};
use crate::parts::{EXPORT_STEP, Parts};
use crate::record::Record;
use crate::recover::{self, Recovered, State, When};
use crate::segment::max_payload;
use crate::serving::Serving;
use crate::snapshotter::Snapshotter;
use crate::stats::PersistStats;
use crate::wake::Wake;
use cache_index::{CacheIndex, ExportCursor, Flushed, Tenant};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A [`CacheIndex`] that is kept in a directory. Acknowledged, durable invalidations hold after a
/// crash, and a restart is warm.
///
/// Lookups, leases and insertions are those of the index. Purges and flushes are applied, then
/// logged, and return their outcome with its [`Durability`]. Snapshots are written in the
/// background.
///
/// Dropping it ends the threads and writes the waiting records to the log, but writes no snapshot:
/// see [`close`](Self::close).
///
/// # Cost, locks and errors
///
/// - Lookups, fills, lists and `stats`: the cost and locks of the index, no I/O, and no errors.
/// - Purges and flushes: the cost and locks of the index. The caller then waits for the log, and
///   holds no lock: with [`SyncPolicy::Always`] for a sync, which callers share. If the log fails,
///   the invalidation holds in memory and is [`Durability::NotDurable`].
/// - [`snapshot`](Self::snapshot) and [`close`](Self::close): O(entries) and a few syncs; one shard
///   after another, shared, in short steps. After an error, the last snapshot and the log remain.
/// - [`open`](Self::open): O(entries and records of the log) and a few syncs; the directory stays
///   locked. Data that cannot be trusted is not an error, but a [cold start](Recovery::Cold).
///
/// [`SyncPolicy::Always`]: crate::SyncPolicy::Always
///
/// # Examples
///
/// ```
/// use cache_index::{Hard, Lookup, OriginPath, VariantKey};
/// use cache_index_persist::{PersistConfig, Persistent, Recovery};
///
/// let dir = tempfile::tempdir()?;
/// let birds = OriginPath::from_canonical("a/birds.jpg")?;
/// let boat = OriginPath::from_canonical("a/boat.jpg")?;
/// let small = VariantKey::from_canonical("?w=200")?;
///
/// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
/// assert_eq!(*cache.recovery(), Recovery::New);
/// let tenant = cache.tenant("doc");
/// assert!(cache.lease(&tenant, &birds).commit(&small, 7).is_stored());
/// assert!(cache.lease(&tenant, &boat).commit(&small, 8).is_stored());
/// cache.snapshot()?;
/// assert!(cache.purge(&tenant, &birds, Hard).is_durable());
/// drop(cache); // as if the process had crashed
///
/// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
/// assert!(matches!(cache.recovery(), Recovery::Warm { entries: 2, replayed: 1, .. }));
/// let tenant = cache.tenant("doc");
/// assert_eq!(cache.lookup(&tenant, &birds, &small), Lookup::Miss);
/// assert_eq!(cache.lookup(&tenant, &boat, &small), Lookup::Live(8));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Persistent<V: Codec + Clone + Send + Sync + 'static> {
    parts: Arc<Parts<V>>,
    background: Background,
    /// The state that was found on disk, unless it is still being loaded.
    recovery: Recovery,
    max_payload: usize,
    // Relaxed: only the first call to close goes on, whatever it sees of the others.
    is_closed: AtomicBool,
}

impl<V: Codec + Clone + Send + Sync + 'static> Persistent<V> {
    /// Opens the index in a directory, which is created if it is missing. No other process may have
    /// it open.
    ///
    /// Data that cannot be trusted is never used. In that case the index starts empty, and
    /// [`recovery`](Self::recovery) returns the reason.
    ///
    /// **Cost:** O(entries of the snapshot and records of the log), and a few syncs.
    ///
    /// # Errors
    /// If the directory cannot be read or is in use, or if a new segment or manifest cannot be
    /// written.
    ///
    /// **Locks:** the file `LOCK` of the directory, until the index is closed or dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::{PersistConfig, Persistent, Recovery};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// assert_eq!(*cache.recovery(), Recovery::New);
    ///
    /// // One process, one index.
    /// assert!(Persistent::<u64>::open(dir.path(), PersistConfig::default()).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(dir: impl AsRef<Path>, config: PersistConfig) -> Result<Self, PersistError> {
        Self::open_on(disk(dir.as_ref())?, config)
    }

    /// Opens the index in a directory as [`open`](Self::open) does, but returns before the snapshot
    /// is loaded. Threads load it in the background, while the index is used.
    ///
    /// Until then, [`recovery`](Self::recovery) is [`Recovery::Loading`], and lookups of entries
    /// that are not loaded yet are misses. Purges, flushes and fills hold as always: nothing that
    /// they cover comes back, and a newer value is not replaced.
    ///
    /// The header, the list of block checksums and the whole log are checked before this function
    /// returns; if they are wrong, it starts cold. The bytes of a block are checked when it is
    /// loaded, before its entries are used. If they are wrong, everything is flushed, also the
    /// fills since the start, and the state is [`Recovery::Cold`].
    ///
    /// **Cost:** O(records of the log), O(blocks of the snapshot) and a few syncs. Memory for each
    /// path that the log or the server purges until everything is loaded.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{Lookup, OriginPath, VariantKey};
    /// use cache_index_persist::{PersistConfig, Persistent, Recovery};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let birds = OriginPath::from_canonical("a/birds.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// assert!(cache.insert(&cache.tenant("doc"), &birds, &small, 7).is_stored());
    /// cache.close()?;
    ///
    /// let cache = Persistent::<u64>::open_serving(dir.path(), PersistConfig::default())?;
    /// // A miss, or the entry, if that is loaded already.
    /// let _ = cache.lookup(&cache.tenant("doc"), &birds, &small);
    /// assert!(matches!(cache.wait_until_loaded(), Recovery::Warm { entries: 1, .. }));
    /// assert_eq!(cache.lookup(&cache.tenant("doc"), &birds, &small), Lookup::Live(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_serving(
        dir: impl AsRef<Path>,
        config: PersistConfig,
    ) -> Result<Self, PersistError> {
        Self::open_serving_on(disk(dir.as_ref())?, config)
    }

    /// Opens an index on another file layer than the operating system's.
    ///
    /// **Cost:** as [`open`](Self::open).
    ///
    /// # Errors
    /// As [`open`](Self::open).
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::Hard;
    /// use cache_index_persist::{DiskLayer, PersistConfig, Persistent};
    /// use std::sync::Arc;
    ///
    /// let dir = tempfile::tempdir()?;
    /// let layer = Arc::new(DiskLayer::open(dir.path())?);
    /// let cache = Persistent::<u64>::open_on(layer, PersistConfig::default())?;
    /// assert!(cache.flush_all(Hard).is_durable());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[expect(clippy::needless_pass_by_value, reason = "a configuration is made for one index")]
    pub fn open_on(layer: Arc<dyn FileLayer>, config: PersistConfig) -> Result<Self, PersistError> {
        Self::start(recover::open(layer, &config, When::First)?, &config)
    }

    /// Opens an index on another file layer than the operating system's, and loads the snapshot in
    /// the background.
    ///
    /// **Cost:** as [`open_serving`](Self::open_serving).
    ///
    /// # Errors
    /// As [`open`](Self::open).
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::{DiskLayer, PersistConfig, Persistent, Recovery};
    /// use std::sync::Arc;
    ///
    /// let dir = tempfile::tempdir()?;
    /// let layer = Arc::new(DiskLayer::open(dir.path())?);
    /// let cache = Persistent::<u64>::open_serving_on(layer, PersistConfig::default())?;
    /// assert_eq!(*cache.wait_until_loaded(), Recovery::New);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[expect(clippy::needless_pass_by_value, reason = "a configuration is made for one index")]
    pub fn open_serving_on(
        layer: Arc<dyn FileLayer>,
        config: PersistConfig,
    ) -> Result<Self, PersistError> {
        Self::start(recover::open(layer, &config, When::Later)?, &config)
    }

    fn start(recovered: Recovered<V>, config: &PersistConfig) -> Result<Self, PersistError> {
        let Recovered { index, store, writer, state, carried } = recovered;
        let no_thread = |error| PersistError::caused("thread could not be started", error);
        let index = Arc::new(index);
        let (recovery, serving) = match state {
            State::Known(recovery) => (recovery, None),
            State::Loading { load, restore, replayed } => {
                let threads = config.load_threads();
                let serving = Serving::start(&index, restore, *load, replayed, threads);
                (Recovery::Loading, Some(serving.map_err(no_thread)?))
            }
        };
        let wake = Arc::new(Wake::default());
        let log = Log::start(writer, config.sync(), Arc::clone(&wake)).map_err(no_thread)?;
        let snapshotter = Snapshotter::new(store, carried);
        let parts = Arc::new(Parts { index, log, snapshotter, serving });
        let background = Background::start(Arc::clone(&parts), wake, config).map_err(no_thread)?;
        background.consider(&parts.log);
        let max_payload = max_payload(config.segment_bytes());
        Ok(Self { parts, background, recovery, max_payload, is_closed: AtomicBool::new(false) })
    }

    pub(crate) fn index(&self) -> &CacheIndex<V> {
        &self.parts.index
    }

    pub(crate) fn snapshotter(&self) -> &Snapshotter {
        &self.parts.snapshotter
    }

    /// Writes records to the log.
    pub(crate) fn append(&self, records: &[Record]) -> Durability {
        if records.is_empty() {
            return Durability::Durable;
        }
        let payloads = records.iter().map(|record| record.encode(self.max_payload)).collect();
        let durability = self.parts.log.append(payloads);
        self.background.consider(&self.parts.log);
        durability
    }

    /// Returns the state that was found on disk, or [`Recovery::Loading`] while the snapshot is
    /// being loaded.
    ///
    /// **Cost:** O(1). No locks.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::{PersistConfig, Persistent, Recovery};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// assert_eq!(*cache.recovery(), Recovery::New);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recovery(&self) -> &Recovery {
        let loaded = self.parts.serving.as_ref().and_then(|serving| serving.recovery());
        loaded.unwrap_or(&self.recovery)
    }

    /// Returns how far the load has come that [`open_serving`](Self::open_serving) has begun, or
    /// `None` if nothing is being loaded.
    ///
    /// **Cost:** O(1).
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// assert_eq!(cache.loading(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn loading(&self) -> Option<Loading> {
        let serving = self.parts.serving.as_ref().filter(|serving| serving.recovery().is_none())?;
        let load = &serving.load;
        Some(Loading {
            entries: load.counts().stored,
            all_entries: load.entries(),
            blocks: load.blocks_done(),
            all_blocks: load.blocks(),
        })
    }

    /// Waits until the snapshot is loaded, and returns the state that was found on disk. Returns
    /// [`Recovery::Loading`] only if the index was closed before.
    ///
    /// **Cost:** the rest of the load.
    /// **Locks:** none of the index; it blocks the calling thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::{PersistConfig, Persistent, Recovery};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// cache.close()?;
    /// let cache = Persistent::<u64>::open_serving(dir.path(), PersistConfig::default())?;
    /// assert!(matches!(cache.wait_until_loaded(), Recovery::Warm { entries: 0, .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_until_loaded(&self) -> &Recovery {
        if let Some(serving) = &self.parts.serving {
            serving.wait();
        }
        self.recovery()
    }

    /// Returns the number of this opening. It is larger than the numbers of all earlier openings,
    /// and durable.
    ///
    /// **Ids of objects must contain it.** A crash loses the fills since the last snapshot, and
    /// also the ids that they used. An id without the incarnation would be assigned again, while
    /// the object of the lost fill still has it.
    ///
    /// **Cost:** O(1). No locks.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// assert_eq!(cache.incarnation(), 1);
    /// drop(cache);
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// assert_eq!(cache.incarnation(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn incarnation(&self) -> u64 {
        self.parts.snapshotter.incarnation()
    }

    /// Forgets a tenant in memory.
    pub(crate) fn forget(&self, tenant: &Tenant) -> Flushed {
        let forget = || self.index().forget_tenant(tenant);
        match &self.parts.serving {
            Some(serving) => serving.load.forget(tenant.name(), forget),
            None => forget(),
        }
    }

    /// Returns the counts of log and snapshots.
    ///
    /// **Cost:** O(1).
    /// **Locks:** that of the log's queue, for a moment.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::Hard;
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// assert!(cache.flush_all(Hard).is_durable());
    /// assert_eq!(cache.persist_stats().log_records, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn persist_stats(&self) -> PersistStats {
        PersistStats::new(self.parts.log.counts(), self.parts.log.fault(), &self.parts.snapshotter)
    }

    /// Iterates over all values that may be served, for finding objects that no entry names. First
    /// waits until the snapshot is loaded.
    ///
    /// A fill that is committed while the iterator runs may be missing. So delete only objects
    /// whose id has an older [`incarnation`](Self::incarnation) than the current one.
    ///
    /// **Cost:** O(entries), in steps of some dozens of paths.
    /// **Locks:** one shard after another, shared.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{OriginPath, VariantKey};
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let tenant = cache.tenant("doc");
    /// let birds = OriginPath::from_canonical("a/birds.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// assert!(cache.insert(&tenant, &birds, &small, 7).is_stored());
    /// assert_eq!(cache.values().collect::<Vec<u64>>(), [7]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn values(&self) -> impl Iterator<Item = V> + '_ {
        self.wait_until_loaded();
        let mut cursor = ExportCursor::default();
        std::iter::from_fn(move || self.index().export(&mut cursor, EXPORT_STEP))
            .flatten()
            .flat_map(|path| path.entries)
            .map(|(_, value, _)| value)
    }

    /// Writes a snapshot now, or as soon as the last one is loaded. Lookups, fills and
    /// invalidations go on while it runs.
    ///
    /// If the log has failed, this starts a new one. If it succeeds, all earlier invalidations are
    /// durable.
    ///
    /// **Cost:** O(entries), and a few syncs.
    /// **Locks:** one shard after another, shared; only one snapshot is written at a time.
    ///
    /// # Errors
    /// If a file cannot be written, or if the log fails while the snapshot is written. The last
    /// snapshot and the log remain in use.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{OriginPath, VariantKey};
    /// use cache_index_persist::{PersistConfig, Persistent, Recovery};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let tenant = cache.tenant("doc");
    /// let birds = OriginPath::from_canonical("a/birds.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// assert!(cache.insert(&tenant, &birds, &small, 7).is_stored());
    /// assert_eq!(cache.snapshot()?.entries, 1);
    /// drop(cache); // as if the process had crashed
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// assert!(matches!(cache.recovery(), Recovery::Warm { entries: 1, .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn snapshot(&self) -> Result<SnapshotWritten, PersistError> {
        self.parts.snapshot()
    }

    /// Writes a last snapshot, ends the threads, and unlocks the directory. Later purges and
    /// flushes hold in memory, and are [`NotDurable`](Durability::NotDurable). A second call has no
    /// effect.
    ///
    /// If a snapshot is still being loaded, no other one is written: the next start is as after a
    /// crash.
    ///
    /// **Cost:** that of [`snapshot`](Self::snapshot).
    ///
    /// # Errors
    /// If the snapshot or the manifest cannot be written. The index is closed all the same; the
    /// next start is without the fills since the last snapshot, or cold.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::Hard;
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// cache.close()?;
    /// let purged = cache.flush_all(Hard);
    /// assert!(!purged.is_durable());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) -> Result<(), PersistError> {
        if self.is_closed.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        self.parts.log.refuse();
        self.parts.stop_loading();
        self.background.end();
        let written = if self.parts.is_loaded() { self.parts.snapshot().map(drop) } else { Ok(()) };
        self.parts.log.end();
        let closed = self.parts.snapshotter.close();
        written.and(closed)
    }
}

fn disk(dir: &Path) -> Result<Arc<DiskLayer>, PersistError> {
    DiskLayer::open(dir)
        .map(Arc::new)
        .map_err(|error| PersistError::caused("directory could not be created", error))
}

impl<V: Codec + Clone + Send + Sync + 'static> Drop for Persistent<V> {
    fn drop(&mut self) {
        self.parts.stop_loading();
        self.background.end();
        self.parts.log.end();
    }
}

impl<V: Codec + Clone + Send + Sync + 'static> fmt::Debug for Persistent<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Persistent")
            .field("incarnation", &self.incarnation())
            .field("recovery", self.recovery())
            .finish_non_exhaustive()
    }
}
