//! Looks at a directory without changing it.
//!
//! Not here: printing; see the example `cache-index-inspect`.

use crate::damage::ColdReason;
use crate::layer::{DiskLayer, FileLayer, retry};
use crate::manifest::Manifest;
use crate::names::{FileId, FileName, MANIFEST};
use crate::record::Record;
use crate::recover::read_segment;
use crate::snapshot;
use cache_index::Freshness;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// The content of a directory, as [`directory`] returns it.
///
/// # Examples
///
/// ```
/// use cache_index_persist::{PersistConfig, Persistent, inspect};
///
/// let dir = tempfile::tempdir()?;
/// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
/// let (path, key) = ("a/birds.jpg".parse()?, "?w=200".parse()?);
/// assert!(cache.insert(&cache.tenant("doc"), &path, &key, 7).is_stored());
/// cache.close()?;
///
/// let found = inspect::directory(dir.path(), |_, _| ())?;
/// assert!(found.manifest.as_ref().is_ok_and(|manifest| manifest.incarnation == 1));
/// let snapshot = found.snapshot.as_ref().unwrap().as_ref().unwrap();
/// assert_eq!((snapshot.entries, snapshot.tenants["doc"]), (1, 1));
/// assert_eq!(found.segments.len(), 1);
/// assert_eq!(found.cold_reason(), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Directory {
    /// All files, sorted by name.
    pub files: Vec<String>,
    /// The contents of the manifest, or why it cannot be used.
    pub manifest: Result<ManifestContents, ColdReason>,
    /// The snapshot that the manifest names.
    pub snapshot: Option<Result<SnapshotContents, ColdReason>>,
    /// The segments that the manifest names, in order.
    pub segments: Vec<SegmentContents>,
}

/// The contents of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ManifestContents {
    /// The number of the last opening.
    pub incarnation: u64,
    /// Whether it ended with a close.
    pub closed: bool,
    /// The name of the snapshot.
    pub snapshot: Option<String>,
    /// The names of the segments.
    pub segments: Vec<String>,
}

/// The content of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotContents {
    /// The name of the file.
    pub file: String,
    /// The length of the file.
    pub bytes: u64,
    /// When it was begun, in milliseconds since 1970, by the wall clock.
    pub unix_millis: u64,
    /// All records of the log up to this one are contained.
    pub watermark: u64,
    /// The name of the codec of its values.
    pub values: String,
    /// Blocks.
    pub blocks: u64,
    /// Paths; a path with many variants may count more than once.
    pub paths: u64,
    /// Entries.
    pub entries: u64,
    /// Stale entries among them.
    pub stale: u64,
    /// Entries of each tenant.
    pub tenants: BTreeMap<String, u64>,
}

/// The content of a segment of the log.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SegmentContents {
    /// The name of the file.
    pub file: String,
    /// The records with their numbers, or why they cannot be used. Records up to the
    /// [watermark](SnapshotContents::watermark) of the snapshot are contained in it, and are not
    /// replayed.
    pub records: Result<Vec<(u64, Record)>, ColdReason>,
    /// Whether the segment ends in the middle of a write that nobody had been promised.
    pub is_torn: bool,
}

impl ManifestContents {
    fn of(manifest: &Manifest) -> Self {
        let names = manifest.segments.iter().map(|&id| FileName::Segment(id).to_string());
        Self {
            incarnation: manifest.incarnation,
            closed: manifest.closed,
            snapshot: manifest.snapshot.map(|snapshot| FileName::Snapshot(snapshot.id).to_string()),
            segments: names.collect(),
        }
    }
}

impl Directory {
    fn without_manifest(files: Vec<String>, reason: ColdReason) -> Self {
        Self { files, manifest: Err(reason), snapshot: None, segments: Vec::new() }
    }

    /// Returns why an index would start cold here, or `None` if it would start warm. Only the
    /// values themselves are not checked.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::{PersistConfig, Persistent, inspect};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// drop(cache);
    /// assert_eq!(inspect::directory(dir.path(), |_, _| ())?.cold_reason(), None);
    /// std::fs::remove_file(dir.path().join("MANIFEST"))?;
    /// let found = inspect::directory(dir.path(), |_, _| ())?;
    /// assert_eq!(found.cold_reason().map(|reason| reason.file()), Some("MANIFEST"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cold_reason(&self) -> Option<&ColdReason> {
        let snapshot = self.snapshot.as_ref().and_then(|snapshot| snapshot.as_ref().err());
        let mut segments =
            self.segments.iter().filter_map(|segment| segment.records.as_ref().err());
        self.manifest.as_ref().err().or(snapshot).or_else(|| segments.next())
    }
}

/// Reads everything in a directory that its manifest names. `progress` is called with the bytes
/// read so far and in all.
///
/// The directory is not locked and not changed. Files may come and go if an index is open in it.
///
/// **Cost:** O(bytes of snapshot and log).
///
/// # Errors
/// If the directory cannot be listed.
///
/// # Examples
///
/// ```
/// use cache_index::Hard;
/// use cache_index_persist::{PersistConfig, Persistent, inspect};
///
/// let dir = tempfile::tempdir()?;
/// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
/// assert!(cache.on_behalf_of("alice").flush_all(Hard).is_durable());
/// drop(cache);
///
/// let found = inspect::directory(dir.path(), |_, _| ())?;
/// assert_eq!(found.cold_reason(), None);
/// let records = found.segments[0].records.as_ref().unwrap();
/// assert_eq!(records[0].1.by.as_deref(), Some("alice"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn directory(dir: impl AsRef<Path>, progress: impl FnMut(u64, u64)) -> io::Result<Directory> {
    // Without the constructor, which would create the directory.
    std::fs::read_dir(dir.as_ref())?;
    directory_on(&DiskLayer::open(dir.as_ref())?, progress)
}

/// Reads a directory as [`directory`] does, on another file layer than the operating system's.
///
/// **Cost:** as [`directory`].
///
/// # Errors
/// As [`directory`].
///
/// # Examples
///
/// ```
/// use cache_index_persist::{DiskLayer, PersistConfig, Persistent, inspect};
///
/// let dir = tempfile::tempdir()?;
/// Persistent::<u64>::open(dir.path(), PersistConfig::default())?.close()?;
/// let found = inspect::directory_on(&DiskLayer::open(dir.path())?, |_, _| ())?;
/// assert!(found.manifest.is_ok_and(|manifest| manifest.closed));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn directory_on(
    layer: &dyn FileLayer,
    mut progress: impl FnMut(u64, u64),
) -> io::Result<Directory> {
    let mut files = retry(|| layer.list())?;
    files.sort();
    let manifest = match Manifest::read(layer) {
        Ok(manifest) => manifest,
        Err(reason) => return Ok(Directory::without_manifest(files, reason)),
    };
    let contents = ManifestContents::of(&manifest);
    let len = |name: &String| layer.open(name).and_then(|file| file.byte_len()).unwrap_or(0);
    let total = contents.segments.iter().chain(&contents.snapshot).map(len).sum();
    let mut done = 0;
    let snapshot = manifest.snapshot.map(|_| {
        read_snapshot(layer, &manifest, |bytes| progress(bytes, total)).inspect(|snapshot| {
            done = snapshot.bytes;
        })
    });
    let mut sequence = match &snapshot {
        Some(Ok(snapshot)) => Some(snapshot.watermark),
        Some(Err(_)) => None,
        None => Some(0),
    };
    let mut segments = Vec::new();
    for (at, &id) in manifest.segments.iter().enumerate() {
        let is_last = at + 1 == manifest.segments.len();
        segments.push(segment(layer, id, (at == 0, is_last), &mut sequence));
        done += len(&FileName::Segment(id).to_string());
        progress(done, total);
    }
    let manifest = if segments.is_empty() {
        Err(ColdReason::damaged(MANIFEST, 0, "at least one segment"))
    } else {
        Ok(contents)
    };
    Ok(Directory { files, manifest, snapshot, segments })
}

fn segment(
    layer: &dyn FileLayer,
    id: FileId,
    (is_first, is_last): (bool, bool),
    sequence: &mut Option<u64>,
) -> SegmentContents {
    let file = FileName::Segment(id).to_string();
    let read = read_segment(layer, id, is_last).and_then(|segment| {
        if let Some(last) = *sequence {
            segment.check_order(id, last, is_first)?;
        }
        Ok(segment)
    });
    *sequence = read.as_ref().ok().map(|segment| segment.last_sequence);
    let is_torn = read.as_ref().is_ok_and(|segment| segment.is_torn);
    SegmentContents { file, records: read.map(|segment| segment.records), is_torn }
}

fn read_snapshot(
    layer: &dyn FileLayer,
    manifest: &Manifest,
    mut progress: impl FnMut(u64),
) -> Result<SnapshotContents, ColdReason> {
    let Some(expected) = manifest.snapshot else {
        return Err(ColdReason::damaged(MANIFEST, 0, "a snapshot"));
    };
    let name = FileName::Snapshot(expected.id).to_string();
    let file =
        retry(|| layer.open(&name)).map_err(|error| ColdReason::unreadable(&name, &error))?;
    let (mut stale, mut tenants) = (0, BTreeMap::<String, u64>::new());
    let summary = snapshot::read(file, &expected, None, |done, path| {
        progress(done);
        let is_stale = |&&(_, freshness, _): &&(_, Freshness, _)| freshness == Freshness::Stale;
        stale += path.variants.iter().filter(is_stale).count() as u64;
        *tenants.entry(path.tenant.to_owned()).or_default() += path.variants.len() as u64;
        Some(())
    })?;
    Ok(SnapshotContents {
        file: name,
        bytes: expected.bytes,
        unix_millis: summary.unix_millis,
        watermark: summary.watermark,
        values: summary.values,
        blocks: summary.blocks,
        paths: summary.paths,
        entries: summary.entries,
        stale,
        tenants,
    })
}
