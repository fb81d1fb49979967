//! Storing: the end of a fill, and inserts without a lease.

use super::core::{Shard, Shared};
use super::open_fills::{FillEnd, FillStart, OpenFills, Overtaken};
use super::over_time::Living;
use super::path_ref::PathRef;
use super::pending::PendingId;
use super::table::{RecordId, RecordRef};
use crate::freshness::Freshness;
use crate::limits::WhenFull;
use crate::names::VariantKey;
use crate::outcome::{DeadRecord, Insertion, Refusal, Refused, Stored, key_of};
use crate::scopes::{Standing, View};
use crate::variants::{Entry, NewVariant, VariantIndex, Wanted};

/// The way in which a variant gets its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    /// The limits leave room for it.
    Adding,
    /// It replaces the value of a variant that is there.
    Replacing(VariantIndex),
    /// The oldest variant of the path is evicted.
    Evicting,
}

/// The end of a fill.
pub(crate) struct Committed<V> {
    pub(crate) insertion: Insertion<V>,
    /// The value that was pending, to be dropped outside of the lock.
    pub(crate) pending: Option<V>,
}

/// The value that a stored variant displaced.
struct Put<V> {
    replaced: Option<V>,
    evicted: Option<Entry<V>>,
}

impl<V> Shard<V> {
    /// Ends a fill, and stores its value unless an invalidation overtook the fill.
    pub(crate) fn commit(
        &mut self,
        key: &PathRef<'_>,
        (began, pending): (FillStart, Option<PendingId>),
        variant: &VariantKey<'_>,
        value: V,
        fills: &OpenFills<V>,
        shared: &Shared,
    ) -> (Committed<V>, Option<Box<DeadRecord<V>>>) {
        let view = Self::view(key, shared);
        let FillEnd { overtaken, retired, pending } = fills.close(key.hash, began, pending);
        let standing = view.standing_of_fill(began.broad, retired);
        let reason = match (overtaken, standing) {
            _ if view.is_forgotten() => Some(Refusal::Forgotten),
            (Overtaken::Hard, _) => Some(Refusal::Purged),
            (_, Standing::Dead) if view.is_flushed(began.broad) => Some(Refusal::Flushed),
            (_, Standing::Dead) => Some(Refusal::Purged),
            _ => None,
        };
        if let Some(reason) = reason {
            let insertion = self.refuse(value, reason);
            return (Committed { insertion, pending }, None);
        }
        let stale = overtaken == Overtaken::Soft || standing == Standing::Stale;
        let freshness = Freshness::stale_if(stale);
        let (insertion, dead_record) = self.store(key, variant, value, freshness, &view, shared);
        (Committed { insertion, pending }, dead_record)
    }

    /// Stores a value without a lease, as a fill that begins and ends in this call.
    pub(crate) fn insert(
        &mut self,
        key: &PathRef<'_>,
        variant: &VariantKey<'_>,
        value: V,
        shared: &Shared,
    ) -> (Insertion<V>, Option<Box<DeadRecord<V>>>) {
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

    /// Stores a variant in the path's record, or in a new one, if the limits allow it.
    fn store(
        &mut self,
        key: &PathRef<'_>,
        variant: &VariantKey<'_>,
        value: V,
        freshness: Freshness,
        view: &View,
        shared: &Shared,
    ) -> (Insertion<V>, Option<Box<DeadRecord<V>>>) {
        // Find the record. Entries that a broad invalidation killed go first.
        let Living { id, dead_record } = self.living_before_store(key, freshness, view, shared);
        let record = id.map(|id| self.records.get(id));
        // Find the variant in it.
        let text = variant.as_str();
        let wanted = Wanted::new(text, &shared.hashing);
        let at = record.and_then(|record| record.find(wanted, &shared.keys));
        // Make room, within the limits.
        let admission = match Self::admit(key, text, record, at, shared) {
            Ok(admission) => admission,
            Err(reason) => return (self.refuse(value, reason), dead_record),
        };
        // Write the variant, and count it.
        let variant = NewVariant { wanted, value, freshness };
        let Put { replaced, evicted } = self.put(key, id, admission, variant, view, shared);
        let evicted = evicted.map(|entry| (key_of(entry.key), entry.value));
        (Insertion::Stored(Stored { freshness, replaced, evicted }), dead_record)
    }

    /// Puts an admitted variant into the path's record, or into a new one.
    fn put(
        &mut self,
        key: &PathRef<'_>,
        id: Option<RecordId>,
        admission: Admission,
        variant: NewVariant<'_, V>,
        view: &View,
        shared: &Shared,
    ) -> Put<V> {
        let Shared { keys, hashing, .. } = shared;
        let counts = self.tallies.at(key.tenant, view);
        counts.add(variant.freshness);
        let mut put = Put { replaced: None, evicted: None };
        let Some(id) = id else {
            counts.paths += 1;
            self.records.push(key, view.as_of, variant, keys, hashing);
            return put;
        };
        self.records.settle(id, view, counts);
        if let Some(marker) = view.covering(self.records.get(id).settled()) {
            self.records.mix(id, marker, counts);
        }
        if let Admission::Replacing(at) = admission {
            let NewVariant { value, freshness, .. } = variant;
            let youngest = shared.limits.when_full == WhenFull::EvictOldest;
            let (old, was) = self.records.replace(id, at, value, freshness, youngest);
            counts.subtract(was);
            put.replaced = Some(old);
            return put;
        }
        if admission == Admission::Evicting {
            put.evicted = self.records.remove_oldest(id, keys, hashing);
        }
        if let Some(entry) = &put.evicted {
            counts.subtract(entry.freshness);
        }
        self.records.push_variant(id, variant, keys, hashing);
        put
    }

    /// Checks the limits, and reserves room for the variant.
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
}
