//! Reading a snapshot, which may come from anybody.

use super::block::{PathView, parse};
use super::{
    ANY_LEN, BLOCK_HEADER_LEN, END_MAGIC, FOOTER_LEN, HEADER_LEN, MAGIC, MAX_PACKED, VERSION,
    block_checksum,
};
use crate::bytes::Reader;
use crate::carried::Carried;
use crate::damage::{ColdKind, ColdReason};
use crate::layer::{LayerFile, read_all, retry};
use crate::manifest::SnapshotRef;
use crate::names::{FileId, FileName};

/// Hardly a path with its entries takes fewer bytes. Room for a path in an index is about as much.
const MIN_PATH_LEN: u64 = 16;

/// The header and the counts of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotSummary {
    pub(crate) watermark: u64,
    pub(crate) unix_millis: u64,
    pub(crate) values: String,
    value_len: Option<usize>,
    pub(crate) blocks: u64,
    pub(crate) paths: u64,
    pub(crate) entries: u64,
    /// The data that the snapshot carries for the caller.
    pub(crate) carried: Vec<u8>,
}

impl SnapshotSummary {
    /// The length of each value, if it is always the same.
    pub(crate) fn value_len(&self) -> Option<usize> {
        self.value_len
    }
}

/// A snapshot whose header, footer and headers of blocks were checked against the manifest: they
/// hold the checksums of everything else. The number of entries is that of the footer.
#[derive(Debug)]
pub(crate) struct Snapshot {
    file: Box<dyn LayerFile>,
    name: String,
    summary: SnapshotSummary,
    headers: Vec<[u8; BLOCK_HEADER_LEN]>,
}

/// The place of a block in the file, by its header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    index: u64,
    pub(crate) offset: u64,
    header: [u8; BLOCK_HEADER_LEN],
}

/// The next block to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    index: usize,
    offset: u64,
}

/// Memory for reading blocks, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    stored: Vec<u8>,
    raw: Vec<u8>,
}

impl Block {
    fn field(&self, at: usize) -> u32 {
        let mut field = [0; 4];
        field.copy_from_slice(&self.header[at..at + 4]);
        u32::from_le_bytes(field)
    }

    fn stored_len(&self) -> u32 {
        self.field(0)
    }

    fn raw_len(&self) -> u32 {
        self.field(4)
    }

    fn is_packed(&self) -> bool {
        self.stored_len() != self.raw_len()
    }

    /// How many paths the block has.
    pub(crate) fn paths(&self) -> u32 {
        self.field(8)
    }

    /// Whether the block is a part of the carried data.
    pub(crate) fn is_carried(&self) -> bool {
        self.paths() == 0
    }

    /// The offset of the block behind this one.
    fn end(&self) -> u64 {
        self.offset + BLOCK_HEADER_LEN as u64 + u64::from(self.stored_len())
    }
}

/// Reads a whole snapshot and passes each path on. `values` names the codec that is expected, if
/// any.
///
/// Paths are passed on before the end of the file has been checked. The caller must discard them if
/// this function fails.
pub(crate) fn read(
    file: Box<dyn LayerFile>,
    expected: &SnapshotRef,
    values: Option<&str>,
    mut visit: impl FnMut(u64, &PathView<'_>) -> Option<()>,
) -> Result<SnapshotSummary, ColdReason> {
    let snapshot = Snapshot::open(file, expected, values)?;
    let (mut next, mut buffers, mut entries) = (snapshot.first(), Buffers::default(), 0);
    while let Some(block) = snapshot.take_next(&mut next) {
        if block.is_carried() {
            continue;
        }
        let raw = snapshot.block(&block, &mut buffers)?;
        parse(raw, block.paths(), snapshot.summary.value_len, |path| {
            entries += path.variants.len() as u64;
            visit(block.end(), path)
        })
        .ok_or_else(|| snapshot.damaged(block.offset, "a well-formed block"))?;
    }
    if entries == snapshot.summary.entries {
        Ok(snapshot.summary)
    } else {
        Err(snapshot.wrong_counts())
    }
}

impl Snapshot {
    /// Checks the header, the headers of the blocks, and the footer.
    pub(crate) fn open(
        file: Box<dyn LayerFile>,
        expected: &SnapshotRef,
        values: Option<&str>,
    ) -> Result<Self, ColdReason> {
        let name = FileName::Snapshot(expected.id).to_string();
        let len =
            retry(|| file.byte_len()).map_err(|error| ColdReason::unreadable(&name, &error))?;
        if len != expected.bytes || len < (HEADER_LEN + FOOTER_LEN) as u64 {
            return Err(ColdReason::damaged(&name, len, "the length in the manifest"));
        }
        let mut header = [0; HEADER_LEN];
        read_all(&*file, &mut header, 0).map_err(|error| ColdReason::unreadable(&name, &error))?;
        let (version, summary) = parse_header(&header, expected.id)
            .ok_or_else(|| ColdReason::damaged(&name, 0, "the header of a snapshot"))?;
        let summary = summary.ok_or_else(|| match version {
            VERSION => ColdReason::damaged(&name, 0, "the header of this snapshot"),
            version => ColdReason::new(&name, ColdKind::UnknownVersion(version)),
        })?;
        if values.is_some_and(|values| values != summary.values) {
            return Err(ColdReason::new(&name, ColdKind::OtherValues(summary.values)));
        }
        let mut snapshot = Self { file, name, summary, headers: Vec::new() };
        let digest = snapshot.read_headers(crc32c::crc32c(&header), len - FOOTER_LEN as u64)?;
        snapshot.check_footer(len - FOOTER_LEN as u64, digest, expected)?;
        snapshot.summary.carried = snapshot.read_carried()?;
        Ok(snapshot)
    }

    /// Reads the carried data, which is no longer than the file.
    fn read_carried(&self) -> Result<Vec<u8>, ColdReason> {
        let (mut next, mut buffers, mut carried) = (self.first(), Buffers::default(), Vec::new());
        while let Some(block) = self.take_next(&mut next) {
            if block.is_carried() {
                carried.extend_from_slice(self.block(&block, &mut buffers)?);
            }
        }
        Ok(carried)
    }

    /// Reads the headers of the blocks up to `end`, and returns the digest of all headers.
    fn read_headers(&mut self, mut digest: u32, end: u64) -> Result<u32, ColdReason> {
        let mut offset = HEADER_LEN as u64;
        while offset < end {
            if end - offset < BLOCK_HEADER_LEN as u64 {
                return Err(self.damaged(offset, "the header of a block"));
            }
            let mut header = [0; BLOCK_HEADER_LEN];
            self.read_at(&mut header, offset)?;
            digest = crc32c::crc32c_append(digest, &header);
            let block = Block { index: 0, offset, header };
            let (stored, raw) = (block.stored_len(), block.raw_len());
            let is_possible = raw >= stored && raw as usize <= MAX_PACKED;
            // No block has no bytes.
            let is_possible = is_possible && !block.is_carried();
            if block.end() > end || stored == 0 || block.is_packed() && !is_possible {
                return Err(self.damaged(offset, "a block of a possible length"));
            }
            self.summary.blocks += 1;
            self.summary.paths += u64::from(block.paths());
            self.headers.push(header);
            offset = block.end();
        }
        Ok(digest)
    }

    fn check_footer(
        &mut self,
        at: u64,
        digest: u32,
        expected: &SnapshotRef,
    ) -> Result<(), ColdReason> {
        let mut footer = [0; FOOTER_LEN];
        self.read_at(&mut footer, at)?;
        let mut reader = Reader::new(&footer);
        let fields = (|| {
            let is_footer = reader.array() == Some(END_MAGIC);
            let counts = [reader.number64()?, reader.number64()?];
            let entries = reader.number64()?;
            let digests = [reader.number32()?, reader.number32()?];
            is_footer.then_some((counts, entries, digests))
        })();
        let crc = crc32c::crc32c(&footer[..FOOTER_LEN - 4]);
        let counts = [self.summary.blocks, self.summary.paths];
        match fields {
            Some((written, entries, digests))
                if written == counts && digests == [digest, crc] && digest == expected.digest =>
            {
                self.summary.entries = entries;
                Ok(())
            }
            _ => Err(self.damaged(at, "the counts and digest of what was read")),
        }
    }

    /// Returns the data that the snapshot carries for the caller.
    pub(crate) fn carried(&self) -> Result<Carried, ColdReason> {
        Carried::decode(&self.summary.carried)
            .ok_or_else(|| self.damaged(HEADER_LEN as u64, "well-formed carried data"))
    }

    /// Returns about how many paths there are; no more than the length of the file lets expect, if
    /// the counts are wrong.
    pub(crate) fn likely_paths(&self) -> usize {
        let blocks =
            self.headers.iter().map(|header| Block { index: 0, offset: 0, header: *header });
        let stored: u64 = blocks.map(|block| u64::from(block.stored_len())).sum();
        let paths = self.summary.paths.min(stored / MIN_PATH_LEN);
        usize::try_from(paths).unwrap_or(usize::MAX)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn summary(&self) -> &SnapshotSummary {
        &self.summary
    }

    /// The reason if the entries are not as many as the footer has.
    pub(crate) fn wrong_counts(&self) -> ColdReason {
        let blocks =
            self.headers.iter().map(|header| Block { index: 0, offset: 0, header: *header }.end());
        let footer = HEADER_LEN as u64 + blocks.sum::<u64>();
        self.damaged(footer, "the number of entries that were read")
    }

    fn damaged(&self, offset: u64, expected: &'static str) -> ColdReason {
        ColdReason::damaged(&self.name, offset, expected)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), ColdReason> {
        read_all(&*self.file, buffer, offset)
            .map_err(|error| ColdReason::unreadable(&self.name, &error))
    }

    /// The position of the first block.
    #[expect(clippy::unused_self, reason = "a position belongs to a snapshot")]
    pub(crate) fn first(&self) -> Position {
        Position { index: 0, offset: HEADER_LEN as u64 }
    }

    /// Returns the block at a position, and moves the position on.
    pub(crate) fn take_next(&self, position: &mut Position) -> Option<Block> {
        let header = *self.headers.get(position.index)?;
        let block = Block { index: position.index as u64, offset: position.offset, header };
        *position = Position { index: position.index + 1, offset: block.end() };
        Some(block)
    }

    /// Reads and checks a block. Returns its raw bytes.
    pub(crate) fn block<'b>(
        &self,
        block: &Block,
        Buffers { stored, raw }: &'b mut Buffers,
    ) -> Result<&'b [u8], ColdReason> {
        stored.clear();
        stored.resize(block.stored_len() as usize, 0);
        self.read_at(stored, block.offset + BLOCK_HEADER_LEN as u64)?;
        if block_checksum(block.index, &block.header[..12], stored) != block.field(12) {
            return Err(self.damaged(block.end(), "the checksum of the block that ends here"));
        }
        if !block.is_packed() {
            return Ok(stored);
        }
        raw.clear();
        raw.resize(block.raw_len() as usize, 0);
        let unpacked = lz4_flex::block::decompress_into(stored, raw);
        if unpacked.ok() != Some(raw.len()) {
            return Err(self.damaged(block.end(), "compressed bytes of the block that ends here"));
        }
        Ok(raw)
    }
}

/// Reads the header; the outer `None` if it has no magic, the inner if the rest is not as expected.
fn parse_header(header: &[u8], id: FileId) -> Option<(u32, Option<SnapshotSummary>)> {
    let mut reader = Reader::new(header);
    if reader.array() != Some(MAGIC) {
        return None;
    }
    let (version, crc) = (reader.number32()?, reader.number32()?);
    let mut unsigned = header.to_vec();
    unsigned[12..16].fill(0);
    if version != VERSION || crc != crc32c::crc32c(&unsigned) {
        return Some((version, None));
    }
    let written_id = FileId { incarnation: reader.number64()?, number: reader.number64()? };
    let (watermark, unix_millis) = (reader.number64()?, reader.number64()?);
    let value_len = match reader.number32()? {
        ANY_LEN => None,
        len => Some(usize::try_from(len).ok()?),
    };
    let name = std::str::from_utf8(reader.rest()).ok()?.trim_end_matches('\0').to_owned();
    let summary = SnapshotSummary {
        watermark,
        unix_millis,
        values: name,
        value_len,
        blocks: 0,
        paths: 0,
        entries: 0,
        carried: Vec::new(),
    };
    Some((version, (written_id == id).then_some(summary)))
}
