//! The cost of lookups and prefix purges by the number of open prefix rules.

use super::{PATHS, VARIANTS, World};
use cache_index::{Hard, Lookup, PathPrefix};
use criterion::{BenchmarkId, Criterion};
use std::time::{Duration, Instant};

pub(super) fn benches(c: &mut Criterion) {
    prefix_rules(c);
    purge_prefix(c);
}

/// The call itself, for prefixes of no path, one path, a folder of a few hundred paths, and all
/// paths.
fn purge_prefix(c: &mut Criterion) {
    let mut group = c.benchmark_group("purge of a prefix");
    let world = World::new(PATHS, VARIANTS);
    for (name, prefix, stay) in [
        ("over nothing", "shop.example.com/avatars/", PATHS),
        ("over 1 path", "shop.example.com/media/catalog/product/01/00000001", PATHS - 1),
        ("over 391 paths", "shop.example.com/media/catalog/product/02/", PATHS - 392),
        ("over all paths", "shop.example.com/media/", 0),
    ] {
        let prefix = PathPrefix::from_canonical(prefix).expect("canonical");
        group.bench_function(name, |b| {
            b.iter(|| world.index.purge_prefix(&world.tenant, &prefix, Hard).generation());
            let all = PathPrefix::from_canonical("shop.example.com/").expect("canonical");
            assert_eq!(world.index.paths(&world.tenant, &all).len() as u64, stay);
        });
    }
    group.finish();
}

/// The cost of a lookup while prefix rules are open: of the first lookup of a path since the newest
/// rule, which checks the path against all rules, and of later lookups.
fn prefix_rules(c: &mut Criterion) {
    let mut group = c.benchmark_group("prefix rules open");
    for rules in [0_usize, 1, 1000] {
        let mut world = World::new(PATHS, VARIANTS);
        let other = world.index.tenant("other");
        // With 41 different lengths, like real folders. None covers a path of the bench.
        let prefixes: Vec<_> = (0..rules)
            .map(|n| format!("shop.example.com/media/avatars/{n:04}{}/", "x".repeat(n % 41)))
            .map(|text| PathPrefix::from_canonical(&text).expect("canonical").into_owned())
            .collect();
        for prefix in &prefixes {
            world.index.purge_prefix(&world.tenant, prefix, Hard);
        }
        group.bench_function(BenchmarkId::new("first look-up", rules), |b| {
            b.iter_custom(|iterations| {
                let (mut left, mut time) = (iterations, Duration::ZERO);
                while left > 0 {
                    // From here on, every path still has to be checked against the rules.
                    match prefixes.first() {
                        Some(prefix) => {
                            world.index.purge_prefix(&world.tenant, prefix, Hard).generation()
                        }
                        None => world.index.flush_tenant(&other, Hard).generation(),
                    };
                    let round = left.min(PATHS);
                    let start = Instant::now();
                    for _ in 0..round {
                        let n = world.next();
                        let found =
                            world.index.lookup(&world.tenant, &world.paths[n], &world.keys[n % 6]);
                        assert_eq!(found, Lookup::Live(n as u64 % 6));
                    }
                    time += start.elapsed();
                    left -= round;
                }
                time
            });
        });
        assert_eq!(world.index.stats().prefix_rules, rules);
        (0..PATHS).for_each(|_| {
            let n = world.next();
            let found = world.index.lookup(&world.tenant, &world.paths[n], &world.keys[0]);
            assert_eq!(found, Lookup::Live(0));
        });
        group.bench_function(BenchmarkId::new("later look-ups", rules), |b| {
            b.iter(|| {
                let n = world.next();
                let found = world.index.lookup(&world.tenant, &world.paths[n], &world.keys[n % 6]);
                assert_eq!(found, Lookup::Live(n as u64 % 6));
            });
        });
    }
    group.finish();
}
