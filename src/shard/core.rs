//! One shard: the single-threaded core of the index, without locks.
//!
//! Invariants:
//! - Between two calls, a record has at least one variant.
//! - `settled` holds for all variants of a record: no hard invalidation up to `settled` reached any
//!   of them, and those that a soft one reached are marked stale.
//! - An operation reads generations inside the call, that is, under the lock of the shard. With a
//!   generation read before the lock, an insert that a flush overtook could remove entries that
//!   were stored after the flush.
//! - The shard does not drop values of the caller. It returns them, on their own or in a
//!   [`DeadRecord`].

use super::noted_purges::NotedPurges;
use super::path_ref::PathRef;
use super::table::{RecordId, RecordRef, Records};
use crate::cpu_prefetch::Stage;
use crate::freshness::Freshness;
use crate::hash::Hashing;
use crate::limits::{Limits, Occupancy};
use crate::outcome::Lookup;
use crate::scopes::{Generation, Scopes, Standing, Tallies, View};
use crate::stats::ShardStats;
use crate::variants::{Dictionary, Wanted};
use std::sync::Arc;

/// The data that all shards of an index share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) hashing: Hashing,
    pub(crate) keys: Arc<Dictionary>,
    pub(crate) scopes: Scopes,
    pub(crate) limits: Limits,
    pub(crate) occupancy: Occupancy,
}

#[derive(Debug)]
pub(crate) struct Shard<V> {
    pub(super) records: Records<V>,
    pub(super) tallies: Tallies,
    /// How many buckets of records the sweep under way has looked at, from the first on. Records
    /// that move while it is under way move towards the last.
    pub(super) swept: usize,
    /// How often buckets were merged, which moves records to earlier buckets.
    pub(super) merges: u64,
    /// How often a large set was built again, which moves its entries.
    pub(super) rebuilt: u64,
    /// The purges since a restore began, while one is under way.
    pub(super) noted: Option<Box<NotedPurges>>,
    pub(super) counters: ShardStats,
}

impl<V> Default for Shard<V> {
    fn default() -> Self {
        Self {
            records: Records::default(),
            tallies: Tallies::default(),
            swept: 0,
            merges: 0,
            rebuilt: 0,
            noted: None,
            counters: ShardStats::default(),
        }
    }
}

impl<V> Shard<V> {
    /// Makes a new shard count confirmed generations from where the index starts.
    pub(crate) fn start_after(&mut self, generation: Generation) {
        self.records.rebase(generation);
    }

    /// Fetches what a lookup is about to read.
    pub(crate) fn fetch(&self, stage: Stage, key: &PathRef<'_>) {
        self.records.fetch(stage, key.hash.table());
    }

    /// Fetches the memory that any operation on a path reads first.
    #[inline]
    pub(crate) fn fetch_bucket(&self, key: &PathRef<'_>) {
        self.records.fetch_bucket(key.hash.table());
    }

    /// Fetches the memory that adding a path writes, once its bucket was fetched.
    #[inline]
    pub(crate) fn fetch_ends(&self, key: &PathRef<'_>) {
        self.records.fetch_ends(key.hash.table());
    }

    /// Looks for a variant, which is asked for only if the path may be there.
    #[inline]
    pub(crate) fn lookup<'k>(
        &self,
        key: &PathRef<'_>,
        variant: impl FnOnce() -> Wanted<'k>,
        shared: &Shared,
    ) -> Lookup<V>
    where
        V: Clone,
    {
        match self.records.guess(key) {
            Some(guess) if guess.is_inside(key) => self.answer(guess, key, variant(), shared),
            None if !self.records.overflows(key) => Lookup::Miss,
            // A copy, made here: the original stays in registers.
            _ => self.lookup_again(key.copy(), variant, shared),
        }
    }

    /// The same after a wrong guess. Apart, because a record that comes from either way is kept in
    /// memory.
    #[cold]
    #[inline(never)]
    fn lookup_again<'k>(
        &self,
        key: PathRef<'_>,
        variant: impl FnOnce() -> Wanted<'k>,
        shared: &Shared,
    ) -> Lookup<V>
    where
        V: Clone,
    {
        let Some(record) = self.records.find(&key) else { return Lookup::Miss };
        self.answer(record, &key, variant(), shared)
    }

    #[allow(clippy::inline_always, reason = "a lookup has the record in registers")]
    #[inline(always)]
    fn answer(
        &self,
        record: RecordRef<'_, V>,
        key: &PathRef<'_>,
        wanted: Wanted<'_>,
        shared: &Shared,
    ) -> Lookup<V>
    where
        V: Clone,
    {
        let Some((value, freshness)) = record.look_up(wanted, &shared.keys) else {
            return Lookup::Miss;
        };
        // Nearly always one comparison: no broad invalidation since the record was last touched.
        let standing = if record.settled() >= shared.scopes.broad() {
            Standing::Untouched
        } else {
            self.standing_now(record.id(), freshness, key.copy(), shared)
        };
        match standing {
            Standing::Dead => Lookup::Miss,
            Standing::Untouched if !freshness.is_stale() => Lookup::Live(value.clone()),
            Standing::Untouched | Standing::Stale => Lookup::Stale(value.clone()),
        }
    }

    /// Returns the standing of a variant after a broad invalidation. Confirms an untouched record,
    /// for the next lookup.
    #[inline(never)]
    fn standing_now(
        &self,
        id: RecordId,
        freshness: Freshness,
        key: PathRef<'_>,
        shared: &Shared,
    ) -> Standing {
        let record = self.records.get(id);
        if record.is_confirmed(shared.scopes.broad()) {
            return Standing::Untouched;
        }
        let settled = record.settled();
        let view = shared.scopes.view_of(key.tenant, key.path, settled);
        let standing = view.standing_of(settled, freshness);
        // Not while a flush over time covers it: it dies later.
        if standing == Standing::Untouched && view.settles_to(settled) == view.as_of {
            record.confirm(view.as_of);
        }
        standing
    }

    /// Returns the current view of the scopes that cover the path.
    #[inline]
    pub(super) fn view(key: &PathRef<'_>, shared: &Shared) -> View {
        shared.scopes.view_of(key.tenant, key.path, Generation::START)
    }

    /// Adds this shard's part to the totals.
    pub(crate) fn add_stats(&self, shared: &Shared, total: &mut crate::Stats) {
        for tally in self.tallies.iter() {
            let counts = tally.counts_in(&shared.scopes.view(&tally.tenant));
            total.paths += counts.paths;
            total.live += counts.live;
            total.stale += counts.stale;
            total.dead += counts.dead;
        }
        self.counters.add_to(total);
        total.bytes += self.records.bytes() + self.tallies.structure_bytes();
        total.bytes += self.noted.as_ref().map_or(0, |noted| noted.bytes());
    }
}
