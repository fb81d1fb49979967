//! Every schedule of small races, with the orderings that the atomics really have.
//!
//! ```sh
//! RUSTFLAGS="--cfg cache_index_loom" CARGO_TARGET_DIR=target/loom LOOM_MAX_PREEMPTIONS=3 \
//!   cargo test --release -p schedules --test loom
//! ```
//!
//! Each test creates an index of one shard and lets two threads race. It then checks conditions
//! that hold whichever thread came first.
#![cfg(cache_index_loom)]

#[path = "../../common/mod.rs"]
mod common;

use cache_index::{
    CacheIndex, Claim, Config, DeadValues, FillLease, Freshness, Hard, Insertion, Lookup,
    ManualClock, OriginPath, OverTime, PathPrefix, Soft, Tenant, VariantKey,
};
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// The names, read before a model begins: a model's threads have small stacks, and canonicalization
/// is none of its business.
struct Names {
    path: OriginPath<'static>,
    prefix: PathPrefix<'static>,
    key: VariantKey<'static>,
    paths: [OriginPath<'static>; 2],
    keys: [VariantKey<'static>; 2],
}

static NAMES: LazyLock<Names> = LazyLock::new(|| Names {
    // Both kinds, as a server may mix them.
    path: common::Names::Opaque('?').path("a/x"),
    prefix: common::Names::Opaque('?').prefix("a/"),
    key: common::variant("?w=1"),
    paths: ["a/x", "b/y"].map(common::path),
    keys: ["?w=1", "?w=2"].map(common::variant),
});

fn model(race: impl Fn() + Send + Sync + 'static) {
    LazyLock::force(&NAMES);
    loom::model(race);
}

struct World {
    index: CacheIndex<u32>,
    clock: ManualClock,
    tenant: Tenant,
    path: OriginPath<'static>,
    prefix: PathPrefix<'static>,
    key: VariantKey<'static>,
}

impl World {
    fn new() -> Arc<Self> {
        Self::with_rules(4096)
    }

    fn with_rules(rules: usize) -> Arc<Self> {
        let config = Config::builder().shards(1).dead_values(DeadValues::Queue);
        let clock = ManualClock::default();
        let config = config.max_prefix_rules(rules).manual_clock(&clock).build().unwrap();
        let index = CacheIndex::new(config);
        Arc::new(Self {
            clock,
            tenant: index.tenant("t"),
            index,
            path: NAMES.path.clone(),
            prefix: NAMES.prefix.clone(),
            key: NAMES.key.clone(),
        })
    }

    fn with_entry(value: u32) -> Arc<Self> {
        let world = Self::new();
        assert!(world.insert(value));
        world
    }

    fn insert(&self, value: u32) -> bool {
        self.index.insert(&self.tenant, &self.path, &self.key, value).is_stored()
    }

    fn lookup(&self) -> Lookup<u32> {
        self.index.lookup(&self.tenant, &self.path, &self.key)
    }

    fn claim(&self, value: u32) -> Claim<u32> {
        self.index.claim(&self.tenant, &self.path, &self.key, value)
    }

    fn lease(&self) -> FillLease<u32> {
        self.index.lease(&self.tenant, &self.path)
    }

    fn purge(&self) -> Vec<u32> {
        let gone = self.index.purge(&self.tenant, &self.path, Hard);
        gone.into_iter().map(|(_, value)| value).collect()
    }

    fn reclaim(&self) -> Vec<u32> {
        self.index.reclaim(100).into_iter().map(|dead| dead.value).collect()
    }
}

type Invalidate = fn(&World);

const HARD: [Invalidate; 5] = [
    |world| drop(world.purge()),
    |world| _ = world.index.flush_tenant(&world.tenant, Hard),
    |world| _ = world.index.flush_all(Hard),
    |world| drop(world.index.purge_prefix(&world.tenant, &world.prefix, Hard)),
    |world| _ = world.index.forget_tenant(&world.tenant),
];

const SOFT: [Invalidate; 4] = [
    |world| _ = world.index.purge(&world.tenant, &world.path, Soft),
    |world| _ = world.index.flush_tenant(&world.tenant, Soft),
    |world| _ = world.index.flush_all(Soft),
    |world| drop(world.index.purge_prefix(&world.tenant, &world.prefix, Soft)),
];

/// Two paths in separate shards. They share only the number of a key.
struct TwoPaths {
    index: CacheIndex<u32>,
    tenant: Tenant,
    keys: [VariantKey<'static>; 2],
}

impl TwoPaths {
    fn new() -> Arc<Self> {
        let index = CacheIndex::new(Config::builder().shards(16).build().unwrap());
        Arc::new(Self { tenant: index.tenant("t"), index, keys: NAMES.keys.clone() })
    }

    fn insert(&self, path: usize, key: usize, value: u32) {
        let (path, key) = (&NAMES.paths[path], &self.keys[key]);
        assert!(self.index.insert(&self.tenant, path, key, value).is_stored());
    }

    fn lookup(&self, path: usize, key: usize) -> Lookup<u32> {
        self.index.lookup(&self.tenant, &NAMES.paths[path], &self.keys[key])
    }

    /// Removes everything, and returns the keys with their values.
    fn purge(&self, path: usize) -> Vec<(String, u32)> {
        let gone = self.index.purge(&self.tenant, &NAMES.paths[path], Hard);
        gone.into_iter().map(|(key, value)| (key.to_string(), value)).collect()
    }
}

/// A key that is new in two shards at once has one number, and both find it.
#[test]
fn new_key_is_stored_by_two_threads() {
    model(|| {
        let world = TwoPaths::new();
        let other = Arc::clone(&world);
        let thread = thread::spawn(move || {
            other.insert(0, 0, 1);
            assert_eq!(other.lookup(0, 0), Lookup::Live(1));
        });
        world.insert(1, 0, 2);
        assert_eq!(world.lookup(1, 0), Lookup::Live(2));
        thread.join().unwrap();
        assert_eq!((world.lookup(0, 0), world.lookup(1, 0)), (Lookup::Live(1), Lookup::Live(2)));
    });
}

/// The last use of a key ends in one shard while it is used again in another: its number stays, or
/// another takes its place.
#[test]
fn key_is_used_again_while_its_last_use_ends() {
    model(|| {
        let world = TwoPaths::new();
        world.insert(0, 0, 1);
        let other = Arc::clone(&world);
        let thread = thread::spawn(move || other.purge(0));
        world.insert(1, 0, 2);
        assert_eq!(world.lookup(1, 0), Lookup::Live(2));
        assert_eq!(thread.join().unwrap(), [("?w=1".to_owned(), 1)]);
        assert_eq!((world.lookup(0, 0), world.lookup(1, 0)), (Lookup::Miss, Lookup::Live(2)));
        assert_eq!(world.purge(1), [("?w=1".to_owned(), 2)]);
    });
}

/// The line of a key is given to another while a third thread looks the old one up: it never finds
/// it under the other's name.
#[test]
fn line_of_a_key_is_used_again_under_a_reader() {
    model(|| {
        let world = TwoPaths::new();
        world.insert(0, 0, 1);
        let other = Arc::clone(&world);
        let thread = thread::spawn(move || {
            assert_eq!(other.purge(0), [("?w=1".to_owned(), 1)]);
            other.insert(0, 1, 7);
        });
        assert!(matches!(world.lookup(0, 0), Lookup::Live(1) | Lookup::Miss));
        assert!(matches!(world.lookup(0, 1), Lookup::Live(7) | Lookup::Miss));
        thread.join().unwrap();
        assert_eq!((world.lookup(0, 0), world.lookup(0, 1)), (Lookup::Miss, Lookup::Live(7)));
    });
}

/// A purge reads the text of a key whose last use ends, and whose line is given to another key:
/// each purge returns its own key, whether the line had a key before or not.
#[test]
fn line_of_a_key_is_used_again_under_a_purge() {
    for has_had_a_key in [false, true] {
        model(move || {
            let world = TwoPaths::new();
            let own = |key: usize, value| [(world.keys[key].to_string(), value)];
            if has_had_a_key {
                world.insert(0, 0, 1);
                assert_eq!(world.purge(0), own(0, 1));
            }
            world.insert(0, 1, 2);
            let other = Arc::clone(&world);
            let thread = thread::spawn(move || other.purge(0));
            world.insert(1, 0, 3);
            assert_eq!(thread.join().unwrap(), own(1, 2));
            assert_eq!(world.purge(1), own(0, 3));
        });
    }
}

/// Two threads miss at the same time: one gets the lease, the second its value or the stored entry.
#[test]
fn claim_against_a_claim_that_commits() {
    model(|| {
        let world = World::new();
        let other = Arc::clone(&world);
        let claim = |world: &World, value| match world.claim(value) {
            Claim::Claimed(lease) => {
                assert!(lease.commit().is_stored());
                value
            }
            Claim::Pending(value) | Claim::Live(value) => value,
            Claim::Stale { .. } => unreachable!("nothing is stale"),
        };
        let thread = thread::spawn(move || claim(&other, 1));
        let (own, others) = (claim(&world, 2), thread.join().unwrap());
        assert_eq!(own, others, "one fill for both");
        assert_eq!(world.lookup(), Lookup::Live(own));
    });
}

/// A thread that invalidates and then claims does not join a claim that began before.
fn claim_after(invalidate: Invalidate) {
    model(move || {
        let world = World::new();
        let Claim::Claimed(old) = world.claim(1) else { unreachable!() };
        let other = Arc::clone(&world);
        let invalidator = thread::spawn(move || {
            invalidate(&other);
            !matches!(other.claim(2), Claim::Pending(1) | Claim::Live(1))
        });
        let second = world.claim(3);
        assert!(invalidator.join().unwrap(), "an old value is pending, or stored");
        drop((old, second));
        assert_eq!(world.index.stats().open_claims, 0);
    });
}

#[test]
fn claim_after_a_purge() {
    claim_after(HARD[0]);
    claim_after(SOFT[0]);
}

#[test]
fn claim_after_a_flush() {
    claim_after(HARD[2]);
    claim_after(SOFT[1]);
}

#[test]
fn claim_after_a_purge_of_a_prefix() {
    claim_after(HARD[3]);
}

const MINUTE: Duration = Duration::from_secs(60);

/// A flush over time refuses an older lease whenever the commit comes, and an older entry is dead
/// once the duration has passed.
#[test]
fn commit_against_flush_over_time() {
    for freshness in [Freshness::Live, Freshness::Stale] {
        model(move || {
            let world = World::with_entry(1);
            let lease = world.lease();
            let other = Arc::clone(&world);
            let committer = thread::spawn(move || drop(lease.commit(&other.key, 2)));
            world.index.flush_all_over(OverTime::new(MINUTE).serving(freshness));
            world.clock.advance(MINUTE);
            assert_eq!(world.lookup(), Lookup::Miss);
            committer.join().unwrap();
            assert_eq!(world.lookup(), Lookup::Miss);
        });
    }
}

/// Two threads look an entry up while it dies: a thread that comes after one that missed misses.
#[test]
fn look_up_at_the_end_of_a_flush_over_time() {
    model(|| {
        let world = World::with_entry(1);
        world.index.flush_all_over(OverTime::new(MINUTE).serving(Freshness::Live));
        let other = Arc::clone(&world);
        let thread = thread::spawn(move || {
            other.clock.advance(MINUTE);
            assert_eq!(other.lookup(), Lookup::Miss);
        });
        let first = world.lookup();
        let second = world.lookup();
        assert!(first != Lookup::Miss || second == Lookup::Miss);
        thread.join().unwrap();
        assert_eq!(world.lookup(), Lookup::Miss);
        assert_eq!(world.reclaim(), [1]);
    });
}

/// A newer entry is stored while the flush begins and ends: it stays.
#[test]
fn store_against_the_end_of_a_flush_over_time() {
    model(|| {
        let world = World::with_entry(1);
        world.index.flush_all_over(OverTime::new(MINUTE).serving(Freshness::Live));
        let other = Arc::clone(&world);
        let thread = thread::spawn(move || other.clock.advance(MINUTE));
        assert!(world.insert(2));
        thread.join().unwrap();
        assert_eq!(world.lookup(), Lookup::Live(2));
        drop(world.reclaim());
        assert_eq!(world.lookup(), Lookup::Live(2));
    });
}

/// A purge happens at one moment for entries and fills: a fill that begins after it, and ends after
/// the entries' moment, is stored as though there had been no purge; so the purge came before that
/// moment, and found the entry.
fn purge_at_a_moment_of_a_flush_over_time(purge: fn(&World) -> usize) {
    model(move || {
        let world = World::with_entry(1);
        world.index.flush_all_over(OverTime::new(MINUTE).serving(Freshness::Live));
        // The filler has nothing to sweep, and so does not wait for the shard.
        assert!(world.reclaim().is_empty());
        let filler = Arc::clone(&world);
        let filler = thread::spawn(move || {
            let lease = filler.lease();
            filler.clock.advance(MINUTE);
            lease.commit(&filler.key, 2)
        });
        let found = purge(&world);
        if let Insertion::Stored(stored) = filler.join().unwrap() {
            let came_later = matches!(world.lookup(), Lookup::Miss | Lookup::Stale(_));
            if stored.freshness == Freshness::Live && !came_later {
                assert_eq!(found, 1, "the purge marked no fill, and met no entry either");
            }
        }
    });
}

#[test]
fn purge_at_the_end_of_a_flush_over_time() {
    purge_at_a_moment_of_a_flush_over_time(|world| world.purge().len());
}

#[test]
fn soft_purge_at_the_end_of_a_flush_over_time() {
    purge_at_a_moment_of_a_flush_over_time(|world| {
        world.index.purge(&world.tenant, &world.path, Soft).len()
    });
}

/// A lease that was taken before is committed while the invalidation runs: in the end the value is
/// not served.
fn commit_against(invalidate: Invalidate, present: bool) {
    model(move || {
        let world = if present { World::with_entry(1) } else { World::new() };
        let lease = world.lease();
        let other = Arc::clone(&world);
        let committer = thread::spawn(move || drop(lease.commit(&other.key, 2)));
        invalidate(&world);
        committer.join().unwrap();
        assert_eq!(world.lookup(), Lookup::Miss);
    });
}

#[test]
fn commit_against_purge_of_a_present_path() {
    commit_against(HARD[0], true);
}

#[test]
fn commit_against_purge_of_an_absent_path() {
    commit_against(HARD[0], false);
}

#[test]
fn commit_against_flush_of_the_tenant() {
    commit_against(HARD[1], true);
    commit_against(HARD[1], false);
}

#[test]
fn commit_against_flush_of_everything() {
    commit_against(HARD[2], true);
    commit_against(HARD[2], false);
}

#[test]
fn commit_against_purge_of_a_prefix() {
    commit_against(HARD[3], true);
    commit_against(HARD[3], false);
}

#[test]
fn commit_against_the_forgetting_of_the_tenant() {
    commit_against(HARD[4], true);
    commit_against(HARD[4], false);
}

/// An insert is refused as soon as any thread can know that the tenant is forgotten, and earlier
/// entries are dead.
#[test]
fn insert_through_another_handle_against_the_forgetting_of_the_tenant() {
    model(|| {
        let world = World::with_entry(1);
        let other = Arc::clone(&world);
        let tenant = world.tenant.clone();
        let inserter = thread::spawn(move || {
            let inserted = other.index.insert(&tenant, &other.path, &other.key, 2);
            (inserted.is_stored(), other.lookup())
        });
        world.index.forget_tenant(&world.tenant);
        let (stored, found) = inserter.join().unwrap();
        assert!(stored || found == Lookup::Miss, "refused, then found {found:?}");
        assert_eq!(world.lookup(), Lookup::Miss);
        assert!(!world.insert(3));
        // The inserter replaced the entry, or it died with the tenant.
        assert_eq!(world.reclaim().len(), 1);
    });
}

/// A request for the name while its tenant is forgotten returns one of two tenants: the old one,
/// which is forgotten, or a new one, which keeps its entries.
#[test]
fn request_for_the_name_against_the_forgetting_of_the_tenant() {
    model(|| {
        let world = World::with_entry(1);
        let other = Arc::clone(&world);
        let asker = thread::spawn(move || {
            let tenant = other.index.tenant("t");
            let stored = other.index.insert(&tenant, &other.path, &other.key, 2).is_stored();
            (tenant, stored)
        });
        world.index.forget_tenant(&world.tenant);
        let (tenant, stored) = asker.join().unwrap();
        let found = world.index.lookup(&tenant, &world.path, &world.key);
        if tenant == world.tenant {
            assert_eq!(found, Lookup::Miss);
        } else {
            assert!(stored);
            assert_eq!(found, Lookup::Live(2));
        }
        assert_eq!(world.lookup(), Lookup::Miss);
    });
}

/// The sweep drops the rest of a forgotten tenant while a new one is created: the new one gets an
/// unused id.
#[test]
fn reclaim_of_a_forgotten_tenant_against_a_new_one() {
    model(|| {
        let world = World::new();
        let old = world.index.tenant("old");
        assert!(world.index.insert(&old, &world.path, &world.key, 1).is_stored());
        world.index.forget_tenant(&old);
        drop(old);
        let other = Arc::clone(&world);
        let sweeper = thread::spawn(move || other.reclaim());
        let new = world.index.tenant("old");
        assert!(world.index.insert(&new, &world.path, &world.key, 2).is_stored());
        let mut reclaimed = sweeper.join().unwrap();
        assert_eq!(world.index.lookup(&new, &world.path, &world.key), Lookup::Live(2));
        reclaimed.extend(world.reclaim());
        assert_eq!(reclaimed, [1]);
        assert_eq!(world.index.stats().forgotten_tenants, 0);
    });
}

#[test]
fn forgetting_against_a_flush_of_everything() {
    model(|| {
        let world = World::with_entry(1);
        let other = Arc::clone(&world);
        let flusher = thread::spawn(move || _ = other.index.flush_all(Hard));
        world.index.forget_tenant(&world.tenant);
        let found = world.lookup();
        flusher.join().unwrap();
        assert_eq!(found, Lookup::Miss);
        assert_eq!(world.reclaim(), [1]);
    });
}

#[test]
fn commit_against_soft_invalidations_is_stale() {
    for invalidate in SOFT {
        model(move || {
            let world = World::new();
            let lease = world.lease();
            let other = Arc::clone(&world);
            let committer = thread::spawn(move || lease.commit(&other.key, 2).is_stored());
            invalidate(&world);
            assert!(committer.join().unwrap());
            assert_eq!(world.lookup(), Lookup::Stale(2));
        });
    }
}

/// The whole fill races with a change of the source and then an invalidation. The picture that is
/// served in the end is new.
#[test]
fn whole_fill_against_change_and_invalidation_serves_nothing_old() {
    for invalidate in HARD {
        model(move || {
            let world = World::new();
            let source = Arc::new(AtomicUsize::new(1));
            let (filler, version) = (Arc::clone(&world), Arc::clone(&source));
            let filler = thread::spawn(move || {
                let lease = filler.lease();
                // Relaxed: the index must do without help from the source.
                let read = version.load(Ordering::Relaxed);
                drop(lease.commit(&filler.key, u32::try_from(read).unwrap()));
            });
            source.store(2, Ordering::Relaxed);
            invalidate(&world);
            filler.join().unwrap();
            assert_ne!(world.lookup(), Lookup::Live(1));
        });
    }
}

/// The purge counts a fill that it overtakes, and no other fill is refused. A stored value is
/// served or was returned.
#[test]
fn whole_fill_against_a_purge_is_counted_refused_or_stored() {
    for present in [false, true] {
        model(move || {
            let world = if present { World::with_entry(1) } else { World::new() };
            let other = Arc::clone(&world);
            let filler = thread::spawn(move || other.lease().commit(&other.key, 2));
            let purged = world.index.purge(&world.tenant, &world.path, Hard);
            let overtaken = purged.overtaken_fills();
            let gone: Vec<_> = purged.into_iter().map(|(_, value)| value).collect();
            match filler.join().unwrap() {
                Insertion::Refused(_) => {
                    assert_eq!((overtaken, world.lookup()), (1, Lookup::Miss));
                }
                Insertion::Stored(_) if gone.contains(&2) => {
                    assert_eq!((overtaken, world.lookup()), (0, Lookup::Miss));
                }
                Insertion::Stored(_) => {
                    assert_eq!((overtaken, world.lookup()), (0, Lookup::Live(2)));
                }
            }
        });
    }
}

#[test]
fn whole_fill_against_purges_of_another_path_is_stored() {
    model(|| {
        let world = World::new();
        let other = Arc::clone(&world);
        let filler = thread::spawn(move || other.lease().commit(&other.key, 2).is_stored());
        let tenant = world.index.tenant("another tenant");
        let purged = world.index.purge(&tenant, &world.path, Hard);
        assert_eq!(purged.overtaken_fills(), 0);
        assert!(filler.join().unwrap());
        assert_eq!(world.lookup(), Lookup::Live(2));
    });
}

/// One lease ends while the purge looks at the number of leases, and another one was taken before
/// the purge.
#[test]
fn lease_that_was_taken_before_a_purge_is_overtaken_whatever_ends_meanwhile() {
    model(|| {
        let world = World::new();
        let lease = world.lease();
        let short = world.lease();
        let dropper = thread::spawn(move || drop(short));
        drop(world.purge());
        dropper.join().unwrap();
        assert!(!lease.commit(&world.key, 2).is_stored());
    });
}

#[test]
fn purge_against_purge_hands_the_value_over_once() {
    model(|| {
        let world = World::with_entry(1);
        let other = Arc::clone(&world);
        let purger = thread::spawn(move || other.purge());
        let mut gone = world.purge();
        gone.extend(purger.join().unwrap());
        assert_eq!(gone, [1]);
    });
}

#[test]
fn purge_against_flush_hands_the_value_over_once() {
    model(|| {
        let world = World::with_entry(1);
        let other = Arc::clone(&world);
        let flusher = thread::spawn(move || _ = other.index.flush_all(Hard));
        let mut gone = world.purge();
        flusher.join().unwrap();
        gone.extend(world.reclaim());
        assert_eq!(gone, [1]);
    });
}

/// A record that a lookup settles during an unfinished invalidation must not survive it. Once a
/// lookup has missed, the entry is not served again.
#[test]
fn look_up_against_broad_invalidations() {
    for invalidate in &HARD[1..] {
        model(move || {
            let world = World::with_entry(1);
            let other = Arc::clone(&world);
            let reader = thread::spawn(move || (other.lookup(), other.lookup()));
            invalidate(&world);
            let (first, second) = reader.join().unwrap();
            assert!(first != Lookup::Miss || second == Lookup::Miss, "missed, then found");
            assert_eq!(world.lookup(), Lookup::Miss);
        });
    }
}

#[test]
fn who_learns_that_a_flush_has_returned_finds_nothing_older() {
    for invalidate in &HARD[1..] {
        model(move || {
            let world = World::with_entry(1);
            let returned = Arc::new(AtomicUsize::new(0));
            let (other, flag) = (Arc::clone(&world), Arc::clone(&returned));
            let reader = thread::spawn(move || {
                let after = flag.load(Ordering::Acquire) == 1;
                (after, other.lookup())
            });
            invalidate(&world);
            returned.store(1, Ordering::Release);
            let (after, found) = reader.join().unwrap();
            assert!(!after || found == Lookup::Miss);
        });
    }
}

/// Two invalidations at once: the later number must not settle entries that the earlier one has yet
/// to reach.
#[test]
fn flush_against_flush_while_a_look_up_settles() {
    model(|| {
        let world = World::with_entry(1);
        let other = Arc::clone(&world);
        let second = other.index.tenant("another tenant");
        let flusher = thread::spawn(move || _ = other.index.flush_tenant(&second, Hard));
        world.index.flush_tenant(&world.tenant, Hard);
        let found = world.lookup();
        flusher.join().unwrap();
        assert_eq!(found, Lookup::Miss);
        assert_eq!(world.lookup(), Lookup::Miss);
    });
}

#[test]
fn look_up_between_two_flushes_settles_nothing_that_the_first_has_yet_to_reach() {
    model(|| {
        let world = World::with_entry(1);
        let (one, two) = (Arc::clone(&world), Arc::clone(&world));
        let other_tenant = world.index.tenant("another tenant");
        let own = thread::spawn(move || _ = one.index.flush_tenant(&one.tenant, Hard));
        let others = thread::spawn(move || _ = two.index.flush_tenant(&other_tenant, Hard));
        let _ = world.lookup();
        own.join().unwrap();
        others.join().unwrap();
        assert_eq!(world.lookup(), Lookup::Miss);
    });
}

/// One of two lookups may publish the flush, and the other may settle the record because of it.
#[test]
fn look_ups_pass_on_to_each_other_what_they_publish_of_a_flush() {
    model(|| {
        let world = World::with_entry(1);
        let (one, two) = (Arc::clone(&world), Arc::clone(&world));
        let flusher = thread::spawn(move || _ = one.index.flush_tenant(&one.tenant, Hard));
        let reader = thread::spawn(move || two.lookup());
        let found = world.lookup();
        let found_too = reader.join().unwrap();
        flusher.join().unwrap();
        assert_eq!(world.lookup(), Lookup::Miss, "after {found:?} and {found_too:?}");
    });
}

/// A flush and then a soft flush by the same thread: no thread sees the second without the first.
#[test]
fn no_look_up_sees_a_later_invalidation_without_an_earlier_one() {
    model(|| {
        let world = World::with_entry(1);
        let other = Arc::clone(&world);
        let reader = thread::spawn(move || other.lookup());
        world.index.flush_tenant(&world.tenant, Hard);
        world.index.flush_all(Soft);
        let found = reader.join().unwrap();
        assert_ne!(found, Lookup::Stale(1));
    });
}

#[test]
fn who_learns_that_all_was_reclaimed_finds_nothing_more_to_reclaim() {
    model(|| {
        let world = World::with_entry(1);
        world.index.flush_all(Hard);
        let other = Arc::clone(&world);
        let inserter = thread::spawn(move || assert!(other.insert(2)));
        let reclaimed = world.index.reclaim(100);
        let done = reclaimed.is_done();
        let found = reclaimed.len();
        inserter.join().unwrap();
        assert!(!done || found == 1, "done, with {found} of 1");
    });
}

#[test]
fn reclaim_against_insert_loses_nothing() {
    model(|| {
        let world = World::with_entry(1);
        world.index.flush_all(Hard);
        let other = Arc::clone(&world);
        let inserter = thread::spawn(move || assert!(other.insert(2)));
        let mut reclaimed = world.reclaim();
        inserter.join().unwrap();
        reclaimed.extend(world.reclaim());
        assert_eq!(reclaimed, [1]);
        assert_eq!(world.lookup(), Lookup::Live(2));
    });
}

/// Making room for a rule replaces the oldest rule by a flush of its tenant. A lookup sees one of
/// the two.
#[test]
fn look_up_against_the_widening_of_a_rule_finds_nothing_that_the_rule_killed() {
    model(|| {
        let world = World::with_rules(1);
        assert!(world.insert(1));
        drop(world.index.purge_prefix(&world.tenant, &world.prefix, Hard));
        let other = Arc::clone(&world);
        let another_tenant = world.index.tenant("another tenant");
        let purger = thread::spawn(move || {
            drop(other.index.purge_prefix(&another_tenant, &other.prefix, Hard));
        });
        assert_eq!(world.lookup(), Lookup::Miss);
        purger.join().unwrap();
        assert_eq!(world.lookup(), Lookup::Miss);
    });
}

/// A rule retires when a sweep has settled every record, and the open fill as well.
#[test]
fn retiring_a_rule_against_a_commit_that_it_covers() {
    model(|| {
        let world = World::new();
        let lease = world.lease();
        drop(world.index.purge_prefix(&world.tenant, &world.prefix, Hard));
        let other = Arc::clone(&world);
        let committer = thread::spawn(move || lease.commit(&other.key, 2));
        assert!(world.index.reclaim(100).is_done());
        let insertion = committer.join().unwrap();
        assert!(matches!(insertion, Insertion::Refused(_)), "{insertion:?}");
        assert_eq!(world.index.stats().prefix_rules, 0);
    });
}

#[test]
fn dropping_a_lease_against_a_purge_leaves_nothing_behind() {
    model(|| {
        let world = World::new();
        let lease = world.lease();
        let dropper = thread::spawn(move || drop(lease));
        let voided = world.index.purge(&world.tenant, &world.path, Hard).overtaken_fills();
        dropper.join().unwrap();
        assert!(voided <= 1);
        assert_eq!(world.index.stats().open_leases, 0);
        assert!(world.lease().commit(&world.key, 2).is_stored());
    });
}

/// An entry of an earlier index is restored while the invalidation runs: in the end it is not
/// served, whether the restore saw the purge or the purge saw the entry.
fn restore_against(invalidate: Invalidate) {
    model(move || {
        let world = World::new();
        let restore = world.index.begin_restore();
        let other = Arc::clone(&world);
        let restorer = thread::spawn(move || {
            let entry = [(other.key.clone(), 2, Freshness::Live)];
            let restored = restore.path(&other.tenant, &other.path, entry);
            drop(restore);
            restored.stored
        });
        invalidate(&world);
        let stored = restorer.join().unwrap();
        assert!(stored <= 1);
        assert_eq!(world.lookup(), Lookup::Miss);
    });
}

#[test]
fn restore_against_purge_of_the_path() {
    restore_against(HARD[0]);
}

#[test]
fn restore_against_flush_of_the_tenant() {
    restore_against(HARD[1]);
}

#[test]
fn restore_against_flush_of_everything() {
    restore_against(HARD[2]);
}

#[test]
fn restore_against_purge_of_a_prefix() {
    restore_against(HARD[3]);
}

#[test]
fn restore_against_the_forgetting_of_the_tenant() {
    restore_against(HARD[4]);
}

/// The sweep would retire the rule of a prefix purge that came after the beginning of a restore.
#[test]
fn beginning_of_a_restore_against_purge_of_a_prefix_and_its_sweep() {
    model(|| {
        let world = World::new();
        let restore = world.index.begin_restore();
        let other = Arc::clone(&world);
        let sweeper = thread::spawn(move || {
            other.index.purge_prefix(&other.tenant, &other.prefix, Hard);
            other.reclaim()
        });
        // Ends, so that only the second restore keeps the rules.
        let second = world.index.begin_restore();
        drop(restore);
        let before = world.index.stats().prefix_purges;
        sweeper.join().unwrap();
        let entry = [(world.key.clone(), 2, Freshness::Live)];
        let stored = second.path(&world.tenant, &world.path, entry).stored;
        // A purge that had not begun is after the beginning of the restore.
        assert!(before > 0 || stored == 0, "restored over a later purge");
        drop(second);
        world.reclaim();
        assert_eq!(world.index.stats().prefix_rules, 0);
    });
}
