//! `BufferedLayer`: keeps in memory what was not synced, so that a kill loses it as a power loss
//! would.

use crate::Plant;
use cache_index_persist::{DiskLayer, FileLayer, LayerFile, LayerLock};
use std::io;
use std::path::Path;
use std::sync::Mutex;

/// A directory whose files are written when they are synced.
#[derive(Debug)]
pub(crate) struct BufferedLayer {
    disk: DiskLayer,
    plant: Option<Plant>,
}

impl BufferedLayer {
    pub(crate) fn open(dir: &Path, plant: Option<Plant>) -> io::Result<Self> {
        Ok(Self { disk: DiskLayer::open(dir)?, plant })
    }

    fn buffered(&self, name: &str, file: Box<dyn LayerFile>) -> io::Result<Box<dyn LayerFile>> {
        let mut bytes = vec![0; usize::try_from(file.byte_len()?).unwrap_or(usize::MAX)];
        let mut at = 0;
        while at < bytes.len() {
            match file.read_at(&mut bytes[at..], at as u64)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => at += read,
            }
        }
        let plant = self.plant.filter(|plant| match plant {
            Plant::RenameBeforeSync => name.starts_with("MANIFEST"),
            _ => true,
        });
        let content = Content { bytes, unsynced: Vec::new(), late: Vec::new() };
        Ok(Box::new(BufferedFile { file, plant, content: Mutex::new(content) }))
    }
}

impl FileLayer for BufferedLayer {
    fn lock(&self, name: &str) -> io::Result<Box<dyn LayerLock>> {
        self.disk.lock(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn LayerFile>> {
        self.buffered(name, self.disk.create(name)?)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn LayerFile>> {
        self.buffered(name, self.disk.open(name)?)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.disk.sync_dir()
    }
}

type Write = (u64, Vec<u8>);

#[derive(Debug)]
struct Content {
    bytes: Vec<u8>,
    unsynced: Vec<Write>,
    /// The writes that the next sync will carry out, with the plant `LateSync`.
    late: Vec<Write>,
}

#[derive(Debug)]
struct BufferedFile {
    file: Box<dyn LayerFile>,
    plant: Option<Plant>,
    content: Mutex<Content>,
}

impl BufferedFile {
    fn content(&self) -> std::sync::MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl LayerFile for BufferedFile {
    fn byte_len(&self) -> io::Result<u64> {
        Ok(self.content().bytes.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = self.content();
        let rest = usize::try_from(offset).ok().and_then(|offset| content.bytes.get(offset..));
        let rest = rest.unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut content = self.content();
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let len = content.bytes.len().max(start + bytes.len());
        content.bytes.resize(len, 0);
        content.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        content.unsynced.push((offset, bytes.to_vec()));
        Ok(bytes.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut content = self.content();
        let unsynced = std::mem::take(&mut content.unsynced);
        let written = match self.plant {
            Some(Plant::NoSync | Plant::RenameBeforeSync) => return Ok(()),
            Some(Plant::LateSync) => std::mem::replace(&mut content.late, unsynced),
            Some(Plant::EarlyAck) | None => unsynced,
        };
        for (mut offset, bytes) in written {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let len = self.file.write_at(rest, offset)?;
                offset += len as u64;
                rest = &rest[len..];
            }
        }
        self.file.sync_data()
    }
}
