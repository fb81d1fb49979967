//! A directory in memory with files of a persistent index, and the laws that every content obeys.
//!
//! The files are written from `docs/format.md`, not by the crate.

#![allow(dead_code, reason = "each target writes other files")]

use cache_index_persist::inspect::{self, Directory};
use cache_index_persist::{
    ColdReason, FileLayer, LayerFile, LayerLock, PersistConfig, Persistent, Recovery, SyncPolicy,
};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub const MANIFEST: &str = "MANIFEST";
pub const LOG: &str = "log-0000000000000001-0000000000000002";
pub const SNAPSHOT: &str = "snap-0000000000000001-0000000000000003";

/// Incarnation and number in the names.
const LOG_ID: (u64, u64) = (1, 2);
const SNAPSHOT_ID: (u64, u64) = (1, 3);

const SEGMENT_BYTES: usize = 16 << 10;
const SNAPSHOT_HEADER: usize = 84;
const SNAPSHOT_FOOTER: usize = 40;
const FRAMES: usize = 8192;

/// Reading may take this much, as blocks of 2 MiB are allowed. A length that is believed without a
/// check takes gigabytes.
const MOST_BYTES: u64 = 16 << 20;

const OPENED: u32 = 128;
const OPENED_COLD: u32 = 2048;

type Content = Arc<Mutex<Vec<u8>>>;

/// A directory in memory.
#[derive(Clone, Debug, Default)]
pub struct Files(Arc<Mutex<BTreeMap<String, Content>>>);

#[derive(Debug)]
struct MemoryFile(Content);

#[derive(Debug)]
struct Lock;

impl LayerLock for Lock {}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Files {
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        locked(&self.0).insert(name.to_owned(), Arc::new(Mutex::new(bytes)));
    }

    fn find(&self, name: &str) -> io::Result<Content> {
        locked(&self.0).get(name).cloned().ok_or_else(|| ErrorKind::NotFound.into())
    }
}

impl FileLayer for Files {
    fn lock(&self, _: &str) -> io::Result<Box<dyn LayerLock>> {
        Ok(Box::new(Lock))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(locked(&self.0).keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn LayerFile>> {
        self.put(name, Vec::new());
        self.open(name)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn LayerFile>> {
        Ok(Box::new(MemoryFile(self.find(name)?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let content = self.find(from)?;
        let mut files = locked(&self.0);
        files.remove(from);
        files.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        locked(&self.0).remove(name).map(drop).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn sync_dir(&self) -> io::Result<()> {
        Ok(())
    }
}

impl LayerFile for MemoryFile {
    fn byte_len(&self) -> io::Result<u64> {
        Ok(locked(&self.0).len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let bytes = locked(&self.0);
        let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..));
        let rest = rest.unwrap_or_default();
        let len = buffer.len().min(rest.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn write_at(&self, written: &[u8], offset: u64) -> io::Result<usize> {
        let mut bytes = locked(&self.0);
        let offset = usize::try_from(offset).map_err(|_| ErrorKind::StorageFull)?;
        let len = bytes.len().max(offset + written.len());
        bytes.resize(len, 0);
        bytes[offset..offset + written.len()].copy_from_slice(written);
        Ok(written.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
}

fn put64(out: &mut Vec<u8>, numbers: &[u64]) {
    for number in numbers {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

fn put32(out: &mut Vec<u8>, numbers: &[u32]) {
    for number in numbers {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

fn number32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Writes the checksum of the first `end` bytes, in which its own place at 12 is zeros.
pub fn sign(bytes: &mut [u8], end: usize) {
    if bytes.len() < end {
        return;
    }
    bytes[12..16].fill(0);
    let crc = crc32c::crc32c(&bytes[..end]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
}

/// A manifest that names the log, and a snapshot of this length and digest.
pub fn manifest(snapshot: Option<(u64, u32)>) -> Vec<u8> {
    let mut out = b"cidx-man".to_vec();
    put32(&mut out, &[1, 0]);
    let (bytes, digest) = snapshot.unwrap_or_default();
    let id = if snapshot.is_some() { SNAPSHOT_ID } else { (0, 0) };
    let flags = if snapshot.is_some() { 2 } else { 0 };
    put64(&mut out, &[flags, 1, id.0, id.1, bytes, u64::from(digest), 1, LOG_ID.0, LOG_ID.1]);
    let end = out.len();
    sign(&mut out, end);
    out
}

/// A segment of the log that has these payloads in whole frames, numbered from `first` on.
pub fn segment(first: u64, payloads: &[&[u8]]) -> Vec<u8> {
    let mut out = b"cidx-log".to_vec();
    put32(&mut out, &[1, 0]);
    put64(&mut out, &[SEGMENT_BYTES as u64, LOG_ID.1, LOG_ID.0, first]);
    sign(&mut out, 48);
    out.resize(FRAMES, 0);
    for (payload, number) in payloads.iter().zip(first..) {
        let frame = out.len();
        put32(&mut out, &[u32::try_from(payload.len()).unwrap_or(u32::MAX), 0]);
        put64(&mut out, &[number, number - 1]);
        out.extend_from_slice(payload);
        sign_frame(&mut out[frame..]);
        out.resize(out.len().next_multiple_of(16), 0);
    }
    out.resize(out.len().next_multiple_of(4096).max(SEGMENT_BYTES), 0);
    let len = out.len() as u64;
    out[16..24].copy_from_slice(&len.to_le_bytes());
    sign(&mut out, 48);
    out
}

/// A segment with this header, seal and frames, as they are.
pub fn laid_out(bytes: &[u8]) -> Vec<u8> {
    let (header, rest) = bytes.split_at(bytes.len().min(48));
    let (seal, frames) = rest.split_at(rest.len().min(24));
    let mut out = vec![0; SEGMENT_BYTES];
    for (at, part) in [(0, header), (4096, seal), (FRAMES, frames)] {
        let len = part.len().min(SEGMENT_BYTES - at);
        out[at..at + len].copy_from_slice(&part[..len]);
    }
    out
}

/// Writes the checksum of the frame at the start of `bytes`. Returns its length, if it is whole.
pub fn sign_frame(bytes: &mut [u8]) -> Option<usize> {
    let len = number32(bytes, 0)?;
    let end = 24_usize.checked_add(usize::try_from(len).ok()?)?;
    let mut crc = crc32c::crc32c(&LOG_ID.1.to_le_bytes());
    crc = crc32c::crc32c_append(crc, &len.to_le_bytes());
    crc = crc32c::crc32c_append(crc, bytes.get(8..end)?);
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    Some(end.next_multiple_of(16))
}

/// The header of a snapshot of values of eight bytes.
pub fn snapshot_header(values: &str) -> Vec<u8> {
    let mut out = b"cidx-snp".to_vec();
    put32(&mut out, &[1, 0]);
    put64(&mut out, &[SNAPSHOT_ID.0, SNAPSHOT_ID.1, 0, 1_700_000_000_000]);
    put32(&mut out, &[8]);
    out.extend_from_slice(values.as_bytes());
    out.resize(SNAPSHOT_HEADER, 0);
    sign(&mut out, SNAPSHOT_HEADER);
    out
}

/// The header of a block, without its checksum, and its stored bytes.
pub fn block(raw_len: u32, paths: u32, stored: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put32(&mut out, &[u32::try_from(stored.len()).unwrap_or(u32::MAX), raw_len, paths, 0]);
    out.extend_from_slice(stored);
    out
}

/// Writes all checksums, and a footer in the place of the last bytes. Returns the digest.
///
/// The number of entries can only be counted by reading the blocks, so the caller passes it.
pub fn sign_snapshot(bytes: &mut [u8], entries: u64) -> u32 {
    let Some(end) = bytes.len().checked_sub(SNAPSHOT_FOOTER).filter(|&end| end >= SNAPSHOT_HEADER)
    else {
        return 0;
    };
    sign(bytes, SNAPSHOT_HEADER);
    let mut digest = crc32c::crc32c(&bytes[..SNAPSHOT_HEADER]);
    let (mut at, mut blocks, mut paths) = (SNAPSHOT_HEADER, 0_u64, 0_u64);
    while let Some(stored) = number32(&bytes[..end], at) {
        let stored_end = at.saturating_add(16).saturating_add(stored as usize);
        if stored_end > end {
            break;
        }
        let mut crc = crc32c::crc32c(&blocks.to_le_bytes());
        crc = crc32c::crc32c_append(crc, &bytes[at..at + 12]);
        crc = crc32c::crc32c_append(crc, &bytes[at + 16..stored_end]);
        bytes[at + 12..at + 16].copy_from_slice(&crc.to_le_bytes());
        digest = crc32c::crc32c_append(digest, &bytes[at..at + 16]);
        paths += u64::from(number32(bytes, at + 8).unwrap_or_default());
        blocks += 1;
        at = stored_end;
    }
    let mut footer = b"cidx-end".to_vec();
    put64(&mut footer, &[blocks, paths, entries]);
    put32(&mut footer, &[digest]);
    let crc = crc32c::crc32c(&footer);
    put32(&mut footer, &[crc]);
    bytes[end..].copy_from_slice(&footer);
    digest
}

/// Reads a directory, which must not panic and not take much memory.
pub fn look(files: &Files) -> Directory {
    let mut found = None;
    let taken = allocation_counter::measure(|| {
        found = Some(inspect::directory_on(files, |_, _| ()).expect("the directory can be listed"));
    });
    assert!(taken.bytes_max <= MOST_BYTES, "reading took {} bytes", taken.bytes_max);
    found.expect("it was read")
}

/// Opens the directory as an index. The reason if it is cold.
pub fn open(files: &Files) -> (Persistent<u64>, Option<ColdReason>) {
    let config = PersistConfig::builder()
        .sync(SyncPolicy::Never)
        .snapshot_every(None)
        .segment_bytes(PersistConfig::MIN_SEGMENT_BYTES)
        .build()
        .expect("the settings are valid");
    let index = Persistent::open_on(Arc::new(files.clone()), config).expect("memory does not fail");
    let reason = match index.recovery() {
        Recovery::Cold { reason } => Some(reason.clone()),
        _ => None,
    };
    (index, reason)
}

/// Looks at a directory. Opens it, and opens it again, for one in `OPENED` contents that would
/// start warm, and one in `OPENED_COLD` others: opening starts threads, and is a hundred times
/// slower.
pub fn check(files: &Files, data: &[u8]) {
    let found = look(files);
    let rate = if found.cold_reason().is_none() { OPENED } else { OPENED_COLD };
    if crc32c::crc32c(data) % rate != 0 {
        return;
    }
    let (index, reason) = open(files);
    match (found.cold_reason(), &reason) {
        // Names and values are only checked by opening.
        (None, Some(reason)) => assert_eq!(reason.file(), SNAPSHOT, "{reason}"),
        (seen, reason) => assert_eq!(seen.is_some(), reason.is_some(), "{seen:?} {reason:?}"),
    }
    let entries = index.stats().live + index.stats().stale;
    let incarnation = index.incarnation();
    drop(index);
    let (again, reason) = open(files);
    assert_eq!(reason, None, "the first opening left a directory that is cold");
    assert!(again.incarnation() > incarnation);
    assert_eq!(again.stats().live + again.stats().stale, entries);
}
