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
use crate::limits::{Limits, Occupancy, WhenFull};
use crate::mode::Severity;
use crate::open_fills::{OpenFills, Overtaken};
use crate::origin::OriginPath;
use crate::outcome::{
    Freshness, Grave, Insertion, Lookup, Purged, Refusal, Refused, Softened, Stored, owned_key,
};
use crate::scopes::{Scopes, Standing, View};
use crate::selection::Selection;
use crate::stats::ShardStats;
use crate::tally::{Counts, Tallies};
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
    pub(crate) limits: Limits,
    pub(crate) occupancy: Occupancy,
}

/// Places of the smallest table that is made smaller.
const SMALLEST_TABLE: usize = 8;

/// How room is made for a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    /// There is some.
    Adding,
    /// It takes another value's place.
    Replacing,
    /// The path's oldest variant goes.
    Evicting,
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
    /// Heap bytes of the records, beside the table.
    heap: usize,
}

impl<V> Default for Shard<V> {
    fn default() -> Self {
        Self {
            records: HashTable::new(),
            fills: OpenFills::default(),
            tallies: Tallies::default(),
            sweep: Sweep::default(),
            counters: ShardStats::default(),
            heap: 0,
        }
    }
}

impl<V> Record<V> {
    fn new(key: &Key<'_>, settled: Generation) -> Self {
        Self {
            hash: key.hash,
            tenant: key.tenant.id(),
            path: key.path.into(),
            settled: AtomicGeneration::new(settled),
            variants: VariantSet::default(),
        }
    }

    fn is(&self, key: &Key<'_>) -> bool {
        self.tenant == key.tenant.id() && *self.path == *key.path
    }

    fn standing(&self, view: &View) -> Standing {
        view.standing(self.settled.load_relaxed())
    }

    fn heap_bytes(&self) -> usize {
        self.path.len() + self.variants.heap_bytes()
    }

    /// Writes down what soft invalidations did to a record that no hard one reached.
    fn settle(&mut self, view: &View, counts: &mut Counts) {
        let settled = self.settled.load_relaxed();
        if view.standing(settled) == Standing::Stale {
            let fresh = self.variants.soften();
            if view.whole_standing(settled) == Standing::Untouched {
                // Only a prefix rule reached it; what a flush reaches, the tally has moved already.
                counts.live -= fresh;
                counts.stale += fresh;
            }
        }
        self.settled.raise_relaxed(view.as_of);
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
            let settled = record.settled.load_relaxed();
            let view = cx.scopes.view_of(key.tenant, key.path, settled);
            let standing = view.standing(settled);
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
        let settled = record.settled.load_relaxed();
        let view = cx.scopes.view_of(key.tenant, key.path, settled);
        if view.standing(settled) == Standing::Dead {
            return Vec::new();
        }
        let keys = record.variants.iter().map(|slot| slot.key.to_string());
        keys.map(VariantKey::new_unchecked).collect()
    }

    /// The tenant's paths that begin with `prefix` and may be served.
    pub(crate) fn paths(
        &self,
        tenant: &Tenant,
        prefix: &str,
        cx: &Context,
    ) -> Vec<OriginPath<'static>> {
        let of_tenant = self.records.iter().filter(|record| record.tenant == tenant.id());
        of_tenant
            .filter(|record| record.path.starts_with(prefix))
            .filter(|record| {
                let settled = record.settled.load_relaxed();
                let view = cx.scopes.view_of(tenant, &record.path, settled);
                view.standing(settled) != Standing::Dead
            })
            .map(|record| OriginPath::new_unchecked(record.path.to_string()))
            .collect()
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
        let view = Self::view(key, cx);
        let (overtaken, retired) =
            self.fills.close(key.hash, key.tenant.id(), key.path, began.clock);
        let standing = view.with_retired(retired).standing(began.broad);
        let reason = match (overtaken, standing) {
            (Overtaken::Hard, _) => Some(Refusal::Purged),
            (_, Standing::Dead) if view.whole_standing(began.broad) == Standing::Dead => {
                Some(Refusal::Flushed)
            }
            (_, Standing::Dead) => Some(Refusal::Purged),
            _ => None,
        };
        if let Some(reason) = reason {
            self.counters.refused(reason);
            return (Insertion::Refused(Refused { value, reason }), None);
        }
        let stale = overtaken == Overtaken::Softly || standing == Standing::Stale;
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
        let view = Self::view(key, cx);
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
        let view = Self::view(key, cx);
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
        record.settle(&view, counts);
        self.heap -= record.heap_bytes();
        let slot = record.variants.remove(variant, &cx.hashing)?;
        self.heap += record.heap_bytes();
        counts.subtract(slot.stale);
        cx.occupancy.give_back(0, 1);
        if record.variants.is_empty() {
            counts.paths -= 1;
            Self::unlink(entry, &mut self.heap, cx);
            self.tallies.prune(key.tenant.id());
        }
        Some(slot.value)
    }

    /// Purges the path, or the variants of it that `selection` picks. The outcome of the other mode is empty.
    pub(crate) fn purge(
        &mut self,
        key: &Key<'_>,
        selection: Selection<'_>,
        severity: Severity,
        cx: &Context,
    ) -> (Purged<V>, Softened, Option<Grave<V>>) {
        let generation = cx.scopes.clock.next();
        let mut purged = Purged { generation, variants: VariantSet::default(), voided: 0 };
        let mut softened = Softened { generation, count: 0, overtaken: 0 };
        let (hash, tenant) = (key.hash, key.tenant.id());
        self.counters.purges += 1;
        match severity {
            Severity::Hard => purged.voided = self.fills.purge(hash, tenant, key.path, generation),
            Severity::Soft => {
                softened.overtaken = self.fills.soften(hash, tenant, key.path, generation);
            }
        }
        let view = Self::view(key, cx);
        let Ok(mut entry) = self.records.find_entry(hash.table(), |r| r.is(key)) else {
            return (purged, softened, None);
        };
        let counts = self.tallies.at(key.tenant, &view);
        if entry.get().standing(&view) == Standing::Dead {
            // What a broad invalidation has killed is not this purge's to hand over: it would be handed over twice.
            let grave = Self::bury(entry, key.tenant, &view, counts, &mut self.heap, cx);
            self.tallies.prune(tenant);
            return (purged, softened, Some(grave));
        }
        let record = entry.get_mut();
        record.settle(&view, counts);
        if severity == Severity::Soft {
            softened.count = record.variants.soften_picked(|key| selection.picks(key));
            counts.live -= softened.count;
            counts.stale += softened.count;
        } else if selection == Selection::All {
            counts.remove(&record.variants);
            purged.variants = Self::unlink(entry, &mut self.heap, cx).variants;
        } else {
            self.heap -= record.heap_bytes();
            purged.variants = record.variants.extract(|key| selection.picks(key), &cx.hashing);
            self.heap += record.heap_bytes();
            counts.subtract_all(&purged.variants);
            cx.occupancy.give_back(0, purged.variants.len());
            if record.variants.is_empty() {
                counts.paths -= 1;
                Self::unlink(entry, &mut self.heap, cx);
            }
        }
        self.tallies.prune(tenant);
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
            if cx.scopes.open_rules() > 0 {
                self.fills.note_rules(&cx.scopes);
            }
        }
        (end - begin, done)
    }

    fn sweep_bucket(&mut self, bucket: usize, cx: &Context, graves: &mut Vec<Grave<V>>) {
        let Some(record) = self.records.get_bucket_mut(bucket) else { return };
        let (id, settled) = (record.tenant, record.settled.load_relaxed());
        if settled >= cx.scopes.broad() {
            return;
        }
        let tenant = self.tallies.tenant(id).clone();
        let view = cx.scopes.view_of(&tenant, &record.path, settled);
        let counts = self.tallies.at(&tenant, &view);
        if view.standing(settled) != Standing::Dead {
            record.settle(&view, counts);
        } else if let Ok(entry) = self.records.get_bucket_entry(bucket) {
            graves.push(Self::bury(entry, &tenant, &view, counts, &mut self.heap, cx));
            self.tallies.prune(id);
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
        total.bytes += self.heap
            + self.records.allocation_size()
            + self.fills.structure_bytes()
            + self.tallies.structure_bytes();
    }

    /// Panics where the invariants at the top of this module don't hold, or a count disagrees with what it counts. Gives the
    /// number of paths and of entries, and whether any are dead.
    #[cfg(fuzzing)]
    pub(crate) fn check(
        &self,
        cx: &Context,
        belongs: impl Fn(PathHash) -> bool,
    ) -> (u64, u64, bool) {
        let filed_well = |hash: PathHash, tenant: u32, path: &str| {
            belongs(hash) && hash == cx.hashing.path(tenant, path)
        };
        let mut counted = std::collections::BTreeMap::<u32, Counts>::new();
        let (mut entries, mut any_dead) = (0, false);
        for record in &self.records {
            assert!(filed_well(record.hash, record.tenant, &record.path), "{}", record.path);
            assert!(!record.variants.is_empty(), "{} has no variant", record.path);
            record.variants.check(&cx.hashing);
            let settled = record.settled.load_relaxed();
            assert!(settled <= cx.scopes.broad(), "{} is settled ahead of time", record.path);
            let tenant = self.tallies.tenant(record.tenant);
            let key = Key { hash: record.hash, tenant, path: &record.path };
            assert!(self.record(&key).is_some_and(|r| std::ptr::eq(r, record)), "a path twice");

            entries += record.variants.len() as u64;
            any_dead |= record.standing(&Self::view(&key, cx)) == Standing::Dead;
            let (len, stale) = (record.variants.len(), record.variants.stale());
            let counts = counted.entry(record.tenant).or_default();
            match cx.scopes.view(tenant).whole_standing(settled) {
                Standing::Dead => {
                    counts.dead_paths += 1;
                    counts.dead += len;
                }
                Standing::Stale => {
                    counts.paths += 1;
                    counts.stale += len;
                }
                Standing::Untouched => {
                    counts.paths += 1;
                    counts.stale += stale;
                    counts.live += len - stale;
                }
            }
        }
        let tallied = self
            .tallies
            .iter()
            .map(|tally| (tally.tenant.id(), tally.counts_in(&cx.scopes.view(&tally.tenant))));
        assert_eq!(tallied.collect::<std::collections::BTreeMap<_, _>>(), counted, "tallies");
        assert_eq!(self.heap, self.records.iter().map(Record::heap_bytes).sum(), "heap");
        self.fills.check(filed_well);
        (self.records.len() as u64, entries, any_dead)
    }

    fn record(&self, key: &Key<'_>) -> Option<&Record<V>> {
        self.records.find(key.hash.table(), |record| record.is(key))
    }

    /// Stores what may be stored; what a broad invalidation killed of the path goes first.
    fn store(
        &mut self,
        key: &Key<'_>,
        variant: &VariantKey<'_>,
        value: V,
        freshness: Freshness,
        view: &View,
        cx: &Context,
    ) -> (Insertion<V>, Option<Grave<V>>) {
        let grave = self.bury_if_dead(key, view, cx);
        let admission = match self.admit(key, variant.as_str(), cx) {
            Ok(admission) => admission,
            Err(reason) => {
                self.counters.refused(reason);
                self.tallies.prune(key.tenant.id());
                return (Insertion::Refused(Refused { value, reason }), grave);
            }
        };
        let counts = self.tallies.at(key.tenant, view);
        let heap = &mut self.heap;
        let record = self
            .records
            .entry(key.hash.table(), |r| r.is(key), |r| r.hash.table())
            .or_insert_with(|| {
                counts.paths += 1;
                *heap += key.path.len();
                Record::new(key, view.as_of)
            })
            .into_mut();
        record.settle(view, counts);
        self.heap -= record.heap_bytes();
        let mut evicted = None;
        if admission == Admission::Evicting {
            evicted = record.variants.remove_oldest(&cx.hashing);
        }
        let stale = freshness == Freshness::Stale;
        let replaced = record.variants.insert(variant, value, stale, &cx.hashing);
        self.heap += record.heap_bytes();
        counts.add(stale);
        let gone = replaced.as_ref().map(|(_, stale)| *stale);
        gone.into_iter().chain(evicted.as_ref().map(|s| s.stale)).for_each(|s| counts.subtract(s));
        let stored = Stored {
            freshness,
            replaced: replaced.map(|(value, _)| value),
            evicted: evicted.map(|slot| (owned_key(slot.key), slot.value)),
        };
        (Insertion::Stored(stored), grave)
    }

    fn bury_if_dead(&mut self, key: &Key<'_>, view: &View, cx: &Context) -> Option<Grave<V>> {
        let entry = self.records.find_entry(key.hash.table(), |r| r.is(key)).ok()?;
        if entry.get().standing(view) != Standing::Dead {
            return None;
        }
        let counts = self.tallies.at(key.tenant, view);
        Some(Self::bury(entry, key.tenant, view, counts, &mut self.heap, cx))
    }

    /// Whether there is room for the variant, and how it is made. Takes the room.
    fn admit(&mut self, key: &Key<'_>, variant: &str, cx: &Context) -> Result<Admission, Refusal> {
        if key.path.len() > cx.limits.path_length {
            return Err(Refusal::PathTooLong);
        }
        if variant.len() > cx.limits.key_length {
            return Err(Refusal::KeyTooLong);
        }
        let Some(record) = self.record(key) else {
            cx.occupancy.take(true)?;
            if self.records.len() == self.records.capacity() {
                // Making room may move every record, even in a table of the same size: the sweep must begin again.
                self.sweep = Sweep::default();
            }
            return Ok(Admission::Adding);
        };
        if record.variants.get(variant, &cx.hashing).is_some() {
            return Ok(Admission::Replacing);
        }
        if record.variants.len() >= cx.limits.variants {
            return match cx.limits.when_full {
                WhenFull::Refuse => Err(Refusal::TooManyVariants),
                WhenFull::EvictOldest => Ok(Admission::Evicting),
            };
        }
        cx.occupancy.take(false)?;
        Ok(Admission::Adding)
    }

    /// What the scopes that cover the path say now.
    fn view(key: &Key<'_>, cx: &Context) -> View {
        cx.scopes.view_of(key.tenant, key.path, Generation::START)
    }

    fn unlink(entry: OccupiedEntry<'_, Record<V>>, heap: &mut usize, cx: &Context) -> Record<V> {
        let (record, _) = entry.remove();
        *heap -= record.heap_bytes();
        cx.occupancy.give_back(1, record.variants.len());
        record
    }

    /// Takes a dead record out, and out of the counts.
    fn bury(
        entry: OccupiedEntry<'_, Record<V>>,
        tenant: &Tenant,
        view: &View,
        counts: &mut Counts,
        heap: &mut usize,
        cx: &Context,
    ) -> Grave<V> {
        let mut record = Self::unlink(entry, heap, cx);
        let settled = record.settled.load_relaxed();
        match view.whole_standing(settled) {
            Standing::Dead => {
                counts.dead -= record.variants.len();
                counts.dead_paths -= 1;
            }
            // Only a prefix rule killed it: until now it counted as what it was before.
            Standing::Stale => {
                record.variants.soften();
                counts.remove(&record.variants);
            }
            Standing::Untouched => counts.remove(&record.variants),
        }
        let bytes = record.heap_bytes();
        let slots = record.variants.into_slots();
        Grave { tenant: tenant.clone(), path: record.path, slots, bytes }
    }

    /// Gives back the memory of a table that a flush has emptied by half or more. The sweep that comes before it has looked at every
    /// place, so this costs no more than that; and it moves no more records than the growth did that made the table so large.
    fn shrink_if_sparse(&mut self) {
        // By places and not by `capacity`, which leaves out those that removed records have used up. Seven of eight are filled at most.
        let half = self.records.num_buckets() / 2;
        if half >= SMALLEST_TABLE && self.records.len() <= half / 8 * 7 {
            self.records.shrink_to_fit(|record| record.hash.table());
        }
    }
}
