//! The results of the operations.

use crate::damage::ColdReason;
use std::fmt;
use std::io;
use std::sync::Arc;

/// The state on disk when an index was opened.
///
/// # Examples
///
/// ```
/// use cache_index::Hard;
/// use cache_index_persist::{PersistConfig, Persistent, Recovery};
///
/// let dir = tempfile::tempdir()?;
/// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
/// assert_eq!(*cache.recovery(), Recovery::New);
/// assert!(cache.flush_all(Hard).is_durable());
/// drop(cache); // as if the process had crashed
///
/// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
/// assert!(matches!(cache.recovery(), Recovery::Warm { replayed: 1, closed: false, .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recovery {
    /// The directory was empty. Every object that the server still has is an orphan.
    New,
    /// The snapshot was loaded and the log replayed: every acknowledged invalidation holds.
    #[non_exhaustive]
    Warm {
        /// Entries that were loaded from the snapshot, before the log was replayed. With
        /// [`open_serving`](crate::Persistent::open_serving), those that the log or the server had
        /// invalidated by then are not counted.
        entries: u64,
        /// Entries that were refused, because the index is configured with lower limits than
        /// before.
        refused: u64,
        /// Records of the log that were replayed.
        replayed: u64,
        /// Whether the last process called [`Persistent::close`](crate::Persistent::close).
        closed: bool,
        /// Whether the log ended in the middle of a write that was not acknowledged.
        torn: bool,
    },
    /// The log was replayed, and the snapshot is being loaded while the index is in use: see
    /// [`Persistent::open_serving`](crate::Persistent::open_serving). An entry that is not loaded
    /// yet is a miss. Later, the state is `Warm` or, if the snapshot is damaged, `Cold`.
    Loading,
    /// The data on disk cannot be trusted: the index is empty, and every earlier entry counts as
    /// dead.
    Cold {
        /// The reason.
        reason: ColdReason,
    },
}

/// How far the load of an index in use has come.
/// [`Persistent::loading`](crate::Persistent::loading) returns it.
///
/// # Examples
///
/// ```
/// use cache_index_persist::{PersistConfig, Persistent};
///
/// let dir = tempfile::tempdir()?;
/// let cache = Persistent::<u64>::open_serving(dir.path(), PersistConfig::default())?;
/// if let Some(loading) = cache.loading() {
///     println!("{} of {} entries", loading.entries, loading.all_entries);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loading {
    /// Entries that were loaded so far.
    pub entries: u64,
    /// Entries in the snapshot.
    pub all_entries: u64,
    /// Blocks that were loaded so far.
    pub blocks: u64,
    /// Blocks of the snapshot, about 1 MiB each before compression.
    pub all_blocks: u64,
}

/// The known durability of an invalidation. The invalidation holds in memory in any case.
///
/// # Examples
///
/// ```
/// use cache_index::Hard;
/// use cache_index_persist::{Durability, PersistConfig, Persistent};
///
/// let dir = tempfile::tempdir()?;
/// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
/// match cache.flush_all(Hard).durability() {
///     Durability::Durable => {}
///     Durability::NotDurable(error) => println!("holds in memory, not durable yet: {error}"),
///     _ => {}
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Durability {
    /// Survives a killed process and a power loss.
    Durable,
    /// Given to the operating system. Survives a killed process; for a power loss, see
    /// [`SyncPolicy`](crate::SyncPolicy).
    Written,
    /// Neither is guaranteed, for this reason.
    ///
    /// The manifest is removed when the log fails. So a crash is followed by a cold start, and
    /// invalidated entries are not served again. A crash can undo the invalidation only if the
    /// removal fails as well, or if the index was closed before. The next snapshot makes the
    /// invalidation durable: the caller need not repeat it.
    NotDurable(Arc<LogError>),
}

impl Durability {
    /// Returns whether the invalidation survives a power loss.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::Durability;
    ///
    /// assert!(Durability::Durable.is_durable());
    /// assert!(!Durability::Written.is_durable());
    /// ```
    pub fn is_durable(&self) -> bool {
        matches!(self, Self::Durable)
    }
}

/// The outcome of an invalidation, and its known durability.
///
/// # Examples
///
/// ```
/// use cache_index::{Hard, OriginPath};
/// use cache_index_persist::{PersistConfig, Persistent};
///
/// let dir = tempfile::tempdir()?;
/// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
/// let birds = OriginPath::from_canonical("a/birds.jpg")?;
/// let purged = cache.purge(&cache.tenant("doc"), &birds, Hard);
/// assert!(purged.is_durable());
/// let (removed, durability) = purged.into_parts();
/// assert!(removed.is_empty() && durability.is_durable());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "an invalidation that is not durable is reported here"]
#[derive(Clone, Debug)]
pub struct Acknowledged<T> {
    outcome: T,
    durability: Durability,
}

impl<T> Acknowledged<T> {
    pub(crate) fn new(outcome: T, durability: Durability) -> Self {
        Self { outcome, durability }
    }

    /// Returns the outcome of the invalidation.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::Hard;
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let flushed = cache.flush_all(Hard);
    /// assert!(flushed.outcome().generation().get() > 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn outcome(&self) -> &T {
        &self.outcome
    }

    /// Returns its known durability.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::Hard;
    /// use cache_index_persist::{Durability, PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let flushed = cache.flush_all(Hard);
    /// assert!(matches!(flushed.durability(), Durability::Durable));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn durability(&self) -> &Durability {
        &self.durability
    }

    /// Returns whether it survives a power loss.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::Hard;
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// assert!(cache.flush_all(Hard).is_durable());
    /// cache.close()?;
    /// assert!(!cache.flush_all(Hard).is_durable());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_durable(&self) -> bool {
        self.durability.is_durable()
    }

    /// Returns both.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::Hard;
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let (flushed, durability) = cache.flush_all(Hard).into_parts();
    /// assert!(flushed.generation().get() > 0 && durability.is_durable());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_parts(self) -> (T, Durability) {
        (self.outcome, self.durability)
    }
}

/// The reason why the log cannot make records durable.
///
/// # Examples
///
/// ```
/// use cache_index::Hard;
/// use cache_index_persist::{Durability, PersistConfig, Persistent};
///
/// let dir = tempfile::tempdir()?;
/// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
/// cache.close()?;
/// let flushed = cache.flush_all(Hard);
/// let Durability::NotDurable(error) = flushed.durability() else { panic!("it is closed") };
/// assert_eq!(error.to_string(), "index is closed");
/// assert_eq!(error.io_kind(), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct LogError {
    what: &'static str,
    source: Option<io::Error>,
}

impl LogError {
    pub(crate) fn new(what: &'static str, source: Option<io::Error>) -> Self {
        Self { what, source }
    }

    /// Returns the kind of the failed call of the file layer, if there was one.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::Hard;
    /// use cache_index_persist::{Durability, PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// cache.close()?;
    /// let flushed = cache.flush_all(Hard);
    /// let Durability::NotDurable(error) = flushed.durability() else { panic!("it is closed") };
    /// assert_eq!(error.io_kind(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        self.source.as_ref().map(io::Error::kind)
    }
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

impl std::error::Error for LogError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

/// The counts of a snapshot.
///
/// # Examples
///
/// ```
/// use cache_index_persist::{PersistConfig, Persistent};
///
/// let dir = tempfile::tempdir()?;
/// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
/// let written = cache.snapshot()?;
/// assert_eq!(written.entries, 0);
/// assert!(written.bytes > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotWritten {
    /// Live and stale entries in it.
    pub entries: u64,
    /// The length of the file.
    pub bytes: u64,
}

/// The reason why an index could not be opened, or a snapshot could not be written. The state on
/// disk is still good.
///
/// # Examples
///
/// ```
/// use cache_index_persist::{PersistConfig, Persistent};
/// use std::error::Error;
///
/// let dir = tempfile::tempdir()?;
/// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
/// let error = Persistent::<u64>::open(dir.path(), PersistConfig::default()).unwrap_err();
/// assert_eq!(error.to_string(), "directory could not be locked: another process may use it");
/// assert!(error.source().is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct PersistError {
    what: &'static str,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl PersistError {
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, source: None }
    }

    pub(crate) fn caused(
        what: &'static str,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self { what, source: Some(Arc::new(source)) }
    }

    pub(crate) fn log(what: &'static str, source: Arc<LogError>) -> Self {
        Self { what, source: Some(source) }
    }
}

impl fmt::Display for PersistError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

impl std::error::Error for PersistError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}
