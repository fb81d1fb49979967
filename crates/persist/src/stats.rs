//! `PersistStats`: the counts of log and snapshots.

use crate::log::LogCounts;
use crate::outcome::LogError;
use crate::snapshotter::Snapshotter;
use std::sync::Arc;

/// Counts of log and snapshots since the index was opened.
/// [`Persistent::persist_stats`](crate::Persistent::persist_stats) returns them.
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
/// cache.snapshot()?;
/// let stats = cache.persist_stats();
/// assert_eq!((stats.log_records, stats.log_syncs, stats.log_bytes), (1, 1, 0));
/// assert_eq!((stats.snapshots, stats.failed_snapshots), (1, 0));
/// assert!(stats.fault.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PersistStats {
    /// Records that were given to the log.
    pub log_records: u64,
    /// Syncs of the log; fewer than records when callers shared them.
    pub log_syncs: u64,
    /// Bytes in the log since the last snapshot began. Segments of earlier processes count in full.
    pub log_bytes: u64,
    /// The reason why no record can be acknowledged as durable now, if the log has failed. A
    /// snapshot heals it.
    pub fault: Option<Arc<LogError>>,
    /// Whether a crash now would be followed by a warm start. This is false between a failure of
    /// the log and the next snapshot.
    pub would_start_warm: bool,
    /// Snapshots that were written.
    pub snapshots: u64,
    /// Snapshots that could not be written.
    pub failed_snapshots: u64,
}

impl PersistStats {
    pub(crate) fn new(
        log: LogCounts,
        fault: Option<Arc<LogError>>,
        snapshotter: &Snapshotter,
    ) -> Self {
        let (snapshots, failed_snapshots) = snapshotter.counts();
        Self {
            log_records: log.records,
            log_syncs: log.syncs,
            log_bytes: log.bytes,
            fault,
            would_start_warm: snapshotter.is_trusted(),
            snapshots,
            failed_snapshots,
        }
    }
}
