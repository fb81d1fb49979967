//! The clock of flushes over time. Nothing else in the library reads a clock.
//!
//! Invariant: it never goes back, also not between two threads.

use crate::sync::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where an index takes the time from.
#[derive(Clone, Debug)]
pub(crate) enum TimeSource {
    Machine(Instant),
    Manual(ManualClock),
}

impl TimeSource {
    pub(crate) fn new(manual: Option<&ManualClock>) -> Self {
        match manual {
            Some(manual) => Self::Manual(manual.clone()),
            None => Self::Machine(Instant::now()),
        }
    }

    /// Returns the nanoseconds since some moment that stays the same.
    pub(crate) fn now(&self) -> u64 {
        match self {
            Self::Machine(start) => nanoseconds(start.elapsed()),
            Self::Manual(clock) => clock.now(),
        }
    }
}

/// The nanoseconds of a duration; of more than 584 years, as many as there can be.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A clock that moves only when it is advanced, for tests of servers that flush
/// [over time](crate::OverTime).
///
/// Clones are the same clock. An index uses it if it is set in the
/// [configuration](crate::ConfigBuilder::manual_clock).
///
/// # Examples
///
/// ```
/// use cache_index::{CacheIndex, Config, Lookup, ManualClock, OriginPath, VariantKey};
/// use std::time::Duration;
///
/// let clock = ManualClock::default();
/// let index = CacheIndex::new(Config::builder().manual_clock(&clock).build()?);
/// let tenant = index.tenant("doc");
/// let (birds, small) = (OriginPath::opaque("birds.jpg")?, VariantKey::opaque("200x100")?);
/// assert!(index.insert(&tenant, &birds, &small, 7_u64).is_stored());
///
/// index.flush_all_over(Duration::from_secs(60));
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(index.lookup(&tenant, &birds, &small), Lookup::Miss);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        // Relaxed: threads that order their calls in another way see each other's advances.
        self.0.fetch_add(nanoseconds(by), Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl PartialEq for ManualClock {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for ManualClock {}
