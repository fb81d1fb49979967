//! `Writer`: the running segment of the log. Used by one thread.
//!
//! Invariants: a record's bytes are written before the sync that covers it, and the seal after. A
//! segment takes records only if every manifest that may be on disk names it, or if there is
//! certainly none. After a failure the segment is let go of, and the manifest removed: a crash is
//! then followed by a cold start, so that not even a purge that was `NotDurable` is undone.

use crate::config::SyncPolicy;
use crate::frame::{Frame, frame_len, put_frame};
use crate::layer::{FileLayer, LayerFile, retry, write_all};
use crate::names::{FileId, FileName};
use crate::outcome::{Durability, LogError};
use crate::segment::{BLOCK, DATA, header, seal};
use crate::store::Store;
use std::io;
use std::sync::Arc;

/// Zeros are written in pieces of this size.
const ZEROS: usize = 1 << 18;

/// The place in the log at which a snapshot begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The last record. It is durable, and all records up to it had been applied before.
    pub(crate) watermark: u64,
    /// The segment that was running. Records after the watermark are in it and in later ones.
    pub(crate) segment: FileId,
    /// How often the log had failed by then.
    pub(crate) failures: u64,
}

/// The running segment.
#[derive(Debug)]
pub(crate) struct OpenSegment {
    id: FileId,
    file: Box<dyn LayerFile>,
    /// Where the next frame begins.
    end: usize,
}

impl OpenSegment {
    pub(crate) fn id(&self) -> FileId {
        self.id
    }
}

/// Writes the log.
#[derive(Debug)]
pub(crate) struct Writer {
    store: Arc<Store>,
    segment: Option<OpenSegment>,
    /// The last number that was given out.
    sequence: u64,
    /// The last number that a sync has covered.
    durable: u64,
    fault: Option<Arc<LogError>>,
    syncs: u64,
    bytes: u64,
}

/// Creates a segment: all of its bytes are written and synced before it is used, so that no later
/// write changes its size or needs room.
pub(crate) fn create_segment(
    layer: &dyn FileLayer,
    id: FileId,
    segment_bytes: u64,
    first_sequence: u64,
) -> io::Result<OpenSegment> {
    let name = FileName::Segment(id).to_string();
    let created = (|| {
        let file = retry(|| layer.create(&name))?;
        write_all(&*file, &header(id, segment_bytes, first_sequence), 0)?;
        write_zeros(&*file, DATA as u64, segment_bytes)?;
        retry(|| file.sync_data())?;
        retry(|| layer.sync_dir())?;
        Ok(OpenSegment { id, file, end: DATA })
    })();
    if created.is_err() {
        // It may be the last bytes of a full disk. If it stays, no manifest names it, and the next
        // open removes it.
        let _ = layer.remove(&name);
    }
    created
}

/// A segment of zeros that has no header yet. It is durable, and no manifest names it.
#[derive(Debug)]
pub(crate) struct BlankSegment {
    id: FileId,
    file: Box<dyn LayerFile>,
}

impl BlankSegment {
    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    pub(crate) fn create(
        layer: &dyn FileLayer,
        id: FileId,
        segment_bytes: u64,
    ) -> io::Result<Self> {
        let name = FileName::Segment(id).to_string();
        let created = (|| {
            let file = retry(|| layer.create(&name))?;
            write_zeros(&*file, 0, segment_bytes)?;
            retry(|| file.sync_data())?;
            retry(|| layer.sync_dir())?;
            Ok(Self { id, file })
        })();
        if created.is_err() {
            let _ = layer.remove(&name);
        }
        created
    }

    /// Writes the header and makes it durable.
    pub(crate) fn begin(
        self,
        layer: &dyn FileLayer,
        segment_bytes: u64,
        first_sequence: u64,
    ) -> io::Result<OpenSegment> {
        let Self { id, file } = self;
        let begun = write_all(&*file, &header(id, segment_bytes, first_sequence), 0)
            .and_then(|()| retry(|| file.sync_data()));
        match begun {
            Ok(()) => Ok(OpenSegment { id, file, end: DATA }),
            Err(error) => {
                let _ = layer.remove(&FileName::Segment(id).to_string());
                Err(error)
            }
        }
    }
}

fn write_zeros(file: &dyn LayerFile, mut offset: u64, end: u64) -> io::Result<()> {
    let zeros = vec![0; ZEROS];
    while offset < end {
        let len = usize::try_from(end - offset).unwrap_or(ZEROS).min(ZEROS);
        write_all(file, &zeros[..len], offset)?;
        offset += len as u64;
    }
    Ok(())
}

impl Writer {
    /// Goes on behind a log that ends with `sequence` and takes `bytes` on disk.
    pub(crate) fn new(store: Arc<Store>, segment: OpenSegment, sequence: u64, bytes: u64) -> Self {
        let (fault, syncs) = (None, 0);
        Self { store, segment: Some(segment), sequence, durable: sequence, fault, syncs, bytes }
    }

    pub(crate) fn store(&self) -> Arc<Store> {
        Arc::clone(&self.store)
    }

    pub(crate) fn fault(&self) -> Option<Arc<LogError>> {
        self.fault.clone()
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.syncs
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes records, and syncs if the policy asks for it.
    pub(crate) fn commit(&mut self, payloads: &[Vec<u8>], policy: SyncPolicy) -> Durability {
        if let Some(fault) = &self.fault {
            return Durability::NotDurable(Arc::clone(fault));
        }
        let written = self.write(payloads);
        let committed = match policy {
            SyncPolicy::Always => written.and_then(|()| self.try_sync()),
            SyncPolicy::Every(_) | SyncPolicy::Never => written,
        };
        match committed {
            Err(error) => Durability::NotDurable(self.fail(error)),
            Ok(()) if !self.store.is_covered() => Durability::NotDurable(Arc::new(LogError::new(
                "an old manifest could not be removed and may not name the log",
                None,
            ))),
            Ok(()) if policy == SyncPolicy::Always => Durability::Durable,
            Ok(()) => Durability::Written,
        }
    }

    /// Syncs what was written, if anything was.
    pub(crate) fn sync(&mut self) {
        if self.fault.is_none() && self.durable < self.sequence {
            if let Err(error) = self.try_sync() {
                self.fail(error);
            }
        }
    }

    /// Marks the end of the log for a snapshot, after a sync if one is due. A failed log starts a
    /// new segment.
    ///
    /// A healthy log goes on in its segment. So a snapshot takes no segment that was prepared, and
    /// leaves none behind if it finds no room.
    pub(crate) fn mark(&mut self) -> Result<Mark, Arc<LogError>> {
        if self.fault.is_none() && self.durable < self.sequence {
            self.try_sync().map_err(|error| self.fail(error))?;
        }
        let segment = match &self.segment {
            Some(segment) => segment.id,
            None => self.restart()?,
        };
        self.bytes = 0;
        let (watermark, failures) = (self.sequence, self.store.failures());
        Ok(Mark { watermark, segment, failures })
    }

    /// Goes on in a new segment after a failure. The manifest of the next snapshot will name it.
    fn restart(&mut self) -> Result<FileId, Arc<LogError>> {
        let segment = self.create().map_err(Arc::new)?;
        let id = segment.id;
        self.store.restart_segments(id);
        (self.segment, self.durable, self.fault) = (Some(segment), self.sequence, None);
        Ok(id)
    }

    fn write(&mut self, payloads: &[Vec<u8>]) -> Result<(), LogError> {
        let segment_bytes = usize::try_from(self.store.segment_bytes()).unwrap_or(usize::MAX);
        let mut buffer = Vec::new();
        for payload in payloads {
            let end = self.segment.as_ref().map_or(usize::MAX, |segment| segment.end);
            if end.saturating_add(buffer.len() + frame_len(payload.len())) > segment_bytes {
                self.flush(&mut buffer)?;
                self.roll()?;
            }
            self.sequence += 1;
            let number = self.segment.as_ref().map_or(0, |segment| segment.id.number);
            let (sequence, durable) = (self.sequence, self.durable);
            put_frame(&mut buffer, number, &Frame { sequence, durable, payload });
        }
        self.flush(&mut buffer)
    }

    fn flush(&mut self, buffer: &mut Vec<u8>) -> Result<(), LogError> {
        if let Some(segment) = &mut self.segment {
            write_all(&*segment.file, buffer, segment.end as u64)
                .map_err(|error| LogError::new("log could not be written", Some(error)))?;
            segment.end += buffer.len();
            self.bytes += buffer.len() as u64;
            // Half of the room for records is used.
            if segment.end as u64 > u64::midpoint(self.store.segment_bytes(), DATA as u64) {
                self.store.spare().want();
            }
        }
        buffer.clear();
        Ok(())
    }

    fn try_sync(&mut self) -> Result<(), LogError> {
        let Some(segment) = &self.segment else {
            return Err(LogError::new("log has no segment", None));
        };
        retry(|| segment.file.sync_data())
            .map_err(|error| LogError::new("log could not be synced", Some(error)))?;
        self.syncs += 1;
        self.durable = self.sequence;
        write_all(&*segment.file, &seal(segment.id, self.durable), BLOCK as u64)
            .map_err(|error| LogError::new("log could not be sealed", Some(error)))
    }

    /// Goes on in a new segment when everything in the current one is durable.
    fn roll(&mut self) -> Result<(), LogError> {
        if self.durable < self.sequence {
            self.try_sync()?;
        }
        let segment = self.create()?;
        self.name(segment)
    }

    fn name(&mut self, segment: OpenSegment) -> Result<(), LogError> {
        self.store
            .name_segment(segment.id)
            .map_err(|error| LogError::new("new segment could not be named", Some(error)))?;
        self.segment = Some(segment);
        Ok(())
    }

    fn create(&mut self) -> Result<OpenSegment, LogError> {
        self.store
            .create_segment(self.sequence + 1)
            .map_err(|error| LogError::new("new segment could not be created", Some(error)))
    }

    /// Remembers the failure, and makes sure that a crash is followed by a cold start.
    fn fail(&mut self, error: LogError) -> Arc<LogError> {
        let fault = Arc::new(error);
        self.segment = None;
        self.fault = Some(Arc::clone(&fault));
        self.store.distrust();
        fault
    }
}
