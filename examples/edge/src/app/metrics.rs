//! Metrics: the counters of the edge, in the format of Prometheus.
//!
//! Invariant: the delivery of a cached picture costs one atomic addition and no lock. Counts of the
//! index and the store are read from them for each request of the metrics.

use super::edge::Edge;
use super::index::DurableState;
use cache_index::Stats;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::fs;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// One label and its value.
pub(crate) type Label = [(&'static str, &'static str); 1];
type Labels = [(&'static str, &'static str); 2];

/// The steps of all histograms, in seconds: from the time of a lookup to a time that is never
/// acceptable.
const STEPS: [f64; 22] = [
    1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1,
    0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
];

/// The counters of the edge.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) hits: Counter,
    pub(crate) stale_hits: Counter,
    pub(crate) misses: Counter,
    /// Misses that waited for the fill of another.
    pub(crate) joined: Counter,
    pub(crate) fills: Counter,
    /// Fills for which the origin answered that the picture has not changed.
    pub(crate) confirmed: Counter,
    pub(crate) refreshes: Counter,
    pub(crate) refreshes_failed: Counter,
    /// By status.
    pub(crate) faults: Family<[(&'static str, String); 2], Counter>,
    /// Entries of requests to invalidate, by scope and mode.
    pub(crate) purges: Family<Labels, Counter>,
    /// The time that the index needs for one request to invalidate.
    pub(crate) purge_seconds: Histogram,
    /// A whole request to invalidate, its body included.
    pub(crate) invalidation_seconds: Histogram,
    /// Invalidations that may be undone by a crash.
    pub(crate) not_durable: Counter,
    pub(crate) files: FileCounters,
    pub(crate) reclaimed: Counter,
    /// The time until the objects that a flush or a prefix purge has killed were deleted.
    pub(crate) reclaim_seconds: Histogram,
}

/// The counters of the files of objects.
pub(crate) struct FileCounters {
    pub(crate) read: Counter,
    /// Files that were deleted because they were not as they had been written.
    pub(crate) bad: Counter,
    pub(crate) not_written: Counter,
}

fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::default();
    registry.register(name, help, counter.clone());
    counter
}

fn histogram(registry: &mut Registry, name: &str, help: &str) -> Histogram {
    let histogram = Histogram::new(STEPS);
    registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
    histogram
}

impl FileCounters {
    fn new(registry: &mut Registry) -> Self {
        Self {
            read: counter(registry, "files_read", "Objects that were read from their files"),
            bad: counter(registry, "files_bad", "Damaged or foreign files that were deleted"),
            not_written: counter(registry, "files_not_written", "Files that can't be written"),
        }
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("edge");
        let r = &mut registry;
        let hits = counter(r, "hits", "Requests served from memory");
        let stale_hits = counter(r, "stale_hits", "Requests served stale while a refresh runs");
        let misses = counter(r, "misses", "Requests that nothing in memory could serve");
        let joined = counter(r, "misses_joined", "Misses that waited for the fill of another");
        let fills = counter(r, "fills", "Renditions that were made");
        let confirmed = counter(r, "fills_confirmed", "Fills that the origin answered with 304");
        let refreshes = counter(r, "refreshes", "Refreshes of stale renditions that were begun");
        let refreshes_failed = counter(r, "refreshes_failed", "Refreshes that failed");
        let faults = Family::default();
        r.register("faults", "Requests that were refused or failed", faults.clone());
        let purges = Family::default();
        r.register("purges", "Entries of requests to invalidate", purges.clone());
        let purge_seconds = histogram(r, "purge", "Time in the index of an invalidation");
        let invalidation_seconds =
            histogram(r, "invalidation", "Time of an invalidation, from head to reply");
        let not_durable =
            counter(r, "invalidations_not_durable", "Invalidations that a crash may undo");
        let on_disk = FileCounters::new(r);
        let reclaimed = counter(r, "reclaimed", "Dead entries whose objects were deleted");
        let reclaim_seconds =
            histogram(r, "reclaim", "Time from a flush until what it killed was deleted");
        Self {
            registry,
            hits,
            stale_hits,
            misses,
            joined,
            fills,
            confirmed,
            refreshes,
            refreshes_failed,
            faults,
            purges,
            purge_seconds,
            invalidation_seconds,
            not_durable,
            files: on_disk,
            reclaimed,
            reclaim_seconds,
        }
    }

    /// Counts a request that was refused, or that failed.
    pub(crate) fn fault(&self, listener: &'static str, status: u16) {
        let labels = [("listener", listener.to_owned()), ("status", status.to_string())];
        self.faults.get_or_create(&labels).inc();
    }

    /// All metrics, in the text format of Prometheus.
    pub(crate) fn render(edge: &Edge) -> String {
        let mut text = String::new();
        // Writing to a string can't fail.
        let _ = prometheus_text::encode(&mut text, &edge.metrics.registry);
        let _ = prometheus_text::encode(&mut text, &momentary(edge));
        text
    }
}

/// Returns the current values of the index, the store and the operating system.
fn momentary(edge: &Edge) -> Registry {
    let mut registry = Registry::with_prefix("edge");
    let stats = edge.index.stats();
    states_and_refusals(&mut registry, &stats);
    let evicted = Counter::<u64>::default();
    evicted.inc_by(edge.store.evicted());
    registry.register("evictions", "Objects that made room for others", evicted);
    let process = registry.sub_registry_with_prefix("process");
    gauge(process, "resident_memory_bytes", "Memory of the process", resident_bytes());
    for (name, help, value) in [
        ("paths", "Pictures with at least one entry", stats.paths as u64),
        ("index_bytes", "Heap of the index", stats.bytes as u64),
        (
            "prefix_rules",
            "Purges of prefixes that not every entry was held against yet",
            stats.prefix_rules as u64,
        ),
        ("open_leases", "Fills under way, as the index sees them", stats.open_leases as u64),
        (
            "flights",
            "Fills under way, as those who wait for them see them",
            edge.fills.len() as u64,
        ),
        ("objects", "Objects in the store", edge.store.len() as u64),
        ("store_bytes", "What they take up", edge.store.bytes()),
        ("store_capacity_bytes", "What they may take up", edge.store.capacity()),
    ] {
        gauge(&mut registry, name, help, value);
    }
    let lag = Gauge::<f64, AtomicU64>::default();
    lag.set(edge.reclaim_lag().as_secs_f64());
    registry.register(
        "reclaim_lag_seconds",
        "Age of the oldest flush whose dead are not yet deleted",
        lag,
    );
    if let Some(state) = edge.index.durable_state() {
        durable(&mut registry, edge, &state);
    }
    #[cfg(feature = "fleet")]
    if let super::index::Index::Fleet(member) = &edge.index {
        super::fleet::register(&mut registry, member);
    }
    if let Some(shield) = &edge.shield {
        shield.counters.register(&mut registry);
    }
    registry
}

/// Adds the entries by state, and the refused fills by reason.
fn states_and_refusals(registry: &mut Registry, stats: &Stats) {
    let entries = Family::<Label, Gauge<u64, AtomicU64>>::default();
    for (state, count) in [("live", stats.live), ("stale", stats.stale), ("dead", stats.dead)] {
        entries.get_or_create(&[("state", state)]).set(count as u64);
    }
    registry.register("entries", "Entries of the index", entries);
    let refused = Family::<Label, Counter>::default();
    for (reason, count) in [
        ("purged", stats.refused_purged),
        ("flushed", stats.refused_flushed),
        ("too many variants", stats.refused_variants),
        ("too many paths", stats.refused_paths),
        ("too many entries", stats.refused_entries),
        ("too long", stats.refused_length),
    ] {
        refused.get_or_create(&[("reason", reason)]).inc_by(count);
    }
    registry.register("fills_refused", "Fills whose result was not kept", refused);
}

/// Adds the state of the data in the directory.
fn durable(registry: &mut Registry, edge: &Edge, state: &DurableState) {
    let recovery = Family::<[(&'static str, String); 2], Gauge<u64, AtomicU64>>::default();
    let reason = state.recovery.reason.clone().unwrap_or_default();
    let labels = [("state", state.recovery.state.to_owned()), ("reason", reason)];
    recovery.get_or_create(&labels).set(1);
    registry.register("recovery", "The data that were found at the start", recovery);
    let DurableState { recovery, log, snapshots, .. } = state;
    for (name, help, value) in [
        ("recovered_entries", "Entries that were loaded at the start", recovery.entries),
        ("replayed_invalidations", "Invalidations that the start repeated", recovery.replayed),
        ("log_bytes", "Bytes in the log since the last snapshot", log.bytes),
        ("log_failed", "1 if invalidations are not durable now", u64::from(log.fault.is_some())),
        (
            "would_start_warm",
            "1 if a crash now would be followed by a warm start",
            u64::from(log.would_start_warm),
        ),
        ("orphans_done", "1 if all files of earlier starts were visited", {
            u64::from(edge.orphans.is_done())
        }),
        ("store_memory_bytes", "Objects that are also in memory", edge.store.memory_bytes()),
    ] {
        gauge(registry, name, help, value);
    }
    for (name, help, value) in [
        ("log_records", "Invalidations that were given to the log", log.records),
        ("log_syncs", "Syncs of the log", log.syncs),
        ("snapshots", "Snapshots that were written", snapshots.written),
        ("snapshots_failed", "Snapshots that could not be written", snapshots.failed),
        ("orphans_deleted", "Files that no entry named at the start", edge.orphans.deleted()),
    ] {
        let counter = Counter::<u64>::default();
        counter.inc_by(value);
        registry.register(name, help, counter);
    }
}

pub(crate) fn gauge(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let gauge = Gauge::<u64, AtomicU64>::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

/// Returns the memory of this process in bytes, or 0 if the operating system does not report it in
/// this way.
pub(crate) fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// For a histogram.
pub(crate) fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}
