//! The operations of the index, each alone: `cargo bench --bench index`.
//!
//! Every bench checks the result of what it measures. 100,000 paths of 6 variants unless said otherwise.

use cache_index::{CacheIndex, Hard, Lookup, OriginPath, PathPrefix, Soft, Tenant, VariantKey};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::{Duration, Instant};

const PATHS: u64 = 100_000;
const VARIANTS: u64 = 6;

fn path(n: u64) -> OriginPath<'static> {
    let text = format!("shop.example.com/media/catalog/product/{:02x}/{n:08}-front.jpg", n % 256);
    OriginPath::from_canonical(&text).expect("canonical").into_owned()
}

fn variant(n: u64) -> VariantKey<'static> {
    let text = format!("?force_format=webp&h={}&w={}", 100 + n, 200 + 2 * n);
    VariantKey::from_canonical(&text).expect("canonical").into_owned()
}

struct World {
    index: CacheIndex<u64>,
    tenant: Tenant,
    paths: Vec<OriginPath<'static>>,
    keys: Vec<VariantKey<'static>>,
    next: usize,
}

impl World {
    fn new(paths: u64) -> Self {
        let index = CacheIndex::default();
        let tenant = index.tenant("bench");
        let paths: Vec<_> = (0..paths).map(path).collect();
        let keys: Vec<_> = (0..VARIANTS).map(variant).collect();
        for path in &paths {
            for (key, value) in keys.iter().zip(0..) {
                assert!(index.insert(&tenant, path, key, value).is_stored());
            }
        }
        Self { index, tenant, paths, keys, next: 0 }
    }

    /// Walks the paths with a stride that leaves no neighbor in the cache.
    fn next(&mut self) -> usize {
        self.next = (self.next + 61_843) % self.paths.len();
        self.next
    }
}

fn look_up(c: &mut Criterion) {
    let mut group = c.benchmark_group("look_up");
    let mut world = World::new(PATHS);
    group.bench_function("hit", |b| {
        b.iter(|| {
            let n = world.next();
            let found = world.index.lookup(&world.tenant, &world.paths[n], &world.keys[n % 6]);
            assert_eq!(found, Lookup::Live(n as u64 % 6));
        });
    });
    let absent = variant(99);
    group.bench_function("miss of a variant", |b| {
        b.iter(|| {
            let n = world.next();
            let found = world.index.lookup(&world.tenant, &world.paths[n], &absent);
            assert_eq!(found, Lookup::Miss);
        });
    });
    let absent: Vec<_> = (PATHS..PATHS + 1000).map(path).collect();
    group.bench_function("miss of a path", |b| {
        b.iter(|| {
            let n = world.next() % 1000;
            let found = world.index.lookup(&world.tenant, &absent[n], &world.keys[0]);
            assert_eq!(found, Lookup::Miss);
        });
    });
    group.finish();
}

fn store(c: &mut Criterion) {
    let mut group = c.benchmark_group("store");
    let mut world = World::new(PATHS);
    group.bench_function("insert, existing", |b| {
        b.iter(|| {
            let n = world.next();
            let (path, key) = (&world.paths[n], &world.keys[n % 6]);
            assert!(world.index.insert(&world.tenant, path, key, n as u64).is_stored());
        });
    });
    group.bench_function("lease and commit, existing", |b| {
        b.iter(|| {
            let n = world.next();
            let lease = world.index.lease(&world.tenant, &world.paths[n]);
            assert!(lease.commit(&world.keys[n % 6], n as u64).is_stored());
        });
    });
    let paths: Vec<_> = (0..10_000).map(path).collect();
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("insert, new, 10,000 paths", |b| {
        b.iter_batched(
            CacheIndex::default,
            |index| {
                let tenant = index.tenant("bench");
                for path in &paths {
                    assert!(index.insert(&tenant, path, &world.keys[0], 1).is_stored());
                }
                index
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn purge(c: &mut Criterion) {
    let mut group = c.benchmark_group("purge");
    for variants in [4, 32, 1000] {
        let index = CacheIndex::default();
        let (tenant, path) = (index.tenant("bench"), path(1));
        let keys: Vec<_> = (0..variants).map(variant).collect();
        let fill = || {
            for key in &keys {
                assert!(index.insert(&tenant, &path, key, 1_u64).is_stored());
            }
        };
        group.throughput(Throughput::Elements(variants));
        group.bench_function(BenchmarkId::new("hard, dropping what went", variants), |b| {
            b.iter_batched(
                fill,
                |()| assert_eq!(index.purge(&tenant, &path, Hard).len() as u64, variants),
                BatchSize::PerIteration,
            );
        });
        group.bench_function(BenchmarkId::new("soft", variants), |b| {
            b.iter_batched(
                fill,
                |()| assert_eq!(index.purge(&tenant, &path, Soft).len() as u64, variants),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn flush(c: &mut Criterion) {
    let mut group = c.benchmark_group("flush");
    for paths in [1, 1000, PATHS] {
        let world = World::new(paths);
        group.bench_function(BenchmarkId::new("all, paths", paths), |b| {
            b.iter(|| black_box(world.index.flush_all(Hard)));
            assert_eq!(world.index.stats().live, 0);
        });
    }
    let world = World::new(PATHS);
    group.bench_function(BenchmarkId::new("tenant, paths", PATHS), |b| {
        b.iter(|| black_box(world.index.flush_tenant(&world.tenant, Hard)));
        assert_eq!(world.index.stats().live, 0);
    });
    group.finish();
}

/// What a look-up costs while prefix rules are open: the first of a path since the newest rule, which holds the path against all
/// rules, and later ones.
fn prefix_rules(c: &mut Criterion) {
    let mut group = c.benchmark_group("prefix rules open");
    for rules in [0_usize, 1, 1000] {
        let mut world = World::new(PATHS);
        let other = world.index.tenant("other");
        // Of 41 different lengths, as folders have; none covers a path of the bench.
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
                    // From here on every path counts as not held against the rules.
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

criterion_group!(benches, look_up, store, purge, flush, prefix_rules);
criterion_main!(benches);
