//! P7 and P8: an operation over a limit has a named outcome, and an attacker cannot choose keys
//! that collide.

use crate::common::{path, variant};
use cache_index::{
    CacheIndex, Config, ConfigBuilder, Hard, Insertion, Lookup, PathPrefix, Refusal, Soft, WhenFull,
};

fn index(configure: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> CacheIndex<u64> {
    CacheIndex::new(configure(Config::builder()).build().unwrap())
}

fn refusal(insertion: Insertion<u64>) -> Refusal {
    match insertion {
        Insertion::Refused(refused) => refused.reason,
        Insertion::Stored(stored) => panic!("{stored:?} was not refused"),
    }
}

#[test]
fn variant_over_the_limit_is_refused_and_the_others_stay() {
    let index = index(|config| config.max_variants(3, WhenFull::Refuse));
    let (tenant, birds) = (index.tenant("doc"), path("sample.li/birds.jpg"));
    for n in 0..3 {
        assert!(index.insert(&tenant, &birds, &variant(&format!("?w={n}")), n).is_stored());
    }

    assert_eq!(
        refusal(index.insert(&tenant, &birds, &variant("?w=3"), 3)),
        Refusal::TooManyVariants
    );
    let lease = index.lease(&tenant, &birds);
    assert_eq!(refusal(lease.commit(&variant("?w=3"), 3)), Refusal::TooManyVariants);

    // An existing entry may still be refreshed.
    assert!(index.insert(&tenant, &birds, &variant("?w=2"), 20).is_stored());
    assert_eq!(index.lookup(&tenant, &birds, &variant("?w=0")), Lookup::Live(0));
    let stats = index.stats();
    assert_eq!((stats.live, stats.refused_variants, stats.open_leases), (3, 2, 0));
}

#[test]
fn oldest_variant_is_evicted_and_handed_over_where_so_configured() {
    let index = index(|config| config.max_variants(2, WhenFull::EvictOldest));
    let (tenant, birds) = (index.tenant("doc"), path("sample.li/birds.jpg"));
    for n in 0..2 {
        assert!(index.insert(&tenant, &birds, &variant(&format!("?w={n}")), n).is_stored());
    }
    let Insertion::Stored(stored) = index.insert(&tenant, &birds, &variant("?w=2"), 2) else {
        panic!("refused")
    };
    assert_eq!(stored.evicted, Some((variant("?w=0"), 0)));
    assert_eq!(index.lookup(&tenant, &birds, &variant("?w=0")), Lookup::Miss);
    assert_eq!(index.stats().live, 2);
}

#[test]
fn paths_and_entries_over_the_limit_are_refused_until_there_is_room() {
    let index = index(|config| config.max_paths(2).max_entries(3));
    let (tenant, key) = (index.tenant("doc"), variant("?w=1"));
    let paths = ["a", "b", "c"].map(path);
    assert!(index.insert(&tenant, &paths[0], &key, 0).is_stored());
    assert!(index.insert(&tenant, &paths[1], &key, 1).is_stored());
    assert_eq!(refusal(index.insert(&tenant, &paths[2], &key, 2)), Refusal::TooManyPaths);
    assert!(index.insert(&tenant, &paths[0], &variant("?w=2"), 3).is_stored());
    assert_eq!(
        refusal(index.insert(&tenant, &paths[0], &variant("?w=3"), 4)),
        Refusal::TooManyEntries
    );

    assert_eq!(index.purge(&tenant, &paths[0], Hard).len(), 2);
    assert!(index.insert(&tenant, &paths[2], &key, 5).is_stored());
    assert_eq!(index.remove(&tenant, &paths[2], &key, &5), Some(5));
    assert!(index.insert(&tenant, &paths[2], &key, 6).is_stored());
    let stats = index.stats();
    assert_eq!((stats.refused_paths, stats.refused_entries), (1, 1));
}

#[test]
fn flushed_entries_give_their_room_back() {
    let index = index(|config| config.shards(4).max_paths(100));
    let (tenant, key) = (index.tenant("doc"), variant("?w=1"));
    let fill = |from: u64| -> usize {
        let paths = (from..from + 100).map(|n| path(&format!("p/{n}")));
        paths.filter(|p| index.insert(&tenant, p, &key, 0).is_stored()).count()
    };
    assert_eq!(fill(0), 100);
    index.flush_all(Hard);
    while !index.reclaim(1000).is_done() {}
    assert_eq!(fill(1000), 100);
}

#[test]
fn texts_over_the_limit_are_refused() {
    let index = index(|config| config.max_path_len(5).max_key_len(4));
    let tenant = index.tenant("doc");
    assert!(index.insert(&tenant, &path("abcde"), &variant("?w=1"), 0).is_stored());
    assert_eq!(
        refusal(index.insert(&tenant, &path("abcdef"), &variant("?w=1"), 0)),
        Refusal::PathTooLong
    );
    assert_eq!(
        refusal(index.insert(&tenant, &path("abcde"), &variant("?w=10"), 0)),
        Refusal::KeyTooLong
    );
    assert_eq!(index.stats().refused_length, 2);
}

#[test]
fn rule_over_the_limit_invalidates_the_oldest_rules_tenant_and_says_so() {
    let index = index(|config| config.max_prefix_rules(1));
    let (a, b, key) = (index.tenant("a"), index.tenant("b"), variant("?w=1"));
    for (tenant, value) in [(&a, 1), (&b, 2)] {
        assert!(index.insert(tenant, &path("x/1"), &key, value).is_stored());
        assert!(index.insert(tenant, &path("y/1"), &key, value).is_stored());
    }
    let prefix = PathPrefix::from_canonical("x/").unwrap();

    assert_eq!(index.purge_prefix(&a, &prefix, Hard).widened(), None);
    let second = index.purge_prefix(&b, &prefix, Soft);

    assert_eq!(second.widened(), Some(&a));
    assert_eq!(index.lookup(&a, &path("x/1"), &key), Lookup::Miss);
    assert_eq!(index.lookup(&a, &path("y/1"), &key), Lookup::Miss, "too much, as was said");
    assert_eq!(index.lookup(&b, &path("x/1"), &key), Lookup::Stale(2));
    assert_eq!(index.lookup(&b, &path("y/1"), &key), Lookup::Live(2));
}

#[test]
fn soft_rule_that_makes_room_leaves_its_tenant_stale_and_not_dead() {
    let index = index(|config| config.max_prefix_rules(1));
    let (a, b, key) = (index.tenant("a"), index.tenant("b"), variant("?w=1"));
    assert!(index.insert(&a, &path("y/1"), &key, 1).is_stored());
    let prefix = PathPrefix::from_canonical("x/").unwrap();

    index.purge_prefix(&a, &prefix, Soft);
    assert_eq!(index.purge_prefix(&b, &prefix, Hard).widened(), Some(&a));

    assert_eq!(index.lookup(&a, &path("y/1"), &key), Lookup::Stale(1));
}
