//! Indexes that are kept in a directory.
//!
//! Each item has `#[cfg]` by itself: so the header guards it by `CI_WITH_DURABLE`.

use crate::backing::{Backing, Known};
use crate::boundary::{Out, OutStruct, borrow, guard, hand_over, hand_over_made, settings, sized};
use crate::entries::ci_entries;
use crate::error::{
    CI_ERR_IO, CI_KIND_SIZE, CI_MESSAGE_SIZE, CI_OK, Failure, ci_error, terminated,
};
use crate::index::{ci_config, ci_index, config_or_default, flag};
use crate::purge::{CI_DURABLE, CI_NOT_DURABLE, CI_WRITTEN};
use crate::text::ci_str;
use cache_index::Config;
use cache_index_persist::{
    ColdKind, ColdReason, Durability, PersistConfig, PersistError, Persistent, Recovery, SyncPolicy,
};
use std::error::Error;
use std::ffi::{OsStr, c_char, c_int};
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

/// Invalidations are synced before they are acknowledged, as CI_DURABLE. Concurrent calls share one
/// sync.
#[cfg(feature = "durable")]
pub const CI_SYNC_ALWAYS: c_int = 0;

/// Invalidations are acknowledged as CI_WRITTEN, and synced `sync_ms` later.
#[cfg(feature = "durable")]
pub const CI_SYNC_EVERY: c_int = 1;

/// Invalidations are acknowledged as CI_WRITTEN, and synced when the operating system does it.
#[cfg(feature = "durable")]
pub const CI_SYNC_NEVER: c_int = 2;

/// The directory was empty, missing, or without the files of an index. Each object that you still
/// have is an orphan; or the name of the directory is wrong.
#[cfg(feature = "durable")]
pub const CI_RECOVERY_NEW: c_int = 0;

/// The snapshot was loaded and the log replayed: every acknowledged invalidation holds.
#[cfg(feature = "durable")]
pub const CI_RECOVERY_WARM: c_int = 1;

/// The files in the directory cannot be trusted: the index is empty.
#[cfg(feature = "durable")]
pub const CI_RECOVERY_COLD: c_int = 2;

/// The snapshot is being loaded while the index is used. An entry that is not loaded yet is a miss.
#[cfg(feature = "durable")]
pub const CI_RECOVERY_LOADING: c_int = 3;

/// How an index is kept in a directory. Set `size` to `sizeof(struct ci_durable_config)` and the
/// rest to zero, which stands for the defaults.
#[cfg(feature = "durable")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ci_durable_config {
    /// `sizeof(struct ci_durable_config)`.
    pub size: usize,
    /// CI_SYNC_ALWAYS, CI_SYNC_EVERY or CI_SYNC_NEVER.
    pub sync: c_int,
    /// 0: snapshots are written in the background. 1: only by `ci_durable_snapshot` and
    /// `ci_durable_close`; the log grows until then.
    pub no_background_snapshots: c_int,
    /// 0: `ci_durable_open` returns when all entries are loaded. 1: it returns before, and threads
    /// load them while the index is used.
    pub load_in_background: c_int,
    /// Zero.
    pub reserved: c_int,
    /// Milliseconds for CI_SYNC_EVERY, at least 1; else 0.
    pub sync_ms: u64,
    /// Milliseconds between two snapshots in the background; 300000 by default.
    pub snapshot_ms: u64,
    /// Bytes of log after which a snapshot is written in the background, at least 4096; 64 MiB by
    /// default.
    pub snapshot_bytes: u64,
    /// Bytes of a file of the log, a multiple of 4096 from 16384 to 1073741824; 4 MiB by default.
    pub segment_bytes: u64,
    /// Threads that load a snapshot, up to 64; by default as many as processors, at most 4.
    pub load_threads: usize,
}

/// The state that was found in the directory. Set `size` to `sizeof(struct ci_recovery)`.
#[cfg(feature = "durable")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ci_recovery {
    /// `sizeof(struct ci_recovery)`.
    pub size: usize,
    /// CI_RECOVERY_*, as the function returns it.
    pub state: c_int,
    /// Warm: 1 if the last process called `ci_durable_close`.
    pub closed: c_int,
    /// Warm: 1 if the log ended in the middle of a write that was not acknowledged.
    pub torn: c_int,
    /// Zero.
    pub reserved: c_int,
    /// Warm: entries that were loaded from the snapshot, before the log was replayed.
    pub entries: u64,
    /// Warm: entries that were refused, because the limits are lower than before.
    pub refused: u64,
    /// Warm: invalidations of the log that were replayed.
    pub replayed: u64,
    /// Cold: the name of the kind of reason, zero-terminated: "Damaged". Else empty.
    pub kind: [c_char; CI_KIND_SIZE],
    /// Cold: the reason, zero-terminated, which begins with the name of the file. Else empty.
    pub message: [c_char; CI_MESSAGE_SIZE],
}

/// Counts of the log and of snapshots since the index was opened. Set `size` to
/// `sizeof(struct ci_durable_stats)`.
#[cfg(feature = "durable")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ci_durable_stats {
    /// `sizeof(struct ci_durable_stats)`.
    pub size: usize,
    /// Invalidations that were given to the log.
    pub log_records: u64,
    /// Syncs of the log; fewer than records if callers shared them.
    pub log_syncs: u64,
    /// Bytes in the log since the last snapshot began.
    pub log_bytes: u64,
    /// Snapshots that were written.
    pub snapshots: u64,
    /// Snapshots that could not be written.
    pub failed_snapshots: u64,
    /// Entries of the snapshot that were loaded, while one is being loaded; else 0.
    pub loaded_entries: u64,
    /// Entries in the snapshot, while one is being loaded; else 0.
    pub all_entries: u64,
    /// 1 if the log has failed, so that invalidations are CI_NOT_DURABLE. A snapshot heals it.
    pub has_failed: c_int,
    /// 1 if a crash now would be followed by a warm start.
    pub would_start_warm: c_int,
}

/// A snapshot that was written. Set `size` to `sizeof(struct ci_snapshot)`.
#[cfg(feature = "durable")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ci_snapshot {
    /// `sizeof(struct ci_snapshot)`.
    pub size: usize,
    /// Live and stale entries in it.
    pub entries: u64,
    /// The length of the file.
    pub bytes: u64,
}

sized!(ci_durable_config, ci_recovery, ci_durable_stats, ci_snapshot);

/// Returns an error with its causes.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

#[cold]
pub(crate) fn not_done(error: &PersistError) -> Failure {
    Failure::new(CI_ERR_IO, "Io", with_causes(error))
}

/// Returns what is known of an invalidation that was logged.
pub(crate) fn known(durability: &Durability) -> Known {
    match durability {
        Durability::Durable => Known { durability: CI_DURABLE, failure: None },
        Durability::Written => Known { durability: CI_WRITTEN, failure: None },
        Durability::NotDurable(error) => not_durable(&with_causes(&**error)),
        _ => not_durable("the log reports a state that this version does not know"),
    }
}

#[cold]
fn not_durable(reason: &str) -> Known {
    let failure = Failure::new(CI_NOT_DURABLE, "NotDurable", reason);
    Known { durability: CI_NOT_DURABLE, failure: Some(failure) }
}

fn persist_config(index: Config, durable: &ci_durable_config) -> Result<PersistConfig, Failure> {
    let sync = match (durable.sync, durable.sync_ms) {
        (CI_SYNC_ALWAYS, 0) => SyncPolicy::Always,
        (CI_SYNC_NEVER, 0) => SyncPolicy::Never,
        (CI_SYNC_EVERY, ms) => SyncPolicy::Every(Duration::from_millis(ms)),
        (CI_SYNC_ALWAYS | CI_SYNC_NEVER, ms) => {
            let message = format_args!("sync_ms is {ms}: expected 0 without CI_SYNC_EVERY");
            return Err(Failure::argument(message));
        }
        (other, _) => {
            let expected = "expected CI_SYNC_ALWAYS, CI_SYNC_EVERY or CI_SYNC_NEVER";
            return Err(Failure::argument(format_args!("sync is {other}: {expected}")));
        }
    };
    let mut builder = PersistConfig::builder().index(index).sync(sync);
    if flag(durable.no_background_snapshots, "no_background_snapshots")? {
        if durable.snapshot_ms != 0 || durable.snapshot_bytes != 0 {
            let message = "no_background_snapshots is 1: expected snapshot_ms and snapshot_bytes 0";
            return Err(Failure::argument(message));
        }
        builder = builder.snapshot_every(None);
    }
    if durable.snapshot_ms != 0 {
        builder = builder.snapshot_every(Some(Duration::from_millis(durable.snapshot_ms)));
    }
    if durable.snapshot_bytes != 0 {
        builder = builder.snapshot_after_bytes(durable.snapshot_bytes);
    }
    if durable.segment_bytes != 0 {
        builder = builder.segment_bytes(durable.segment_bytes);
    }
    if durable.load_threads != 0 {
        builder = builder.load_threads(durable.load_threads);
    }
    if durable.reserved != 0 {
        let message = format_args!("reserved is {}: expected 0", durable.reserved);
        return Err(Failure::argument(message));
    }
    builder.build().map_err(|error| Failure::argument(&error))
}

fn kind(reason: &ColdReason) -> &'static str {
    match reason.kind() {
        ColdKind::NoManifest => "NoManifest",
        ColdKind::Missing => "Missing",
        ColdKind::Unreadable(_) => "Unreadable",
        ColdKind::Damaged { .. } => "Damaged",
        ColdKind::AcknowledgedRecordMissing { .. } => "AcknowledgedRecordMissing",
        ColdKind::UnknownVersion(_) => "UnknownVersion",
        ColdKind::UnknownRecord(_) => "UnknownRecord",
        ColdKind::OtherValues(_) => "OtherValues",
        _ => "Other",
    }
}

fn recovery_of(recovery: &Recovery) -> ci_recovery {
    let mut found = ci_recovery {
        size: 0,
        state: CI_RECOVERY_NEW,
        closed: 0,
        torn: 0,
        reserved: 0,
        entries: 0,
        refused: 0,
        replayed: 0,
        kind: [0; CI_KIND_SIZE],
        message: [0; CI_MESSAGE_SIZE],
    };
    match recovery {
        Recovery::New => {}
        Recovery::Warm { entries, refused, replayed, closed, torn, .. } => {
            found.state = CI_RECOVERY_WARM;
            (found.entries, found.refused, found.replayed) = (*entries, *refused, *replayed);
            (found.closed, found.torn) = (c_int::from(*closed), c_int::from(*torn));
        }
        Recovery::Loading => found.state = CI_RECOVERY_LOADING,
        Recovery::Cold { reason } => {
            found.state = CI_RECOVERY_COLD;
            (found.kind, found.message) =
                (terminated(kind(reason)), terminated(&reason.to_string()));
        }
        // Nothing that this version knows: nothing is to be trusted.
        _ => found.state = CI_RECOVERY_COLD,
    }
    found
}

/// # Safety
/// A pointer that is not NULL points to a valid index.
unsafe fn durable<'a>(index: *const ci_index) -> Result<&'a Persistent<u64>, Failure> {
    // SAFETY: as promised.
    match &unsafe { borrow(index, "index") }?.index {
        Backing::Durable(index) => Ok(index),
        #[cfg(feature = "fleet")]
        Backing::Fleet(member) => Ok(member.local()),
        Backing::Memory(_) => {
            Err(Failure::argument("index is in memory alone: expected one of ci_durable_open"))
        }
    }
}

/// Opens the index in a directory, which is created if it is missing. No other index, of this or
/// another process, may have it open. All functions accept such an index: purges and flushes are
/// applied, then logged, and say by `ci_purged.durability` and CI_NOT_DURABLE whether they survive
/// a crash. Fills are saved by snapshots: those since the last one are lost in a crash, and are
/// misses.
///
/// `directory` is the name as the operating system takes it, which need not be UTF-8. `config` and
/// `durable` may be NULL, for the defaults.
///
/// Files that cannot be trusted are never used: the index then starts empty. `ci_durable_recovery`
/// returns which it was, and `ci_durable_values` lists the objects that are still named. Ids of
/// objects must contain `ci_durable_incarnation`: pass it to `ci_ids_new`.
///
/// Owner: you; end it with `ci_durable_close` and `ci_index_free`. The index has threads of its
/// own, so open it after `fork`.
///
/// Reads and writes files. Returns CI_OK; CI_ERR_NULL, CI_ERR_SIZE, CI_ERR_TEXT, CI_ERR_ARGUMENT:
/// no file is touched; CI_ERR_IO: the directory is in use, or cannot be read or written.
#[cfg(feature = "durable")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_durable_open(
    directory: ci_str,
    config: *const ci_config,
    durable: *const ci_durable_config,
    out: *mut *mut ci_index,
    error: *mut ci_error,
) -> c_int {
    let make = || {
        // SAFETY: the caller passes a text that can be read, and NULL or valid structs.
        let (directory, config, durable) = unsafe {
            let directory = directory.bytes("directory")?;
            (directory, config_or_default(config)?, settings(durable, "durable")?)
        };
        if directory.is_empty() {
            let message = "directory is empty: expected the name of a directory";
            return Err(Failure::text("Empty", 0, message));
        }
        let later = durable.as_ref().map_or(0, |durable| durable.load_in_background);
        let later = flag(later, "load_in_background")?;
        let config = if let Some(durable) = &durable {
            persist_config(config, durable)?
        } else {
            let builder = PersistConfig::builder().index(config);
            builder.build().map_err(|error| Failure::argument(&error))?
        };
        let directory = Path::new(OsStr::from_bytes(directory));
        let open = if later { Persistent::open_serving } else { Persistent::open };
        let index = open(directory, config).map_err(|error| not_done(&error))?;
        Ok(ci_index::new(Backing::Durable(Box::new(index))))
    };
    // SAFETY: `out` and `error` are NULL or can be written to.
    unsafe { guard(error, || hand_over_made(out, make)) }
}

/// Writes to `*out` the state that was found in the directory. `out` may be NULL.
///
/// Any thread may call this at any time. Returns CI_RECOVERY_*; CI_ERR_NULL, CI_ERR_SIZE;
/// CI_ERR_ARGUMENT: the index is in memory alone.
#[cfg(feature = "durable")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_durable_recovery(
    index: *const ci_index,
    out: *mut ci_recovery,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or a valid index, and NULL or structs that can be written to.
    unsafe {
        guard(error, || {
            let (index, out) = (durable(index)?, OutStruct::new(out, "out")?);
            let found = recovery_of(index.recovery());
            out.write(found);
            Ok(found.state)
        })
    }
}

/// Waits until the snapshot is loaded, then does what `ci_durable_recovery` does. Only after
/// `load_in_background` there is something to wait for. Returns CI_RECOVERY_LOADING only if the
/// index was closed before.
///
/// Any thread may call this at any time. Returns as `ci_durable_recovery`.
#[cfg(feature = "durable")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_durable_wait(
    index: *const ci_index,
    out: *mut ci_recovery,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or a valid index, and NULL or structs that can be written to.
    unsafe {
        guard(error, || {
            let (index, out) = (durable(index)?, OutStruct::new(out, "out")?);
            let found = recovery_of(index.wait_until_loaded());
            out.write(found);
            Ok(found.state)
        })
    }
}

/// Writes the number of this opening to `*incarnation`. It is larger than those of all earlier
/// openings of the directory, and durable.
///
/// Any thread may call this at any time. Returns CI_OK; CI_ERR_NULL; CI_ERR_ARGUMENT: the index is
/// in memory alone.
#[cfg(feature = "durable")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_durable_incarnation(
    index: *const ci_index,
    incarnation: *mut u64,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or a valid index, and NULL or places that can be written to.
    unsafe {
        guard(error, || {
            let (index, out) = (durable(index)?, Out::new(incarnation, "incarnation")?);
            out.write(index.incarnation());
            Ok(CI_OK)
        })
    }
}

/// Lists all values that may be served, for finding objects that no entry names after a start.
/// First waits until the snapshot is loaded. A fill that is committed meanwhile may be missing: so
/// delete only objects whose id has an older incarnation than this one.
///
/// Takes eight bytes of memory for each value. `ci_entry` has the value alone.
///
/// Owner: `*entries` is yours; free it with `ci_entries_free`.
///
/// Any thread may call this at any time. It locks one shard after another, shared. Returns CI_OK;
/// CI_ERR_NULL; CI_ERR_ARGUMENT: the index is in memory alone.
#[cfg(feature = "durable")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_durable_values(
    index: *const ci_index,
    entries: *mut *mut ci_entries,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or a valid index, and NULL or places that can be written to.
    unsafe {
        guard(error, || {
            let (index, entries) = (durable(index)?, Out::new(entries, "entries")?);
            hand_over(&entries, ci_entries::values(index.values().collect()));
            Ok(CI_OK)
        })
    }
}

/// Writes a snapshot now, or as soon as the last one is loaded. Lookups, fills and invalidations go
/// on meanwhile. If the log has failed, a snapshot that succeeds starts a new one, and makes all
/// earlier invalidations durable. `out` may be NULL.
///
/// Any thread may call this at any time; one snapshot is written at a time. Returns CI_OK;
/// CI_ERR_NULL, CI_ERR_SIZE; CI_ERR_ARGUMENT: the index is in memory alone; CI_ERR_IO: the last
/// snapshot and the log remain in use.
#[cfg(feature = "durable")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_durable_snapshot(
    index: *const ci_index,
    out: *mut ci_snapshot,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or a valid index, and NULL or structs that can be written to.
    unsafe {
        guard(error, || {
            let (index, out) = (durable(index)?, OutStruct::new(out, "out")?);
            let written = index.snapshot().map_err(|error| not_done(&error))?;
            out.write(ci_snapshot { size: 0, entries: written.entries, bytes: written.bytes });
            Ok(CI_OK)
        })
    }
}

/// Reads the counts of the log and of snapshots.
///
/// Any thread may call this at any time. Returns CI_OK; CI_ERR_NULL, CI_ERR_SIZE; CI_ERR_ARGUMENT:
/// the index is in memory alone.
#[cfg(feature = "durable")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_durable_stats_get(
    index: *const ci_index,
    out: *mut ci_durable_stats,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or a valid index, and NULL or structs that can be written to.
    unsafe {
        guard(error, || {
            let (index, out) = (durable(index)?, OutStruct::required(out, "out")?);
            let (stats, loading) = (index.persist_stats(), index.loading());
            let (loaded_entries, all_entries) =
                loading.map_or((0, 0), |loading| (loading.entries, loading.all_entries));
            out.write(ci_durable_stats {
                size: 0,
                log_records: stats.log_records,
                log_syncs: stats.log_syncs,
                log_bytes: stats.log_bytes,
                snapshots: stats.snapshots,
                failed_snapshots: stats.failed_snapshots,
                loaded_entries,
                all_entries,
                has_failed: c_int::from(stats.fault.is_some()),
                would_start_warm: c_int::from(stats.would_start_warm),
            });
            Ok(CI_OK)
        })
    }
}

/// Writes a last snapshot, ends the threads, and releases the directory. Without it, the next start
/// is as after a crash. Later purges and flushes hold in memory, and return CI_NOT_DURABLE. A
/// second call has no effect. Free the index afterwards.
///
/// If a snapshot is still being loaded, no other one is written: the next start is as after a
/// crash.
///
/// Any thread may call this at any time. Returns CI_OK; CI_ERR_NULL; CI_ERR_ARGUMENT: the index is
/// in memory alone, or in a fleet, see `ci_fleet_leave`; CI_ERR_IO: the index is closed all the
/// same, and the next start is without the fills since the last snapshot, or cold.
#[cfg(feature = "durable")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_durable_close(index: *const ci_index, error: *mut ci_error) -> c_int {
    // SAFETY: the caller passes NULL or a valid index, and NULL or a struct that can be written to.
    unsafe {
        guard(error, || {
            let closing = durable(index)?;
            borrow(index, "index")?.index.alone()?;
            closing.close().map_err(|error| not_done(&error))?;
            Ok(CI_OK)
        })
    }
}
