//! `SlowDisk`: a directory whose syncs take at least a given time, as on a slower disk.

use cache_index_persist::{DiskLayer, FileLayer, LayerFile, LayerLock};
use std::io;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct SlowDisk {
    pub(crate) disk: DiskLayer,
    pub(crate) sync: Duration,
}

#[derive(Debug)]
struct SlowFile {
    file: Box<dyn LayerFile>,
    sync: Duration,
}

/// Waits until the call has taken this time.
fn slowly<T>(time: Duration, call: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = call();
    // The delay is the point: a disk that takes this long.
    std::thread::sleep(time.saturating_sub(start.elapsed()));
    result
}

impl SlowDisk {
    fn slow(&self, file: Box<dyn LayerFile>) -> Box<dyn LayerFile> {
        Box::new(SlowFile { file, sync: self.sync })
    }
}

impl FileLayer for SlowDisk {
    fn lock(&self, name: &str) -> io::Result<Box<dyn LayerLock>> {
        self.disk.lock(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn LayerFile>> {
        Ok(self.slow(self.disk.create(name)?))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn LayerFile>> {
        Ok(self.slow(self.disk.open(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_dir(&self) -> io::Result<()> {
        slowly(self.sync, || self.disk.sync_dir())
    }
}

impl LayerFile for SlowFile {
    fn byte_len(&self) -> io::Result<u64> {
        self.file.byte_len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        slowly(self.sync, || self.file.sync_data())
    }
}
