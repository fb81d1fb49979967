//! Taking variants out of a shard, or marking them: purges, removals, and the sweep after a flush.

use super::core::{Shard, Shared};
use super::open_fills::{OpenFills, PurgeMark};
use super::over_time::Living;
use super::path_ref::PathRef;
use super::table::{RecordId, Removal};
use crate::outcome::{DeadRecord, PurgeOutcome, Purged, Softened};
use crate::scopes::{Generation, Standing, Tenant, View};
use crate::selection::Selection;
use crate::severity::Severity;
use crate::variants::{SoftenCounts, Taken, Wanted};

/// The result of a step of the sweep.
pub(crate) struct Swept<V> {
    /// How many records it looked at.
    pub(crate) looked_at: usize,
    pub(crate) dead_record: Option<DeadRecord<V>>,
    /// Whether no record is left to look at.
    pub(crate) done: bool,
}

impl PurgeMark {
    /// The outcome of a hard purge that took out these variants.
    fn with<V>(self, variants: Taken<V>) -> Purged<V> {
        Purged { generation: self.generation, variants, voided: self.overtaken }
    }
}

impl<V> Shard<V> {
    /// Removes a variant if it may still be served and holds the expected value.
    pub(crate) fn remove(
        &mut self,
        key: &PathRef<'_>,
        variant: &str,
        expected: &V,
        shared: &Shared,
    ) -> (Option<V>, Option<Box<DeadRecord<V>>>)
    where
        V: PartialEq,
    {
        let view = Self::view(key, shared);
        let wanted = Wanted::new(variant, &shared.hashing);
        let Some(record) = self.records.find(key) else { return (None, None) };
        let Some(mut at) = record.find(wanted, &shared.keys) else { return (None, None) };
        // The caller's `eq` runs before any change: if it panics, the shard is as it was.
        let (value, freshness) = record.get(at);
        let standing = view.standing_of(record.settled(), freshness);
        if standing == Standing::Dead || value != expected {
            return (None, None);
        }
        // Older entries that died beside it go first. A record that has them cannot be settled.
        let id = record.id();
        let dead_record = self.without_dead(id, key.tenant, &view, shared).dead_record;
        if dead_record.is_some() {
            let Some(again) = self.records.get(id).find(wanted, &shared.keys) else {
                return (None, dead_record);
            };
            at = again;
        }
        let counts = self.tallies.at(key.tenant, &view);
        self.records.settle(id, &view, counts);
        let (value, freshness) = self.records.remove_variant(id, at, &shared.keys, &shared.hashing);
        counts.subtract(freshness);
        shared.occupancy.give_back(0, 1);
        self.drop_if_empty(id, key.tenant, shared);
        (Some(value), dead_record)
    }

    /// Purges the path, or the variants of it that `selection` picks.
    pub(crate) fn purge(
        &mut self,
        key: &PathRef<'_>,
        selection: Selection<'_>,
        severity: Severity,
        fills: &OpenFills<V>,
        shared: &Shared,
    ) -> (PurgeOutcome<V>, Option<Box<DeadRecord<V>>>) {
        self.counters.purges += 1;
        let (mark, view) = self.mark_purge(key, selection, severity, fills, shared);
        match severity {
            Severity::Hard => {
                let (purged, dead_record) = self.purge_hard(key, selection, mark, &view, shared);
                (PurgeOutcome::Hard(purged), dead_record)
            }
            Severity::Soft => {
                let (softened, dead_record) = self.purge_soft(key, selection, mark, &view, shared);
                (PurgeOutcome::Soft(softened), dead_record)
            }
        }
    }

    /// Takes the variants of a path out, for a hard purge that has marked the open fills. Returns
    /// `false` if nothing is done yet, and [`Self::purge_unsettled`] is needed: mostly because a
    /// broad invalidation came since the record or the tally of the tenant was last touched, and it
    /// matters of which kind it was.
    #[inline]
    pub(crate) fn take_settled(
        &mut self,
        key: &PathRef<'_>,
        shared: &Shared,
        taken: &mut Taken<V>,
    ) -> bool {
        let as_of = shared.scopes.broad();
        let Some(counts) = self.tallies.last_at(key.tenant, as_of) else { return false };
        let (len, stale) = match self.records.remove_settled(key, as_of, &shared.keys, taken) {
            Removal::Absent => return true,
            Removal::Done { len, stale } => (len, stale),
            Removal::Undone => return false,
        };
        counts.remove(len, stale);
        if counts.is_empty() {
            self.tallies.prune(key.tenant.id());
        }
        shared.occupancy.give_back(1, len);
        true
    }

    /// Purges the path, hard, after `first` has marked its open fills and
    /// [`Self::take_settled`] has done nothing. It marks the fills again: those that have begun
    /// since come before this purge as well.
    #[inline(never)]
    pub(crate) fn purge_unsettled(
        &mut self,
        key: &PathRef<'_>,
        first: PurgeMark,
        fills: &OpenFills<V>,
        shared: &Shared,
    ) -> (Purged<V>, Option<Box<DeadRecord<V>>>) {
        let (mut mark, view) = self.mark_purge(key, Selection::All, Severity::Hard, fills, shared);
        mark.overtaken += first.overtaken;
        self.purge_hard(key, Selection::All, mark, &view, shared)
    }

    /// Takes the number of a purge, and marks the open fills with it, whether the path has a record
    /// or not. Returns the view of the scopes at that moment.
    fn mark_purge(
        &mut self,
        key: &PathRef<'_>,
        selection: Selection<'_>,
        severity: Severity,
        fills: &OpenFills<V>,
        shared: &Shared,
    ) -> (PurgeMark, View) {
        let (mark, view) = fills.purge_with_view(key, severity, &shared.scopes);
        if let Some(noted) = &mut self.noted {
            noted.add(key, selection, severity, mark.generation);
        }
        (mark, view)
    }

    /// The same for a hard purge of the path, without a view. A restore under way notes it apart,
    /// so that there is no selection to pass on.
    #[inline]
    pub(crate) fn mark_purge_of_path(
        &mut self,
        key: &PathRef<'_>,
        fills: &OpenFills<V>,
        shared: &Shared,
    ) -> PurgeMark {
        let mark = fills.purge(key, Severity::Hard, &shared.scopes);
        self.counters.purges += 1;
        if self.noted.is_some() {
            self.note_purge_of_path(key, mark.generation);
        }
        mark
    }

    #[cold]
    #[inline(never)]
    fn note_purge_of_path(&mut self, key: &PathRef<'_>, generation: Generation) {
        if let Some(noted) = &mut self.noted {
            noted.add(key, Selection::All, Severity::Hard, generation);
        }
    }

    /// Takes out the variants that a hard purge picks, after it has marked the open fills.
    fn purge_hard(
        &mut self,
        key: &PathRef<'_>,
        selection: Selection<'_>,
        mark: PurgeMark,
        view: &View,
        shared: &Shared,
    ) -> (Purged<V>, Option<Box<DeadRecord<V>>>) {
        // Entries that a broad invalidation killed are returned by `reclaim`; this purge does not
        // return them, so that nobody gets them twice.
        let Living { id, dead_record } = self.living(key, view, shared);
        let variants = match id {
            None => Taken::none(),
            Some(id) if selection == Selection::All => {
                self.take_whole(id, key.tenant, view, shared)
            }
            Some(id) => self.take_selected(id, key.tenant, selection, view, shared),
        };
        (mark.with(variants), dead_record)
    }

    /// Marks the variants that a soft purge picks, after it has marked the open fills.
    fn purge_soft(
        &mut self,
        key: &PathRef<'_>,
        selection: Selection<'_>,
        mark: PurgeMark,
        view: &View,
        shared: &Shared,
    ) -> (Softened, Option<Box<DeadRecord<V>>>) {
        let Living { id, dead_record } = self.living_before_soft_purge(key, view, shared);
        let soften = |id| self.soften_selected(id, key.tenant, selection, view, shared);
        let SoftenCounts { made_stale, already_stale } = id.map(soften).unwrap_or_default();
        let PurgeMark { generation, overtaken } = mark;
        let (count, stale_before) = (made_stale, already_stale);
        (Softened { generation, count, stale_before, overtaken }, dead_record)
    }

    /// Takes out a record that is not dead, with all of its variants.
    fn take_whole(
        &mut self,
        id: RecordId,
        tenant: &Tenant,
        view: &View,
        shared: &Shared,
    ) -> Taken<V> {
        let counts = self.tallies.at(tenant, view);
        self.records.settle(id, view, counts);
        let record = self.records.get(id);
        counts.remove(record.len(), record.stale());
        if counts.is_empty() {
            self.tallies.prune(tenant.id());
        }
        let taken = self.records.remove(id, &shared.keys);
        shared.occupancy.give_back(1, taken.len());
        taken
    }

    /// Takes the picked variants out of a record that is not dead.
    fn take_selected(
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
        let stale_before = record.stale();
        self.rebuilt += u64::from(record.is_large());
        let pick = |key: &str| selection.picks(key);
        let taken = self.records.extract(id, pick, &shared.keys, &shared.hashing);
        let stale = stale_before - self.records.get(id).stale();
        counts.stale -= stale;
        counts.live -= taken.len() - stale;
        shared.occupancy.give_back(0, taken.len());
        self.drop_if_empty(id, tenant, shared);
        taken
    }

    /// Marks the picked variants of a record that is not dead.
    fn soften_selected(
        &mut self,
        id: RecordId,
        tenant: &Tenant,
        selection: Selection<'_>,
        view: &View,
        shared: &Shared,
    ) -> SoftenCounts {
        let counts = self.tallies.at(tenant, view);
        self.records.settle(id, view, counts);
        let softened = self.records.soften(id, |key| selection.picks(key), &shared.keys);
        counts.live -= softened.made_stale;
        counts.stale += softened.made_stale;
        softened
    }

    /// Settles the records of the next buckets, until it has looked at `places` or has taken out
    /// one that is dead.
    ///
    /// One record at a time, because removing it is most of the work, and readers of the shard wait
    /// meanwhile. The next call begins with the same bucket; the records that stay in it are
    /// settled by then.
    pub(crate) fn sweep(
        &mut self,
        places: usize,
        fills: &OpenFills<V>,
        shared: &Shared,
    ) -> Swept<V> {
        let mut looked_at = 0;
        while looked_at < places && self.swept < self.records.buckets() {
            // Backwards, because the last record moves into the place of a removed one.
            for id in self.records.ids_of(self.swept).into_iter().rev() {
                looked_at += 1;
                if let Some(dead_record) = self.sweep_record(id, shared) {
                    return Swept { looked_at, dead_record: Some(dead_record), done: false };
                }
            }
            self.swept += 1;
        }
        let done = self.swept >= self.records.buckets();
        if done {
            self.swept = 0;
            let buckets = self.records.buckets();
            self.records.shrink();
            self.merges += u64::from(self.records.buckets() < buckets);
            self.records.rebase(shared.scopes.broad());
            if shared.scopes.open_rules() > 0 {
                fills.note_rules(&shared.scopes);
            }
        }
        Swept { looked_at, dead_record: None, done }
    }

    fn sweep_record(&mut self, id: RecordId, shared: &Shared) -> Option<DeadRecord<V>> {
        let record = self.records.get(id);
        let settled = record.settled();
        if settled >= shared.scopes.broad() {
            return None;
        }
        let tenant = self.tallies.tenant(record.tenant()).clone();
        let view = shared.scopes.view_of(&tenant, record.text(), settled);
        let Living { id, dead_record } = self.without_dead(id, &tenant, &view, shared);
        if let Some(id) = id.filter(|_| dead_record.is_none()) {
            let counts = self.tallies.at(&tenant, &view);
            self.records.settle(id, &view, counts);
        }
        dead_record.map(|dead| *dead)
    }

    /// Removes a record without variants.
    fn drop_if_empty(&mut self, id: RecordId, tenant: &Tenant, shared: &Shared) {
        if self.records.get(id).len() == 0 {
            drop(self.records.remove(id, &shared.keys));
            shared.occupancy.give_back(1, 0);
            self.tallies.of(tenant).paths -= 1;
            self.tallies.prune(tenant.id());
        }
    }

    /// Removes a dead record, and subtracts it from the counts.
    #[inline(never)]
    pub(super) fn take_dead(
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
            // Only a prefix rule killed it. Until now, it was counted as live or stale.
            Standing::Stale => counts.remove(len, len),
            Standing::Untouched => counts.remove(len, stale),
        }
        if counts.is_empty() {
            self.tallies.prune(tenant.id());
        }
        let (path, taken) = self.records.remove_named(id, &shared.keys);
        shared.occupancy.give_back(1, len);
        DeadRecord::new(tenant, path, taken.into_entries())
    }
}
