//! The operations of the index, each alone: `cargo bench -p benchmarks --bench index`. A part:
//! `cargo bench -p benchmarks --bench index -- flush`.
//!
//! Every bench checks the result of its operation. Axes: variants of a path, paths in the index,
//! threads. The defaults are 100,000 paths of 6 variants and one thread. For a comparison with
//! other structures, see `benches/peers`.

mod flush;
mod look_up;
mod prefix_rules;
mod purge;
mod store;
mod threads;
mod visit;

use cache_index::{CacheIndex, OriginPath, Tenant, VariantKey};
use criterion::{Criterion, criterion_group, criterion_main};

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

/// An index with paths in it, all with the same variants. The value is the number of the variant.
struct World {
    index: CacheIndex<u64>,
    tenant: Tenant,
    paths: Vec<OriginPath<'static>>,
    keys: Vec<VariantKey<'static>>,
    next: usize,
}

impl World {
    fn new(paths: u64, variants: u64) -> Self {
        let index = CacheIndex::default();
        let tenant = index.tenant("bench");
        let paths = (0..paths).map(path).collect();
        let keys = (0..variants).map(variant).collect();
        let world = Self { index, tenant, paths, keys, next: 0 };
        world.paths.iter().for_each(|path| world.fill(path));
        world
    }

    /// Stores all variants of a path.
    fn fill(&self, path: &OriginPath<'_>) {
        for (key, value) in self.keys.iter().zip(0..) {
            assert!(self.index.insert(&self.tenant, path, key, value).is_stored());
        }
    }

    /// Walks the paths with a stride that leaves no neighbor in the cache.
    fn next(&mut self) -> usize {
        self.next = (self.next + 61_843) % self.paths.len();
        self.next
    }

    /// The same, and a variant.
    fn next_variant(&mut self) -> (usize, usize) {
        let path = self.next();
        (path, path % self.keys.len())
    }
}

fn benches(c: &mut Criterion) {
    look_up::benches(c);
    store::benches(c);
    purge::benches(c);
    flush::benches(c);
    prefix_rules::benches(c);
    visit::benches(c);
    threads::benches(c);
}

criterion_group!(all, benches);
criterion_main!(all);
