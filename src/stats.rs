//! Counters per shard, and `Stats`, their sum.
//!
//! Invariant: no decision depends on these numbers. They are for people and their dashboards.

use crate::outcome::Refusal;

/// Totals of an index, as [`CacheIndex::stats`](crate::CacheIndex::stats) reads them.
///
/// Shards are read one after another while other threads go on, so related numbers may be slightly
/// inconsistent.
///
/// # Examples
///
/// ```
/// use cache_index::{CacheIndex, Hard, OriginPath, VariantKey};
///
/// let index = CacheIndex::default();
/// let tenant = index.tenant("doc");
/// let birds = OriginPath::from_canonical("sample.li/birds.jpg")?;
/// let small = VariantKey::from_canonical("?w=200")?;
/// assert!(index.insert(&tenant, &birds, &small, 7_u64).is_stored());
/// assert_eq!(index.stats().live, 1);
///
/// index.flush_all(Hard);
/// let stats = index.stats();
/// assert_eq!((stats.live, stats.dead), (0, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Entries that may be served as they are. Those that a prefix purge reaches are never served,
    /// and count as before until the next store in their path or the sweep.
    pub live: usize,
    /// Entries that may be served while they are refreshed.
    pub stale: usize,
    /// Entries that must not be served any more and whose memory, or value, has not been reclaimed
    /// yet.
    pub dead: usize,
    /// Paths with at least one live or stale entry.
    pub paths: usize,
    /// Tenants that were requested and not forgotten.
    pub tenants: usize,
    /// Forgotten tenants that still have dead entries, prefix rules, open leases, or handles that
    /// the caller keeps.
    pub forgotten_tenants: usize,
    /// Leases that were neither committed nor dropped so far.
    pub open_leases: usize,
    /// Those of the open leases that are [claims](crate::CacheIndex::claim).
    pub open_claims: usize,
    /// Commits refused because the path, or a prefix of it, had been purged.
    pub refused_purged: u64,
    /// Commits refused because the tenant, or everything, had been flushed.
    pub refused_flushed: u64,
    /// Values refused because their tenant had been forgotten.
    pub refused_forgotten: u64,
    /// Values refused because their path has the maximum number of variants.
    pub refused_variants: u64,
    /// Values refused because the index has the maximum number of paths.
    pub refused_paths: u64,
    /// Values refused because the index has the maximum number of entries.
    pub refused_entries: u64,
    /// Values refused because their path or key is too long.
    pub refused_length: u64,
    /// Prefix rules that are open: prefix purges that not every older entry was checked against
    /// yet.
    pub prefix_rules: usize,
    /// Purges of a path, hard and soft.
    pub purges: u64,
    /// Purges of a prefix, hard and soft.
    pub prefix_purges: u64,
    /// Flushes of a tenant, hard and soft. Forgetting a tenant is not counted.
    pub tenant_flushes: u64,
    /// Flushes of everything, hard and soft.
    pub flushes: u64,
    /// Flushes [over time](crate::OverTime), of everything or of a tenant. They are not counted as
    /// other flushes.
    pub flushes_over_time: u64,
    /// Those flushes over time that are running.
    pub running_flushes: usize,
    /// Heap memory of the index in bytes: text, tables and sets. Memory that the values themselves
    /// own is not counted.
    pub bytes: usize,
}

/// The counters of one shard.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ShardStats {
    pub(crate) purges: u64,
    purged: u64,
    flushed: u64,
    forgotten: u64,
    variants: u64,
    paths: u64,
    entries: u64,
    length: u64,
}

impl ShardStats {
    pub(crate) fn refused(&mut self, reason: Refusal) {
        *match reason {
            // Restoring reports what it refuses, and counts nothing here.
            Refusal::Newer => return,
            Refusal::Purged => &mut self.purged,
            Refusal::Flushed => &mut self.flushed,
            Refusal::Forgotten => &mut self.forgotten,
            Refusal::TooManyVariants => &mut self.variants,
            Refusal::TooManyPaths => &mut self.paths,
            Refusal::TooManyEntries => &mut self.entries,
            Refusal::PathTooLong | Refusal::KeyTooLong => &mut self.length,
        } += 1;
    }

    pub(crate) fn add_to(&self, total: &mut Stats) {
        total.purges += self.purges;
        total.refused_purged += self.purged;
        total.refused_flushed += self.flushed;
        total.refused_forgotten += self.forgotten;
        total.refused_variants += self.variants;
        total.refused_paths += self.paths;
        total.refused_entries += self.entries;
        total.refused_length += self.length;
    }
}
