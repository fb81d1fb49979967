//! Storing and taking out single variants.

use super::{PATHS, VARIANTS, World, path};
use cache_index::{CacheIndex, Insertion};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};

/// New paths, or new variants, of one round.
const NEW: u64 = 10_000;

pub(super) fn benches(c: &mut Criterion) {
    existing(c);
    new_paths(c);
    new_variants(c);
    remove(c);
}

fn existing(c: &mut Criterion) {
    let mut group = c.benchmark_group("store, there already");
    let mut world = World::new(PATHS, VARIANTS);
    group.bench_function("insert", |b| {
        b.iter(|| {
            let (path, key) = world.next_variant();
            let (path, key, value) = (&world.paths[path], &world.keys[key], key as u64);
            let stored = world.index.insert(&world.tenant, path, key, value);
            assert!(matches!(stored, Insertion::Stored(stored) if stored.replaced == Some(value)));
        });
    });
    group.bench_function("lease and commit", |b| {
        b.iter(|| {
            let (path, key) = world.next_variant();
            let lease = world.index.lease(&world.tenant, &world.paths[path]);
            assert!(lease.commit(&world.keys[key], key as u64).is_stored());
        });
    });
    group.bench_function("lease that comes to nothing", |b| {
        b.iter(|| {
            let n = world.next();
            drop(world.index.lease(&world.tenant, &world.paths[n]));
        });
        assert_eq!(world.index.stats().open_leases, 0);
    });
    group.finish();
}

fn new_paths(c: &mut Criterion) {
    let mut group = c.benchmark_group("store, new paths");
    let paths: Vec<_> = (0..NEW).map(path).collect();
    let key = super::variant(0);
    group.throughput(Throughput::Elements(NEW));
    group.bench_function("insert", |b| {
        b.iter_batched(
            CacheIndex::default,
            |index| {
                let tenant = index.tenant("bench");
                for path in &paths {
                    assert!(index.insert(&tenant, path, &key, 1).is_stored());
                }
                index
            },
            BatchSize::LargeInput,
        );
    });
    group.bench_function("lease and commit", |b| {
        b.iter_batched(
            CacheIndex::default,
            |index| {
                let tenant = index.tenant("bench");
                for path in &paths {
                    assert!(index.lease(&tenant, path).commit(&key, 1).is_stored());
                }
                index
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn new_variants(c: &mut Criterion) {
    let mut group = c.benchmark_group("store, new variants, by variants of a path");
    group.throughput(Throughput::Elements(NEW));
    for variants in [1, 6, 32, 1000] {
        let world = World::new(0, variants);
        let paths: Vec<_> = (0..NEW / variants).map(path).collect();
        group.bench_function(BenchmarkId::new("insert", variants), |b| {
            b.iter_batched(
                || World { index: CacheIndex::default(), ..World::new(0, variants) },
                |other| {
                    let tenant = other.index.tenant("bench");
                    for path in &paths {
                        for (key, value) in world.keys.iter().zip(0..) {
                            assert!(other.index.insert(&tenant, path, key, value).is_stored());
                        }
                    }
                    other
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

fn remove(c: &mut Criterion) {
    let mut group = c.benchmark_group("remove and store again, by variants of a path");
    for variants in [1, 6, 32, 1000] {
        let mut world = World::new(100_000 / variants, variants);
        group.bench_function(BenchmarkId::from_parameter(variants), |b| {
            b.iter(|| {
                let (path, key) = world.next_variant();
                let (path, key, value) = (&world.paths[path], &world.keys[key], key as u64);
                let gone = world.index.remove(&world.tenant, path, key, &value);
                assert_eq!(gone, Some(value));
                assert!(world.index.insert(&world.tenant, path, key, value).is_stored());
            });
        });
    }
    group.finish();
}
