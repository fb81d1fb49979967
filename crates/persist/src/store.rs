//! `Store`: the directory of an open index, shared by the log's thread and by snapshots.
//!
//! Invariant: the manifest changes under one lock, and never names a file that is not durable.

use crate::layer::{FileLayer, LayerLock, retry};
use crate::manifest::{Keeper, Manifest, SnapshotRef};
use crate::names::{FileId, FileName};
use crate::spare::SpareSlot;
use crate::writer::{BlankSegment, Mark, OpenSegment, create_segment};
use parking_lot::Mutex;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The directory of an open index.
#[derive(Debug)]
pub(crate) struct Store {
    layer: Arc<dyn FileLayer>,
    incarnation: u64,
    segment_bytes: u64,
    keeper: Mutex<Keeper>,
    is_covered: Arc<AtomicBool>,
    // Relaxed: taking a number orders nothing.
    next_number: AtomicU64,
    lock: Mutex<Option<Box<dyn LayerLock>>>,
    spare: Arc<SpareSlot>,
}

impl Store {
    pub(crate) fn new(
        layer: Arc<dyn FileLayer>,
        lock: Box<dyn LayerLock>,
        manifest: Manifest,
        segment_bytes: u64,
        next_number: u64,
    ) -> Self {
        let incarnation = manifest.incarnation;
        let keeper = Keeper::new(Arc::clone(&layer), manifest);
        Self {
            layer,
            incarnation,
            segment_bytes,
            is_covered: keeper.covered(),
            keeper: Mutex::new(keeper),
            next_number: AtomicU64::new(next_number),
            lock: Mutex::new(Some(lock)),
            spare: Arc::default(),
        }
    }

    pub(crate) fn incarnation(&self) -> u64 {
        self.incarnation
    }

    pub(crate) fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    pub(crate) fn layer(&self) -> &dyn FileLayer {
        &*self.layer
    }

    /// Returns a file identity that no file has had.
    pub(crate) fn next_id(&self) -> FileId {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        FileId { incarnation: self.incarnation, number }
    }

    /// Starts a segment: the spare one, if that is ready, or a new one.
    pub(crate) fn create_segment(&self, first_sequence: u64) -> io::Result<OpenSegment> {
        let last = self.keeper.lock().current().segments.last().map_or(0, |last| last.number);
        // An older one may be removed at any time, and would be out of order.
        let spare = self.spare.take().filter(|spare| spare.id().number > last);
        match spare {
            Some(spare) => spare.begin(&*self.layer, self.segment_bytes, first_sequence),
            None => {
                create_segment(&*self.layer, self.next_id(), self.segment_bytes, first_sequence)
            }
        }
    }

    pub(crate) fn create_blank(&self) -> io::Result<BlankSegment> {
        BlankSegment::create(&*self.layer, self.next_id(), self.segment_bytes)
    }

    pub(crate) fn spare(&self) -> Arc<SpareSlot> {
        Arc::clone(&self.spare)
    }

    /// Adds a segment to the manifest.
    pub(crate) fn name_segment(&self, id: FileId) -> io::Result<()> {
        self.keeper.lock().update(|manifest| manifest.segments.push(id))
    }

    /// Lets the next manifest name this segment alone.
    pub(crate) fn restart_segments(&self, id: FileId) {
        self.keeper.lock().restart(id);
        if self.is_covered() {
            // No manifest is on the disk, so no start reads the segments before. A disk that fails
            // again and again would keep one for each failure.
            self.remove_unnamed();
        }
    }

    /// Removes the manifest, as the log has failed.
    pub(crate) fn distrust(&self) {
        self.keeper.lock().distrust();
    }

    pub(crate) fn failures(&self) -> u64 {
        self.keeper.lock().failures()
    }

    pub(crate) fn is_covered(&self) -> bool {
        self.is_covered.load(Ordering::SeqCst)
    }

    pub(crate) fn is_trusted(&self) -> bool {
        self.keeper.lock().is_trusted()
    }

    /// Makes a snapshot the one to start from, unless the log has failed since the snapshot was
    /// begun. Returns whether it is.
    pub(crate) fn name_snapshot(&self, snapshot: SnapshotRef, since: Mark) -> io::Result<bool> {
        let mut keeper = self.keeper.lock();
        if keeper.failures() != since.failures {
            return Ok(false);
        }
        keeper.replace(|manifest| {
            manifest.snapshot = Some(snapshot);
            manifest.segments.retain(|segment| segment.number >= since.segment.number);
        })?;
        drop(keeper);
        self.remove_unnamed();
        Ok(true)
    }

    /// Records that the index was closed, if the manifest can be trusted.
    pub(crate) fn close(&self) -> io::Result<()> {
        let result = self.keeper.lock().update(|manifest| manifest.closed = true);
        self.lock.lock().take();
        result
    }

    /// Removes a segment that no manifest names. If that fails, the next open removes it.
    pub(crate) fn remove(&self, id: FileId) {
        let name = FileName::Segment(id).to_string();
        let _ = catch_unwind(AssertUnwindSafe(|| retry(|| self.layer.remove(&name))));
    }

    /// Removes files that the manifest does not name. A file that cannot be removed now is removed
    /// at the next open.
    pub(crate) fn remove_unnamed(&self) {
        let Ok(mut names) = retry(|| self.layer.list()) else { return };
        let manifest = self.keeper.lock().current().clone();
        names.retain(|name| match FileName::parse(name) {
            Some(FileName::Segment(id)) => {
                // A segment that is being created is newer than all that are named.
                let is_new = manifest.segments.last().is_none_or(|last| id.number > last.number);
                let is_running = is_new && id.incarnation == self.incarnation;
                !(is_running || manifest.segments.contains(&id))
            }
            Some(FileName::Snapshot(id)) => {
                manifest.snapshot.is_none_or(|snapshot| snapshot.id != id)
            }
            None => false,
        });
        for name in names {
            let _ = retry(|| self.layer.remove(&name));
        }
    }
}
