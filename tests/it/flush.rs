//! Flushes: O(1), and all earlier entries are removed in every shard at once.

use crate::common::{path, variant};
use cache_index::{CacheIndex, Config, DeadValues, Hard, Lookup, Soft};

#[test]
fn flush_all_kills_every_entry_of_every_tenant() {
    let index = CacheIndex::default();
    let key = variant("?w=1");
    let tenants = ["a", "b", "c"].map(|name| index.tenant(name));
    let paths: Vec<_> = (0..500).map(|n| path(&format!("sample.li/{n}.jpg"))).collect();
    for (n, path) in paths.iter().enumerate() {
        assert!(index.insert(&tenants[n % 3], path, &key, n).is_stored());
    }

    index.flush_all(Hard);

    for (n, path) in paths.iter().enumerate() {
        assert_eq!(index.lookup(&tenants[n % 3], path, &key), Lookup::Miss);
    }
    let stats = index.stats();
    assert_eq!((stats.live, stats.paths, stats.dead), (0, 0, 500));
}

#[test]
fn flush_of_a_tenant_leaves_the_others_live() {
    let index = CacheIndex::default();
    let (a, b, key) = (index.tenant("a"), index.tenant("b"), variant("?"));
    let birds = path("sample.li/birds.jpg");
    assert!(index.insert(&a, &birds, &key, 1).is_stored());
    assert!(index.insert(&b, &birds, &key, 2).is_stored());

    index.flush_tenant(&a, Hard);

    assert_eq!(index.lookup(&a, &birds, &key), Lookup::Miss);
    assert_eq!(index.lookup(&b, &birds, &key), Lookup::Live(2));
    let stats = index.stats();
    assert_eq!((stats.live, stats.dead), (1, 1));
}

#[test]
fn soft_flush_keeps_entries_servable_until_they_are_refreshed() {
    let index = CacheIndex::default();
    let (a, birds) = (index.tenant("a"), path("sample.li/birds.jpg"));
    let keys = [variant("?w=1"), variant("?w=2")];
    for key in &keys {
        assert!(index.insert(&a, &birds, key, 1).is_stored());
    }

    index.flush_tenant(&a, Soft);
    assert_eq!(index.stats().stale, 2);
    assert!(index.lease(&a, &birds).commit(&keys[0], 2).is_stored());

    assert_eq!(index.lookup(&a, &birds, &keys[0]), Lookup::Live(2));
    assert_eq!(index.lookup(&a, &birds, &keys[1]), Lookup::Stale(1));
    let stats = index.stats();
    assert_eq!((stats.live, stats.stale), (1, 1));
}

#[test]
fn purge_after_a_flush_does_not_hand_over_what_the_flush_killed() {
    let index = CacheIndex::default();
    let (a, birds, key) = (index.tenant("a"), path("sample.li/birds.jpg"), variant("?w=1"));
    assert!(index.insert(&a, &birds, &key, 1).is_stored());
    index.flush_all(Hard);
    assert!(index.purge(&a, &birds, Hard).is_empty());
}

/// An insert brings the counts of the tenant forward and sweeps a few records. The others are still
/// as they were before the flush.
#[test]
fn purge_after_a_flush_and_an_insert_hands_over_what_the_flush_left() {
    let config = Config::builder().shards(1).dead_values(DeadValues::Queue).build().unwrap();
    let (index, paths) = (CacheIndex::new(config), 200);
    let (a, key) = (index.tenant("a"), variant("?w=1"));
    let name = |n: usize| path(&format!("sample.li/{n}.jpg"));
    let purged = |n: usize| index.purge(&a, &name(n), Hard).into_iter().map(|(_, value)| value);

    (0..paths).for_each(|n| assert!(index.insert(&a, &name(n), &key, n).is_stored()));
    index.flush_all(Soft);
    assert!(index.insert(&a, &name(paths), &key, paths).is_stored());
    for n in 0..10 {
        assert_eq!(purged(n).collect::<Vec<_>>(), [n]);
    }
    let stats = index.stats();
    assert_eq!((stats.live, stats.stale, stats.dead), (1, paths - 10, 0));

    index.flush_all(Hard);
    assert!(index.insert(&a, &name(paths), &key, paths).is_stored());
    for n in 0..=paths {
        assert_eq!(purged(n).count(), usize::from(n == paths), "{n}");
    }
    assert_eq!(index.reclaim(1000).len(), paths - 10 + 1, "each of them once");
}

#[test]
fn generations_of_purges_and_flushes_grow_in_the_order_in_which_they_happened() {
    let index = CacheIndex::<u64>::default();
    let (a, birds) = (index.tenant("a"), path("sample.li/birds.jpg"));
    let generations = [
        index.flush_all(Hard).generation(),
        index.purge(&a, &birds, Hard).generation(),
        index.flush_tenant(&a, Soft).generation(),
        index.purge(&a, &birds, Soft).generation(),
        index.flush_all(Soft).generation(),
    ];
    assert!(generations.is_sorted_by(|a, b| a < b), "{generations:?}");
}

#[test]
fn generation_shows_the_number_that_it_is() {
    let index = CacheIndex::<u64>::default();
    for expected in 1..4 {
        let generation = index.flush_all(Hard).generation();
        assert_eq!((generation.get(), generation.to_string()), (expected, expected.to_string()));
    }
}
