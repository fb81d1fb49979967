//! Snapshots: all entries of an index in one file, in blocks that can be checked and read one by
//! one.
//!
//! Invariants: a snapshot is used only if every byte of it is accounted for. Reading allocates at
//! most [`MAX_PACKED`] bytes or the length of the file, whichever is more, for each of two buffers.
//!
//! ```text
//!   header   magic, version, crc32c, incarnation, number, watermark, time,
//!            length and name of values
//!   block    [stored length u32][raw length u32][paths u32][crc32c u32][stored bytes], repeated
//!   footer   magic, blocks, paths, entries, digest, crc32c
//! ```
//!
//! The raw bytes of a block are its variant keys, its tenants, and then its paths, which refer to
//! both by number: the same dozen keys are stored with each picture of a shop, but once in a block.

mod block;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use block::{PathView, Paths};
pub(crate) use read::{Block, Buffers, Position, Snapshot, read};
pub(crate) use write::SnapshotWriter;

pub(crate) const VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"cidx-snp";
const END_MAGIC: [u8; 8] = *b"cidx-end";
const HEADER_LEN: usize = 84;
const BLOCK_HEADER_LEN: usize = 16;
const FOOTER_LEN: usize = 40;
const NAME_LEN: usize = 32;

/// Stands in the header for values whose length differs.
const ANY_LEN: u32 = u32::MAX;

/// Blocks are closed when they have this many raw bytes.
const BLOCK_LEN: usize = 1 << 20;

/// Longer blocks are not compressed, so that their raw length never exceeds the length of the file.
/// Only a path or key of a megabyte makes one.
pub(crate) const MAX_PACKED: usize = 2 << 20;

/// The checksum of a block, which also covers where in the file it belongs.
fn block_checksum(index: u64, header: &[u8], stored: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&index.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(crc, header), stored)
}
