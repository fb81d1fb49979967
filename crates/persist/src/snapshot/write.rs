//! Writing a snapshot.

use super::block::BlockBuilder;
use super::{
    ANY_LEN, BLOCK_LEN, END_MAGIC, HEADER_LEN, MAGIC, MAX_PACKED, NAME_LEN, VERSION, block_checksum,
};
use crate::codec::Codec;
use crate::layer::{LayerFile, retry, write_all};
use crate::manifest::SnapshotRef;
use crate::names::FileId;
use cache_index::Freshness;
use std::io;
use std::marker::PhantomData;

/// A snapshot that is being written.
#[derive(Debug)]
pub(crate) struct SnapshotWriter<V> {
    file: Box<dyn LayerFile>,
    id: FileId,
    offset: u64,
    block: BlockBuilder,
    blocks: u64,
    paths: u64,
    entries: u64,
    digest: u32,
    values: PhantomData<fn(V)>,
}

impl<V: Codec> SnapshotWriter<V> {
    /// Starts a snapshot of an index that has applied every record of the log up to `watermark`.
    pub(crate) fn new(
        file: Box<dyn LayerFile>,
        id: FileId,
        watermark: u64,
        unix_millis: u64,
    ) -> io::Result<Self> {
        let header = header::<V>(id, watermark, unix_millis)?;
        write_all(&*file, &header, 0)?;
        Ok(Self {
            file,
            id,
            offset: header.len() as u64,
            block: BlockBuilder::default(),
            blocks: 0,
            paths: 0,
            entries: 0,
            digest: crc32c::crc32c(&header),
            values: PhantomData,
        })
    }

    /// Adds a path with entries.
    pub(crate) fn push<K: AsRef<str>>(
        &mut self,
        path: (&str, &str),
        variants: &[(K, V, Freshness)],
    ) -> io::Result<()> {
        let mut from = 0;
        while from < variants.len() {
            let pushed = self.block.push(path, variants, from);
            from += pushed.map_err(|_| invalid("a value does not have the length of its codec"))?;
            if self.block.is_full() || from < variants.len() {
                self.end_block()?;
            }
        }
        self.entries += variants.len() as u64;
        Ok(())
    }

    /// Writes data that the snapshot carries for the caller, as blocks without paths. They are not
    /// compressed, so that reading them allocates no more than the length of the file.
    pub(crate) fn carry(&mut self, data: &[u8]) -> io::Result<()> {
        data.chunks(BLOCK_LEN).try_for_each(|piece| self.put_block(0, piece))
    }

    fn end_block(&mut self) -> io::Result<()> {
        let block = std::mem::take(&mut self.block);
        let paths = block.paths();
        self.put_block(paths, &block.finish())
    }

    fn put_block(&mut self, paths: u32, raw: &[u8]) -> io::Result<()> {
        let may_pack = paths > 0 && raw.len() <= MAX_PACKED;
        let packed = may_pack.then(|| lz4_flex::block::compress(raw));
        let stored = packed.as_deref().filter(|packed| packed.len() < raw.len()).unwrap_or(raw);
        let len =
            |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| invalid("a path needs 4 GiB"));
        let mut out = Vec::with_capacity(stored.len() + 16);
        for number in [len(stored)?, len(raw)?, paths] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        let crc = block_checksum(self.blocks, &out, stored);
        out.extend_from_slice(&crc.to_le_bytes());
        self.digest = crc32c::crc32c_append(self.digest, &out);
        out.extend_from_slice(stored);
        write_all(&*self.file, &out, self.offset)?;
        self.offset += out.len() as u64;
        self.blocks += 1;
        self.paths += u64::from(paths);
        Ok(())
    }

    /// Writes what is left and the footer, and makes the file durable. Its name still needs a sync
    /// of the directory.
    pub(crate) fn finish(mut self) -> io::Result<(SnapshotRef, u64)> {
        if self.block.paths() > 0 {
            self.end_block()?;
        }
        let mut out = END_MAGIC.to_vec();
        for number in [self.blocks, self.paths, self.entries] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.digest.to_le_bytes());
        out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        write_all(&*self.file, &out, self.offset)?;
        retry(|| self.file.sync_data())?;
        let bytes = self.offset + out.len() as u64;
        Ok((SnapshotRef { id: self.id, bytes, digest: self.digest }, self.entries))
    }
}

fn header<V: Codec>(id: FileId, watermark: u64, unix_millis: u64) -> io::Result<Vec<u8>> {
    let value_len = match V::LEN {
        Some(len) => u32::try_from(len).map_err(|_| invalid("values of 4 GiB"))?,
        None => ANY_LEN,
    };
    if V::NAME.is_empty() || V::NAME.len() > NAME_LEN || V::NAME.contains('\0') {
        return Err(invalid("the name of a codec must have 1 to 32 bytes and no zeros"));
    }
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    for number in [id.incarnation, id.number, watermark, unix_millis] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&value_len.to_le_bytes());
    out.extend_from_slice(V::NAME.as_bytes());
    out.resize(HEADER_LEN, 0);
    let crc = crc32c::crc32c(&out);
    out[12..16].copy_from_slice(&crc.to_le_bytes());
    Ok(out)
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}
