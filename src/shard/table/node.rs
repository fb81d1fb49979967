//! A node: up to 23 records, in one block, and their slots.
//!
//! ```text
//!   tags      32 bytes    a byte of each record's hash, and the confirmations of readers
//!   line      64 bytes    where each record starts, and the address of the block
//!   rest      56 bytes    the number of slots of each record, the address of the slots, and
//!                         of a further node if hashing put more than 23 records here
//!
//!   block     record record record ...          see `record`
//!   slots     slot slot slot slot ...           see `Slot`: in the order of the records
//! ```
//!
//! Invariant: records lie in the order of their lanes, without gaps, and so do slots. The lanes
//! agree with the records.
//!
//! The tags of all buckets lie in an array of their own, so that a lookup that finds no tag reads
//! little. Line and rest lie together, as processors fetch lines in pairs. A lookup that finds a
//! tag has computed the addresses of all three. From line and rest it computes where the record and
//! its slots are, so that the processor fetches both at the same time.

use super::lanes::{LANES, Lanes, Starts, Tags};
use super::record::{Owner, Record, RecordMut, StoredText, UNIT};
use crate::cpu_prefetch::fetch;
use crate::hash::TableHash;
use crate::scopes::Generation;
use crate::variants::Slot;
use std::mem;
use std::ops::Range;
use std::vec;

#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Line {
    /// In units of eight bytes.
    starts: Starts,
    block: Box<[u8]>,
}

#[derive(Debug)]
pub(super) struct Rest<V> {
    slots: Vec<Slot<V>>,
    counts: Lanes,
    pub(super) more: Option<Box<Node<V>>>,
}

/// Line and rest of the first node of a bucket.
#[derive(Debug)]
#[repr(C, align(128))]
pub(super) struct Bucket<V> {
    pub(super) line: Line,
    pub(super) rest: Rest<V>,
}

/// A node in one piece.
#[derive(Debug)]
pub(super) struct Node<V> {
    pub(super) tags: Tags,
    pub(super) line: Line,
    pub(super) rest: Rest<V>,
}

/// A node to read.
#[derive(Debug)]
pub(super) struct NodeRef<'a, V> {
    pub(super) tags: &'a Tags,
    pub(super) line: &'a Line,
    pub(super) rest: &'a Rest<V>,
}

/// A node to change.
#[derive(Debug)]
pub(super) struct NodeMut<'a, V> {
    pub(super) tags: &'a mut Tags,
    pub(super) line: &'a mut Line,
    pub(super) rest: &'a mut Rest<V>,
    /// The heap bytes of the table.
    pub(super) heap: &'a mut usize,
}

/// Where a record is in its node, until one is added or removed before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lane {
    lane: u8,
    /// Where it starts in the block, in units.
    start: u16,
}

impl<V> Default for Rest<V> {
    fn default() -> Self {
        Self { slots: Vec::new(), counts: Lanes::default(), more: None }
    }
}

impl<V> Default for Bucket<V> {
    fn default() -> Self {
        Self { line: Line::default(), rest: Rest::default() }
    }
}

impl<V> Default for Node<V> {
    fn default() -> Self {
        Self { tags: Tags::default(), line: Line::default(), rest: Rest::default() }
    }
}

impl<V> Clone for NodeRef<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for NodeRef<'_, V> {}

impl<V> Node<V> {
    pub(super) fn read(&self) -> NodeRef<'_, V> {
        NodeRef { tags: &self.tags, line: &self.line, rest: &self.rest }
    }

    pub(super) fn write<'a>(&'a mut self, heap: &'a mut usize) -> NodeMut<'a, V> {
        NodeMut { tags: &mut self.tags, line: &mut self.line, rest: &mut self.rest, heap }
    }
}

/// Returns the size of a chunk of malloc that holds this number of bytes. malloc has steps of 16
/// bytes, and needs one word for itself.
fn whole_chunk(bytes: usize) -> usize {
    const WORD: usize = size_of::<usize>();
    (bytes + WORD).next_multiple_of(2 * WORD) - WORD
}

/// Returns the capacity for this number of slots. One sixteenth is spare, because slots live long
/// and at most double.
fn slots_with_spare<V>(slots: usize) -> usize {
    let bytes = slots * size_of::<Slot<V>>();
    slots.max(whole_chunk(bytes + bytes / 16) / size_of::<Slot<V>>())
}

impl Line {
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "a node has 23 lanes")]
    pub(super) fn lane(&self, lane: usize) -> Lane {
        Lane { lane: lane as u8, start: self.starts.of(lane) }
    }

    #[inline]
    pub(super) fn record(&self, at: Lane) -> Record<'_> {
        // To the end of the block: what is read of it says itself how long it is.
        Record::new(&self.block[at.start()..])
    }

    #[inline]
    pub(super) fn record_mut(&mut self, at: Lane) -> RecordMut<'_> {
        RecordMut::new(&mut self.block[at.start()..])
    }

    /// Fetches the first lines of memory of a record.
    pub(super) fn fetch(&self, at: Lane) {
        self.fetch_ahead(at.start(), [0, 64, 127]);
    }

    /// Fetches the lines behind the first one of a record, as far as the processor does not yet see
    /// that they are read in order.
    #[inline]
    pub(super) fn fetch_tail(&self, at: Lane) {
        self.fetch_ahead(at.start(), [64, 128, 192]);
    }

    /// Fetches where the next record comes.
    pub(super) fn fetch_end(&self) {
        self.fetch_ahead(self.used(), [0, 64, 127]);
    }

    /// Fetches the lines at some distances from a place, as far as the block goes.
    #[inline]
    fn fetch_ahead(&self, place: usize, distances: [usize; 3]) {
        for distance in distances {
            let Some(byte) = self.block.get(place + distance) else { break };
            fetch(byte);
        }
    }

    /// Where the part of the block ends that is in use.
    #[inline]
    fn used(&self) -> usize {
        usize::from(self.starts.end()) * UNIT
    }

    #[inline]
    fn size(&self, at: Lane) -> usize {
        usize::from(self.starts.size(at.lane())) * UNIT
    }
}

impl Lane {
    const START_BITS: u32 = 16;

    /// The lane as a number of 22 bits.
    #[inline]
    pub(super) fn to_bits(self) -> u32 {
        u32::from(self.lane) << Self::START_BITS | u32::from(self.start)
    }

    /// The lane of the low 22 bits.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "that is what it is for")]
    pub(super) fn from_bits(bits: u32) -> Self {
        Self { lane: (bits >> Self::START_BITS) as u8 & 0x3f, start: bits as u16 }
    }

    #[inline]
    pub(super) fn lane(self) -> usize {
        self.lane.into()
    }

    #[inline]
    fn start(self) -> usize {
        usize::from(self.start) * UNIT
    }
}

impl<V> Rest<V> {
    /// Where the slots of a lane are.
    #[inline]
    pub(super) fn range(&self, lane: usize) -> Range<usize> {
        let first = self.counts.before(lane);
        first..first + self.counts.get(lane)
    }

    #[inline]
    pub(super) fn slots(&self, lane: usize) -> &[Slot<V>] {
        &self.slots[self.range(lane)]
    }

    #[inline]
    pub(super) fn slots_in(&self, range: Range<usize>) -> &[Slot<V>] {
        &self.slots[range]
    }

    #[inline]
    pub(super) fn slots_in_mut(&mut self, range: Range<usize>) -> &mut [Slot<V>] {
        &mut self.slots[range]
    }

    /// How many slots there are of all lanes.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Adds a slot of a lane, whose slots end here.
    #[inline]
    pub(super) fn insert_slot(&mut self, lane: usize, end: usize, slot: Slot<V>, heap: &mut usize) {
        let slots = self.slots.len();
        if slots == self.slots.capacity() {
            self.resize_slots(slots_with_spare::<V>(slots + 1), heap);
        }
        self.slots.insert(end, slot);
        self.counts.add_one(lane);
    }

    /// Sets the capacity for slots, which is at least their number.
    #[inline(never)]
    fn resize_slots(&mut self, capacity: usize, heap: &mut usize) {
        let mut slots = Vec::with_capacity(capacity);
        slots.append(&mut self.slots);
        *heap -= self.capacity_bytes();
        self.slots = slots;
        *heap += self.capacity_bytes();
    }

    #[inline]
    pub(super) fn count(&self, lane: usize) -> usize {
        self.counts.get(lane)
    }

    fn set_count(&mut self, lane: usize, slots: usize) {
        self.counts.set(lane, u8::try_from(slots).expect("a record has at most 32 slots"));
    }

    /// Takes all slots out of a node that is not in the table any more.
    pub(super) fn take_all_slots(&mut self) -> Vec<Slot<V>> {
        mem::take(&mut self.slots)
    }

    /// Fetches the first lines of memory of a record's slots.
    pub(super) fn fetch(&self, lane: usize) {
        self.fetch_lines(self.counts.before(lane), 2);
    }

    /// Fetches slots and those behind them, as far as the processor does not yet see that they are
    /// read in order.
    #[inline]
    pub(super) fn fetch_tail(&self, first: usize) {
        self.fetch_lines(first, 4);
    }

    /// Fetches this number of lines of memory, from a slot on.
    #[inline]
    fn fetch_lines(&self, first: usize, lines: usize) {
        let step = 64_usize.div_ceil(size_of::<Slot<V>>());
        for line in 0..lines {
            let Some(slot) = self.slots.get(first + line * step) else { break };
            fetch(slot);
        }
    }

    /// Fetches where the next slots come.
    pub(super) fn fetch_end(&self) {
        if let Some(last) = self.slots.last() {
            fetch(last);
        }
    }

    fn capacity_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot<V>>()
    }
}

impl<'a, V> NodeRef<'a, V> {
    #[inline]
    pub(super) fn record(self, at: Lane) -> Record<'a> {
        self.line.record(at)
    }

    /// The size of a record, and all its bytes.
    #[inline]
    pub(super) fn bytes_of(self, at: Lane) -> &'a [u8] {
        &self.line.block[at.start()..][..self.line.size(at)]
    }

    /// The records' lanes, in order.
    pub(super) fn lanes(self) -> impl Iterator<Item = Lane> + use<'a, V> {
        (0..self.tags.len()).map(move |lane| self.line.lane(lane))
    }

    /// Heap bytes of block and slots.
    pub(super) fn heap(self) -> usize {
        self.line.block.len() + self.rest.capacity_bytes()
    }

    /// Panics where the invariant at the top of this module does not hold.
    #[cfg(any(test, fuzzing))]
    pub(super) fn check(self) {
        let mut slots = 0;
        for at in self.lanes() {
            let record = self.record(at);
            assert_eq!(self.tags.get(at.lane()), record.hash().tag(), "tag");
            assert_eq!(record.text().record_size(), self.line.size(at), "size");
            let own = self.rest.count(at.lane());
            assert!(own == 0 || record.large().is_none(), "slots beside a large set");
            slots += own;
        }
        assert_eq!(slots, self.rest.slots.len(), "slots");
        let free = self.tags.len()..LANES;
        assert!(free.clone().all(|lane| self.tags.get(lane) == 0), "free tags");
        let end = self.line.starts.end();
        assert_eq!(self.line.starts.of(free.start), end, "end");
        assert!(free.clone().all(|lane| self.rest.count(lane) == 0), "free counts");
        assert!(self.line.used() <= self.line.block.len(), "the block holds all");
    }
}

impl<V> NodeMut<'_, V> {
    /// Moves the first `used` bytes of the block into one of another length.
    ///
    /// Not by `realloc`: glibc's does not use the chunks that the thread has just freed.
    fn resize_block(&mut self, used: usize, len: usize) {
        let mut block = Vec::with_capacity(len);
        block.extend_from_slice(&self.line.block[..used]);
        block.resize(len, 0);
        *self.heap = *self.heap - self.line.block.len() + len;
        self.line.block = block.into_boxed_slice();
    }

    /// Sets the capacity for slots, which is at least their number.
    fn resize_slots(&mut self, capacity: usize) {
        self.rest.resize_slots(capacity, self.heap);
    }

    /// Adds the bytes of a record to a node that is not full. They are yet to be written.
    #[inline]
    fn push_bytes(&mut self, hash: TableHash, size: usize) -> Lane {
        let (lane, used) = (self.tags.len(), self.line.used());
        if used + size > self.line.block.len() {
            // Room for one more of this size: so every second record has its room already.
            self.resize_block(used, whole_chunk(used + 2 * size));
        }
        self.tags.set(lane, hash);
        self.line.starts.push(lane, u16::try_from(size / UNIT).expect("a record is small"));
        self.line.lane(lane)
    }

    /// Adds a record to a node that is not full.
    pub(super) fn push(
        &mut self,
        hash: TableHash,
        owner: Owner,
        settled: Generation,
        text: StoredText<'_>,
    ) -> Lane {
        let at = self.push_bytes(hash, text.record_size());
        RecordMut::write(&mut self.line.block[at.start()..], owner, settled, text);
        at
    }

    /// Takes a record out that has no slots.
    #[allow(clippy::inline_always, reason = "most of what a purge does under the lock")]
    #[inline(always)]
    pub(super) fn remove(&mut self, at: Lane) {
        assert!(at.lane() < LANES, "a record has a lane");
        let (used, size) = (self.line.used(), self.line.size(at));
        self.line.block.copy_within(at.start() + size..used, at.start());
        self.tags.remove(at.lane());
        self.line.starts.remove(at.lane());
        self.rest.counts.remove(at.lane());
        // Not at each removal: what is filled and emptied in turns need not move each time.
        let left = used - size;
        if left + 128 < self.line.block.len() / 2 {
            self.shrink_block(left);
        }
    }

    #[cold]
    fn shrink_block(&mut self, left: usize) {
        self.resize_block(left, if left == 0 { 0 } else { whole_chunk(left) });
    }

    /// Takes a slot out.
    pub(super) fn remove_slot(&mut self, at: Lane, slot: usize) -> Slot<V> {
        let range = self.rest.range(at.lane());
        let slot = self.rest.slots.remove(range.start + slot);
        self.rest.set_count(at.lane(), range.len() - 1);
        slot
    }

    /// Takes out the slots of a record.
    #[allow(clippy::inline_always, reason = "as `NodeMut::remove`")]
    #[inline(always)]
    pub(super) fn take_slots(&mut self, at: Lane) -> vec::Drain<'_, Slot<V>> {
        self.take_slots_in(at, self.rest.range(at.lane()))
    }

    /// The same, where it is known where they are.
    #[allow(clippy::inline_always, reason = "as `NodeMut::remove`")]
    #[inline(always)]
    pub(super) fn take_slots_in(
        &mut self,
        at: Lane,
        slots: Range<usize>,
    ) -> vec::Drain<'_, Slot<V>> {
        self.rest.set_count(at.lane(), 0);
        self.rest.slots.drain(slots)
    }

    /// Gives back the room for slots that is beside them, if that is much.
    #[inline]
    pub(super) fn give_back_slots(&mut self) {
        let slots = self.rest.slots.len();
        if slots + 4 < self.rest.slots.capacity() / 2 {
            self.shrink_slots(slots);
        }
    }

    #[cold]
    fn shrink_slots(&mut self, slots: usize) {
        self.resize_slots(if slots == 0 { 0 } else { slots_with_spare::<V>(slots) });
    }

    /// Makes room for a record with so many slots. If there is none, makes room for so many more of
    /// them.
    #[inline]
    pub(super) fn reserve_for_records(&mut self, size: usize, slots: usize, more: usize) {
        let used = self.line.used();
        if more > 0 && used + size > self.line.block.len() {
            self.resize_block(used, whole_chunk(used + size * (1 + more)));
        }
        let needed = self.rest.slots.len() + slots;
        if needed > self.rest.slots.capacity() {
            self.resize_slots(slots_with_spare::<V>(needed + slots * more));
        }
    }

    /// Makes room for records that are about to be moved here.
    pub(super) fn reserve(&mut self, bytes: usize, slots: usize) {
        let used = self.line.used();
        if used + bytes > self.line.block.len() {
            self.resize_block(used, whole_chunk(used + bytes));
        }
        let needed = self.rest.slots.len() + slots;
        if needed > self.rest.slots.capacity() {
            self.resize_slots(slots_with_spare::<V>(needed));
        }
    }

    /// Adds a record as it was in another node, with so many slots.
    pub(super) fn adopt(
        &mut self,
        hash: TableHash,
        bytes: &[u8],
        slots: impl ExactSizeIterator<Item = Slot<V>>,
    ) {
        let at = self.push_bytes(hash, bytes.len());
        self.line.block[at.start()..][..bytes.len()].copy_from_slice(bytes);
        self.extend_slots(at, slots);
    }

    /// Adds slots to the last record, which has none.
    #[inline]
    pub(super) fn extend_slots(&mut self, at: Lane, slots: impl ExactSizeIterator<Item = Slot<V>>) {
        self.rest.set_count(at.lane(), slots.len());
        self.reserve(0, slots.len());
        self.rest.slots.extend(slots);
    }
}
