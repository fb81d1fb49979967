//! `Records`: the table, and the ways to read it.
//!
//! Invariant: `tags` and `buckets` have the same length, and a record is in the bucket that
//! `bucket_of` names.

use super::lanes::{Confirmed, Tags};
use super::node::{Bucket, Lane, Node, NodeMut, NodeRef, Rest};
use super::outside::Outside;
use super::record::{Owner, Record, StoredText};
use crate::cpu_prefetch::{Stage, fetch};
use crate::freshness::Freshness;
#[cfg(any(test, fuzzing))]
use crate::hash::Hashing;
use crate::hash::TableHash;
use crate::scopes::Generation;
use crate::shard::path_ref::PathRef;
use crate::variants::{Dictionary, KeyId, LargeSet, Slot, VariantIndex, Wanted};
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::Arc;

/// Records for each bucket, on average. Those that are still to be split hold up to twice as many.
pub(super) const PER_BUCKET: usize = 10;

/// The records of one shard.
// In this order: what a lookup reads is on one line of memory with the shard's lock.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Records<V> {
    pub(super) tags: Vec<Tags>,
    /// As many as tags.
    pub(super) buckets: Vec<Bucket<V>>,
    pub(super) outside: Outside<V>,
    pub(super) len: usize,
    /// Heap bytes of blocks, values, further nodes, and of items outside.
    pub(super) heap: usize,
    /// The generation from which confirmed generations are counted.
    pub(super) base: Generation,
}

/// Where a record is, until one is added or removed.
///
/// In one number, so that it is in a register wherever it goes: the bucket, how many nodes come
/// before the record's, and the lane. One bit is always set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordId(NonZeroU64);

/// A record to read.
#[derive(Debug)]
pub(crate) struct RecordRef<'a, V> {
    table: &'a Records<V>,
    id: RecordId,
    rest: &'a Rest<V>,
    pub(super) record: Record<'a>,
}

impl<V> Clone for RecordRef<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for RecordRef<'_, V> {}

impl RecordId {
    const SET: u64 = 1 << 31;

    #[inline]
    pub(super) fn new(bucket: usize, depth: u8, at: Lane) -> Self {
        let number = (bucket as u64) << 32 | u64::from(depth) << 22 | u64::from(at.to_bits());
        Self(NonZeroU64::new(number | Self::SET).expect("a bit is set"))
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "2^32 buckets would fill 600 gigabytes")]
    pub(super) fn bucket(self) -> usize {
        (self.0.get() >> 32) as usize
    }

    /// How many nodes come before the record's.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "eight bits are left")]
    pub(super) fn depth(self) -> u8 {
        (self.0.get() >> 22) as u8
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "`from_bits` ignores the others")]
    pub(super) fn at(self) -> Lane {
        Lane::from_bits(self.0.get() as u32)
    }
}

impl PathRef<'_> {
    #[inline]
    pub(super) fn owner(&self) -> Owner {
        Owner::new(self.tenant.id(), self.hash.table())
    }
}

/// The bucket whose split creates the last of so many.
pub(super) fn sibling(buckets: usize) -> usize {
    let last = buckets - 1;
    last - (last + 1).next_power_of_two() / 2
}

impl<V> Default for Records<V> {
    fn default() -> Self {
        Self {
            tags: Vec::new(),
            buckets: Vec::new(),
            outside: Outside::default(),
            len: 0,
            heap: 0,
            base: Generation::START,
        }
    }
}

#[allow(
    clippy::inline_always,
    reason = "a record of five words is copied where a lookup does not inline these"
)]
impl<'a, V> RecordRef<'a, V> {
    #[inline]
    pub(crate) fn id(self) -> RecordId {
        self.id
    }

    /// Whether this is the record of a path.
    #[inline(always)]
    pub(crate) fn is(self, path: &PathRef<'_>) -> bool {
        self.record.owner() == path.owner() && self.text() == path.path
    }

    /// The same in fewer steps, and `false` if the text is outside of the record.
    #[inline(always)]
    pub(crate) fn is_inside(self, path: &PathRef<'_>) -> bool {
        self.record.owner() == path.owner()
            && self.record.text_of(path.path.len()) == Some(path.path)
    }

    fn node(self) -> NodeRef<'a, V> {
        self.table.node_of(self.id)
    }

    /// The variants of a small set.
    #[inline(always)]
    pub(super) fn slots(self) -> &'a [Slot<V>] {
        self.rest.slots(self.id.at().lane())
    }

    #[inline(always)]
    pub(crate) fn text(self) -> &'a [u8] {
        match self.record.text() {
            StoredText::Inside(text) => text,
            StoredText::Outside(place) => self.table.outside.texts.get(place).as_bytes(),
        }
    }

    pub(crate) fn path(self) -> &'a str {
        std::str::from_utf8(self.text()).expect("a path is text")
    }

    pub(crate) fn tenant(self) -> u32 {
        self.record.tenant()
    }

    #[inline(always)]
    pub(crate) fn settled(self) -> Generation {
        self.record.settled()
    }

    /// Whether a reader found the record untouched as of a generation.
    #[inline]
    pub(crate) fn is_confirmed(self, as_of: Generation) -> bool {
        self.node().tags.confirmed().has(self.id.at().lane(), self.table.base, as_of)
    }

    /// Leaves word that the record, settled as it is, is untouched as of a generation.
    pub(crate) fn confirm(self, as_of: Generation) {
        self.node().tags.confirmed().add(self.id.at().lane(), self.table.base, as_of);
    }

    #[inline(always)]
    pub(super) fn large(self) -> Option<&'a LargeSet<V>> {
        self.record.large().map(|place| &**self.table.outside.sets.get(place))
    }

    /// How many variants there are.
    pub(crate) fn len(self) -> usize {
        self.large().map_or_else(|| self.rest.count(self.id.at().lane()), LargeSet::len)
    }

    /// How many variants are marked stale.
    pub(crate) fn stale(self) -> usize {
        self.large().map_or_else(|| self.record.stale().count_ones() as usize, LargeSet::stale)
    }

    /// Finds a variant.
    #[inline(always)]
    pub(crate) fn find(self, wanted: Wanted<'_>, keys: &Dictionary) -> Option<VariantIndex> {
        let found = match self.large() {
            None => position(self.slots(), wanted, keys),
            Some(set) => set.position(wanted.text, wanted.hashing),
        };
        found.map(VariantIndex)
    }

    /// Where the variants are, for a write.
    pub(super) fn variants_at(self) -> VariantsAt {
        if let Some(place) = self.record.large() {
            return VariantsAt::Set { place };
        }
        let Range { start: first, end } = self.rest.range(self.id.at().lane());
        VariantsAt::Slots { first, count: end - first }
    }

    /// Finds a variant, for a write.
    #[inline(always)]
    pub(crate) fn locate(self, wanted: Wanted<'_>, keys: &Dictionary) -> Located {
        let settled = self.settled();
        if let Some(place) = self.record.large() {
            let set = self.table.outside.sets.get(place);
            let found = set
                .position(wanted.text, wanted.hashing)
                .map(|at| (VariantIndex(at), set.get(at).1));
            return Located { settled, len: set.len(), variants: VariantsAt::Set { place }, found };
        }
        let Range { start: first, end } = self.rest.range(self.id.at().lane());
        let at = position(self.rest.slots_in(first..end), wanted, keys);
        let found = at.map(|at| (VariantIndex(at), self.record.freshness(at)));
        let len = end - first;
        Located { settled, len, variants: VariantsAt::Slots { first, count: len }, found }
    }

    /// Finds a variant. Returns its value, and whether it is marked stale.
    #[inline(always)]
    pub(crate) fn look_up(
        self,
        wanted: Wanted<'_>,
        keys: &Dictionary,
    ) -> Option<(&'a V, Freshness)> {
        if let Some(set) = self.large() {
            return set.position(wanted.text, wanted.hashing).map(|at| set.get(at));
        }
        let slots = self.slots();
        let slot = slots.iter().find(|slot| is(slot, wanted, keys))?;
        // Nearly always none is stale, and the place of the slot does not matter.
        let stale = self.record.stale();
        let is_stale = stale != 0 && stale >> place(slots, slot.key()) & 1 == 1;
        Some((slot.value(), Freshness::stale_if(is_stale)))
    }

    /// The value of a variant, and whether it is marked stale.
    #[inline]
    pub(crate) fn get(self, VariantIndex(at): VariantIndex) -> (&'a V, Freshness) {
        match self.large() {
            None => (self.slots()[at].value(), self.record.freshness(at)),
            Some(set) => set.get(at),
        }
    }

    /// The keys, each with whether it is marked stale, in no particular order.
    pub(crate) fn list(self, keys: &Dictionary) -> Vec<(Arc<str>, Freshness)> {
        if let Some(set) = self.large() {
            let entries = set.entries().iter();
            return entries.map(|entry| (Arc::clone(&entry.key), entry.freshness)).collect();
        }
        let listed = self.slots().iter().enumerate();
        listed.map(|(at, slot)| (keys.text(slot.key()), self.record.freshness(at))).collect()
    }
}

/// Where the variants of a record are, until one is added or removed in its bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) enum VariantsAt {
    /// In the node's slots: the first, and how many.
    Slots { first: usize, count: usize },
    /// In a large set: its place outside.
    Set { place: u32 },
}

/// The result of a search for a variant that is about to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Located {
    pub(crate) settled: Generation,
    /// How many variants there are.
    pub(crate) len: usize,
    pub(crate) variants: VariantsAt,
    /// The variant, and whether it is marked stale.
    pub(crate) found: Option<(VariantIndex, Freshness)>,
}

/// The record of a path is not where it is nearly always.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WrongGuess;

/// Whether a variant of a small set has a key: by the tag first, and then by the text.
#[allow(clippy::inline_always, reason = "a lookup has all of this in registers")]
#[inline(always)]
fn is<V>(slot: &Slot<V>, wanted: Wanted<'_>, keys: &Dictionary) -> bool {
    slot.tag() == wanted.tag.get() && keys.matches(slot.key(), wanted.text)
}

/// Finds a variant of a small set.
#[allow(clippy::inline_always, reason = "as above")]
#[inline(always)]
fn position<V>(slots: &[Slot<V>], wanted: Wanted<'_>, keys: &Dictionary) -> Option<usize> {
    slots.iter().position(|slot| is(slot, wanted, keys))
}

/// The place of the variant with this key, which is there.
#[cold]
fn place<V>(slots: &[Slot<V>], key: KeyId) -> usize {
    slots.iter().position(|slot| slot.key() == key).unwrap_or_default()
}

impl<V> Records<V> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The bucket of a hash: its low bits, as many as it takes to name each bucket; where there is
    /// no such bucket yet, one bit less.
    #[inline]
    pub(super) fn bucket_of(&self, hash: TableHash) -> usize {
        // Not kept, as it would lie on another line of memory than the arrays.
        let mask = usize::MAX >> (self.tags.len().wrapping_sub(1) | 1).leading_zeros();
        let bucket = hash.get() as usize & mask;
        if bucket < self.tags.len() { bucket } else { bucket & mask >> 1 }
    }

    #[inline]
    pub(super) fn bucket(&self, hash: TableHash) -> Option<usize> {
        (!self.tags.is_empty()).then(|| self.bucket_of(hash))
    }

    #[inline]
    pub(super) fn node(&self, bucket: usize) -> NodeRef<'_, V> {
        let Bucket { line, rest } = &self.buckets[bucket];
        NodeRef { tags: &self.tags[bucket], line, rest }
    }

    /// The nodes of a bucket, mostly one.
    pub(super) fn nodes(
        &self,
        bucket: usize,
    ) -> impl DoubleEndedIterator<Item = (u8, NodeRef<'_, V>)> {
        let mut nodes = smallvec::SmallVec::<[_; 2]>::new();
        let mut next = Some(self.node(bucket));
        while let Some(node) = next {
            nodes.push(node);
            next = node.rest.more.as_deref().map(Node::read);
        }
        (0..).zip(nodes).collect::<smallvec::SmallVec<[_; 2]>>().into_iter()
    }

    #[inline]
    pub(super) fn node_mut(&mut self, bucket: usize, depth: u8) -> NodeMut<'_, V> {
        let (tags, Bucket { line, rest }) = (&mut self.tags[bucket], &mut self.buckets[bucket]);
        let mut node = NodeMut { tags, line, rest, heap: &mut self.heap };
        for _ in 0..depth {
            let more = node.rest.more.as_deref_mut().expect("the record's node is there");
            node = more.write(node.heap);
        }
        node
    }

    /// A record of a node that comes after so many.
    #[allow(clippy::inline_always, reason = "as for the methods of a record")]
    #[inline(always)]
    pub(super) fn at<'a>(
        &'a self,
        bucket: usize,
        depth: u8,
        node: NodeRef<'a, V>,
        lane: usize,
    ) -> RecordRef<'a, V> {
        let at = node.line.lane(lane);
        let id = RecordId::new(bucket, depth, at);
        RecordRef { table: self, id, rest: node.rest, record: node.record(at) }
    }

    /// The record of a path, probably. If there is none, the path has no record, or its bucket
    /// [overflows](Self::overflows).
    #[allow(clippy::inline_always, reason = "as for the methods of a record")]
    #[inline(always)]
    pub(crate) fn guess(&self, path: &PathRef<'_>) -> Option<RecordRef<'_, V>> {
        let hash = path.hash.table();
        let bucket = self.bucket_of(hash);
        let tags = self.tags.get(bucket)?;
        let lane = tags.find(hash, |_| true)?;
        let Bucket { line, rest } = self.buckets.get(bucket)?;
        Some(self.at(bucket, 0, NodeRef { tags, line, rest }, lane))
    }

    /// Whether the bucket of a path may have further nodes.
    #[inline]
    pub(crate) fn overflows(&self, path: &PathRef<'_>) -> bool {
        self.tags.get(self.bucket_of(path.hash.table())).is_some_and(Tags::is_full)
    }

    /// The record of a path.
    #[inline]
    pub(crate) fn find(&self, path: &PathRef<'_>) -> Option<RecordRef<'_, V>> {
        self.id_of(path).map(|id| self.get(id))
    }

    /// Where the record of a path is.
    #[inline]
    pub(crate) fn id_of(&self, path: &PathRef<'_>) -> Option<RecordId> {
        match self.guess(path) {
            Some(guess) if guess.is(path) => Some(guess.id),
            None if !self.overflows(path) => None,
            _ => self.search(path),
        }
    }

    /// Finds the record of a path, and a variant in it, for a write. Returns an error if the record
    /// must be searched, see [`Self::id_of`].
    #[allow(clippy::inline_always, reason = "as for the methods of a record")]
    #[inline(always)]
    pub(crate) fn locate(
        &self,
        path: &PathRef<'_>,
        wanted: Wanted<'_>,
        keys: &Dictionary,
    ) -> Result<Option<(RecordId, Located)>, WrongGuess> {
        match self.guess(path) {
            Some(guess) if guess.is(path) => Ok(Some((guess.id, guess.locate(wanted, keys)))),
            None if !self.overflows(path) => Ok(None),
            _ => Err(WrongGuess),
        }
    }

    /// The record of a path that shares its tag with others, or has a bucket of several nodes.
    #[cold]
    #[inline(never)]
    pub(super) fn search(&self, path: &PathRef<'_>) -> Option<RecordId> {
        let bucket = self.bucket(path.hash.table())?;
        let (mut depth, mut node) = (0, self.node(bucket));
        loop {
            let is = |lane| self.at(bucket, depth, node, lane).is(path);
            if let Some(lane) = node.tags.find(path.hash.table(), is) {
                return Some(RecordId::new(bucket, depth, node.line.lane(lane)));
            }
            node = node.rest.more.as_deref()?.read();
            depth += 1;
        }
    }

    /// Fetches what any operation on a path reads first.
    #[inline]
    pub(crate) fn fetch_bucket(&self, path: TableHash) {
        let bucket = self.bucket_of(path);
        let (Some(tags), Some(Bucket { line, rest })) =
            (self.tags.get(bucket), self.buckets.get(bucket))
        else {
            return;
        };
        fetch(tags);
        fetch(line);
        fetch(rest);
    }

    /// Fetches what adding a path writes, once its bucket was fetched.
    #[inline]
    pub(crate) fn fetch_ends(&self, path: TableHash) {
        let bucket = self.bucket_of(path);
        let Some(Bucket { line, rest }) = self.buckets.get(bucket) else { return };
        line.fetch_end();
        rest.fetch_end();
    }

    /// Fetches what a lookup of a path is about to read.
    pub(crate) fn fetch(&self, stage: Stage, path: TableHash) {
        if stage == Stage::Bucket {
            return self.fetch_bucket(path);
        }
        let Some(bucket) = self.bucket(path) else { return };
        let node = self.node(bucket);
        if let Some(lane) = node.tags.find(path, |_| true) {
            node.line.fetch(node.line.lane(lane));
            node.rest.fetch(lane);
        }
    }

    #[inline]
    pub(crate) fn get(&self, id: RecordId) -> RecordRef<'_, V> {
        let (line, rest) = if id.depth() == 0 {
            let Bucket { line, rest } = &self.buckets[id.bucket()];
            (line, rest)
        } else {
            let NodeRef { line, rest, .. } = self.further_node(id);
            (line, rest)
        };
        RecordRef { table: self, id, rest, record: line.record(id.at()) }
    }

    #[inline]
    pub(super) fn node_of(&self, id: RecordId) -> NodeRef<'_, V> {
        if id.depth() == 0 { self.node(id.bucket()) } else { self.further_node(id) }
    }

    #[cold]
    pub(super) fn further_node(&self, id: RecordId) -> NodeRef<'_, V> {
        self.nodes(id.bucket()).nth(id.depth().into()).expect("the record's node is there").1
    }

    pub(crate) fn buckets(&self) -> usize {
        self.tags.len()
    }

    /// The records of a bucket.
    pub(super) fn records_of(&self, bucket: usize) -> impl Iterator<Item = RecordRef<'_, V>> {
        self.nodes(bucket).flat_map(move |(depth, node)| {
            node.lanes().map(move |at| self.at(bucket, depth, node, at.lane()))
        })
    }

    /// The records of a bucket, from the first on. Removing the last keeps the others.
    pub(crate) fn ids_of(&self, bucket: usize) -> smallvec::SmallVec<[RecordId; 24]> {
        self.records_of(bucket).map(RecordRef::id).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = RecordRef<'_, V>> {
        (0..self.tags.len()).flat_map(|bucket| self.records_of(bucket))
    }

    /// Counts confirmed generations from a newer base, if they come near the furthest that can be
    /// written down.
    pub(crate) fn rebase(&mut self, broad: Generation) {
        if broad.get() - self.base.get() > Confirmed::FURTHEST / 2 {
            self.base = broad;
            for bucket in 0..self.tags.len() {
                let mut next = Some((&mut self.tags[bucket], &mut self.buckets[bucket].rest));
                while let Some((tags, rest)) = next {
                    tags.forget_confirmed();
                    next = rest.more.as_deref_mut().map(|more| (&mut more.tags, &mut more.rest));
                }
            }
        }
    }

    /// Heap bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.heap
            + self.outside.bytes()
            + self.tags.capacity() * size_of::<Tags>()
            + self.buckets.capacity() * size_of::<Bucket<V>>()
    }

    /// Panics where the contract at the top of this module does not hold. Returns all uses of keys.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn check(
        &self,
        keys: &Dictionary,
        hashing: &Hashing,
    ) -> Vec<crate::variants::KeyId> {
        assert_eq!(self.len, self.iter().count(), "records");
        let (mut heap, mut uses) = (0, Vec::new());
        for bucket in 0..self.buckets() {
            for (depth, node) in self.nodes(bucket) {
                node.check();
                assert!(
                    node.rest.more.is_none() || node.tags.is_full(),
                    "a gap before a further node"
                );
                heap += node.heap() + usize::from(depth > 0) * size_of::<Node<V>>();
            }
        }
        heap += self.outside.texts.iter().map(|text| text.len()).sum::<usize>();
        heap += self.outside.sets.iter().map(|set| set.heap_bytes()).sum::<usize>();
        assert_eq!(self.heap, heap, "heap");
        for found in self.iter() {
            let path = found.path();
            let hash = hashing.path(found.tenant(), path).table();
            assert_eq!(found.record.hash(), hash, "{path}");
            assert_eq!(self.bucket_of(hash), found.id.bucket(), "{path}");
            if let Some(set) = found.large() {
                set.check(hashing);
            }
            for (at, slot) in found.slots().iter().enumerate() {
                let text = keys.text(slot.key());
                let wanted = Wanted::new(&text, hashing);
                assert_eq!(slot.tag(), wanted.tag.get(), "{text}");
                assert_eq!(found.find(wanted, keys), Some(VariantIndex(at)), "{text} occurs once");
                uses.push(slot.key());
            }
        }
        uses
    }
}
