//! One operation, many times, between two markers: what `benches/instructions/check` counts the instructions of.
//!
//! ```sh
//! bash benches/instructions/check
//! ```
//!
//! Only what happens in [`measured`] is counted. Seeds of hash functions are random, so that no two runs take the same way through a
//! table; over this many different paths, that evens out.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for a script")]

use cache_index::{CacheIndex, Hard, Lookup, OriginPath, Tenant, VariantKey};
use std::hint::black_box;

/// Paths that are there, and as many operations.
const PATHS: usize = 4000;
/// Variants of each.
const VARIANTS: usize = 6;
/// Paths that are purged,
const PURGES: usize = PATHS / 4;
/// and variants of each of them.
const PURGED: usize = 32;

struct World {
    index: CacheIndex<u64>,
    tenant: Tenant,
    paths: Vec<OriginPath<'static>>,
    keys: Vec<VariantKey<'static>>,
}

fn main() {
    let operation = std::env::args().nth(1).unwrap_or_default();
    let world = World::new();
    // `list` says which operations there are, and how often each is done.
    match &*operation {
        "look-up-hit" => world.look_up(|at| at, |at| at % VARIANTS, true),
        "look-up-miss" => world.look_up(|at| at + PATHS, |at| at % VARIANTS, false),
        "insert" => world.insert(),
        "purge-32" => world.purge(),
        "check-names" => World::check_names(),
        "list" => {
            println!("look-up-hit {PATHS}\nlook-up-miss {PATHS}\ninsert {PATHS}");
            println!("purge-32 {PURGES}\ncheck-names {PATHS}");
        }
        _ => {
            eprintln!(
                "expected look-up-hit, look-up-miss, insert, purge-32, check-names or list, got {operation:?}"
            );
            std::process::exit(2);
        }
    }
}

/// The marker.
#[inline(never)]
fn measured(operation: &mut dyn FnMut()) {
    operation();
    // Keeps the call above from being turned into a jump.
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
        world.store(PATHS, VARIANTS);
        world
    }

    fn store(&self, paths: usize, variants: usize) {
        for path in &self.paths[..paths] {
            for (key, value) in self.keys[..variants].iter().zip(0..) {
                assert!(self.index.insert(&self.tenant, path, key, value).is_stored());
            }
        }
    }

    fn look_up(&self, path: fn(usize) -> usize, key: fn(usize) -> usize, expected: bool) {
        let mut found = 0;
        measured(&mut || {
            for at in 0..PATHS {
                let (path, key) = (&self.paths[path(at)], &self.keys[key(at)]);
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

    fn purge(&self) {
        self.store(PURGES, PURGED);
        let mut gone = 0;
        measured(&mut || {
            for path in &self.paths[..PURGES] {
                for (key, value) in self.index.purge(&self.tenant, path, Hard) {
                    gone += usize::from(
                        black_box(key.as_str().len() + 1) > usize::from(value == u64::MAX),
                    );
                }
            }
        });
        assert_eq!(gone, PURGES * PURGED);
    }
}
