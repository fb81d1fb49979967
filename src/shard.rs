//! One shard: the single-threaded core of the index, without locks.
//!
//! Invariants:
//! - Between two calls, a record has at least one variant.
//! - `settled` never runs ahead of what is true of *all* variants of a record: none of them was
//!   reached by a hard invalidation up to `settled`, and those reached by a soft one are marked stale.
//! - Everything that compares generations reads them inside the call, that is, under the shard's lock. A generation read before
//!   the lock would let an insert that a flush overtook wipe what was stored after the flush.
//! - No value of the caller's is dropped in here: what goes is returned, or comes out as a [`Grave`].

use crate::generation::Generation;
use crate::hash::Hashing;
#[cfg(fuzzing)]
use crate::hash::{PathHash, TableHash};
use crate::limits::{Limits, Occupancy, WhenFull};
use crate::mode::Severity;
use crate::open_fills::{OpenFills, Overtaken};
use crate::origin::OriginPath;
use crate::outcome::{
    Freshness, Grave, Insertion, Lookup, Purged, Refusal, Refused, Softened, Stored, key_of,
};
use crate::records::{Key, Place, Record, Records};
use crate::scopes::{Scopes, Standing, View};
use crate::selection::Selection;
use crate::stats::ShardStats;
#[cfg(fuzzing)]
use crate::tally::Counts;
use crate::tally::Tallies;
use crate::tenant::Tenant;
use crate::variant::VariantKey;
use crate::variants::{At, Taken};
use std::cell::Cell;
use std::sync::Arc;

/// What all shards of an index share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) hashing: Hashing,
    pub(crate) scopes: Scopes,
    pub(crate) limits: Limits,
    pub(crate) occupancy: Occupancy,
}

/// How room is made for a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    /// There is some.
    Adding,
    /// It takes the place of another value.
    Replacing(At),
    /// The path's oldest variant goes.
    Evicting,
}

/// What a purge of a path would meet.
#[derive(Debug, Default)]
pub(crate) struct Matches {
    /// The variants that may be served, each with whether it is stale.
    pub(crate) variants: Vec<(Arc<str>, bool)>,
    /// The open fills that it would overtake.
    pub(crate) fills: usize,
}

/// How much a purge of a prefix would meet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extent {
    pub(crate) live: usize,
    pub(crate) stale: usize,
    pub(crate) fills: usize,
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
pub(crate) struct Shard<V> {
    records: Records<V>,
    fills: OpenFills,
    tallies: Tallies,
    /// While a sweep is under way: how many places, from the first on, are still to be looked at. From the last to the first, so that
    /// what takes the place of a removed record has been looked at, or was stored since.
    unswept: Option<usize>,
    counters: ShardStats,
}

impl<V> Default for Shard<V> {
    fn default() -> Self {
        Self {
            records: Records::default(),
            fills: OpenFills::default(),
            tallies: Tallies::default(),
            unswept: None,
            counters: ShardStats::default(),
        }
    }
}

impl<V> Shard<V> {
    /// Looks for a variant. What is found live is settled on the way.
    pub(crate) fn lookup(&self, key: &Key<'_>, variant: &str, cx: &Context) -> Lookup<V>
    where
        V: Clone,
    {
        // First, though it is needed last: the processor waits for it and for the record at the same time.
        let known = self.records.keys().find(variant, &cx.hashing);
        let Some(place) = self.records.find(key) else { return Lookup::Miss };
        let record = self.records.get(place);
        let Some(at) = record.variants.find_known(known, variant, &cx.hashing) else {
            return Lookup::Miss;
        };
        let (value, stale) = record.variants.get(at);
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
            Standing::Untouched if !stale => Lookup::Live(value.clone()),
            Standing::Untouched | Standing::Stale => Lookup::Stale(value.clone()),
        }
    }

    /// The keys of the path's variants that may be served, in no particular order.
    pub(crate) fn variants(&self, key: &Key<'_>, cx: &Context) -> Vec<VariantKey<'static>> {
        let Some(place) = self.records.find(key) else { return Vec::new() };
        let record = self.records.get(place);
        let settled = record.settled.load_relaxed();
        let view = cx.scopes.view_of(key.tenant, key.path, settled);
        if view.standing(settled) == Standing::Dead {
            return Vec::new();
        }
        let texts = record.variants.texts(self.records.keys());
        texts.into_iter().map(key_of).collect()
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

    /// What a purge of the path would meet now.
    pub(crate) fn matches(&self, key: &Key<'_>, selection: Selection<'_>, cx: &Context) -> Matches {
        let fills = self.fills.valid(key.hash, key.tenant.id(), key.path);
        let Some(place) = self.records.find(key) else {
            return Matches { fills, ..Matches::default() };
        };
        let record = self.records.get(place);
        let settled = record.settled.load_relaxed();
        let standing = cx.scopes.view_of(key.tenant, key.path, settled).standing(settled);
        let served =
            (standing != Standing::Dead).then(|| record.variants.listed(self.records.keys()));
        let picked = served.into_iter().flatten().filter(|(key, _)| selection.picks(key));
        let variants = picked
            .map(|(key, stale)| (Arc::clone(key), stale || standing == Standing::Stale))
            .collect();
        Matches { variants, fills }
    }

    /// How much a purge of the prefix would meet now.
    pub(crate) fn extent(&self, tenant: &Tenant, prefix: &str, cx: &Context) -> Extent {
        let mut extent =
            Extent { fills: self.fills.valid_under(tenant.id(), prefix), ..Extent::default() };
        let of_tenant = self.records.iter().filter(|record| record.tenant == tenant.id());
        for record in of_tenant.filter(|record| record.path.starts_with(prefix)) {
            let settled = record.settled.load_relaxed();
            let (all, stale) = (record.variants.len(), record.variants.stale());
            match cx.scopes.view_of(tenant, &record.path, settled).standing(settled) {
                Standing::Dead => {}
                Standing::Stale => extent.stale += all,
                Standing::Untouched => {
                    extent.stale += stale;
                    extent.live += all - stale;
                }
            }
        }
        extent
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
        let place = self.records.find(key)?;
        let record = self.records.get(place);
        let at = record.variants.find(variant, self.records.keys(), &cx.hashing)?;
        // The caller's `eq` runs before anything is changed: if it panics, nothing is harmed.
        if record.standing(&view) == Standing::Dead || record.variants.get(at).0 != expected {
            return None;
        }
        let counts = self.tallies.at(key.tenant, &view);
        let entry = self.records.edit(place, |record, keys| {
            record.settle(&view, counts, keys);
            record.variants.remove(at, keys, &cx.hashing)
        });
        counts.subtract(entry.stale);
        cx.occupancy.give_back(0, 1);
        self.drop_if_empty(place, key.tenant, cx);
        Some(entry.value)
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
        let mut purged = Purged { generation, variants: Taken::none(), voided: 0 };
        let mut softened = Softened { generation, count: 0, stale_before: 0, overtaken: 0 };
        let (hash, tenant) = (key.hash, key.tenant.id());
        self.counters.purges += 1;
        match severity {
            Severity::Hard => purged.voided = self.fills.purge(hash, tenant, key.path, generation),
            Severity::Soft => {
                softened.overtaken = self.fills.soften(hash, tenant, key.path, generation);
            }
        }
        let view = Self::view(key, cx);
        let Some(place) = self.records.find(key) else { return (purged, softened, None) };
        if self.records.get(place).standing(&view) == Standing::Dead {
            // What a broad invalidation has killed is not this purge's to hand over: it would be handed over twice.
            let grave = self.bury(place, key.tenant, &view, cx);
            self.tallies.prune(tenant);
            return (purged, softened, Some(grave));
        }
        let counts = self.tallies.at(key.tenant, &view);
        if severity == Severity::Soft {
            let picked = Cell::new(0);
            softened.count = self.records.edit(place, |record, keys| {
                record.settle(&view, counts, keys);
                record.variants.soften(
                    |key| {
                        let picks = selection.picks(key);
                        picked.set(picked.get() + usize::from(picks));
                        picks
                    },
                    keys,
                )
            });
            softened.stale_before = picked.get() - softened.count;
            counts.live -= softened.count;
            counts.stale += softened.count;
        } else if selection == Selection::All {
            self.records.edit(place, |record, keys| record.settle(&view, counts, keys));
            counts.remove(&self.records.get(place).variants);
            let (record, keys) = self.records.remove(place);
            cx.occupancy.give_back(1, record.variants.len());
            purged.variants = record.variants.take(keys);
            self.tallies.prune(tenant);
        } else {
            purged.variants = self.records.edit(place, |record, keys| {
                record.settle(&view, counts, keys);
                let stale = record.variants.stale();
                let gone = record.variants.extract(|key| selection.picks(key), keys, &cx.hashing);
                let stale = stale - record.variants.stale();
                counts.stale -= stale;
                counts.live -= gone.len() - stale;
                gone
            });
            cx.occupancy.give_back(0, purged.variants.len());
            self.drop_if_empty(place, key.tenant, cx);
        }
        (purged, softened, None)
    }

    /// Settles the next `places` records and takes out those that are dead. Says how many it looked at and whether none is left to
    /// look at.
    pub(crate) fn sweep(
        &mut self,
        places: usize,
        cx: &Context,
        graves: &mut Vec<Grave<V>>,
    ) -> (usize, bool) {
        // Fewer than there were, if some have been removed meanwhile.
        let unswept = self.unswept.unwrap_or(usize::MAX).min(self.records.len());
        let rest = unswept.saturating_sub(places);
        for place in (rest..unswept).rev() {
            self.sweep_place(place, cx, graves);
        }
        self.unswept = (rest > 0).then_some(rest);
        if rest == 0 {
            self.records.shrink();
            if cx.scopes.open_rules() > 0 {
                self.fills.note_rules(&cx.scopes);
            }
        }
        (unswept - rest, rest == 0)
    }

    fn sweep_place(&mut self, place: usize, cx: &Context, graves: &mut Vec<Grave<V>>) {
        let (place, record) = self.records.at(place);
        let (id, settled) = (record.tenant, record.settled.load_relaxed());
        if settled >= cx.scopes.broad() {
            return;
        }
        let tenant = self.tallies.tenant(id).clone();
        let view = cx.scopes.view_of(&tenant, &record.path, settled);
        if view.standing(settled) == Standing::Dead {
            graves.push(self.bury(place, &tenant, &view, cx));
            self.tallies.prune(id);
        } else {
            let counts = self.tallies.at(&tenant, &view);
            self.records.edit(place, |record, keys| record.settle(&view, counts, keys));
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
        total.bytes +=
            self.records.bytes() + self.fills.structure_bytes() + self.tallies.structure_bytes();
    }

    /// Panics where the invariants at the top of this module don't hold, or a count disagrees with what it counts. Gives the
    /// number of paths and of entries, and whether any are dead.
    #[cfg(fuzzing)]
    pub(crate) fn check(
        &self,
        cx: &Context,
        belongs: impl Fn(PathHash) -> bool,
    ) -> (u64, u64, bool) {
        self.records.check(&cx.hashing);
        let filed_well = |hash: TableHash, tenant: u32, path: &str| {
            let expected = cx.hashing.path(tenant, path);
            belongs(expected) && hash == expected.table()
        };
        let mut counted = std::collections::BTreeMap::<u32, Counts>::new();
        let (mut entries, mut any_dead) = (0, false);
        for record in self.records.iter() {
            assert!(filed_well(record.hash, record.tenant, &record.path), "{}", record.path);
            assert!(!record.variants.is_empty(), "{} has no variant", record.path);
            let settled = record.settled.load_relaxed();
            assert!(settled <= cx.scopes.broad(), "{} is settled ahead of time", record.path);
            let tenant = self.tallies.tenant(record.tenant);
            let key = Key {
                hash: cx.hashing.path(tenant.id(), &record.path),
                tenant,
                path: &record.path,
            };
            let found = self.records.find(&key).map(|place| self.records.get(place));
            assert!(found.is_some_and(|found| std::ptr::eq(found, record)), "a path twice");

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
        self.fills.check(|hash, tenant, path| filed_well(hash.table(), tenant, path));
        (self.records.len() as u64, entries, any_dead)
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
        let mut place = self.records.find(key);
        let mut grave = None;
        if let Some(dead) = place.filter(|&p| self.records.get(p).standing(view) == Standing::Dead)
        {
            grave = Some(self.bury(dead, key.tenant, view, cx));
            place = None;
        }
        let there = place.and_then(|place| {
            let variants = &self.records.get(place).variants;
            variants.find(variant.as_str(), self.records.keys(), &cx.hashing)
        });
        let admission = match self.admit(key, variant.as_str(), place, there, cx) {
            Ok(admission) => admission,
            Err(reason) => {
                self.counters.refused(reason);
                self.tallies.prune(key.tenant.id());
                return (Insertion::Refused(Refused { value, reason }), grave);
            }
        };
        let counts = self.tallies.at(key.tenant, view);
        let place = place.unwrap_or_else(|| {
            counts.paths += 1;
            self.records.push(Record::new(key, view.as_of))
        });
        let stale = freshness == Freshness::Stale;
        let (replaced, evicted) = self.records.edit(place, |record, keys| {
            record.settle(view, counts, keys);
            let variants = &mut record.variants;
            if let Admission::Replacing(at) = admission {
                return (Some(variants.replace(at, value, stale)), None);
            }
            let evicting = admission == Admission::Evicting;
            let evicted = evicting.then(|| variants.remove_oldest(keys, &cx.hashing)).flatten();
            variants.push(variant.as_str(), value, stale, keys, &cx.hashing);
            (None, evicted)
        });
        counts.add(stale);
        let gone = replaced.as_ref().map(|(_, stale)| *stale);
        gone.into_iter().chain(evicted.as_ref().map(|e| e.stale)).for_each(|s| counts.subtract(s));
        let stored = Stored {
            freshness,
            replaced: replaced.map(|(value, _)| value),
            evicted: evicted.map(|entry| (key_of(entry.key), entry.value)),
        };
        (Insertion::Stored(stored), grave)
    }

    /// Whether there is room for the variant, and how it is made. Takes the room.
    fn admit(
        &self,
        key: &Key<'_>,
        variant: &str,
        place: Option<Place>,
        there: Option<At>,
        cx: &Context,
    ) -> Result<Admission, Refusal> {
        if key.path.len() > cx.limits.path_length {
            return Err(Refusal::PathTooLong);
        }
        if variant.len() > cx.limits.key_length {
            return Err(Refusal::KeyTooLong);
        }
        if let Some(at) = there {
            return Ok(Admission::Replacing(at));
        }
        if place.is_some_and(|p| self.records.get(p).variants.len() >= cx.limits.variants) {
            return match cx.limits.when_full {
                WhenFull::Refuse => Err(Refusal::TooManyVariants),
                WhenFull::EvictOldest => Ok(Admission::Evicting),
            };
        }
        cx.occupancy.take(place.is_none())?;
        Ok(Admission::Adding)
    }

    /// What the scopes that cover the path say now.
    fn view(key: &Key<'_>, cx: &Context) -> View {
        cx.scopes.view_of(key.tenant, key.path, Generation::START)
    }

    /// Takes out a record whose last variant has gone.
    fn drop_if_empty(&mut self, place: Place, tenant: &Tenant, cx: &Context) {
        if self.records.get(place).variants.is_empty() {
            self.records.remove(place);
            cx.occupancy.give_back(1, 0);
            self.tallies.of(tenant).paths -= 1;
            self.tallies.prune(tenant.id());
        }
    }

    /// Takes a dead record out, and out of the counts.
    fn bury(&mut self, place: Place, tenant: &Tenant, view: &View, cx: &Context) -> Grave<V> {
        let counts = self.tallies.at(tenant, view);
        let (mut record, keys) = self.records.remove(place);
        cx.occupancy.give_back(1, record.variants.len());
        let settled = record.settled.load_relaxed();
        match view.whole_standing(settled) {
            Standing::Dead => {
                counts.dead -= record.variants.len();
                counts.dead_paths -= 1;
            }
            // Only a prefix rule killed it: until now it counted as what it was before.
            Standing::Stale => {
                record.variants.soften(|_| true, keys);
                counts.remove(&record.variants);
            }
            Standing::Untouched => counts.remove(&record.variants),
        }
        let bytes = record.heap_bytes();
        let Record { path, variants, .. } = record;
        Grave { tenant: tenant.clone(), path, entries: variants.take(keys).into_entries(), bytes }
    }
}
