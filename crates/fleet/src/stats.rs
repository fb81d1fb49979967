//! `FleetStats`: the state and the counts of a node, for metrics.

use crate::gate::Admission;
use crate::level::Reach;
use crate::machine::FlushReason;
use std::collections::BTreeMap;
use std::time::Duration;

/// State and counts of a node. [`Fleet::stats`](crate::Fleet::stats) returns them.
///
/// # Examples
///
/// ```
/// use cache_index::Hard;
/// use cache_index_fleet::{Admission, Durable, Fleet, FleetConfig, MemoryEngine, Reach};
/// use cache_index_persist::{PersistConfig, Persistent};
///
/// # tokio::runtime::Builder::new_multi_thread().enable_time().build()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
/// # let config = FleetConfig::builder("pop-1").build()?;
/// let fleet = Fleet::join(cache, config, MemoryEngine::new());
/// fleet.serves_fresh().await;
/// let _ = fleet.flush_all(Hard, Durable).await?;
///
/// let stats = fleet.stats();
/// assert_eq!((stats.gate, stats.is_caught_up, stats.members), (Admission::Serve, true, 1));
/// assert_eq!(stats.flushes["no position"], 1);
/// assert_eq!((stats.latency[&Reach::Durable].count, stats.not_reached), (1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FleetStats {
    /// The permission to serve.
    pub gate: Admission,
    /// The last message of the stream that was applied.
    pub position: u64,
    /// Messages that were in the stream when the reader was opened, and are not applied yet.
    pub lag: u64,
    /// Whether the node follows the stream and has no lag.
    pub is_caught_up: bool,
    /// Own invalidations that the stream has not delivered yet.
    pub outbox: usize,
    /// Nodes that may serve as fresh, with this one.
    pub members: usize,
    /// Messages that were applied.
    pub messages: u64,
    /// Invalidations of other nodes that were applied.
    pub invalidations: u64,
    /// Proofs that nothing was missing.
    pub proofs: u64,
    /// Ticks that this node has tried to append.
    pub ticks: u64,
    /// Flushes of everything, by reason.
    pub flushes: BTreeMap<&'static str, u64>,
    /// Flushes of everything because the stream has lost messages that some node had applied.
    pub losses: u64,
    /// Messages that were sent again.
    pub resent: u64,
    /// How often the outbox was full, so that everything is flushed.
    pub collapsed: u64,
    /// Rounds of checks of the stream.
    pub checks: u64,
    /// Messages that were missing between two others, until they were read again.
    pub gaps: u64,
    /// Messages that had been applied before, and were ignored.
    pub repeated: u64,
    /// Damaged messages. Everything was flushed.
    pub damaged: u64,
    /// Messages of an unknown version. Everything was flushed.
    pub unknown_version: u64,
    /// Invalidations for tenants that this node does not know. The tenant was flushed.
    pub unknown_tenants: u64,
    /// Announcements that could not be read. They were ignored, as nothing is proven by them.
    pub bad_announcements: u64,
    /// Invalidations by level that have reached it.
    pub latency: BTreeMap<Reach, Latency>,
    /// Invalidations that did not reach their level in time.
    pub not_reached: u64,
    /// Other nodes that run with the name of this one. Each of them may skip invalidations of the
    /// other: one must be stopped, and joined again with another name and an empty directory.
    pub namesakes: usize,
}

/// How long invalidations took to reach their level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Latency {
    /// How many have reached it.
    pub count: u64,
    /// The sum of their times.
    pub total: Duration,
    /// The longest time.
    pub longest: Duration,
}

impl Latency {
    pub(crate) fn add(&mut self, took: Duration) {
        self.count += 1;
        self.total += took;
        self.longest = self.longest.max(took);
    }
}

impl FlushReason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NoPosition => "no position",
            Self::CreatedAnew => "stream created anew",
            Self::EndsBefore => "stream ends before the position",
            Self::OtherMessage => "other message at the position",
            Self::Missed => "messages are no longer kept",
            Self::Unrecognized => "position is no longer kept",
            Self::Hole => "message is missing",
        }
    }
}
