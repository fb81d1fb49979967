//! Purges of a prefix: all paths that begin with it, byte by byte, and no others.

use crate::common::{path, variant};
use cache_index::{CacheIndex, Hard, Insertion, Lookup, PathPrefix, Refusal, Soft};

fn prefix(text: &str) -> PathPrefix<'_> {
    PathPrefix::from_canonical(text).unwrap()
}

#[test]
fn prefix_with_a_slash_and_without_cover_different_paths() {
    let (tenant, key) = ("doc", variant("?w=1"));
    let paths = ["a/b", "a/b/1.jpg", "a/bc.jpg", "a/c.jpg"];
    for (text, hit) in [("a/b", [true, true, true, false]), ("a/b/", [false, true, false, false])] {
        let index = CacheIndex::default();
        let tenant = index.tenant(tenant);
        for path in paths.map(path) {
            assert!(index.insert(&tenant, &path, &key, 1).is_stored());
        }
        index.purge_prefix(&tenant, &prefix(text), Hard);
        let gone = paths.map(|p| index.lookup(&tenant, &path(p), &key) == Lookup::Miss);
        assert_eq!(gone, hit, "{text}");
    }
}

#[test]
fn prefix_purge_refuses_older_leases_under_it_and_no_others() {
    let index = CacheIndex::default();
    let (tenant, other, key) = (index.tenant("doc"), index.tenant("other"), variant("?w=1"));
    let under = index.lease(&tenant, &path("a/1.jpg"));
    let beside = index.lease(&tenant, &path("b/1.jpg"));
    let others = index.lease(&other, &path("a/1.jpg"));

    index.purge_prefix(&tenant, &prefix("a/"), Hard);

    let Insertion::Refused(refused) = under.commit(&key, 1) else { panic!("stored") };
    assert_eq!(refused.reason, Refusal::Purged);
    assert!(beside.commit(&key, 1).is_stored());
    assert!(others.commit(&key, 1).is_stored());
    assert!(index.lease(&tenant, &path("a/1.jpg")).commit(&key, 2).is_stored());
    assert_eq!(index.lookup(&tenant, &path("a/1.jpg"), &key), Lookup::Live(2));
}

#[test]
fn lease_older_than_a_retired_rule_is_still_refused() {
    let index = CacheIndex::default();
    let (tenant, key) = (index.tenant("doc"), variant("?w=1"));
    let hard = index.lease(&tenant, &path("a/1.jpg"));
    let soft = index.lease(&tenant, &path("b/1.jpg"));
    index.purge_prefix(&tenant, &prefix("a/"), Hard);
    index.purge_prefix(&tenant, &prefix("b/"), Soft);
    assert_eq!(index.stats().prefix_rules, 2);

    assert!(index.reclaim(100).is_done());

    assert_eq!(index.stats().prefix_rules, 0);
    assert!(!hard.commit(&key, 1).is_stored());
    assert!(soft.commit(&key, 1).is_stored());
    assert_eq!(index.lookup(&tenant, &path("b/1.jpg"), &key), Lookup::Stale(1));
}

#[test]
fn rules_retire_by_traffic_alone() {
    let index = CacheIndex::default();
    let (tenant, key) = (index.tenant("doc"), variant("?w=1"));
    for n in 0..1000 {
        assert!(index.insert(&tenant, &path(&format!("a/{n}")), &key, n).is_stored());
    }
    for n in 0..100 {
        index.purge_prefix(&tenant, &prefix(&format!("a/{n}")), Hard);
    }
    assert_eq!(index.stats().prefix_rules, 100);
    for _ in 0..10_000 {
        drop(index.lease(&tenant, &path("elsewhere")));
    }
    let stats = index.stats();
    assert_eq!((stats.prefix_rules, stats.live), (0, 0));
}

#[test]
fn empty_prefix_covers_the_whole_tenant() {
    let index = CacheIndex::default();
    let (tenant, other, key) = (index.tenant("doc"), index.tenant("other"), variant("?w=1"));
    for tenant in [&tenant, &other] {
        assert!(index.insert(tenant, &path("a"), &key, 1).is_stored());
    }
    index.purge_prefix(&tenant, &prefix(""), Hard);
    assert_eq!(index.lookup(&tenant, &path("a"), &key), Lookup::Miss);
    assert_eq!(index.lookup(&other, &path("a"), &key), Lookup::Live(1));
}

#[test]
fn purged_prefix_is_never_served_and_counted_as_before_until_the_sweep() {
    let index = CacheIndex::<u64>::default();
    let (tenant, small) = (index.tenant("doc"), variant("?w=1"));
    for name in ["a/1.jpg", "a/2.jpg", "b/1.jpg"] {
        assert!(index.insert(&tenant, &path(name), &small, 7).is_stored());
    }
    index.purge_prefix(&tenant, &prefix("a/"), Hard);
    assert_eq!(index.lookup(&tenant, &path("a/1.jpg"), &small), Lookup::Miss);
    assert_eq!((index.stats().live, index.stats().dead), (3, 0));

    while !index.reclaim(100).is_done() {}
    assert_eq!((index.stats().live, index.stats().dead), (1, 0));
}
