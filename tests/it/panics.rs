//! A panic in any hook of the caller's value, at the n-th call for every n: the index stays usable
//! and loses no value.

use crate::common::{path, variant};
use cache_index::{
    CacheIndex, Claim, Config, DeadValues, ExportCursor, Freshness, Hard, Lookup, Selection, Soft,
    Tenant, WhenFull,
};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    /// Calls of hooks until one panics.
    static FUSE: Cell<Option<u32>> = const { Cell::new(None) };
    static ALIVE: Cell<i32> = const { Cell::new(0) };
}

/// One call of a hook.
fn hook() {
    match FUSE.get() {
        Some(0) => {
            FUSE.set(None);
            panic!("the fuse has burnt down");
        }
        left => FUSE.set(left.map(|n| n - 1)),
    }
}

#[derive(Debug)]
struct Value(u32);

impl Value {
    fn new(n: u32) -> Self {
        ALIVE.set(ALIVE.get() + 1);
        Self(n)
    }
}

impl Clone for Value {
    fn clone(&self) -> Self {
        hook();
        Self::new(self.0)
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        hook();
        self.0 == other.0
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        ALIVE.set(ALIVE.get() - 1);
        if !std::thread::panicking() {
            hook();
        }
    }
}

/// Every operation once or twice, with values to drop in each. Each call is caught by itself, as a
/// server catches each request.
fn all_operations(index: &CacheIndex<Value>, tenant: &Tenant) {
    let (a, b) = (path("a/1.jpg"), path("b/1.jpg"));
    let keys: Vec<_> = (0..4).map(|n| variant(&format!("?w={n}"))).collect();
    let export = || {
        let mut cursor = ExportCursor::default();
        while index.export(&mut cursor, 1).is_some() {}
    };
    let calls: [&dyn Fn(); 24] = [
        &|| keys.iter().for_each(|key| drop(index.insert(tenant, &a, key, Value::new(1)))),
        &|| drop(index.insert(tenant, &a, &keys[0], Value::new(2))),
        &|| drop(index.lookup(tenant, &a, &keys[0])),
        &export,
        &|| drop(index.remove(tenant, &a, &keys[1], &Value::new(7))),
        &|| drop(index.remove(tenant, &a, &keys[1], &Value::new(1))),
        &|| drop(index.lease(tenant, &b).commit(&keys[0], Value::new(3))),
        &|| {
            let lease = index.lease(tenant, &b);
            drop(index.purge(tenant, &b, Hard));
            drop(lease.commit(&keys[1], Value::new(4)));
        },
        &|| drop(index.claim(tenant, &a, &keys[0], Value::new(8))),
        &|| {
            let claim = index.claim(tenant, &b, &keys[3], Value::new(8));
            drop(index.claim(tenant, &b, &keys[3], Value::new(9)));
            if let Claim::Claimed(lease) = claim {
                drop(lease.commit());
            }
        },
        &|| {
            if let Claim::Claimed(lease) = index.claim(tenant, &b, &keys[2], Value::new(8)) {
                drop(lease.commit_as(&keys[1], Value::new(9)));
            }
        },
        &|| {
            let _ = index.purge(tenant, &b, Soft);
            drop(index.claim(tenant, &b, &keys[3], Value::new(8)));
        },
        &|| {
            let restore = index.begin_restore();
            let entries = keys.iter().map(|key| (key.borrowed(), Value::new(8), Freshness::Live));
            drop(restore.path(tenant, &b, entries));
        },
        &|| {
            let restore = index.begin_restore();
            let _ = index.purge(tenant, &b, Soft);
            drop(index.purge_selected(tenant, &b, Selection::Keys(&keys[..1]), Hard));
            let entries = keys.iter().map(|key| (key.borrowed(), Value::new(8), Freshness::Live));
            drop(restore.path(tenant, &b, entries));
        },
        &export,
        &|| drop(index.insert(tenant, &b, &keys[0], Value::new(5))),
        &|| _ = index.purge(tenant, &b, Soft),
        &|| drop(index.lookup(tenant, &b, &keys[0])),
        &|| drop(index.purge(tenant, &a, Hard)),
        &|| keys.iter().for_each(|key| drop(index.insert(tenant, &a, key, Value::new(6)))),
        &|| _ = index.flush_tenant(tenant, Hard),
        &|| drop(index.insert(tenant, &a, &keys[0], Value::new(7))),
        &|| drop(index.reclaim(2)),
        &|| drop(index.reclaim(100)),
    ];
    for call in calls {
        let _ = catch_unwind(AssertUnwindSafe(call));
    }
}

#[test]
fn panic_in_any_hook_leaves_the_index_usable_and_every_value_accounted_for() {
    for dead_values in [DeadValues::Drop, DeadValues::Queue] {
        let mut n = 0;
        loop {
            let config = Config::builder().shards(1).dead_values(dead_values);
            let config = config.max_variants(3, WhenFull::EvictOldest).build().unwrap();
            let index = CacheIndex::new(config);
            let tenant = index.tenant("doc");
            FUSE.set(Some(n));
            all_operations(&index, &tenant);
            let burnt = FUSE.take().is_none();

            // Usable: no lock is held, and the only shard answers.
            let (c, key) = (path("c/1.jpg"), variant("?"));
            assert!(index.insert(&tenant, &c, &key, Value::new(9)).is_stored());
            assert_eq!(index.lookup(&tenant, &c, &key), Lookup::Live(Value::new(9)));
            assert_eq!(index.stats().open_leases, 0, "at call {n}");
            let stats = index.stats();
            let held = stats.live + stats.stale + stats.dead;
            assert_eq!(usize::try_from(ALIVE.get()), Ok(held), "at call {n}");
            drop(index);
            assert_eq!(ALIVE.get(), 0, "at call {n}");
            if !burnt {
                break;
            }
            n += 1;
        }
        assert!(n > 15, "only {n} calls of hooks");
    }
}
