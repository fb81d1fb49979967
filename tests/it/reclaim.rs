//! P6: dead memory comes back, by `reclaim` and by use alone.

use crate::common::{path, variant};
use cache_index::{CacheIndex, Config, Dead, DeadValues, Hard, Lookup, OriginPath, PathPrefix};
use std::collections::BTreeSet;

fn paths(count: usize) -> Vec<OriginPath<'static>> {
    (0..count).map(|n| path(&format!("sample.li/{n}.jpg"))).collect()
}

fn index(dead_values: DeadValues) -> CacheIndex<usize> {
    let config = Config::builder().shards(16).dead_values(dead_values);
    CacheIndex::new(config.build().unwrap())
}

#[test]
fn reclaim_hands_over_every_dead_entry_once_and_no_live_one() {
    for dead_values in [DeadValues::Queue, DeadValues::Drop] {
        let index = index(dead_values);
        let (old, new, key) = (index.tenant("old"), index.tenant("new"), variant("?w=1"));
        let paths = paths(1000);
        for (n, path) in paths.iter().enumerate() {
            assert!(index.insert(&old, path, &key, n).is_stored());
            assert!(index.insert(&new, path, &key, 1000 + n).is_stored());
        }
        index.flush_tenant(&old, Hard);

        let mut values = Vec::new();
        loop {
            let reclaimed = index.reclaim(64);
            assert!(reclaimed.len() <= 64);
            let done = reclaimed.is_done();
            for dead in reclaimed {
                assert_eq!(dead.tenant, old);
                assert_eq!(dead.path, paths[dead.value]);
                assert_eq!(dead.variant, key);
                values.push(dead.value);
            }
            if done {
                break;
            }
        }

        values.sort_unstable();
        assert_eq!(values, (0..1000).collect::<Vec<_>>());
        let stats = index.stats();
        assert_eq!((stats.live, stats.dead), (1000, 0));
        for (n, path) in paths.iter().enumerate() {
            assert_eq!(index.lookup(&new, path, &key), Lookup::Live(1000 + n));
        }
    }
}

#[test]
fn reclaim_splits_a_path_where_the_limit_falls() {
    let index = index(DeadValues::Queue);
    let (tenant, birds) = (index.tenant("doc"), path("sample.li/birds.jpg"));
    for n in 0..10 {
        assert!(index.insert(&tenant, &birds, &variant(&format!("?w={n}")), n).is_stored());
    }
    index.flush_all(Hard);

    let parts: Vec<Vec<usize>> =
        (0..4).map(|_| index.reclaim(4).into_iter().map(|dead| dead.value).collect()).collect();

    assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2, 0]);
    let all: BTreeSet<_> = parts.into_iter().flatten().collect();
    assert_eq!(all, (0..10).collect());
}

#[test]
fn traffic_alone_frees_what_a_flush_killed() {
    let index = index(DeadValues::Drop);
    let (tenant, key) = (index.tenant("doc"), variant("?w=1"));
    for path in paths(20_000) {
        assert!(index.insert(&tenant, &path, &key, 0).is_stored());
    }
    let populated = index.stats().bytes;
    index.flush_all(Hard);
    assert_eq!(index.stats().dead, 20_000);

    // Traffic on one path: the other shards must be swept all the same.
    let busy = path("sample.li/busy.jpg");
    for _ in 0..20_000 {
        assert!(index.lease(&tenant, &busy).commit(&key, 1).is_stored());
    }

    let stats = index.stats();
    assert_eq!((stats.live, stats.dead), (1, 0));
    assert!(stats.bytes * 20 < populated, "{} of {populated} bytes are left", stats.bytes);
}

#[test]
fn traffic_queues_dead_values_for_the_server_that_wants_them() {
    let index = index(DeadValues::Queue);
    let (tenant, key) = (index.tenant("doc"), variant("?w=1"));
    for (n, path) in paths(100).iter().enumerate() {
        assert!(index.insert(&tenant, path, &key, n).is_stored());
    }
    index.flush_all(Hard);
    let busy = path("sample.li/busy.jpg");
    for _ in 0..1000 {
        assert!(index.insert(&tenant, &busy, &key, 1000).is_stored());
    }
    assert_eq!(index.stats().dead, 100);
    let values: BTreeSet<_> = index.reclaim(usize::MAX).into_iter().map(|d| d.value).collect();
    assert_eq!(values, (0..100).collect());
}

#[test]
fn one_operation_sweeps_a_few_places_however_much_is_dead() {
    let index = CacheIndex::new(Config::builder().shards(1).build().unwrap());
    let (tenant, key) = (index.tenant("doc"), variant("?w=1"));
    for path in paths(5000) {
        assert!(index.insert(&tenant, &path, &key, 0).is_stored());
    }
    index.flush_all(Hard);

    drop(index.lease(&tenant, &path("sample.li/busy.jpg")));

    let dead = index.stats().dead;
    assert!((4900..5000).contains(&dead), "{dead} of 5000 are left");
}

#[test]
fn reclaim_looks_at_a_bounded_number_of_places_where_the_dead_lie_far_apart() {
    let index = CacheIndex::new(Config::builder().shards(1).build().unwrap());
    let (tenant, other, key) = (index.tenant("doc"), index.tenant("other"), variant("?w=1"));
    for path in paths(20_000) {
        assert!(index.insert(&tenant, &path, &key, 0).is_stored());
    }
    index.flush_tenant(&other, Hard);

    // Some thousands of places a time.
    let calls = (1..10).find(|_| index.reclaim(1).is_done());

    assert!(calls.is_some_and(|calls| calls >= 3), "{calls:?} calls");
}

#[test]
fn what_a_flush_kills_behind_a_sweep_under_way_comes_out_all_the_same() {
    let config = Config::builder().shards(1).dead_values(DeadValues::Queue);
    let index = CacheIndex::new(config.build().unwrap());
    let (tenant, key) = (index.tenant("doc"), variant("?w=1"));
    let paths = paths(5000);
    for (n, path) in paths.iter().enumerate() {
        assert!(index.insert(&tenant, path, &key, n).is_stored());
    }
    index.flush_all(Hard);
    // Each insert advances the sweep by a few records, so some of the new paths lie where the sweep
    // has been.
    for (n, path) in paths.iter().enumerate().take(200) {
        assert!(index.insert(&tenant, path, &key, 5000 + n).is_stored());
    }
    assert!(index.stats().dead > 1000, "the sweep is still under way");
    index.flush_all(Hard);

    let mut values = BTreeSet::new();
    loop {
        let reclaimed = index.reclaim(100);
        let done = reclaimed.is_done();
        values.extend(reclaimed.into_iter().map(|dead| dead.value));
        if done {
            break;
        }
    }
    assert_eq!(values, (0..5200).collect());
}

#[test]
fn bytes_count_shards_open_rules_and_values_that_wait_to_be_handed_over() {
    let empty = |shards| {
        let config = Config::builder().shards(shards).dead_values(DeadValues::Queue);
        CacheIndex::<usize>::new(config.build().unwrap())
    };
    // Each has cache lines of its own.
    let (one, many) = (empty(1).stats().bytes, empty(1024).stats().bytes);
    let shards = many - one;
    assert!(shards >= 1023 * 128 && shards % 1023 == 0, "{one} and {many} bytes");

    let index = empty(1);
    let (tenant, key) = (index.tenant("doc"), variant("?w=1"));
    let long = "a/".repeat(1000);
    index.purge_prefix(&tenant, &PathPrefix::from_canonical(&long).unwrap(), Hard);
    let with_rule = index.stats().bytes;
    assert!((one + 2000..one + 4000).contains(&with_rule), "{with_rule} after {one}");
    while !index.reclaim(100).is_done() {}
    assert_eq!(index.stats().bytes, one);

    for (n, path) in paths(1000).iter().enumerate() {
        assert!(index.insert(&tenant, path, &key, n).is_stored());
    }
    index.flush_all(Hard);
    // Sweeps everything, and hands over one.
    while index.reclaim(1).len() == 1 && index.stats().dead > 500 {}
    let waiting = index.stats();
    assert_eq!(waiting.dead, 500);
    // Each with the text of its path, of its key, and itself.
    let of_each = "sample.li/500.jpg".len() + size_of::<Dead<usize>>();
    let expected = one + 500 * of_each / 2..one + 1000 * of_each * 4;
    assert!(expected.contains(&waiting.bytes), "{} is not in {expected:?}", waiting.bytes);
    while !index.reclaim(100).is_done() {}
    let left = index.stats().bytes;
    // The lines for the first keys stay.
    assert!(left < one + 3000, "{left} after {one}");
}

#[test]
fn tenants_whose_entries_were_flushed_leave_nothing_behind_in_the_shards() {
    let config = Config::builder().shards(1);
    let index = CacheIndex::<usize>::new(config.build().unwrap());
    let (path, key) = (path("sample.li/birds.jpg"), variant("?w=1"));
    let mut bytes = Vec::new();
    for n in 0..200 {
        let tenant = index.tenant(&format!("tenant {n}"));
        assert!(index.insert(&tenant, &path, &key, n).is_stored());
        index.flush_tenant(&tenant, Hard);
        while !index.reclaim(10).is_done() {}
        assert_eq!((index.stats().paths, index.stats().dead), (0, 0));
        bytes.push(index.stats().bytes);
    }
    assert_eq!(bytes[199], bytes[10], "{bytes:?}");
}
