//! Every variant key of an index, once.
//!
//! A shop uses the same dozen sizes on all of its pictures. A record therefore holds numbers of
//! three bytes, and the texts are here, once for all shards.
//!
//! Invariants:
//! - A key has one number from its first use to its last. Each number in a record, and each number
//!   that a purge has taken out and not yet resolved, is one use.
//! - The text behind a number changes only while the number has no use. A use in a record ends only
//!   under that record's exclusive shard lock, so a lookup that reads a number under the shard lock
//!   can compare texts without any lock here.
//! - Inserting a key takes a lock only if the key is new.
//! - There are at most [`MAX_LINES`] lines of text in each part; a variant set that cannot get a
//!   number stores the text itself.
//!
//! ```text
//!   part (16, by hash)
//!     by_text   hash -> number       read without a lock, written under the lock of the part
//!     lines     number -> text       64 bytes: length, number of the next line, 56 bytes of text
//!     states    number -> count of uses, Arc<str> for purges and lists; apart from the lines, so
//!                         that inserts do not disturb lookups
//! ```
//!
//! The memory of lines is reused but not returned while the index lives: about 170 bytes for each
//! key at the peak number of keys.
//!
//! The shared text of the first key of a number stays as well, if it fits into one line, so that it
//! is cloned without a lock. A later key of the number has its shared text behind a lock.

use super::key_state::KeyState;
use super::shared_table::SharedTable;
use crate::cpu_prefetch::fetch;
use crate::hash::{TableHash, last_word};
use crate::sync::{AtomicU64, CachePadded, Mutex, Ordering};
use std::sync::{Arc, OnceLock};

/// The number of a key: the line of its text, and the part that the line is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyId(u32);

/// Parts of a dictionary. Two writers of new keys meet in one part only once in sixteen times.
const PARTS: usize = 1 << PART_BITS;
const PART_BITS: u32 = 4;

/// Lines of one part, so that number and part fit into three bytes.
const MAX_LINES: u32 = 1 << (24 - PART_BITS);

/// Lines of the first chunk; each later chunk is twice as large as the chunk before. Model checkers
/// follow every atomic.
const FIRST: usize = if cfg!(any(cache_index_loom, cache_index_shuttle)) { 8 } else { 16 };

/// Chunks that hold `MAX_LINES` lines.
const CHUNKS: usize = 18;

/// Bytes of text in a line.
const LINE_TEXT: usize = 56;

/// The keys of one index.
#[derive(Debug)]
pub(crate) struct Dictionary {
    // Padded, because each lookup reads it: an `Arc` around it has its counts beside it, which each
    // purge changes.
    parts: CachePadded<Box<[CachePadded<Part>; PARTS]>>,
}

#[derive(Debug, Default)]
struct Part {
    chunks: [OnceLock<Chunk>; CHUNKS],
    by_text: SharedTable,
    inner: Mutex<Inner>,
}

/// The data that only writers of new keys need.
#[derive(Debug, Default)]
struct Inner {
    /// Lines that were ever used.
    lines: u32,
    free: Vec<u32>,
    keys: usize,
    /// Heap bytes of shared texts.
    text: usize,
}

#[derive(Debug)]
struct Chunk {
    lines: Box<[Line]>,
    states: Box<[KeyState]>,
}

/// The length of the text in the low half of the first word, one more than the number of the line
/// with its continuation in the high half, and text in the others. The last of them has the last
/// eight bytes of the text. The word before may have some of them too, so that no comparison needs
/// to cut bytes out.
// Relaxed throughout: the text of a number that is in use does not change, and the lock or the
// count through which a thread learned that the number is in use orders the text before its reads.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line([AtomicU64; 1 + LINE_TEXT / 8]);

impl KeyId {
    fn new(part: usize, line: u32) -> Self {
        Self(line << PART_BITS | u32::try_from(part).expect("there are 16 parts"))
    }

    #[inline]
    fn part(self) -> usize {
        self.0 as usize & (PARTS - 1)
    }

    #[inline]
    fn line(self) -> u32 {
        self.0 >> PART_BITS
    }

    /// A number of 24 bits.
    #[inline]
    pub(crate) fn number(self) -> u32 {
        self.0
    }

    #[inline]
    pub(crate) fn from_number(number: u32) -> Self {
        Self(number)
    }
}

/// The chunk that holds a line, and the place of the line in it.
#[inline]
fn place(line: u32) -> (usize, usize) {
    const BITS: u32 = usize::BITS - 1;
    let line = line as usize + FIRST;
    // The lowest bit does not change the logarithm. With it, the compiler sees that there is one.
    let chunk = ((line | 1).leading_zeros() ^ BITS) as usize - FIRST.ilog2() as usize;
    (chunk, line - (FIRST << chunk))
}

impl Line {
    #[inline]
    fn head(&self) -> u64 {
        self.0[0].load(Ordering::Relaxed)
    }

    /// Whether the text of this line is `bytes`, which fit into it. They are as many as the line
    /// has.
    #[inline]
    fn holds(&self, bytes: &[u8]) -> bool {
        let mut stored = self.0[1..].iter();
        let words = bytes.chunks_exact(8);
        let has_rest = !words.remainder().is_empty();
        for (word, stored) in words.zip(&mut stored) {
            let word = u64::from_le_bytes(word.try_into().expect("eight bytes"));
            if stored.load(Ordering::Relaxed) != word {
                return false;
            }
        }
        let is_last = |stored: &AtomicU64| stored.load(Ordering::Relaxed) == last_word(bytes);
        !has_rest || stored.next().is_some_and(is_last)
    }

    fn write(&self, head: u64, bytes: &[u8]) {
        self.0[0].store(head, Ordering::Relaxed);
        for (at, to) in self.0[1..].iter().enumerate().take(bytes.len().div_ceil(8)) {
            to.store(last_word(&bytes[..bytes.len().min(8 * at + 8)]), Ordering::Relaxed);
        }
    }
}

impl Chunk {
    fn new(lines: usize) -> Self {
        Self {
            lines: (0..lines).map(|_| Line::default()).collect(),
            states: (0..lines).map(|_| KeyState::default()).collect(),
        }
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.lines) + size_of_val(&*self.states)
    }
}

impl Default for Dictionary {
    fn default() -> Self {
        let parts: Box<[_]> = (0..PARTS).map(|_| CachePadded::default()).collect();
        Self { parts: CachePadded(parts.try_into().map_err(drop).expect("so many parts")) }
    }
}

impl Dictionary {
    #[inline]
    fn part_of(hash: TableHash) -> usize {
        hash.get() as usize & (PARTS - 1)
    }

    /// Whether the number, which is in use, is that of a text.
    // Not inlined: it needs more registers than a lookup has left.
    #[inline(never)]
    pub(crate) fn matches(&self, id: KeyId, text: &str) -> bool {
        self.parts[id.part()].compare(id.line(), text)
    }

    /// The text of a number that is in use.
    pub(crate) fn text(&self, id: KeyId) -> Arc<str> {
        self.parts[id.part()].state(id.line()).text()
    }

    /// The text of a number, which is used once less.
    ///
    /// **Locks:** the part, if this was the last use.
    #[inline]
    pub(crate) fn resolve(&self, id: KeyId) -> Arc<str> {
        let part = &self.parts[id.part()];
        let state = part.state(id.line());
        let text = state.text();
        part.end_use(state, id.line());
        text
    }

    /// Passes the text of a number on, which is used once less already.
    ///
    /// **Locks:** the part, before, if this was the last use.
    #[inline]
    pub(crate) fn visit(&self, id: KeyId, visit: impl FnOnce(&str)) {
        let part = &self.parts[id.part()];
        let state = part.state(id.line());
        if let Some(text) = state.lasting_text() {
            part.end_use(state, id.line());
            visit(text);
        } else {
            visit(&self.resolve(id));
        }
    }

    /// Uses a key once more. Returns `None` if that would need a new number and none is left.
    ///
    /// **Locks:** the part, if the key is new.
    pub(crate) fn take(&self, text: &str, hash: TableHash) -> Option<KeyId> {
        let part = Self::part_of(hash);
        self.parts[part].take(text, hash).map(|line| KeyId::new(part, line))
    }

    /// Uses a key once more if this number is in use for it. The number is a guess.
    pub(crate) fn take_known(&self, id: KeyId, text: &str) -> bool {
        self.parts[id.part()].use_known(id.line(), text)
    }

    /// Uses a key once less.
    ///
    /// **Locks:** the part, if this was the last use.
    pub(crate) fn release(&self, id: KeyId) {
        self.parts[id.part()].release(id.line());
    }

    /// Fetches the count that changes when a use of the key ends. The first keys are popular, and
    /// mostly in the processor's caches: their counts are not fetched.
    #[inline]
    pub(crate) fn fetch_uses(&self, id: KeyId) {
        if id.line() as usize >= FIRST {
            self.fetch_uses_of_later(id);
        }
    }

    #[cold]
    #[inline(never)]
    fn fetch_uses_of_later(&self, id: KeyId) {
        if let Some((chunk, at)) = self.parts[id.part()].chunk(id.line()) {
            fetch(&chunk.states[at]);
        }
    }

    /// Heap bytes.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&**self.parts) + self.parts.iter().map(|part| part.bytes()).sum::<usize>()
    }

    /// Panics where the invariants at the top of this module do not hold, `ids` being all uses.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn check(&self, ids: impl Iterator<Item = KeyId>) {
        let mut uses = std::collections::BTreeMap::<KeyId, u64>::new();
        ids.for_each(|id| *uses.entry(id).or_default() += 1);
        let counted = self.parts.iter().enumerate().flat_map(|(part, keys)| {
            keys.uses().into_iter().map(move |(line, uses)| (KeyId::new(part, line), uses))
        });
        assert_eq!(counted.collect::<std::collections::BTreeMap<_, _>>(), uses, "uses");
    }
}

impl Part {
    #[inline]
    fn chunk(&self, line: u32) -> Option<(&Chunk, usize)> {
        let (chunk, at) = place(line);
        Some((self.chunks[chunk].get()?, at))
    }

    /// The chunk of a line that was used before.
    #[inline]
    fn known_chunk(&self, line: u32) -> (&Chunk, usize) {
        self.chunk(line).expect("a line that was used has a chunk")
    }

    fn matches(&self, line: u32, text: &str) -> bool {
        self.compare(line, text)
    }

    #[allow(clippy::inline_always, reason = "most of what a lookup does here")]
    #[inline(always)]
    fn compare(&self, line: u32, text: &str) -> bool {
        self.chunk(line).is_some_and(|(chunk, at)| self.compare_line(&chunk.lines[at], text))
    }

    #[allow(clippy::inline_always, reason = "as above")]
    #[inline(always)]
    fn compare_line(&self, line: &Line, text: &str) -> bool {
        let bytes = text.as_bytes();
        let head = line.head();
        if head & u64::from(u32::MAX) != bytes.len() as u64 {
            return false;
        }
        if bytes.len() <= LINE_TEXT { line.holds(bytes) } else { self.matches_long(line, bytes) }
    }

    fn matches_long(&self, first: &Line, text: &[u8]) -> bool {
        let mut next = Some(first);
        text.chunks(LINE_TEXT).all(|piece| {
            let Some(line) = next.take() else { return false };
            next = next_line(line.head())
                .and_then(|next| self.chunk(next))
                .map(|(c, at)| &c.lines[at]);
            line.holds(piece)
        })
    }

    /// The state of a key that begins in a line.
    #[inline]
    fn state(&self, line: u32) -> &KeyState {
        let (chunk, at) = self.known_chunk(line);
        &chunk.states[at]
    }

    fn take(&self, text: &str, hash: TableHash) -> Option<u32> {
        let known = self.by_text.find(hash, |line| self.use_known(line, text));
        known.or_else(|| self.take_new(text, hash))
    }

    /// Adds a use to a line if it has a use and this text. A line that was found without a lock may
    /// have been given to another key.
    #[allow(clippy::inline_always, reason = "most of what taking a known key does")]
    #[inline(always)]
    fn use_known(&self, line: u32, text: &str) -> bool {
        let Some((chunk, at)) = self.chunk(line) else { return false };
        if !chunk.states[at].use_again() {
            return false;
        }
        let right = self.compare_line(&chunk.lines[at], text);
        if !right {
            self.release(line);
        }
        right
    }

    #[cold]
    fn take_new(&self, text: &str, hash: TableHash) -> Option<u32> {
        let mut inner = self.inner.lock();
        // Another thread may have been faster, and a key whose last use has ended is there until it
        // is freed under this lock.
        if let Some(line) = self.by_text.find(hash, |line| self.matches(line, text)) {
            self.state(line).revive();
            return Some(line);
        }
        let line = self.write(text, &mut inner)?;
        inner.text += self.state(line).begin(text, hash);
        self.by_text.insert(hash, line, inner.keys);
        inner.keys += 1;
        Some(line)
    }

    /// Writes a text into free lines. Returns the first.
    fn write(&self, text: &str, inner: &mut Inner) -> Option<u32> {
        let needed = text.len().div_ceil(LINE_TEXT).max(1);
        if inner.free.len() + ((MAX_LINES - inner.lines) as usize) < needed {
            return None;
        }
        let mut next = 0;
        let first_of = |piece: usize| text.len().min(piece * LINE_TEXT);
        for piece in (0..needed).rev() {
            let line = inner.free.pop().unwrap_or_else(|| {
                inner.lines += 1;
                inner.lines - 1
            });
            let (chunk, at) = place(line);
            let chunk = self.chunks[chunk].get_or_init(|| Chunk::new(FIRST << chunk));
            let bytes = &text.as_bytes()[first_of(piece)..first_of(piece + 1)];
            chunk.lines[at].write(next << 32 | text.len() as u64, bytes);
            next = u64::from(line) + 1;
        }
        u32::try_from(next - 1).ok()
    }

    fn release(&self, line: u32) {
        self.end_use(self.state(line), line);
    }

    #[inline]
    fn end_use(&self, state: &KeyState, line: u32) {
        if state.end_use() {
            self.free(line);
        }
    }

    /// Frees the lines of a key, unless the key is in use again.
    #[cold]
    fn free(&self, line: u32) {
        let mut inner = self.inner.lock();
        let state = self.state(line);
        // It stays without a use: only the holder of the lock may use what has none.
        if state.uses() > 0 {
            return;
        }
        let Some((hash, text)) = state.end() else { return };
        self.by_text.remove(hash, line);
        inner.keys -= 1;
        inner.text -= text;
        let mut next = Some(line);
        while let Some(line) = next {
            let (chunk, at) = self.known_chunk(line);
            next = next_line(chunk.lines[at].head());
            inner.free.push(line);
        }
    }

    fn bytes(&self) -> usize {
        let chunks = self.chunks.iter().filter_map(OnceLock::get).map(Chunk::bytes);
        let inner = self.inner.lock();
        chunks.sum::<usize>()
            + inner.text
            + inner.free.capacity() * size_of::<u32>()
            + self.by_text.bytes()
    }

    /// The lines of keys, with their uses.
    #[cfg(any(test, fuzzing))]
    fn uses(&self) -> Vec<(u32, u64)> {
        let inner = self.inner.lock();
        let mut found = Vec::new();
        for line in 0..inner.lines {
            let state = self.state(line);
            if let Some(hash) = state.hash() {
                let (text, by_text) =
                    (state.text(), self.by_text.find(hash, |other| other == line));
                assert_eq!(by_text, Some(line), "{text} is found");
                assert!(self.matches(line, &text), "{text} has its text");
                found.push((line, state.uses()));
            }
        }
        let lines_in_use = |(line, _): &(u32, u64)| lines_of(self.state(*line).text().len());
        let lines: usize = found.iter().map(lines_in_use).sum();
        assert_eq!(found.len(), inner.keys, "keys");
        assert_eq!(lines + inner.free.len(), inner.lines as usize, "lines");
        found
    }
}

#[cfg(any(test, fuzzing))]
fn lines_of(text: usize) -> usize {
    text.div_ceil(LINE_TEXT).max(1)
}

fn next_line(head: u64) -> Option<u32> {
    u32::try_from(head >> 32).ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hashing;

    struct World {
        keys: Dictionary,
        hashing: Hashing,
    }

    impl World {
        fn new() -> Self {
            Self { keys: Dictionary::default(), hashing: Hashing::new() }
        }

        fn take(&self, text: &str) -> KeyId {
            let hash = self.hashing.variant(text);
            self.keys.take(text, hash).expect("numbers are left")
        }
    }

    #[test]
    fn key_has_one_number_until_its_last_use_ends() {
        let world = World::new();
        let id = world.take("?w=1");
        assert_eq!(world.take("?w=1"), id);
        assert_eq!(&*world.keys.text(id), "?w=1");
        world.keys.release(id);
        world.keys.check([id].into_iter());
        world.keys.release(id);
        world.keys.check(std::iter::empty());
    }

    #[test]
    fn texts_of_every_length_are_told_from_their_neighbors() {
        let world = World::new();
        let text = |len: usize| "?abcdefghijklmnopqrstuvwxyz".chars().cycle().take(len).collect();
        let texts: Vec<String> = (0..400).map(text).collect();
        let ids: Vec<_> = texts.iter().map(|text| world.take(text)).collect();
        for (text, id) in texts.iter().zip(&ids) {
            assert!(world.keys.matches(*id, text), "{text}");
            assert_eq!(&*world.keys.text(*id), &**text);
            for at in 0..text.len() {
                let mut other = text.clone();
                other.replace_range(at..=at, "!");
                assert!(!world.keys.matches(*id, &other), "{other}");
            }
            assert!(!world.keys.matches(*id, &format!("{text}a")));
        }
        world.keys.check(ids.iter().copied());
        for id in ids {
            world.keys.release(id);
        }
        world.keys.check(std::iter::empty());
    }

    #[test]
    fn lines_are_used_again() {
        let world = World::new();
        let mut ids: Vec<_> = (0..1000).map(|n| world.take(&format!("?w={n}"))).collect();
        let peak = world.keys.bytes();
        for _ in 0..3 {
            for id in std::mem::take(&mut ids) {
                world.keys.release(id);
            }
            ids = (0..1000).map(|n| world.take(&format!("?w={n}"))).collect();
            world.keys.check(ids.iter().copied());
        }
        // The list of free lines is new, and a second text of each number.
        let texts = 1000 * (2 * size_of::<usize>() + "?w=999".len());
        assert!(world.keys.bytes() < peak + texts + 16_384, "{} of {peak}", world.keys.bytes());
    }

    #[test]
    fn numbers_end_and_begin_again() {
        let part = Part::default();
        let hash = TableHash::new(7);
        // The first and the last third of all lines: one text of many lines each.
        let long = "?".repeat((MAX_LINES as usize - 1) * LINE_TEXT);
        let most = part.take(&long, hash).expect("all lines but one");
        let last = part.take("?w=1", hash).expect("one line");
        assert_eq!(part.take("?w=2", hash), None);
        assert_eq!(part.take("?w=1", hash), Some(last), "has a number");
        part.release(most);
        assert!(part.take("?w=2", hash).is_some());
    }

    #[test]
    fn number_fits_into_three_bytes() {
        let last = KeyId::new(PARTS - 1, MAX_LINES - 1);
        assert!(last.number() < 1 << 24);
        assert_eq!((last.part(), last.line()), (PARTS - 1, MAX_LINES - 1));
        assert!(place(MAX_LINES - 1).0 < CHUNKS);
    }

    #[test]
    fn threads_agree_on_the_number_of_a_key() {
        let world = World::new();
        let rounds = 2000;
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let world = &world;
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(thread);
                    let mut held: Vec<(usize, KeyId)> = Vec::new();
                    for _ in 0..rounds {
                        let n = random.usize(0..20);
                        held.push((n, world.take(&format!("?w={n}"))));
                        for (n, id) in &held {
                            assert!(world.keys.matches(*id, &format!("?w={n}")));
                        }
                        while held.len() > random.usize(0..4) {
                            let (_, id) = held.swap_remove(random.usize(0..held.len()));
                            world.keys.release(id);
                        }
                    }
                    for (_, id) in held {
                        world.keys.release(id);
                    }
                });
            }
        });
        world.keys.check(std::iter::empty());
    }
}
