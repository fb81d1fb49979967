//! One shard: the single-threaded core of the index, without locks.
//!
//! Invariants:
//! - A record has at least one variant, and `settled` never runs ahead of what is true of *all* its variants: none of them was
//!   reached by a hard invalidation up to `settled`, and those reached by a soft one are marked stale.
//! - Everything that compares generations reads them inside the call, that is, under the shard's lock. A generation read before
//!   the lock would let an insert that a flush overtook wipe what was stored after the flush.
//! - No value of the caller's is dropped in here: what goes is returned, or comes out as a [`Grave`].

use crate::generation::{AtomicGeneration, Generation};
use crate::hash::{Hashing, PathHash};
use crate::mode::Severity;
use crate::open_fills::{OpenFills, Overtaken};
use crate::outcome::{
    Freshness, Grave, Insertion, Lookup, Purged, Refusal, Refused, Softened, Stored,
};
use crate::scopes::{Scopes, Standing, View};
use crate::stats::ShardStats;
use crate::tally::Tallies;
use crate::tenant::Tenant;
use crate::variant::VariantKey;
use crate::variants::VariantSet;
use hashbrown::HashTable;
use hashbrown::hash_table::OccupiedEntry;
use std::sync::Arc;

/// What all shards of an index share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) hashing: Hashing,
    pub(crate) scopes: Scopes,
}

/// A path as the shard looks for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    pub(crate) hash: PathHash,
    pub(crate) tenant: &'a Tenant,
    pub(crate) path: &'a str,
}

/// The moment at which a fill began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Began {
    /// The number of the last invalidation that had begun. Decides against purges of the path, which happen under the same lock.
    pub(crate) clock: Generation,
    /// The number of the last broad invalidation that had happened. Decides against flushes.
    pub(crate) broad: Generation,
}

#[derive(Debug)]
struct Record<V> {
    hash: PathHash,
    tenant: u32,
    path: Box<str>,
    /// Moved forward by readers, too: what they find live they needn't find live again.
    settled: AtomicGeneration,
    variants: VariantSet<V>,
}

/// How far the sweep of this shard has come.
#[derive(Debug, Default)]
struct Sweep {
    cursor: usize,
    /// The size of the table that `cursor` points into; if it changes, records have moved and the sweep begins again.
    buckets: usize,
}

#[derive(Debug)]
pub(crate) struct Shard<V> {
    records: HashTable<Record<V>>,
    fills: OpenFills,
    tallies: Tallies,
    sweep: Sweep,
    counters: ShardStats,
    /// Bytes of the text of paths and variant keys.
    text: usize,
    /// Heap bytes of the variant sets.
    structure: usize,
}

impl<V> Default for Shard<V> {
    fn default() -> Self {
        Self {
            records: HashTable::new(),
            fills: OpenFills::default(),
            tallies: Tallies::default(),
            sweep: Sweep::default(),
            counters: ShardStats::default(),
            text: 0,
            structure: 0,
        }
    }
}

impl<V> Record<V> {
    fn is(&self, key: &Key<'_>) -> bool {
        self.tenant == key.tenant.id() && *self.path == *key.path
    }

    fn standing(&self, view: &View) -> Standing {
        view.standing(self.settled.load_relaxed())
    }

    fn text(&self) -> usize {
        self.path.len() + self.variants.text()
    }
}

impl<V> Shard<V> {
    /// Looks for a variant. What is found live is settled on the way.
    pub(crate) fn lookup(&self, key: &Key<'_>, variant: &str, cx: &Context) -> Lookup<V>
    where
        V: Clone,
    {
        let Some(record) = self.record(key) else { return Lookup::Miss };
        let Some(slot) = record.variants.get(variant, &cx.hashing) else { return Lookup::Miss };
        // Nearly always one comparison: no broad invalidation since the record was last touched.
        let standing = if record.settled.load_relaxed() >= cx.scopes.broad() {
            Standing::Untouched
        } else {
            let view = cx.scopes.view(key.tenant);
            let standing = record.standing(&view);
            if standing == Standing::Untouched {
                // Relaxed: a statement about the record that is true whoever reads it, and publishes nothing.
                record.settled.raise_relaxed(view.as_of);
            }
            standing
        };
        match standing {
            Standing::Dead => Lookup::Miss,
            Standing::Untouched if !slot.stale => Lookup::Live(slot.value.clone()),
            Standing::Untouched | Standing::Stale => Lookup::Stale(slot.value.clone()),
        }
    }

    /// The keys of the path's variants that may be served, in no particular order.
    pub(crate) fn variants(&self, key: &Key<'_>, cx: &Context) -> Vec<VariantKey<'static>> {
        let Some(record) = self.record(key) else { return Vec::new() };
        if record.standing(&cx.scopes.view(key.tenant)) == Standing::Dead {
            return Vec::new();
        }
        let keys = record.variants.iter().map(|slot| slot.key.to_string());
        keys.map(VariantKey::new_unchecked).collect()
    }

    /// Opens a fill of the path.
    pub(crate) fn open(&mut self, key: &Key<'_>, cx: &Context) -> (Arc<str>, Began) {
        let path = self.fills.open(key.hash, key.tenant.id(), key.path);
        let began = Began { clock: cx.scopes.clock.load_relaxed(), broad: cx.scopes.broad() };
        (path, began)
    }

    /// Closes a fill that came to nothing.
    pub(crate) fn close(&mut self, key: &Key<'_>, began: Began) {
        self.fills.close(key.hash, key.tenant.id(), key.path, began.clock);
    }

    /// Closes a fill with what it brought.
    pub(crate) fn commit(
        &mut self,
        key: &Key<'_>,
        began: Began,
        variant: &VariantKey<'_>,
        value: V,
        cx: &Context,
    ) -> (Insertion<V>, Option<Grave<V>>) {
        let view = cx.scopes.view(key.tenant);
        let overtaken = self.fills.close(key.hash, key.tenant.id(), key.path, began.clock);
        let reason = match (overtaken, view.standing(began.broad)) {
            (Overtaken::Hard, _) => Some(Refusal::Purged),
            (_, Standing::Dead) => Some(Refusal::Flushed),
            _ => None,
        };
        if let Some(reason) = reason {
            self.counters.refused(reason);
            return (Insertion::Refused(Refused { value, reason }), None);
        }
        let stale = overtaken == Overtaken::Softly || view.standing(began.broad) == Standing::Stale;
        let freshness = if stale { Freshness::Stale } else { Freshness::Live };
        self.store(key, variant, value, freshness, &view, cx)
    }

    /// Stores without a lease, as a fill that begins and ends now.
    pub(crate) fn insert(
        &mut self,
        key: &Key<'_>,
        variant: &VariantKey<'_>,
        value: V,
        cx: &Context,
    ) -> (Insertion<V>, Option<Grave<V>>) {
        let view = cx.scopes.view(key.tenant);
        self.store(key, variant, value, Freshness::Live, &view, cx)
    }

    /// Takes out a variant if it may still be served and holds the expected value.
    pub(crate) fn remove(
        &mut self,
        key: &Key<'_>,
        variant: &str,
        expected: &V,
        cx: &Context,
    ) -> Option<V>
    where
        V: PartialEq,
    {
        let view = cx.scopes.view(key.tenant);
        let mut entry = self.records.find_entry(key.hash.table(), |r| r.is(key)).ok()?;
        let record = entry.get();
        // The caller's `eq` runs before anything is changed: if it panics, nothing is harmed.
        if record.standing(&view) == Standing::Dead
            || record.variants.get(variant, &cx.hashing)?.value != *expected
        {
            return None;
        }
        let counts = self.tallies.at(key.tenant, &view);
        let record = entry.get_mut();
        if record.standing(&view) == Standing::Stale {
            record.variants.soften();
        }
        record.settled.raise_relaxed(view.as_of);
        let before = record.variants.structure_bytes();
        let slot = record.variants.remove(variant, &cx.hashing)?;
        self.structure = self.structure + record.variants.structure_bytes() - before;
        self.text -= slot.key.len();
        *(if slot.stale { &mut counts.stale } else { &mut counts.live }) -= 1;
        if record.variants.is_empty() {
            self.text -= record.path.len();
            counts.paths -= 1;
            entry.remove();
            self.tallies.prune(key.tenant.id());
        }
        Some(slot.value)
    }

    /// Purges the path. The outcome of the other mode is empty.
    pub(crate) fn purge(
        &mut self,
        key: &Key<'_>,
        severity: Severity,
        cx: &Context,
    ) -> (Purged<V>, Softened, Option<Grave<V>>) {
        let generation = cx.scopes.clock.next();
        let mut purged = Purged { generation, variants: VariantSet::default(), voided: 0 };
        let mut softened = Softened { generation, softened: 0, overtaken: 0 };
        let (hash, tenant) = (key.hash, key.tenant.id());
        self.counters.purges += 1;
        match severity {
            Severity::Hard => purged.voided = self.fills.purge(hash, tenant, key.path, generation),
            Severity::Soft => {
                softened.overtaken = self.fills.soften(hash, tenant, key.path, generation);
            }
        }
        let view = cx.scopes.view(key.tenant);
        let Ok(mut entry) = self.records.find_entry(hash.table(), |r| r.is(key)) else {
            return (purged, softened, None);
        };
        let counts = self.tallies.at(key.tenant, &view);
        let standing = entry.get().standing(&view);
        if standing == Standing::Dead {
            // What a flush has killed is not this purge's to hand over: it would be handed over twice.
            let grave = Self::bury(entry, key.tenant, &mut self.text, &mut self.structure);
            counts.dead -= grave.slots.len();
            counts.dead_paths -= 1;
            self.tallies.prune(tenant);
            return (purged, softened, Some(grave));
        }
        if severity == Severity::Soft {
            let record = entry.get_mut();
            let fresh = record.variants.soften();
            record.settled.raise_relaxed(view.as_of);
            if standing == Standing::Untouched {
                softened.softened = fresh;
                counts.live -= fresh;
                counts.stale += fresh;
            }
            return (purged, softened, None);
        }
        let (record, _) = entry.remove();
        let stale = match standing {
            Standing::Stale => record.variants.len(),
            _ => record.variants.stale(),
        };
        counts.paths -= 1;
        counts.stale -= stale;
        counts.live -= record.variants.len() - stale;
        self.text -= record.text();
        self.structure -= record.variants.structure_bytes();
        self.tallies.prune(tenant);
        purged.variants = record.variants;
        (purged, softened, None)
    }

    /// Settles the next `buckets` places of the table and takes dead records out of them. Says how many places it looked at and
    /// whether it reached the end.
    pub(crate) fn sweep(
        &mut self,
        buckets: usize,
        cx: &Context,
        graves: &mut Vec<Grave<V>>,
    ) -> (usize, bool) {
        if self.sweep.buckets != self.records.num_buckets() {
            self.sweep = Sweep { cursor: 0, buckets: self.records.num_buckets() };
        }
        let end = self.sweep.buckets.min(self.sweep.cursor.saturating_add(buckets));
        let begin = std::mem::replace(&mut self.sweep.cursor, end);
        for bucket in begin..end {
            self.sweep_bucket(bucket, cx, graves);
        }
        let done = end == self.sweep.buckets;
        if done {
            self.sweep.cursor = 0;
            self.shrink_if_sparse();
        }
        (end - begin, done)
    }

    fn sweep_bucket(&mut self, bucket: usize, cx: &Context, graves: &mut Vec<Grave<V>>) {
        let Some(record) = self.records.get_bucket_mut(bucket) else { return };
        if record.settled.load_relaxed() >= cx.scopes.broad() {
            return;
        }
        let id = record.tenant;
        let tenant = self.tallies.tenant(id).clone();
        let view = cx.scopes.view(&tenant);
        let counts = self.tallies.at(&tenant, &view);
        match record.standing(&view) {
            Standing::Dead => {
                let Ok(entry) = self.records.get_bucket_entry(bucket) else { return };
                let grave = Self::bury(entry, &tenant, &mut self.text, &mut self.structure);
                counts.dead -= grave.slots.len();
                counts.dead_paths -= 1;
                self.tallies.prune(id);
                graves.push(grave);
            }
            Standing::Stale => {
                record.variants.soften();
                record.settled.raise_relaxed(view.as_of);
            }
            Standing::Untouched => record.settled.raise_relaxed(view.as_of),
        }
    }

    /// Adds this shard's part to the totals.
    pub(crate) fn add_stats(&self, cx: &Context, total: &mut crate::Stats) {
        for tally in self.tallies.iter() {
            let counts = tally.counts_in(&cx.scopes.view(&tally.tenant));
            total.paths += counts.paths;
            total.live += counts.live;
            total.stale += counts.stale;
            total.dead += counts.dead;
        }
        total.open_leases += self.fills.leases();
        self.counters.add_to(total);
        total.bytes += self.text
            + self.structure
            + self.records.allocation_size()
            + self.fills.structure_bytes()
            + self.tallies.structure_bytes();
    }

    fn record(&self, key: &Key<'_>) -> Option<&Record<V>> {
        self.records.find(key.hash.table(), |record| record.is(key))
    }

    /// Stores what may be stored; what a flush killed of the path goes first.
    fn store(
        &mut self,
        key: &Key<'_>,
        variant: &VariantKey<'_>,
        value: V,
        freshness: Freshness,
        view: &View,
        cx: &Context,
    ) -> (Insertion<V>, Option<Grave<V>>) {
        let counts = self.tallies.at(key.tenant, view);
        let mut grave = None;
        let known = match self.records.find_entry(key.hash.table(), |r| r.is(key)) {
            Ok(entry) if entry.get().standing(view) == Standing::Dead => {
                let dead = Self::bury(entry, key.tenant, &mut self.text, &mut self.structure);
                counts.dead -= dead.slots.len();
                counts.dead_paths -= 1;
                grave = Some(dead);
                false
            }
            Ok(_) => true,
            Err(_) => false,
        };
        if !known && self.records.len() == self.records.capacity() {
            // Making room may move every record, even in a table of the same size: the sweep must begin again.
            self.sweep = Sweep::default();
        }
        let stale = freshness == Freshness::Stale;
        let mut fresh_path = 0;
        let record = self
            .records
            .entry(key.hash.table(), |r| r.is(key), |r| r.hash.table())
            .or_insert_with(|| {
                fresh_path = 1;
                Record {
                    hash: key.hash,
                    tenant: key.tenant.id(),
                    path: key.path.into(),
                    settled: AtomicGeneration::new(view.as_of),
                    variants: VariantSet::default(),
                }
            })
            .into_mut();
        if record.standing(view) == Standing::Stale {
            record.variants.soften();
        }
        record.settled.raise_relaxed(view.as_of);
        let before = record.variants.structure_bytes();
        let replaced = record.variants.insert(variant, value, stale, &cx.hashing);
        self.structure = self.structure + record.variants.structure_bytes() - before;
        self.text += fresh_path * key.path.len();
        counts.paths += fresh_path;
        *(if stale { &mut counts.stale } else { &mut counts.live }) += 1;
        match &replaced {
            Some((_, true)) => counts.stale -= 1,
            Some((_, false)) => counts.live -= 1,
            None => self.text += variant.as_str().len(),
        }
        let replaced = replaced.map(|(value, _)| value);
        (Insertion::Stored(Stored { freshness, replaced }), grave)
    }

    /// Takes a dead record out.
    fn bury(
        entry: OccupiedEntry<'_, Record<V>>,
        tenant: &Tenant,
        text: &mut usize,
        structure: &mut usize,
    ) -> Grave<V> {
        let (record, _) = entry.remove();
        *text -= record.text();
        *structure -= record.variants.structure_bytes();
        let bytes = record.text() + record.variants.structure_bytes();
        let slots = record.variants.into_iter();
        Grave { tenant: tenant.clone(), path: record.path, slots, bytes }
    }

    /// Gives back the memory of a table that a flush has emptied. The sweep that comes before it visited every bucket, so this
    /// costs no more than that.
    fn shrink_if_sparse(&mut self) {
        const SMALL: usize = 64;
        if self.records.capacity() > SMALL && self.records.len() < self.records.capacity() / 8 {
            self.records.shrink_to(self.records.len() * 2, |record| record.hash.table());
        }
    }
}
