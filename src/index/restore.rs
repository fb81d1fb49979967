//! `Restore`: putting entries back that an index held earlier, while it is already in use.
//!
//! Invariant: from the moment at which a restore begins in a shard until it ends, the shard notes
//! the purges of its paths, and prefix rules do not retire. So an entry that is restored later can
//! be checked against every invalidation since.
//!
//! ```text
//!   restore                            server
//!   restore = index.begin_restore()      .
//!     .                                index.purge(path)      notes the purge
//!   restore.path(path, entries)          .
//!   -> refused: purged                   .
//!     .                                lease.commit(path b, variant, new)
//!   restore.path(path b, [variant])      .
//!   -> refused: a newer value is there   .
//! ```
//!
//! Lock order: the sweep's pass, then a shard.

use super::cache_index::CacheIndex;
use super::core::{Cell, Core};
use crate::cpu_prefetch;
use crate::freshness::Freshness;
use crate::names::{OriginPath, VariantKey};
use crate::outcome::Restored;
use crate::scopes::Tenant;
use crate::shard::{Candidate, RestoreStart};
use crate::variants::RecentKeys;
use smallvec::SmallVec;
use std::fmt;
use std::sync::Arc;

/// Puts entries back that an index held earlier, such as those of a snapshot. The index may be in
/// use meanwhile.
///
/// An entry counts as one that began when the restore began. An invalidation since then reaches
/// it, whether the entry was restored at that moment or not: it is refused, or stored stale.
///
/// Purges of paths are noted while a restore is under way, also for paths that were restored
/// already. So memory grows with the number of purged paths, their tenants are not forgotten
/// completely, and prefix rules stay open, until the restore is dropped. For each path, 16 purges
/// of some variants are noted; a further one counts as a purge of all variants.
///
/// A restore keeps the index alive, and several threads can share it.
///
/// # Examples
///
/// ```
/// use cache_index::{CacheIndex, Freshness, Hard, Lookup, OriginPath, Refusal, VariantKey};
///
/// let index = CacheIndex::default();
/// let tenant = index.tenant("doc");
/// let birds = OriginPath::from_canonical("sample.li/birds.jpg")?;
/// let boat = OriginPath::from_canonical("sample.li/boat.jpg")?;
/// let small = VariantKey::from_canonical("?w=200")?;
/// let large = VariantKey::from_canonical("?w=900")?;
///
/// let restore = index.begin_restore();
/// // The server is in use: a picture is purged, and another one is fetched.
/// assert!(index.purge(&tenant, &birds, Hard).is_empty());
/// assert!(index.lease(&tenant, &boat).commit(&small, 20_u64).is_stored());
///
/// let restored = restore.path(&tenant, &birds, [(small.clone(), 7, Freshness::Live)]);
/// assert_eq!(restored.refused[0].reason, Refusal::Purged);
///
/// let both = [(small.clone(), 8, Freshness::Live), (large.clone(), 9, Freshness::Stale)];
/// let restored = restore.path(&tenant, &boat, both);
/// assert_eq!((restored.stored, restored.refused[0].reason), (1, Refusal::Newer));
/// drop(restore);
///
/// assert_eq!(index.lookup(&tenant, &birds, &small), Lookup::Miss);
/// assert_eq!(index.lookup(&tenant, &boat, &small), Lookup::Live(20));
/// assert_eq!(index.lookup(&tenant, &boat, &large), Lookup::Stale(9));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a restore that is dropped ends"]
pub struct Restore<V> {
    core: Arc<Core<V>>,
    /// When it began in each shard.
    began: Box<[RestoreStart]>,
    recent: Box<RecentKeys>,
}

impl<V> CacheIndex<V> {
    /// Begins to restore entries that are older than this call. [`Restore`] has a longer example.
    ///
    /// **Cost:** O(shards).
    /// **Locks:** the sweep, and one shard after another, exclusively, for a moment.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{CacheIndex, Freshness, Lookup, OriginPath, VariantKey};
    ///
    /// let index = CacheIndex::default();
    /// let tenant = index.tenant("doc");
    /// let (birds, small) = (OriginPath::opaque("birds.jpg")?, VariantKey::opaque("small")?);
    ///
    /// let restore = index.begin_restore();
    /// let entries = [(small.clone(), 7, Freshness::Stale)];
    /// assert_eq!(restore.path(&tenant, &birds, entries).stored, 1);
    /// assert_eq!(index.lookup(&tenant, &birds, &small), Lookup::Stale(7));
    /// # Ok::<(), cache_index::NameError>(())
    /// ```
    pub fn begin_restore(&self) -> Restore<V> {
        let core = Arc::clone(&self.core);
        // Before the first shard: a rule that has retired until then is older than the restore.
        core.pass.lock().restores += 1;
        let shards = core.shards.iter();
        let began = shards.map(|cell| cell.shard.write().begin_restore(&core.shared)).collect();
        Restore { core, began, recent: Box::default() }
    }
}

impl<V> Restore<V> {
    /// Makes room for about this number of paths that are not in the index yet, or for as many as
    /// the index may hold. It is a hint: without it, the tables grow while paths are stored, which
    /// takes longer.
    ///
    /// The room is about 16 bytes for each path. If it stays empty by half, it is given back by the
    /// cleanup after the next flush.
    ///
    /// **Cost:** O(paths).
    /// **Locks:** one shard after another, exclusively, in steps of about 16 µs.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{CacheIndex, Freshness, OriginPath, VariantKey};
    ///
    /// let index = CacheIndex::default();
    /// let tenant = index.tenant("doc");
    /// let key = VariantKey::from_canonical("?w=200")?;
    ///
    /// let restore = index.begin_restore();
    /// restore.reserve(1000);
    /// for number in 0..1000_u64 {
    ///     let path: OriginPath = format!("sample.li/{number}.jpg").parse()?;
    ///     let entries = [(key.borrowed(), number, Freshness::Live)];
    ///     assert_eq!(restore.path(&tenant, &path, entries).stored, 1);
    /// }
    /// drop(restore);
    /// assert_eq!(index.stats().live, 1000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reserve(&self, paths: usize) {
        let core = &self.core;
        let room = core.shared.limits.paths.and_then(|limit| usize::try_from(limit).ok());
        let paths = room.map_or(paths, |room| paths.min(room)).div_ceil(core.shards.len());
        for Cell { shard, .. } in &core.shards {
            let expected = shard.write().expect(paths);
            // Each step has a lock of its own.
            while !shard.write().grow_towards(expected) {}
        }
    }

    /// Lets the processor fetch the memory that [`path`](Self::path) needs for each of these paths.
    /// It is a hint, for about eight paths that are restored next: the processor waits for their
    /// memory at once, instead of for one after another. In a large index, a restore takes a third
    /// less time. On processors other than x86-64 and AArch64, it has no effect.
    ///
    /// **Cost:** O(paths), that of hashing them.
    /// **Locks:** one shard after another, shared, for a moment; twice for each path.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{CacheIndex, Freshness, OriginPath, VariantKey};
    ///
    /// let index = CacheIndex::default();
    /// let tenant = index.tenant("doc");
    /// let key = VariantKey::from_canonical("?w=200")?;
    /// let names = (0..1000).map(|number| format!("sample.li/{number}.jpg").parse());
    /// let paths = names.collect::<Result<Vec<OriginPath>, _>>()?;
    ///
    /// let restore = index.begin_restore();
    /// for paths in paths.chunks(8) {
    ///     restore.prefetch(&tenant, paths);
    ///     for path in paths {
    ///         let entries = [(key.borrowed(), 7, Freshness::Live)];
    ///         assert_eq!(restore.path(&tenant, path, entries).stored, 1);
    ///     }
    /// }
    /// drop(restore);
    /// assert_eq!(index.stats().live, 1000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn prefetch(&self, tenant: &Tenant, paths: &[OriginPath<'_>]) {
        self.core.check(tenant);
        if !cpu_prefetch::IS_KNOWN {
            return;
        }
        let keys: SmallVec<[_; 16]> =
            paths.iter().map(|path| self.core.key(tenant, path)).collect();
        for key in &keys {
            self.core.shard(key).read().fetch_bucket(key);
        }
        for key in &keys {
            self.core.shard(key).read().fetch_ends(key);
        }
    }

    /// Stores entries of a path, each unless
    /// - an invalidation since the restore began has killed it,
    /// - the index holds a value of the same variant, which is newer,
    /// - a limit of the index leaves no room for it.
    ///
    /// A soft invalidation since then makes it stale. Nothing is evicted to make room. A removal of
    /// an entry ([`CacheIndex::remove`]) is not an invalidation: an entry that is removed before it
    /// is restored is there afterwards.
    ///
    /// Entries of a path may be restored in several calls. All entries of a path at once cost less
    /// than one by one.
    ///
    /// **Cost:** O(entries) amortized, including a bounded cleanup step after a flush.
    /// **Locks:** one shard, exclusively, while the entries are written.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    pub fn path<'k>(
        &self,
        tenant: &Tenant,
        path: &OriginPath<'_>,
        entries: impl IntoIterator<Item = (VariantKey<'k>, V, Freshness)>,
    ) -> Restored<V> {
        let key = self.core.key(tenant, path);
        let hashing = &self.core.shared.hashing;
        let candidates = entries.into_iter().map(|(key, value, freshness)| {
            let sum = hashing.sum(key.as_str());
            Candidate { key, sum, value, freshness }
        });
        let candidates: Vec<_> = candidates.collect();
        let began = self.began[key.hash.shard(self.began.len())];
        let restored = self.core.write(&key, |shard, shared| {
            shard.restore(&key, began, candidates, &self.recent, shared)
        });
        Restored { stored: restored.stored, refused: restored.refused }
    }
}

impl<V> Drop for Restore<V> {
    fn drop(&mut self) {
        for cell in &self.core.shards {
            let noted = cell.shard.write().end_restore();
            drop(noted);
        }
        let mut pass = self.core.pass.lock();
        pass.restores -= 1;
        if pass.restores == 0 {
            // Those that stayed open for the restore alone.
            self.core.shared.scopes.retire_rules(self.core.swept.load_relaxed());
        }
    }
}

impl<V> fmt::Debug for Restore<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Restore").finish_non_exhaustive()
    }
}
