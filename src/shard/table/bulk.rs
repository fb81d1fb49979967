//! Many variants at once: a record that is added with all of its variants, and copies of variants.
//!
//! Invariant: as in `edit`.

use super::lanes::LANES;
use super::record::MAX_SLOTS;
use super::records::{PER_BUCKET, RecordRef, Records};
use crate::freshness::Freshness;
use crate::scopes::Generation;
use crate::shard::path_ref::PathRef;
use crate::variants::{Dictionary, Slot};
use std::ops::Range;
use std::sync::Arc;

/// Buckets that one step of growing adds: it moves the records of as many buckets at most.
const STEP: usize = 16;

impl<V> Records<V> {
    /// Adds buckets, a few at once, until so many records need no more, or there is no memory for
    /// them. Returns whether that is so.
    pub(crate) fn grow_towards(&mut self, records: usize) -> bool {
        let missing = records.div_ceil(PER_BUCKET).saturating_sub(self.tags.len());
        if self.tags.try_reserve_exact(missing).is_err()
            || self.buckets.try_reserve_exact(missing).is_err()
        {
            return true;
        }
        (0..missing.min(STEP)).for_each(|_| self.split());
        missing <= STEP
    }

    /// Returns how many of so many more records the bucket gets, on average.
    pub(super) fn share(&self, bucket: usize, more: usize) -> usize {
        let buckets = self.tags.len();
        let full = buckets.next_power_of_two();
        // One that is still to be split gets the records of two.
        let is_split = bucket >= full / 2 || bucket + full / 2 < buckets;
        more.saturating_mul(2 - usize::from(is_split)) / full
    }

    /// Adds a record with at least one and at most [`MAX_SLOTS`] variants of different keys, whose
    /// keys are in use already. The path is not there. `more` records are expected to follow.
    /// Returns how many variants are stale.
    pub(crate) fn push_many(
        &mut self,
        path: &PathRef<'_>,
        settled: Generation,
        more: usize,
        slots: impl ExactSizeIterator<Item = (Slot<V>, Freshness)>,
    ) -> usize {
        assert!((1..=MAX_SLOTS).contains(&slots.len()), "slots");
        if self.len >= self.tags.len() * PER_BUCKET {
            self.split();
        }
        self.len += 1;
        let hash = path.hash.table();
        let text = self.store_text(path.path);
        let (bucket, depth) = self.free_lane(self.bucket_of(hash));
        // Few buckets get so few that much room stays empty.
        let more = self.share(bucket, more).min(LANES) * 5 / 8;
        let mut node = self.node_mut(bucket, depth);
        node.reserve_for_records(text.record_size(), slots.len(), more);
        let at = node.push(hash, path.owner(), settled, text);
        let (mut stale, mut next) = (0, 1);
        let slots = slots.map(|(slot, freshness)| {
            stale |= if freshness.is_stale() { next } else { 0 };
            next = u32::wrapping_shl(next, 1);
            slot
        });
        node.extend_slots(at, slots);
        if stale == 0 {
            return 0;
        }
        node.line.record_mut(at).set_stale(stale);
        stale.count_ones() as usize
    }
}

impl<V> RecordRef<'_, V> {
    /// Whether the variants are in a separate table.
    pub(crate) fn is_large(self) -> bool {
        self.large().is_some()
    }

    /// Visits the variants at these places. The places of a small set are those of its slots.
    pub(crate) fn visit(
        self,
        places: Range<usize>,
        keys: &Dictionary,
        mut visit: impl FnMut(Arc<str>, &V, Freshness),
    ) {
        if let Some(set) = self.large() {
            for entry in &set.entries()[places] {
                visit(Arc::clone(&entry.key), &entry.value, entry.freshness);
            }
            return;
        }
        for at in places {
            let slot = &self.slots()[at];
            visit(keys.text(slot.key()), slot.value(), self.record.freshness(at));
        }
    }
}
