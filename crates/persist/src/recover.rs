//! From a directory to a store and an index.
//!
//! Invariant: nothing on disk is changed before it is known whether the start is warm or cold, and
//! nothing that a warm start needs is removed before the new manifest is durable.

use crate::carried::Carried;
use crate::codec::Codec;
use crate::config::PersistConfig;
use crate::damage::{ColdKind, ColdReason};
use crate::layer::{FileLayer, LayerLock, read_all, read_file, retry, write_all};
use crate::load::{Load, LoadCounts};
use crate::manifest::Manifest;
use crate::names::{FileId, FileName, LOCK, MANIFEST};
use crate::outcome::{PersistError, Recovery};
use crate::record::Record;
use crate::replay::replay;
use crate::segment;
use crate::serving::Replayed;
use crate::snapshot::Snapshot;
use crate::store::Store;
use crate::writer::Writer;
use cache_index::{CacheIndex, Restore};
use std::io;
use std::sync::Arc;

/// The parts of an open index.
#[derive(Debug)]
pub(crate) struct Recovered<V> {
    pub(crate) index: CacheIndex<V>,
    pub(crate) store: Arc<Store>,
    pub(crate) writer: Writer,
    pub(crate) state: State<V>,
    pub(crate) carried: Carried,
}

/// The state that was found on disk, or the snapshot that is still to be loaded.
#[derive(Debug)]
pub(crate) enum State<V> {
    Known(Recovery),
    Loading { load: Box<Load>, restore: Restore<V>, replayed: Replayed },
}

/// When the entries of the snapshot are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Before the index is used.
    First,
    /// While it is used.
    Later,
}

/// The data that could be read.
struct Loaded<V> {
    index: CacheIndex<V>,
    /// The last record of the log.
    sequence: u64,
    state: State<V>,
    carried: Carried,
    /// The size of the log on disk, in bytes.
    bytes: u64,
    /// The last segment and where its records end, for a tear to be cut off.
    last: Option<(FileId, usize)>,
}

/// Opens a directory.
pub(crate) fn open<V: Codec + Send + Sync>(
    layer: Arc<dyn FileLayer>,
    config: &PersistConfig,
    when: When,
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

    let empty = || CacheIndex::new(config.index_of(incarnation));
    let loaded = manifest.and_then(|manifest| {
        load(&*layer, &manifest, empty(), config.load_threads(), when)
            .map(|loaded| (Some(manifest), loaded))
    });
    let (old, loaded) = loaded.unwrap_or_else(|reason| {
        let is_new = is_empty && *reason.kind() == ColdKind::NoManifest;
        let recovery = if is_new { Recovery::New } else { Recovery::Cold { reason } };
        let state = State::Known(recovery);
        let carried = Carried::default();
        (None, Loaded { index: empty(), sequence: 0, state, carried, bytes: 0, last: None })
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
    let Loaded { index, state, carried, .. } = loaded;
    Ok(Recovered { index, store, writer, state, carried })
}

/// Loads the snapshot and replays the log, or replays the log alone, over which the snapshot is to
/// be loaded.
fn load<V: Codec + Send + Sync>(
    layer: &dyn FileLayer,
    manifest: &Manifest,
    index: CacheIndex<V>,
    threads: usize,
    when: When,
) -> Result<Loaded<V>, ColdReason> {
    let snapshot = open_snapshot::<V>(layer, manifest)?;
    let watermark = snapshot.as_ref().map_or(0, |snapshot| snapshot.summary().watermark);
    let mut carried = snapshot.as_ref().map_or(Ok(Carried::default()), Snapshot::carried)?;
    let mut pending = None;
    let mut counts = LoadCounts::default();
    if let Some(load) = snapshot.map(Load::new) {
        let restore = index.begin_restore();
        if when == When::First {
            counts = load_now(&index, &load, &restore, threads)?;
        } else {
            pending = Some((load, restore));
        }
    }
    let forget = |name: &str| {
        let forget = || _ = index.forget_tenant(&index.tenant(name));
        match &pending {
            Some((load, _)) => load.forget(name, forget),
            None => forget(),
        }
    };
    let log = replay_log(layer, manifest, watermark, |record| {
        // How much of a flush over time has passed is not known: it has ended.
        drop(replay(&index, &record.clone().at_once(), forget));
        carried.add(record);
    })?;
    let state = match pending {
        None => State::Known(log.replayed.warm(counts)),
        Some((load, restore)) => {
            State::Loading { load: Box::new(load), restore, replayed: log.replayed }
        }
    };
    let Log { sequence, bytes, last, .. } = log;
    Ok(Loaded { index, sequence, state, carried, bytes, last })
}

/// Loads a whole snapshot.
fn load_now<V: Codec + Send + Sync>(
    index: &CacheIndex<V>,
    load: &Load,
    restore: &Restore<V>,
    threads: usize,
) -> Result<LoadCounts, ColdReason> {
    load.reserve(restore);
    let others = load.blocks().min(threads as u64).saturating_sub(1);
    std::thread::scope(|scope| {
        for _ in 0..others {
            // Without another thread, this one does all the work.
            let _ = std::thread::Builder::new().spawn_scoped(scope, || load.work(index, restore));
        }
        load.work(index, restore);
    });
    // It was not stopped without a reason.
    load.finish().map_err(|reason| reason.unwrap_or_else(|| load.wrong_counts()))
}

/// A log that was replayed.
struct Log {
    sequence: u64,
    bytes: u64,
    last: Option<(FileId, usize)>,
    replayed: Replayed,
}

/// Reads all segments, and passes on each record after the watermark.
fn replay_log(
    layer: &dyn FileLayer,
    manifest: &Manifest,
    watermark: u64,
    mut replay: impl FnMut(&Record),
) -> Result<Log, ColdReason> {
    let replayed = Replayed { records: 0, closed: manifest.closed, torn: false };
    let mut log = Log { sequence: watermark, bytes: 0, last: None, replayed };
    for (at, &id) in manifest.segments.iter().enumerate() {
        let is_last = at + 1 == manifest.segments.len();
        let segment = read_segment(layer, id, is_last)?;
        segment.check_order(id, log.sequence, at == 0)?;
        // The snapshot contains the records up to the watermark, and fills after them.
        for (_, record) in segment.records.iter().filter(|(sequence, _)| *sequence > watermark) {
            replay(record);
            log.replayed.records += 1;
        }
        log.replayed.torn = segment.is_torn;
        log.sequence = segment.last_sequence;
        log.bytes += segment.bytes;
        log.last = Some((id, segment.end));
    }
    if log.last.is_none() {
        return Err(ColdReason::damaged(MANIFEST, 0, "at least one segment"));
    }
    Ok(log)
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

fn open_snapshot<V: Codec>(
    layer: &dyn FileLayer,
    manifest: &Manifest,
) -> Result<Option<Snapshot>, ColdReason> {
    let Some(expected) = manifest.snapshot else { return Ok(None) };
    let name = FileName::Snapshot(expected.id).to_string();
    let file =
        retry(|| layer.open(&name)).map_err(|error| ColdReason::unreadable(&name, &error))?;
    Snapshot::open(file, &expected, Some(V::NAME)).map(Some)
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
        if !segment::is_zero(&buffer[..len]) {
            write_all(&*file, &zeros[..len], offset)?;
        }
        offset += len as u64;
    }
    retry(|| file.sync_data())
}
