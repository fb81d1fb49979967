//! Lookups, by variants and by paths.

use super::{PATHS, VARIANTS, World, path, variant};
use cache_index::Lookup;
use criterion::{BenchmarkId, Criterion};

pub(super) fn benches(c: &mut Criterion) {
    by_paths(c);
    by_variants(c);
    misses(c);
}

fn by_paths(c: &mut Criterion) {
    let mut group = c.benchmark_group("look up, by paths");
    for paths in [1000, PATHS, 1_000_000] {
        let mut world = World::new(paths, VARIANTS);
        group.bench_function(BenchmarkId::new("hit", paths), |b| b.iter(|| hit(&mut world)));
    }
    group.finish();
}

fn by_variants(c: &mut Criterion) {
    let mut group = c.benchmark_group("look up, by variants");
    for variants in [1, 6, 32, 1000] {
        // The same number of entries for each.
        let mut world = World::new(100_000 / variants, variants);
        group.bench_function(BenchmarkId::new("hit", variants), |b| b.iter(|| hit(&mut world)));
    }
    group.finish();
}

fn hit(world: &mut World) {
    let (path, key) = world.next_variant();
    let found = world.index.lookup(&world.tenant, &world.paths[path], &world.keys[key]);
    assert_eq!(found, Lookup::Live(key as u64));
}

fn misses(c: &mut Criterion) {
    let mut group = c.benchmark_group("look up, miss");
    let mut world = World::new(PATHS, VARIANTS);
    let absent = variant(99);
    group.bench_function("of a variant", |b| {
        b.iter(|| {
            let n = world.next();
            let found = world.index.lookup(&world.tenant, &world.paths[n], &absent);
            assert_eq!(found, Lookup::Miss);
        });
    });
    let absent: Vec<_> = (PATHS..PATHS + 1000).map(path).collect();
    group.bench_function("of a path", |b| {
        b.iter(|| {
            let n = world.next() % 1000;
            let found = world.index.lookup(&world.tenant, &absent[n], &world.keys[0]);
            assert_eq!(found, Lookup::Miss);
        });
    });
    group.finish();
}
