//! P4: every value is handed over once, and dropped outside of the locks.

use crate::common::{path, variant};
use cache_index::{CacheIndex, Config, DeadValues, Hard, Insertion, Lookup, OriginPath, Tenant};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Counts the values that exist.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(alive))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[test]
fn no_value_is_lost_whichever_way_it_leaves() {
    let alive = Arc::new(AtomicUsize::new(0));
    let count = || alive.load(Ordering::Relaxed);
    let config = Config::builder().shards(4).dead_values(DeadValues::Queue);
    let index = CacheIndex::new(config.build().unwrap());
    let (tenant, birds) = (index.tenant("doc"), path("sample.li/birds.jpg"));
    let (one, two) = (variant("?w=1"), variant("?w=2"));

    let Insertion::Stored(first) = index.insert(&tenant, &birds, &one, Counted::new(&alive)) else {
        panic!("refused")
    };
    assert!(first.replaced.is_none());
    let Insertion::Stored(second) = index.insert(&tenant, &birds, &one, Counted::new(&alive))
    else {
        panic!("refused")
    };
    assert!(second.replaced.is_some());
    assert_eq!(count(), 2);
    drop(second);
    assert_eq!(count(), 1);

    let lease = index.lease(&tenant, &birds);
    let gone = index.purge(&tenant, &birds, Hard);
    assert_eq!((gone.len(), count()), (1, 1));
    drop(gone);
    assert_eq!(count(), 0);

    let Insertion::Refused(refused) = lease.commit(&two, Counted::new(&alive)) else {
        panic!("stored")
    };
    assert_eq!(count(), 1);
    drop(refused);
    assert_eq!(count(), 0);

    assert!(index.insert(&tenant, &birds, &two, Counted::new(&alive)).is_stored());
    index.flush_all(Hard);
    assert_eq!(count(), 1, "a queued value was dropped");
    assert_eq!(index.reclaim(10).len(), 1);
    assert_eq!(count(), 0);

    assert!(index.insert(&tenant, &birds, &two, Counted::new(&alive)).is_stored());
    drop(index);
    assert_eq!(count(), 0, "the index kept a value beyond its own end");
}

/// Uses the index while it is dropped: a deadlock if a lock were still held.
struct Nosy {
    index: Arc<OnceLock<CacheIndex<Nosy>>>,
    path: OriginPath<'static>,
    tenant: Tenant,
    dropped: Arc<AtomicUsize>,
}

impl Drop for Nosy {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        if let Some(index) = self.index.get() {
            let lease = index.lease(&self.tenant, &self.path);
            drop(lease);
        }
    }
}

#[test]
fn a_visit_passes_on_what_an_iteration_returns() {
    let index = CacheIndex::new(Config::builder().shards(1).build().unwrap());
    let tenant = index.tenant("doc");
    for count in [0, 1, 4, 5, 32, 33, 500] {
        let purged = |name: &str| {
            for n in 0..count {
                assert!(
                    index.insert(&tenant, &path(name), &variant(&format!("?w={n}")), n).is_stored()
                );
            }
            let purged = index.purge(&tenant, &path(name), Hard);
            assert_eq!(purged.len() as u64, count);
            purged
        };
        let mut returned: Vec<_> = purged("a/1.jpg").into_iter().collect();
        let mut visited = Vec::new();
        purged("a/2.jpg").visit(|key, value: u64| visited.push((key.into_owned(), value)));
        returned.sort_by_key(|(_, value)| *value);
        visited.sort_by_key(|(_, value)| *value);
        assert_eq!(visited, returned);
        assert_eq!(visited.len() as u64, count);
        // The callback may use the index: nothing is locked.
        purged("a/3.jpg").visit(|key, value| {
            assert!(index.insert(&tenant, &path("a/4.jpg"), &key, value).is_stored());
        });
        assert_eq!(index.purge(&tenant, &path("a/4.jpg"), Hard).len() as u64, count);
    }
}

#[test]
fn values_are_dropped_with_no_lock_held() {
    let home = Arc::new(OnceLock::new());
    let dropped = Arc::new(AtomicUsize::new(0));
    // One shard, so that any lock that is held is the one that the dropped value needs.
    let config = Config::builder().shards(1).dead_values(DeadValues::Drop);
    assert!(home.set(CacheIndex::<Nosy>::new(config.build().unwrap())).is_ok());
    let index = home.get().unwrap();
    let (tenant, birds, key) = (index.tenant("doc"), path("a/b.jpg"), variant("?w=1"));
    let value = || Nosy {
        index: Arc::clone(&home),
        path: birds.clone(),
        tenant: tenant.clone(),
        dropped: Arc::clone(&dropped),
    };

    drop(index.insert(&tenant, &birds, &key, value()));
    drop(index.insert(&tenant, &birds, &key, value()));
    drop(index.purge(&tenant, &birds, Hard));
    drop(index.insert(&tenant, &birds, &key, value()));
    index.flush_all(Hard);
    drop(index.insert(&tenant, &birds, &key, value()));
    index.flush_all(Hard);
    drop(index.purge(&tenant, &birds, Hard));
    drop(index.insert(&tenant, &birds, &key, value()));
    index.flush_all(Hard);
    for _ in 0..10 {
        drop(index.lease(&tenant, &birds));
    }

    assert_eq!(dropped.load(Ordering::Relaxed), 5);
}

thread_local! {
    static LIT: Cell<bool> = const { Cell::new(false) };
}

/// Panics in `clone` and `eq` while its fuse is lit.
#[derive(Debug)]
struct Fragile(u32);

impl Clone for Fragile {
    fn clone(&self) -> Self {
        assert!(!LIT.get(), "clone");
        Self(self.0)
    }
}

impl PartialEq for Fragile {
    fn eq(&self, other: &Self) -> bool {
        assert!(!LIT.get(), "eq");
        self.0 == other.0
    }
}

#[test]
fn panic_in_the_callers_clone_or_eq_harms_nothing() {
    let index = CacheIndex::new(Config::builder().shards(1).build().unwrap());
    let (tenant, birds, key) = (index.tenant("doc"), path("a/b.jpg"), variant("?w=1"));
    assert!(index.insert(&tenant, &birds, &key, Fragile(1)).is_stored());

    LIT.set(true);
    let calls: [&dyn Fn(); 2] = [&|| drop(index.lookup(&tenant, &birds, &key)), &|| {
        drop(index.remove(&tenant, &birds, &key, &Fragile(1)));
    }];
    for call in calls {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call));
        assert!(caught.is_err());
    }
    LIT.set(false);

    assert_eq!(index.lookup(&tenant, &birds, &key), Lookup::Live(Fragile(1)));
    assert_eq!(index.remove(&tenant, &birds, &key, &Fragile(1)), Some(Fragile(1)));
}
