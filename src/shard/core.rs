//! One shard: the single-threaded core of the index, without locks.
//!
//! Invariants:
//! - Between two calls, a record has at least one variant.
//! - `settled` never runs ahead of what is true of *all* variants of a record: none of them was
//!   reached by a hard invalidation up to `settled`, and those reached by a soft one are marked stale.
//! - Everything that compares generations reads them inside the call, that is, under the shard's lock. A generation read before
//!   the lock would let an insert that a flush overtook wipe what was stored after the flush.
//! - No value of the caller's is dropped in here: what goes is returned, or comes out as a [`DeadRecord`].

use super::open_fills::{FillStart, OpenFills, Overtaken};
use super::path_ref::PathRef;
use super::table::{RecordId, RecordRef, Records};
#[cfg(feature = "cloudimage")]
use crate::forecast::{Extent, Matches};
use crate::hash::{Hashing, TableHash};
use crate::limits::{Limits, Occupancy, WhenFull};
use crate::names::{OriginPath, VariantKey};
use crate::outcome::{
    DeadRecord, Freshness, Insertion, Lookup, Purged, Refusal, Refused, Softened, Stored, key_of,
};
use crate::prefetch::Stage;
use crate::scopes::{Counts, Generation, Scopes, Standing, Tallies, Tenant, View};
use crate::selection::Selection;
use crate::severity::Severity;
use crate::stats::ShardStats;
use crate::variants::{Dictionary, Entry, Taken, VariantIndex, Wanted};
use std::sync::Arc;

/// What all shards of an index share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) hashing: Hashing,
    pub(crate) keys: Arc<Dictionary>,
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
    Replacing(VariantIndex),
    /// The path's oldest variant goes.
    Evicting,
}

#[derive(Debug)]
pub(crate) struct Shard<V> {
    pub(super) records: Records<V>,
    pub(super) tallies: Tallies,
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
    pub(crate) fn fetch(
        &self,
        stage: Stage,
        key: &PathRef<'_>,
        variant: TableHash,
        shared: &Shared,
    ) {
        self.records.fetch(stage, key.hash.table(), variant, &shared.keys);
    }

    /// Looks for a variant, whose key is hashed only if the path may be there.
    #[inline]
    pub(crate) fn lookup<'k>(
        &self,
        key: &PathRef<'_>,
        wanted: impl FnOnce() -> Wanted<'k>,
        shared: &Shared,
    ) -> Lookup<V>
    where
        V: Clone,
    {
        let Some(guess) = self.records.guess(key) else { return Lookup::Miss };
        guess.touch();
        let record = if guess.is(key) {
            guess
        } else {
            let Some(found) = self.records.find(key) else { return Lookup::Miss };
            found
        };
        let Some(at) = record.find(wanted(), &shared.keys) else { return Lookup::Miss };
        let (value, stale) = record.get(at);
        // Nearly always one comparison: no broad invalidation since the record was last touched.
        let standing = if record.settled() >= shared.scopes.broad() {
            Standing::Untouched
        } else {
            Self::standing_now(record, key, shared)
        };
        match standing {
            Standing::Dead => Lookup::Miss,
            Standing::Untouched if !stale => Lookup::Live(value.clone()),
            Standing::Untouched | Standing::Stale => Lookup::Stale(value.clone()),
        }
    }

    /// The standing of a record after a broad invalidation. What is found untouched is confirmed, for the next look-up.
    fn standing_now(record: RecordRef<'_, V>, key: &PathRef<'_>, shared: &Shared) -> Standing {
        if record.is_confirmed(shared.scopes.broad()) {
            return Standing::Untouched;
        }
        let settled = record.settled();
        let view = shared.scopes.view_of(key.tenant, key.path, settled);
        let standing = view.standing(settled);
        if standing == Standing::Untouched {
            record.confirm(view.as_of);
        }
        standing
    }

    /// The keys of the path's variants that may be served, in no particular order.
    pub(crate) fn variants(&self, key: &PathRef<'_>, shared: &Shared) -> Vec<VariantKey<'static>> {
        let Some(record) = self.records.find(key) else { return Vec::new() };
        let settled = record.settled();
        let view = shared.scopes.view_of(key.tenant, key.path, settled);
        if view.standing(settled) == Standing::Dead {
            return Vec::new();
        }
        record.list(&shared.keys).into_iter().map(|(key, _)| key_of(key)).collect()
    }

    /// What a purge of the path would meet now.
    #[cfg(feature = "cloudimage")]
    pub(crate) fn matches(
        &self,
        key: &PathRef<'_>,
        selection: Selection<'_>,
        fills: &OpenFills,
        shared: &Shared,
    ) -> Matches {
        let fills = fills.valid(key);
        let mut variants = Vec::new();
        if let Some(record) = self.records.find(key) {
            let settled = record.settled();
            let standing = shared.scopes.view_of(key.tenant, key.path, settled).standing(settled);
            if standing != Standing::Dead {
                variants = record.list(&shared.keys);
            }
            variants.retain(|(key, _)| selection.picks(key));
            for (_, stale) in &mut variants {
                *stale |= standing == Standing::Stale;
            }
        }
        Matches { variants, fills }
    }

    /// How much a purge of the prefix would meet now.
    #[cfg(feature = "cloudimage")]
    pub(crate) fn extent(
        &self,
        tenant: &Tenant,
        prefix: &str,
        fills: &OpenFills,
        shared: &Shared,
    ) -> Extent {
        let fills = fills.valid_under(tenant.id(), prefix);
        let mut extent = Extent { fills, ..Extent::default() };
        for (record, standing) in self.records_under(tenant, prefix, shared) {
            let stale = match standing {
                Standing::Stale => record.len(),
                _ => record.stale(),
            };
            extent.stale += stale;
            extent.live += record.len() - stale;
        }
        extent
    }

    /// The tenant's paths that begin with `prefix` and may be served.
    fn records_under<'a>(
        &'a self,
        tenant: &'a Tenant,
        prefix: &'a str,
        shared: &'a Shared,
    ) -> impl Iterator<Item = (RecordRef<'a, V>, Standing)> {
        let under = self.records.iter().filter(move |record| {
            record.tenant() == tenant.id() && record.path().starts_with(prefix)
        });
        let standing = under.map(move |record| {
            let settled = record.settled();
            (record, shared.scopes.view_of(tenant, record.path(), settled).standing(settled))
        });
        standing.filter(|(_, standing)| *standing != Standing::Dead)
    }

    /// The tenant's paths that begin with `prefix` and may be served.
    pub(crate) fn paths(
        &self,
        tenant: &Tenant,
        prefix: &str,
        shared: &Shared,
    ) -> Vec<OriginPath<'static>> {
        let records = self.records_under(tenant, prefix, shared);
        records.map(|(record, _)| OriginPath::new_unchecked(record.path().to_owned())).collect()
    }

    /// Closes a fill with what it brought.
    pub(crate) fn commit(
        &mut self,
        key: &PathRef<'_>,
        began: FillStart,
        variant: &VariantKey<'_>,
        value: V,
        fills: &OpenFills,
        shared: &Shared,
    ) -> (Insertion<V>, Option<DeadRecord<V>>) {
        let view = Self::view(key, shared);
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
        let stale = overtaken == Overtaken::Soft || standing == Standing::Stale;
        let freshness = if stale { Freshness::Stale } else { Freshness::Live };
        self.store(key, variant, value, freshness, &view, shared)
    }

    /// Stores without a lease, as a fill that begins and ends now.
    pub(crate) fn insert(
        &mut self,
        key: &PathRef<'_>,
        variant: &VariantKey<'_>,
        value: V,
        shared: &Shared,
    ) -> (Insertion<V>, Option<DeadRecord<V>>) {
        let view = Self::view(key, shared);
        if view.is_forgotten() {
            return (self.refuse(value, Refusal::Forgotten), None);
        }
        self.store(key, variant, value, Freshness::Live, &view, shared)
    }

    fn refuse(&mut self, value: V, reason: Refusal) -> Insertion<V> {
        self.counters.refused(reason);
        Insertion::Refused(Refused { value, reason })
    }

    /// Takes out a variant if it may still be served and holds the expected value.
    pub(crate) fn remove(
        &mut self,
        key: &PathRef<'_>,
        variant: &str,
        expected: &V,
        shared: &Shared,
    ) -> Option<V>
    where
        V: PartialEq,
    {
        let view = Self::view(key, shared);
        let record = self.records.find(key)?;
        let wanted = Wanted { text: variant, hash: shared.hashing.variant(variant) };
        let at = record.find(wanted, &shared.keys)?;
        // The caller's `eq` runs before anything is changed: if it panics, nothing is harmed.
        if record.standing(&view) == Standing::Dead || record.get(at).0 != expected {
            return None;
        }
        let id = record.id();
        let counts = self.tallies.at(key.tenant, &view);
        self.records.settle(id, &view, counts);
        let (value, stale) = self.records.remove_variant(id, at, &shared.keys, &shared.hashing);
        counts.subtract(stale);
        shared.occupancy.give_back(0, 1);
        self.drop_if_empty(id, key.tenant, shared);
        Some(value)
    }

    /// Purges the path, or the variants of it that `selection` picks. The outcome of the other mode is empty.
    pub(crate) fn purge(
        &mut self,
        key: &PathRef<'_>,
        selection: Selection<'_>,
        severity: Severity,
        fills: &OpenFills,
        shared: &Shared,
    ) -> (Purged<V>, Softened, Option<DeadRecord<V>>) {
        let (generation, fills) = fills.purge(key, severity, &shared.scopes);
        let (voided, overtaken) = match severity {
            Severity::Hard => (fills, 0),
            Severity::Soft => (0, fills),
        };
        let mut purged = Purged { generation, variants: Taken::none(), voided };
        let mut softened = Softened { generation, count: 0, stale_before: 0, overtaken };
        self.counters.purges += 1;
        let view = Self::view(key, shared);
        let Some(record) = self.records.find(key) else { return (purged, softened, None) };
        let id = record.id();
        if record.standing(&view) == Standing::Dead {
            // What a broad invalidation has killed is not this purge's to hand over: it would be handed over twice.
            let dead_record = self.take_dead(id, key.tenant, &view, shared);
            return (purged, softened, Some(dead_record));
        }
        if severity == Severity::Soft {
            let counts = self.tallies.at(key.tenant, &view);
            self.records.settle(id, &view, counts);
            (softened.count, softened.stale_before) =
                self.records.soften(id, |key| selection.picks(key), &shared.keys);
            counts.live -= softened.count;
            counts.stale += softened.count;
        } else {
            purged.variants = self.take_out(id, key.tenant, selection, &view, shared);
        }
        (purged, softened, None)
    }

    /// Takes a record that is not dead out, or those of its variants that `selection` picks.
    fn take_out(
        &mut self,
        id: RecordId,
        tenant: &Tenant,
        selection: Selection<'_>,
        view: &View,
        shared: &Shared,
    ) -> Taken<V> {
        let counts = self.tallies.at(tenant, view);
        self.records.settle(id, view, counts);
        let record = self.records.get(id);
        if selection == Selection::All {
            counts.remove(record.len(), record.stale());
            if *counts == Counts::default() {
                self.tallies.prune(tenant.id());
            }
            let taken = self.records.remove(id, &shared.keys);
            shared.occupancy.give_back(1, taken.len());
            return taken;
        }
        let stale = record.stale();
        let pick = |key: &str| selection.picks(key);
        let taken = self.records.extract(id, pick, &shared.keys, &shared.hashing);
        let stale = stale - self.records.get(id).stale();
        counts.stale -= stale;
        counts.live -= taken.len() - stale;
        shared.occupancy.give_back(0, taken.len());
        self.drop_if_empty(id, tenant, shared);
        taken
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
        shared: &Shared,
    ) -> (usize, Option<DeadRecord<V>>, bool) {
        let mut looked_at = 0;
        while looked_at < places && self.swept < self.records.buckets() {
            // From the last on, as the last takes the place of one that is taken out.
            for id in self.records.ids_of(self.swept).into_iter().rev() {
                looked_at += 1;
                if let Some(dead_record) = self.sweep_record(id, shared) {
                    return (looked_at, Some(dead_record), false);
                }
            }
            self.swept += 1;
        }
        let done = self.swept >= self.records.buckets();
        if done {
            self.swept = 0;
            self.records.shrink();
            self.records.rebase(shared.scopes.broad());
            if shared.scopes.open_rules() > 0 {
                fills.note_rules(&shared.scopes);
            }
        }
        (looked_at, None, done)
    }

    fn sweep_record(&mut self, id: RecordId, shared: &Shared) -> Option<DeadRecord<V>> {
        let record = self.records.get(id);
        let settled = record.settled();
        if settled >= shared.scopes.broad() {
            return None;
        }
        let tenant = self.tallies.tenant(record.tenant()).clone();
        let view = shared.scopes.view_of(&tenant, record.path(), settled);
        if view.standing(settled) == Standing::Dead {
            return Some(self.take_dead(id, &tenant, &view, shared));
        }
        let counts = self.tallies.at(&tenant, &view);
        self.records.settle(id, &view, counts);
        None
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
    }

    /// Stores what may be stored; what a broad invalidation killed of the path goes first.
    fn store(
        &mut self,
        key: &PathRef<'_>,
        variant: &VariantKey<'_>,
        value: V,
        freshness: Freshness,
        view: &View,
        shared: &Shared,
    ) -> (Insertion<V>, Option<DeadRecord<V>>) {
        let mut found = self.records.find(key);
        let mut dead_record = None;
        if let Some(record) = found {
            if record.standing(view) == Standing::Dead {
                let dead = record.id();
                dead_record = Some(self.take_dead(dead, key.tenant, view, shared));
                found = None;
            }
        }
        let variant = variant.as_str();
        let wanted = Wanted { text: variant, hash: shared.hashing.variant(variant) };
        let there = found.and_then(|record| record.find(wanted, &shared.keys));
        let admission = match Self::admit(key, variant, found, there, shared) {
            Ok(admission) => admission,
            Err(reason) => {
                return (self.refuse(value, reason), dead_record);
            }
        };
        let id = found.map(RecordRef::id);
        let stale = freshness == Freshness::Stale;
        let (replaced, evicted) =
            self.put(key, id, admission, (wanted, value, stale), view, shared);
        let stored = Stored {
            freshness,
            replaced,
            evicted: evicted.map(|entry| (key_of(entry.key), entry.value)),
        };
        (Insertion::Stored(stored), dead_record)
    }

    /// Puts an admitted variant into the path's record, or into a new one. Returns the value that it replaced, and what had to go.
    fn put(
        &mut self,
        key: &PathRef<'_>,
        id: Option<RecordId>,
        admission: Admission,
        (wanted, value, stale): (Wanted<'_>, V, bool),
        view: &View,
        shared: &Shared,
    ) -> (Option<V>, Option<Entry<V>>) {
        let Shared { keys, hashing, .. } = shared;
        let counts = self.tallies.at(key.tenant, view);
        counts.add(stale);
        let Some(id) = id else {
            counts.paths += 1;
            self.records.push(key, view.as_of, (wanted, value, stale), keys, hashing);
            return (None, None);
        };
        self.records.settle(id, view, counts);
        if let Admission::Replacing(at) = admission {
            let youngest = shared.limits.when_full == WhenFull::EvictOldest;
            let (old, was_stale) = self.records.replace(id, at, value, stale, youngest);
            counts.subtract(was_stale);
            return (Some(old), None);
        }
        let evicting = admission == Admission::Evicting;
        let evicted = evicting.then(|| self.records.remove_oldest(id, keys, hashing)).flatten();
        if let Some(entry) = &evicted {
            counts.subtract(entry.stale);
        }
        self.records.push_variant(id, (wanted, value, stale), keys, hashing);
        (None, evicted)
    }

    /// Whether there is room for the variant, and how it is made. Takes the room.
    fn admit(
        key: &PathRef<'_>,
        variant: &str,
        record: Option<RecordRef<'_, V>>,
        there: Option<VariantIndex>,
        shared: &Shared,
    ) -> Result<Admission, Refusal> {
        if key.path.len() > shared.limits.path_length {
            return Err(Refusal::PathTooLong);
        }
        if variant.len() > shared.limits.key_length {
            return Err(Refusal::KeyTooLong);
        }
        if let Some(at) = there {
            return Ok(Admission::Replacing(at));
        }
        if record.is_some_and(|record| record.len() >= shared.limits.variants) {
            return match shared.limits.when_full {
                WhenFull::Refuse => Err(Refusal::TooManyVariants),
                WhenFull::EvictOldest => Ok(Admission::Evicting),
            };
        }
        shared.occupancy.take(record.is_none())?;
        Ok(Admission::Adding)
    }

    /// What the scopes that cover the path say now.
    pub(super) fn view(key: &PathRef<'_>, shared: &Shared) -> View {
        shared.scopes.view_of(key.tenant, key.path, Generation::START)
    }

    /// Takes out a record whose last variant has gone.
    fn drop_if_empty(&mut self, id: RecordId, tenant: &Tenant, shared: &Shared) {
        if self.records.get(id).len() == 0 {
            drop(self.records.remove(id, &shared.keys));
            shared.occupancy.give_back(1, 0);
            self.tallies.of(tenant).paths -= 1;
            self.tallies.prune(tenant.id());
        }
    }

    /// Takes a dead record out, and out of the counts.
    fn take_dead(
        &mut self,
        id: RecordId,
        tenant: &Tenant,
        view: &View,
        shared: &Shared,
    ) -> DeadRecord<V> {
        let counts = self.tallies.at(tenant, view);
        let record = self.records.get(id);
        let (len, stale) = (record.len(), record.stale());
        match view.whole_standing(record.settled()) {
            Standing::Dead => {
                counts.dead -= len;
                counts.dead_paths -= 1;
            }
            // Only a prefix rule killed it: until now it counted as what it was before.
            Standing::Stale => counts.remove(len, len),
            Standing::Untouched => counts.remove(len, stale),
        }
        if *counts == Counts::default() {
            self.tallies.prune(tenant.id());
        }
        let (path, taken) = self.records.remove_named(id, &shared.keys);
        shared.occupancy.give_back(1, len);
        DeadRecord::new(tenant, path, taken.into_entries())
    }
}
