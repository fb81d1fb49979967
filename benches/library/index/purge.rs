//! Purges of paths, by variants and by paths in the index.

use super::{PATHS, VARIANTS, World, path};
use cache_index::{Hard, OriginPath, Selection, Soft};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};

pub(super) fn benches(c: &mut Criterion) {
    by_variants(c);
    by_paths(c);
    some(c);
}

fn by_variants(c: &mut Criterion) {
    let mut group = c.benchmark_group("purge, by variants");
    for variants in [1, 4, 32, 1000, 10_000] {
        let (world, path) = (World::new(0, variants), path(1));
        let fill = || world.fill(&path);
        group.throughput(Throughput::Elements(variants));
        group.bench_function(BenchmarkId::new("hard, looking at what went", variants), |b| {
            b.iter_batched(fill, |()| hard(&world, &path, variants), BatchSize::PerIteration);
        });
        group.bench_function(BenchmarkId::new("soft", variants), |b| {
            let purge = |()| {
                let softened = world.index.purge(&world.tenant, &path, Soft);
                assert_eq!(softened.len() as u64, variants);
            };
            b.iter_batched(fill, purge, BatchSize::PerIteration);
        });
    }
    group.finish();
}

fn hard(world: &World, path: &OriginPath<'_>, variants: u64) {
    let gone = world.index.purge(&world.tenant, path, Hard).into_iter();
    assert_eq!(gone.filter(|(key, _)| !key.as_str().is_empty()).count() as u64, variants);
}

fn by_paths(c: &mut Criterion) {
    let mut group = c.benchmark_group("purge of 6 variants, by paths");
    for paths in [1000, PATHS, 1_000_000] {
        let mut world = World::new(paths, VARIANTS);
        group.bench_function(BenchmarkId::new("hard", paths), |b| {
            // The purged entries of a round are stored again before the next round.
            b.iter_custom(|iterations| {
                let mut time = std::time::Duration::ZERO;
                for _ in 0..iterations {
                    let n = world.next();
                    let start = std::time::Instant::now();
                    hard(&world, &world.paths[n], VARIANTS);
                    time += start.elapsed();
                    world.fill(&world.paths[n]);
                }
                time
            });
        });
    }
    let world = World::new(PATHS, VARIANTS);
    let paths = &world.paths[..1000];
    group.throughput(Throughput::Elements(1000));
    group.bench_function(BenchmarkId::new("hard, 1,000 paths at once", PATHS), |b| {
        let purge = |()| {
            let gone = world.index.purge_many(&world.tenant, paths, Hard);
            let gone: usize = gone.iter().map(cache_index::Purged::len).sum();
            assert_eq!(gone as u64, 1000 * VARIANTS);
        };
        let fill = || paths.iter().for_each(|path| world.fill(path));
        b.iter_batched(fill, purge, BatchSize::PerIteration);
    });
    group.finish();
}

fn some(c: &mut Criterion) {
    let mut group = c.benchmark_group("purge of some variants, by variants");
    for variants in [6, 32, 1000] {
        let (world, path) = (World::new(0, variants), path(1));
        let wanted = &world.keys[..2];
        let fill = || world.fill(&path);
        group.bench_function(BenchmarkId::new("two keys, hard", variants), |b| {
            let purge = |()| {
                let wanted = Selection::Keys(wanted);
                let gone = world.index.purge_selected(&world.tenant, &path, wanted, Hard);
                assert_eq!(gone.len(), 2);
            };
            b.iter_batched(fill, purge, BatchSize::PerIteration);
        });
    }
    group.finish();
}
