//! Changes to records, and to the table of them. Everything here needs the shard's lock
//! exclusively.
//!
//! Invariant: `heap` is kept with each change.

use super::node::{Bucket, Line, Node, NodeMut, Rest};
use super::record::{MAX_SLOTS, MAX_TEXT, RecordMut, StoredText};
use super::records::{PER_BUCKET, RecordId, Records, VariantsAt, sibling};
use crate::freshness::Freshness;
use crate::hash::Hashing;
use crate::scopes::{Counts, Generation, Standing, View};
use crate::shard::path_ref::PathRef;
use crate::variants::{
    Dictionary, Entry, LargeSet, NewVariant, Slot, SoftenCounts, Taken, VariantIndex, Wanted,
};
use std::mem;
use std::sync::Arc;

impl<V> Records<V> {
    /// The node of a record.
    #[inline]
    fn node_at(&mut self, id: RecordId) -> NodeMut<'_, V> {
        self.node_mut(id.bucket(), id.depth())
    }

    #[inline]
    fn record_mut(&mut self, id: RecordId) -> RecordMut<'_> {
        self.lines_of(id).record_mut(id.at())
    }

    /// Line and slots of a record's node, and the heap bytes of the table.
    #[inline]
    fn parts_of(&mut self, id: RecordId) -> (&mut Line, &mut Rest<V>, &mut usize) {
        if id.depth() == 0 {
            let Bucket { line, rest } = &mut self.buckets[id.bucket()];
            (line, rest, &mut self.heap)
        } else {
            let NodeMut { line, rest, heap, .. } = self.node_mut(id.bucket(), id.depth());
            (line, rest, heap)
        }
    }

    #[inline]
    fn lines_of(&mut self, id: RecordId) -> &mut Line {
        if id.depth() == 0 {
            &mut self.buckets[id.bucket()].line
        } else {
            self.node_mut(id.bucket(), id.depth()).line
        }
    }

    /// Changes a large set.
    fn edit_set<R>(&mut self, place: u32, change: impl FnOnce(&mut LargeSet<V>) -> R) -> R {
        let set = self.outside.sets.get_mut(place);
        let before = set.heap_bytes();
        let result = change(set);
        self.heap = self.heap - before + set.heap_bytes();
        result
    }

    /// Adds a record with a variant. The path is not there.
    pub(crate) fn push(
        &mut self,
        path: &PathRef<'_>,
        settled: Generation,
        variant: NewVariant<'_, V>,
        keys: &Arc<Dictionary>,
        hashing: &Hashing,
    ) {
        if self.len >= self.tags.len() * PER_BUCKET {
            self.split();
        }
        self.len += 1;
        let hash = path.hash.table();
        let text = self.store_text(path.path);
        let (bucket, depth) = self.free_lane(self.bucket_of(hash));
        let mut node = self.node_mut(bucket, depth);
        let at = node.push(hash, path.owner(), settled, text);
        let variants = VariantsAt::Slots { first: node.rest.len(), count: 0 };
        self.push_variant_at(RecordId::new(bucket, depth, at), variants, variant, keys, hashing);
    }

    pub(super) fn store_text<'t>(&mut self, text: &'t [u8]) -> StoredText<'t> {
        if text.len() <= MAX_TEXT {
            return StoredText::Inside(text);
        }
        self.heap += text.len();
        let text = std::str::from_utf8(text).expect("a path is text");
        StoredText::Outside(self.outside.texts.insert(text.into()))
    }

    /// The node of a bucket that takes one more record, and how many come before it.
    #[inline]
    pub(super) fn free_lane(&mut self, bucket: usize) -> (usize, u8) {
        if self.tags[bucket].is_full() { (bucket, self.further_lane(bucket)) } else { (bucket, 0) }
    }

    #[cold]
    fn further_lane(&mut self, bucket: usize) -> u8 {
        let mut depth = 0;
        while self.node_mut(bucket, depth).tags.is_full() {
            let more = &mut self.node_mut(bucket, depth).rest.more;
            if more.is_none() {
                *more = Some(Box::default());
                self.heap += size_of::<Node<V>>();
            }
            depth += 1;
        }
        depth
    }

    /// Takes a record out that is settled at a generation or later, and puts its variants into
    /// `taken`, which has none.
    // Into `taken`, so that nothing is moved on the way to the caller. And not by an id, so that
    // the record is looked for once.
    #[inline]
    pub(crate) fn remove_settled(
        &mut self,
        path: &PathRef<'_>,
        as_of: Generation,
        keys: &Arc<Dictionary>,
        taken: &mut Taken<V>,
    ) -> Removal {
        let hash = path.hash.table();
        let bucket = self.bucket_of(hash);
        let node = (self.tags.get_mut(bucket), self.buckets.get_mut(bucket));
        let (Some(tags), Some(Bucket { line, rest })) = node else { return Removal::Absent };
        let Some(lane) = tags.find(hash, |_| true) else {
            return if tags.is_full() { Removal::Undone } else { Removal::Absent };
        };
        let at = line.lane(lane);
        // The memory that closing the gaps moves, while the record is compared.
        line.fetch_tail(at);
        let range = rest.range(lane);
        rest.fetch_tail(range.start);
        let record = line.record(at);
        let is_plain = record.is_plain() && rest.more.is_none();
        if !is_plain || record.settled() < as_of || !record.is(path.owner(), path.path) {
            return Removal::Undone;
        }
        let stale = record.stale();
        self.len -= 1;
        let mut node = NodeMut { tags, line, rest, heap: &mut self.heap };
        let slots = node.take_slots_in(at, range);
        let len = slots.len();
        taken.put(slots, stale, keys);
        node.remove(at);
        node.give_back_slots();
        // Mostly none is stale.
        let stale = if stale == 0 { 0 } else { stale.count_ones() as usize };
        Removal::Done { len, stale }
    }

    /// Takes a record out, with its variants.
    pub(crate) fn remove(&mut self, id: RecordId, keys: &Arc<Dictionary>) -> Taken<V> {
        let record = self.lines_of(id).record(id.at());
        let (large, stale) = (record.large(), record.stale());
        if let StoredText::Outside(place) = record.text() {
            self.heap -= self.outside.texts.remove(place).len();
        }
        self.len -= 1;
        let mut node = self.node_at(id);
        let slots: Vec<_> = node.take_slots(id.at()).collect();
        node.remove(id.at());
        node.give_back_slots();
        if self.buckets[id.bucket()].rest.more.is_some() {
            self.refill(id);
        }
        match large {
            Some(place) => Taken::Whole(self.take_set(place)),
            None => Taken::numbered(slots.into_iter(), stale, keys),
        }
    }

    /// Takes a record out. Returns its path and its variants.
    pub(crate) fn remove_named(
        &mut self,
        id: RecordId,
        keys: &Arc<Dictionary>,
    ) -> (Box<str>, Taken<V>) {
        (self.get(id).path().into(), self.remove(id, keys))
    }

    #[allow(clippy::unnecessary_box_returns, reason = "as it was, so that taking it out is O(1)")]
    fn take_set(&mut self, place: u32) -> Box<LargeSet<V>> {
        let set = self.outside.sets.remove(place);
        self.heap -= set.heap_bytes();
        set
    }

    /// Moves the last record of a bucket of several nodes into the node of one that was removed,
    /// and drops the last node if it is empty.
    fn refill(&mut self, id: RecordId) {
        let (depth, last) = self.nodes(id.bucket()).next_back().expect("a bucket has a node");
        if depth > id.depth() {
            let at = last.line.lane(last.tags.len() - 1);
            let (hash, bytes) = (last.record(at).hash(), last.bytes_of(at).to_owned());
            let mut node = self.node_mut(id.bucket(), depth);
            let slots: Vec<_> = node.take_slots(at).collect();
            node.remove(at);
            self.node_at(id).adopt(hash, &bytes, slots.into_iter());
        }
        if self.nodes(id.bucket()).next_back().is_some_and(|(_, last)| last.tags.len() == 0) {
            if let Some(empty) = self.node_mut(id.bucket(), depth - 1).rest.more.take() {
                self.heap -= size_of::<Node<V>>() + empty.read().heap();
            }
        }
    }

    /// Writes down what soft invalidations did to a record that no hard one reached.
    #[inline]
    pub(crate) fn settle(&mut self, id: RecordId, view: &View, counts: &mut Counts) {
        let settled = self.lines_of(id).record(id.at()).settled();
        if settled < view.as_of {
            self.settle_from(settled, id, view, counts);
        }
    }

    #[cold]
    fn settle_from(&mut self, settled: Generation, id: RecordId, view: &View, counts: &mut Counts) {
        if view.standing(settled) == Standing::Stale {
            let fresh = self.soften_all(id);
            if view.whole_standing(settled) == Standing::Untouched {
                // Only a prefix rule reached it; what a flush reaches, the tally has moved already.
                counts.live -= fresh;
                counts.stale += fresh;
            }
        }
        self.record_mut(id).settle(view.settles_to(settled));
    }

    /// Settles a record before a newer variant is stored in it.
    #[cold]
    pub(crate) fn settle_before_store(&mut self, id: RecordId, view: &View, counts: &mut Counts) {
        self.settle(id, view, counts);
        if let Some(marker) = view.covering(self.get(id).settled()) {
            self.mix(id, marker, counts);
        }
    }

    /// Settles a record, all of whose variants are older than `marker`, at that marker of a flush
    /// over time: the variants are marked stale, and newer ones can be told from them.
    pub(crate) fn mix(&mut self, id: RecordId, marker: Generation, counts: &mut Counts) {
        let fresh = self.soften_all(id);
        counts.live -= fresh;
        counts.stale += fresh;
        self.record_mut(id).settle(marker);
    }

    /// Adds a variant that is not there.
    pub(crate) fn push_variant(
        &mut self,
        id: RecordId,
        variant: NewVariant<'_, V>,
        keys: &Arc<Dictionary>,
        hashing: &Hashing,
    ) {
        let variants = self.get(id).variants_at();
        self.push_variant_at(id, variants, variant, keys, hashing);
    }

    /// Adds a variant that is not there behind the others, which are here.
    #[allow(clippy::inline_always, reason = "an insert has its arguments in registers")]
    #[inline(always)]
    pub(crate) fn push_variant_at(
        &mut self,
        id: RecordId,
        variants: VariantsAt,
        variant: NewVariant<'_, V>,
        keys: &Arc<Dictionary>,
        hashing: &Hashing,
    ) {
        match variants {
            VariantsAt::Slots { first, count } => {
                let key = if count < MAX_SLOTS {
                    keys.take(variant.wanted.text, variant.wanted.hash())
                } else {
                    None
                };
                let Some(key) = key else {
                    return self.push_large(id, None, variant, keys, hashing);
                };
                let NewVariant { wanted, value, freshness } = variant;
                let (line, rest, heap) = self.parts_of(id);
                if freshness.is_stale() {
                    line.record_mut(id.at()).mark(count, freshness);
                }
                let slot = Slot::new(key, wanted.tag, value);
                rest.insert_slot(id.at().lane(), first + count, slot, heap);
            }
            VariantsAt::Set { place } => self.push_large(id, Some(place), variant, keys, hashing),
        }
    }

    /// Adds a variant to a large set, or to a small one that must become large.
    #[cold]
    fn push_large(
        &mut self,
        id: RecordId,
        place: Option<u32>,
        variant: NewVariant<'_, V>,
        keys: &Arc<Dictionary>,
        hashing: &Hashing,
    ) {
        let place = place.unwrap_or_else(|| self.enlarge(id, keys, hashing));
        let NewVariant { wanted, value, freshness } = variant;
        let entry = Entry { key: wanted.text.into(), value, freshness };
        self.edit_set(place, |set| set.push(entry, hashing));
    }

    /// Makes a small set a large one. Returns its place.
    #[cold]
    fn enlarge(&mut self, id: RecordId, keys: &Arc<Dictionary>, hashing: &Hashing) -> u32 {
        let mut node = self.node_at(id);
        let stale = node.line.record(id.at()).stale();
        let taken = Taken::numbered(node.take_slots(id.at()), stale, keys);
        node.give_back_slots();
        let entries = taken.into_entries();
        let set = Box::new(LargeSet::new(entries, hashing));
        self.heap += set.heap_bytes();
        let place = self.outside.sets.insert(set);
        self.record_mut(id).set_large(place);
        place
    }

    /// Puts another value into the place of one that is there; it is the youngest from then on, if
    /// that matters. Returns the old value.
    #[allow(clippy::inline_always, reason = "an insert has its arguments in registers")]
    #[inline(always)]
    pub(crate) fn replace(
        &mut self,
        id: RecordId,
        variants: VariantsAt,
        (VariantIndex(at), before): (VariantIndex, Freshness),
        value: V,
        freshness: Freshness,
        youngest: bool,
    ) -> V {
        let (first, count) = match variants {
            VariantsAt::Slots { first, count } => (first, count),
            VariantsAt::Set { place } => {
                return self.edit_set(place, |set| set.replace(at, value, freshness)).0;
            }
        };
        let (line, rest, _) = self.parts_of(id);
        let slots = rest.slots_in_mut(first + at..first + count);
        let old = mem::replace(slots[0].value_mut(), value);
        if youngest {
            slots.rotate_left(1);
            line.record_mut(id.at()).renew(at, count, freshness);
        } else if freshness != before {
            line.record_mut(id.at()).mark(at, freshness);
        }
        old
    }

    /// Takes a variant out, and returns it with its mark. Its key is still in use.
    fn remove_slot(&mut self, id: RecordId, at: usize) -> (Slot<V>, Freshness) {
        let mut node = self.node_at(id);
        let freshness = node.line.record(id.at()).freshness(at);
        node.line.record_mut(id.at()).remove(at);
        (node.remove_slot(id.at(), at), freshness)
    }

    /// Takes a variant out. Returns its value, and whether that was marked stale.
    pub(crate) fn remove_variant(
        &mut self,
        id: RecordId,
        VariantIndex(at): VariantIndex,
        keys: &Dictionary,
        hashing: &Hashing,
    ) -> (V, Freshness) {
        if let Some(place) = self.get(id).record.large() {
            let entry = self.edit_set(place, |set| set.remove(at, hashing));
            return (entry.value, entry.freshness);
        }
        let (slot, freshness) = self.remove_slot(id, at);
        self.node_at(id).give_back_slots();
        keys.release(slot.key());
        (slot.into_value(), freshness)
    }

    /// Takes out what was stored before all others.
    pub(crate) fn remove_oldest(
        &mut self,
        id: RecordId,
        keys: &Dictionary,
        hashing: &Hashing,
    ) -> Option<Entry<V>> {
        let record = self.get(id).record;
        if let Some(place) = record.large() {
            return self.edit_set(place, |set| set.oldest().map(|at| set.remove(at, hashing)));
        }
        if self.get(id).len() == 0 {
            return None;
        }
        let (slot, freshness) = self.remove_slot(id, 0);
        let key = keys.resolve(slot.key());
        Some(Entry { key, value: slot.into_value(), freshness })
    }

    /// Marks the picked variants stale.
    pub(crate) fn soften(
        &mut self,
        id: RecordId,
        pick: impl Fn(&str) -> bool,
        keys: &Dictionary,
    ) -> SoftenCounts {
        let record = self.get(id).record;
        if let Some(place) = record.large() {
            return self.edit_set(place, |set| set.soften(pick));
        }
        let stale = record.stale();
        let picked = self.picked(id, pick, keys);
        self.record_mut(id).set_stale(stale | picked);
        SoftenCounts {
            made_stale: (picked & !stale).count_ones() as usize,
            already_stale: (picked & stale).count_ones() as usize,
        }
    }

    /// A bit for each picked variant of a small set.
    fn picked(&self, id: RecordId, pick: impl Fn(&str) -> bool, keys: &Dictionary) -> u32 {
        let slots = self.get(id).slots().iter().enumerate();
        let picked = slots.filter(|(_, slot)| pick(&keys.text(slot.key())));
        picked.fold(0, |picked, (at, _)| picked | 1 << at)
    }

    /// Marks all variants stale. Returns how many were not yet.
    pub(crate) fn soften_all(&mut self, id: RecordId) -> usize {
        let record = self.get(id).record;
        if let Some(place) = record.large() {
            return self.edit_set(place, |set| set.soften(|_| true).made_stale);
        }
        let stale = record.stale();
        // A bit for each slot, of which there are at most 32.
        let all = u32::try_from((1_u64 << self.get(id).len()) - 1).expect("32 bits at most");
        self.record_mut(id).set_stale(all);
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
            let picked = self.picked(id, pick, keys);
            let (mut gone, mut stale) = (Vec::new(), 0);
            // From the last on, so that those before it keep their places.
            for at in (0..MAX_SLOTS).rev().filter(|at| picked >> at & 1 == 1) {
                let (slot, freshness) = self.remove_slot(id, at);
                stale |= u32::from(freshness.is_stale()) << gone.len();
                gone.push(slot);
            }
            self.node_at(id).give_back_slots();
            return Taken::numbered(gone.into_iter(), stale, keys);
        };
        let set = self.take_set(place);
        self.record_mut(id).clear();
        let (gone, kept): (Vec<_>, Vec<_>) =
            set.into_entries_by_age().into_iter().partition(|entry| pick(&entry.key));
        for Entry { key, value, freshness } in kept {
            let wanted = Wanted::new(&key, hashing);
            self.push_variant(id, NewVariant { wanted, value, freshness }, keys, hashing);
        }
        Taken::Listed(gone)
    }

    /// Adds a bucket, and moves to it what is its.
    ///
    /// When there is no room for one more, the arrays grow by a quarter: an insert in a thousand
    /// copies them, some tens of kilobytes.
    pub(super) fn split(&mut self) {
        let last = self.tags.len();
        push(&mut self.tags);
        push(&mut self.buckets);
        if last > 0 {
            let old = self.take_bucket(sibling(last + 1));
            self.distribute(old);
        }
    }

    /// Takes the last bucket away, and moves its records to where they belong then.
    fn merge(&mut self) {
        let old = self.take_bucket(self.tags.len() - 1);
        self.tags.pop();
        self.buckets.pop();
        self.distribute(old);
    }

    fn take_bucket(&mut self, bucket: usize) -> Node<V> {
        let Bucket { line, rest } = mem::take(&mut self.buckets[bucket]);
        let node = Node { tags: mem::take(&mut self.tags[bucket]), line, rest };
        self.heap -= node.read().heap();
        node
    }

    /// Moves the records of a node that was taken out of the table into the buckets that their
    /// hashes name: one or two.
    fn distribute(&mut self, mut old: Node<V>) {
        let mut needs = [Need::default(), Need::default()];
        for at in old.read().lanes() {
            let record = old.read().record(at);
            let bucket = self.bucket_of(record.hash());
            let is_other = needs[0].bytes > 0 && needs[0].bucket != bucket;
            let need = &mut needs[usize::from(is_other)];
            need.bucket = bucket;
            need.bytes += old.read().bytes_of(at).len();
            need.slots += old.rest.count(at.lane());
        }
        for Need { bucket, bytes, slots } in needs.into_iter().filter(|need| need.bytes > 0) {
            let (bucket, depth) = self.free_lane(bucket);
            self.node_mut(bucket, depth).reserve(bytes, slots);
        }
        let mut slots = old.rest.take_all_slots().into_iter();
        for at in old.read().lanes() {
            let (hash, count) = (old.read().record(at).hash(), old.rest.count(at.lane()));
            let (bucket, depth) = self.free_lane(self.bucket_of(hash));
            let bytes = old.read().bytes_of(at);
            self.node_mut(bucket, depth).adopt(hash, bytes, slots.by_ref().take(count));
        }
        if let Some(more) = old.rest.more.take() {
            self.heap -= size_of::<Node<V>>() + more.read().heap();
            self.distribute(*more);
        }
    }

    /// Frees memory that is empty by half or more.
    ///
    /// The sweep that comes before it has looked at every record that was there, so this costs no
    /// more than that.
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
        self.buckets.shrink_to_fit();
    }
}

/// The result of [`Records::remove_settled`].
pub(crate) enum Removal {
    /// There is no such record.
    Absent,
    /// The record is gone, with so many variants, of which so many were marked stale.
    Done { len: usize, stale: usize },
    /// The record is not settled, or not where most are: [`Records::remove`] takes it out.
    Undone,
}

/// The room that a bucket must have before records are moved to it.
#[derive(Default)]
struct Need {
    bucket: usize,
    bytes: usize,
    slots: usize,
}

fn push<T: Default>(things: &mut Vec<T>) {
    if things.len() == things.capacity() {
        things.reserve_exact(1 + things.len() / 4);
    }
    things.push(T::default());
}

#[cfg(test)]
impl<V> Records<V> {
    pub(super) fn split_for_test(&mut self) {
        self.split();
    }

    pub(super) fn merge_for_test(&mut self) {
        self.merge();
    }
}
