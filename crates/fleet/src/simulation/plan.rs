//! The choices for a run, derived from its seed.

use std::time::Duration;

pub(super) const SECOND: u64 = 1_000_000_000;
pub(super) const MILLI: u64 = 1_000_000;

/// The choices for a run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) sites: usize,
    pub(super) paths: usize,
    pub(super) period: Duration,
    /// How long faults happen, in nanoseconds.
    pub(super) faulty: u64,
    /// How long everything is well afterwards.
    pub(super) healed: u64,
    /// The mean time between faults of nodes and network; 0 for none.
    pub(super) node_faults: u64,
    /// The mean time between faults of the engine; 0 for none.
    pub(super) engine_faults: u64,
    /// The engine also loses, restores and forgets.
    pub(super) is_lossy: bool,
    /// Disks of nodes are lost.
    pub(super) loses_disks: bool,
    /// The mean time between two purges.
    pub(super) purges: u64,
    /// The mean time between two lookups.
    pub(super) lookups: u64,
    pub(super) is_verbose: bool,
}

impl Plan {
    pub(super) fn any(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed ^ 0x5eed);
        let sites = match seed {
            _ if seed % 2000 == 1999 => 300,
            _ if seed % 100 == 99 => random.usize(30..80),
            _ => random.usize(3..8),
        };
        let period = Duration::from_millis([1000, 2000, 5000][random.usize(..3)]);
        let nanos = u64::try_from(period.as_nanos()).expect("seconds");
        Self {
            seed,
            sites,
            paths: random.usize(1..6),
            period,
            faulty: if sites > 20 { 4 * nanos } else { nanos * random.u64(6..16) },
            healed: nanos * 8 + 12 * SECOND,
            node_faults: nanos / random.u64(1..6),
            engine_faults: nanos * random.u64(1..5),
            is_lossy: true,
            loses_disks: random.u8(..4) == 0,
            purges: [20, 100, 400][random.usize(..3)] * MILLI,
            lookups: 30 * MILLI,
            is_verbose: false,
        }
    }

    /// Nodes, network and engine fail, but the engine keeps what it has acknowledged.
    pub(super) fn lossless(seed: u64) -> Self {
        Self { is_lossy: false, loses_disks: false, ..Self::any(seed) }
    }

    /// Nothing fails, and nobody purges.
    pub(super) fn quiet(seed: u64) -> Self {
        let plan = Self::any(seed);
        let (node_faults, engine_faults, purges) = (0, 0, 0);
        let faulty = 20 * u64::try_from(plan.period.as_nanos()).expect("seconds");
        Self { node_faults, engine_faults, purges, loses_disks: false, faulty, ..plan }
    }
}
