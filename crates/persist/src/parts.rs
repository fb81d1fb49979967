//! `Parts`: the parts of an open index that its threads share.
//!
//! Invariant: a snapshot is written only of an index that is loaded.

use crate::codec::Codec;
use crate::log::Log;
use crate::outcome::{PersistError, Recovery, SnapshotWritten};
use crate::serving::Serving;
use crate::snapshotter::Snapshotter;
use cache_index::CacheIndex;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// How many entries are exported in one step, for which writers of a shard wait: about 64
/// paths.
pub(crate) const EXPORT_STEP: usize = 384;

/// The parts that are shared with the background thread.
#[derive(Debug)]
pub(crate) struct Parts<V> {
    pub(crate) index: Arc<CacheIndex<V>>,
    pub(crate) log: Log,
    pub(crate) snapshotter: Snapshotter,
    /// The load that is under way, or was.
    pub(crate) serving: Option<Arc<Serving>>,
}

/// Returns the time for people to read.
pub(crate) fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl<V> Parts<V> {
    /// Waits until the snapshot is loaded. Returns whether it is.
    pub(crate) fn is_loaded(&self) -> bool {
        self.serving.as_ref().is_none_or(|serving| serving.wait().is_some())
    }

    /// Waits until the snapshot is loaded. Returns whether it was found to be damaged then.
    pub(crate) fn was_damaged(&self) -> bool {
        let recovery = self.serving.as_ref().and_then(|serving| serving.wait());
        matches!(recovery, Some(Recovery::Cold { .. }))
    }

    pub(crate) fn stop_loading(&self) {
        if let Some(serving) = &self.serving {
            serving.stop();
        }
    }
}

impl<V: Clone + Codec> Parts<V> {
    pub(crate) fn snapshot(&self) -> Result<SnapshotWritten, PersistError> {
        // A snapshot of a part of the index would lose the rest.
        if !self.is_loaded() {
            return Err(PersistError::new("index was closed while its snapshot was loaded"));
        }
        self.snapshotter.snapshot(&self.index, &self.log)
    }
}
