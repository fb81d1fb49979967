//! `DiskLayer`: a directory of the operating system's file system.

use super::{FileLayer, LayerFile, LayerLock};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A directory of the operating system's file system. [`sync_data`](LayerFile::sync_data) is
/// `fdatasync`, or its strongest relative where that does not reach the disk.
///
/// # Examples
///
/// ```
/// use cache_index_persist::{DiskLayer, FileLayer};
///
/// let dir = tempfile::tempdir()?;
/// let layer = DiskLayer::open(dir.path().join("index"))?;
/// layer.create("file")?.write_at(b"some bytes", 0)?;
/// assert_eq!(layer.list()?, ["file"]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct DiskLayer {
    dir: PathBuf,
}

impl DiskLayer {
    /// Opens the directory, and creates it and its parents where they are missing.
    ///
    /// # Errors
    /// If the directory cannot be created.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::DiskLayer;
    ///
    /// let dir = tempfile::tempdir()?;
    /// let layer = DiskLayer::open(dir.path().join("a/b"))?;
    /// assert!(layer.dir().is_dir());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn open(dir: impl Into<PathBuf>) -> io::Result<Self> {
        let dir = dir.into();
        // The last ancestor of a relative path is empty: the current directory, which is there.
        let is_missing = |dir: &&Path| !dir.as_os_str().is_empty() && !dir.exists();
        let missing: Vec<_> = dir.ancestors().take_while(is_missing).collect();
        if !missing.is_empty() {
            fs::create_dir_all(&dir)?;
            // New names must be as durable as the data that is written under them.
            for made in missing {
                if let Some(parent) = made.canonicalize()?.parent() {
                    File::open(parent)?.sync_all()?;
                }
            }
        }
        Ok(Self { dir })
    }

    /// Returns the path of the directory.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::DiskLayer;
    ///
    /// let dir = tempfile::tempdir()?;
    /// assert_eq!(DiskLayer::open(dir.path())?.dir(), dir.path());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl FileLayer for DiskLayer {
    fn lock(&self, name: &str) -> io::Result<Box<dyn LayerLock>> {
        let path = self.dir.join(name);
        let file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(DiskLock { _file: file }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            // A name that is not UTF-8 is not one of this crate's.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn LayerFile>> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).read(true).write(true);
        Ok(Box::new(DiskFile(options.open(self.dir.join(name))?)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn LayerFile>> {
        let file = OpenOptions::new().read(true).write(true).open(self.dir.join(name))?;
        Ok(Box::new(DiskFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.dir.join(from), self.dir.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.dir.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }
}

#[derive(Debug)]
struct DiskFile(File);

impl LayerFile for DiskFile {
    fn byte_len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(&self.0, buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        FileExt::write_at(&self.0, bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// The lock lives as long as the open file.
#[derive(Debug)]
struct DiskLock {
    _file: File,
}

impl LayerLock for DiskLock {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_relative_directory_is_created_below_the_current_one() {
        let unique = tempfile::tempdir_in(".").unwrap();
        let name = PathBuf::from(unique.path().file_name().unwrap());
        unique.close().unwrap();
        let layer = DiskLayer::open(name.join("index"));
        let was_created = name.join("index").is_dir();
        fs::remove_dir_all(&name).unwrap();
        assert!(layer.is_ok() && was_created, "{layer:?}");
    }
}
