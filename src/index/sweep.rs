//! The sweep: takes dead entries out of the tables, one bounded step at a time.
//!
//! Invariant: once a pass over all shards is published, nothing that died before the pass began is
//! left in a table.

use super::core::{Cell, Core, Pass};
use crate::outcome::{DeadRecord, Reclaimed};
use crate::scopes::Generation;
use crate::shard::Swept;

/// The number of records that each storing operation after a flush examines for dead entries: about
/// two buckets. At 16 records for each new path, a table is swept long before it could grow by
/// half. Dead entries are removed one path at a time, each under a separate lock acquisition, so
/// that readers of the shard wait for about 1 µs.
const STEP: usize = 16;

/// A shard that needs no sweeping still costs its lock, about as much as this many places.
const SHARD_VISIT: usize = 4;

impl<V> Core<V> {
    /// Sweeps one bounded step, if there is something to sweep and no other thread sweeps.
    #[inline]
    pub(super) fn maintain(&self) {
        if self.swept.load_relaxed() < self.shared.scopes.broad() {
            self.sweep_on();
        }
    }

    #[cold]
    fn sweep_on(&self) {
        let Some(mut pass) = self.pass.try_lock() else { return };
        let mut dropped = Vec::new();
        let mut budget = STEP;
        while budget > 0 && self.swept.load_relaxed() < self.shared.scopes.broad() {
            let looked_at = self.step(&mut pass, budget, |dead_record| {
                dropped.extend(self.queue(dead_record));
            });
            budget = budget.saturating_sub(looked_at);
        }
        drop(pass);
        drop(dropped);
    }

    /// Sweeps on in the shard whose turn it is, passes on a path that died there, and returns how
    /// many places that is worth.
    fn step(&self, pass: &mut Pass, places: usize, take: impl FnOnce(DeadRecord<V>)) -> usize {
        if pass.shard == 0 && pass.target == Generation::START {
            // Read before the first shard is visited: a newer target would cover entries that were
            // not examined.
            pass.target = self.shared.scopes.broad();
        }
        let Cell { shard, fills } = &self.shards[pass.shard];
        let Swept { looked_at, dead_record, done } =
            shard.write().sweep(places, fills, &self.shared);
        // Queue before the end of the pass is published: a thread that reads it as published finds
        // the dead entries in the queue.
        dead_record.map(take);
        if done {
            pass.shard += 1;
        }
        if pass.shard == self.shards.len() {
            self.swept.raise_relaxed(pass.target);
            self.shared.scopes.retire_spreads(pass.target);
            // A restore checks its entries against the rules since it began.
            if pass.restores == 0 {
                self.shared.scopes.retire_rules(pass.target);
            }
            *pass = Pass { restores: pass.restores, ..Pass::default() };
        }
        if done { looked_at.max(SHARD_VISIT) } else { looked_at }
    }

    pub(super) fn reclaim(&self, limit: usize) -> Reclaimed<V> {
        self.shared.scopes.notice_time();
        let target = self.shared.scopes.broad();
        let mut entries = Vec::new();
        let mut budget = limit.saturating_mul(16).saturating_add(4096);
        self.dead_queue.lock().take(limit, &mut entries);
        while entries.len() < limit && budget > 0 && self.swept.load_relaxed() < target {
            let places = STEP.min(budget);
            let looked_at = self.step(&mut self.pass.lock(), places, |dead_record| {
                self.dead_queue.lock().push([dead_record]);
            });
            budget = budget.saturating_sub(looked_at);
            self.dead_queue.lock().take(limit, &mut entries);
        }
        let done = self.swept.load_relaxed() >= target && self.dead_queue.lock().entries() == 0;
        Reclaimed { entries, done }
    }
}
