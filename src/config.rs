//! `Config`: the settings of an index, checked when it is built.
//!
//! Invariant: a `Config` that exists is valid; no value is silently rounded.

use crate::limits::{Limits, WhenFull};
use crate::monotonic::ManualClock;
use crate::names::MAX_LEN;
use std::fmt;

/// The layout and the limits of an index, and its policy for dead values.
///
/// # Examples
///
/// ```
/// use cache_index::{CacheIndex, Config, DeadValues};
///
/// let config = Config::builder().shards(64).dead_values(DeadValues::Queue).build()?;
/// let index = CacheIndex::<u64>::new(config);
/// assert_eq!(index.stats().live, 0);
/// # Ok::<(), cache_index::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    shards: usize,
    dead_values: DeadValues,
    max_prefix_rules: usize,
    generation_after: u64,
    limits: Limits,
    manual_clock: Option<ManualClock>,
}

/// The policy for the values of entries that a flush has killed.
///
/// # Examples
///
/// ```
/// use cache_index::{CacheIndex, Config, DeadValues, Hard, OriginPath, VariantKey};
///
/// let config = Config::builder().dead_values(DeadValues::Queue).build()?;
/// let index = CacheIndex::new(config);
/// let (tenant, key) = (index.tenant("doc"), VariantKey::opaque("small")?);
/// assert!(index.insert(&tenant, &OriginPath::opaque("a.jpg")?, &key, 7_u64).is_stored());
/// index.flush_all(Hard);
/// assert_eq!(index.reclaim(10).into_iter().next().map(|dead| dead.value), Some(7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeadValues {
    /// The index drops them as it is used, never while a lock is held. Choose this for values that
    /// own nothing, or whose `Drop` does all that is needed.
    #[default]
    Drop,
    /// The index keeps them until [`reclaim`](crate::CacheIndex::reclaim) returns them. Choose this
    /// for values that name objects which the server must delete. Memory grows with the entries
    /// that were flushed and not yet reclaimed.
    Queue,
}

/// Builds a [`Config`].
///
/// # Examples
///
/// ```
/// use cache_index::Config;
///
/// let config = Config::builder().shards(64).max_paths(1_000_000).build()?;
/// assert_eq!(config.to_builder().build()?, config);
/// # Ok::<(), cache_index::ConfigError>(())
/// ```
///
/// Limits are per index, so that no client can fill the memory:
///
/// ```
/// use cache_index::{CacheIndex, Config, Insertion, OriginPath, Refusal, VariantKey, WhenFull};
///
/// let config = Config::builder()
///     .max_entries(10_000_000)
///     .max_variants(100, WhenFull::EvictOldest)
///     .max_path_len(8)
///     .max_key_len(100)
///     .max_prefix_rules(1000)
///     .build()?;
/// let index = CacheIndex::new(config);
/// let (tenant, key) = (index.tenant("doc"), VariantKey::opaque("small")?);
/// let outcome = index.insert(&tenant, &OriginPath::opaque("long/name.jpg")?, &key, 7_u64);
/// let Insertion::Refused(refused) = outcome else { panic!() };
/// assert_eq!(refused.reason, Refusal::PathTooLong);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ConfigBuilder(Config);

/// The error for a setting that is out of range.
///
/// # Examples
///
/// ```
/// use cache_index::Config;
///
/// assert!(Config::builder().shards(3).build().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    setting: &'static str,
    expected: &'static str,
    got: usize,
}

impl Config {
    /// Upper bound for [`max_path_len`](ConfigBuilder::max_path_len), in bytes. A few dozen paths
    /// share one text block that is addressed with 32-bit offsets.
    pub const MAX_PATH_LEN: usize = MAX_LEN;

    /// Upper bound for [`max_key_len`](ConfigBuilder::max_key_len), in bytes. It equals the bound
    /// for paths, so that one length field fits both.
    pub const MAX_KEY_LEN: usize = Self::MAX_PATH_LEN;

    /// Upper bound for the number of shards.
    pub const MAX_SHARDS: usize = 1 << 16;

    /// Upper bound for [`generation_after`](ConfigBuilder::generation_after). The generations above
    /// it last for 292 years at one invalidation each nanosecond.
    pub const MAX_GENERATION_AFTER: u64 = 1 << 63;

    /// Creates a builder with the defaults:
    /// - 256 shards, and dead values are dropped
    /// - 4096 prefix rules
    /// - 16,384 variants per path; the index refuses more
    /// - any number of paths and entries
    /// - paths and variant keys of up to 24,576 bytes
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder(Self::default())
    }

    /// Creates a builder with the settings of this configuration.
    pub fn to_builder(&self) -> ConfigBuilder {
        ConfigBuilder(self.clone())
    }

    /// Returns the number of shards.
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// Returns what happens to dead values.
    pub fn dead_values(&self) -> DeadValues {
        self.dead_values
    }

    pub(crate) fn max_prefix_rules(&self) -> usize {
        self.max_prefix_rules
    }

    pub(crate) fn manual_clock(&self) -> Option<&ManualClock> {
        self.manual_clock.as_ref()
    }

    /// Returns the generation after which the index begins to count.
    pub fn generation_after(&self) -> u64 {
        self.generation_after
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            // Far more shards than cores, so that two threads seldom meet. Each table is small, so
            // growing one takes little time.
            shards: 256,
            dead_values: DeadValues::Drop,
            max_prefix_rules: 4096,
            generation_after: 0,
            limits: Limits::default(),
            manual_clock: None,
        }
    }
}

impl ConfigBuilder {
    /// Sets the number of shards, each with a lock and a table of its own. It must be a power of
    /// two, up to [`Config::MAX_SHARDS`].
    pub fn shards(mut self, shards: usize) -> Self {
        self.0.shards = shards;
        self
    }

    /// Sets the policy for dead values.
    pub fn dead_values(mut self, dead_values: DeadValues) -> Self {
        self.0.dead_values = dead_values;
        self
    }

    /// Sets how many variants a path may have, at least one, and the policy for a variant beyond
    /// that.
    pub fn max_variants(mut self, variants: usize, when_full: WhenFull) -> Self {
        (self.0.limits.variants, self.0.limits.when_full) = (variants, when_full);
        self
    }

    /// Sets how many paths the index may hold, at least one. A path with dead entries alone counts,
    /// as in [`max_entries`](Self::max_entries).
    pub fn max_paths(mut self, paths: usize) -> Self {
        self.0.limits.paths = Some(paths as u64);
        self
    }

    /// Sets how many entries the index may hold over all paths, at least one.
    ///
    /// Dead entries of a flush or a prefix purge count until they are taken out. At the limit, the
    /// first stores after a flush may be refused: each takes out some dead entries for the next
    /// ones. [`reclaim`](crate::CacheIndex::reclaim) takes out all.
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.0.limits.entries = Some(entries as u64);
        self
    }

    /// Sets the length of the longest path that is stored, in bytes, from 1 to
    /// [`Config::MAX_PATH_LEN`].
    pub fn max_path_len(mut self, bytes: usize) -> Self {
        self.0.limits.path_length = bytes;
        self
    }

    /// Sets the length of the longest variant key that is stored, in bytes, from 1 to
    /// [`Config::MAX_KEY_LEN`].
    pub fn max_key_len(mut self, bytes: usize) -> Self {
        self.0.limits.key_length = bytes;
        self
    }

    /// Sets how many prefix rules may be open at a time, at least one. A prefix purge beyond that
    /// number invalidates the whole tenant of the oldest rule: see
    /// [`PrefixPurged::widened`](crate::PrefixPurged::widened).
    pub fn max_prefix_rules(mut self, rules: usize) -> Self {
        self.0.max_prefix_rules = rules;
        self
    }

    /// Sets the clock of flushes [over time](crate::CacheIndex::flush_all_over), for tests. By
    /// default, it is the monotonic clock of the machine. [`ManualClock`] has an example.
    pub fn manual_clock(mut self, clock: &ManualClock) -> Self {
        self.0.manual_clock = Some(clock.clone());
        self
    }

    /// Sets the generation after which the index begins to count, up to
    /// [`Config::MAX_GENERATION_AFTER`].
    ///
    /// For a server that keeps receipts longer than an index lives: with a number at least as large
    /// as the generations of all earlier receipts, later receipts have larger generations.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{CacheIndex, Config, Hard};
    ///
    /// let index = CacheIndex::<u64>::new(Config::builder().generation_after(1000).build()?);
    /// assert_eq!(index.flush_all(Hard).generation().get(), 1001);
    /// # Ok::<(), cache_index::ConfigError>(())
    /// ```
    pub fn generation_after(mut self, generation: u64) -> Self {
        self.0.generation_after = generation;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// If the number of shards is not a power of two or is too large, if a limit is zero, or if a
    /// length or the first generation is too large.
    pub fn build(self) -> Result<Config, ConfigError> {
        let Config { shards, max_prefix_rules, ref limits, .. } = self.0;
        let whole =
            |limit: Option<u64>| limit.map_or(usize::MAX, |n| n.try_into().unwrap_or(usize::MAX));
        let limits = [
            ("variants per path", limits.variants),
            ("paths", whole(limits.paths)),
            ("entries", whole(limits.entries)),
            ("length of a path", limits.path_length),
            ("length of a variant key", limits.key_length),
            ("prefix rules", max_prefix_rules),
        ];
        if !shards.is_power_of_two() || shards > Config::MAX_SHARDS {
            let expected = "a power of two from 1 to 65536";
            return Err(ConfigError { setting: "shard count", expected, got: shards });
        }
        if self.0.generation_after > Config::MAX_GENERATION_AFTER {
            let got = usize::try_from(self.0.generation_after).unwrap_or(usize::MAX);
            let expected = "at most 9223372036854775808";
            return Err(ConfigError { setting: "generation to start after", expected, got });
        }
        let lengths = [
            ("length of a path", self.0.limits.path_length, Config::MAX_PATH_LEN),
            ("length of a variant key", self.0.limits.key_length, Config::MAX_KEY_LEN),
        ];
        if let Some((setting, got, _)) = lengths.into_iter().find(|(_, len, max)| len > max) {
            return Err(ConfigError { setting, expected: "at most 16777215", got });
        }
        match limits.into_iter().find(|(_, limit)| *limit == 0) {
            Some((setting, got)) => Err(ConfigError { setting, expected: "at least 1", got }),
            None => Ok(self.0),
        }
    }
}

impl ConfigError {
    #[cfg(feature = "cloudimage")]
    pub(crate) const fn new(setting: &'static str, expected: &'static str, got: usize) -> Self {
        Self { setting, expected, got }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be {}, got {}", self.setting, self.expected, self.got)
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_powers_of_two_in_range_are_shard_counts() {
        for shards in [1, 2, 256, 65_536] {
            assert_eq!(Config::builder().shards(shards).build().map(|c| c.shards()), Ok(shards));
        }
        for shards in [0, 3, 12, 65_537, 131_072, usize::MAX] {
            let error = Config::builder().shards(shards).build().unwrap_err();
            let expected =
                format!("shard count must be a power of two from 1 to 65536, got {shards}");
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn limits_of_nothing_are_refused_by_name() {
        let error = |builder: ConfigBuilder| builder.build().unwrap_err().to_string();
        let new = Config::builder;
        assert_eq!(error(new().max_paths(0)), "paths must be at least 1, got 0");
        assert_eq!(error(new().max_entries(0)), "entries must be at least 1, got 0");
        assert_eq!(
            error(new().max_variants(0, WhenFull::Refuse)),
            "variants per path must be at least 1, got 0"
        );
        assert_eq!(error(new().max_path_len(0)), "length of a path must be at least 1, got 0");
        assert_eq!(
            error(new().max_path_len(Config::MAX_PATH_LEN + 1)),
            "length of a path must be at most 16777215, got 16777216"
        );
        assert!(new().max_path_len(Config::MAX_PATH_LEN).build().is_ok());
        assert_eq!(
            error(new().max_key_len(Config::MAX_KEY_LEN + 1)),
            "length of a variant key must be at most 16777215, got 16777216"
        );
        assert!(new().max_key_len(Config::MAX_KEY_LEN).build().is_ok());
        assert_eq!(
            error(new().max_key_len(0)),
            "length of a variant key must be at least 1, got 0"
        );
        assert!(new().generation_after(Config::MAX_GENERATION_AFTER).build().is_ok());
        assert_eq!(
            error(new().generation_after(u64::MAX)),
            "generation to start after must be at most 9223372036854775808, got \
             18446744073709551615"
        );
        assert_eq!(error(new().max_prefix_rules(0)), "prefix rules must be at least 1, got 0");
    }
}
