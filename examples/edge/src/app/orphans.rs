//! `Orphans`: objects of an earlier start that no entry names.
//!
//! Fills since the last snapshot lose their entries in a crash, while their objects stay. After a
//! start, one pass over all files deletes these, and counts the others.
//!
//! Invariant: the pass begins when all entries are loaded. Only objects of earlier incarnations are
//! deleted here. An object of this one may be about to get its entry.

use super::edge::Edge;
use super::files::{Found, ObjectFiles};
use super::store::ObjectId;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use tracing::{info, warn};

/// How often to look whether all entries are loaded.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The state of the pass.
///
/// Relaxed throughout: no other memory depends on these values.
#[derive(Debug, Default)]
pub(crate) struct Orphans {
    deleted: AtomicU64,
    is_done: AtomicBool,
    is_stopped: AtomicBool,
}

impl Orphans {
    /// How many objects were deleted.
    pub(crate) fn deleted(&self) -> u64 {
        self.deleted.load(Ordering::Relaxed)
    }

    /// Whether all files have been visited.
    pub(crate) fn is_done(&self) -> bool {
        self.is_done.load(Ordering::Relaxed)
    }

    /// Ends the pass early. The next start begins it again.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }
}

/// Visits all files of earlier incarnations: deletes those that no entry names, and counts the
/// others. It reads directories, so it belongs on a thread where that may take its time.
pub(crate) fn delete_orphans(edge: &Edge) {
    let orphans = &edge.orphans;
    while edge.index.is_loading() {
        if orphans.is_stopped.load(Ordering::Relaxed) {
            return;
        }
        // Not by waiting for the load, which could not be ended early.
        thread::sleep(LOOK_AGAIN);
    }
    if let Some(state) = edge.index.durable_state() {
        info!(state = state.recovery.describe(), "index loaded");
    }
    if let Some(files) = edge.store.files() {
        let named: HashSet<ObjectId> = edge.index.values().into_iter().collect();
        let current = edge.index.incarnation();
        let visited = files.visit(|found| {
            match found {
                Found::Object(id) if id.incarnation >= current => {}
                Found::Object(id) if named.contains(&id) => {
                    for evicted in edge.store.adopt(id) {
                        edge.evict(evicted);
                    }
                }
                Found::Object(id) => {
                    let deleted = edge.store.delete([id]) as u64;
                    orphans.deleted.fetch_add(deleted, Ordering::Relaxed);
                }
                Found::Unfinished(id, path) if id.incarnation < current => {
                    orphans.deleted.fetch_add(u64::from(remove(&path)), Ordering::Relaxed);
                }
                Found::Unfinished(..) => {}
            }
            !orphans.is_stopped.load(Ordering::Relaxed)
        });
        if let Err(error) = visited {
            warn!(%error, "orphans could not be deleted; the next start tries again");
            return;
        }
        info!(deleted = orphans.deleted(), objects = edge.store.len(), "orphans deleted");
    }
    orphans.is_done.store(true, Ordering::Relaxed);
}

fn remove(path: &Path) -> bool {
    fs::remove_file(path).is_ok()
}

/// Deletes all objects, of any incarnation.
///
/// # Errors
/// If one can't be deleted: its id may be assigned again.
pub(crate) fn delete_all(files: &ObjectFiles) -> io::Result<()> {
    let mut result = Ok(());
    files.visit(|found| {
        result = match found {
            Found::Object(id) => files.delete(id),
            Found::Unfinished(_, path) => fs::remove_file(path),
        };
        result.is_ok()
    })?;
    result
}
