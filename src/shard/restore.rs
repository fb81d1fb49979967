//! Restoring: entries that are older than the restore, and are stored only where nothing newer is.
//!
//! Invariant: a restored entry is treated as a fill that began when the restore began, and whose
//! variant was known from then on.

use super::core::{Shard, Shared};
use super::noted_purges::{NotedOfPath, NotedPurges, RestoreStart};
use super::open_fills::Overtaken;
use super::over_time::Living;
use super::path_ref::PathRef;
use super::table::{MAX_SLOTS, RecordRef};
use crate::freshness::Freshness;
use crate::hash::KeySum;
use crate::names::VariantKey;
use crate::outcome::{DeadRecord, Refusal, Refused};
use crate::scopes::{LastInvalidations, Standing, View};
use crate::variants::{KeyId, NewVariant, RecentKeys, Slot, Wanted};

/// The numbers of the keys of a path that is to be added, from the first on.
type Numbers = [KeyId; MAX_SLOTS];

/// An entry that is to be restored.
pub(crate) struct Candidate<'k, V> {
    pub(crate) key: VariantKey<'k>,
    pub(crate) sum: KeySum,
    pub(crate) value: V,
    pub(crate) freshness: Freshness,
}

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

/// The invalidations of a path since the restore began, and the limits.
struct Judge<'a> {
    noted: NotedOfPath<'a>,
    began: RestoreStart,
    standing: Standing,
    /// Why no entry of the path can be stored.
    path_reason: Option<Refusal>,
    key_length: usize,
}

impl Judge<'_> {
    /// Whether all entries may be stored as they are, as nearly always.
    fn stores_all<V>(&self, entries: &[Candidate<'_, V>]) -> bool {
        self.noted.is_none()
            && self.path_reason.is_none()
            && self.standing == Standing::Untouched
            && entries.iter().all(|entry| entry.key.as_str().len() <= self.key_length)
    }

    /// Returns the freshness with which the entry may be stored, or why it may not.
    fn judge<V>(&self, entry: &Candidate<'_, V>) -> Result<Freshness, Refusal> {
        let variant = entry.key.as_str();
        let overtaken = self.noted.overtaken(self.began.clock, variant);
        match (self.path_reason, overtaken) {
            (Some(Refusal::Forgotten), _) => Err(Refusal::Forgotten),
            (_, Overtaken::Hard) => Err(Refusal::Purged),
            (Some(reason), _) => Err(reason),
            _ if variant.len() > self.key_length => Err(Refusal::KeyTooLong),
            (None, Overtaken::Soft) => Ok(Freshness::Stale),
            _ if self.standing == Standing::Stale => Ok(Freshness::Stale),
            _ => Ok(entry.freshness),
        }
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

    /// Expects so many more paths, while the restore is under way. Returns how many there will be.
    pub(crate) fn expect(&mut self, paths: usize) -> usize {
        let expected = self.records.len().saturating_add(paths);
        if let Some(noted) = &mut self.noted {
            noted.expected = noted.expected.max(expected);
        }
        expected
    }

    /// Makes room for as many paths, in bounded steps. Returns whether there is.
    pub(crate) fn grow_towards(&mut self, paths: usize) -> bool {
        self.records.grow_towards(paths)
    }

    /// Stores the entries of a path where nothing newer is.
    pub(crate) fn restore(
        &mut self,
        key: &PathRef<'_>,
        began: RestoreStart,
        mut entries: Vec<Candidate<'_, V>>,
        recent: &RecentKeys,
        shared: &Shared,
    ) -> (RestoredEntries<V>, Option<Box<DeadRecord<V>>>) {
        let view = Self::view(key, shared);
        let mut restored = RestoredEntries { stored: 0, refused: Vec::new() };
        self.refuse_invalidated(key, began, &mut entries, &view, shared, &mut restored);
        if entries.is_empty() {
            return (restored, None);
        }
        // Entries that a broad invalidation killed go first.
        let mut living = self.living(key, &view, shared);
        if living.id.is_none() {
            if let Some(numbers) = Self::numbers(&entries, recent, shared) {
                restored.stored += entries.len();
                self.restore_path(key, numbers, entries, &view);
                return (restored, living.dead_record);
            }
        }
        for entry in entries {
            living = living.then(self.restore_entry(key, entry, &view, shared, &mut restored));
        }
        (restored, living.dead_record)
    }

    /// Takes out the entries that an invalidation since the restore began has killed, and marks
    /// those that one made stale.
    fn refuse_invalidated(
        &self,
        key: &PathRef<'_>,
        began: RestoreStart,
        entries: &mut Vec<Candidate<'_, V>>,
        view: &View,
        shared: &Shared,
        restored: &mut RestoredEntries<V>,
    ) {
        let standing = view.standing_of_fill(began.broad, LastInvalidations::default());
        let path_reason = if view.is_forgotten() {
            Some(Refusal::Forgotten)
        } else if view.is_flushed(began.broad) {
            Some(Refusal::Flushed)
        } else if standing == Standing::Dead {
            Some(Refusal::Purged)
        } else if key.path.len() > shared.limits.path_length {
            Some(Refusal::PathTooLong)
        } else {
            None
        };
        let noted = self.noted.as_ref().map(|noted| noted.of_path(key)).unwrap_or_default();
        let key_length = shared.limits.key_length;
        let judge = Judge { noted, began, standing, path_reason, key_length };
        if judge.stores_all(entries) {
            return;
        }
        let mut any_refused = false;
        for entry in &mut *entries {
            match judge.judge(entry) {
                Ok(freshness) => entry.freshness = freshness,
                Err(_) => any_refused = true,
            }
        }
        if any_refused {
            for entry in std::mem::take(entries) {
                match judge.judge(&entry) {
                    Ok(_) => entries.push(entry),
                    Err(reason) => restored.refuse(entry.value, reason),
                }
            }
        }
    }

    /// Takes a number for each key, and room for a new path with these entries. Returns `None`, and
    /// takes nothing, if the entries are to be stored one by one: they are too many, not all of
    /// them have a number, or a key occurs twice.
    fn numbers(
        entries: &[Candidate<'_, V>],
        recent: &RecentKeys,
        shared: &Shared,
    ) -> Option<Numbers> {
        if entries.len() > MAX_SLOTS.min(shared.limits.variants) {
            return None;
        }
        let Shared { keys, hashing, .. } = shared;
        let mut numbers = [KeyId::from_number(0); MAX_SLOTS];
        let (mut taken, mut is_complete) = (0, true);
        for entry in entries {
            let Some(key) = recent.take(entry.key.as_str(), entry.sum, keys, hashing) else {
                is_complete = false;
                break;
            };
            // A key has one number.
            is_complete &= !numbers[..taken].contains(&key);
            numbers[taken] = key;
            taken += 1;
        }
        if is_complete && shared.occupancy.take_path(taken) {
            return Some(numbers);
        }
        for key in &numbers[..taken] {
            keys.release(*key);
        }
        None
    }

    /// Adds a path that is not there with all of its entries.
    fn restore_path(
        &mut self,
        key: &PathRef<'_>,
        numbers: Numbers,
        entries: Vec<Candidate<'_, V>>,
        view: &View,
    ) {
        let len = entries.len();
        let slots = entries.into_iter().zip(numbers).map(|(entry, number)| {
            (Slot::new(number, entry.sum.tag(), entry.value), entry.freshness)
        });
        let expected = self.noted.as_ref().map_or(0, |noted| noted.expected);
        let more = expected.saturating_sub(self.records.len());
        let stale = self.records.push_many(key, view.as_of, more, slots);
        let counts = self.tallies.at(key.tenant, view);
        counts.paths += 1;
        counts.live += len - stale;
        counts.stale += stale;
    }

    /// Adds one entry to a record, or in a new one, if the variant is not there.
    fn restore_entry(
        &mut self,
        key: &PathRef<'_>,
        entry: Candidate<'_, V>,
        view: &View,
        shared: &Shared,
        restored: &mut RestoredEntries<V>,
    ) -> Living<V> {
        let record = self.records.find(key);
        let wanted = Wanted::new(entry.key.as_str(), &shared.hashing);
        if record.is_some_and(|record| record.find(wanted, &shared.keys).is_some()) {
            restored.refuse(entry.value, Refusal::Newer);
            return Living { id: record.map(RecordRef::id), dead_record: None };
        }
        let living = self.living_before_store(key, entry.freshness, view, shared);
        let record = living.id.map(|id| self.records.get(id));
        let reason = if record.is_some_and(|record| record.len() >= shared.limits.variants) {
            Some(Refusal::TooManyVariants)
        } else {
            shared.occupancy.take(record.is_none()).err()
        };
        if let Some(reason) = reason {
            restored.refuse(entry.value, reason);
            return living;
        }
        let Candidate { key: variant, value, freshness, .. } = entry;
        let wanted = Wanted::new(variant.as_str(), &shared.hashing);
        let variant = NewVariant { wanted, value, freshness };
        let counts = self.tallies.at(key.tenant, view);
        counts.add(freshness);
        match living.id {
            None => {
                counts.paths += 1;
                self.records.push(key, view.as_of, variant, &shared.keys, &shared.hashing);
            }
            Some(id) => {
                self.records.settle_before_store(id, view, counts);
                self.records.push_variant(id, variant, &shared.keys, &shared.hashing);
            }
        }
        restored.stored += 1;
        living
    }
}
