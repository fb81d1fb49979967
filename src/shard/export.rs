//! Copies of the entries of a shard, a few buckets at a time.
//!
//! Invariant: an export that visits the places of a shard in order meets each record that is there
//! from the first step to the last. A split moves records to a later bucket. Merges move them to
//! an earlier one, so that the export begins the shard again.
//!
//! The entries of a large set are copied from the last to the first, in steps of their own. An
//! entry that is taken out is replaced by the last one, which was copied before. A set that is
//! built again in between is copied as a whole: that ends, also if a client purges parts of the
//! set all the time.

use super::core::{Shard, Shared};
use super::path_ref::PathRef;
use super::table::RecordRef;
use crate::freshness::Freshness;
use crate::names::{OriginPath, VariantKey};
use crate::outcome::{ExportedPath, key_of};
use crate::scopes::{Generation, Standing, Tenant, View};

/// How far the export of a shard has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExportPlace {
    bucket: usize,
    merges: u64,
}

/// A large set whose first `left` entries are still to be copied.
#[derive(Clone, Debug)]
pub(crate) struct LargePlace {
    pub(crate) tenant: Tenant,
    pub(crate) path: Box<str>,
    left: usize,
    rebuilt: u64,
}

/// Whether entries are copied that are older than a running flush over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Running {
    /// Yes, until their moment.
    #[default]
    AsItIs,
    /// No: as though it had ended.
    Ended,
}

impl ExportPlace {
    /// The first place of a shard.
    pub(crate) fn first<V>(shard: &Shard<V>) -> Self {
        Self { bucket: 0, merges: shard.merges }
    }
}

impl<V: Clone> Shard<V> {
    /// Copies the entries of the next buckets to `out`, until about `limit` entries were looked at.
    /// Adds large sets to `large`. Returns the place to go on from, or `None` at the end.
    pub(crate) fn export(
        &self,
        place: &ExportPlace,
        limit: usize,
        scopes: (&Shared, Running),
        out: &mut Vec<ExportedPath<V>>,
        large: &mut Vec<LargePlace>,
    ) -> Option<ExportPlace> {
        let merges = self.merges;
        let mut bucket = if place.merges == merges { place.bucket } else { 0 };
        let mut looked_at = 0;
        while bucket < self.records.buckets() {
            if looked_at >= limit {
                return Some(ExportPlace { bucket, merges });
            }
            looked_at += 1;
            for id in self.records.ids_of(bucket) {
                let record = self.records.get(id);
                looked_at += record.len().min(super::table::MAX_SLOTS);
                self.export_record(record, scopes, out, large);
            }
            bucket += 1;
        }
        None
    }

    fn export_record(
        &self,
        record: RecordRef<'_, V>,
        scopes: (&Shared, Running),
        out: &mut Vec<ExportedPath<V>>,
        large: &mut Vec<LargePlace>,
    ) {
        let tenant = self.tallies.tenant(record.tenant());
        let view = Self::view_of_stored(record, tenant, scopes);
        if view.as_ref().is_some_and(|view| view.standing(record.settled()) == Standing::Dead) {
            return;
        }
        if record.is_large() {
            let (tenant, path) = (tenant.clone(), record.path().into());
            large.push(LargePlace { tenant, path, left: record.len(), rebuilt: self.rebuilt });
        } else {
            copy(record, tenant, view.as_ref(), 0..record.len(), scopes.0, out);
        }
    }

    /// Copies the next entries of a large set. Returns the place to go on from, or `None` if
    /// nothing of it is left.
    pub(crate) fn export_large(
        &self,
        key: &PathRef<'_>,
        place: &LargePlace,
        limit: usize,
        scopes: (&Shared, Running),
        out: &mut Vec<ExportedPath<V>>,
    ) -> Option<LargePlace> {
        let record = self.records.find(key)?;
        let view = Self::view_of_stored(record, key.tenant, scopes);
        if view.as_ref().is_some_and(|view| view.standing(record.settled()) == Standing::Dead) {
            return None;
        }
        let (from, to) = if record.is_large() && self.rebuilt == place.rebuilt {
            let to = place.left.min(record.len());
            (to.saturating_sub(limit), to)
        } else {
            (0, record.len())
        };
        copy(record, key.tenant, view.as_ref(), from..to, scopes.0, out);
        (from > 0).then(|| LargePlace { left: from, ..place.clone() })
    }

    /// Returns the view that a record needs, or `None` if it is untouched.
    fn view_of_stored(
        record: RecordRef<'_, V>,
        tenant: &Tenant,
        (shared, running): (&Shared, Running),
    ) -> Option<View> {
        let settled: Generation = record.settled();
        if settled >= shared.scopes.broad() {
            return None;
        }
        let view = shared.scopes.view_of(tenant, record.text(), settled);
        Some(if running == Running::Ended { view.with_spreads_ended() } else { view })
    }
}

/// Copies entries of a record that is not dead.
///
/// Each entry is added to `out` as soon as it is copied: if the caller's `Clone` panics, nothing is
/// dropped here.
fn copy<V: Clone>(
    record: RecordRef<'_, V>,
    tenant: &Tenant,
    view: Option<&View>,
    places: std::ops::Range<usize>,
    shared: &Shared,
    out: &mut Vec<ExportedPath<V>>,
) {
    let path = OriginPath::new_unchecked(record.path().to_owned());
    let entries: Vec<(VariantKey<'static>, V, Freshness)> = Vec::with_capacity(places.len());
    out.push(ExportedPath { tenant: tenant.clone(), path, entries });
    let Some(ExportedPath { entries, .. }) = out.last_mut() else { return };
    let settled = record.settled();
    record.visit(places, &shared.keys, |key, value, freshness| {
        let standing =
            view.map_or(Standing::Untouched, |view| view.standing_of(settled, freshness));
        let is_stale = standing == Standing::Stale || freshness.is_stale();
        if standing != Standing::Dead {
            entries.push((key_of(key), value.clone(), Freshness::stale_if(is_stale)));
        }
    });
}
