//! Changes to records, and to the table of them. Everything here needs the shard's lock exclusively.
//!
//! Invariant: `heap` is kept with each change.

use super::lanes::Tags;
use super::node::{Line, Node, NodeMut, Rest};
use super::record::{MAX_SLOTS, MAX_TEXT, RecordMut, Shape, StoredText};
use super::{PER_BUCKET, PathRef, RecordId, Records, bucket_of, sibling};
use crate::generation::Generation;
use crate::hash::{Hashing, TableHash};
use crate::scopes::{Standing, View};
use crate::tally::Counts;
use crate::variants::{Dictionary, Entry, LargeSet, Numbered, Slot, Taken, VariantIndex, Wanted};
use std::mem;
use std::sync::Arc;

impl<V> Records<V> {
    /// Changes the node of a record.
    #[inline]
    fn edit<R>(&mut self, id: RecordId, change: impl FnOnce(&mut NodeMut<'_, V>) -> R) -> R {
        let mut node = self.node_mut(id);
        let before = node.read().heap();
        let result = change(&mut node);
        let after = node.read().heap();
        self.heap = self.heap - before + after;
        result
    }

    /// Changes a large set.
    fn edit_set<R>(&mut self, place: u32, change: impl FnOnce(&mut LargeSet<V>) -> R) -> R {
        let set = self.outside.sets.get_mut(place);
        let before = set.heap_bytes();
        let result = change(set);
        self.heap = self.heap - before + set.heap_bytes();
        result
    }

    /// Adds a record without variants, with room for one. The path is not there.
    pub(crate) fn push(&mut self, path: &PathRef<'_>, settled: Generation) -> RecordId {
        if self.len >= self.tags.len() * PER_BUCKET {
            self.split();
        }
        self.len += 1;
        let text = path.path.as_bytes();
        let text = if text.len() <= MAX_TEXT {
            StoredText::Inside(text)
        } else {
            self.heap += text.len();
            StoredText::Outside(self.outside.texts.insert(path.path.into()))
        };
        let shape = Shape::new(1, text.len());
        let hash = path.hash.table();
        let id = self.free_lane(bucket_of(hash, self.tags.len()));
        let at = self.edit(id, |node| {
            let at = node.push(hash, shape.size);
            let bytes = node.record(at).bytes;
            RecordMut::write(bytes, path.owner(), settled, text, shape.room);
            at
        });
        RecordId { at, ..id }
    }

    /// The node of a bucket that takes one more record.
    fn free_lane(&mut self, bucket: usize) -> RecordId {
        let mut id = RecordId { bucket, depth: 0, at: self.lines[bucket].lane(0) };
        while self.node_mut(id).read().tags.is_full() {
            let more = &mut self.node_mut(id).rest.more;
            if more.is_none() {
                *more = Some(Box::default());
                self.heap += size_of::<Node<V>>();
            }
            id.depth += 1;
        }
        id
    }

    /// Takes a record out, with its variants.
    pub(crate) fn remove(&mut self, id: RecordId, keys: &Arc<Dictionary>) -> Taken<V> {
        self.remove_with(id, keys, |_| ()).1
    }

    /// Takes a record out. Returns its path and its variants.
    pub(crate) fn remove_named(
        &mut self,
        id: RecordId,
        keys: &Arc<Dictionary>,
    ) -> (Box<str>, Taken<V>) {
        self.remove_with(id, keys, |path| path.into())
    }

    fn remove_with<R>(
        &mut self,
        id: RecordId,
        keys: &Arc<Dictionary>,
        name: impl FnOnce(&str) -> R,
    ) -> (R, Taken<V>) {
        let found = self.get(id);
        let (name, large, text) = (name(found.path()), found.record.large(), found.record.text());
        if let StoredText::Outside(place) = text {
            self.heap -= self.outside.texts.remove(place).len();
        }
        let taken = match large {
            Some(place) => self.take_set(place),
            None => Taken::Numbered(Numbered::new(self.take_slots(id), keys)),
        };
        self.len -= 1;
        self.edit(id, |node| node.remove(id.at));
        if self.rests[id.bucket].more.is_some() {
            self.refill(id);
        }
        (name, taken)
    }

    fn take_set(&mut self, place: u32) -> Taken<V> {
        let set = self.outside.sets.remove(place);
        self.heap -= set.heap_bytes();
        Taken::Whole(set)
    }

    /// Takes out the slots of a record, which has none then.
    fn take_slots(&mut self, id: RecordId) -> Vec<Slot<V>> {
        self.edit(id, |node| {
            let values = node.values(id.at);
            let record = node.line.record(id.at);
            let (stale, keys) = (record.stale(), record.keys().enumerate());
            let values = node.rest.values.drain(values);
            let slots = keys.zip(values).map(|((at, key), value)| Slot {
                key,
                stale: stale >> at & 1 == 1,
                value,
            });
            let slots = slots.collect();
            node.set_slots(id.at, 0);
            node.record(id.at).clear();
            node.give_back_values();
            slots
        })
    }

    /// Moves the last record of a bucket of several nodes into the node of one that was removed, and drops the last node if it is empty.
    fn refill(&mut self, id: RecordId) {
        let (depth, last) = self.nodes(id.bucket).next_back().expect("a bucket has a node");
        if depth > id.depth {
            let at = last.line.lane(last.tags.len() - 1);
            let record = last.record(at);
            let (hash, bytes) = (record.hash(), last.bytes_of(at).to_owned());
            let from = RecordId { depth, at, ..id };
            let values = self.edit(from, |node| {
                let values = node.values(at);
                let values: Vec<_> = node.rest.values.drain(values).collect();
                node.remove(at);
                values
            });
            self.edit(id, |node| node.adopt(hash, &bytes, values.into_iter()));
        }
        if self.nodes(id.bucket).next_back().is_some_and(|(_, last)| last.tags.len() == 0) {
            let before = RecordId { depth: depth - 1, ..id };
            if let Some(empty) = self.node_mut(before).rest.more.take() {
                self.heap -= size_of::<Node<V>>() + empty.read().heap();
            }
        }
    }

    /// Writes down what soft invalidations did to a record that no hard one reached.
    pub(crate) fn settle(&mut self, id: RecordId, view: &View, counts: &mut Counts) {
        let settled = self.get(id).settled();
        if settled >= view.as_of {
            return;
        }
        if view.standing(settled) == Standing::Stale {
            let fresh = self.soften_all(id);
            if view.whole_standing(settled) == Standing::Untouched {
                // Only a prefix rule reached it; what a flush reaches, the tally has moved already.
                counts.live -= fresh;
                counts.stale += fresh;
            }
        }
        self.node_mut(id).record(id.at).settle(view.as_of);
    }

    /// Adds a variant that is not there.
    pub(crate) fn push_variant(
        &mut self,
        id: RecordId,
        wanted: Wanted<'_>,
        value: V,
        stale: bool,
        keys: &Arc<Dictionary>,
        hashing: &Hashing,
    ) {
        let record = self.get(id).record;
        let place = match record.large() {
            Some(place) => place,
            None => {
                let key = (record.slots() < MAX_SLOTS).then(|| keys.take(wanted)).flatten();
                if let Some(key) = key {
                    return self.push_slot(id, Slot { key, stale, value }, wanted.hash);
                }
                self.enlarge(id, keys, hashing)
            }
        };
        let entry = Entry { key: wanted.text.into(), value, stale };
        self.edit_set(place, |set| set.push(entry, hashing));
    }

    fn push_slot(&mut self, id: RecordId, slot: Slot<V>, hash: TableHash) {
        self.edit(id, |node| {
            let record = node.read().record(id.at);
            let (slots, room, text) = (record.slots(), record.room(), record.text().len());
            if slots == room {
                let shape = Shape::new(slots + 1, text);
                node.resize(id.at, shape.size);
                node.record(id.at).set_room(shape.room);
            }
            node.record(id.at).push(slot.key, hash, slot.stale);
            node.push_value(id.at, slots, slot.value);
        });
    }

    /// Makes a small set a large one. Returns its place.
    fn enlarge(&mut self, id: RecordId, keys: &Arc<Dictionary>, hashing: &Hashing) -> u32 {
        let entries = Numbered::new(self.take_slots(id), keys).collect();
        let set = Box::new(LargeSet::new(entries, hashing));
        self.heap += set.heap_bytes();
        let place = self.outside.sets.insert(set);
        self.fit(id);
        self.node_mut(id).record(id.at).set_large(place);
        place
    }

    /// Gives back the room that a record has beside its slots, if that is much.
    fn fit(&mut self, id: RecordId) {
        self.edit(id, |node| {
            let record = node.read().record(id.at);
            let shape = Shape::new(record.slots(), record.text().len());
            if record.room() > shape.room + 3 || shape.room == 0 {
                node.record(id.at).set_room(shape.room);
                node.resize(id.at, shape.size);
            }
            node.give_back_values();
        });
    }

    /// Puts another value into the place of one that is there; it is the youngest from then on. Returns the old value, and whether that
    /// was marked stale.
    pub(crate) fn replace(
        &mut self,
        id: RecordId,
        VariantIndex(at): VariantIndex,
        value: V,
        stale: bool,
    ) -> (V, bool) {
        if let Some(place) = self.get(id).record.large() {
            return self.edit_set(place, |set| set.replace(at, value, stale));
        }
        let mut node = self.node_mut(id);
        let was_stale = node.read().record(id.at).stale() >> at & 1 == 1;
        node.record(id.at).renew(at, stale);
        let values = node.values(id.at);
        let values = &mut node.rest.values[values][at..];
        let old = mem::replace(&mut values[0], value);
        values.rotate_left(1);
        (old, was_stale)
    }

    /// Takes a variant out. Its key is still in use.
    fn remove_slot(&mut self, id: RecordId, at: usize) -> Slot<V> {
        self.edit(id, |node| {
            let record = node.read().record(id.at);
            let (slots, key) = (record.slots(), record.key(at));
            let stale = record.stale() >> at & 1 == 1;
            node.record(id.at).remove(at);
            let value = node.values(id.at).start + at;
            let value = node.rest.values.remove(value);
            node.set_slots(id.at, slots - 1);
            Slot { key, stale, value }
        })
    }

    /// Takes a variant out. Returns its value, and whether that was marked stale.
    pub(crate) fn remove_variant(
        &mut self,
        id: RecordId,
        VariantIndex(at): VariantIndex,
        keys: &Dictionary,
        hashing: &Hashing,
    ) -> (V, bool) {
        if let Some(place) = self.get(id).record.large() {
            let entry = self.edit_set(place, |set| set.remove(at, hashing));
            return (entry.value, entry.stale);
        }
        let slot = self.remove_slot(id, at);
        keys.release(slot.key);
        self.fit(id);
        (slot.value, slot.stale)
    }

    /// Takes out what was stored before all others.
    pub(crate) fn remove_oldest(
        &mut self,
        id: RecordId,
        keys: &Arc<Dictionary>,
        hashing: &Hashing,
    ) -> Option<Entry<V>> {
        let record = self.get(id).record;
        if let Some(place) = record.large() {
            return self.edit_set(place, |set| set.oldest().map(|at| set.remove(at, hashing)));
        }
        if record.slots() == 0 {
            return None;
        }
        let slot = self.remove_slot(id, 0);
        Numbered::new(vec![slot], keys).next()
    }

    /// Marks the picked variants stale. Returns how many were not yet, and how many were.
    pub(crate) fn soften(
        &mut self,
        id: RecordId,
        pick: impl Fn(&str) -> bool,
        keys: &Dictionary,
    ) -> (usize, usize) {
        let record = self.get(id).record;
        if let Some(place) = record.large() {
            return self.edit_set(place, |set| set.soften(pick));
        }
        let stale = record.stale();
        let picked = record.keys().enumerate().filter(|(_, key)| pick(&keys.text(*key)));
        let picked = picked.fold(0, |picked, (at, _)| picked | 1 << at);
        self.node_mut(id).record(id.at).set_stale(stale | picked);
        ((picked & !stale).count_ones() as usize, (picked & stale).count_ones() as usize)
    }

    /// Marks all variants stale. Returns how many were not yet.
    pub(crate) fn soften_all(&mut self, id: RecordId) -> usize {
        let record = self.get(id).record;
        if let Some(place) = record.large() {
            return self.edit_set(place, |set| set.soften(|_| true).0);
        }
        let stale = record.stale();
        // A bit for each slot, of which there are at most 32.
        let all = u32::try_from((1_u64 << record.slots()) - 1).expect("32 bits at most");
        self.node_mut(id).record(id.at).set_stale(all);
        (all & !stale).count_ones() as usize
    }

    /// Takes out the picked variants.
    pub(crate) fn extract(
        &mut self,
        id: RecordId,
        pick: impl Fn(&str) -> bool,
        keys: &Arc<Dictionary>,
        hashing: &Hashing,
    ) -> Taken<V> {
        let record = self.get(id).record;
        let Some(place) = record.large() else {
            let picked: Vec<_> = record.keys().map(|key| pick(&keys.text(key))).collect();
            // From the last on, so that those before it keep their places.
            let picked = picked.iter().enumerate().rev().filter(|(_, picked)| **picked);
            let gone = picked.map(|(at, _)| self.remove_slot(id, at)).collect();
            self.fit(id);
            return Taken::Numbered(Numbered::new(gone, keys));
        };
        let Taken::Whole(set) = self.take_set(place) else { return Taken::none() };
        self.node_mut(id).record(id.at).clear();
        let (gone, kept): (Vec<_>, Vec<_>) =
            set.into_entries_by_age().into_iter().partition(|entry| pick(&entry.key));
        for Entry { key, value, stale } in kept {
            let wanted = Wanted { text: &key, hash: hashing.variant(&key) };
            self.push_variant(id, wanted, value, stale, keys, hashing);
        }
        Taken::Listed(gone)
    }

    /// Adds a bucket, and moves to it what is its.
    ///
    /// When there is no room for one more, the arrays double: rarely enough for an insert of ten thousand not to meet it.
    fn split(&mut self) {
        let last = self.tags.len();
        self.tags.push(Tags::default());
        self.lines.push(Line::default());
        self.rests.push(Rest::default());
        if last > 0 {
            let old = self.take_bucket(sibling(last + 1));
            self.distribute(old);
        }
    }

    /// Takes the last bucket away, and moves its records to where they belong then.
    fn merge(&mut self) {
        let old = self.take_bucket(self.tags.len() - 1);
        self.tags.pop();
        self.lines.pop();
        self.rests.pop();
        self.distribute(old);
    }

    fn take_bucket(&mut self, bucket: usize) -> Node<V> {
        let node = Node {
            tags: mem::take(&mut self.tags[bucket]),
            line: mem::take(&mut self.lines[bucket]),
            rest: mem::take(&mut self.rests[bucket]),
        };
        self.heap -= node.read().heap();
        node
    }

    /// Moves the records of a node that was taken out of the table into the buckets that their hashes name: one or two.
    fn distribute(&mut self, mut old: Node<V>) {
        let buckets = self.tags.len();
        let mut needs: [(usize, usize, usize); 2] = [(usize::MAX, 0, 0); 2];
        for at in old.read().lanes() {
            let record = old.read().record(at);
            let bucket = bucket_of(record.hash(), buckets);
            let unknown = needs[0].0 != usize::MAX && needs[0].0 != bucket;
            let need = &mut needs[usize::from(unknown)];
            need.0 = bucket;
            need.1 += old.read().bytes_of(at).len();
            need.2 += record.slots();
        }
        for (bucket, bytes, values) in needs.into_iter().filter(|need| need.1 > 0) {
            let id = self.free_lane(bucket);
            self.edit(id, |node| node.reserve(bytes, values));
        }
        let mut values = mem::take(&mut old.rest.values).into_iter();
        for at in old.read().lanes() {
            let record = old.read().record(at);
            let (hash, slots) = (record.hash(), record.slots());
            let id = self.free_lane(bucket_of(hash, buckets));
            let bytes = old.read().bytes_of(at);
            self.edit(id, |node| node.adopt(hash, bytes, values.by_ref().take(slots)));
        }
        if let Some(more) = old.rest.more.take() {
            self.heap -= size_of::<Node<V>>() + more.read().heap();
            self.distribute(*more);
        }
    }

    /// Gives back the memory of what has been emptied by half or more.
    ///
    /// The sweep that comes before it has looked at every record that was there, so this costs no more than that.
    pub(crate) fn shrink(&mut self) {
        let needed = self.len.div_ceil(PER_BUCKET);
        if needed > self.tags.len() / 2 {
            return;
        }
        while self.tags.len() > needed.max(1) {
            self.merge();
        }
        if needed == 0 {
            *self = Self { base: self.base, ..Self::default() };
        }
        self.tags.shrink_to_fit();
        self.lines.shrink_to_fit();
        self.rests.shrink_to_fit();
    }
}

#[cfg(test)]
impl<V> Records<V> {
    pub(super) fn merge_for_test(&mut self) {
        self.merge();
    }
}
