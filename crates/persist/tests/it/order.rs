//! Snapshots while purges go on: the order of applying, logging, noting the number and scanning.

use crate::history::{KEYS, config, open};
use crate::scale;
use crate::sim::Sim;
use cache_index::canonical::Rules;
use cache_index::invalidation::InvalidationRequest;
use cache_index::{Hard, Lookup, OriginPath, PathPrefix, VariantKey};
use cache_index_persist::{Codec, Persistent};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

const PATHS: usize = 12;

fn path(number: usize) -> OriginPath<'static> {
    format!("a/{number}.jpg").parse().unwrap()
}

/// A hook that runs once while a value is written into a snapshot.
static WHILE_ENCODING: Mutex<Option<Box<dyn FnOnce() + Send>>> = Mutex::new(None);

#[derive(Clone, Debug, PartialEq)]
struct Hooked(u64);

impl Codec for Hooked {
    const NAME: &'static str = "hooked";
    const LEN: Option<usize> = Some(8);

    fn encode(&self, out: &mut Vec<u8>) {
        let hook = WHILE_ENCODING.lock().unwrap().take();
        if let Some(hook) = hook {
            hook();
        }
        self.0.encode(out);
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        u64::decode(bytes).map(Self)
    }
}

#[test]
fn what_is_logged_has_been_applied() {
    let sim = Sim::new(4096);
    let cache = Arc::new(open(&sim).unwrap());
    let (tenant, key) = (cache.tenant("doc"), VariantKey::from_canonical(KEYS[1]).unwrap());
    let prefix = PathPrefix::from_canonical("a/").unwrap();
    let rules = Rules::default();
    let request = InvalidationRequest::builder(&rules).original(["/a/0.jpg"]).unwrap();
    let purges: [&dyn Fn() -> bool; 6] = [
        &|| cache.purge(&tenant, &path(0), Hard).is_durable(),
        &|| cache.purge_many(&tenant, &[path(0)], Hard).is_durable(),
        &|| cache.purge_prefix(&tenant, &prefix, Hard).is_durable(),
        &|| cache.flush_tenant(&tenant, Hard).is_durable(),
        &|| cache.flush_all(Hard).is_durable(),
        &|| cache.apply(&tenant, &request).is_durable(),
    ];
    for (number, purge) in purges.into_iter().enumerate() {
        assert!(cache.insert(&tenant, &path(0), &key, 7).is_stored());
        let seen = Arc::new(Mutex::new(None));
        sim.before_sync({
            let (cache, tenant, key) = (Arc::clone(&cache), tenant.clone(), key.clone());
            let seen = Arc::clone(&seen);
            move || *seen.lock().unwrap() = Some(cache.lookup(&tenant, &path(0), &key))
        });
        assert!(purge());
        assert_eq!(*seen.lock().unwrap(), Some(Lookup::Miss), "operation {number}");
    }
}

#[test]
fn purge_of_what_a_snapshot_has_already_read_holds() {
    let sim = Sim::new(4096);
    let open = || Persistent::<Hooked>::open_on(Arc::new(sim.clone()), config()).unwrap();
    let cache = Arc::new(open());
    let (tenant, key) = (cache.tenant("doc"), VariantKey::from_canonical(KEYS[1]).unwrap());
    assert!(cache.insert(&tenant, &path(0), &key, Hooked(7)).is_stored());
    *WHILE_ENCODING.lock().unwrap() = Some(Box::new({
        let (cache, tenant) = (Arc::clone(&cache), tenant.clone());
        move || assert!(cache.purge(&tenant, &path(0), Hard).is_durable())
    }));
    assert_eq!(cache.snapshot().unwrap().entries, 1, "the snapshot has what was purged");
    drop(cache);
    let cache = open();
    assert_eq!(cache.lookup(&cache.tenant("doc"), &path(0), &key), Lookup::Miss);
}

/// Fills and purges paths, and returns a number per path: values up to it must never be found
/// again.
fn purge_all_the_time(cache: &Persistent<u64>, dead: &[AtomicU64], is_ending: &AtomicBool) {
    let (tenant, key) = (cache.tenant("doc"), VariantKey::from_canonical(KEYS[1]).unwrap());
    let mut value = 0;
    while !is_ending.load(Ordering::Relaxed) {
        value += 1;
        // All before the first is purged, so that snapshots find some.
        for number in 0..PATHS {
            assert!(cache.lease(&tenant, &path(number)).commit(&key, value).is_stored());
        }
        for (number, dead) in dead.iter().enumerate() {
            if cache.purge(&tenant, &path(number), Hard).is_durable() {
                dead.store(value, Ordering::SeqCst);
            }
        }
    }
}

#[test]
fn snapshots_under_purges_bring_nothing_back() {
    let sim = Sim::new(4096);
    let cache = open(&sim).unwrap();
    let dead: Vec<AtomicU64> = (0..PATHS).map(|_| AtomicU64::new(0)).collect();
    let is_ending = AtomicBool::new(false);
    let key = VariantKey::from_canonical(KEYS[1]).unwrap();
    // Others, so that a scan takes long enough for many purges.
    for number in 0..400 {
        let other: OriginPath<'_> = format!("b/{number}.jpg").parse().unwrap();
        assert!(cache.insert(&cache.tenant("doc"), &other, &key, number).is_stored());
    }
    let mut found = 0;
    let check = |image: &Sim, expected: &[u64]| {
        let cache = open(image).unwrap();
        let tenant = cache.tenant("doc");
        for (number, &dead) in expected.iter().enumerate() {
            if let Lookup::Live(value) = cache.lookup(&tenant, &path(number), &key) {
                assert!(value > dead, "came back: {value} of path {number}, purged at {dead}");
                found += 1;
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| purge_all_the_time(&cache, &dead, &is_ending));
        let mut check = check;
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..60 * scale() {
                cache.snapshot().unwrap();
                // First what was acknowledged, then the image: later purges need not be in it.
                let expected: Vec<u64> =
                    dead.iter().map(|dead| dead.load(Ordering::SeqCst)).collect();
                check(&sim.killed(), &expected);
            }
        }));
        is_ending.store(true, Ordering::Relaxed);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
    println!("{found} entries found in snapshots");
    assert!(found > 0, "snapshots found only {found} entries");
}
