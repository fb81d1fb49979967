//! Writes canonical text: short runs and single units in any order, one allocation at the end.
//!
//! Invariant: what was written last is at the end of the block, everything before it in the buffer
//! behind it. Not here: what is written.
//!
//! Names are short, and so are the runs that they are put together from. To copy a run of some
//! bytes with `extend_from_slice` is a call of `memcpy`, which branches on the length, after a
//! check of the capacity. Here, a run is copied into a block on the stack sixteen bytes at a time,
//! the last of them too many, to be written over; and text that fits into the block, as nearly all
//! does, is allocated once its length is known. With that and the tables of `spelling`, 8 KB of
//! bytes to encode went from 40 to 14 µs, and 1 KB of mixed ones to 2 µs (`cargo bench -p peers
//! --bench canonical`).

use super::bytes::{ascii, never_raw, starts_with_dots};
use super::scan::{Marks, STRIDE, stride};
use super::spelling::{Spelling, Unit};
use std::borrow::Cow;

/// How much of a text is written before it goes into a buffer: all of what honest requests have.
const FULL: usize = 256;
/// Room for a full block and a stride behind it.
const SIZE: usize = FULL + STRIDE;

/// A text that is being written.
pub(in crate::canonical) struct Writer<'t> {
    block: [u8; SIZE],
    len: usize,
    /// What doesn't fit into the block; empty if everything does.
    buffer: Vec<u8>,
    /// What the text is made from, and how long it can be at most.
    source: &'t [u8],
    longest: fn(&[u8]) -> usize,
    /// How many bytes more there must be room for.
    room: usize,
}

/// What came of [`Writer::respell`].
pub(in crate::canonical) struct Respelled {
    /// Where the rest of the text starts, which stays as it is and isn't written yet.
    pub(in crate::canonical) rest: usize,
    /// Whether a dot was decoded, or a dot segment is among what was looked at.
    pub(in crate::canonical) any_dot: bool,
}

impl<'t> Writer<'t> {
    /// Writes what is made from `source`, at most `longest` of it. The buffer that comes out has
    /// room for `room` more bytes.
    #[inline]
    pub(in crate::canonical) fn new(
        source: &'t [u8],
        longest: fn(&[u8]) -> usize,
        room: usize,
    ) -> Self {
        Self { block: [0; SIZE], len: 0, buffer: Vec::new(), source, longest, room }
    }

    /// Writes behind the text in `buffer`, which has room for it.
    pub(in crate::canonical) fn behind(buffer: Vec<u8>) -> Self {
        Self { buffer, ..Self::new(b"", <[u8]>::len, 0) }
    }

    #[inline]
    pub(in crate::canonical) fn push(&mut self, byte: u8) {
        let at = self.place();
        self.block[at] = byte;
        self.len = at + 1;
    }

    /// Copies `text[start..end]`.
    #[inline]
    pub(in crate::canonical) fn copy(&mut self, text: &[u8], start: usize, end: usize) {
        let mut from = start;
        while from < end {
            let at = self.place();
            let len = (end - from).min(STRIDE);
            self.block[at..at + STRIDE].copy_from_slice(&stride(text, from));
            self.len = at + len;
            from += len;
        }
    }

    /// Writes `text[start..end]` in its one spelling; gives the position of a fault, if there is
    /// one.
    #[inline]
    pub(in crate::canonical) fn spell(
        &mut self,
        spelling: &Spelling,
        text: &[u8],
        start: usize,
        end: usize,
    ) -> Result<(), usize> {
        let (text, mut at) = (&text[..end], start);
        while at < end {
            let mut len = self.place();
            // As many units as fit for sure, of one kind.
            let room = (FULL + STRIDE - size_of::<Unit>() - len) / Unit::LONGEST;
            let mut write = |unit: Unit| {
                self.block[len..len + size_of::<Unit>()].copy_from_slice(&unit.bytes());
                len += unit.len();
            };
            if text[at] == b'%' {
                for _ in 0..room {
                    if text.get(at) != Some(&b'%') {
                        break;
                    }
                    let unit = spelling.escape(text, at);
                    if unit.is_fault() {
                        return Err(at);
                    }
                    write(unit);
                    at += 3;
                }
            } else {
                for &byte in &text[at..end.min(at + room)] {
                    if byte == b'%' {
                        break;
                    }
                    let unit = spelling.raw(byte);
                    if unit.is_fault() {
                        return Err(at);
                    }
                    write(unit);
                    at += 1;
                }
            }
            self.len = len;
        }
        Ok(())
    }

    /// Writes `text[start..end]` in its one spelling; its escapes were checked.
    #[inline]
    pub(in crate::canonical) fn spell_checked(
        &mut self,
        spelling: &Spelling,
        text: &[u8],
        start: usize,
        end: usize,
    ) {
        let spelled = self.spell(spelling, text, start, end);
        debug_assert_eq!(spelled, Ok(()), "escapes were checked");
    }

    /// Writes `text[start..]` in its one spelling up to where nothing changes any more. Only what
    /// stands at one of `marks` may need a change. Nothing if there is a fault.
    #[inline]
    pub(in crate::canonical) fn respell(
        &mut self,
        spelling: &Spelling,
        text: &[u8],
        start: usize,
        marks: &Marks,
    ) -> Option<Respelled> {
        let mut spelled = Respelled { rest: start, any_dot: false };
        let mut from = start;
        while let Some(at) = marks.from(from).filter(|&at| at < text.len()) {
            let (unit, read) = spelling.unit(text, at);
            // The first step has no say in what was only looked at.
            if unit.is_fault() || never_raw(text[at]) {
                return None;
            }
            from = at + read;
            if !unit.is_at(text, at, read) {
                self.copy(text, spelled.rest, at);
                let at = self.place();
                self.block[at..at + size_of::<Unit>()].copy_from_slice(&unit.bytes());
                self.len = at + unit.len();
                spelled.rest = from;
            }
            spelled.any_dot |= match unit.bytes()[0] {
                b'/' => starts_with_dots(&text[from..]),
                byte => byte == b'.',
            };
        }
        Some(spelled)
    }

    /// How much is written.
    pub(in crate::canonical) fn len(&self) -> usize {
        self.buffer.len() + self.len
    }

    pub(in crate::canonical) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the next bytes go in the block, where there is room for a stride.
    #[inline]
    fn place(&mut self) -> usize {
        if self.len > FULL {
            self.flush();
        }
        self.len.min(FULL)
    }

    #[cold]
    #[inline(never)]
    fn flush(&mut self) {
        if self.buffer.capacity() == 0 {
            self.buffer.reserve_exact((self.longest)(self.source) + self.room);
        }
        self.buffer.extend_from_slice(&self.block[..self.len]);
        self.len = 0;
    }

    /// The whole text.
    pub(in crate::canonical) fn finish(mut self) -> Vec<u8> {
        let written = &self.block[..self.len];
        if self.buffer.capacity() == 0 {
            let mut text = Vec::with_capacity(written.len() + self.room);
            text.extend_from_slice(written);
            return text;
        }
        self.buffer.extend_from_slice(written);
        self.buffer
    }

    /// The whole text, all of which is ASCII.
    pub(in crate::canonical) fn finish_text(mut self) -> String {
        match self.short_text() {
            Some(text) => text.to_owned(),
            None => ascii(Cow::Owned(self.finish())).into_owned(),
        }
    }

    /// The whole text, all of which is ASCII, if it fits into the block.
    #[inline]
    pub(in crate::canonical) fn short_text(&mut self) -> Option<&str> {
        let len = self.len;
        if len > FULL || self.buffer.capacity() > 0 {
            return None;
        }
        // With zeros up to the end of a stride, no single bytes are left to be checked.
        self.block[len..len + STRIDE].fill(0);
        let padded = std::str::from_utf8(&self.block[..len.next_multiple_of(STRIDE)]).ok()?;
        padded.get(..len)
    }

    /// The text from `start` on, to be changed in place; nothing if not all of it is in the block.
    #[inline]
    pub(in crate::canonical) fn short(&mut self, start: usize) -> Option<&mut [u8]> {
        if self.buffer.capacity() == 0 { self.block.get_mut(start..self.len) } else { None }
    }

    /// Leaves the first `len` bytes of a text that fits into the block.
    pub(in crate::canonical) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// The whole text, for a look at it.
    pub(in crate::canonical) fn written(&mut self) -> &[u8] {
        if self.buffer.is_empty() {
            return &self.block[..self.len];
        }
        self.flush();
        &self.buffer
    }
}
