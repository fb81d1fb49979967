//! From a directory to a store and an index.
//!
//! Invariant: nothing on disk is changed before it is known whether the start is warm or cold, and
//! nothing that a warm start needs is removed before the new manifest is durable.

use crate::carried::Carried;
use crate::codec::Codec;
use crate::config::PersistConfig;
use crate::core_hooks::Core;
use crate::damage::{ColdKind, ColdReason};
use crate::layer::{FileLayer, LayerLock, read_all, read_file, retry, write_all};
use crate::manifest::Manifest;
use crate::names::{FileId, FileName, LOCK, MANIFEST};
use crate::outcome::{PersistError, Recovery};
use crate::segment;
use crate::snapshot;
use crate::store::Store;
use crate::writer::Writer;
use cache_index::CacheIndex;
use std::io;
use std::sync::Arc;

/// The parts of an open index.
#[derive(Debug)]
pub(crate) struct Recovered<V> {
    pub(crate) core: Core<V>,
    pub(crate) store: Arc<Store>,
    pub(crate) writer: Writer,
    pub(crate) recovery: Recovery,
    pub(crate) carried: Carried,
}

/// The data that could be loaded.
struct Loaded<V> {
    core: Core<V>,
    /// The last record of the log.
    sequence: u64,
    recovery: Recovery,
    carried: Carried,
    /// The size of the log on disk, in bytes.
    bytes: u64,
    /// The last segment and where its records end, for a tear to be cut off.
    last: Option<(FileId, usize)>,
}

/// Opens a directory.
pub(crate) fn open<V: Codec + Clone>(
    layer: Arc<dyn FileLayer>,
    config: &PersistConfig,
) -> Result<Recovered<V>, PersistError> {
    let lock = retry(|| layer.lock(LOCK)).map_err(|error| {
        PersistError::caused("directory could not be locked: another process may use it", error)
    })?;
    let names = retry(|| layer.list())
        .map_err(|error| PersistError::caused("directory could not be read", error))?;
    let ids: Vec<FileId> =
        names.iter().filter_map(|name| FileName::parse(name)).map(FileName::id).collect();
    let manifest = Manifest::read(&*layer);
    // The names alone are enough: a damaged manifest must not make an incarnation come twice.
    let last = manifest.as_ref().map_or(0, |manifest| manifest.incarnation);
    let incarnation = ids.iter().map(|id| id.incarnation).fold(last, u64::max) + 1;
    let next_number = ids.iter().map(|id| id.number).fold(0, u64::max) + 1;
    let is_empty = ids.is_empty();

    let empty = || Core::new(CacheIndex::new(config.index().clone()));
    let loaded = manifest.and_then(|manifest| {
        load(&*layer, &manifest, empty()).map(|loaded| (Some(manifest), loaded))
    });
    let (old, loaded) = loaded.unwrap_or_else(|reason| {
        let is_new = is_empty && *reason.kind() == ColdKind::NoManifest;
        let recovery = if is_new { Recovery::New } else { Recovery::Cold { reason } };
        let carried = Carried::default();
        (None, Loaded { core: empty(), sequence: 0, recovery, carried, bytes: 0, last: None })
    });
    if let Some((id, end)) = loaded.last {
        settle(&*layer, id, end)
            .map_err(|error| PersistError::caused("end of the log could not be synced", error))?;
    }
    start(layer, lock, config, (incarnation, next_number), old, loaded).map_err(|error| {
        PersistError::caused("new segment or manifest could not be written", error)
    })
}

/// Starts a new segment in a new incarnation, and makes both known.
fn start<V>(
    layer: Arc<dyn FileLayer>,
    lock: Box<dyn LayerLock>,
    config: &PersistConfig,
    (incarnation, next_number): (u64, u64),
    old: Option<Manifest>,
    loaded: Loaded<V>,
) -> io::Result<Recovered<V>> {
    let manifest = Manifest {
        incarnation,
        closed: false,
        snapshot: old.as_ref().and_then(|old| old.snapshot),
        segments: old.map(|old| old.segments).unwrap_or_default(),
    };
    let store = Arc::new(Store::new(layer, lock, manifest, config.segment_bytes(), next_number));
    let segment = store.create_segment(loaded.sequence + 1)?;
    store.name_segment(segment.id())?;
    store.remove_unnamed();
    let writer = Writer::new(Arc::clone(&store), segment, loaded.sequence, loaded.bytes);
    let Loaded { core, recovery, carried, .. } = loaded;
    Ok(Recovered { core, store, writer, recovery, carried })
}

/// Loads the snapshot and replays the log.
fn load<V: Codec + Clone>(
    layer: &dyn FileLayer,
    manifest: &Manifest,
    core: Core<V>,
) -> Result<Loaded<V>, ColdReason> {
    let mut carried = Carried::default();
    let (watermark, entries, refused) = load_snapshot(layer, manifest, &core, &mut carried)?;
    let mut sequence = watermark;
    let (mut replayed, mut bytes, mut torn, mut last) = (0, 0, false, None);
    for (at, &id) in manifest.segments.iter().enumerate() {
        let is_last = at + 1 == manifest.segments.len();
        let name = FileName::Segment(id).to_string();
        let segment = read_segment(layer, id, is_last)?;
        if Some(segment.first_sequence) != sequence.checked_add(1) {
            return Err(ColdReason::damaged(&name, 0, "the record after the last one before it"));
        }
        for (_, record) in &segment.records {
            drop(core.replay(record));
            carried.add(record);
        }
        replayed += segment.records.len() as u64;
        sequence = segment.last_sequence;
        bytes += segment.bytes;
        torn = segment.is_torn;
        last = Some((id, segment.end));
    }
    if last.is_none() {
        return Err(ColdReason::damaged(MANIFEST, 0, "at least one segment"));
    }
    let recovery = Recovery::Warm { entries, refused, replayed, closed: manifest.closed, torn };
    Ok(Loaded { core, sequence, recovery, carried, bytes, last })
}

/// Reads one segment of the log.
pub(crate) fn read_segment(
    layer: &dyn FileLayer,
    id: FileId,
    is_last: bool,
) -> Result<segment::Segment, ColdReason> {
    let name = FileName::Segment(id).to_string();
    let unreadable = |error: &io::Error| ColdReason::unreadable(&name, error);
    let file = retry(|| layer.open(&name)).map_err(|error| unreadable(&error))?;
    let limit = PersistConfig::MAX_SEGMENT_BYTES;
    let bytes = read_file(&*file, limit).map_err(|error| unreadable(&error))?;
    let bytes = bytes.ok_or_else(|| {
        ColdReason::damaged(&name, limit, "the end of a segment of at most 1 GiB")
    })?;
    segment::read(id, is_last, &bytes)
}

/// Returns the watermark of the snapshot, and how many of its entries were stored and refused.
fn load_snapshot<V: Codec + Clone>(
    layer: &dyn FileLayer,
    manifest: &Manifest,
    core: &Core<V>,
    carried: &mut Carried,
) -> Result<(u64, u64, u64), ColdReason> {
    let Some(expected) = manifest.snapshot else { return Ok((0, 0, 0)) };
    let name = FileName::Snapshot(expected.id).to_string();
    let file =
        retry(|| layer.open(&name)).map_err(|error| ColdReason::unreadable(&name, &error))?;
    let mut stored = 0;
    let summary = snapshot::read(&*file, &expected, Some(V::NAME), |_, path| {
        let decode = |&(key, freshness, value): &(_, _, &[u8])| {
            V::decode(value).map(|value| (key, value, freshness))
        };
        let variants: Option<Vec<_>> = path.variants.iter().map(decode).collect();
        stored += core.restore(path.tenant, path.path, &variants?)?;
        Some(())
    })?;
    *carried = Carried::decode(&summary.carried)
        .ok_or_else(|| ColdReason::damaged(&name, expected.bytes, "well-formed carried data"))?;
    Ok((summary.watermark, stored, summary.entries - stored))
}

/// Makes what was replayed durable, and cuts off what was torn, so that the segment can be followed
/// by another.
fn settle(layer: &dyn FileLayer, id: FileId, end: usize) -> io::Result<()> {
    let file = retry(|| layer.open(&FileName::Segment(id).to_string()))?;
    let segment_bytes = retry(|| file.byte_len())?;
    let mut offset = end as u64;
    let mut buffer = vec![0; 1 << 16];
    let zeros = vec![0; 1 << 16];
    while offset < segment_bytes {
        let len = usize::try_from(segment_bytes - offset).unwrap_or(zeros.len()).min(zeros.len());
        read_all(&*file, &mut buffer[..len], offset)?;
        if buffer[..len].iter().any(|&byte| byte != 0) {
            write_all(&*file, &zeros[..len], offset)?;
        }
        offset += len as u64;
    }
    retry(|| file.sync_data())
}
