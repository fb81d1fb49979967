//! Claims: one lease for all that miss, and no request joins a fill that began before a purge.

use crate::common::{path, variant};
use cache_index::{
    CacheIndex, Claim, ClaimLease, Config, Freshness, Hard, Insertion, Lookup, OriginPath,
    PathPrefix, Refusal, Selection, Soft, Tenant, VariantKey,
};

struct World {
    index: CacheIndex<u32>,
    tenant: Tenant,
    birds: OriginPath<'static>,
    small: VariantKey<'static>,
}

impl World {
    fn new() -> Self {
        let index = CacheIndex::new(Config::builder().shards(1).build().unwrap());
        let tenant = index.tenant("doc");
        Self { index, tenant, birds: path("sample.li/birds.jpg"), small: variant("?w=200") }
    }

    fn claim(&self, value: u32) -> Claim<u32> {
        self.index.claim(&self.tenant, &self.birds, &self.small, value)
    }

    #[track_caller]
    fn lease(&self, value: u32) -> ClaimLease<u32> {
        match self.claim(value) {
            Claim::Claimed(lease) => lease,
            other => panic!("{other:?} is no lease"),
        }
    }

    #[track_caller]
    fn assert_pending(&self, expected: u32) {
        assert!(matches!(self.claim(99), Claim::Pending(value) if value == expected));
    }

    fn lookup(&self) -> Lookup<u32> {
        self.index.lookup(&self.tenant, &self.birds, &self.small)
    }
}

#[test]
fn first_miss_gets_the_lease_and_later_ones_its_value_until_it_is_stored() {
    let world = World::new();
    let lease = world.lease(1);
    assert_eq!(
        (lease.path(), lease.variant(), lease.value()),
        (world.birds.as_str(), world.small.borrowed(), &1)
    );
    assert_eq!(lease.tenant(), &world.tenant);
    world.assert_pending(1);
    world.assert_pending(1);
    assert_eq!(world.lookup(), Lookup::Miss, "a pending value is not stored");
    let stats = world.index.stats();
    assert_eq!((stats.open_leases, stats.open_claims), (1, 1));

    assert!(lease.commit().is_stored());

    assert!(matches!(world.claim(2), Claim::Live(1)));
    let stats = world.index.stats();
    assert_eq!((stats.open_leases, stats.open_claims), (0, 0));
}

#[test]
fn dropped_lease_ends_the_pending_value() {
    let world = World::new();
    drop(world.lease(1));
    let second = world.lease(2);
    world.assert_pending(2);
    drop(second);
    assert_eq!(world.index.stats().open_claims, 0);
}

#[test]
fn other_variants_paths_and_tenants_and_plain_leases_have_no_pending_value() {
    let World { index, tenant, birds, small } = World::new();
    let plain = index.lease(&tenant, &birds);
    let other = index.tenant("other");
    let keys = [
        (&tenant, &birds, &small),
        (&tenant, &birds, &variant("?w=201")),
        (&tenant, &path("sample.li/boat.jpg"), &small),
        (&other, &birds, &small),
    ];
    let leases = keys.map(|(tenant, path, key)| match index.claim(tenant, path, key, 1) {
        Claim::Claimed(lease) => lease,
        claim => panic!("{claim:?} is no lease"),
    });
    assert_eq!((index.stats().open_leases, index.stats().open_claims), (5, 4));
    drop((plain, leases));
    assert_eq!(index.stats().open_leases, 0);
}

type Invalidation = (&'static str, fn(&World));

/// Each way to invalidate the path of the claim.
fn invalidations() -> [Invalidation; 10] {
    fn folder() -> PathPrefix<'static> {
        PathPrefix::from_canonical("sample.li/").unwrap()
    }
    [
        ("purge", |w| drop(w.index.purge(&w.tenant, &w.birds, Hard))),
        ("purge of another variant", |w| {
            let keys = [variant("?w=1")];
            drop(w.index.purge_selected(&w.tenant, &w.birds, Selection::Keys(&keys), Hard));
        }),
        ("prefix", |w| drop(w.index.purge_prefix(&w.tenant, &folder(), Hard))),
        ("prefix whose rule has retired", |w| {
            w.index.purge_prefix(&w.tenant, &folder(), Hard);
            while !w.index.reclaim(10).is_done() {}
            assert_eq!(w.index.stats().prefix_rules, 0);
        }),
        ("tenant", |w| _ = w.index.flush_tenant(&w.tenant, Hard)),
        ("everything", |w| _ = w.index.flush_all(Hard)),
        ("soft purge", |w| _ = w.index.purge(&w.tenant, &w.birds, Soft)),
        ("soft prefix", |w| drop(w.index.purge_prefix(&w.tenant, &folder(), Soft))),
        ("soft tenant", |w| _ = w.index.flush_tenant(&w.tenant, Soft)),
        ("soft everything", |w| _ = w.index.flush_all(Soft)),
    ]
}

#[test]
fn no_claim_after_an_invalidation_joins_a_fill_that_began_before_it() {
    for (name, invalidate) in invalidations() {
        let world = World::new();
        let old = world.lease(1);
        invalidate(&world);

        let new = world.lease(2);
        world.assert_pending(2);
        let is_soft = name.starts_with("soft");
        match old.commit() {
            Insertion::Refused(refused) => {
                assert!(!is_soft, "{name}");
                assert_eq!(refused.value, 1, "{name}");
                assert!(matches!(refused.reason, Refusal::Purged | Refusal::Flushed), "{name}");
                world.assert_pending(2);
            }
            Insertion::Stored(stored) => {
                assert!(is_soft && stored.freshness == Freshness::Stale, "{name}");
                let claim = world.claim(3);
                assert!(matches!(claim, Claim::Stale { value: 1, refresh: None }), "{name}");
            }
        }

        assert!(new.commit().is_stored(), "{name}");
        assert!(matches!(world.claim(4), Claim::Live(2)), "{name}");
    }
}

#[test]
fn purge_of_another_path_or_tenant_leaves_the_claim_pending() {
    let world = World::new();
    let lease = world.lease(1);
    assert!(world.index.purge(&world.tenant, &path("sample.li/boat.jpg"), Hard).is_empty());
    let other = world.index.tenant("other");
    assert!(world.index.purge(&other, &world.birds, Hard).is_empty());
    world.index.flush_tenant(&other, Hard);
    world.assert_pending(1);
    assert!(lease.commit().is_stored());
}

#[test]
fn stale_value_is_served_to_all_and_refreshed_by_one() {
    let world = World::new();
    assert!(world.lease(1).commit().is_stored());
    assert_eq!(world.index.purge(&world.tenant, &world.birds, Soft).len(), 1);

    let Claim::Stale { value: 1, refresh: Some(lease) } = world.claim(2) else { panic!("stale") };
    assert!(matches!(world.claim(3), Claim::Stale { value: 1, refresh: None }));
    // Killed while it is refreshed: the fill may have read the source before.
    world.index.flush_all(Hard);
    let next = world.lease(4);
    assert!(!lease.commit().is_stored());
    assert!(next.commit().is_stored());
    assert_eq!(world.lookup(), Lookup::Live(4));
}

#[test]
fn commit_as_stores_another_value_or_another_variant() {
    let world = World::new();
    assert!(world.lease(1).commit_as(&world.small, 2).is_stored());
    assert_eq!(world.lookup(), Lookup::Live(2));

    let world = World::new();
    let webp = world.small.with_representation("webp").unwrap();
    let lease = world.lease(1);
    assert!(lease.commit_as(&webp, 2).is_stored());
    assert_eq!(world.index.lookup(&world.tenant, &world.birds, &webp), Lookup::Live(2));
    drop(world.lease(3));
}

#[test]
fn claims_of_a_forgotten_tenant_join_no_fill_and_are_refused() {
    let world = World::new();
    let old = world.lease(1);
    world.index.forget_tenant(&world.tenant);
    let leases = [old, world.lease(2), world.lease(3)];
    for lease in leases {
        let Insertion::Refused(refused) = lease.commit() else { panic!("stored") };
        assert_eq!(refused.reason, Refusal::Forgotten);
    }
}
