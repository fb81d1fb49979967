//! One operation, many times, between two markers. `benches/instructions/check` counts its
//! instructions.
//!
//! ```sh
//! bash benches/instructions/check
//! ```
//!
//! Only the code in [`measured`] is counted. Seeds of hash functions are random, so that two runs
//! take different ways through a table. Over this many different paths, the differences even out.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for a script")]

use cache_index::{
    CacheIndex, ExportCursor, Freshness, Hard, Insertion, Lookup, OriginPath, PathPrefix, Tenant,
    VariantKey,
};
use std::hint::black_box;

/// The number of stored paths, and of operations of most kinds.
const PATHS: usize = 4000;
/// Variants of each path.
const VARIANTS: usize = 6;
/// Variants of a path that is stored by `insert-new` and `fill`, and of one that `purge-4` purges.
const FEW: usize = 4;
/// Paths that are purged,
const PURGES: usize = PATHS / 4;
/// and variants of each of those that `purge-32` purges.
const PURGED: usize = 32;

struct World {
    index: CacheIndex<u64>,
    tenant: Tenant,
    paths: Vec<OriginPath<'static>>,
    keys: Vec<VariantKey<'static>>,
}

/// A name, the number of repetitions, and the code.
type Operation = (&'static str, usize, fn(&World));

/// The counted operations: the name, the number of repetitions, and the function.
const OPERATIONS: [Operation; 16] = [
    ("look-up-hit", PATHS, |world| world.look_up(|at| (at, at % VARIANTS), true)),
    ("look-up-miss", PATHS, |world| world.look_up(|at| (at + PATHS, at % VARIANTS), false)),
    ("look-up-variant-miss", PATHS, |world| {
        world.look_up(|at| (at, VARIANTS + at % VARIANTS), false);
    }),
    ("insert", PATHS, World::insert),
    ("insert-there", PATHS, World::insert_there),
    ("insert-new", PATHS * FEW, |world| world.store_new(World::insert_one)),
    ("fill", PATHS * FEW, |world| world.store_new(World::fill_one)),
    ("insert-path", PATHS * VARIANTS, World::insert_paths),
    ("restore-path", PATHS * VARIANTS, World::restore_paths),
    ("export", PATHS * VARIANTS, World::export),
    ("purge-4", PURGES, |world| world.purge(FEW)),
    ("purge-32", PURGES, |world| world.purge(PURGED)),
    ("purge-4-visited", PURGES, |world| world.purge_and_visit(FEW)),
    ("purge-32-visited", PURGES, |world| world.purge_and_visit(PURGED)),
    ("purge-prefix", PURGES, World::purge_prefixes),
    ("check-names", PATHS, |_| World::check_names()),
];

fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    // `list` prints the operations, and how often each is done.
    if name == "list" {
        return OPERATIONS.iter().for_each(|(name, count, _)| println!("{name} {count}"));
    }
    let Some((_, _, operation)) = OPERATIONS.iter().find(|(other, _, _)| *other == name) else {
        eprintln!("expected list or what it prints, got {name:?}");
        std::process::exit(2);
    };
    operation(&World::new());
}

/// The marker.
#[inline(never)]
fn measured(operation: &mut dyn FnMut()) {
    operation();
    // Prevents the compiler from turning the call above into a jump.
    black_box(());
}

impl World {
    /// Twice as many paths as are stored.
    fn new() -> Self {
        let path = |n| format!("shop.example.com/catalog{:03}/products/{n:08}-front.jpg", n / 100);
        let own_path =
            |n: usize| OriginPath::from_canonical(&path(n)).expect("canonical").into_owned();
        let key = |n: usize| format!("?h={}&org_if_sml=1&w={}", 100 + 10 * n, 200 + 20 * n);
        let own_key =
            |n: usize| VariantKey::from_canonical(&key(n)).expect("canonical").into_owned();
        let index = CacheIndex::default();
        let world = Self {
            tenant: index.tenant("site"),
            index,
            paths: (0..2 * PATHS).map(own_path).collect(),
            keys: (0..PURGED).map(own_key).collect(),
        };
        world.store(&world.paths[..PATHS], VARIANTS);
        world
    }

    fn store(&self, paths: &[OriginPath<'_>], variants: usize) {
        for path in paths {
            for (key, value) in self.keys[..variants].iter().zip(0..) {
                assert!(self.index.insert(&self.tenant, path, key, value).is_stored());
            }
        }
    }

    /// `which` are the numbers of a path and a key.
    fn look_up(&self, which: fn(usize) -> (usize, usize), expected: bool) {
        let mut found = 0;
        measured(&mut || {
            for at in 0..PATHS {
                let (path, key) = which(at);
                let (path, key) = (&self.paths[path], &self.keys[key]);
                found += usize::from(self.index.lookup(&self.tenant, path, key) != Lookup::Miss);
            }
        });
        assert_eq!(found, if expected { PATHS } else { 0 });
    }

    /// New paths, of one variant.
    fn insert(&self) {
        measured(&mut || {
            for path in &self.paths[PATHS..] {
                let _ = black_box(self.index.insert(&self.tenant, path, &self.keys[0], 7));
            }
        });
        assert_eq!(self.index.stats().live, PATHS * (VARIANTS + 1));
    }

    /// New paths with all of their variants, one by one, each path at once.
    fn insert_paths(&self) {
        measured(&mut || {
            for path in &self.paths[PATHS..] {
                for key in &self.keys[..VARIANTS] {
                    let _ = black_box(self.insert_one(path, key));
                }
            }
        });
        assert_eq!(self.index.stats().live, 2 * PATHS * VARIANTS);
    }

    /// The same paths, restored.
    fn restore_paths(&self) {
        let restore = self.index.begin_restore();
        measured(&mut || {
            restore.reserve(PATHS);
            for path in &self.paths[PATHS..] {
                let entries =
                    self.keys[..VARIANTS].iter().map(|key| (key.borrowed(), 7, Freshness::Live));
                let _ = black_box(restore.path(&self.tenant, path, entries));
            }
        });
        assert_eq!(self.index.stats().live, 2 * PATHS * VARIANTS);
    }

    /// Everything that is stored, in steps of some 64 paths.
    fn export(&self) {
        let mut entries = 0;
        measured(&mut || {
            let mut cursor = ExportCursor::default();
            while let Some(paths) = self.index.export(&mut cursor, 64 * VARIANTS) {
                entries += black_box(paths).iter().map(|path| path.entries.len()).sum::<usize>();
            }
        });
        assert_eq!(entries, PATHS * VARIANTS);
    }

    /// Paths of 65 bytes, every second with a scheme, and keys of 26 bytes, all of them as text.
    fn check_names() {
        let name = |n: usize| {
            let host = ["https://img.example.com", "shop.images.example.com"][n % 2];
            let path = format!("{host}/catalog{:03}/products/{n:08}-front--1.jpg", n / 100);
            (path, format!("?h={}&org_if_sml=1&w={}", 1000 + n % 100, 200 + n % 700))
        };
        let texts: Vec<_> = (0..PATHS).map(name).collect();
        assert!(texts.iter().all(|(path, key)| (path.len(), key.len()) == (65, 26)));
        let mut found = 0;
        measured(&mut || {
            for (path, key) in &texts {
                let path = OriginPath::from_canonical(black_box(path));
                let key = VariantKey::from_canonical(black_box(key));
                found += usize::from(path.is_ok() & key.is_ok());
            }
        });
        assert_eq!(found, PATHS);
    }

    /// Variants that are stored.
    fn insert_there(&self) {
        measured(&mut || {
            for at in 0..PATHS {
                let _ = black_box(self.insert_one(&self.paths[at], &self.keys[at % VARIANTS]));
            }
        });
        assert_eq!(self.index.stats().live, PATHS * VARIANTS);
    }

    fn insert_one(&self, path: &OriginPath<'_>, key: &VariantKey<'_>) -> Insertion<u64> {
        self.index.insert(&self.tenant, path, key, 7)
    }

    fn fill_one(&self, path: &OriginPath<'_>, key: &VariantKey<'_>) -> Insertion<u64> {
        self.index.lease(&self.tenant, path).commit(key, 7)
    }

    /// New paths, of a few variants, their entries in any order.
    fn store_new(&self, store: fn(&Self, &OriginPath<'_>, &VariantKey<'_>) -> Insertion<u64>) {
        let mut entries: Vec<_> = (0..PATHS * FEW).map(|at| (PATHS + at / FEW, at % FEW)).collect();
        fastrand::Rng::with_seed(7).shuffle(&mut entries);
        measured(&mut || {
            for (path, key) in &entries {
                let _ = black_box(store(self, &self.paths[*path], &self.keys[*key]));
            }
        });
        assert_eq!(self.index.stats().live, PATHS * (VARIANTS + FEW));
    }

    /// Purges paths with this number of variants, and reads their keys and values.
    /// Stores paths that are to be purged.
    fn to_purge(&self, variants: usize) -> &[OriginPath<'static>] {
        let paths = match variants {
            FEW => PATHS..PATHS + PURGES,
            _ => 0..PURGES,
        };
        let paths = &self.paths[paths];
        self.store(paths, variants);
        paths
    }

    /// Purges paths, and lends their keys.
    fn purge_and_visit(&self, variants: usize) {
        let (paths, mut gone) = (self.to_purge(variants), 0);
        measured(&mut || {
            for path in paths {
                self.index.purge(&self.tenant, path, Hard).visit(|key, value| {
                    gone += usize::from(
                        black_box(key.as_str().len() + 1) > usize::from(value == u64::MAX),
                    );
                });
            }
        });
        assert_eq!(gone, PURGES * variants);
    }

    fn purge(&self, variants: usize) {
        let (paths, mut gone) = (self.to_purge(variants), 0);
        measured(&mut || {
            for path in paths {
                for (key, value) in self.index.purge(&self.tenant, path, Hard) {
                    gone += usize::from(
                        black_box(key.as_str().len() + 1) > usize::from(value == u64::MAX),
                    );
                }
            }
        });
        assert_eq!(gone, PURGES * variants);
    }

    /// Purges folders. Each leaves a rule, as nothing is reclaimed.
    fn purge_prefixes(&self) {
        let folder = |n| format!("shop.example.com/catalog{:03}/products/{n:08}/", n % 100);
        let folders: Vec<_> = (0..PURGES).map(folder).collect();
        let prefixes = folders.iter().map(|text| PathPrefix::from_canonical(text));
        let prefixes: Vec<_> = prefixes.map(|prefix| prefix.expect("canonical")).collect();
        measured(&mut || {
            for prefix in &prefixes {
                let _ = black_box(self.index.purge_prefix(&self.tenant, prefix, Hard));
            }
        });
        assert_eq!(self.index.stats().prefix_rules, PURGES);
    }
}
