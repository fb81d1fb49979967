//! Disks without room for some files, and logs that fail again and again.

use crate::sim::{Fault, Sim};
use crate::wait_until;
use cache_index::{Hard, Lookup, OriginPath, Tenant, VariantKey};
use cache_index_persist::{Durability, PersistConfig, Persistent, Recovery, SyncPolicy};
use std::sync::Arc;
use std::time::Duration;

type Cache = Persistent<u64>;

fn open(sim: &Sim, sync: SyncPolicy) -> Cache {
    let config = PersistConfig::builder().sync(sync).snapshot_every(None);
    let config = config.segment_bytes(PersistConfig::MIN_SEGMENT_BYTES).build().unwrap();
    Persistent::open_on(Arc::new(sim.clone()), config).unwrap()
}

fn path(text: &str) -> OriginPath<'_> {
    OriginPath::from_canonical(text).unwrap()
}

fn key() -> VariantKey<'static> {
    VariantKey::from_canonical("?").unwrap()
}

fn segments(sim: &Sim) -> Vec<String> {
    sim.names().into_iter().filter(|name| name.starts_with("log-")).collect()
}

fn fill(cache: &Cache, tenant: &Tenant) {
    assert!(cache.insert(tenant, &path("a/1.jpg"), &key(), 7).is_stored());
}

/// Purges a path `times` times. Each record takes 64 bytes, and a segment has room for 128.
fn purge(cache: &Cache, tenant: &Tenant, times: usize) {
    for at in 0..times {
        assert!(cache.purge(tenant, &path("a/1.jpg"), Hard).is_durable(), "purge {at} of {times}");
    }
}

#[test]
fn snapshots_without_room_leave_no_segment_behind() {
    let sim = Sim::new(4096);
    let cache = open(&sim, SyncPolicy::Always);
    let tenant = cache.tenant("doc");
    fill(&cache, &tenant);
    sim.full(Some("snap-"));
    for _ in 0..5 {
        purge(&cache, &tenant, 1);
        assert!(cache.snapshot().is_err());
        assert_eq!(segments(&sim).len(), 1);
    }
    sim.full(None);
    fill(&cache, &tenant);
    assert_eq!(cache.snapshot().unwrap().entries, 1);
    assert_eq!(segments(&sim).len(), 1);
    drop(cache);
    // The records before the snapshot are in its segment, and not replayed over the later fill.
    let cache = open(&sim, SyncPolicy::Always);
    let recovery = cache.recovery();
    assert!(matches!(recovery, Recovery::Warm { entries: 1, replayed: 0, .. }), "{recovery:?}");
    let tenant = cache.tenant("doc");
    assert_eq!(cache.lookup(&tenant, &path("a/1.jpg"), &key()), Lookup::Live(7));
    purge(&cache, &tenant, 2);
    drop(cache);
    let cache = open(&sim, SyncPolicy::Always);
    let recovery = cache.recovery();
    assert!(matches!(recovery, Recovery::Warm { entries: 1, replayed: 2, .. }), "{recovery:?}");
    assert_eq!(cache.lookup(&cache.tenant("doc"), &path("a/1.jpg"), &key()), Lookup::Miss);
}

#[test]
fn a_log_that_fails_again_and_again_keeps_one_segment() {
    let sim = Sim::new(4096);
    let cache = open(&sim, SyncPolicy::Always);
    let tenant = cache.tenant("doc");
    fill(&cache, &tenant);
    sim.full(Some("snap-"));
    for _ in 0..5 {
        sim.fail_syncs(Some("log-"));
        assert!(!cache.purge(&tenant, &path("a/1.jpg"), Hard).is_durable());
        sim.fail_syncs(None);
        // Either this or the background thread starts a new segment.
        assert!(cache.snapshot().is_err());
        assert!(cache.persist_stats().fault.is_none());
        assert_eq!(segments(&sim).len(), 1, "{:?}", segments(&sim));
    }
    purge(&cache, &tenant, 1);
    assert!(!cache.persist_stats().would_start_warm);
    sim.full(None);
    assert!(cache.snapshot().is_ok());
    drop(cache);
    let cache = open(&sim, SyncPolicy::Always);
    assert!(matches!(cache.recovery(), Recovery::Warm { .. }), "{:?}", cache.recovery());
}

#[test]
fn a_snapshot_does_not_take_the_segment_that_the_log_needs() {
    let sim = Sim::new(4096);
    let cache = open(&sim, SyncPolicy::Always);
    let tenant = cache.tenant("doc");
    purge(&cache, &tenant, 70);
    wait_until("a segment is prepared", || segments(&sim).len() == 2);
    let spare = segments(&sim)[1].clone();
    // The spare is written in pieces.
    wait_until("it is written", || sim.read(&spare).unwrap().len() == 16 << 10);
    for _ in 0..3 {
        assert!(cache.snapshot().is_ok());
        purge(&cache, &tenant, 1);
    }
    assert!(sim.read(&spare).unwrap().iter().all(|&byte| byte == 0), "the spare was used");
    assert_eq!(segments(&sim).len(), 2);
}

#[test]
fn a_full_segment_without_room_for_the_next_one_is_named_and_healed() {
    for (prefix, what) in [
        ("log-", "new segment could not be created"),
        ("MANIFEST", "new segment could not be named"),
    ] {
        let sim = Sim::new(4096);
        let cache = open(&sim, SyncPolicy::Always);
        let tenant = cache.tenant("doc");
        sim.full(Some(prefix));
        purge(&cache, &tenant, 128);
        fill(&cache, &tenant);
        let purged = cache.purge(&tenant, &path("a/1.jpg"), Hard);
        let Durability::NotDurable(error) = purged.durability() else { panic!("{purged:?}") };
        assert_eq!(error.to_string(), what);
        assert!(!cache.persist_stats().would_start_warm);
        assert!(cache.snapshot().is_err());
        // It is followed by a cold start, so that even this purge is not undone.
        assert!(matches!(
            open(&sim.killed(), SyncPolicy::Always).recovery(),
            Recovery::Cold { .. }
        ));
        sim.full(None);
        assert!(cache.snapshot().is_ok());
        purge(&cache, &tenant, 1);
        drop(cache);
        // Not before: a slow thread may just be preparing the next one.
        assert_eq!(segments(&sim).len(), 1);
        let cache = open(&sim, SyncPolicy::Always);
        // The background thread was asked for a snapshot too, and may have written it last.
        let recovery = cache.recovery();
        assert!(matches!(recovery, Recovery::Warm { replayed: 0 | 1, .. }), "{recovery:?}");
        let found = cache.lookup(&cache.tenant("doc"), &path("a/1.jpg"), &key());
        assert_eq!(found, Lookup::Miss);
    }
}

#[test]
fn a_failed_sync_in_the_background_is_healed_without_another_call() {
    let sim = Sim::new(4096);
    let cache = open(&sim, SyncPolicy::Every(Duration::from_millis(1)));
    let tenant = cache.tenant("doc");
    // The first call writes. The second is the sync, after the purge has returned.
    sim.fail(1, Fault::Eio);
    let purged = cache.purge(&tenant, &path("a/1.jpg"), Hard);
    assert!(matches!(purged.durability(), Durability::Written), "{purged:?}");
    // Only the log's own thread can ask for this snapshot.
    wait_until("a snapshot is written", || cache.persist_stats().snapshots > 0);
    let stats = cache.persist_stats();
    assert!(stats.fault.is_none() && stats.would_start_warm, "{stats:?}");
    drop(cache);
    let cache = open(&sim, SyncPolicy::Always);
    assert!(
        matches!(cache.recovery(), Recovery::Warm { replayed: 0, .. }),
        "{:?}",
        cache.recovery()
    );
}
