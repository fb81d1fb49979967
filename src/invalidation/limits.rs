//! `InvalidationLimits`: upper bounds for one request.
//!
//! Invariant: valid limits admit at least one request. No figure is silently rounded.

use crate::config::ConfigError;

/// The upper bounds for one invalidation request.
///
/// # Examples
///
/// ```
/// use cache_index::invalidation::InvalidationLimits;
///
/// let limits = InvalidationLimits::builder()
///     .entries(InvalidationLimits::DOCUMENTED_ENTRIES)
///     .build()?;
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
///
/// # Examples
///
/// ```
/// use cache_index::invalidation::InvalidationLimits;
///
/// let limits = InvalidationLimits::builder().entries(10).transformations(5).depth(4).build()?;
/// assert_eq!((limits.entries(), limits.transformations(), limits.depth()), (10, 5, 4));
/// # Ok::<(), cache_index::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "settings have no effect before `build`"]
pub struct InvalidationLimitsBuilder(InvalidationLimits);

impl InvalidationLimits {
    /// The maximum number of entries of `urls` that the hosted API documents, in its support
    /// article of 2022. Its console documents 10.
    pub const DOCUMENTED_ENTRIES: usize = 15;
    /// The default maximum number of entries of `urls`. In this process an entry costs microseconds
    /// instead of a minute, so more entries are allowed.
    pub const DEFAULT_ENTRIES: usize = 1000;
    /// The default maximum number of entries of `transformations`. Every variant of every named
    /// picture is compared with each of them.
    pub const DEFAULT_TRANSFORMATIONS: usize = 50;
    /// The default maximum size of the JSON text: 1 MiB.
    pub const DEFAULT_BYTES: usize = 1 << 20;
    /// The default maximum nesting depth of the JSON text. A valid request is never deeper than
    /// [`Self::NEEDED_DEPTH`].
    pub const DEFAULT_DEPTH: usize = 16;
    /// The nesting depth of a valid request: a list in an object.
    pub const NEEDED_DEPTH: usize = 2;
    /// The upper bound for the nesting depth.
    pub const MAX_DEPTH: usize = 127;

    /// Creates a builder with the defaults.
    pub fn builder() -> InvalidationLimitsBuilder {
        InvalidationLimitsBuilder(Self::default())
    }

    /// Returns the maximum number of entries of `urls`, duplicates included.
    #[must_use]
    pub const fn entries(&self) -> usize {
        self.entries
    }

    /// Returns the maximum number of entries of `transformations`.
    #[must_use]
    pub const fn transformations(&self) -> usize {
        self.transformations
    }

    /// Returns the maximum size of the JSON text in bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the maximum nesting depth of the JSON text.
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
    /// Sets the maximum number of entries of `urls`, at least one.
    pub const fn entries(mut self, entries: usize) -> Self {
        self.0.entries = entries;
        self
    }

    /// Sets the maximum number of entries of `transformations`, at least one.
    pub const fn transformations(mut self, transformations: usize) -> Self {
        self.0.transformations = transformations;
        self
    }

    /// Sets the maximum size of the JSON text in bytes, at least one.
    pub const fn bytes(mut self, bytes: usize) -> Self {
        self.0.bytes = bytes;
        self
    }

    /// Sets the maximum nesting depth of the JSON text, from [`InvalidationLimits::NEEDED_DEPTH`]
    /// to [`InvalidationLimits::MAX_DEPTH`].
    pub const fn depth(mut self, depth: usize) -> Self {
        self.0.depth = depth;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// If a limit is zero, or the depth is out of range.
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
