//! Records under a flush over time.
//!
//! A record has one generation up to which it is settled, for all of its variants. While a flush
//! over time covers it, the record cannot be settled beyond the marker of the flush, and each
//! lookup of it compares the time with the moment of its path. It is in one of these states:
//!
//! | state | settled | its variants |
//! |---|---|---|
//! | covered | before the marker | all are older than the flush |
//! | mixed | at the marker | those marked stale are older, all others are newer |
//! | newer | later | all are newer |
//!
//! A store makes a covered record mixed, which needs no room for a mark on each variant. In return,
//! the older variants of a mixed record are stale, also if the flush would leave them live, and a
//! newer variant can't be marked stale. So the older ones die early when a soft invalidation, or a
//! second flush over time, reaches the record. That is one moment for all threads:
//! `View::standing_of_older`.

use super::core::{Shard, Shared};
use super::path_ref::PathRef;
use super::table::RecordId;
use crate::freshness::Freshness;
use crate::outcome::DeadRecord;
use crate::scopes::{Generation, Standing, Tenant, View};
use std::collections::BTreeSet;

/// The record of a path, if one is left, and the entries of it that were dead.
pub(super) struct Living<V> {
    pub(super) id: Option<RecordId>,
    pub(super) dead_record: Option<Box<DeadRecord<V>>>,
}

impl<V> Living<V> {
    /// The result of one more step.
    pub(super) fn then(self, rest: Self) -> Self {
        let dead_record = match (self.dead_record, rest.dead_record) {
            (Some(dead), Some(more)) => Some(Box::new(dead.join(*more))),
            (dead, more) => dead.or(more),
        };
        Self { id: rest.id, dead_record }
    }
}

impl<V> Shard<V> {
    /// Finds the record of a path and takes out its dead entries.
    pub(super) fn living(&mut self, key: &PathRef<'_>, view: &View, shared: &Shared) -> Living<V> {
        match self.records.id_of(key) {
            Some(id) => self.without_dead(id, key.tenant, view, shared),
            None => Living { id: None, dead_record: None },
        }
    }

    /// The same before a soft purge of the path: it may mark newer entries, so that a mixed record
    /// has no room for the older ones.
    pub(super) fn living_before_soft_purge(
        &mut self,
        key: &PathRef<'_>,
        view: &View,
        shared: &Shared,
    ) -> Living<V> {
        let found = self.living(key, view, shared);
        let settled = found.id.map(|id| (id, self.records.get(id).settled()));
        match settled.filter(|(_, settled)| view.is_mixed(*settled)) {
            Some((id, marker)) => {
                let rest = self.without_older(id, key.tenant, marker, view, shared);
                found.then(rest)
            }
            None => found,
        }
    }

    /// The same before a newer entry is stored. If the record has no room for the older ones beside
    /// it, they die early.
    pub(super) fn living_before_store(
        &mut self,
        key: &PathRef<'_>,
        freshness: Freshness,
        view: &View,
        shared: &Shared,
    ) -> Living<V> {
        let id = self.records.id_of(key);
        // Nearly always: no broad invalidation since the record was last touched. The marker of a
        // flush over time that covers it, or that it is mixed at, would be in between.
        if id.is_none_or(|id| self.records.get(id).settled() >= view.as_of) {
            return Living { id, dead_record: None };
        }
        self.living_after_flush(key, freshness, view, shared)
    }

    #[cold]
    #[inline(never)]
    fn living_after_flush(
        &mut self,
        key: &PathRef<'_>,
        freshness: Freshness,
        view: &View,
        shared: &Shared,
    ) -> Living<V> {
        let found = match freshness {
            Freshness::Live => self.living(key, view, shared),
            Freshness::Stale => self.living_before_soft_purge(key, view, shared),
        };
        let Some(id) = found.id else { return found };
        let Some(marker) = view.covering(self.records.get(id).settled()) else { return found };
        if freshness.is_stale() || view.standing_of_older(marker) == Standing::Dead {
            let dead = self.take_dead(id, key.tenant, view, shared);
            return found.then(Living { id: None, dead_record: Some(Box::new(dead)) });
        }
        found
    }

    /// Takes the dead entries out of a record.
    pub(super) fn without_dead(
        &mut self,
        id: RecordId,
        tenant: &Tenant,
        view: &View,
        shared: &Shared,
    ) -> Living<V> {
        let settled = self.records.get(id).settled();
        if settled >= view.as_of {
            return Living { id: Some(id), dead_record: None };
        }
        if view.standing(settled) == Standing::Dead {
            let dead = self.take_dead(id, tenant, view, shared);
            return Living { id: None, dead_record: Some(Box::new(dead)) };
        }
        if view.is_mixed(settled) && view.standing_of_older(settled) == Standing::Dead {
            return self.without_older(id, tenant, settled, view, shared);
        }
        Living { id: Some(id), dead_record: None }
    }

    /// Takes the older entries out of a mixed record, and settles it.
    fn without_older(
        &mut self,
        id: RecordId,
        tenant: &Tenant,
        marker: Generation,
        view: &View,
        shared: &Shared,
    ) -> Living<V> {
        let record = self.records.get(id);
        let listed = record.list(&shared.keys).into_iter();
        let older: BTreeSet<_> =
            listed.filter(|(_, freshness)| freshness.is_stale()).map(|(key, _)| key).collect();
        if older.len() == record.len() {
            let dead = self.take_dead(id, tenant, view, shared);
            return Living { id: None, dead_record: Some(Box::new(dead)) };
        }
        let (path, is_large): (Box<str>, _) = (record.path().into(), record.is_large());
        let counts = self.tallies.at(tenant, view);
        if older.is_empty() {
            self.records.settle(id, &view.without(marker), counts);
            return Living { id: Some(id), dead_record: None };
        }
        self.rebuilt += u64::from(is_large);
        let taken =
            self.records.extract(id, |key| older.contains(key), &shared.keys, &shared.hashing);
        counts.stale -= taken.len();
        self.records.settle(id, &view.without(marker), counts);
        shared.occupancy.give_back(0, taken.len());
        let dead = DeadRecord::new(tenant, path, taken.into_entries());
        Living { id: Some(id), dead_record: Some(Box::new(dead)) }
    }
}
