//! P1 and P2: nothing comes back, nothing else goes.

use crate::common::{path, variant};
use cache_index::{CacheIndex, Freshness, Hard, Insertion, Lookup, Refusal, Soft, VariantKey};

fn refusal<V: std::fmt::Debug>(insertion: Insertion<V>) -> Refusal {
    match insertion {
        Insertion::Refused(refused) => refused.reason,
        Insertion::Stored(stored) => panic!("{stored:?} was not refused"),
    }
}

fn small() -> VariantKey<'static> {
    variant("?w=200")
}

#[test]
fn purge_of_an_absent_path_refuses_an_older_lease() {
    let index = CacheIndex::default();
    let (tenant, birds) = (index.tenant("doc"), path("sample.li/birds.jpg"));
    let lease = index.lease(&tenant, &birds);

    let gone = index.purge(&tenant, &birds, Hard);

    assert_eq!((gone.len(), gone.overtaken_fills()), (0, 1));
    assert_eq!(refusal(lease.commit(&small(), 1)), Refusal::Purged);
    assert_eq!(index.lookup(&tenant, &birds, &small()), Lookup::Miss);
}

#[test]
fn purge_of_a_present_path_refuses_an_older_lease() {
    let index = CacheIndex::default();
    let (tenant, birds) = (index.tenant("doc"), path("sample.li/birds.jpg"));
    assert!(index.insert(&tenant, &birds, &small(), 1).is_stored());
    let lease = index.lease(&tenant, &birds);

    assert_eq!(index.purge(&tenant, &birds, Hard).len(), 1);

    assert_eq!(refusal(lease.commit(&variant("?w=400"), 2)), Refusal::Purged);
    assert_eq!(index.variants(&tenant, &birds), []);
}

#[test]
fn removal_and_a_newer_entry_do_not_let_an_old_lease_in() {
    let index = CacheIndex::default();
    let (tenant, birds) = (index.tenant("doc"), path("sample.li/birds.jpg"));
    let old = index.lease(&tenant, &birds);
    assert!(index.purge(&tenant, &birds, Hard).is_empty());
    let new = index.lease(&tenant, &birds);
    assert!(new.commit(&small(), 2).is_stored());
    assert_eq!(index.remove(&tenant, &birds, &small(), &2), Some(2));

    assert_eq!(refusal(old.commit(&small(), 1)), Refusal::Purged);
    assert_eq!(index.lookup(&tenant, &birds, &small()), Lookup::Miss);
}

#[test]
fn lease_taken_after_a_purge_commits_while_an_older_one_is_still_open() {
    let index = CacheIndex::default();
    let (tenant, birds) = (index.tenant("doc"), path("sample.li/birds.jpg"));
    let old = index.lease(&tenant, &birds);
    assert!(index.purge(&tenant, &birds, Hard).is_empty());

    let new = index.lease(&tenant, &birds);

    assert!(new.commit(&small(), 2).is_stored());
    assert_eq!(refusal(old.commit(&small(), 1)), Refusal::Purged);
    assert_eq!(index.lookup(&tenant, &birds, &small()), Lookup::Live(2));
}

#[test]
fn purge_of_another_path_or_another_tenants_path_refuses_nothing() {
    // One shard, so that everything meets in it.
    let index = CacheIndex::new(cache_index::Config::builder().shards(1).build().unwrap());
    let (doc, other) = (index.tenant("doc"), index.tenant("other"));
    let (birds, boat) = (path("sample.li/birds.jpg"), path("sample.li/boat.jpg"));
    let lease = index.lease(&doc, &birds);

    assert!(index.purge(&doc, &boat, Hard).is_empty());
    assert_eq!(index.purge(&other, &birds, Hard).overtaken_fills(), 0);
    index.flush_tenant(&other, Hard);

    assert!(lease.commit(&small(), 1).is_stored());
    assert_eq!(index.lookup(&doc, &birds, &small()), Lookup::Live(1));
}

#[test]
fn flush_of_the_tenant_or_of_everything_refuses_an_older_lease() {
    let index = CacheIndex::default();
    let (tenant, birds) = (index.tenant("doc"), path("sample.li/birds.jpg"));

    let lease = index.lease(&tenant, &birds);
    index.flush_tenant(&tenant, Hard);
    assert_eq!(refusal(lease.commit(&small(), 1)), Refusal::Flushed);

    let lease = index.lease(&tenant, &birds);
    index.flush_all(Hard);
    assert_eq!(refusal(lease.commit(&small(), 1)), Refusal::Flushed);

    assert_eq!(index.lookup(&tenant, &birds, &small()), Lookup::Miss);
    assert_eq!(index.stats().refused_flushed, 2);
}

#[test]
fn what_a_soft_purge_or_flush_overtook_is_stored_stale() {
    let index = CacheIndex::default();
    let (tenant, birds) = (index.tenant("doc"), path("sample.li/birds.jpg"));
    let overtake: [&dyn Fn(); 3] = [
        &|| assert_eq!(index.purge(&tenant, &birds, Soft).overtaken_fills(), 1),
        &|| _ = index.flush_tenant(&tenant, Soft),
        &|| _ = index.flush_all(Soft),
    ];
    for overtake in overtake {
        let lease = index.lease(&tenant, &birds);
        overtake();
        let Insertion::Stored(stored) = lease.commit(&small(), 1) else { panic!("refused") };
        assert_eq!(stored.freshness, Freshness::Stale);
        assert_eq!(index.lookup(&tenant, &birds, &small()), Lookup::Stale(1));

        let refreshed = index.lease(&tenant, &birds).commit(&small(), 2);
        assert!(refreshed.is_stored());
        assert_eq!(index.lookup(&tenant, &birds, &small()), Lookup::Live(2));
    }
}

#[test]
fn hard_purge_outweighs_a_later_soft_one() {
    let index = CacheIndex::default();
    let (tenant, birds) = (index.tenant("doc"), path("sample.li/birds.jpg"));
    let lease = index.lease(&tenant, &birds);
    assert!(index.purge(&tenant, &birds, Hard).is_empty());
    assert_eq!(index.purge(&tenant, &birds, Soft).overtaken_fills(), 0);
    assert_eq!(refusal(lease.commit(&small(), 1)), Refusal::Purged);
}

#[test]
fn dropped_lease_leaves_nothing_behind() {
    let index = CacheIndex::<u64>::default();
    let (tenant, birds) = (index.tenant("doc"), path("sample.li/birds.jpg"));
    let before = index.stats();
    let leases: Vec<_> = (0..3).map(|_| index.lease(&tenant, &birds)).collect();
    assert_eq!(index.stats().open_leases, 3);

    drop(leases);

    let after = index.stats();
    assert_eq!(after.open_leases, 0);
    assert_eq!((after.paths, after.live), (before.paths, before.live));
}

#[test]
fn lease_outlives_the_handle_of_its_index() {
    let index = CacheIndex::default();
    let (tenant, birds) = (index.tenant("doc"), path("sample.li/birds.jpg"));
    let lease = index.lease(&tenant, &birds);
    drop(index);
    assert!(lease.commit(&small(), 1).is_stored());
}

#[test]
#[should_panic(expected = "tenant Tenant(\"doc\") belongs to another index")]
fn tenant_of_another_index_is_a_bug_that_shows_itself() {
    let (index, other) = (CacheIndex::<u64>::default(), CacheIndex::<u64>::default());
    let _ = index.lookup(&other.tenant("doc"), &path("a/b.jpg"), &small());
}

#[test]
fn lease_knows_whose_picture_it_is_for() {
    let index = CacheIndex::<u64>::default();
    let (doc, other) = (index.tenant("doc"), index.tenant("other"));
    let lease = index.lease(&other, &path("sample.li/birds.jpg"));
    assert_eq!(lease.path(), "sample.li/birds.jpg");
    assert!(lease.tenant() == &other && lease.tenant() != &doc);
    assert_eq!(lease.tenant().name(), "other");
}
