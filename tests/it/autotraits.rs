//! Types that may cross threads.

use cache_index::invalidation::{
    InvalidationError, InvalidationLimits, InvalidationRequest, Receipt,
};
use cache_index::{
    CacheIndex, Claim, ClaimLease, Config, ConfigError, Dead, ExportCursor, ExportedPath,
    FillLease, Generation, Insertion, Lookup, ManualClock, OriginPath, OverTime, Purged, Reclaimed,
    Restore, Restored, RunningFlush, Stats, Tenant, VariantKey,
};

fn send_sync<T: Send + Sync>() {}
fn owned<T: 'static>() {}

#[test]
fn handles_leases_and_outcomes_cross_threads() {
    send_sync::<CacheIndex<u64>>();
    send_sync::<FillLease<u64>>();
    send_sync::<(Claim<u64>, ClaimLease<u64>)>();
    send_sync::<(ManualClock, OverTime, RunningFlush)>();
    send_sync::<Tenant>();
    send_sync::<OriginPath<'_>>();
    send_sync::<VariantKey<'_>>();
    send_sync::<Insertion<u64>>();
    send_sync::<Lookup<u64>>();
    send_sync::<Purged<u64>>();
    send_sync::<Reclaimed<u64>>();
    send_sync::<Dead<u64>>();
    send_sync::<(ExportCursor, ExportedPath<u64>)>();
    send_sync::<(Restore<u64>, Restored<u64>)>();
    send_sync::<Receipt<u64>>();
    send_sync::<(InvalidationRequest, InvalidationLimits, InvalidationError)>();
    send_sync::<(Config, ConfigError, Generation, Stats)>();
    owned::<FillLease<u64>>();
    owned::<Restore<u64>>();
}
