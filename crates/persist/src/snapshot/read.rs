//! Reading a snapshot, which may come from anybody.

use super::block::{PathView, parse};
use super::{
    ANY_LEN, BLOCK_HEADER_LEN, END_MAGIC, FOOTER_LEN, HEADER_LEN, MAGIC, MAX_PACKED, VERSION,
    block_checksum,
};
use crate::bytes::Reader;
use crate::damage::{ColdKind, ColdReason};
use crate::layer::{LayerFile, read_all, retry};
use crate::manifest::SnapshotRef;
use crate::names::{FileId, FileName};
use std::io;

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

/// Reads a whole snapshot and passes each path on. `values` names the codec that is expected, if
/// any.
///
/// Paths are passed on before the end of the file has been checked. The caller must discard them if
/// this function fails.
pub(crate) fn read(
    file: &dyn LayerFile,
    expected: &SnapshotRef,
    values: Option<&str>,
    mut visit: impl FnMut(&SnapshotSummary, &PathView<'_>) -> Option<()>,
) -> Result<SnapshotSummary, ColdReason> {
    let mut input = Input {
        file,
        name: FileName::Snapshot(expected.id).to_string(),
        offset: 0,
        end: 0,
        digest: 0,
        raw: Vec::new(),
    };
    let len = retry(|| file.byte_len()).map_err(|error| input.unreadable(&error))?;
    if len != expected.bytes || len < (HEADER_LEN + FOOTER_LEN) as u64 {
        return Err(ColdReason::damaged(&input.name, len, "the length in the manifest"));
    }
    input.end = len - FOOTER_LEN as u64;
    let mut summary = input.header(expected.id)?;
    if values.is_some_and(|values| values != summary.values) {
        return Err(ColdReason::new(&input.name, ColdKind::OtherValues(summary.values)));
    }
    while input.offset < input.end {
        let start = input.offset;
        let paths = input.block(summary.blocks)?;
        if paths == 0 {
            summary.carried.extend_from_slice(&input.raw);
            summary.blocks += 1;
            continue;
        }
        let mut entries = 0;
        parse(&input.raw, paths, summary.value_len, |path| {
            entries += path.variants.len() as u64;
            visit(&summary, path)
        })
        .ok_or_else(|| ColdReason::damaged(&input.name, start, "a well-formed block"))?;
        summary.blocks += 1;
        summary.paths += u64::from(paths);
        summary.entries += entries;
    }
    input.footer(&summary, expected)?;
    Ok(summary)
}

struct Input<'a> {
    file: &'a dyn LayerFile,
    name: String,
    offset: u64,
    /// Where the footer begins.
    end: u64,
    digest: u32,
    raw: Vec<u8>,
}

impl Input<'_> {
    fn unreadable(&self, error: &io::Error) -> ColdReason {
        ColdReason::unreadable(&self.name, error)
    }

    fn damaged(&self, expected: &'static str) -> ColdReason {
        ColdReason::damaged(&self.name, self.offset, expected)
    }

    fn take(&mut self, buffer: &mut [u8]) -> Result<(), ColdReason> {
        read_all(self.file, buffer, self.offset).map_err(|error| self.unreadable(&error))?;
        self.offset += buffer.len() as u64;
        Ok(())
    }

    fn header(&mut self, id: FileId) -> Result<SnapshotSummary, ColdReason> {
        let mut header = [0; HEADER_LEN];
        self.take(&mut header)?;
        self.digest = crc32c::crc32c(&header);
        let (version, summary) = parse_header(&header, id)
            .ok_or_else(|| ColdReason::damaged(&self.name, 0, "the header of a snapshot"))?;
        summary.ok_or_else(|| match version {
            VERSION => ColdReason::damaged(&self.name, 0, "the header of this snapshot"),
            version => ColdReason::new(&self.name, ColdKind::UnknownVersion(version)),
        })
    }

    /// Reads block number `index` into `raw` and returns how many paths it has.
    fn block(&mut self, index: u64) -> Result<u32, ColdReason> {
        let mut header = [0; BLOCK_HEADER_LEN];
        if self.end - self.offset < BLOCK_HEADER_LEN as u64 {
            return Err(self.damaged("the header of a block"));
        }
        self.take(&mut header)?;
        self.digest = crc32c::crc32c_append(self.digest, &header);
        let field = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let (stored_len, raw_len, paths, crc) = (field(0), field(4), field(8), field(12));
        let is_packed = stored_len != raw_len;
        if u64::from(stored_len) > self.end - self.offset
            || is_packed && (raw_len < stored_len || raw_len as usize > MAX_PACKED)
        {
            return Err(self.damaged("a block of a possible length"));
        }
        let mut stored = vec![0; stored_len as usize];
        self.take(&mut stored)?;
        if block_checksum(index, &header[..12], &stored) != crc {
            return Err(self.damaged("the checksum of the block that ends here"));
        }
        if is_packed {
            self.raw.clear();
            self.raw.resize(raw_len as usize, 0);
            let unpacked = lz4_flex::block::decompress_into(&stored, &mut self.raw);
            if unpacked.ok() != Some(raw_len as usize) {
                return Err(self.damaged("compressed bytes of the block that ends here"));
            }
        } else {
            self.raw = stored;
        }
        Ok(paths)
    }

    fn footer(
        &mut self,
        summary: &SnapshotSummary,
        expected: &SnapshotRef,
    ) -> Result<(), ColdReason> {
        let mut footer = [0; FOOTER_LEN];
        self.take(&mut footer)?;
        let mut wanted = END_MAGIC.to_vec();
        for number in [summary.blocks, summary.paths, summary.entries] {
            wanted.extend_from_slice(&number.to_le_bytes());
        }
        wanted.extend_from_slice(&self.digest.to_le_bytes());
        wanted.extend_from_slice(&crc32c::crc32c(&wanted).to_le_bytes());
        if footer[..] == wanted[..] && self.digest == expected.digest {
            Ok(())
        } else {
            Err(ColdReason::damaged(&self.name, self.end, "the counts and digest of what was read"))
        }
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
