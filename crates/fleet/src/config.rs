//! `FleetConfig`: the settings of a node, checked when they are built.

use crate::gate::WhenShut;
use std::fmt;
use std::time::Duration;

/// The settings of a node of a fleet.
///
/// # Examples
///
/// ```
/// use cache_index_fleet::{FleetConfig, WhenShut};
/// use std::time::Duration;
///
/// let config = FleetConfig::builder("pop-fra-1")
///     .fresh_for(Duration::from_secs(3))
///     .when_shut(WhenShut::Refuse)
///     .build()?;
/// assert_eq!(config.name(), "pop-fra-1");
/// assert!(FleetConfig::builder("pop fra").build().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetConfig {
    name: String,
    fresh_for: Duration,
    longest_fresh_for: Duration,
    when_shut: WhenShut,
    outbox_limit: usize,
    patience: Duration,
    keeps_removed: bool,
    flushes_at_once: bool,
}

/// Builds a [`FleetConfig`].
///
/// # Examples
///
/// ```
/// use cache_index_fleet::FleetConfig;
/// use std::time::Duration;
///
/// let shield = FleetConfig::builder("shield-1")
///     .fresh_for(Duration::from_secs(30))
///     .flushes_at_once(true)
///     .keep_removed(true)
///     .patience(Duration::from_secs(2))
///     .build()?;
/// // No node of the fleet has less than this one.
/// assert_eq!(shield.longest_fresh_for(), Duration::from_secs(30));
/// assert!(shield.flushes_at_once() && shield.keeps_removed());
/// # Ok::<(), cache_index_fleet::FleetConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct FleetConfigBuilder(FleetConfig);

/// The error for a setting that cannot be used.
///
/// # Examples
///
/// ```
/// use cache_index_fleet::FleetConfig;
///
/// let error = FleetConfig::builder("pop-1").outbox_limit(0).build().unwrap_err();
/// assert_eq!(error.to_string(), "limit of the outbox must be at least 2, got 0");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetConfigError {
    setting: &'static str,
    expected: &'static str,
    got: String,
}

impl FleetConfig {
    /// Creates a builder for the node `name`, which no other node of the fleet may have. Defaults:
    /// - fresh for 5 seconds after a proof, and no node of the fleet for longer than 10
    /// - hits are stale while the gate is shut
    /// - at most 100,000 invalidations in the outbox
    /// - calls wait for at most 15 seconds
    pub fn builder(name: impl Into<String>) -> FleetConfigBuilder {
        FleetConfigBuilder(Self {
            name: name.into(),
            fresh_for: Duration::from_secs(5),
            longest_fresh_for: Duration::from_secs(10),
            when_shut: WhenShut::ServeStale,
            outbox_limit: 100_000,
            patience: Duration::from_secs(15),
            keeps_removed: false,
            flushes_at_once: false,
        })
    }

    /// Returns the name of the node.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns for how long the node serves as fresh after a proof.
    pub fn fresh_for(&self) -> Duration {
        self.fresh_for
    }

    /// Returns the longest such time of any node.
    pub fn longest_fresh_for(&self) -> Duration {
        self.longest_fresh_for
    }

    /// Returns what is served while the gate is shut.
    pub fn when_shut(&self) -> WhenShut {
        self.when_shut
    }

    /// Returns how many invalidations may wait in the outbox.
    pub fn outbox_limit(&self) -> usize {
        self.outbox_limit
    }

    /// Returns how long a call waits for its level.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// Returns whether values that other nodes' purges remove are kept.
    pub fn keeps_removed(&self) -> bool {
        self.keeps_removed
    }

    /// Returns whether flushes over time are applied at once on this node.
    pub fn flushes_at_once(&self) -> bool {
        self.flushes_at_once
    }
}

impl FleetConfigBuilder {
    /// Sets for how long the node serves as fresh after a proof, from 200 ms to an hour.
    pub fn fresh_for(mut self, period: Duration) -> Self {
        self.0.fresh_for = period;
        self.0.longest_fresh_for = self.0.longest_fresh_for.max(period);
        self
    }

    /// Sets the longest time for which any node of the fleet serves as fresh after a proof. A node
    /// that has just joined waits that long for nodes that it does not know yet.
    pub fn longest_fresh_for(mut self, period: Duration) -> Self {
        self.0.longest_fresh_for = period;
        self
    }

    /// Sets what is served while the gate is shut.
    pub fn when_shut(mut self, when_shut: WhenShut) -> Self {
        self.0.when_shut = when_shut;
        self
    }

    /// Sets how many invalidations may wait in the outbox. Beyond that, one flush of everything
    /// takes their place.
    pub fn outbox_limit(mut self, limit: usize) -> Self {
        self.0.outbox_limit = limit;
        self
    }

    /// Sets how long a call waits for its level.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.0.patience = patience;
        self
    }

    /// Sets whether values that other nodes' purges remove are kept for
    /// [`Fleet::take_removed`](crate::Fleet::take_removed). Otherwise they are dropped.
    pub fn keep_removed(mut self, keep: bool) -> Self {
        self.0.keeps_removed = keep;
        self
    }

    /// Sets whether flushes over time are applied at once on this node. **Set it on a shield**: the
    /// edges that fetch from it would keep one of its older entries as a new one, beyond the end of
    /// the flush. The load of the origin stays spread: edges ask for a picture at its moment.
    pub fn flushes_at_once(mut self, at_once: bool) -> Self {
        self.0.flushes_at_once = at_once;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// If a setting is out of its range. The error names it.
    pub fn build(self) -> Result<FleetConfig, FleetConfigError> {
        let config = self.0;
        let error = |setting, expected, got| Err(FleetConfigError { setting, expected, got });
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if config.name.is_empty() || config.name.len() > 64 || !config.name.chars().all(is_plain) {
            let expected = "1 to 64 letters, digits, '-', '_' or '.'";
            return error("name of a node", expected, format!("{:?}", config.name));
        }
        let range = Duration::from_millis(200)..=Duration::from_secs(3600);
        if !range.contains(&config.fresh_for) {
            let got = format!("{:?}", config.fresh_for);
            return error("time of freshness", "from 200 ms to 1 hour", got);
        }
        if config.longest_fresh_for < config.fresh_for {
            let got = format!("{:?}", config.longest_fresh_for);
            return error("longest time of freshness", "at least that of this node", got);
        }
        if config.outbox_limit < 2 {
            let got = config.outbox_limit.to_string();
            return error("limit of the outbox", "at least 2", got);
        }
        Ok(config)
    }
}

impl fmt::Display for FleetConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be {}, got {}", self.setting, self.expected, self.got)
    }
}

impl std::error::Error for FleetConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_refused_by_name() {
        let error = |builder: FleetConfigBuilder| builder.build().unwrap_err().to_string();
        let new = || FleetConfig::builder("a");
        let names = "name of a node must be 1 to 64 letters, digits, '-', '_' or '.', got ";
        assert_eq!(error(FleetConfig::builder("")), format!("{names}\"\""));
        assert_eq!(error(FleetConfig::builder("a*")), format!("{names}\"a*\""));
        assert_eq!(
            error(new().fresh_for(Duration::from_millis(199))),
            "time of freshness must be from 200 ms to 1 hour, got 199ms"
        );
        assert_eq!(
            error(new().longest_fresh_for(Duration::from_secs(1))),
            "longest time of freshness must be at least that of this node, got 1s"
        );
        assert_eq!(error(new().outbox_limit(1)), "limit of the outbox must be at least 2, got 1");
    }
}
