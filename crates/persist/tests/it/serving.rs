//! An index that is used while its snapshot is loaded.

use crate::history::config;
use crate::sim::Sim;
use crate::wait_until;
use cache_index::{Hard, Lookup, OriginPath, PathPrefix, Selection, Soft, Tenant, VariantKey};
use cache_index_persist::{Codec, PersistError, Persistent, Recovery};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// The gates that are open.
static OPEN: (Mutex<BTreeSet<u64>>, Condvar) = (Mutex::new(BTreeSet::new()), Condvar::new());

/// A value that is read from a snapshot only when its gate is open: that of its thousands. Values
/// below 1000 have none.
#[derive(Clone, Debug, PartialEq)]
struct Gated(u64);

fn open_gate(gate: u64) {
    OPEN.0.lock().unwrap().insert(gate);
    OPEN.1.notify_all();
}

impl Codec for Gated {
    const NAME: &'static str = "gated";
    const LEN: Option<usize> = Some(8);

    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let value = u64::decode(bytes)?;
        assert_ne!(value, PANIC, "planted by the test");
        if value >= 1000 {
            let open = OPEN.0.lock().unwrap();
            drop(OPEN.1.wait_while(open, |open| !open.contains(&(value / 1000))).unwrap());
        }
        Some(Self(value))
    }
}

const PANIC: u64 = 666;
const KEYS: [&str; 2] = ["?", "?w=200"];

type Cache = Persistent<Gated>;

fn open(sim: &Sim) -> Cache {
    Persistent::open_on(Arc::new(sim.clone()), config()).unwrap()
}

fn open_serving(sim: &Sim) -> Result<Cache, PersistError> {
    Persistent::open_serving_on(Arc::new(sim.clone()), config())
}

fn path(number: u64) -> OriginPath<'static> {
    format!("a/{number}.jpg").parse().unwrap()
}

fn key(text: &str) -> VariantKey<'_> {
    VariantKey::from_canonical(text).unwrap()
}

/// A directory with ten paths of two tenants, each value being that of a gate.
fn saved(gate: u64) -> Sim {
    let sim = Sim::new(4096);
    let cache = open(&sim);
    for (t, name) in (0..).zip(["doc", "other"]) {
        let tenant = cache.tenant(name);
        for number in 0..10 {
            for (k, text) in (0..).zip(KEYS) {
                let value = Gated(gate * 1000 + t * 100 + number * 10 + k);
                assert!(cache.insert(&tenant, &path(number), &key(text), value).is_stored());
            }
        }
    }
    cache.snapshot().unwrap();
    drop(cache);
    sim
}

fn found(cache: &Cache, tenant: &Tenant, number: u64) -> [Lookup<u64>; 2] {
    KEYS.map(|text| match cache.lookup(tenant, &path(number), &key(text)) {
        Lookup::Live(Gated(value)) => Lookup::Live(value % 1000),
        Lookup::Stale(Gated(value)) => Lookup::Stale(value % 1000),
        Lookup::Miss => Lookup::Miss,
    })
}

/// Invalidates in every way while nothing is loaded yet.
fn invalidate(cache: &Cache, doc: &Tenant, other: &Tenant) {
    assert!(cache.purge(doc, &path(0), Hard).is_durable());
    assert!(cache.purge(doc, &path(1), Soft).is_durable());
    let picked = [key("?w=200")];
    let picked = Selection::Keys(&picked);
    assert!(cache.purge_selected(doc, &path(2), picked, Hard).is_durable());
    let prefix = PathPrefix::from_canonical("a/3").unwrap();
    assert!(cache.purge_prefix(doc, &prefix, Hard).is_durable());
    assert!(cache.flush_tenant(other, Soft).is_durable());
}

fn check_invalidated(cache: &Cache) {
    let (doc, other) = (cache.tenant("doc"), cache.tenant("other"));
    assert_eq!(found(cache, &doc, 0), [Lookup::Miss; 2]);
    assert_eq!(found(cache, &doc, 1), [Lookup::Stale(10), Lookup::Stale(11)]);
    assert_eq!(found(cache, &doc, 2), [Lookup::Live(20), Lookup::Miss]);
    assert_eq!(found(cache, &doc, 3), [Lookup::Miss; 2]);
    assert_eq!(found(cache, &doc, 5), [Lookup::Live(50), Lookup::Live(51)]);
    assert_eq!(found(cache, &other, 3), [Lookup::Stale(130), Lookup::Stale(131)]);
}

#[test]
fn nothing_comes_back_that_was_purged_while_it_was_loaded() {
    let sim = saved(1);
    let cache = open_serving(&sim).unwrap();
    assert_eq!(*cache.recovery(), Recovery::Loading);
    let loading = cache.loading().unwrap();
    assert_eq!((loading.entries, loading.all_entries, loading.all_blocks), (0, 40, 1));
    let (doc, other) = (cache.tenant("doc"), cache.tenant("other"));
    invalidate(&cache, &doc, &other);
    // A miss is filled, and the new value stays.
    assert_eq!(found(&cache, &doc, 4), [Lookup::Miss; 2]);
    assert!(cache.lease(&doc, &path(4)).commit(&key("?"), Gated(900)).is_stored());
    // A prefix rule stays open until everything is loaded.
    while !cache.reclaim(100).is_done() {}
    assert_eq!(cache.stats().prefix_rules, 1);
    open_gate(1);
    let Recovery::Warm { entries, refused, replayed, .. } = *cache.wait_until_loaded() else {
        panic!("{:?}", cache.recovery())
    };
    // Two of path 0, one of path 2, two of path 3 and one of path 4 were not restored.
    assert_eq!((entries, refused, replayed), (34, 0, 0));
    assert_eq!(cache.loading(), None);
    check_invalidated(&cache);
    assert_eq!(found(&cache, &doc, 4), [Lookup::Live(900), Lookup::Live(41)]);
    while !cache.reclaim(100).is_done() {}
    assert_eq!(cache.stats().prefix_rules, 0);
    drop(cache);
    // The records are in the log: another start replays them before it loads.
    let cache = open_serving(&sim).unwrap();
    assert!(matches!(cache.wait_until_loaded(), Recovery::Warm { replayed: 5, .. }));
    check_invalidated(&cache);
}

#[test]
fn tenant_that_is_forgotten_while_it_is_loaded_leaves_nothing_to_the_next_of_its_name() {
    let sim = saved(2);
    let cache = open_serving(&sim).unwrap();
    let doc = cache.tenant("doc");
    assert!(cache.forget_tenant(&doc).is_durable());
    let next = cache.tenant("doc");
    assert!(cache.insert(&next, &path(1), &key("?"), Gated(900)).is_stored());
    open_gate(2);
    assert!(matches!(cache.wait_until_loaded(), Recovery::Warm { entries: 20, .. }));
    assert_eq!(found(&cache, &doc, 1), [Lookup::Miss; 2]);
    assert_eq!(found(&cache, &next, 1), [Lookup::Live(900), Lookup::Miss]);
    drop(cache);
    // The same from the log.
    let cache = open_serving(&sim).unwrap();
    assert!(matches!(cache.wait_until_loaded(), Recovery::Warm { entries: 20, .. }));
    assert_eq!(found(&cache, &cache.tenant("doc"), 1), [Lookup::Miss; 2]);
    let other = cache.tenant("other");
    assert_eq!(found(&cache, &other, 1), [Lookup::Live(110), Lookup::Live(111)]);
}

#[test]
fn snapshots_wait_until_everything_is_loaded() {
    let sim = saved(3);
    let cache = open_serving(&sim).unwrap();
    let is_started = AtomicBool::new(false);
    let entries = std::thread::scope(|scope| {
        let written = scope.spawn(|| {
            is_started.store(true, Ordering::SeqCst);
            cache.snapshot().unwrap().entries
        });
        wait_until("the thread has started", || is_started.load(Ordering::SeqCst));
        // A snapshot that did not wait would be written meanwhile, without the entries. There is no
        // event to wait for: one that waits does nothing.
        std::thread::sleep(Duration::from_millis(100));
        open_gate(3);
        written.join().unwrap()
    });
    assert_eq!(entries, 40);
}

#[test]
fn index_that_is_closed_while_it_is_loaded_keeps_its_snapshot() {
    let sim = saved(4);
    let cache = open_serving(&sim).unwrap();
    assert!(cache.purge(&cache.tenant("doc"), &path(0), Hard).is_durable());
    std::thread::scope(|scope| {
        scope.spawn(|| cache.close().unwrap());
        open_gate(4);
    });
    // Loaded or not: the last path was purged, and the others are there.
    let cache = open(&sim);
    assert_eq!(cache.values().count(), 38);
    drop(cache);
    let cache = open_serving(&sim).unwrap();
    drop(cache);
    assert_eq!(open(&sim).values().count(), 38);
}

#[test]
fn damage_that_is_found_while_it_is_loaded_flushes_everything() {
    let sim = saved(5);
    let name = sim.names().into_iter().find(|name| name.starts_with("snap-")).unwrap();
    let mut bytes = sim.read(&name).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    sim.write(&name, bytes);
    open_gate(5);
    let cache = open_serving(&sim).unwrap();
    let doc = cache.tenant("doc");
    let Recovery::Cold { reason } = cache.wait_until_loaded() else {
        panic!("{:?}", cache.recovery())
    };
    assert!(reason.to_string().contains("expected the checksum of the block"), "{reason}");
    assert_eq!(cache.values().count(), 0);
    assert!(cache.insert(&doc, &path(1), &key("?"), Gated(7)).is_stored());
    // A snapshot is written without being asked for, so that the next start is warm.
    wait_until("a snapshot is written", || cache.persist_stats().snapshots > 0);
    drop(cache);
    assert!(matches!(open(&sim).recovery(), Recovery::Warm { .. }));
    // A damaged footer is found at once.
    let sim = saved(5);
    let name = sim.names().into_iter().find(|name| name.starts_with("snap-")).unwrap();
    let mut bytes = sim.read(&name).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    sim.write(&name, bytes);
    assert!(matches!(open_serving(&sim).unwrap().recovery(), Recovery::Cold { .. }));
}

#[test]
fn panic_of_a_codec_is_a_cold_start() {
    let sim = Sim::new(4096);
    let cache = open(&sim);
    let tenant = cache.tenant("doc");
    assert!(cache.insert(&tenant, &path(1), &key("?"), Gated(PANIC)).is_stored());
    cache.snapshot().unwrap();
    drop(cache);
    let cache = open_serving(&sim).unwrap();
    assert!(matches!(cache.wait_until_loaded(), Recovery::Cold { .. }));
    assert_eq!(cache.values().count(), 0);
}
