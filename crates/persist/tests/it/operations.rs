//! The operations on a real file system.

use crate::sim::Sim;
use crate::wait_until;
use cache_index::canonical::Rules;
use cache_index::invalidation::InvalidationRequest;
use cache_index::{Config, Hard, Lookup, OriginPath, PathPrefix, Selection, Soft, VariantKey};
use cache_index_persist::{
    Codec, Durability, PersistConfig, Persistent, Recovery, Scope, SyncPolicy, inspect,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn path(text: &str) -> OriginPath<'_> {
    OriginPath::from_canonical(text).unwrap()
}

fn key(text: &str) -> VariantKey<'_> {
    VariantKey::from_canonical(text).unwrap()
}

fn config(sync: SyncPolicy) -> PersistConfig {
    PersistConfig::builder().sync(sync).snapshot_every(None).build().unwrap()
}

fn open(dir: &Path) -> Persistent<u64> {
    Persistent::open(dir, config(SyncPolicy::Always)).unwrap()
}

#[test]
fn stale_entries_come_back_stale() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let tenant = cache.tenant("doc");
    assert!(cache.insert(&tenant, &path("a/1.jpg"), &key("?w=1"), 1).is_stored());
    assert!(cache.purge(&tenant, &path("a/1.jpg"), Soft).is_durable());
    assert!(cache.insert(&tenant, &path("a/1.jpg"), &key("?w=2"), 2).is_stored());
    cache.close().unwrap();
    let cache = open(dir.path());
    let tenant = cache.tenant("doc");
    assert_eq!(cache.lookup(&tenant, &path("a/1.jpg"), &key("?w=1")), Lookup::Stale(1));
    assert_eq!(cache.lookup(&tenant, &path("a/1.jpg"), &key("?w=2")), Lookup::Live(2));
    let Recovery::Warm { entries, replayed, closed, torn, .. } = cache.recovery() else { panic!() };
    assert_eq!((*entries, *replayed, *closed, *torn), (2, 0, true, false));
}

#[test]
fn a_closed_index_holds_in_memory_and_promises_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let tenant = cache.tenant("doc");
    assert!(cache.insert(&tenant, &path("a/1.jpg"), &key("?"), 1).is_stored());
    cache.close().unwrap();
    cache.close().unwrap();
    let (purged, durability) = cache.purge(&tenant, &path("a/1.jpg"), Hard).into_parts();
    assert_eq!(purged.len(), 1);
    let Durability::NotDurable(error) = durability else { panic!("{durability:?}") };
    assert_eq!(error.to_string(), "index is closed");
    // The directory is free.
    assert!(matches!(open(dir.path()).recovery(), Recovery::Warm { entries: 1, .. }));
}

#[test]
fn callers_that_wait_together_share_syncs() {
    const THREADS: usize = 32;
    let sim = Sim::new(4096);
    let cache = Arc::new(crate::history::open(&sim).unwrap());
    let tenant = cache.tenant("doc");
    sim.before_sync({
        let cache = Arc::downgrade(&cache);
        // The first sync takes until the records of all callers are given to the log.
        move || {
            let Some(cache) = cache.upgrade() else { return };
            wait_until("all callers wait", || cache.persist_stats().log_records == THREADS as u64);
        }
    });
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (cache, tenant) = (&cache, &tenant);
            scope.spawn(move || {
                let path: OriginPath<'_> = format!("a/{thread}.jpg").parse().unwrap();
                assert!(cache.purge(tenant, &path, Hard).is_durable());
            });
        }
    });
    let stats = cache.persist_stats();
    assert_eq!(stats.log_records, THREADS as u64);
    assert!(stats.log_syncs <= 2, "{} syncs for {THREADS} records", stats.log_syncs);
}

#[test]
fn next_segment_is_prepared_before_it_is_needed() {
    // The thread that prepares it may be slow. Then the log does not wait for it.
    assert!((0..100).any(|_| is_next_segment_used()), "no prepared segment was used");
}

/// Fills a segment, and another one. Returns whether the second was one that had been prepared.
fn is_next_segment_used() -> bool {
    let sim = Sim::new(4096);
    let cache = crate::history::open(&sim).unwrap();
    let tenant = cache.tenant("doc");
    let logs = || {
        let names = sim.names().into_iter();
        names.filter(|name| name.starts_with("log-")).collect::<Vec<_>>()
    };
    let purge = |times: usize| {
        for _ in 0..times {
            assert!(cache.purge(&tenant, &path("a/1.jpg"), Hard).is_durable());
        }
    };
    // A record takes 64 bytes, and a segment of 16 KiB has room for 128 of them.
    purge(64);
    assert_eq!(logs().len(), 1);
    purge(6);
    wait_until("a segment is prepared", || logs().len() == 2);
    let prepared = logs()[1].clone();
    wait_until("it is written", || sim.read(&prepared).unwrap().len() == 16 << 10);
    assert!(sim.read(&prepared).unwrap().iter().all(|&byte| byte == 0));
    purge(60);
    if logs().len() > 2 || sim.read(&prepared).unwrap().iter().all(|&byte| byte == 0) {
        return false;
    }
    // Another one, which is not used, and is removed.
    purge(64);
    wait_until("another segment is prepared", || logs().len() == 3);
    drop(cache);
    assert_eq!(logs().len(), 2);
    let cache = crate::history::open(&sim).unwrap();
    assert!(matches!(cache.recovery(), Recovery::Warm { replayed: 194, .. }));
    true
}

#[test]
fn policies_that_do_not_wait_promise_no_more_than_they_keep() {
    for policy in [SyncPolicy::Never, SyncPolicy::Every(Duration::from_secs(3600))] {
        let dir = tempfile::tempdir().unwrap();
        let cache = Persistent::<u64>::open(dir.path(), config(policy)).unwrap();
        let tenant = cache.tenant("doc");
        let durability = cache.purge(&tenant, &path("a/1.jpg"), Hard).into_parts().1;
        assert!(matches!(durability, Durability::Written), "{durability:?}");
        assert_eq!(cache.persist_stats().log_syncs, 0);
        drop(cache);
        assert!(matches!(open(dir.path()).recovery(), Recovery::Warm { replayed: 1, .. }));
    }
}

#[test]
fn records_that_wait_are_synced_within_the_period() {
    let dir = tempfile::tempdir().unwrap();
    let policy = SyncPolicy::Every(Duration::from_millis(1));
    let cache = Persistent::<u64>::open(dir.path(), config(policy)).unwrap();
    let tenant = cache.tenant("doc");
    // Ends as soon as one sync has come by itself; the second purge is not what causes it.
    let _ = cache.purge(&tenant, &path("a/1.jpg"), Hard);
    wait_until("a sync has come", || cache.persist_stats().log_syncs > 0);
}

#[test]
fn snapshots_are_written_by_time_and_by_size() {
    let dir = tempfile::tempdir().unwrap();
    let by_time = PersistConfig::builder().snapshot_every(Some(Duration::from_millis(1)));
    let cache = Persistent::<u64>::open(dir.path().join("time"), by_time.build().unwrap()).unwrap();
    wait_until("two snapshots are written", || cache.persist_stats().snapshots >= 2);
    let by_size = PersistConfig::builder().snapshot_after_bytes(4096).build().unwrap();
    let cache = Persistent::<u64>::open(dir.path().join("size"), by_size).unwrap();
    let tenant = cache.tenant("doc");
    while cache.persist_stats().snapshots == 0 {
        assert!(cache.purge(&tenant, &path("a/1.jpg"), Hard).is_durable());
    }
    assert!(cache.persist_stats().log_records > 40);
}

#[test]
fn a_process_that_crashes_again_and_again_does_not_fill_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let config = PersistConfig::builder()
        .segment_bytes(PersistConfig::MIN_SEGMENT_BYTES)
        .snapshot_after_bytes(4 * PersistConfig::MIN_SEGMENT_BYTES);
    let config = config.build().unwrap();
    let open = || Persistent::<u64>::open(dir.path(), config.clone()).unwrap();
    for _ in 0..4 {
        let cache = open();
        assert!(cache.purge(&cache.tenant("doc"), &path("a/1.jpg"), Hard).is_durable());
    }
    // The segments of the processes before are reason enough for a snapshot.
    let cache = open();
    wait_until("a snapshot is written", || cache.persist_stats().snapshots > 0);
    drop(cache);
    let files = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(files, 4, "lock, manifest, snapshot and segment");
}

#[test]
fn records_too_long_for_the_log_are_logged_as_more_than_was_asked() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let tenant = cache.tenant("doc");
    let keys: Vec<VariantKey<'_>> =
        (1..10_000).map(|width| format!("?w={width}").parse().unwrap()).collect();
    let purged = cache.purge_selected(&tenant, &path("a/1.jpg"), Selection::Keys(&keys), Hard);
    assert!(purged.is_durable());
    drop(cache);
    let found = inspect::directory(dir.path(), |_, _| ()).unwrap();
    let records = found.segments[0].records.as_ref().unwrap();
    let whole = Scope::Path { tenant: "doc".to_owned(), path: "a/1.jpg".to_owned() };
    assert_eq!(records[0].1.scope, whole);
}

#[test]
fn requests_are_logged_whole() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let tenant = cache.tenant("doc");
    for (at, name) in
        ["a/1.jpg", "a/2.jpg", "b/1.jpg", "c/1.jpg", "d/1.jpg"].into_iter().enumerate()
    {
        assert!(cache.insert(&tenant, &path(name), &key("?w=200"), at as u64).is_stored());
        assert!(cache.insert(&tenant, &path(name), &key("?w=300"), at as u64).is_stored());
    }
    cache.snapshot().unwrap();
    let rules = Rules::builder().allow_wildcards().build().unwrap();
    let request = InvalidationRequest::builder(&rules).original(["/a/*", "/b/1.jpg"]).unwrap();
    let applied = cache.on_behalf_of("alice").apply(&tenant, &request);
    assert!(applied.is_durable());
    assert_eq!(applied.outcome().entries().len(), 2);
    let request =
        InvalidationRequest::builder(&rules).transformations(["?w=200"]).original(["/c/1.jpg"]);
    assert!(cache.apply(&tenant, &request.unwrap()).is_durable());
    let request = InvalidationRequest::builder(&rules).urls(["/d/1.jpg?w=200"]).unwrap();
    let applied = cache.apply(&tenant, &request);
    assert!(applied.is_durable());
    assert_eq!(applied.outcome().variants(), 1);
    drop(cache);
    let cache = open(dir.path());
    let tenant = cache.tenant("doc");
    for name in ["a/1.jpg", "a/2.jpg", "b/1.jpg"] {
        assert!(cache.variants(&tenant, &path(name)).is_empty(), "{name}");
    }
    // Requests that name variants.
    assert_eq!(cache.variants(&tenant, &path("c/1.jpg")), [key("?w=300")]);
    assert_eq!(cache.variants(&tenant, &path("d/1.jpg")), [key("?w=300")]);
    let mut values: Vec<u64> = cache.values().collect();
    values.sort_unstable();
    assert_eq!(values, [3, 4]);
}

#[test]
fn purges_of_opaque_names_are_replayed_exactly() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let tenant = cache.tenant("doc");
    let odd = |name: &'static str| OriginPath::opaque(name).unwrap();
    let own = |name: &'static str| VariantKey::opaque(name).unwrap();
    let paths = ["a b//1", "a b//2", "A", "zz%"];
    for (at, name) in paths.into_iter().enumerate() {
        for (k, text) in ["300x200", "?x y", "?x y#webp"].into_iter().enumerate() {
            let value = (at * 10 + k) as u64;
            assert!(cache.insert(&tenant, &odd(name), &own(text), value).is_stored());
        }
    }
    cache.snapshot().unwrap();
    assert!(cache.purge(&tenant, &odd("A"), Hard).is_durable());
    let picked = [own("?x y")];
    let picked = Selection::Keys(&picked);
    assert!(cache.purge_selected(&tenant, &odd("zz%"), picked, Hard).is_durable());
    let prefix = PathPrefix::opaque("a b//").unwrap();
    assert!(cache.purge_prefix(&tenant, &prefix, Soft).is_durable());
    drop(cache);
    let cache = open(dir.path());
    let mut values: Vec<u64> = cache.values().collect();
    values.sort_unstable();
    assert_eq!(values, [0, 1, 2, 10, 11, 12, 30]);
    let tenant = cache.tenant("doc");
    assert_eq!(cache.lookup(&tenant, &odd("a b//1"), &own("300x200")), Lookup::Stale(0));
    assert_eq!(cache.lookup(&tenant, &odd("zz%"), &own("300x200")), Lookup::Live(30));
}

#[test]
fn forgotten_tenants_stay_forgotten_and_the_next_of_the_name_begins_empty() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let (doc, other) = (cache.tenant("doc"), cache.tenant("other"));
    for tenant in [&doc, &other] {
        assert!(cache.insert(tenant, &path("a/1.jpg"), &key("?"), 1).is_stored());
    }
    cache.snapshot().unwrap();
    assert!(cache.on_behalf_of("alice").forget_tenant(&doc).is_durable());
    assert!(!cache.insert(&doc, &path("a/2.jpg"), &key("?"), 2).is_stored());
    drop(cache);
    let cache = open(dir.path());
    let names: Vec<_> = cache.tenants().iter().map(|tenant| tenant.name().to_owned()).collect();
    assert_eq!(names, ["other"]);
    let doc = cache.tenant("doc");
    assert_eq!(cache.lookup(&doc, &path("a/1.jpg"), &key("?")), Lookup::Miss);
    assert_eq!(cache.values().count(), 1);
    assert!(cache.insert(&doc, &path("a/1.jpg"), &key("?"), 3).is_stored());
    cache.close().unwrap();
    let cache = open(dir.path());
    assert_eq!(cache.lookup(&cache.tenant("doc"), &path("a/1.jpg"), &key("?")), Lookup::Live(3));
}

#[test]
fn generations_go_on_counting_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut last = None;
    for _ in 0..3 {
        let cache = open(dir.path());
        let generation = cache.flush_all(Soft).outcome().generation();
        assert!(Some(generation) > last);
        last = Some(generation);
    }
}

/// A value whose length differs.
#[derive(Clone, Debug, PartialEq)]
struct Name(String);

impl Codec for Name {
    const NAME: &'static str = "name";
    const LEN: Option<usize> = None;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        String::from_utf8(bytes.to_vec()).ok().map(Self)
    }
}

#[test]
fn values_of_any_length_and_of_none_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Persistent::<Name>::open(dir.path(), PersistConfig::default()).unwrap();
    let cache = open();
    let tenant = cache.tenant("doc");
    for len in [0, 1, 127, 128, 70_000] {
        let variant: VariantKey<'_> = format!("?w={}", len + 1).parse().unwrap();
        let stored = cache.insert(&tenant, &path("a/1.jpg"), &variant, Name("x".repeat(len)));
        assert!(stored.is_stored());
    }
    cache.close().unwrap();
    let cache = open();
    let mut lengths: Vec<usize> = cache.values().map(|name| name.0.len()).collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [0, 1, 127, 128, 70_000]);
    let other = dir.path().join("unit");
    let open = || Persistent::<()>::open(&other, PersistConfig::default()).unwrap();
    let cache = open();
    assert!(cache.insert(&cache.tenant("doc"), &path("a/1.jpg"), &key("?"), ()).is_stored());
    cache.close().unwrap();
    assert_eq!(open().values().count(), 1);
}

#[test]
fn entries_over_lower_limits_are_counted_and_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let tenant = cache.tenant("doc");
    for at in 0..10 {
        let name: OriginPath<'_> = format!("a/{at}.jpg").parse().unwrap();
        assert!(cache.insert(&tenant, &name, &key("?"), at).is_stored());
    }
    cache.close().unwrap();
    let index = Config::builder().max_paths(4).build().unwrap();
    let config = PersistConfig::builder().index(index).build().unwrap();
    let cache = Persistent::<u64>::open(dir.path(), config).unwrap();
    let Recovery::Warm { entries, refused, .. } = cache.recovery() else { panic!() };
    assert_eq!((*entries, *refused), (4, 6));
}

#[test]
fn snapshots_of_many_blocks_come_back_whole() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let mut expected = 0;
    for tenant in ["doc", "other"] {
        let tenant = cache.tenant(tenant);
        for at in 0..20_000 {
            let name: OriginPath<'_> = format!("some/folder/with/a/name/{at}.jpg").parse().unwrap();
            for variant in ["?", "?w=200", "?h=100&w=200"] {
                assert!(cache.insert(&tenant, &name, &key(variant), expected).is_stored());
                expected += 1;
            }
        }
    }
    let written = cache.snapshot().unwrap();
    assert_eq!(written.entries, expected);
    assert!(written.bytes < 12 * expected, "{} bytes for {expected} entries", written.bytes);
    drop(cache);
    let contents = inspect::directory(dir.path(), |_, _| ()).unwrap().snapshot.unwrap().unwrap();
    assert!(contents.blocks > 1 && contents.entries == expected, "{contents:?}");
    assert_eq!(contents.tenants.values().sum::<u64>(), expected);
    for threads in [1, 2, 5] {
        let config = PersistConfig::builder().load_threads(threads).build().unwrap();
        let cache = Persistent::<u64>::open(dir.path(), config).unwrap();
        assert!(matches!(cache.recovery(), Recovery::Warm { entries, .. } if *entries == expected));
        let mut values: Vec<u64> = cache.values().collect();
        values.sort_unstable();
        assert!(values.into_iter().eq(0..expected), "{threads} threads");
    }
}
