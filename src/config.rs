//! `Config`: the knobs of an index, checked when it is built.
//!
//! Invariant: a `Config` that exists is valid; no value is silently rounded.

use std::fmt;

/// How an index is laid out and what it does with dead values.
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
}

/// What happens to the values of entries that a flush has killed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeadValues {
    /// The index drops them as it comes across them, never under a lock. For values that own nothing, or whose `Drop` does all
    /// that is needed.
    #[default]
    Drop,
    /// The index keeps them until [`reclaim`](crate::CacheIndex::reclaim) hands them over. For values that name objects which
    /// the server must delete. Memory grows with what has been flushed and not reclaimed.
    Queue,
}

/// Builds a [`Config`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ConfigBuilder(Config);

/// A setting that can't be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    shards: usize,
}

impl Config {
    /// The most shards that an index can have.
    pub const MAX_SHARDS: usize = 1 << 16;

    /// Begins with the defaults: 256 shards, dead values dropped.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder(Self::default())
    }

    /// The number of shards.
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// What happens to dead values.
    pub fn dead_values(&self) -> DeadValues {
        self.dead_values
    }
}

impl Default for Config {
    fn default() -> Self {
        // 256: far more than cores, so that two threads seldom meet, and tables small enough that growing one is short.
        Self { shards: 256, dead_values: DeadValues::Drop }
    }
}

impl ConfigBuilder {
    /// The number of shards, each a lock and a table of its own: a power of two, up to [`Config::MAX_SHARDS`].
    pub fn shards(mut self, shards: usize) -> Self {
        self.0.shards = shards;
        self
    }

    /// What happens to dead values.
    pub fn dead_values(mut self, dead_values: DeadValues) -> Self {
        self.0.dead_values = dead_values;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// If the number of shards is no power of two, or too large.
    pub fn build(self) -> Result<Config, ConfigError> {
        let shards = self.0.shards;
        if shards.is_power_of_two() && shards <= Config::MAX_SHARDS {
            Ok(self.0)
        } else {
            Err(ConfigError { shards })
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (most, shards) = (Config::MAX_SHARDS, self.shards);
        write!(f, "shard count must be a power of two from 1 to {most}, got {shards}")
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
}
