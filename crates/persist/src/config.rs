//! `PersistConfig`: the settings of a persistent index, checked when it is built.

use cache_index::Config;
use std::fmt;
use std::time::Duration;

/// The time at which the log is synced, and so the meaning of an acknowledgement.
///
/// | policy | the call returns after | acknowledged as | survives a power loss |
/// |---|---|---|---|
/// | `Always` | the sync | [`Durable`] | every acknowledged record |
/// | `Every(d)` | the write | [`Written`] | records older than `d` plus the time of a sync |
/// | `Never` | the write | [`Written`] | records that the operating system has written |
///
/// Every acknowledged record survives a killed process, with each policy.
///
/// [`Durable`]: crate::Durability::Durable
/// [`Written`]: crate::Durability::Written
///
/// # Examples
///
/// ```
/// use cache_index::Hard;
/// use cache_index_persist::{Durability, PersistConfig, Persistent, SyncPolicy};
/// use std::time::Duration;
///
/// let dir = tempfile::tempdir()?;
/// let policy = SyncPolicy::Every(Duration::from_millis(100));
/// let config = PersistConfig::builder().sync(policy).build()?;
/// let cache = Persistent::<u64>::open(dir.path(), config)?;
/// let flushed = cache.flush_all(Hard);
/// assert!(matches!(flushed.durability(), Durability::Written));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Before each acknowledgement. Callers that wait at the same time share one sync.
    #[default]
    Always,
    /// At the latest this long after a record was written.
    Every(Duration),
    /// When a segment is full, and when a snapshot begins, also the one of
    /// [`close`](crate::Persistent::close); otherwise whenever the operating system writes.
    Never,
}

/// The settings for keeping an index on disk.
///
/// # Examples
///
/// ```
/// use cache_index::Config;
/// use cache_index_persist::{PersistConfig, SyncPolicy};
/// use std::time::Duration;
///
/// let config = PersistConfig::builder()
///     .index(Config::builder().shards(64).build()?)
///     .sync(SyncPolicy::Every(Duration::from_millis(100)))
///     .snapshot_every(Some(Duration::from_secs(300)))
///     .build()?;
/// assert_eq!(config.sync(), SyncPolicy::Every(Duration::from_millis(100)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersistConfig {
    index: Config,
    sync: SyncPolicy,
    snapshot_every: Option<Duration>,
    snapshot_after_bytes: u64,
    segment_bytes: u64,
    load_threads: usize,
}

/// Builds a [`PersistConfig`].
///
/// # Examples
///
/// ```
/// use cache_index_persist::PersistConfig;
///
/// let config = PersistConfig::builder().segment_bytes(1 << 20).load_threads(2).build()?;
/// assert_eq!((config.segment_bytes(), config.load_threads()), (1 << 20, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct PersistConfigBuilder(PersistConfig);

/// The error for a setting that cannot be used.
///
/// # Examples
///
/// ```
/// use cache_index_persist::PersistConfig;
///
/// let error = PersistConfig::builder().load_threads(0).build().unwrap_err();
/// assert_eq!(error.to_string(), "number of threads that load must be from 1 to 64, got 0");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersistConfigError {
    setting: &'static str,
    expected: &'static str,
    got: u64,
}

impl PersistConfig {
    /// The smallest segment of the log, in bytes.
    pub const MIN_SEGMENT_BYTES: u64 = 16 << 10;

    /// The most threads that load a snapshot.
    pub const MAX_LOAD_THREADS: usize = 64;

    /// The largest segment of the log, in bytes.
    pub const MAX_SEGMENT_BYTES: u64 = 1 << 30;

    /// Creates a builder with the defaults:
    /// - a default index
    /// - a sync before each acknowledgement
    /// - a snapshot every 300 seconds and after 64 MiB of log
    /// - segments of 4 MiB
    /// - a snapshot is loaded by as many threads as there are processors, at most 4
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::PersistConfig;
    ///
    /// let config = PersistConfig::builder().build();
    /// assert!(config.is_ok());
    /// ```
    pub fn builder() -> PersistConfigBuilder {
        PersistConfigBuilder::default()
    }

    /// Returns the configuration of the index in memory.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::PersistConfig;
    ///
    /// assert!(PersistConfig::default().index().shards().is_power_of_two());
    /// ```
    pub fn index(&self) -> &Config {
        &self.index
    }

    /// Returns when the log is synced.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::{PersistConfig, SyncPolicy};
    ///
    /// assert_eq!(PersistConfig::default().sync(), SyncPolicy::Always);
    /// ```
    pub fn sync(&self) -> SyncPolicy {
        self.sync
    }

    /// Returns how often a snapshot is written in the background.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::PersistConfig;
    /// use std::time::Duration;
    ///
    /// let period = PersistConfig::default().snapshot_every();
    /// assert_eq!(period, Some(Duration::from_secs(300)));
    /// ```
    pub fn snapshot_every(&self) -> Option<Duration> {
        self.snapshot_every
    }

    /// Returns after how many bytes of log a snapshot is written in the background.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::PersistConfig;
    ///
    /// assert_eq!(PersistConfig::default().snapshot_after_bytes(), 64 << 20);
    /// ```
    pub fn snapshot_after_bytes(&self) -> u64 {
        self.snapshot_after_bytes
    }

    /// Returns the size of a segment of the log.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::PersistConfig;
    ///
    /// assert_eq!(PersistConfig::default().segment_bytes(), 4 << 20);
    /// ```
    pub fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    /// Returns how many threads load a snapshot.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::PersistConfig;
    ///
    /// assert!((1..=4).contains(&PersistConfig::default().load_threads()));
    /// ```
    pub fn load_threads(&self) -> usize {
        self.load_threads
    }

    /// Returns the configuration of the index in memory that opens as this incarnation.
    pub(crate) fn index_of(&self, incarnation: u64) -> Config {
        // Room for 2^40 invalidations in each of 2^23 incarnations. Later ones share the last.
        let first = incarnation.min((1 << 23) - 1) << 40;
        let after = self.index.generation_after().max(first);
        let index = self.index.to_builder().generation_after(after).build();
        index.unwrap_or_else(|_| self.index.clone())
    }
}

impl Default for PersistConfig {
    fn default() -> Self {
        Self {
            index: Config::default(),
            sync: SyncPolicy::Always,
            snapshot_every: Some(Duration::from_secs(300)),
            snapshot_after_bytes: 64 << 20,
            segment_bytes: 4 << 20,
            load_threads: std::thread::available_parallelism().map_or(1, usize::from).min(4),
        }
    }
}

impl PersistConfigBuilder {
    /// Sets the configuration of the index in memory.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::Config;
    /// use cache_index_persist::PersistConfig;
    ///
    /// let index = Config::builder().shards(64).build()?;
    /// let config = PersistConfig::builder().index(index).build()?;
    /// assert_eq!(config.index().shards(), 64);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn index(mut self, index: Config) -> Self {
        self.0.index = index;
        self
    }

    /// Sets when the log is synced.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::{PersistConfig, SyncPolicy};
    ///
    /// let config = PersistConfig::builder().sync(SyncPolicy::Never).build()?;
    /// assert_eq!(config.sync(), SyncPolicy::Never);
    /// # Ok::<(), cache_index_persist::PersistConfigError>(())
    /// ```
    pub fn sync(mut self, sync: SyncPolicy) -> Self {
        self.0.sync = sync;
        self
    }

    /// Sets how often a snapshot is written in the background; `None` for never. Without snapshots,
    /// a restarted index has no fills, and the log grows. A snapshot still heals a log that has
    /// failed.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::PersistConfig;
    ///
    /// let config = PersistConfig::builder().snapshot_every(None).build()?;
    /// assert_eq!(config.snapshot_every(), None);
    /// # Ok::<(), cache_index_persist::PersistConfigError>(())
    /// ```
    pub fn snapshot_every(mut self, period: Option<Duration>) -> Self {
        self.0.snapshot_every = period;
        self
    }

    /// Sets after how many bytes of log a snapshot is written in the background, at least 4096. It
    /// does not apply if `snapshot_every` is `None`.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::PersistConfig;
    ///
    /// let config = PersistConfig::builder().snapshot_after_bytes(1 << 20).build()?;
    /// assert_eq!(config.snapshot_after_bytes(), 1 << 20);
    /// # Ok::<(), cache_index_persist::PersistConfigError>(())
    /// ```
    pub fn snapshot_after_bytes(mut self, bytes: u64) -> Self {
        self.0.snapshot_after_bytes = bytes;
        self
    }

    /// Sets the size of a segment of the log: a multiple of 4096, from
    /// [`PersistConfig::MIN_SEGMENT_BYTES`] to [`PersistConfig::MAX_SEGMENT_BYTES`]. A record may
    /// take a quarter of it, and at most 64 KiB. A longer record is replaced by the purge of a
    /// whole path, of a whole tenant, or of everything.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::PersistConfig;
    ///
    /// let config = PersistConfig::builder().segment_bytes(1 << 20).build()?;
    /// assert_eq!(config.segment_bytes(), 1 << 20);
    /// # Ok::<(), cache_index_persist::PersistConfigError>(())
    /// ```
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.0.segment_bytes = bytes;
        self
    }

    /// Sets how many threads load a snapshot, from 1 to [`PersistConfig::MAX_LOAD_THREADS`]. Each
    /// needs memory for a block of the snapshot, about 2 MiB.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::PersistConfig;
    ///
    /// let config = PersistConfig::builder().load_threads(2).build()?;
    /// assert_eq!(config.load_threads(), 2);
    /// # Ok::<(), cache_index_persist::PersistConfigError>(())
    /// ```
    pub fn load_threads(mut self, threads: usize) -> Self {
        self.0.load_threads = threads;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// If a size is out of its range or not a multiple of 4096, a period is zero, or there are too
    /// many or too few threads.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::PersistConfig;
    ///
    /// let config = PersistConfig::builder().load_threads(2).build()?;
    /// assert!(PersistConfig::builder().segment_bytes(5000).build().is_err());
    /// # Ok::<(), cache_index_persist::PersistConfigError>(())
    /// ```
    pub fn build(self) -> Result<PersistConfig, PersistConfigError> {
        let error = |setting, expected, got| Err(PersistConfigError { setting, expected, got });
        let sizes = PersistConfig::MIN_SEGMENT_BYTES..=PersistConfig::MAX_SEGMENT_BYTES;
        let segment = self.0.segment_bytes;
        if !sizes.contains(&segment) || segment % 4096 != 0 {
            return error("segment size", "a multiple of 4096 from 16384 to 1073741824", segment);
        }
        if self.0.snapshot_after_bytes < 4096 {
            return error("log size of a snapshot", "at least 4096", self.0.snapshot_after_bytes);
        }
        if !(1..=PersistConfig::MAX_LOAD_THREADS).contains(&self.0.load_threads) {
            let got = self.0.load_threads as u64;
            return error("number of threads that load", "from 1 to 64", got);
        }
        if self.0.snapshot_every == Some(Duration::ZERO) {
            return error("period of snapshots", "longer than 0", 0);
        }
        if self.0.sync == SyncPolicy::Every(Duration::ZERO) {
            return error("period of syncs", "longer than 0", 0);
        }
        Ok(self.0)
    }
}

impl fmt::Display for PersistConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be {}, got {}", self.setting, self.expected, self.got)
    }
}

impl std::error::Error for PersistConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_refused_by_name() {
        let error = |builder: PersistConfigBuilder| builder.build().unwrap_err().to_string();
        let new = PersistConfig::builder;
        let segment = "segment size must be a multiple of 4096 from 16384 to 1073741824, got ";
        for bytes in [0, 4096, 16_385, 1 << 31] {
            assert_eq!(error(new().segment_bytes(bytes)), format!("{segment}{bytes}"));
        }
        let zero = Duration::ZERO;
        assert_eq!(
            error(new().snapshot_every(Some(zero))),
            "period of snapshots must be longer than 0, got 0"
        );
        assert_eq!(
            error(new().sync(SyncPolicy::Every(zero))),
            "period of syncs must be longer than 0, got 0"
        );
        assert_eq!(
            error(new().snapshot_after_bytes(1)),
            "log size of a snapshot must be at least 4096, got 1"
        );
        assert_eq!(
            error(new().load_threads(0)),
            "number of threads that load must be from 1 to 64, got 0"
        );
        assert!(new().load_threads(64).build().is_ok());
    }

    #[test]
    fn generations_of_a_later_incarnation_are_larger() {
        let config = PersistConfig::default();
        let first = |incarnation| config.index_of(incarnation).generation_after();
        assert!(first(1) > 0 && first(2) - first(1) == 1 << 40);
        assert_eq!(first(u64::MAX), first(u64::MAX - 1));
        let index = Config::builder().generation_after(5 << 41).build().unwrap();
        let config = PersistConfig::builder().index(index).build().unwrap();
        assert_eq!(config.index_of(3).generation_after(), 5 << 41);
    }
}
