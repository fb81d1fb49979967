//! The file layer: everything that this crate asks of a file system, as two small traits.
//!
//! Invariant: no other module opens, reads, writes or renames a file. So a test can put any failure
//! between the crate and the disk, and a server can put encryption or another kind of storage
//! there.
//!
//! Not here: the meaning of the bytes.

mod disk;
#[cfg(test)]
pub(crate) mod memory;

pub use disk::DiskLayer;

use std::fmt;
use std::io::{self, ErrorKind};

/// One directory of files with flat names.
///
/// Every call may fail with any [`io::Error`]. Calls that fail with [`ErrorKind::Interrupted`] are
/// repeated by the caller.
///
/// # Examples
///
/// A layer that counts the syncs of the directory:
///
/// ```
/// use cache_index_persist::{DiskLayer, FileLayer, LayerFile, LayerLock};
/// use cache_index_persist::{PersistConfig, Persistent};
/// use std::io;
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// #[derive(Debug)]
/// struct Counting {
///     disk: DiskLayer,
///     dir_syncs: AtomicU64,
/// }
///
/// impl FileLayer for Counting {
///     fn lock(&self, name: &str) -> io::Result<Box<dyn LayerLock>> {
///         self.disk.lock(name)
///     }
///     fn list(&self) -> io::Result<Vec<String>> {
///         self.disk.list()
///     }
///     fn create(&self, name: &str) -> io::Result<Box<dyn LayerFile>> {
///         self.disk.create(name)
///     }
///     fn open(&self, name: &str) -> io::Result<Box<dyn LayerFile>> {
///         self.disk.open(name)
///     }
///     fn rename(&self, from: &str, to: &str) -> io::Result<()> {
///         self.disk.rename(from, to)
///     }
///     fn remove(&self, name: &str) -> io::Result<()> {
///         self.disk.remove(name)
///     }
///     fn sync_dir(&self) -> io::Result<()> {
///         self.dir_syncs.fetch_add(1, Ordering::Relaxed);
///         self.disk.sync_dir()
///     }
/// }
///
/// let dir = tempfile::tempdir()?;
/// let disk = DiskLayer::open(dir.path())?;
/// let layer = Arc::new(Counting { disk, dir_syncs: AtomicU64::new(0) });
/// let cache = Persistent::<u64>::open_on(layer.clone(), PersistConfig::default())?;
/// assert_eq!(cache.incarnation(), 1);
/// assert!(layer.dir_syncs.load(Ordering::Relaxed) > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait FileLayer: Send + Sync + fmt::Debug {
    /// Locks the directory for this process until the returned value is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] if another process, or another value in this one, holds the lock.
    fn lock(&self, name: &str) -> io::Result<Box<dyn LayerLock>>;

    /// Lists the names of all files in the directory, in any order.
    ///
    /// # Errors
    /// If the directory cannot be read.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Creates an empty file, or empties the one that exists, for reading and writing.
    ///
    /// # Errors
    /// If the file cannot be created.
    fn create(&self, name: &str) -> io::Result<Box<dyn LayerFile>>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such file.
    fn open(&self, name: &str) -> io::Result<Box<dyn LayerFile>>;

    /// Renames a file, atomically replacing the one called `to`.
    ///
    /// # Errors
    /// If the file cannot be renamed; the directory is unchanged.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes every earlier create, rename and remove durable.
    ///
    /// # Errors
    /// If the directory cannot be synced. It is then unknown which of these changes are durable.
    fn sync_dir(&self) -> io::Result<()>;
}

/// One open file of a [`FileLayer`].
pub trait LayerFile: Send + Sync + fmt::Debug {
    /// Returns the length in bytes.
    ///
    /// # Errors
    /// If the length cannot be read.
    fn byte_len(&self) -> io::Result<u64>;

    /// Reads at most `buffer.len()` bytes from `offset` on and returns how many; 0 at the end of
    /// the file.
    ///
    /// # Errors
    /// If nothing could be read.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes at most `bytes.len()` bytes from `offset` on and returns how many.
    ///
    /// # Errors
    /// If nothing could be written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Makes all earlier writes to this file durable, with the length of the file.
    ///
    /// # Errors
    /// If any of them may be lost. The caller never syncs this file again: some kernels report a
    /// failure once and then forget the data that could not be written.
    fn sync_data(&self) -> io::Result<()>;
}

/// Holds the lock of a [`FileLayer`] until it is dropped.
pub trait LayerLock: Send + Sync + fmt::Debug {}

/// Repeats a call for as long as a signal interrupts it.
pub(crate) fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Writes all of `bytes`, in as many calls as it takes.
pub(crate) fn write_all(file: &dyn LayerFile, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = retry(|| file.write_at(bytes, offset))?;
        if written == 0 {
            return Err(ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(written..).unwrap_or_default();
        offset += written as u64;
    }
    Ok(())
}

/// Fills all of `buffer`, in as many calls as it takes.
pub(crate) fn read_all(
    file: &dyn LayerFile,
    mut buffer: &mut [u8],
    mut offset: u64,
) -> io::Result<()> {
    while !buffer.is_empty() {
        let read = retry(|| file.read_at(buffer, offset))?;
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        buffer = buffer.get_mut(read..).unwrap_or_default();
        offset += read as u64;
    }
    Ok(())
}

/// Reads a whole file of at most `limit` bytes; `None` if it is longer.
pub(crate) fn read_file(file: &dyn LayerFile, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let len = retry(|| file.byte_len())?;
    let Some(len) = usize::try_from(len).ok().filter(|&len| len as u64 <= limit) else {
        return Ok(None);
    };
    let mut bytes = vec![0; len];
    read_all(file, &mut bytes, 0)?;
    Ok(Some(bytes))
}
