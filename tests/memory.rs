//! P6 and P7 under attack: all memory is freed. There is one test in this binary, as it counts
//! every allocation of the process.
//!
//! `MEMORY_SCALE=10 cargo test --release --test memory` is the long form: a million leases and
//! flushes, 100,000 of the rest.

mod common;

use cache_index::{
    CacheIndex, Hard, Insertion, OriginPath, PathPrefix, Refusal, Tenant, VariantKey,
};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

struct World {
    index: CacheIndex<u64>,
    tenant: Tenant,
    key: VariantKey<'static>,
}

fn bytes() -> usize {
    dhat::HeapStats::get().curr_bytes
}

fn path(text: &str) -> OriginPath<'_> {
    OriginPath::from_canonical(text).unwrap()
}

/// How many times 10,000 the attacks count to.
fn scale() -> u64 {
    std::env::var("MEMORY_SCALE").ok().map_or(2, |n| n.parse().expect("a number"))
}

impl World {
    /// By leases, as a server does it: each shard keeps the smallest table for leases from then on.
    fn populate(&self) {
        for n in 0..5000 {
            let text = format!("shop.example/pictures/{n}.jpg");
            let lease = self.index.lease(&self.tenant, &path(&text));
            assert!(lease.commit(&self.key, n).is_stored());
        }
    }

    fn reclaim(&self) {
        while !self.index.reclaim(100_000).is_done() {}
    }

    /// Junk paths, each stored and then flushed away.
    fn junk_paths(&self) {
        let junk = self.index.tenant("junk");
        for n in 0..scale() * 10_000 {
            let text = format!("junk.example/{n}");
            let insertion = self.index.insert(&junk, &path(&text), &self.key, n);
            assert!(insertion.is_stored());
        }
        self.index.flush_tenant(&junk, Hard);
    }

    /// Sizes `w=0..` on one path: the limit is named, and the entries stored below it are purged.
    fn enumerated_variants(&self) {
        let path = path("shop.example/attacked.jpg");
        let mut refused = 0;
        let tried = scale() * 10_000;
        for n in 0..tried {
            let key = VariantKey::new_numbered(n);
            match self.index.insert(&self.tenant, &path, &key, n) {
                Insertion::Stored(_) => {}
                Insertion::Refused(r) => {
                    assert_eq!(r.reason, Refusal::TooManyVariants);
                    refused += 1;
                }
            }
        }
        assert_eq!(refused, tried - 16_384);
        assert_eq!(self.index.purge(&self.tenant, &path, Hard).len(), 16_384);
    }

    fn prefix_rules(&self) {
        let junk = self.index.tenant("junk");
        for n in 0..scale() * 10_000 {
            let text = format!("junk.example/{n}/");
            let prefix = PathPrefix::from_canonical(&text).unwrap();
            self.index.purge_prefix(&junk, &prefix, Hard);
        }
        assert!(self.index.stats().prefix_rules <= 4096);
    }

    fn flushes(&self) {
        let junk = self.index.tenant("junk");
        for _ in 0..scale() * 100_000 {
            self.index.flush_tenant(&junk, Hard);
        }
    }

    fn dropped_leases(&self) {
        for n in 0..scale() * 100_000 {
            let text = format!("lease.example/{n}");
            drop(self.index.lease(&self.tenant, &path(&text)));
        }
    }

    fn many_leases_at_once(&self) {
        let lease = |n| self.index.lease(&self.tenant, &path(&format!("lease.example/{n}")));
        let leases: Vec<_> = (0..scale() * 10_000).map(lease).collect();
        assert_eq!(self.index.stats().open_leases as u64, scale() * 10_000);
        drop(leases);
    }
}

type Attack = fn(&World);

/// Keys that differ in one number, as a client that enumerates sizes sends them.
trait Numbered {
    fn new_numbered(n: u64) -> Self;
}

impl Numbered for VariantKey<'static> {
    fn new_numbered(n: u64) -> Self {
        common::variant(&format!("?w={n}"))
    }
}

#[test]
fn memory_is_within_a_tenth_of_where_it_was_after_every_attack() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let index = CacheIndex::default();
    let tenant = index.tenant("shop");
    index.tenant("junk");
    let world = World { tenant, index, key: common::variant("?w=600") };
    world.populate();
    let before = bytes();
    let attacks: [(&str, Attack); 6] = [
        ("junk paths", World::junk_paths),
        ("enumerated variants", World::enumerated_variants),
        ("prefix rules", World::prefix_rules),
        ("flushes", World::flushes),
        ("dropped leases", World::dropped_leases),
        ("many leases at once", World::many_leases_at_once),
    ];
    for (name, attack) in attacks {
        attack(&world);
        world.reclaim();
        let (after, said) = (bytes(), world.index.stats().bytes);
        assert!(after * 10 <= before * 11, "{name}: {before} bytes before, {after} after");
        assert!(said * 10 <= before * 11 && said * 2 >= before, "{name}: {said} of {after} said");
        let stats = world.index.stats();
        assert_eq!((stats.live, stats.dead, stats.prefix_rules), (5000, 0, 0), "{name}");
    }
}
