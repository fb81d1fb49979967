//! A node: up to 23 records, in one block.
//!
//! ```text
//!   tags      32 bytes    a byte of each record's hash, and the confirmations of readers
//!   line      64 bytes    where each record starts, and the address of the block
//!   rest      56 bytes    the number of slots of each record, the address of the values, and
//!                         of a further node if hashing put more than 23 records here
//!
//!   block     record record record ...          see `record`
//!   values    value value value ...             those of the records' slots, in the same order
//! ```
//!
//! Invariant: records lie in the order of their lanes, without gaps, and so do values. The lanes
//! agree with the records.
//!
//! The tags of all buckets lie in an array of their own, so that a lookup that finds no tag reads
//! little. Line and rest lie together, as processors fetch lines in pairs. A lookup that finds a
//! tag has computed the addresses of all three.

#[cfg(any(test, fuzzing))]
use super::lanes::LANES;
use super::lanes::{Lanes, Starts, Tags};
use super::record::{Record, RecordMut, UNIT};
use crate::cpu_prefetch::fetch;
use crate::hash::TableHash;
use std::mem;

#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Line {
    /// In units of eight bytes.
    starts: Starts,
    block: Box<[u8]>,
}

#[derive(Debug)]
pub(super) struct Rest<V> {
    pub(super) values: Vec<V>,
    pub(super) slots: Lanes,
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
}

/// Where a record is in its node, until one is added or removed before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) lane: u8,
    /// Where it starts in the block, in units.
    start: u16,
}

impl<V> Default for Rest<V> {
    fn default() -> Self {
        Self { values: Vec::new(), slots: Lanes::default(), more: None }
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

    pub(super) fn write(&mut self) -> NodeMut<'_, V> {
        NodeMut { tags: &mut self.tags, line: &mut self.line, rest: &mut self.rest }
    }
}

/// Returns the size of a block for this number of bytes. The block has one sixteenth spare, because
/// it lives long and at most doubles. Its size fills a chunk of malloc, which has steps of 16 bytes
/// and one word for malloc itself.
fn with_spare(bytes: usize) -> usize {
    const WORD: usize = size_of::<usize>();
    (bytes + bytes / 16 + WORD).next_multiple_of(2 * WORD) - WORD
}

fn make_room_for_value<V>(values: &mut Vec<V>) {
    if values.len() == values.capacity() && size_of::<V>() > 0 {
        let capacity = with_spare((values.len() + 1) * size_of::<V>()) / size_of::<V>();
        values.reserve_exact(capacity.max(values.len() + 1) - values.len());
    }
}

fn resize(block: &mut Box<[u8]>, len: usize) {
    let mut bytes = mem::take(block).into_vec();
    if len > bytes.len() {
        bytes.reserve_exact(len - bytes.len());
        bytes.resize(len, 0);
    } else {
        bytes.truncate(len);
    }
    // Without spare capacity, nothing moves here.
    *block = bytes.into_boxed_slice();
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
        let size = self.size(at);
        RecordMut { bytes: &mut self.block[at.start()..][..size] }
    }

    /// Bytes of the later lines of memory of a record: its middle and its end.
    #[inline]
    pub(super) fn ahead(&self, at: Lane) -> u8 {
        let end = usize::from(self.starts.of(at.lane() + 1)) * UNIT;
        let byte = |at| self.block.get(at).copied().unwrap_or(0);
        byte(at.start() + 64) ^ byte(end.wrapping_sub(1))
    }

    /// Fetches the first lines of memory of a record.
    pub(super) fn fetch(&self, at: Lane) {
        let ahead = [0, 64, 127].map(|ahead| self.block.get(at.start() + ahead));
        ahead.into_iter().flatten().for_each(fetch);
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

    fn set_size(&mut self, lane: usize, size: usize) {
        let units = u8::try_from(size / UNIT).expect("a record has at most 255 units");
        self.starts.set_size(lane, units.into());
    }

    fn make_room(&mut self, used: usize, more: usize) {
        if used + more > self.block.len() {
            resize(&mut self.block, with_spare(used + more));
        }
    }

    fn give_back(&mut self, used: usize) {
        // Not at each removal: what is filled and emptied in turns need not move each time.
        if with_spare(used) + 64 < self.block.len() / 2 {
            resize(&mut self.block, if used == 0 { 0 } else { with_spare(used) });
        }
    }
}

impl Lane {
    #[inline]
    pub(super) fn lane(self) -> usize {
        self.lane.into()
    }

    #[inline]
    fn start(self) -> usize {
        usize::from(self.start) * UNIT
    }
}

impl<'a, V> NodeRef<'a, V> {
    #[inline]
    pub(super) fn record(self, at: Lane) -> Record<'a> {
        self.line.record(at)
    }

    /// The size of a record, and all its bytes.
    pub(super) fn bytes_of(self, at: Lane) -> &'a [u8] {
        &self.line.block[at.start()..][..self.line.size(at)]
    }

    /// The records' lanes, in order.
    pub(super) fn lanes(self) -> impl Iterator<Item = Lane> + use<'a, V> {
        (0..self.tags.len()).map(move |lane| self.line.lane(lane))
    }

    /// Where the values of a record start.
    #[inline]
    pub(super) fn first_value(self, lane: usize) -> usize {
        // Values without a size are all the same.
        if size_of::<V>() == 0 { 0 } else { self.rest.slots.before(lane) }
    }

    #[inline]
    pub(super) fn value(self, lane: usize, slot: usize) -> &'a V {
        &self.rest.values[self.first_value(lane) + slot]
    }

    /// Heap bytes of block and values.
    pub(super) fn heap(self) -> usize {
        self.line.block.len() + self.rest.values.capacity() * size_of::<V>()
    }

    /// Panics where the invariant at the top of this module does not hold.
    #[cfg(any(test, fuzzing))]
    pub(super) fn check(self) {
        let mut values = 0;
        for at in self.lanes() {
            let record = self.record(at);
            assert_eq!(self.tags.get(at.lane()), record.hash().tag(), "tag");
            assert_eq!(self.rest.slots.get(at.lane()), record.slots(), "slots");
            let shape = super::record::Shape::new(record.room(), record.text().len());
            assert_eq!(shape.size, self.line.size(at), "size");
            values += record.slots();
        }
        assert_eq!(values, self.rest.values.len(), "values");
        let free = self.tags.len()..LANES;
        assert!(free.clone().all(|lane| self.tags.get(lane) == 0), "free tags");
        let end = self.line.starts.end();
        assert!(free.clone().all(|lane| self.line.starts.of(lane) == end), "free starts");
        assert!(free.clone().all(|lane| self.rest.slots.get(lane) == 0), "free slots");
        assert!(self.line.used() <= self.line.block.len(), "the block holds all");
    }
}

impl<V> NodeMut<'_, V> {
    pub(super) fn read(&self) -> NodeRef<'_, V> {
        NodeRef { tags: self.tags, line: self.line, rest: self.rest }
    }

    /// Adds the bytes of a record to a node that is not full. They are yet to be written.
    pub(super) fn push(&mut self, hash: TableHash, size: usize) -> Lane {
        let (lane, used) = (self.tags.len(), self.line.used());
        self.line.make_room(used, size);
        self.tags.set(lane, hash);
        self.line.set_size(lane, size);
        self.line.lane(lane)
    }

    /// Makes a record larger or smaller, and moves those behind it.
    pub(super) fn resize(&mut self, at: Lane, size: usize) {
        let (used, old, start) = (self.line.used(), self.line.size(at), at.start());
        if size > old {
            self.line.make_room(used, size - old);
        }
        self.line.block.copy_within(start + old..used, start + size);
        self.line.set_size(at.lane(), size);
        if size < old {
            self.line.give_back(used + size - old);
        }
    }

    /// Takes a record out, whose values were taken out before.
    pub(super) fn remove(&mut self, at: Lane) {
        let (used, size) = (self.line.used(), self.line.size(at));
        self.line.block.copy_within(at.start() + size..used, at.start());
        self.tags.remove(at.lane());
        self.line.starts.remove(at.lane());
        self.rest.slots.remove(at.lane());
        self.line.give_back(used - size);
    }

    /// Adds a value behind those of a record, which has one more slot then.
    pub(super) fn push_value(&mut self, at: Lane, slots: usize, value: V) {
        let place = self.read().first_value(at.lane()) + slots;
        make_room_for_value(&mut self.rest.values);
        self.rest.values.insert(place, value);
        self.set_slots(at, slots + 1);
    }

    pub(super) fn set_slots(&mut self, at: Lane, slots: usize) {
        self.rest.slots.set(at.lane(), u8::try_from(slots).expect("a record has at most 32 slots"));
    }

    /// Where the values of a record are.
    pub(super) fn values(&self, at: Lane) -> std::ops::Range<usize> {
        let start = self.read().first_value(at.lane());
        start..start + self.rest.slots.get(at.lane())
    }

    pub(super) fn give_back_values(&mut self) {
        let values = &mut self.rest.values;
        if values.len() + 4 < values.capacity() / 2 && size_of::<V>() > 0 {
            let capacity = with_spare(values.len() * size_of::<V>()) / size_of::<V>();
            values.shrink_to(if values.is_empty() { 0 } else { capacity });
        }
    }

    /// Makes room for records that are about to be moved here.
    pub(super) fn reserve(&mut self, bytes: usize, values: usize) {
        let used = self.line.used();
        self.line.make_room(used, bytes);
        self.rest.values.reserve_exact(values);
    }

    /// Adds a record as it was in another node.
    pub(super) fn adopt(&mut self, hash: TableHash, bytes: &[u8], values: impl Iterator<Item = V>) {
        let at = self.push(hash, bytes.len());
        self.line.record_mut(at).bytes.copy_from_slice(bytes);
        let slots = self.read().record(at).slots();
        self.rest.values.extend(values);
        self.set_slots(at, slots);
    }
}
