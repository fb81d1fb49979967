//! Restoring: entries that are older than the restore, and are stored only where nothing newer is.
//!
//! Invariant: a restored entry is treated as a fill that began when the restore began, and whose
//! variant was known from then on.

use super::core::{Shard, Shared};
use super::noted_purges::{NotedPurges, RestoreStart};
use super::open_fills::Overtaken;
use super::path_ref::PathRef;
use super::table::{MAX_SLOTS, NewSlot, RecordRef};
use crate::freshness::Freshness;
use crate::hash::TableHash;
use crate::names::VariantKey;
use crate::outcome::{DeadRecord, Refusal, Refused};
use crate::scopes::{Standing, View};
use crate::variants::{NewVariant, Wanted};
use smallvec::SmallVec;

/// An entry that is to be restored.
pub(crate) struct Candidate<'k, V> {
    pub(crate) key: VariantKey<'k>,
    pub(crate) hash: TableHash,
    pub(crate) value: V,
    pub(crate) freshness: Freshness,
}

/// The entries of one path: most have no more than these variants.
pub(crate) type Candidates<'k, V> = SmallVec<[Candidate<'k, V>; 8]>;

/// The result of restoring the entries of one path.
pub(crate) struct RestoredEntries<V> {
    pub(crate) stored: usize,
    pub(crate) refused: Vec<Refused<V>>,
}

impl<V> RestoredEntries<V> {
    fn refuse(&mut self, value: V, reason: Refusal) {
        self.refused.push(Refused { value, reason });
    }
}

impl<V> Candidate<'_, V> {
    fn wanted(&self) -> Wanted<'_> {
        Wanted { text: self.key.as_str(), hash: self.hash }
    }
}

impl<V> Shard<V> {
    /// Begins to note purges, if no other restore is under way.
    pub(crate) fn begin_restore(&mut self, shared: &Shared) -> RestoreStart {
        self.noted.get_or_insert_default().restores += 1;
        let scopes = &shared.scopes;
        RestoreStart { clock: scopes.clock.load_relaxed(), broad: scopes.broad() }
    }

    /// Ends a restore. Returns the noted purges if it was the last one, for the caller to drop.
    pub(crate) fn end_restore(&mut self) -> Option<Box<NotedPurges>> {
        let noted = self.noted.as_mut()?;
        noted.restores -= 1;
        if noted.restores == 0 { self.noted.take() } else { None }
    }

    /// Stores the entries of a path where nothing newer is.
    pub(crate) fn restore(
        &mut self,
        key: &PathRef<'_>,
        began: RestoreStart,
        entries: Candidates<'_, V>,
        shared: &Shared,
    ) -> (RestoredEntries<V>, Option<Box<DeadRecord<V>>>) {
        let view = Self::view(key, shared);
        let mut restored = RestoredEntries { stored: 0, refused: Vec::new() };
        let mut entries = self.admit_restored(key, began, entries, &view, shared, &mut restored);
        if entries.is_empty() {
            return (restored, None);
        }
        // A record that a broad invalidation killed goes first.
        let mut record = self.records.find(key);
        let mut dead_record = None;
        if let Some(dead) = record.filter(|record| record.standing(&view) == Standing::Dead) {
            let dead = dead.id();
            dead_record = Some(Box::new(self.take_dead(dead, key.tenant, &view, shared)));
            record = None;
        }
        if record.is_none() && entries.len() <= MAX_SLOTS {
            entries = self.restore_path(key, entries, &view, shared, &mut restored);
        }
        for entry in entries {
            self.restore_entry(key, entry, &view, shared, &mut restored);
        }
        (restored, dead_record)
    }

    /// Marks and returns the entries that no invalidation since the restore began has killed.
    fn admit_restored<'k>(
        &self,
        key: &PathRef<'_>,
        began: RestoreStart,
        entries: Candidates<'k, V>,
        view: &View,
        shared: &Shared,
        restored: &mut RestoredEntries<V>,
    ) -> Candidates<'k, V> {
        let noted = self.noted.as_ref().map(|noted| noted.of_path(key)).unwrap_or_default();
        let standing = view.standing(began.broad);
        let is_flushed = view.whole_standing(began.broad) == Standing::Dead;
        let mut admitted = Candidates::new();
        for mut entry in entries {
            let overtaken = noted.overtaken(began.clock, entry.key.as_str());
            let reason = match (overtaken, standing) {
                _ if view.is_forgotten() => Refusal::Forgotten,
                (Overtaken::Hard, _) => Refusal::Purged,
                (_, Standing::Dead) if is_flushed => Refusal::Flushed,
                (_, Standing::Dead) => Refusal::Purged,
                _ if key.path.len() > shared.limits.path_length => Refusal::PathTooLong,
                _ if entry.key.as_str().len() > shared.limits.key_length => Refusal::KeyTooLong,
                _ => {
                    if overtaken == Overtaken::Soft || standing == Standing::Stale {
                        entry.freshness = Freshness::Stale;
                    }
                    admitted.push(entry);
                    continue;
                }
            };
            restored.refuse(entry.value, reason);
        }
        admitted
    }

    /// Adds a path that is not there with all of its entries, at most [`MAX_SLOTS`]. Returns the
    /// entries that have to be stored one by one.
    fn restore_path<'k>(
        &mut self,
        key: &PathRef<'_>,
        mut entries: Candidates<'k, V>,
        view: &View,
        shared: &Shared,
        restored: &mut RestoredEntries<V>,
    ) -> Candidates<'k, V> {
        let mut slots = SmallVec::<[NewSlot; MAX_SLOTS]>::new();
        let mut kept = Candidates::new();
        let mut without_number = Candidates::new();
        for entry in entries.drain(..) {
            let Candidate { hash, freshness, .. } = entry;
            match shared.keys.take(entry.wanted()) {
                None => without_number.push(entry),
                // A key has one number.
                Some(number) if slots.iter().any(|slot| slot.key == number) => {
                    shared.keys.release(number);
                    restored.refuse(entry.value, Refusal::Newer);
                }
                Some(number) => {
                    slots.push(NewSlot { key: number, hash, freshness });
                    kept.push(entry);
                }
            }
        }
        let granted = Self::admit_path(slots.len(), shared);
        let room = granted.unwrap_or(0);
        for slot in slots.drain(room..) {
            shared.keys.release(slot.key);
        }
        let reason = if kept.len() > shared.limits.variants {
            Refusal::TooManyVariants
        } else {
            Refusal::TooManyEntries
        };
        for entry in kept.drain(room..) {
            restored.refuse(entry.value, granted.err().unwrap_or(reason));
        }
        if room > 0 {
            let counts = self.tallies.at(key.tenant, view);
            counts.paths += 1;
            slots.iter().for_each(|slot| counts.add(slot.freshness));
            let values = kept.into_iter().map(|entry| entry.value);
            self.records.push_many(key, view.as_of, &slots, values);
            restored.stored += room;
        }
        without_number
    }

    /// Takes room for a new path. Returns for how many of its entries there is room.
    fn admit_path(entries: usize, shared: &Shared) -> Result<usize, Refusal> {
        if entries == 0 {
            return Ok(0);
        }
        shared.occupancy.take_path(entries.min(shared.limits.variants))
    }

    /// Adds one entry to a record, or in a new one, if the variant is not there.
    fn restore_entry(
        &mut self,
        key: &PathRef<'_>,
        entry: Candidate<'_, V>,
        view: &View,
        shared: &Shared,
        restored: &mut RestoredEntries<V>,
    ) {
        let record = self.records.find(key);
        let is_there = record.is_some_and(|r| r.find(entry.wanted(), &shared.keys).is_some());
        let reason = if is_there {
            Some(Refusal::Newer)
        } else if record.is_some_and(|record| record.len() >= shared.limits.variants) {
            Some(Refusal::TooManyVariants)
        } else {
            shared.occupancy.take(record.is_none()).err()
        };
        if let Some(reason) = reason {
            return restored.refuse(entry.value, reason);
        }
        let id = record.map(RecordRef::id);
        let Candidate { key: variant, hash, value, freshness } = entry;
        let wanted = Wanted { text: variant.as_str(), hash };
        let variant = NewVariant { wanted, value, freshness };
        let counts = self.tallies.at(key.tenant, view);
        counts.add(freshness);
        match id {
            None => {
                counts.paths += 1;
                self.records.push(key, view.as_of, variant, &shared.keys, &shared.hashing);
            }
            Some(id) => {
                self.records.settle(id, view, counts);
                self.records.push_variant(id, variant, &shared.keys, &shared.hashing);
            }
        }
        restored.stored += 1;
    }
}
