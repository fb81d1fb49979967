//! Forgetting a tenant: a flush that ends it. Afterwards no memory of it is kept.

use crate::common::{path, variant};
use cache_index::invalidation::InvalidationRequest;
use cache_index::{
    CacheIndex, Config, DeadValues, Hard, Insertion, Lookup, PathPrefix, Refusal, Soft,
};

fn reason<V: std::fmt::Debug>(insertion: Insertion<V>) -> Refusal {
    match insertion {
        Insertion::Refused(refused) => refused.reason,
        Insertion::Stored(stored) => panic!("{stored:?}"),
    }
}

#[test]
fn nothing_comes_back_after_a_tenant_was_forgotten() {
    let index = CacheIndex::default();
    let (old, birds, key) = (index.tenant("a"), path("sample.li/birds.jpg"), variant("?w=1"));
    let clone = old.clone();
    assert!(index.insert(&old, &birds, &key, 1).is_stored());
    let before = index.lease(&old, &birds);

    index.forget_tenant(&old);

    assert_eq!(index.lookup(&clone, &birds, &key), Lookup::Miss);
    assert_eq!(reason(before.commit(&key, 2)), Refusal::Forgotten);
    assert_eq!(reason(index.insert(&clone, &birds, &key, 3)), Refusal::Forgotten);
    let after = index.lease(&clone, &birds);
    assert_eq!(reason(after.commit(&key, 4)), Refusal::Forgotten);
    assert_eq!(index.lookup(&old, &birds, &key), Lookup::Miss);
    // Nor for a tenant of the same name, also when the old entries are gone.
    let new = index.tenant("a");
    assert_eq!(index.lookup(&new, &birds, &key), Lookup::Miss);
    assert!(index.reclaim(100).is_done());
    assert_eq!(index.lookup(&new, &birds, &key), Lookup::Miss);
    assert_eq!(reason(index.insert(&old, &birds, &key, 5)), Refusal::Forgotten);
    assert_eq!(index.lookup(&new, &birds, &key), Lookup::Miss);
    assert_eq!(index.stats().refused_forgotten, 4);
}

#[test]
fn old_handle_reaches_nothing_of_the_next_tenant_of_its_name() {
    let index = CacheIndex::default();
    let (birds, key) = (path("sample.li/birds.jpg"), variant("?w=1"));
    let prefix = PathPrefix::from_canonical("sample.li/").unwrap();
    let old = index.tenant("a");
    index.forget_tenant(&old);
    let new = index.tenant("a");
    assert_ne!(old, new);
    assert!(index.insert(&new, &birds, &key, 1).is_stored());
    let lease = index.lease(&new, &birds);

    assert_eq!(index.lookup(&old, &birds, &key), Lookup::Miss);
    assert_eq!(index.remove(&old, &birds, &key, &1), None);
    assert!(index.variants(&old, &birds).is_empty());
    assert!(index.paths(&old, &prefix).is_empty());
    let gone = index.purge(&old, &birds, Hard);
    assert_eq!((gone.len(), gone.overtaken_fills()), (0, 0));
    let softened = index.purge(&old, &birds, Soft);
    assert_eq!((softened.len(), softened.overtaken_fills()), (0, 0));
    assert_eq!(index.purge_prefix(&old, &prefix, Hard).widened(), None);
    index.flush_tenant(&old, Hard);
    let _ = index.apply(&old, &InvalidationRequest::all(cache_index::Severity::Hard));
    index.forget_tenant(&old);

    assert_eq!(index.lookup(&new, &birds, &key), Lookup::Live(1));
    assert!(lease.commit(&key, 2).is_stored());
    assert_eq!(index.tenant("a"), new);
}

#[test]
fn other_tenants_keep_their_entries_and_leases() {
    let index = CacheIndex::default();
    let (a, b) = (index.tenant("a"), index.tenant("b"));
    let (birds, key) = (path("sample.li/birds.jpg"), variant("?w=1"));
    assert!(index.insert(&b, &birds, &key, 1).is_stored());
    let lease = index.lease(&b, &birds);

    index.forget_tenant(&a);

    assert_eq!(index.lookup(&b, &birds, &key), Lookup::Live(1));
    assert!(lease.commit(&key, 2).is_stored());
}

#[test]
fn forgotten_tenant_is_kept_until_its_last_entry_lease_rule_and_handle_have_gone() {
    let index = CacheIndex::new(
        Config::builder().shards(1).dead_values(DeadValues::Queue).build().unwrap(),
    );
    let (birds, key) = (path("sample.li/birds.jpg"), variant("?w=1"));
    let old = index.tenant("a");
    let kept = || index.stats().forgotten_tenants;
    assert!(index.insert(&old, &birds, &key, 1).is_stored());
    index.purge_prefix(&old, &PathPrefix::from_canonical("x/").unwrap(), Hard);
    let lease = index.lease(&old, &birds);
    assert_eq!((index.stats().tenants, kept()), (1, 0));

    index.forget_tenant(&old);
    assert_eq!((index.stats().tenants, kept()), (0, 1));
    drop(old);
    assert_eq!(kept(), 1, "an entry, a rule, and a lease");
    let dead = index.reclaim(100);
    assert!(dead.is_done());
    assert_eq!((kept(), index.stats().prefix_rules), (1, 0), "a lease, and what was reclaimed");
    let dead: Vec<_> = dead.into_iter().collect();
    assert_eq!((dead[0].tenant.name(), dead[0].value), ("a", 1));
    drop(lease);
    assert_eq!(kept(), 1, "what was reclaimed");
    drop(dead);
    assert_eq!(kept(), 0);
}

#[test]
fn forgetting_twice_is_forgetting_once() {
    let index = CacheIndex::<u64>::default();
    let old = index.tenant("a");
    let first = index.forget_tenant(&old);
    index.flush_all(Hard);
    let new = index.tenant("a");
    assert_eq!(index.forget_tenant(&old), first);
    assert_eq!((index.tenant("a"), index.stats().tenants), (new, 1));
}

#[test]
fn prefix_purge_through_an_old_handle_widens_no_rule_of_another_tenant() {
    let index = CacheIndex::new(Config::builder().max_prefix_rules(1).build().unwrap());
    let (a, b) = (index.tenant("a"), index.tenant("b"));
    let (birds, key) = (path("sample.li/birds.jpg"), variant("?w=1"));
    assert!(index.insert(&b, &birds, &key, 1).is_stored());
    index.purge_prefix(&b, &PathPrefix::from_canonical("x/").unwrap(), Hard);
    index.forget_tenant(&a);

    let purged = index.purge_prefix(&a, &PathPrefix::from_canonical("y/").unwrap(), Hard);

    assert_eq!(purged.widened(), None);
    assert_eq!(index.lookup(&b, &birds, &key), Lookup::Live(1));
}

#[test]
fn rule_of_a_forgotten_tenant_makes_room_without_widening_anything() {
    let index = CacheIndex::<u64>::new(Config::builder().max_prefix_rules(1).build().unwrap());
    let (a, b) = (index.tenant("a"), index.tenant("b"));
    index.purge_prefix(&a, &PathPrefix::from_canonical("x/").unwrap(), Hard);
    index.forget_tenant(&a);
    let purged = index.purge_prefix(&b, &PathPrefix::from_canonical("y/").unwrap(), Hard);
    assert_eq!(purged.widened(), None);
}

#[test]
#[should_panic(expected = "belongs to another index")]
fn tenant_of_another_index_is_not_forgotten() {
    let tenant = CacheIndex::<u64>::default().tenant("a");
    CacheIndex::<u64>::default().forget_tenant(&tenant);
}
