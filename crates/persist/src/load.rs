//! `Load`: puts the entries of a snapshot back into an index, on one thread or on several.
//!
//! Invariant: a block is passed on only after its checksum was found right, and the manifest
//! vouches for the checksums of all blocks. So each restored entry is one that was saved, also if
//! a later block turns out to be damaged.

use crate::codec::Codec;
use crate::damage::ColdReason;
use crate::snapshot::{Block, Buffers, PathView, Paths, Position, Snapshot};
use cache_index::{CacheIndex, OriginPath, Refusal, Restore, Tenant, VariantKey};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Paths whose memory is fetched at the same time.
const TOGETHER: usize = 8;

/// A snapshot that is being loaded. Any number of threads can work on it.
#[derive(Debug)]
pub(crate) struct Load {
    snapshot: Snapshot,
    /// The block that is loaded next.
    next: Mutex<Position>,
    /// The tenants by name; `None` for one that was forgotten since the load began.
    tenants: Mutex<HashMap<String, Option<Tenant>>>,
    /// Why the snapshot cannot be used.
    failure: Mutex<Option<ColdReason>>,
    // Relaxed: threads that go on for a block too long do no harm.
    is_stopped: AtomicBool,
    // Relaxed: read after all threads have ended, or for people.
    blocks: AtomicU64,
    stored: AtomicU64,
    refused: AtomicU64,
    read: AtomicU64,
}

/// How much was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LoadCounts {
    pub(crate) stored: u64,
    /// Refused because of a limit.
    pub(crate) refused: u64,
}

impl Load {
    pub(crate) fn new(snapshot: Snapshot) -> Self {
        Self {
            next: Mutex::new(snapshot.first()),
            snapshot,
            tenants: Mutex::default(),
            failure: Mutex::default(),
            is_stopped: AtomicBool::new(false),
            blocks: AtomicU64::new(0),
            stored: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            read: AtomicU64::new(0),
        }
    }

    pub(crate) fn blocks(&self) -> u64 {
        self.snapshot.summary().blocks
    }

    pub(crate) fn entries(&self) -> u64 {
        self.snapshot.summary().entries
    }

    pub(crate) fn blocks_done(&self) -> u64 {
        self.blocks.load(Ordering::Relaxed)
    }

    /// Makes room in an index that is about to be loaded.
    pub(crate) fn reserve<V>(&self, restore: &Restore<V>) {
        restore.reserve(self.snapshot.likely_paths());
    }

    /// Lets all threads end after the block that they work on.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    /// Forgets a tenant, of which nothing is loaded from then on.
    pub(crate) fn forget<R>(&self, name: &str, forget: impl FnOnce() -> R) -> R {
        // Under the lock: a thread that asks for the name later must not get the next tenant of
        // that name.
        let mut tenants = self.tenants.lock();
        tenants.insert(name.to_owned(), None);
        forget()
    }

    fn tenant<V>(&self, index: &CacheIndex<V>, name: &str) -> Option<Tenant> {
        let mut tenants = self.tenants.lock();
        match tenants.get(name) {
            Some(tenant) => tenant.clone(),
            None => tenants.entry(name.to_owned()).or_insert(Some(index.tenant(name))).clone(),
        }
    }

    /// Loads blocks until none is left.
    pub(crate) fn work<V: Codec>(&self, index: &CacheIndex<V>, restore: &Restore<V>) {
        let mut buffers = Buffers::default();
        while !self.is_stopped.load(Ordering::Relaxed) {
            let block = self.snapshot.take_next(&mut self.next.lock());
            let Some(block) = block else { return };
            if !block.is_carried() {
                self.load_next(index, restore, &block, &mut buffers);
            }
            self.blocks.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn load_next<V: Codec>(
        &self,
        index: &CacheIndex<V>,
        restore: &Restore<V>,
        block: &Block,
        buffers: &mut Buffers,
    ) {
        let loaded = self.snapshot.block(block, buffers).and_then(|raw| {
            self.load_block(index, restore, raw, block.paths()).ok_or_else(|| {
                ColdReason::damaged(self.snapshot.name(), block.offset, "a well-formed block")
            })
        });
        if let Err(reason) = loaded {
            self.fail(reason);
        }
    }

    /// Gives up, for this reason.
    pub(crate) fn fail(&self, reason: ColdReason) {
        self.failure.lock().get_or_insert(reason);
        self.stop();
    }

    fn load_block<V: Codec>(
        &self,
        index: &CacheIndex<V>,
        restore: &Restore<V>,
        raw: &[u8],
        paths: u32,
    ) -> Option<()> {
        let mut paths = Paths::new(raw, paths, self.snapshot.summary().value_len())?;
        let mut views: [PathView<'_>; TOGETHER] = std::array::from_fn(|_| PathView::default());
        // The tenant of the paths before: mostly the same.
        let mut last: (&str, Option<Tenant>) = ("", None);
        let (mut counts, mut read) = (LoadCounts::default(), 0);
        loop {
            let mut count = 0;
            while count < TOGETHER && paths.next(&mut views[count])? {
                read += views[count].variants.len() as u64;
                count += 1;
            }
            for views in views[..count].chunk_by(|a, b| a.tenant == b.tenant) {
                if last.0 != views[0].tenant || last.1.is_none() {
                    last = (views[0].tenant, self.tenant(index, views[0].tenant));
                }
                // Nothing is loaded of a tenant that was forgotten.
                if let Some(tenant) = &last.1 {
                    load_paths(restore, tenant, views, &mut counts)?;
                }
            }
            if count < TOGETHER {
                break;
            }
        }
        self.stored.fetch_add(counts.stored, Ordering::Relaxed);
        self.refused.fetch_add(counts.refused, Ordering::Relaxed);
        self.read.fetch_add(read, Ordering::Relaxed);
        Some(())
    }

    /// Returns how many entries were stored and refused so far.
    pub(crate) fn counts(&self) -> LoadCounts {
        LoadCounts {
            stored: self.stored.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    /// Returns what was loaded, once all threads have ended.
    ///
    /// # Errors
    /// Why the snapshot cannot be used, or `None` if the load was stopped.
    pub(crate) fn finish(&self) -> Result<LoadCounts, Option<ColdReason>> {
        if let Some(reason) = self.failure.lock().clone() {
            return Err(Some(reason));
        }
        if self.blocks_done() < self.blocks() {
            return Err(None);
        }
        if self.read.load(Ordering::Relaxed) != self.entries() {
            return Err(Some(self.snapshot.wrong_counts()));
        }
        Ok(self.counts())
    }

    /// The reason if the entries are not as many as the snapshot names.
    pub(crate) fn wrong_counts(&self) -> ColdReason {
        self.snapshot.wrong_counts()
    }

    /// Returns the name of the file.
    pub(crate) fn file(&self) -> &str {
        self.snapshot.name()
    }
}

/// Loads paths of a tenant, at most [`TOGETHER`]. Returns `None` if one of them is not whole.
fn load_paths<V: Codec>(
    restore: &Restore<V>,
    tenant: &Tenant,
    views: &[PathView<'_>],
    counts: &mut LoadCounts,
) -> Option<()> {
    let paths = views.iter().map(|view| OriginPath::opaque(view.path).ok());
    let paths = paths.collect::<Option<Vec<_>>>()?;
    restore.prefetch(tenant, &paths);
    for (view, path) in views.iter().zip(&paths) {
        let mut is_whole = true;
        let entries = view.variants.iter().map_while(|&(key, freshness, value)| {
            let entry = VariantKey::opaque(key).ok().zip(V::decode(value));
            is_whole &= entry.is_some();
            entry.map(|(key, value)| (key, value, freshness))
        });
        // If an entry is not whole, nothing of the snapshot is kept.
        let restored = restore.path(tenant, path, entries);
        if !is_whole {
            return None;
        }
        counts.stored += restored.stored as u64;
        let reasons = restored.refused.iter().map(|refused| refused.reason);
        counts.refused += reasons.filter(|reason| is_limit(*reason)).count() as u64;
    }
    Some(())
}

/// Whether the entry was refused because the index has no room for it. Others were invalidated, or
/// are there already.
fn is_limit(reason: Refusal) -> bool {
    !matches!(reason, Refusal::Purged | Refusal::Flushed | Refusal::Forgotten | Refusal::Newer)
}
