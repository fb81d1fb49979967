//! Flushes, with any number of entries, and the reclaim after them.

use super::{PATHS, VARIANTS, World};
use cache_index::{Hard, Soft};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use std::hint::black_box;

pub(super) fn benches(c: &mut Criterion) {
    let mut group = c.benchmark_group("flush");
    for paths in [1, 1000, PATHS] {
        let world = World::new(paths, VARIANTS);
        group.bench_function(BenchmarkId::new("all, soft, paths", paths), |b| {
            b.iter(|| black_box(world.index.flush_all(Soft)));
            assert_eq!(world.index.stats().stale as u64, paths * VARIANTS);
        });
        group.bench_function(BenchmarkId::new("all, paths", paths), |b| {
            b.iter(|| black_box(world.index.flush_all(Hard)));
            assert_eq!(world.index.stats().live, 0);
        });
    }
    let world = World::new(PATHS, VARIANTS);
    group.bench_function(BenchmarkId::new("tenant, paths", PATHS), |b| {
        b.iter(|| black_box(world.index.flush_tenant(&world.tenant, Hard)));
        assert_eq!(world.index.stats().live, 0);
    });
    group.finish();

    let mut group = c.benchmark_group("reclaim");
    group.sample_size(10);
    group.throughput(Throughput::Elements(PATHS / 10 * VARIANTS));
    group.bench_function(BenchmarkId::new("all, paths", PATHS / 10), |b| {
        let flushed = || {
            let world = World::new(PATHS / 10, VARIANTS);
            world.index.flush_all(Hard);
            world
        };
        let reclaim = |world: World| {
            while !world.index.reclaim(1000).is_done() {}
            assert_eq!(world.index.stats().dead, 0);
            world
        };
        b.iter_batched(flushed, reclaim, BatchSize::PerIteration);
    });
    group.finish();
}
