//! Operations that visit many entries: lists and counts.

use super::{PATHS, VARIANTS, World};
use cache_index::PathPrefix;
use criterion::{BenchmarkId, Criterion};

pub(super) fn benches(c: &mut Criterion) {
    let mut group = c.benchmark_group("visit");
    for variants in [1, 6, 32, 1000] {
        let mut world = World::new(1000, variants);
        group.bench_function(BenchmarkId::new("variants of a path, variants", variants), |b| {
            b.iter(|| {
                let n = world.next();
                let found = world.index.variants(&world.tenant, &world.paths[n]);
                assert_eq!(found.len() as u64, variants);
            });
        });
    }
    group.sample_size(20);
    for paths in [1000, PATHS] {
        let world = World::new(paths, VARIANTS);
        let prefix = "shop.example.com/media/catalog/product/07/";
        let prefix = PathPrefix::from_canonical(prefix).expect("canonical");
        let under = (0..paths).filter(|n| n % 256 == 7).count();
        group.bench_function(BenchmarkId::new("paths under a prefix, paths", paths), |b| {
            b.iter(|| assert_eq!(world.index.paths(&world.tenant, &prefix).len(), under));
        });
        group.bench_function(BenchmarkId::new("counts, paths", paths), |b| {
            b.iter(|| assert_eq!(world.index.stats().live as u64, paths * VARIANTS));
        });
    }
    group.finish();
}
