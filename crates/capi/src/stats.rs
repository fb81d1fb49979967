//! Statistics.

use crate::boundary::{OutStruct, borrow, guard, sized};
use crate::error::{CI_OK, Failure, ci_error};
use crate::index::ci_index;
use std::ffi::c_int;

macro_rules! stats {
    ($($(#[$doc:meta])* $field:ident),* $(,)?) => {
        fn stats_of(stats: &cache_index::Stats) -> ci_stats {
            #[allow(clippy::unnecessary_cast, reason = "some of them are of 64 bits already")]
            ci_stats { size: 0, $($field: stats.$field as u64),* }
        }
    };
}

/// Totals of an index. Set `size` to `sizeof(struct ci_stats)`. Shards are read one after another
/// while other threads go on, so related numbers may be slightly inconsistent.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ci_stats {
    /// `sizeof(struct ci_stats)`.
    pub size: usize,
    /// Entries that may be served as they are. Those that a prefix purge reaches are never served,
    /// and count as before until the next store in their path or the sweep: `dead` may be too low.
    pub live: u64,
    /// Entries that may be served while they are refreshed.
    pub stale: u64,
    /// Entries that must not be served any more and were not reclaimed yet. Do not wait
    /// until it rises: call `ci_reclaim` after each flush and prefix purge, or from time to time.
    pub dead: u64,
    /// Paths with at least one live or stale entry.
    pub paths: u64,
    /// Tenants that were requested and not forgotten.
    pub tenants: u64,
    /// Forgotten tenants of which something is left.
    pub forgotten_tenants: u64,
    /// Leases that are neither committed nor freed.
    pub open_leases: u64,
    /// Leases of `ci_claim` that are neither committed nor freed.
    pub open_claims: u64,
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
    /// Prefix purges that not every older entry was checked against yet.
    pub prefix_rules: u64,
    /// Purges of a path.
    pub purges: u64,
    /// Purges of a prefix.
    pub prefix_purges: u64,
    /// Flushes of a tenant.
    pub tenant_flushes: u64,
    /// Flushes of everything.
    pub flushes: u64,
    /// Flushes over time.
    pub flushes_over_time: u64,
    /// Flushes over time that have not ended.
    pub running_flushes: u64,
    /// Heap memory of the index in bytes.
    pub bytes: u64,
}

sized!(ci_stats);

stats! {
    live, stale, dead, paths, tenants, forgotten_tenants, open_leases, open_claims,
    refused_purged, refused_flushed, refused_forgotten, refused_variants, refused_paths,
    refused_entries, refused_length, prefix_rules, purges, prefix_purges, tenant_flushes, flushes,
    flushes_over_time, running_flushes, bytes,
}

/// Reads the totals of an index. Any thread may call this at any time. It locks one shard after
/// another, shared: call it every few seconds, not with each request.
///
/// Returns CI_OK; CI_ERR_NULL, CI_ERR_SIZE: `*out` is left as it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_stats_get(
    index: *const ci_index,
    out: *mut ci_stats,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or a valid index, and NULL or structs that can be written to.
    unsafe {
        guard(error, || {
            let (index, out) = (borrow(index, "index")?, OutStruct::required(out, "out")?);
            out.write(stats_of(&index.index.stats()));
            Ok::<_, Failure>(CI_OK)
        })
    }
}
