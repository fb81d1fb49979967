//! Tenants that come and go leave no memory behind. There is one test in this binary, as it counts
//! every allocation of the process.
//!
//! `MEMORY_SCALE=10 cargo test --release --test tenants` is the long form: 100,000 tenants.

mod common;

use cache_index::{CacheIndex, Hard, OriginPath, PathPrefix, Tenant, VariantKey};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const KEPT_PATHS: usize = 5000;

/// How many times 10,000 tenants there are.
fn scale() -> usize {
    std::env::var("MEMORY_SCALE").ok().map_or(2, |n| n.parse().expect("a number"))
}

fn path(text: &str) -> OriginPath<'_> {
    OriginPath::from_canonical(text).unwrap()
}

fn fill(index: &CacheIndex<u64>, tenant: &Tenant, paths: usize, key: &VariantKey<'_>) {
    for n in 0..paths {
        let text = format!("shop.example/{n}.jpg");
        let lease = index.lease(tenant, &path(&text));
        assert!(lease.commit(key, n as u64).is_stored());
    }
}

#[test]
fn tenants_that_were_forgotten_leave_nothing() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let bytes = || dhat::HeapStats::get().curr_bytes;
    let (index, key) = (CacheIndex::default(), common::variant("?w=600"));
    let kept = index.tenant("kept");
    fill(&index, &kept, KEPT_PATHS, &key);
    let (before, said_before) = (bytes(), index.stats().bytes);

    let many = scale() * 10_000;
    let tenants: Vec<_> = (0..many).map(|n| index.tenant(&format!("customer {n}"))).collect();
    for (n, tenant) in tenants.iter().enumerate() {
        fill(&index, tenant, 1, &key);
        if n % 10 == 0 {
            let prefix = PathPrefix::from_canonical("other.example/").unwrap();
            index.purge_prefix(tenant, &prefix, Hard);
        }
    }
    let leases: Vec<_> =
        tenants.iter().map(|tenant| index.lease(tenant, &path("shop.example/0.jpg"))).collect();
    for tenant in tenants {
        index.forget_tenant(&tenant);
    }
    while !index.reclaim(100_000).is_done() {}
    assert_eq!(index.stats().forgotten_tenants, many, "their leases are open");
    drop(leases);

    let (after, stats) = (bytes(), index.stats());
    assert_eq!((stats.tenants, stats.forgotten_tenants), (1, 0));
    assert_eq!((stats.live, stats.dead, stats.prefix_rules), (KEPT_PATHS, 0, 0));
    // Two per cent, for tables that are kept at their smallest.
    assert!(after * 50 <= before * 51, "{before} bytes before, {after} after");
    let said = stats.bytes;
    assert!(said * 50 <= said_before * 51, "said to be {said_before} before, {said} after");
}
