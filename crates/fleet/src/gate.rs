//! `Gate`: whether a node may serve as fresh.
//!
//! Invariant: the gate is open only until the time of the last proof plus the configured period. A
//! proof is the time at which a question was sent whose answer showed that nothing was missing, so
//! a slow network, a frozen process and a queue cannot make it newer.

use crate::time::Moment;
use cache_index::Lookup;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The permission to serve. [`Fleet::gate`](crate::Fleet::gate) returns it.
///
/// # Examples
///
/// ```
/// use cache_index::Lookup;
/// use cache_index_fleet::Admission;
///
/// assert_eq!(Admission::Serve.admit(Lookup::Live(7)), Lookup::Live(7));
/// assert_eq!(Admission::ServeStale.admit(Lookup::Live(7)), Lookup::Stale(7));
/// assert_eq!(Admission::Refuse.admit(Lookup::Live(7)), Lookup::Miss);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The node knows every invalidation that is older than the configured period.
    Serve,
    /// It cannot prove that: every hit is stale.
    ServeStale,
    /// It cannot prove that: every hit is a miss.
    Refuse,
}

impl Admission {
    /// Applies the gate to the result of a lookup.
    pub fn admit<V>(self, lookup: Lookup<V>) -> Lookup<V> {
        match (self, lookup) {
            (Self::ServeStale, Lookup::Live(value)) => Lookup::Stale(value),
            (Self::Serve | Self::ServeStale, lookup) => lookup,
            (Self::Refuse, _) => Lookup::Miss,
        }
    }
}

/// The behavior of a node while its gate is shut.
///
/// # Examples
///
/// ```
/// use cache_index_fleet::{FleetConfig, WhenShut};
///
/// let config = FleetConfig::builder("pop-1").when_shut(WhenShut::Refuse).build()?;
/// assert_eq!(config.when_shut(), WhenShut::Refuse);
/// assert_eq!(WhenShut::default(), WhenShut::ServeStale);
/// # Ok::<(), cache_index_fleet::FleetConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenShut {
    /// Hits are stale.
    #[default]
    ServeStale,
    /// Hits are misses.
    Refuse,
}

/// The gate in front of lookups.
#[derive(Debug)]
pub(crate) struct Gate {
    /// The nanosecond at which the gate shuts; 0 while it has never been opened.
    until: AtomicU64,
    when_shut: Admission,
}

impl Gate {
    pub(crate) fn new(when_shut: WhenShut) -> Self {
        let when_shut = match when_shut {
            WhenShut::ServeStale => Admission::ServeStale,
            WhenShut::Refuse => Admission::Refuse,
        };
        Self { until: AtomicU64::new(0), when_shut }
    }

    // One load and one comparison. Acquire: a thread that sees a later deadline also sees the
    // invalidations that were applied before it was set.
    #[inline]
    pub(crate) fn admission(&self, now: Moment) -> Admission {
        if now.as_nanos() < self.until.load(Ordering::Acquire) {
            Admission::Serve
        } else {
            self.when_shut
        }
    }

    /// Keeps the gate open for `period` from the time of a proof on.
    pub(crate) fn prove(&self, at: Moment, period: Duration) {
        self.until.fetch_max(at.plus(period).as_nanos(), Ordering::Release);
    }

    /// Shuts the gate.
    pub(crate) fn shut(&self) {
        self.until.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> Moment {
        Moment::from_nanos(nanos)
    }

    #[test]
    fn the_gate_is_shut_until_the_first_proof_and_after_the_period() {
        let gate = Gate::new(WhenShut::Refuse);
        assert_eq!(gate.admission(at(0)), Admission::Refuse);
        gate.prove(at(10), Duration::from_nanos(5));
        assert_eq!(gate.admission(at(14)), Admission::Serve);
        assert_eq!(gate.admission(at(15)), Admission::Refuse);
    }

    #[test]
    fn an_older_proof_does_not_shorten_a_newer_one() {
        let gate = Gate::new(WhenShut::ServeStale);
        gate.prove(at(10), Duration::from_nanos(5));
        gate.prove(at(3), Duration::from_nanos(5));
        assert_eq!(gate.admission(at(14)), Admission::Serve);
        gate.shut();
        assert_eq!(gate.admission(at(14)), Admission::ServeStale);
    }
}
