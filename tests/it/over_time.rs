//! Flushes over time: each older entry dies at its moment, no newer one does, and at the end it was
//! a flush.

use crate::common::{path, variant};
use cache_index::{
    CacheIndex, Claim, Config, DeadValues, ExportCursor, Freshness, Hard, Insertion, Lookup,
    ManualClock, OriginPath, OverTime, PathPrefix, Refusal, Soft, Tenant, VariantKey,
};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const MOMENT: Duration = Duration::from_nanos(1);

struct World {
    index: CacheIndex<usize>,
    clock: ManualClock,
    tenant: Tenant,
    paths: Vec<OriginPath<'static>>,
    key: VariantKey<'static>,
}

impl World {
    /// With one entry for each of some paths.
    fn new() -> Self {
        let clock = ManualClock::default();
        let config = Config::builder().shards(4).dead_values(DeadValues::Queue);
        let index = CacheIndex::new(config.manual_clock(&clock).build().unwrap());
        let tenant = index.tenant("doc");
        let paths = (0..200).map(|n| path(&format!("sample.li/{n}.jpg"))).collect();
        let world = Self { index, clock, tenant, paths, key: variant("?w=200") };
        (0..world.paths.len()).for_each(|n| world.insert(n, n));
        world
    }

    fn insert(&self, path: usize, value: usize) {
        let path = &self.paths[path];
        assert!(self.index.insert(&self.tenant, path, &self.key, value).is_stored());
    }

    fn lookup(&self, path: usize) -> Lookup<usize> {
        self.index.lookup(&self.tenant, &self.paths[path], &self.key)
    }

    /// The paths in the order of their moments.
    fn by_moment(&self, over: OverTime) -> Vec<(Duration, usize)> {
        let numbered = self.paths.iter().enumerate();
        let mut moments: Vec<_> = numbered.map(|(n, path)| (over.moment(path), n)).collect();
        moments.sort();
        moments
    }

    fn reclaim_all(&self) -> usize {
        let mut reclaimed = 0;
        loop {
            let dead = self.index.reclaim(1000);
            reclaimed += dead.len();
            if dead.is_done() {
                return reclaimed;
            }
        }
    }
}

#[test]
fn each_entry_dies_at_its_moment_and_is_stale_or_live_before() {
    for freshness in [Freshness::Stale, Freshness::Live] {
        let world = World::new();
        let over = OverTime::new(MINUTE).serving(freshness);
        world.index.flush_all_over(over);
        let mut now = Duration::ZERO;
        for (moment, n) in world.by_moment(over) {
            assert!(moment < MINUTE);
            // The last nanosecond before the moment, unless that has passed.
            if let Some(left) = moment.checked_sub(now + MOMENT) {
                world.clock.advance(left);
                now += left;
                let before = match freshness {
                    Freshness::Stale => Lookup::Stale(n),
                    Freshness::Live => Lookup::Live(n),
                };
                assert_eq!(world.lookup(n), before);
            }
            world.clock.advance(moment.saturating_sub(now));
            now = moment;
            assert_eq!(world.lookup(n), Lookup::Miss);
        }
    }
}

#[test]
fn a_third_of_the_paths_is_dead_after_a_third_of_the_time() {
    let world = World::new();
    world.index.flush_tenant_over(&world.tenant, MINUTE);
    world.clock.advance(MINUTE / 3);
    let dead = (0..200).filter(|n| world.lookup(*n) == Lookup::Miss).count();
    assert!((45..90).contains(&dead), "{dead}");
    // A third of a minute has passed two eighths: they are swept.
    assert!((30..=dead).contains(&world.reclaim_all()));
    let left = 200 - dead;
    let prefix = PathPrefix::from_canonical("sample.li/").unwrap();
    assert_eq!(world.index.paths(&world.tenant, &prefix).len(), left);
}

#[test]
fn at_the_end_it_was_a_flush_and_leaves_nothing_behind() {
    let world = World::new();
    let lease = world.index.lease(&world.tenant, &world.paths[0]);
    world.index.flush_all_over(MINUTE);
    assert_eq!(world.index.stats().running_flushes, 1);
    world.clock.advance(MINUTE);
    assert!((0..200).all(|n| world.lookup(n) == Lookup::Miss));
    assert!(!lease.commit(&world.key, 1).is_stored());
    assert_eq!(world.reclaim_all(), 200);
    let stats = world.index.stats();
    assert_eq!((stats.live, stats.stale, stats.dead), (0, 0, 0));
    assert_eq!((stats.flushes_over_time, stats.running_flushes, stats.flushes), (1, 0, 0));
}

#[test]
fn newer_fills_are_not_touched() {
    let world = World::new();
    world.index.flush_all_over(MINUTE);
    let lease = world.index.lease(&world.tenant, &world.paths[0]);
    world.clock.advance(MINUTE / 2);
    assert!(lease.commit(&world.key, 1000).is_stored());
    let unknown = path("sample.li/new.jpg");
    assert!(world.index.insert(&world.tenant, &unknown, &world.key, 1001).is_stored());
    for _ in 0..2 {
        assert_eq!(world.lookup(0), Lookup::Live(1000));
        assert_eq!(world.index.lookup(&world.tenant, &unknown, &world.key), Lookup::Live(1001));
        world.clock.advance(MINUTE);
    }
    assert_eq!(world.reclaim_all(), 199);
    assert_eq!(world.lookup(0), Lookup::Live(1000));
    assert_eq!(world.index.stats().live, 2);
}

/// The path with the latest moment, an older and a newer variant of it.
fn with_older_and_newer() -> (World, OriginPath<'static>, VariantKey<'static>) {
    let world = World::new();
    let over = OverTime::new(MINUTE).serving(Freshness::Live);
    let last = world.by_moment(over).last().unwrap().1;
    world.index.flush_all_over(over);
    assert_eq!(world.lookup(last), Lookup::Live(last));
    let (path, newer) = (world.paths[last].clone(), variant("?w=1"));
    assert!(world.index.insert(&world.tenant, &path, &newer, 1000).is_stored());
    (world, path, newer)
}

#[test]
fn older_variants_are_stale_beside_newer_ones_and_die_alone() {
    let (world, path, newer) = with_older_and_newer();
    let lookup = |key| world.index.lookup(&world.tenant, &path, key);
    assert!(matches!(lookup(&world.key), Lookup::Stale(_)));
    assert_eq!(lookup(&newer), Lookup::Live(1000));
    assert_eq!(world.index.variants(&world.tenant, &path).len(), 2);
    world.clock.advance(MINUTE.saturating_sub(MOMENT));
    assert_eq!((lookup(&world.key), lookup(&newer)), (Lookup::Miss, Lookup::Live(1000)));
    assert_eq!(world.index.variants(&world.tenant, &path), std::slice::from_ref(&newer));
    // The purge returns the newer one alone; the sweep returns the older one, once.
    assert_eq!(world.index.purge(&world.tenant, &path, Hard).len(), 1);
    world.clock.advance(MOMENT);
    assert_eq!(world.reclaim_all(), 200);
}

type Soften<'a> = &'a dyn Fn(&World, &OriginPath<'_>);

#[test]
fn soft_invalidation_beside_a_newer_variant_ends_the_older_ones_early() {
    let folder = PathPrefix::from_canonical("sample.li/").unwrap();
    let soften: [Soften<'_>; 5] = [
        &|world, path| _ = world.index.purge(&world.tenant, path, Soft),
        &|world, _| _ = world.index.flush_all(Soft),
        &|world, _| _ = world.index.flush_tenant(&world.tenant, Soft),
        &|world, _| drop(world.index.purge_prefix(&world.tenant, &folder, Soft)),
        &|world, _| _ = world.index.flush_all_over(MINUTE),
    ];
    for soften in soften {
        let (world, path, newer) = with_older_and_newer();
        soften(&world, &path);
        let lookup = |key| world.index.lookup(&world.tenant, &path, key);
        assert_eq!((lookup(&world.key), lookup(&newer)), (Lookup::Miss, Lookup::Stale(1000)));
    }
}

#[test]
fn older_leases_and_claims_are_void_at_once() {
    let world = World::new();
    let (tenant, birds) = (&world.tenant, path("sample.li/birds.jpg"));
    let lease = world.index.lease(tenant, &birds);
    let Claim::Claimed(claim) = world.index.claim(tenant, &birds, &world.key, 1) else { panic!() };
    world.index.flush_tenant_over(tenant, OverTime::new(MINUTE).serving(Freshness::Live));
    assert!(matches!(world.index.claim(tenant, &birds, &world.key, 2), Claim::Claimed(_)));
    for insertion in [lease.commit(&world.key, 1), claim.commit()] {
        let Insertion::Refused(refused) = insertion else { panic!("stored") };
        assert_eq!(refused.reason, Refusal::Flushed);
    }
}

#[test]
fn other_tenants_are_untouched() {
    let world = World::new();
    let other = world.index.tenant("other");
    assert!(world.index.insert(&other, &world.paths[0], &world.key, 1).is_stored());
    let lease = world.index.lease(&other, &world.paths[1]);
    world.index.flush_tenant_over(&world.tenant, MINUTE);
    world.clock.advance(MINUTE);
    assert!(lease.commit(&world.key, 2).is_stored());
    for (n, value) in [(0, 1), (1, 2)] {
        let found = world.index.lookup(&other, &world.paths[n], &world.key);
        assert_eq!(found, Lookup::Live(value));
    }
}

#[test]
fn second_flush_over_time_moves_no_moment_back() {
    let world = World::new();
    let over = OverTime::new(MINUTE);
    world.index.flush_all_over(over);
    world.clock.advance(MINUTE / 2);
    world.index.flush_all_over(over);
    let moments = world.by_moment(over);
    assert!(
        moments
            .iter()
            .all(|(moment, n)| { (world.lookup(*n) == Lookup::Miss) == (*moment <= MINUTE / 2) })
    );
    world.clock.advance(MINUTE / 2);
    assert!((0..200).all(|n| world.lookup(n) == Lookup::Miss));
}

#[test]
fn hard_flush_ends_a_running_one() {
    let world = World::new();
    world.index.flush_all_over(MINUTE);
    world.index.flush_tenant_over(&world.tenant, MINUTE);
    world.index.flush_tenant(&world.tenant, Hard);
    assert_eq!(world.index.stats().running_flushes, 1);
    assert!((0..200).all(|n| world.lookup(n) == Lookup::Miss));
    world.index.flush_all(Hard);
    assert_eq!(world.index.stats().running_flushes, 0);
}

#[test]
fn fifth_flush_of_a_scope_and_one_without_duration_take_effect_at_once() {
    let world = World::new();
    (0..4).for_each(|_| _ = world.index.flush_all_over(MINUTE));
    assert_eq!(world.index.stats().running_flushes, 4);
    world.index.flush_all_over(MINUTE);
    assert_eq!(world.index.stats().running_flushes, 0);
    assert!((0..200).all(|n| world.lookup(n) == Lookup::Miss));

    for over in [OverTime::new(Duration::ZERO), OverTime::new(MINUTE).resumed_at(MINUTE)] {
        let world = World::new();
        world.index.flush_tenant_over(&world.tenant, over);
        assert_eq!(world.lookup(0), Lookup::Miss);
        assert_eq!(world.index.stats().running_flushes, 0);
    }
}

#[test]
fn resumed_flush_revives_nothing_and_ends_with_the_rest_of_its_duration() {
    let first = World::new();
    let over = OverTime::new(MINUTE);
    let flush = first.index.flush_all_over(over);
    first.clock.advance(MINUTE / 4);
    let [running] = &first.index.running_flushes()[..] else { panic!("one is running") };
    assert_eq!((running.generation, running.tenant.as_ref()), (flush.generation(), None));
    assert_eq!(running.over, over.resumed_at(MINUTE / 4));

    let next = World::new();
    next.index.flush_all_over(running.over);
    assert!(
        (0..200).all(|n| { (first.lookup(n) == Lookup::Miss) == (next.lookup(n) == Lookup::Miss) })
    );
    next.clock.advance(MINUTE / 4 * 3);
    assert!((0..200).all(|n| next.lookup(n) == Lookup::Miss));
}

#[test]
fn forgotten_tenant_needs_no_flush() {
    let world = World::new();
    world.index.flush_tenant_over(&world.tenant, MINUTE);
    world.index.forget_tenant(&world.tenant);
    world.index.flush_tenant_over(&world.tenant, MINUTE);
    assert_eq!(world.index.stats().running_flushes, 0);
    assert_eq!(world.reclaim_all(), 200);
}

#[test]
fn large_set_of_variants_keeps_older_and_newer_apart() {
    let world = World::new();
    let path = path("sample.li/large.jpg");
    let keys: Vec<_> = (1000..1080).map(|n| variant(&format!("?w={n}"))).collect();
    for (n, key) in keys[..40].iter().enumerate() {
        assert!(world.index.insert(&world.tenant, &path, key, n).is_stored());
    }
    world.index.flush_all_over(MINUTE);
    for (n, key) in keys.iter().enumerate().skip(20) {
        assert!(world.index.insert(&world.tenant, &path, key, n).is_stored());
    }
    let lookup = |n: usize| world.index.lookup(&world.tenant, &path, &keys[n]);
    assert!((0..20).all(|n| lookup(n) == Lookup::Stale(n)));
    assert!((20..80).all(|n| lookup(n) == Lookup::Live(n)));
    assert_eq!(exported(&world.index, ExportCursor::default()), 280);
    assert_eq!(exported(&world.index, ExportCursor::as_if_ended()), 60);
    world.clock.advance(MINUTE);
    assert_eq!(world.reclaim_all(), 220);
    assert!((0..20).all(|n| lookup(n) == Lookup::Miss));
    assert!((20..80).all(|n| lookup(n) == Lookup::Live(n)));
}

/// Returns how many entries an export copies.
fn exported(index: &CacheIndex<usize>, mut cursor: ExportCursor) -> usize {
    let steps = std::iter::from_fn(|| index.export(&mut cursor, 8));
    steps.flatten().map(|path| path.entries.len()).sum()
}

#[test]
fn export_leaves_out_older_entries_only_if_flushes_shall_have_ended() {
    let world = World::new();
    world.index.flush_all_over(OverTime::new(MINUTE).serving(Freshness::Live));
    world.insert(0, 7);
    world.insert(1, 8);
    // Exact at any moment: a path that is not dead yet is left out as well.
    for part in 0..4 {
        let left = (0..200).filter(|n| world.lookup(*n) != Lookup::Miss).count();
        assert_eq!(exported(&world.index, ExportCursor::default()), left, "{part}");
        assert_eq!(exported(&world.index, ExportCursor::as_if_ended()), 2, "{part}");
        world.clock.advance(MINUTE / 4);
    }
    // Without a flush, both are the same.
    world.reclaim_all();
    assert_eq!(exported(&world.index, ExportCursor::as_if_ended()), 2);
}

#[test]
fn removal_from_a_path_of_older_and_newer_entries_leaves_the_other_newer_ones() {
    let world = World::new();
    let [second, third] = ["?w=400", "?w=600"].map(variant);
    world.index.flush_all_over(MINUTE);
    let at = &world.paths[0];
    for (key, value) in [(&second, 1000), (&third, 1001)] {
        assert!(world.index.insert(&world.tenant, at, key, value).is_stored());
    }
    world.index.flush_all(Soft);
    assert_eq!(world.index.lookup(&world.tenant, at, &third), Lookup::Stale(1001));

    assert_eq!(world.index.remove(&world.tenant, at, &second, &1000), Some(1000));
    assert_eq!(world.index.lookup(&world.tenant, at, &third), Lookup::Stale(1001));
    assert_eq!(world.lookup(0), Lookup::Miss);
    assert_eq!(world.index.stats().stale, world.paths.len());
}
