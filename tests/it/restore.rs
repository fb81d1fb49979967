//! Restores: nothing comes back that was invalidated since they began, and nothing newer is lost.

use crate::common::{path, variant};
use cache_index::{
    CacheIndex, Config, DeadValues, Freshness, Hard, Lookup, OriginPath, PathPrefix, Refusal,
    Restore, Restored, Selection, Soft, Tenant, WhenFull,
};

const KEYS: [&str; 3] = ["?", "?w=1", "?h=9&w=1#webp"];

struct World {
    index: CacheIndex<u64>,
    tenant: Tenant,
    birds: OriginPath<'static>,
}

impl World {
    fn new() -> Self {
        let config = Config::builder().shards(2).dead_values(DeadValues::Queue);
        let index = CacheIndex::new(config.build().unwrap());
        Self { tenant: index.tenant("doc"), index, birds: path("a/birds.jpg") }
    }

    fn restore(&self, restore: &Restore<u64>) -> Restored<u64> {
        let keys = KEYS.iter().zip(1..);
        let entries = keys.map(|(key, value)| (variant(key), value, Freshness::Live));
        restore.path(&self.tenant, &self.birds, entries)
    }

    fn found(&self) -> [Lookup<u64>; 3] {
        KEYS.map(|key| self.index.lookup(&self.tenant, &self.birds, &variant(key)))
    }
}

fn reasons(restored: &Restored<u64>) -> Vec<(u64, Refusal)> {
    restored.refused.iter().map(|refused| (refused.value, refused.reason)).collect()
}

#[test]
fn hard_invalidation_since_a_restore_began_is_not_undone() {
    type Invalidate = fn(&World);
    let all: [(Invalidate, Refusal); 5] = [
        (|w| drop(w.index.purge(&w.tenant, &w.birds, Hard)), Refusal::Purged),
        (
            |w| {
                let prefix = PathPrefix::from_canonical("a/").unwrap();
                w.index.purge_prefix(&w.tenant, &prefix, Hard);
            },
            Refusal::Purged,
        ),
        (|w| _ = w.index.flush_tenant(&w.tenant, Hard), Refusal::Flushed),
        (|w| _ = w.index.flush_all(Hard), Refusal::Flushed),
        (|w| _ = w.index.forget_tenant(&w.tenant), Refusal::Forgotten),
    ];
    for (invalidate, reason) in all {
        for is_swept in [false, true] {
            for was_restored in [false, true] {
                let world = World::new();
                let restore = world.index.begin_restore();
                if was_restored {
                    assert_eq!(world.restore(&restore).stored, 3);
                }
                invalidate(&world);
                // A prefix rule would retire here.
                while is_swept && !world.index.reclaim(100).is_done() {}
                let restored = world.restore(&restore);
                assert_eq!(reasons(&restored), [1, 2, 3].map(|value| (value, reason)));
                drop(restore);
                assert_eq!(world.found(), [Lookup::Miss; 3]);
                while !world.index.reclaim(100).is_done() {}
                assert_eq!(world.index.stats().prefix_rules, 0);
            }
        }
    }
}

#[test]
fn soft_invalidation_since_a_restore_began_makes_entries_stale() {
    type Invalidate = fn(&World);
    let all: [Invalidate; 4] = [
        |w| _ = w.index.purge(&w.tenant, &w.birds, Soft),
        |w| {
            let prefix = PathPrefix::from_canonical("a/").unwrap();
            w.index.purge_prefix(&w.tenant, &prefix, Soft);
        },
        |w| _ = w.index.flush_tenant(&w.tenant, Soft),
        |w| _ = w.index.flush_all(Soft),
    ];
    for invalidate in all {
        for is_swept in [false, true] {
            let world = World::new();
            let restore = world.index.begin_restore();
            invalidate(&world);
            while is_swept && !world.index.reclaim(100).is_done() {}
            assert_eq!(world.restore(&restore).stored, 3);
            assert_eq!(world.found(), [1, 2, 3].map(Lookup::Stale));
        }
    }
}

#[test]
fn invalidation_before_a_restore_began_does_not_reach_it() {
    let world = World::new();
    let earlier = world.index.begin_restore();
    drop(world.index.purge(&world.tenant, &world.birds, Hard));
    world.index.purge_prefix(&world.tenant, &PathPrefix::from_canonical("a/").unwrap(), Hard);
    let restore = world.index.begin_restore();
    assert_eq!(world.restore(&earlier).stored, 0);
    drop(earlier);
    assert_eq!(world.restore(&restore).stored, 3);
    assert_eq!(world.found(), [1, 2, 3].map(Lookup::Live));
    let stats = world.index.stats();
    assert_eq!((stats.live, stats.stale, stats.paths), (3, 0, 1));
}

#[test]
fn purge_of_some_variants_reaches_those_alone() {
    let world = World::new();
    let restore = world.index.begin_restore();
    let gone = [variant("?w=1")];
    drop(world.index.purge_selected(&world.tenant, &world.birds, Selection::Keys(&gone), Hard));
    let softened = [cache_index::canonical::Operations::from_canonical("?h=9").unwrap()];
    let softened = Selection::Operations(&softened);
    let _ = world.index.purge_selected(&world.tenant, &world.birds, softened, Soft);
    assert_eq!(reasons(&world.restore(&restore)), [(2, Refusal::Purged)]);
    assert_eq!(world.found(), [Lookup::Live(1), Lookup::Miss, Lookup::Stale(3)]);
}

#[test]
fn value_that_was_stored_meanwhile_is_newer_and_stays() {
    let world = World::new();
    let restore = world.index.begin_restore();
    let lease = world.index.lease(&world.tenant, &world.birds);
    assert!(lease.commit(&variant("?w=1"), 20).is_stored());
    assert_eq!(reasons(&world.restore(&restore)), [(2, Refusal::Newer)]);
    assert_eq!(world.found(), [Lookup::Live(1), Lookup::Live(20), Lookup::Live(3)]);
    // The same entries again, as of an export that met a path twice.
    assert_eq!(world.restore(&restore).stored, 0);
    // A dead value is not newer.
    drop(restore);
    world.index.flush_all(Hard);
    let restore = world.index.begin_restore();
    assert_eq!(world.restore(&restore).stored, 3);
    assert_eq!(world.found(), [1, 2, 3].map(Lookup::Live));
    let dead: Vec<u64> = world.index.reclaim(10).into_iter().map(|dead| dead.value).collect();
    assert_eq!(dead.len(), 3);
}

#[test]
fn fill_that_began_before_a_restored_entry_replaces_it() {
    let world = World::new();
    let restore = world.index.begin_restore();
    let lease = world.index.lease(&world.tenant, &world.birds);
    assert_eq!(world.restore(&restore).stored, 3);
    assert!(lease.commit(&variant("?w=1"), 20).is_stored());
    assert_eq!(world.found(), [Lookup::Live(1), Lookup::Live(20), Lookup::Live(3)]);
}

#[test]
fn restored_entries_respect_the_limits_and_evict_nothing() {
    for when_full in [WhenFull::Refuse, WhenFull::EvictOldest] {
        let config = Config::builder().shards(1).max_variants(4, when_full).max_paths(2);
        let config = config.max_entries(7).max_path_len(8).max_key_len(6).build().unwrap();
        let index = CacheIndex::new(config);
        let tenant = index.tenant("doc");
        let restore = index.begin_restore();
        let some = |count: u64, name: &str| {
            let keys = (1..=count).map(|n| (variant(&format!("?w={n}")), n, Freshness::Live));
            restore.path(&tenant, &path(name), keys)
        };
        let restored = some(6, "a/1.jpg");
        assert_eq!(restored.stored, 4);
        assert_eq!(reasons(&restored), [5, 6].map(|value| (value, Refusal::TooManyVariants)));
        assert_eq!(reasons(&some(5, "a/1.jpg"))[4], (5, Refusal::TooManyVariants));
        let restored = some(4, "b/1.jpg");
        assert_eq!(reasons(&restored), [(4, Refusal::TooManyEntries)]);
        assert_eq!(reasons(&some(1, "c/1.jpg")), [(1, Refusal::TooManyPaths)]);
        assert_eq!(reasons(&some(1, "c/long.jpg")), [(1, Refusal::PathTooLong)]);
        let long = [(variant("?w=12345"), 1, Freshness::Live)];
        let restored = restore.path(&tenant, &path("b/1.jpg"), long);
        assert_eq!(reasons(&restored), [(1, Refusal::KeyTooLong)]);
        assert_eq!((index.stats().live, index.stats().paths), (7, 2));
    }
}

#[test]
fn paths_with_many_variants_and_with_repeated_ones_are_restored() {
    let world = World::new();
    let restore = world.index.begin_restore();
    for count in [1, 31, 32, 33, 500] {
        let name = path(&format!("a/{count}.jpg"));
        let fresh = |n: u64| if n % 3 == 0 { Freshness::Stale } else { Freshness::Live };
        let entries = (0..count).chain([0]).map(|n| (variant(&format!("?w={n}")), n, fresh(n)));
        let restored = restore.path(&world.tenant, &name, entries);
        assert_eq!(restored.stored as u64, count);
        assert_eq!(reasons(&restored), [(0, Refusal::Newer)]);
        for n in 0..count {
            let found = world.index.lookup(&world.tenant, &name, &variant(&format!("?w={n}")));
            let is_stale = fresh(n) == Freshness::Stale;
            assert_eq!(found, if is_stale { Lookup::Stale(n) } else { Lookup::Live(n) });
        }
    }
    let restored = restore.path(&world.tenant, &world.birds, []);
    assert_eq!((restored.stored, world.index.stats().paths), (0, 5));
}

#[test]
fn of_many_purges_of_some_variants_the_last_counts_as_one_of_all() {
    // Without the last one, or with a hard one, or a soft one.
    for (purges, is_hard) in [(16, None), (17, Some(true)), (17, Some(false))] {
        let world = World::new();
        let restore = world.index.begin_restore();
        for n in 0..purges {
            let key = [variant(&format!("?w={}", 100 + n))];
            let (index, selected) = (&world.index, Selection::Keys(&key));
            if is_hard == Some(false) {
                let _ = index.purge_selected(&world.tenant, &world.birds, selected, Soft);
            } else {
                let _ = index.purge_selected(&world.tenant, &world.birds, selected, Hard);
            }
        }
        let restored = world.restore(&restore);
        let live: [_; 3] = [1, 2, 3].map(Lookup::Live);
        match is_hard {
            None => assert_eq!(world.found(), live),
            Some(true) => {
                let purged: Vec<_> = [1, 2, 3].map(|n| (n, Refusal::Purged)).into();
                assert_eq!(reasons(&restored), purged);
            }
            Some(false) => assert_eq!(world.found(), [1, 2, 3].map(Lookup::Stale)),
        }
    }
}

#[test]
fn prefetching_changes_nothing_that_is_restored() {
    let world = World::new();
    let restore = world.index.begin_restore();
    let paths: Vec<_> = (0..3000).map(|n| path(&format!("a/{n}.jpg"))).collect();
    // Before there is a bucket, of none, of many at once, and of paths that are there.
    for paths in [&paths[..], &[]] {
        restore.prefetch(&world.tenant, paths);
        let stats = world.index.stats();
        assert_eq!((stats.paths, stats.live), (0, 0));
    }
    for (start, paths) in (0..).step_by(100).zip(paths.chunks(100)) {
        restore.prefetch(&world.tenant, paths);
        for (n, path) in (start..).zip(paths) {
            let entries = KEYS.map(|key| (variant(key), n, Freshness::Live));
            assert_eq!(restore.path(&world.tenant, path, entries).stored, 3);
        }
        restore.prefetch(&world.tenant, paths);
    }
    assert_eq!(world.index.stats().live, 9000);
    for (n, path) in (0..).zip(&paths) {
        let found = KEYS.map(|key| world.index.lookup(&world.tenant, path, &variant(key)));
        assert_eq!(found, [Lookup::Live(n), Lookup::Live(n), Lookup::Live(n)]);
    }
}

#[test]
#[should_panic(expected = "belongs to another index")]
fn prefetching_for_the_tenant_of_another_index_panics() {
    let (world, other) = (World::new(), World::new());
    world.index.begin_restore().prefetch(&other.tenant, &[]);
}

/// Restores paths of six variants, after `reserve`. Returns the index, and its bytes at first.
fn restored_after(reserve: impl Fn(&Restore<u64>), paths: u64) -> (CacheIndex<u64>, usize) {
    let index = CacheIndex::new(Config::builder().shards(4).build().unwrap());
    let tenant = index.tenant("doc");
    let restore = index.begin_restore();
    reserve(&restore);
    let reserved = index.stats().bytes;
    for n in 0..paths {
        let keys = (0..6).map(|k| (variant(&format!("?w={k}")), n, Freshness::Live));
        assert_eq!(restore.path(&tenant, &path(&format!("a/{n}.jpg")), keys).stored, 6);
    }
    drop(restore);
    (index, reserved)
}

#[test]
fn reserved_room_is_used_and_costs_little_memory() {
    const PATHS: u64 = 20_000;
    let (plain, empty) = restored_after(|_| {}, PATHS);
    let (index, reserved) = restored_after(|restore| restore.reserve(20_000), PATHS);
    assert!(reserved > empty + 20_000 * 10, "{reserved} bytes were reserved");
    assert_eq!((index.stats().live, index.stats().paths), (6 * 20_000, 20_000));
    let tenant = index.tenant("doc");
    for n in 0..PATHS {
        let found = index.lookup(&tenant, &path(&format!("a/{n}.jpg")), &variant("?w=5"));
        assert_eq!(found, Lookup::Live(n));
    }
    let (with, without) = (index.stats().bytes, plain.stats().bytes);
    assert!(with * 20 < without * 21, "{with} bytes with room, {without} without");
}

#[test]
fn reserved_room_is_limited_by_the_paths_of_the_index_and_by_memory() {
    let limited = Config::builder().shards(4).max_paths(100).build().unwrap();
    for (config, most) in [(limited, 100_000), (Config::default(), usize::MAX)] {
        let index = CacheIndex::<u64>::new(config);
        let restore = index.begin_restore();
        restore.reserve(usize::MAX);
        assert!(index.stats().bytes < most);
        let one = [(variant("?"), 1, Freshness::Live)];
        assert_eq!(restore.path(&index.tenant("doc"), &path("a/1.jpg"), one).stored, 1);
    }
}

#[test]
fn reserved_room_that_stays_empty_is_given_back_after_a_flush() {
    let (index, _) = restored_after(|restore| restore.reserve(100_000), 100);
    let before = index.stats().bytes;
    index.flush_all(Hard);
    while !index.reclaim(1000).is_done() {}
    let after = index.stats().bytes;
    assert!(after * 4 < before, "{before} bytes before, {after} after");
}

#[test]
fn noted_purges_are_given_back_when_the_last_restore_ends() {
    let world = World::new();
    let before = world.index.stats().bytes;
    let restores = [world.index.begin_restore(), world.index.begin_restore()];
    for n in 0..10_000 {
        drop(world.index.purge(&world.tenant, &path(&format!("a/{n}.jpg")), Hard));
    }
    let [first, second] = restores;
    drop(first);
    assert!(world.index.stats().bytes > before + 10_000 * 50);
    assert_eq!(world.restore(&second).stored, 3);
    drop(world.index.purge(&world.tenant, &world.birds, Hard));
    drop(second);
    // Entries and keys that were stored leave some memory behind, of which this is little.
    assert!(world.index.stats().bytes < before + 10_000);
}
