//! `ColdReason`: why what is on disk cannot be trusted.
//!
//! Invariant: every reason names the file; none of them is ever repaired by a guess.

use std::fmt;

/// Why an index starts cold: what is in its directory cannot be trusted, so everything in it counts
/// as dead.
///
/// # Examples
///
/// ```
/// use cache_index_persist::{PersistConfig, Persistent, Recovery};
///
/// let dir = tempfile::tempdir()?;
/// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
/// cache.close()?;
/// std::fs::write(dir.path().join("MANIFEST"), b"damaged")?;
///
/// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
/// let Recovery::Cold { reason } = cache.recovery() else { unreachable!() };
/// assert_eq!(
///     reason.to_string(),
///     "MANIFEST at byte 0: expected a manifest of at least 72 bytes"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColdReason {
    file: String,
    kind: ColdKind,
}

/// The kinds of [`ColdReason`].
///
/// # Examples
///
/// ```
/// use cache_index_persist::{ColdKind, PersistConfig, Persistent, Recovery};
///
/// let dir = tempfile::tempdir()?;
/// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
/// drop(cache);
/// std::fs::remove_file(dir.path().join("MANIFEST"))?;
///
/// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
/// let Recovery::Cold { reason } = cache.recovery() else { panic!("it is not cold") };
/// assert_eq!(*reason.kind(), ColdKind::NoManifest);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColdKind {
    /// There are files of an index, but no manifest. It is removed when the log fails, so that
    /// a crash before the next snapshot cannot undo a purge.
    NoManifest,
    /// A file is missing that the manifest names.
    Missing,
    /// The operating system could not read the file.
    Unreadable(std::io::ErrorKind),
    /// The bytes are not what this crate writes.
    Damaged {
        /// Where.
        byte_offset: u64,
        /// The content that was expected.
        expected: &'static str,
    },
    /// The log ends before a record that had been acknowledged.
    AcknowledgedRecordMissing {
        /// The last whole record.
        last: u64,
        /// The last record that had been acknowledged as durable.
        durable: u64,
    },
    /// The file was written by a version of this crate that this one does not know.
    UnknownVersion(u32),
    /// The log has a record of a kind that this version does not know.
    UnknownRecord(u8),
    /// The snapshot was written with values of another type.
    OtherValues(String),
}

impl ColdReason {
    pub(crate) fn new(file: &str, kind: ColdKind) -> Self {
        Self { file: file.to_owned(), kind }
    }

    pub(crate) fn damaged(file: &str, byte_offset: u64, expected: &'static str) -> Self {
        Self::new(file, ColdKind::Damaged { byte_offset, expected })
    }

    pub(crate) fn unreadable(file: &str, error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::new(file, ColdKind::Missing),
            kind => Self::new(file, ColdKind::Unreadable(kind)),
        }
    }

    /// Returns the name of the file, without its directory.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::{PersistConfig, Persistent, Recovery};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// drop(cache);
    /// std::fs::remove_file(dir.path().join("MANIFEST"))?;
    ///
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let Recovery::Cold { reason } = cache.recovery() else { panic!("it has no manifest") };
    /// assert_eq!(reason.file(), "MANIFEST");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Returns what is wrong with it.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::{ColdKind, PersistConfig, Persistent, Recovery};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// drop(cache);
    /// std::fs::remove_file(dir.path().join("MANIFEST"))?;
    ///
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let Recovery::Cold { reason } = cache.recovery() else { panic!("it has no manifest") };
    /// assert_eq!(*reason.kind(), ColdKind::NoManifest);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn kind(&self) -> &ColdKind {
        &self.kind
    }
}

impl fmt::Display for ColdReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        match &self.kind {
            ColdKind::NoManifest => f.write_str(" is missing: the other files may lack a purge"),
            ColdKind::Missing => f.write_str(" is missing: the manifest names it"),
            ColdKind::Unreadable(kind) => write!(f, " cannot be read: {kind}"),
            ColdKind::Damaged { byte_offset, expected } => {
                write!(f, " at byte {byte_offset}: expected {expected}")
            }
            ColdKind::AcknowledgedRecordMissing { last, durable } => {
                write!(
                    f,
                    " ends at record {last}: expected record {durable}, as it was acknowledged"
                )
            }
            ColdKind::UnknownVersion(version) => {
                write!(f, " has format version {version}: expected version 1")
            }
            ColdKind::UnknownRecord(kind) => {
                write!(f, " has a record of unknown kind {kind}: expected one of version 1")
            }
            ColdKind::OtherValues(name) => {
                write!(f, " holds values of type {name:?}: expected those of this index")
            }
        }
    }
}

impl std::error::Error for ColdReason {}
