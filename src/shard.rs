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
#[cfg(fuzzing)]
use crate::hash::PathHash;
use crate::hash::{Hashing, TableHash};
use crate::limits::{Limits, Occupancy, WhenFull};
use crate::mode::Severity;
use crate::open_fills::{OpenFills, Overtaken};
use crate::origin::OriginPath;
use crate::outcome::{
    Freshness, Grave, Insertion, Lookup, Purged, Refusal, Refused, Softened, Stored, key_of,
};
use crate::prefetch::Stage;
use crate::records::{Key, Place, Records};
use crate::scopes::{Scopes, Standing, View};
use crate::selection::Selection;
use crate::stats::ShardStats;
#[cfg(fuzzing)]
use crate::tally::Counts;
use crate::tally::Tallies;
use crate::tenant::Tenant;
use crate::variant::VariantKey;
use crate::variants::{At, Keys, Taken, Wanted};
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
    /// The number of the last invalidation that had begun. Decides against purges of the path, which take their number under the same lock.
    pub(crate) clock: Generation,
    /// The number of the last broad invalidation that had happened. Decides against flushes.
    pub(crate) broad: Generation,
}

#[derive(Debug)]
pub(crate) struct Shard<V> {
    records: Records<V>,
    tallies: Tallies,
    /// How many buckets of records the sweep under way has looked at, from the first on. Records that move while it is under way
    /// move towards the last.
    swept: usize,
    counters: ShardStats,
}

impl<V> Default for Shard<V> {
    fn default() -> Self {
        Self {
            records: Records::default(),
            tallies: Tallies::default(),
            swept: 0,
            counters: ShardStats::default(),
        }
    }
}

impl<V> Shard<V> {
    /// Fetches what a look-up is about to read.
    pub(crate) fn fetch(&self, stage: Stage, key: &Key<'_>, variant: TableHash) {
        self.records.fetch(stage, key.hash.table(), variant);
    }

    /// Looks for a variant, whose key is looked for only if the path may be there. What is found live is settled on the way.
    #[inline]
    pub(crate) fn lookup<'k>(
        &self,
        key: &Key<'_>,
        find_key: impl FnOnce(&Keys) -> Wanted<'k>,
        cx: &Context,
    ) -> Lookup<V>
    where
        V: Clone,
    {
        let Some(guess) = self.records.guess(key) else { return Lookup::Miss };
        // While the record is on its way from memory.
        let wanted = find_key(self.records.keys());
        let Some(place) = self.records.find_from(guess, key) else { return Lookup::Miss };
        let (record, variants) = (self.records.get(place), self.records.variants(place));
        let Some(at) = variants.find(wanted) else { return Lookup::Miss };
        let (value, stale) = variants.get(at);
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
        let listed = self.records.variants(place).list(self.records.keys());
        listed.into_iter().map(|(key, _)| key_of(key)).collect()
    }

    /// What a purge of the path would meet now.
    pub(crate) fn matches(
        &self,
        key: &Key<'_>,
        selection: Selection<'_>,
        fills: &OpenFills,
        cx: &Context,
    ) -> Matches {
        let fills = fills.valid(key);
        let mut variants = Vec::new();
        if let Some(place) = self.records.find(key) {
            let settled = self.records.get(place).settled.load_relaxed();
            let standing = cx.scopes.view_of(key.tenant, key.path, settled).standing(settled);
            if standing != Standing::Dead {
                variants = self.records.variants(place).list(self.records.keys());
            }
            variants.retain(|(key, _)| selection.picks(key));
            for (_, stale) in &mut variants {
                *stale |= standing == Standing::Stale;
            }
        }
        Matches { variants, fills }
    }

    /// How much a purge of the prefix would meet now.
    pub(crate) fn extent(
        &self,
        tenant: &Tenant,
        prefix: &str,
        fills: &OpenFills,
        cx: &Context,
    ) -> Extent {
        let fills = fills.valid_under(tenant.id(), prefix);
        let mut extent = Extent { fills, ..Extent::default() };
        for (place, standing) in self.places_under(tenant, prefix, cx) {
            let variants = self.records.variants(place);
            let stale = match standing {
                Standing::Stale => variants.len(),
                _ => variants.stale(),
            };
            extent.stale += stale;
            extent.live += variants.len() - stale;
        }
        extent
    }

    /// The tenant's paths that begin with `prefix` and may be served.
    fn places_under(
        &self,
        tenant: &Tenant,
        prefix: &str,
        cx: &Context,
    ) -> impl Iterator<Item = (Place, Standing)> {
        let under = self.records.places().filter(move |place| {
            self.records.get(*place).tenant == tenant.id()
                && self.records.path(*place).starts_with(prefix)
        });
        let standing = move |place| {
            let settled = self.records.get(place).settled.load_relaxed();
            let view = cx.scopes.view_of(tenant, self.records.path(place), settled);
            (place, view.standing(settled))
        };
        under.map(standing).filter(|(_, standing)| *standing != Standing::Dead)
    }

    /// The tenant's paths that begin with `prefix` and may be served.
    pub(crate) fn paths(
        &self,
        tenant: &Tenant,
        prefix: &str,
        cx: &Context,
    ) -> Vec<OriginPath<'static>> {
        let places = self.places_under(tenant, prefix, cx);
        let path = |(place, _)| OriginPath::new_unchecked(self.records.path(place).to_owned());
        places.map(path).collect()
    }

    /// Closes a fill with what it brought.
    pub(crate) fn commit(
        &mut self,
        key: &Key<'_>,
        began: Began,
        variant: &VariantKey<'_>,
        value: V,
        fills: &OpenFills,
        cx: &Context,
    ) -> (Insertion<V>, Option<Grave<V>>) {
        let view = Self::view(key, cx);
        let (overtaken, retired) = fills.close(key, began.clock);
        let standing = view.with_retired(retired).standing(began.broad);
        let reason = match (overtaken, standing) {
            _ if view.is_forgotten() => Some(Refusal::Forgotten),
            (Overtaken::Hard, _) => Some(Refusal::Purged),
            (_, Standing::Dead) if view.whole_standing(began.broad) == Standing::Dead => {
                Some(Refusal::Flushed)
            }
            (_, Standing::Dead) => Some(Refusal::Purged),
            _ => None,
        };
        if let Some(reason) = reason {
            return (self.refuse(value, reason), None);
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
        if view.is_forgotten() {
            return (self.refuse(value, Refusal::Forgotten), None);
        }
        self.store(key, variant, value, Freshness::Live, &view, cx)
    }

    fn refuse(&mut self, value: V, reason: Refusal) -> Insertion<V> {
        self.counters.refused(reason);
        Insertion::Refused(Refused { value, reason })
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
        let (record, variants) = (self.records.get(place), self.records.variants(place));
        let at = variants.find(self.records.keys().find(variant, &cx.hashing))?;
        // The caller's `eq` runs before anything is changed: if it panics, nothing is harmed.
        if record.standing(&view) == Standing::Dead || variants.get(at).0 != expected {
            return None;
        }
        let counts = self.tallies.at(key.tenant, &view);
        let entry = self.records.edit(place, |record, keys| {
            record.settle(&view, counts);
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
        fills: &OpenFills,
        cx: &Context,
    ) -> (Purged<V>, Softened, Option<Grave<V>>) {
        let (generation, fills) = fills.purge(key, severity, &cx.scopes);
        let (voided, overtaken) = match severity {
            Severity::Hard => (fills, 0),
            Severity::Soft => (0, fills),
        };
        let mut purged = Purged { generation, variants: Taken::none(), voided };
        let mut softened = Softened { generation, count: 0, stale_before: 0, overtaken };
        let tenant = key.tenant.id();
        self.counters.purges += 1;
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
            (softened.count, softened.stale_before) = self.records.edit(place, |record, keys| {
                record.settle(&view, counts);
                record.variants.soften(|key| selection.picks(key), keys)
            });
            counts.live -= softened.count;
            counts.stale += softened.count;
        } else if selection == Selection::All {
            self.records.edit(place, |record, _| record.settle(&view, counts));
            let variants = self.records.variants(place);
            counts.remove(variants.len(), variants.stale());
            (_, purged.variants) = self.records.remove(place);
            cx.occupancy.give_back(1, purged.variants.len());
            self.tallies.prune(tenant);
        } else {
            purged.variants = self.records.edit(place, |record, keys| {
                record.settle(&view, counts);
                let stale = record.variants.read().stale();
                let gone = record.variants.extract(|key| selection.picks(key), keys, &cx.hashing);
                let stale = stale - record.variants.read().stale();
                counts.stale -= stale;
                counts.live -= gone.len() - stale;
                gone
            });
            cx.occupancy.give_back(0, purged.variants.len());
            self.drop_if_empty(place, key.tenant, cx);
        }
        (purged, softened, None)
    }

    /// Settles the records of the next buckets, until it has looked at `places` or has taken out one that is dead. Returns how many it
    /// looked at and whether none is left to look at.
    ///
    /// One at a time, because taking it out is most of the work, and readers of the shard wait for as long. The next call begins with
    /// the same bucket: what stays in it is settled by then.
    pub(crate) fn sweep(
        &mut self,
        places: usize,
        fills: &OpenFills,
        cx: &Context,
    ) -> (usize, Option<Grave<V>>, bool) {
        let mut looked_at = 0;
        while looked_at < places && self.swept < self.records.buckets() {
            // From the last on, as the last takes the place of one that is taken out.
            for place in self.records.places_of(self.swept).rev() {
                looked_at += 1;
                if let Some(grave) = self.sweep_place(place, cx) {
                    return (looked_at, Some(grave), false);
                }
            }
            self.swept += 1;
        }
        let done = self.swept >= self.records.buckets();
        if done {
            self.swept = 0;
            self.records.shrink();
            if cx.scopes.open_rules() > 0 {
                fills.note_rules(&cx.scopes);
            }
        }
        (looked_at, None, done)
    }

    fn sweep_place(&mut self, place: Place, cx: &Context) -> Option<Grave<V>> {
        let record = self.records.get(place);
        let (id, settled) = (record.tenant, record.settled.load_relaxed());
        if settled >= cx.scopes.broad() {
            return None;
        }
        let tenant = self.tallies.tenant(id).clone();
        let view = cx.scopes.view_of(&tenant, self.records.path(place), settled);
        if view.standing(settled) == Standing::Dead {
            let grave = self.bury(place, &tenant, &view, cx);
            self.tallies.prune(id);
            return Some(grave);
        }
        let counts = self.tallies.at(&tenant, &view);
        self.records.edit(place, |record, _| record.settle(&view, counts));
        None
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
        self.counters.add_to(total);
        total.bytes += self.records.bytes() + self.tallies.structure_bytes();
    }

    /// Panics where the invariants at the top of this module don't hold, or a count disagrees with what it counts. Gives the
    /// number of paths and of entries, and whether any are dead.
    #[cfg(fuzzing)]
    pub(crate) fn check(
        &self,
        fills: &OpenFills,
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
        for place in self.records.places() {
            let (record, path) = (self.records.get(place), self.records.path(place));
            let (id, variants) = (record.tenant, self.records.variants(place));
            assert!(belongs(cx.hashing.path(id, path)), "{path} is in the wrong shard");
            assert!(variants.len() > 0, "{path} has no variant");
            let settled = record.settled.load_relaxed();
            assert!(settled <= cx.scopes.broad(), "{path} is settled ahead of time");
            let tenant = self.tallies.tenant(id);
            let key = Key { hash: cx.hashing.path(id, path), tenant, path };
            assert_eq!(self.records.find(&key), Some(place), "{path} is there twice");

            let (len, stale) = (variants.len(), variants.stale());
            entries += len as u64;
            any_dead |= record.standing(&Self::view(&key, cx)) == Standing::Dead;
            let counts = counted.entry(id).or_default();
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
        fills.check(|hash, tenant, path| filed_well(hash.table(), tenant, path));
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
        let wanted = self.records.keys().find(variant.as_str(), &cx.hashing);
        let there = place.and_then(|place| self.records.variants(place).find(wanted));
        let admission = match self.admit(key, variant.as_str(), place, there, cx) {
            Ok(admission) => admission,
            Err(reason) => {
                self.tallies.prune(key.tenant.id());
                return (self.refuse(value, reason), grave);
            }
        };
        let counts = self.tallies.at(key.tenant, view);
        let place = place.unwrap_or_else(|| {
            counts.paths += 1;
            self.records.push(key, view.as_of)
        });
        let stale = freshness == Freshness::Stale;
        let (replaced, evicted) = self.records.edit(place, |record, keys| {
            record.settle(view, counts);
            let variants = &mut record.variants;
            if let Admission::Replacing(at) = admission {
                return (Some(variants.replace(at, value, stale)), None);
            }
            let evicting = admission == Admission::Evicting;
            let evicted = evicting.then(|| variants.remove_oldest(keys, &cx.hashing)).flatten();
            variants.push(wanted, value, stale, keys, &cx.hashing);
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
        if place.is_some_and(|p| self.records.variants(p).len() >= cx.limits.variants) {
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
        if self.records.variants(place).len() == 0 {
            drop(self.records.remove(place));
            cx.occupancy.give_back(1, 0);
            self.tallies.of(tenant).paths -= 1;
            self.tallies.prune(tenant.id());
        }
    }

    /// Takes a dead record out, and out of the counts.
    fn bury(&mut self, place: Place, tenant: &Tenant, view: &View, cx: &Context) -> Grave<V> {
        let counts = self.tallies.at(tenant, view);
        let settled = self.records.get(place).settled.load_relaxed();
        let variants = self.records.variants(place);
        let (len, stale) = (variants.len(), variants.stale());
        match view.whole_standing(settled) {
            Standing::Dead => {
                counts.dead -= len;
                counts.dead_paths -= 1;
            }
            // Only a prefix rule killed it: until now it counted as what it was before.
            Standing::Stale => counts.remove(len, len),
            Standing::Untouched => counts.remove(len, stale),
        }
        let (path, taken) = self.records.remove(place);
        cx.occupancy.give_back(1, len);
        Grave::new(tenant, path, taken.into_entries())
    }
}
