//! `InvalidationLimits`: how much one request may ask for.
//!
//! Invariant: limits that exist let some request through; no figure is silently rounded.

use crate::config::ConfigError;

/// How much one invalidation request may ask for.
///
/// # Examples
///
/// ```
/// use cache_index::invalidation::InvalidationLimits;
///
/// let limits = InvalidationLimits::builder().entries(InvalidationLimits::DOCUMENTED_ENTRIES).build()?;
/// assert_eq!((limits.entries(), limits.bytes()), (15, InvalidationLimits::DEFAULT_BYTES));
///
/// let error = InvalidationLimits::builder().depth(1000).build().unwrap_err();
/// assert_eq!(error.to_string(), "depth of a request must be from 2 to 127, got 1000");
/// # Ok::<(), cache_index::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidationLimits {
    entries: usize,
    transformations: usize,
    bytes: usize,
    depth: usize,
}

/// Builds [`InvalidationLimits`].
#[derive(Clone, Copy, Debug)]
#[must_use = "settings have no effect before `build`"]
pub struct InvalidationLimitsBuilder(InvalidationLimits);

impl InvalidationLimits {
    /// The most entries of `urls` that the hosted API documents, in its support article of 2022. Its console documents 10.
    pub const DOCUMENTED_ENTRIES: usize = 15;
    /// The most entries of `urls` by default. In this process an entry costs microseconds and not a minute, so there may be more.
    pub const DEFAULT_ENTRIES: usize = 1000;
    /// The most entries of `transformations` by default: every variant of every picture named is held against each of them.
    pub const DEFAULT_TRANSFORMATIONS: usize = 50;
    /// The most bytes of JSON by default: 1 MiB.
    pub const DEFAULT_BYTES: usize = 1 << 20;
    /// How deep JSON may nest by default. No valid request goes deeper than [`Self::NEEDED_DEPTH`].
    pub const DEFAULT_DEPTH: usize = 16;
    /// How deep a valid request nests: a list in an object.
    pub const NEEDED_DEPTH: usize = 2;
    /// The deepest that JSON is read at all.
    pub const MAX_DEPTH: usize = 127;

    /// Begins with the defaults.
    pub fn builder() -> InvalidationLimitsBuilder {
        InvalidationLimitsBuilder(Self::default())
    }

    /// The most entries of `urls`, duplicates included.
    #[must_use]
    pub const fn entries(&self) -> usize {
        self.entries
    }

    /// The most entries of `transformations`.
    #[must_use]
    pub const fn transformations(&self) -> usize {
        self.transformations
    }

    /// The most bytes of JSON.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How deep JSON may nest.
    #[must_use]
    pub const fn depth(&self) -> usize {
        self.depth
    }
}

impl Default for InvalidationLimits {
    fn default() -> Self {
        Self {
            entries: Self::DEFAULT_ENTRIES,
            transformations: Self::DEFAULT_TRANSFORMATIONS,
            bytes: Self::DEFAULT_BYTES,
            depth: Self::DEFAULT_DEPTH,
        }
    }
}

impl InvalidationLimitsBuilder {
    /// The most entries of `urls`, at least one.
    pub const fn entries(mut self, entries: usize) -> Self {
        self.0.entries = entries;
        self
    }

    /// The most entries of `transformations`, at least one.
    pub const fn transformations(mut self, transformations: usize) -> Self {
        self.0.transformations = transformations;
        self
    }

    /// The most bytes of JSON, at least one.
    pub const fn bytes(mut self, bytes: usize) -> Self {
        self.0.bytes = bytes;
        self
    }

    /// How deep JSON may nest, from [`InvalidationLimits::NEEDED_DEPTH`] to [`InvalidationLimits::MAX_DEPTH`].
    pub const fn depth(mut self, depth: usize) -> Self {
        self.0.depth = depth;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// If a limit is zero, or the depth out of range.
    pub fn build(self) -> Result<InvalidationLimits, ConfigError> {
        let InvalidationLimits { entries, transformations, bytes, depth } = self.0;
        for (setting, limit) in [
            ("entries of a request", entries),
            ("transformations of a request", transformations),
            ("bytes of a request", bytes),
        ] {
            if limit == 0 {
                return Err(ConfigError::new(setting, "at least 1", limit));
            }
        }
        if !(InvalidationLimits::NEEDED_DEPTH..=InvalidationLimits::MAX_DEPTH).contains(&depth) {
            return Err(ConfigError::new("depth of a request", "from 2 to 127", depth));
        }
        Ok(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_nothing_are_refused_by_name() {
        let error = |builder: InvalidationLimitsBuilder| builder.build().unwrap_err().to_string();
        let new = InvalidationLimits::builder;
        assert_eq!(error(new().entries(0)), "entries of a request must be at least 1, got 0");
        assert_eq!(
            error(new().transformations(0)),
            "transformations of a request must be at least 1, got 0"
        );
        assert_eq!(error(new().bytes(0)), "bytes of a request must be at least 1, got 0");
        for depth in [0, 1, 128] {
            let expected = format!("depth of a request must be from 2 to 127, got {depth}");
            assert_eq!(error(new().depth(depth)), expected);
        }
        assert!(new().depth(2).build().is_ok() && new().depth(127).build().is_ok());
    }
}
