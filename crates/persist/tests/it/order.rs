//! Snapshots while purges go on: the order of applying, logging, noting the number and scanning.

use crate::history::{KEYS, config, open};
use crate::scale;
use crate::sim::Sim;
use cache_index::canonical::Rules;
use cache_index::invalidation::InvalidationRequest;
use cache_index::{Hard, Lookup, OriginPath, PathPrefix, VariantKey};
use cache_index_persist::{Codec, Persistent};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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

/// Fills paths and purges them, each path once: a second purge would be replayed over an entry that
/// the first one failed to reach. `purged` counts the acknowledged purges.
fn purge_all_the_time(cache: &Persistent<u64>, purged: &AtomicUsize, is_ending: &AtomicBool) {
    let (tenant, key) = (cache.tenant("doc"), VariantKey::from_canonical(KEYS[1]).unwrap());
    let mut first = 0;
    while !is_ending.load(Ordering::Relaxed) {
        // All before the first is purged, so that snapshots find some.
        for number in first..first + PATHS {
            assert!(cache.lease(&tenant, &path(number)).commit(&key, 7).is_stored());
        }
        for number in first..first + PATHS {
            assert!(cache.purge(&tenant, &path(number), Hard).is_durable());
            purged.store(number + 1, Ordering::SeqCst);
        }
        first += PATHS;
    }
}

#[test]
fn snapshots_under_purges_bring_nothing_back() {
    let sim = Sim::new(4096);
    let cache = open(&sim).unwrap();
    let (purged, is_ending) = (AtomicUsize::new(0), AtomicBool::new(false));
    let key = VariantKey::from_canonical(KEYS[1]).unwrap();
    // Others, so that a scan takes long enough for some purges.
    let other = |number: usize| format!("b/{number}.jpg").parse::<OriginPath<'_>>().unwrap();
    for number in 0..4_000 {
        assert!(cache.insert(&cache.tenant("doc"), &other(number), &key, 8).is_stored());
    }
    let check = |image: &Sim, purged: usize| {
        let cache = open(image).unwrap();
        let tenant = cache.tenant("doc");
        for number in 0..purged {
            let found = cache.lookup(&tenant, &path(number), &key);
            assert_eq!(found, Lookup::Miss, "path {number} of {purged} came back");
        }
        assert_eq!(cache.lookup(&tenant, &other(0), &key), Lookup::Live(8));
    };
    std::thread::scope(|scope| {
        scope.spawn(|| purge_all_the_time(&cache, &purged, &is_ending));
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..20 * scale() {
                cache.snapshot().unwrap();
                // First the acknowledged purges, then the image: later ones need not be in it.
                let purged = purged.load(Ordering::SeqCst);
                check(&sim.killed(), purged);
            }
        }));
        is_ending.store(true, Ordering::Relaxed);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
    assert!(purged.into_inner() > 0);
}
