//! A file in memory, for tests of readers and writers.

use super::LayerFile;
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;

#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryFile(pub(crate) Arc<Mutex<Vec<u8>>>);

impl LayerFile for MemoryFile {
    fn byte_len(&self) -> io::Result<u64> {
        Ok(self.0.lock().len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let bytes = self.0.lock();
        let rest = bytes.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
        let len = buffer.len().min(rest.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn write_at(&self, written: &[u8], offset: u64) -> io::Result<usize> {
        let mut bytes = self.0.lock();
        let offset = usize::try_from(offset).unwrap();
        let end = offset + written.len();
        let len = bytes.len().max(end);
        bytes.resize(len, 0);
        bytes[offset..end].copy_from_slice(written);
        Ok(written.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
}
