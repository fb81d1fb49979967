//! Storing: the end of a fill, and inserts without a lease.

use super::core::{Shard, Shared};
use super::open_fills::{FillEnd, FillStart, OpenFills, Overtaken};
use super::path_ref::PathRef;
use super::pending::PendingId;
use super::table::{Located, RecordId};
use crate::freshness::Freshness;
use crate::limits::WhenFull;
use crate::names::VariantKey;
use crate::outcome::{DeadRecord, Insertion, Refusal, Refused, Stored, key_of};
use crate::scopes::{Standing, View};
use crate::variants::{NewVariant, VariantIndex};

/// The way in which a variant gets its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    /// The limits leave room for it.
    Adding,
    /// It replaces the value of a variant that is there.
    Replacing(VariantIndex, Freshness),
    /// The oldest variant of the path is evicted.
    Evicting,
}

/// What a write takes out of the shard beside its result, to be queued, or dropped outside of the
/// lock.
pub(crate) struct Leftovers<V> {
    pub(crate) dead_record: Option<Box<DeadRecord<V>>>,
    /// The value that was pending.
    pub(crate) pending: Option<V>,
}

impl<V> Default for Leftovers<V> {
    fn default() -> Self {
        Self { dead_record: None, pending: None }
    }
}

#[allow(clippy::inline_always, reason = "each has one caller, which has its data in registers")]
impl<V> Shard<V> {
    /// Ends a fill, and stores its value unless an invalidation overtook the fill. The variant is
    /// live.
    #[inline(always)]
    pub(crate) fn commit(
        &mut self,
        key: &PathRef<'_>,
        (began, pending): (FillStart, Option<PendingId>),
        mut variant: NewVariant<'_, V>,
        fills: &OpenFills<V>,
        shared: &Shared,
        left: &mut Leftovers<V>,
    ) -> Insertion<V> {
        // To be there when the fill is closed, which takes a lock.
        self.fetch_bucket(key);
        let view = Self::view(key, shared);
        let FillEnd { overtaken, retired, pending } = fills.close(key.hash, began, pending);
        left.pending = pending;
        let standing = view.standing_of_fill(began.broad, retired);
        let reason = match (overtaken, standing) {
            _ if view.is_forgotten() => Some(Refusal::Forgotten),
            (Overtaken::Hard, _) => Some(Refusal::Purged),
            (_, Standing::Dead) if view.is_flushed(began.broad) => Some(Refusal::Flushed),
            (_, Standing::Dead) => Some(Refusal::Purged),
            _ => None,
        };
        if let Some(reason) = reason {
            return self.refuse(variant.value, reason);
        }
        let stale = overtaken == Overtaken::Soft || standing == Standing::Stale;
        variant.freshness = Freshness::stale_if(stale);
        self.store(key, variant, &view, shared, left)
    }

    /// Stores a live variant without a lease, as a fill that begins and ends in this call.
    #[inline(always)]
    pub(crate) fn insert(
        &mut self,
        key: &PathRef<'_>,
        variant: NewVariant<'_, V>,
        shared: &Shared,
        left: &mut Leftovers<V>,
    ) -> Insertion<V> {
        let view = Self::view(key, shared);
        if view.is_forgotten() {
            return self.refuse(variant.value, Refusal::Forgotten);
        }
        self.store(key, variant, &view, shared, left)
    }

    #[cold]
    fn refuse(&mut self, value: V, reason: Refusal) -> Insertion<V> {
        self.counters.refused(reason);
        Insertion::Refused(Refused { value, reason })
    }

    /// Stores a variant in the path's record, or in a new one, if the limits allow it.
    fn store(
        &mut self,
        key: &PathRef<'_>,
        variant: NewVariant<'_, V>,
        view: &View,
        shared: &Shared,
        left: &mut Leftovers<V>,
    ) -> Insertion<V> {
        // Nearly always, no broad invalidation came since the record was last touched. The marker
        // of a flush over time that covers it, or that it is mixed at, would be in between.
        match self.records.locate(key, variant.wanted, &shared.keys) {
            Ok(record) if record.as_ref().is_none_or(|(_, at)| at.settled >= view.as_of) => {
                self.store_at(key, record, variant, view, shared)
            }
            _ => self.store_after_search(key, variant, view, shared, left),
        }
    }

    /// The same where the record must be searched, or may have dead entries.
    #[cold]
    #[inline(never)]
    fn store_after_search(
        &mut self,
        key: &PathRef<'_>,
        variant: NewVariant<'_, V>,
        view: &View,
        shared: &Shared,
        left: &mut Leftovers<V>,
    ) -> Insertion<V> {
        // Entries that a broad invalidation killed go first.
        let living = self.living_before_store(key, variant.freshness, view, shared);
        left.dead_record = living.dead_record;
        let record =
            living.id.map(|id| (id, self.records.get(id).locate(variant.wanted, &shared.keys)));
        self.store_at(key, record, variant, view, shared)
    }

    /// Stores a variant in a record, or in a new one, if the limits allow it.
    #[inline(always)]
    fn store_at(
        &mut self,
        key: &PathRef<'_>,
        record: Option<(RecordId, Located)>,
        variant: NewVariant<'_, V>,
        view: &View,
        shared: &Shared,
    ) -> Insertion<V> {
        // Make room, within the limits.
        let located = record.as_ref().map(|(_, located)| located);
        let admission = match Self::admit(key, variant.wanted.text, located, shared) {
            Ok(admission) => admission,
            Err(reason) => return self.refuse(variant.value, reason),
        };
        // Write the variant, and count it.
        let freshness = variant.freshness;
        let (replaced, evicted) = if let Some((id, located)) = record {
            self.put(key, (id, &located), admission, variant, view, shared)
        } else {
            // To be there when the variant's key was found and counted, in atomic steps.
            self.fetch_ends(key);
            let counts = self.tallies.at(key.tenant, view);
            counts.add(freshness);
            counts.paths += 1;
            self.records.push(key, view.as_of, variant, &shared.keys, &shared.hashing);
            (None, None)
        };
        Insertion::Stored(Stored { freshness, replaced, evicted })
    }

    /// Puts an admitted variant into the path's record. Returns the value that it replaces, and the
    /// entry that it evicts.
    #[inline(always)]
    fn put(
        &mut self,
        key: &PathRef<'_>,
        (id, located): (RecordId, &Located),
        mut admission: Admission,
        variant: NewVariant<'_, V>,
        view: &View,
        shared: &Shared,
    ) -> (Option<V>, Option<(VariantKey<'static>, V)>) {
        let Shared { keys, hashing, .. } = shared;
        let counts = self.tallies.at(key.tenant, view);
        counts.add(variant.freshness);
        if located.settled < view.as_of {
            self.records.settle_before_store(id, view, counts);
            if let Admission::Replacing(at, was) = &mut admission {
                // An invalidation may just have made it stale.
                *was = self.records.get(id).get(*at).1;
            }
        }
        let variants = located.variants;
        match admission {
            Admission::Adding => {
                self.records.push_variant_at(id, variants, variant, keys, hashing);
                (None, None)
            }
            Admission::Replacing(at, was) => {
                let NewVariant { value, freshness, .. } = variant;
                let youngest = shared.limits.when_full == WhenFull::EvictOldest;
                counts.subtract(was);
                let old = self.records.replace(id, variants, (at, was), value, freshness, youngest);
                (Some(old), None)
            }
            Admission::Evicting => {
                let evicted = self.records.remove_oldest(id, keys, hashing);
                if let Some(entry) = &evicted {
                    counts.subtract(entry.freshness);
                }
                self.records.push_variant(id, variant, keys, hashing);
                (None, evicted.map(|entry| (key_of(entry.key), entry.value)))
            }
        }
    }

    /// Checks the limits, and reserves room for the variant.
    #[inline(always)]
    fn admit(
        key: &PathRef<'_>,
        variant: &str,
        located: Option<&Located>,
        shared: &Shared,
    ) -> Result<Admission, Refusal> {
        if key.path.len() > shared.limits.path_length {
            return Err(Refusal::PathTooLong);
        }
        if variant.len() > shared.limits.key_length {
            return Err(Refusal::KeyTooLong);
        }
        if let Some((at, was)) = located.and_then(|located| located.found) {
            return Ok(Admission::Replacing(at, was));
        }
        if located.is_some_and(|located| located.len >= shared.limits.variants) {
            return match shared.limits.when_full {
                WhenFull::Refuse => Err(Refusal::TooManyVariants),
                WhenFull::EvictOldest => Ok(Admission::Evicting),
            };
        }
        shared.occupancy.take(located.is_none())?;
        Ok(Admission::Adding)
    }
}
