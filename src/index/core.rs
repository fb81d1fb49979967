//! `Core`: what a `CacheIndex` and its leases share.
//!
//! Invariants: at most one shard is locked at a time; no value of the caller's is dropped, and no
//! guard returned, while one is.

use super::dead_queue::DeadQueue;
use crate::config::{Config, DeadValues};
#[cfg(feature = "cloudimage")]
use crate::dry_run::{Extent, Matches};
use crate::freshness::Freshness;
use crate::hash::{Hashing, PathHash};
use crate::limits::Occupancy;
use crate::monotonic::TimeSource;
use crate::names::{OriginPath, VariantKey};
use crate::outcome::{DeadRecord, Insertion, PurgeOutcome, Purged};
use crate::scopes::{AtomicGeneration, Generation, Scopes, Tenant, Tenants};
use crate::selection::Selection;
use crate::severity::Severity;
use crate::shard::{FillStart, Leftovers, OpenFills, PathRef, PendingId, Shard, Shared};
use crate::stats::Stats;
use crate::sync::{AtomicU64, CachePadded, Mutex, Ordering, ShardLock};
use crate::variants::{NewVariant, Wanted};
use std::sync::Arc;

// The state that the handle and its leases share. The sweep that follows a flush visits all shards
// in order, one step at a time, as the index is used. `pass` is its position; `swept` is the broad
// invalidation up to which no dead entry is left in the tables. The whole index has one cursor,
// because a shard without traffic must be swept as well.
//
// Aligned to its own cache lines, because each lookup reads it and each lease counts its handle
// beside it.
#[repr(align(128))]
pub(crate) struct Core<V> {
    /// Identifies the index within the process.
    pub(super) id: u64,
    pub(super) shards: Box<[Cell<V>]>,
    pub(super) shared: Shared,
    pub(super) tenants: Tenants,
    pub(super) dead_values: DeadValues,
    pub(super) dead_queue: Mutex<DeadQueue<V>>,
    pub(super) pass: Mutex<Pass>,
    // Relaxed throughout. A thread that draws a conclusion from it about the dead queue locks that
    // queue afterwards. It therefore comes after the threads that filled the queue before they
    // raised this.
    pub(super) swept: AtomicGeneration,
    pub(super) prefix_purges: AtomicU64,
    pub(super) tenant_flushes: AtomicU64,
    pub(super) flushes: AtomicU64,
    pub(super) flushes_over_time: AtomicU64,
}

/// A shard and its open fills, on lines of their own: readers of the shard share its line, and each
/// fill writes to the other.
pub(super) struct Cell<V> {
    pub(super) shard: CachePadded<ShardLock<Shard<V>>>,
    pub(super) fills: CachePadded<OpenFills<V>>,
}

impl<V> Default for Cell<V> {
    fn default() -> Self {
        Self { shard: CachePadded::default(), fills: CachePadded::default() }
    }
}

/// How far the sweep has come.
#[derive(Debug, Default)]
pub(super) struct Pass {
    pub(super) shard: usize,
    /// The next value of `swept`, once the last shard is done. It is read before the first shard is
    /// begun.
    pub(super) target: Generation,
    /// How many restores are under way. While there are any, prefix rules do not retire.
    pub(super) restores: usize,
}

impl<V> Core<V> {
    pub(super) fn new(config: &Config) -> Self {
        // std's own counter, whatever `sync` uses: it orders nothing and must survive from one
        // index to the next.
        static NEXT_ID: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let time = TimeSource::new(config.manual_clock());
        let start = Generation::new(config.generation_after());
        let core = Self {
            id,
            shards: (0..config.shards()).map(|_| Cell::default()).collect(),
            shared: Shared {
                hashing: Hashing::new(),
                keys: Arc::default(),
                scopes: Scopes::new(config.max_prefix_rules(), time),
                occupancy: Occupancy::new(config.limits()),
                limits: config.limits().clone(),
            },
            tenants: Tenants::new(id),
            dead_values: config.dead_values(),
            dead_queue: Mutex::default(),
            pass: Mutex::default(),
            swept: AtomicGeneration::default(),
            prefix_purges: AtomicU64::default(),
            tenant_flushes: AtomicU64::default(),
            flushes: AtomicU64::default(),
            flushes_over_time: AtomicU64::default(),
        };
        if start > Generation::START {
            core.shared.scopes.start_after(start);
            core.swept.raise_relaxed(start);
            core.shards.iter().for_each(|cell| cell.shard.write().start_after(start));
        }
        core
    }

    pub(super) fn check(&self, tenant: &Tenant) {
        assert!(tenant.index() == self.id, "tenant {tenant:?} belongs to another index");
    }

    #[allow(clippy::inline_always, reason = "most of what a lookup of a missing path does")]
    #[inline(always)]
    pub(super) fn key<'a>(&self, tenant: &'a Tenant, path: &'a OriginPath<'_>) -> PathRef<'a> {
        self.named(tenant, path.as_str())
    }

    #[allow(clippy::inline_always, reason = "most of what a lookup of a missing path does")]
    #[inline(always)]
    pub(super) fn named<'a>(&self, tenant: &'a Tenant, path: &'a str) -> PathRef<'a> {
        self.check(tenant);
        let hash = self.shared.hashing.path(tenant.id(), path);
        PathRef { hash, tenant, path: path.as_bytes() }
    }

    pub(super) fn shard(&self, key: &PathRef<'_>) -> &ShardLock<Shard<V>> {
        &self.cell(key).shard.0
    }

    pub(super) fn fills(&self, key: &PathRef<'_>) -> &OpenFills<V> {
        &self.cell(key).fills.0
    }

    pub(super) fn cell(&self, key: &PathRef<'_>) -> &Cell<V> {
        self.cell_of(key.hash)
    }

    fn cell_of(&self, hash: PathHash) -> &Cell<V> {
        &self.shards[hash.shard(self.shards.len())]
    }

    #[allow(clippy::inline_always, reason = "a lease is all that calls it")]
    #[inline(always)]
    pub(crate) fn commit(
        &self,
        key: &PathRef<'_>,
        fill: (FillStart, Option<PendingId>),
        variant: &VariantKey<'_>,
        value: V,
    ) -> Insertion<V> {
        let (variant, fills) = (self.new_variant(variant, value), self.fills(key));
        self.store(key, |shard, shared, left| shard.commit(key, fill, variant, fills, shared, left))
    }

    /// A variant that is to be stored live.
    #[allow(clippy::inline_always, reason = "most of what it does is hashing")]
    #[inline(always)]
    pub(super) fn new_variant<'a>(
        &'a self,
        variant: &'a VariantKey<'_>,
        value: V,
    ) -> NewVariant<'a, V> {
        let wanted = Wanted::new(variant.as_str(), &self.shared.hashing);
        NewVariant { wanted, value, freshness: Freshness::Live }
    }

    /// The same as [`Self::write`] for a change that stores a value. Its result is large, and is
    /// not moved.
    #[allow(clippy::inline_always, reason = "an insert and a commit are all that call it")]
    #[inline(always)]
    pub(super) fn store(
        &self,
        key: &PathRef<'_>,
        change: impl FnOnce(&mut Shard<V>, &Shared, &mut Leftovers<V>) -> Insertion<V>,
    ) -> Insertion<V> {
        let mut left = Leftovers::default();
        let mut shard = self.shard(key).write();
        let insertion = change(&mut shard, &self.shared, &mut left);
        let Leftovers { dead_record, pending } = left;
        // Queue before unlocking: see `write`.
        let dropped = dead_record.and_then(|dead_record| self.queue_boxed(dead_record));
        drop(shard);
        // Dropped when nothing is locked any more.
        if let Some(dropped) = dropped {
            drop(dropped);
        }
        drop(pending);
        self.maintain();
        insertion
    }

    pub(crate) fn close(&self, hash: PathHash, began: FillStart, pending: Option<PendingId>) {
        // The pending value is dropped here, after the lock was released.
        drop(self.cell_of(hash).fills.0.close(hash, began, pending));
    }

    /// Changes the path's shard, queues or drops what died in it, and then sweeps a little.
    pub(super) fn write<R>(
        &self,
        key: &PathRef<'_>,
        change: impl FnOnce(&mut Shard<V>, &Shared) -> (R, Option<Box<DeadRecord<V>>>),
    ) -> R {
        let mut shard = self.shard(key).write();
        let (result, dead_record) = change(&mut shard, &self.shared);
        // Queue before unlocking, so that a later sweep of this shard can rely on every dead entry
        // already being in the queue.
        let dropped = dead_record.and_then(|dead_record| self.queue_boxed(dead_record));
        drop(shard);
        // Dropped when nothing is locked any more.
        drop(dropped);
        self.maintain();
        result
    }

    /// Purges a path, hard.
    // Not with `write`, and into `purged`, so that the variants are not moved.
    #[inline]
    pub(super) fn purge_path(&self, key: &PathRef<'_>, purged: &mut Purged<V>) {
        let Cell { shard, fills } = self.cell(key);
        let mut shard = shard.write();
        let mark = shard.mark_purge_of_path(key, fills, &self.shared);
        if shard.take_settled(key, &self.shared, &mut purged.variants) {
            drop(shard);
            (purged.generation, purged.voided) = (mark.generation, mark.overtaken);
        } else {
            let dead_record;
            (*purged, dead_record) = shard.purge_unsettled(key, mark, fills, &self.shared);
            let dropped = dead_record.and_then(|dead_record| self.queue_boxed(dead_record));
            drop(shard);
            drop(dropped);
        }
        self.maintain();
    }

    /// Purges paths, or variants of them, and locks each shard once. The outcomes are in the order
    /// of the paths.
    pub(crate) fn purge_each(
        &self,
        tenant: &Tenant,
        paths: &[(&str, Selection<'_>)],
        severity: Severity,
    ) -> Vec<PurgeOutcome<V>> {
        let shards = self.shards.len();
        let mut keys: Vec<_> = paths
            .iter()
            .map(|(path, selection)| (self.named(tenant, path), *selection))
            .enumerate()
            .collect();
        let shard_of = |key: &PathRef<'_>| key.hash.shard(shards);
        // Stable: where a path occurs twice, its turns stay in order.
        keys.sort_by_key(|(_, (key, _))| shard_of(key));
        let mut outcomes: Vec<_> = paths.iter().map(|_| None).collect();
        let mut dropped = Vec::new();
        for group in keys.chunk_by(|(_, (a, _)), (_, (b, _))| shard_of(a) == shard_of(b)) {
            let fills = self.fills(&group[0].1.0);
            let mut shard = self.shard(&group[0].1.0).write();
            for (at, (key, selection)) in group {
                let (outcome, dead_record) =
                    shard.purge(key, *selection, severity, fills, &self.shared);
                outcomes[*at] = Some(outcome);
                dropped.extend(dead_record.and_then(|dead_record| self.queue_boxed(dead_record)));
            }
        }
        drop(dropped);
        self.maintain();
        outcomes.into_iter().flatten().collect()
    }

    /// Returns the matches that a purge of the path would have now.
    #[cfg(feature = "cloudimage")]
    pub(crate) fn matches(
        &self,
        tenant: &Tenant,
        path: &OriginPath<'_>,
        selection: Selection<'_>,
    ) -> Matches {
        let key = self.key(tenant, path);
        self.shard(&key).read().matches(&key, selection, self.fills(&key), &self.shared)
    }

    /// How much a purge of the prefix would meet, shard by shard.
    #[cfg(feature = "cloudimage")]
    pub(crate) fn extent(&self, tenant: &Tenant, prefix: &str) -> Extent {
        self.check(tenant);
        let mut total = Extent::default();
        for Cell { shard, fills } in &self.shards {
            let extent = shard.read().extent(tenant, prefix, fills, &self.shared);
            total.live += extent.live;
            total.stale += extent.stale;
            total.fills += extent.fills;
        }
        total
    }

    /// The number of the last purge or flush that has begun.
    #[cfg(feature = "cloudimage")]
    pub(crate) fn newest_generation(&self) -> Generation {
        self.shared.scopes.clock.load_relaxed()
    }

    /// Queues dead values, or returns them to be dropped outside of the locks.
    pub(super) fn queue(&self, dead_record: DeadRecord<V>) -> Option<DeadRecord<V>> {
        match self.dead_values {
            DeadValues::Drop => Some(dead_record),
            DeadValues::Queue => {
                self.dead_queue.lock().push([dead_record]);
                None
            }
        }
    }

    #[cold]
    #[allow(
        clippy::boxed_local,
        clippy::unnecessary_box_returns,
        reason = "a write seldom has one, and moves it twice"
    )]
    fn queue_boxed(&self, dead_record: Box<DeadRecord<V>>) -> Option<Box<DeadRecord<V>>> {
        self.queue(*dead_record).map(Box::new)
    }

    #[cfg(fuzzing)]
    pub(super) fn check_invariants(&self) {
        let (mut paths, mut entries, mut any_dead, mut uses) = (0, 0, false, Vec::new());
        for (number, Cell { shard, fills }) in self.shards.iter().enumerate() {
            let belongs = |hash: PathHash| hash.shard(self.shards.len()) == number;
            let found = shard.read().check(fills, &self.shared, belongs, &mut uses);
            paths += found.paths;
            entries += found.entries;
            any_dead |= found.any_dead;
        }
        self.shared.keys.check(uses.into_iter());
        self.shared.occupancy.check(paths, entries);
        let (swept, broad) = (self.swept.load_relaxed(), self.shared.scopes.broad());
        assert!(swept <= broad && broad <= self.shared.scopes.clock.load_relaxed(), "generations");
        assert!(swept < broad || !any_dead, "dead entries behind the sweep");
        let is_restoring = self.pass.lock().restores > 0;
        let is_flushing = self.shared.scopes.open_spreads() > 0;
        let no_rules = self.shared.scopes.open_rules() == 0;
        let may_stay = swept < broad || is_restoring || is_flushing;
        assert!(may_stay || no_rules, "rules behind the sweep");
        self.dead_queue.lock().check();
    }

    pub(super) fn stats(&self) -> Stats {
        let running = self.shared.scopes.running().len();
        let mut total = Stats {
            tenants: self.tenants.len(),
            forgotten_tenants: self.tenants.forgotten(),
            prefix_rules: self.shared.scopes.open_rules(),
            prefix_purges: self.prefix_purges.load(Ordering::Relaxed),
            tenant_flushes: self.tenant_flushes.load(Ordering::Relaxed),
            flushes: self.flushes.load(Ordering::Relaxed),
            flushes_over_time: self.flushes_over_time.load(Ordering::Relaxed),
            running_flushes: running,
            bytes: self.shards.len() * size_of::<Cell<V>>()
                + self.shared.scopes.rule_bytes()
                + self.shared.keys.bytes(),
            ..Stats::default()
        };
        for Cell { shard, fills } in &self.shards {
            shard.read().add_stats(&self.shared, &mut total);
            let (leases, claims) = fills.leases();
            total.open_leases += leases;
            total.open_claims += claims;
            total.bytes += fills.bytes();
        }
        let dead_queue = self.dead_queue.lock();
        total.dead += dead_queue.entries();
        total.bytes += dead_queue.bytes();
        total
    }
}
