//! `Snapshotter`: writes one snapshot at a time and makes it the one to start from.
//!
//! Invariant: the last logged number is noted before the scan begins. An invalidation during the
//! scan has a later number, and is replayed over the entries that the scan has read.
//!
//! Invariant: a snapshot has no entry that is older than a flush over time that was running. The
//! record of the flush may go with the segment that it is in.

use crate::carried::{Carried, Carrier};
use crate::codec::Codec;
use crate::layer::retry;
use crate::log::Log;
use crate::manifest::SnapshotRef;
use crate::names::FileName;
use crate::outcome::{PersistError, SnapshotWritten};
use crate::parts::{EXPORT_STEP, unix_millis};
use crate::snapshot::SnapshotWriter;
use crate::store::Store;
use cache_index::{CacheIndex, ExportCursor, ExportedPath};
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes snapshots.
#[derive(Debug)]
pub(crate) struct Snapshotter {
    store: Arc<Store>,
    /// Held while a snapshot is written.
    turn: Mutex<()>,
    carrier: Mutex<Carrier>,
    // Relaxed: for people.
    written: AtomicU64,
    failed: AtomicU64,
}

impl Snapshotter {
    pub(crate) fn new(store: Arc<Store>, loaded: Carried) -> Self {
        let (written, failed) = (AtomicU64::new(0), AtomicU64::new(0));
        let carrier = Mutex::new(Carrier::Loaded(loaded));
        Self { store, turn: Mutex::new(()), carrier, written, failed }
    }

    /// Returns the data that the next snapshot will carry.
    pub(crate) fn carried(&self) -> Carried {
        let carrier = self.carrier.lock().clone();
        carrier.carried()
    }

    pub(crate) fn carry(&self, carrier: Carrier) {
        *self.carrier.lock() = carrier;
    }

    pub(crate) fn incarnation(&self) -> u64 {
        self.store.incarnation()
    }

    pub(crate) fn is_trusted(&self) -> bool {
        self.store.is_trusted()
    }

    /// Returns how many snapshots were written, and how many could not be.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.written.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    pub(crate) fn snapshot<V: Codec + Clone>(
        &self,
        index: &CacheIndex<V>,
        log: &Log,
    ) -> Result<SnapshotWritten, PersistError> {
        let _turn = self.turn.lock();
        let result = self.write(index, log);
        let counter = if result.is_ok() { &self.written } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        result
    }

    fn write<V: Codec + Clone>(
        &self,
        index: &CacheIndex<V>,
        log: &Log,
    ) -> Result<SnapshotWritten, PersistError> {
        // First the number, then the data to be carried, then the scan.
        let since = log
            .mark()
            .map_err(|error| PersistError::log("log could not be prepared for it", error))?;
        let carried = self.carried().encode();
        let (snapshot, entries) = self
            .write_file(index, since.watermark, &carried)
            .map_err(|error| PersistError::caused("snapshot could not be written", error))?;
        let named = self
            .store
            .name_snapshot(snapshot, since)
            .map_err(|error| PersistError::caused("manifest could not be replaced", error))?;
        if named {
            Ok(SnapshotWritten { entries, bytes: snapshot.bytes })
        } else {
            Err(PersistError::new("log failed while the snapshot was written"))
        }
    }

    fn write_file<V: Codec + Clone>(
        &self,
        index: &CacheIndex<V>,
        watermark: u64,
        carried: &[u8],
    ) -> io::Result<(SnapshotRef, u64)> {
        let id = self.store.next_id();
        let name = FileName::Snapshot(id).to_string();
        let written = (|| {
            let file = retry(|| self.store.layer().create(&name))?;
            let mut writer = SnapshotWriter::new(file, id, watermark, unix_millis())?;
            writer.carry(carried)?;
            let mut cursor = ExportCursor::as_if_ended();
            while let Some(paths) = index.export(&mut cursor, EXPORT_STEP) {
                for ExportedPath { tenant, path, entries, .. } in &paths {
                    writer.push((tenant.name(), path.as_str()), entries)?;
                }
            }
            let written = writer.finish()?;
            retry(|| self.store.layer().sync_dir())?;
            Ok(written)
        })();
        if written.is_err() {
            // If it stays, no manifest names it, and the next open removes it.
            let _ = self.store.layer().remove(&name);
        }
        written
    }

    /// Records in the manifest that the index was closed, and unlocks the directory.
    pub(crate) fn close(&self) -> Result<(), PersistError> {
        let closed = self.store.close();
        closed.map_err(|error| PersistError::caused("manifest could not be replaced", error))
    }
}
