//! The manifest: which files belong together.
//!
//! Invariant: the file on disk is replaced as a whole, and names only files that were durable
//! before. A directory without one is empty, or cold.

use crate::bytes::Reader;
use crate::damage::{ColdKind, ColdReason};
use crate::layer::{FileLayer, read_file, retry, write_all};
use crate::names::{END_OF_NUMBERS, FileId, MANIFEST, NEW_MANIFEST};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const MAGIC: [u8; 8] = *b"cidx-man";
const VERSION: u32 = 1;
const CLOSED: u8 = 1;
const HAS_SNAPSHOT: u8 = 2;

const MIN_LEN: usize = 72;

/// Far more segments than one snapshot leaves behind.
const MAX_LEN: u64 = 1 << 24;

/// How the manifest names a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotRef {
    pub(crate) id: FileId,
    pub(crate) bytes: u64,
    pub(crate) digest: u32,
}

/// The contents of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) incarnation: u64,
    /// Whether the last process ended by closing the index.
    pub(crate) closed: bool,
    pub(crate) snapshot: Option<SnapshotRef>,
    /// All segments of the log that are to be replayed, in order.
    pub(crate) segments: Vec<FileId>,
}

impl Manifest {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        let closed = if self.closed { CLOSED } else { 0 };
        let flags = if self.snapshot.is_some() { closed | HAS_SNAPSHOT } else { closed };
        let absent = SnapshotRef { id: FileId { incarnation: 0, number: 0 }, bytes: 0, digest: 0 };
        let snapshot = self.snapshot.unwrap_or(absent);
        for number in [
            u64::from(flags),
            self.incarnation,
            snapshot.id.incarnation,
            snapshot.id.number,
            snapshot.bytes,
            u64::from(snapshot.digest),
            self.segments.len() as u64,
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for segment in &self.segments {
            out.extend_from_slice(&segment.incarnation.to_le_bytes());
            out.extend_from_slice(&segment.number.to_le_bytes());
        }
        let crc = crc32c::crc32c(&out);
        out[12..16].copy_from_slice(&crc.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, ColdReason> {
        let damaged = |offset, expected| ColdReason::damaged(MANIFEST, offset, expected);
        let mut reader = Reader::new(bytes);
        if bytes.len() < MIN_LEN {
            return Err(damaged(0, "a manifest of at least 72 bytes"));
        }
        if reader.array() != Some(MAGIC) {
            return Err(damaged(0, "the magic of a manifest"));
        }
        let version = reader.number32().unwrap_or_default();
        if version != VERSION {
            return Err(ColdReason::new(MANIFEST, ColdKind::UnknownVersion(version)));
        }
        let crc = reader.number32();
        let mut unsigned = bytes.to_vec();
        unsigned[12..16].fill(0);
        if crc != Some(crc32c::crc32c(&unsigned)) {
            return Err(damaged(12, "the checksum of the manifest"));
        }
        let manifest = Self::fields(&mut reader)
            .filter(|_| reader.is_empty())
            .ok_or_else(|| damaged(reader.position() as u64, "a list of segments"))?;
        if manifest.incarnation >= END_OF_NUMBERS {
            return Err(damaged(24, "an incarnation below 2^63"));
        }
        Ok(manifest)
    }

    fn fields(reader: &mut Reader<'_>) -> Option<Self> {
        let flags = u8::try_from(reader.number64()?).ok()?;
        let incarnation = reader.number64()?;
        let id = Self::id(reader)?;
        let bytes = reader.number64()?;
        let digest = u32::try_from(reader.number64()?).ok()?;
        let count = usize::try_from(reader.number64()?).ok()?;
        if flags & !(CLOSED | HAS_SNAPSHOT) != 0 || count.checked_mul(16)? != reader.rest().len() {
            return None;
        }
        let segments = (0..count).map(|_| Self::id(reader));
        Some(Self {
            incarnation,
            closed: flags & CLOSED != 0,
            snapshot: (flags & HAS_SNAPSHOT != 0).then_some(SnapshotRef { id, bytes, digest }),
            segments: segments.collect::<Option<_>>()?,
        })
    }

    /// Reads the name of a file.
    fn id(reader: &mut Reader<'_>) -> Option<FileId> {
        let id = FileId { incarnation: reader.number64()?, number: reader.number64()? };
        (id.incarnation < END_OF_NUMBERS && id.number < END_OF_NUMBERS).then_some(id)
    }

    /// Reads the manifest of a directory.
    pub(crate) fn read(layer: &dyn FileLayer) -> Result<Self, ColdReason> {
        let unreadable = |error: &io::Error| match error.kind() {
            io::ErrorKind::NotFound => ColdReason::new(MANIFEST, ColdKind::NoManifest),
            _ => ColdReason::unreadable(MANIFEST, error),
        };
        let file = retry(|| layer.open(MANIFEST)).map_err(|error| unreadable(&error))?;
        match read_file(&*file, MAX_LEN) {
            Ok(Some(bytes)) => Self::decode(&bytes),
            Ok(None) => Err(ColdReason::damaged(MANIFEST, MAX_LEN, "the end of the manifest")),
            Err(error) => Err(unreadable(&error)),
        }
    }
}

/// The manifest of an open index: its content on disk, and the content of the next replacement.
///
/// Replacing the file can fail half way, and then the old one or the new one is there. As long as
/// the log is healthy, both name every segment that has records. After a failure of the log the
/// file is removed, and not written before a new snapshot is complete.
#[derive(Debug)]
pub(crate) struct Keeper {
    layer: Arc<dyn FileLayer>,
    current: Manifest,
    /// Whether the log has failed and no snapshot was completed since.
    is_distrusted: bool,
    /// Whether a crash now is followed by a replay of every current segment, or by a cold start.
    /// Read without the lock, so that no commit waits for a manifest that is being replaced.
    is_covered: Arc<AtomicBool>,
    failures: u64,
}

impl Keeper {
    /// Starts with a manifest that is still to be written.
    pub(crate) fn new(layer: Arc<dyn FileLayer>, current: Manifest) -> Self {
        Self {
            layer,
            current,
            is_distrusted: false,
            is_covered: Arc::new(AtomicBool::new(true)),
            failures: 0,
        }
    }

    pub(crate) fn current(&self) -> &Manifest {
        &self.current
    }

    pub(crate) fn failures(&self) -> u64 {
        self.failures
    }

    pub(crate) fn covered(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_covered)
    }

    pub(crate) fn is_trusted(&self) -> bool {
        !self.is_distrusted
    }

    /// Changes the manifest, and replaces the file unless it must not exist.
    pub(crate) fn update(&mut self, change: impl FnOnce(&mut Manifest)) -> io::Result<()> {
        change(&mut self.current);
        if self.is_distrusted { Ok(()) } else { self.write() }
    }

    /// Changes the manifest and replaces the file, which from now on can be trusted. If that fails,
    /// the change is undone.
    pub(crate) fn replace(&mut self, change: impl FnOnce(&mut Manifest)) -> io::Result<()> {
        let before = self.current.clone();
        change(&mut self.current);
        let written = self.write();
        if written.is_ok() {
            self.is_distrusted = false;
            self.is_covered.store(true, Ordering::SeqCst);
        } else {
            self.current = before;
            if self.is_distrusted {
                // The new file may be there all the same, and would not be kept up to date.
                self.remove();
            }
        }
        written
    }

    /// Lets the next manifest start with this segment. Until then there is none.
    pub(crate) fn restart(&mut self, segment: FileId) {
        self.current.segments = vec![segment];
    }

    /// Removes the file, so that a crash before the next [`Self::replace`] is followed by a cold
    /// start.
    pub(crate) fn distrust(&mut self) {
        self.failures += 1;
        self.is_distrusted = true;
        self.remove();
    }

    fn remove(&mut self) {
        let removed = match retry(|| self.layer.remove(MANIFEST)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => retry(|| self.layer.sync_dir()),
        };
        self.is_covered.store(removed.is_ok(), Ordering::SeqCst);
    }

    /// Replaces the file by the current manifest.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        let file = retry(|| self.layer.create(NEW_MANIFEST))?;
        write_all(&*file, &self.current.encode(), 0)?;
        retry(|| file.sync_data())?;
        retry(|| self.layer.rename(NEW_MANIFEST, MANIFEST))?;
        retry(|| self.layer.sync_dir())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(snapshot: bool) -> Manifest {
        let id = |number| FileId { incarnation: 3, number };
        Manifest {
            incarnation: 3,
            closed: !snapshot,
            snapshot: snapshot.then_some(SnapshotRef { id: id(4), bytes: 5, digest: 6 }),
            segments: vec![id(7), id(8)],
        }
    }

    #[test]
    fn manifests_round_trip() {
        for manifest in [manifest(true), manifest(false)] {
            assert_eq!(Manifest::decode(&manifest.encode()), Ok(manifest));
        }
    }

    #[test]
    fn numbers_that_leave_no_next_one_are_refused() {
        let incarnation = Manifest { incarnation: END_OF_NUMBERS, ..manifest(true) };
        let reason = Manifest::decode(&incarnation.encode()).unwrap_err().to_string();
        assert_eq!(reason, "MANIFEST at byte 24: expected an incarnation below 2^63");
        let id = FileId { incarnation: 3, number: u64::MAX };
        let segment = Manifest { segments: vec![id], ..manifest(true) };
        assert!(Manifest::decode(&segment.encode()).is_err());
        let largest = Manifest { incarnation: END_OF_NUMBERS - 1, ..manifest(true) };
        assert!(Manifest::decode(&largest.encode()).is_ok());
    }

    #[test]
    fn every_bit_and_every_length_counts() {
        let bytes = manifest(true).encode();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Manifest::decode(&flipped).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(Manifest::decode(&bytes[..len]).is_err(), "length {len}");
        }
    }

    #[test]
    fn a_later_version_is_named() {
        let mut bytes = manifest(true).encode();
        bytes[8] = 2;
        let reason = Manifest::decode(&bytes).unwrap_err();
        assert_eq!(reason.to_string(), "MANIFEST has format version 2: expected version 1");
    }
}
