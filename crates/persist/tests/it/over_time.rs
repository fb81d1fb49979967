//! Flushes over time, which end at a restart.

use crate::sim::Sim;
use cache_index::{
    Config, Freshness, Lookup, ManualClock, OriginPath, OverTime, Severity, Tenant, VariantKey,
};
use cache_index_persist::{OutboxId, PersistConfig, Persistent, Record, Recovery, Scope, inspect};
use std::sync::Arc;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const PATHS: [&str; 4] = ["a/1.jpg", "a/2.jpg", "b.jpg", "c.jpg"];

struct World {
    cache: Persistent<u64>,
    doc: Tenant,
    clock: ManualClock,
}

fn path(text: &str) -> OriginPath<'static> {
    OriginPath::from_canonical(text).unwrap().into_owned()
}

fn key(text: &str) -> VariantKey<'static> {
    VariantKey::from_canonical(text).unwrap().into_owned()
}

impl World {
    fn open(sim: &Sim) -> Self {
        let clock = ManualClock::default();
        let index = Config::builder().shards(1).manual_clock(&clock).build().unwrap();
        let config = PersistConfig::builder().index(index).snapshot_every(None);
        let config = config.segment_bytes(PersistConfig::MIN_SEGMENT_BYTES).build().unwrap();
        let cache = Persistent::open_on(Arc::new(sim.clone()), config).unwrap();
        let doc = cache.tenant("doc");
        Self { cache, doc, clock }
    }

    fn fill(&self, name: &str, variant: &str, value: u64) {
        let lease = self.cache.lease(&self.doc, &path(name));
        assert!(lease.commit(&key(variant), value).is_stored());
    }

    fn filled(sim: &Sim) -> Self {
        let world = Self::open(sim);
        (0..).zip(PATHS).for_each(|(value, name)| world.fill(name, "?", value));
        world
    }

    fn get(&self, name: &str, variant: &str) -> Lookup<u64> {
        self.cache.lookup(&self.doc, &path(name), &key(variant))
    }

    fn all(&self) -> Vec<Lookup<u64>> {
        PATHS.iter().map(|name| self.get(name, "?")).collect()
    }
}

fn over(until_then: Freshness) -> OverTime {
    OverTime::new(MINUTE).serving(until_then)
}

#[test]
fn entries_die_at_their_moment_and_all_are_dead_after_a_crash() {
    for until_then in [Freshness::Live, Freshness::Stale] {
        let sim = Sim::new(512);
        let world = World::filled(&sim);
        world.cache.snapshot().unwrap();
        assert!(world.cache.flush_all_over(over(until_then)).is_durable());
        let mut moments: Vec<_> =
            PATHS.iter().map(|name| over(until_then).moment(&path(name))).collect();
        moments.sort();
        world.clock.advance(moments[1]);
        let dead = world.all().iter().filter(|found| **found == Lookup::Miss).count();
        assert_eq!(dead, 2);
        assert_eq!(world.cache.running_flushes()[0].over.elapsed(), moments[1]);

        let restarted = World::open(&sim.killed());
        assert!(matches!(restarted.cache.recovery(), Recovery::Warm { replayed: 1, .. }));
        assert_eq!(restarted.all(), [Lookup::Miss; 4]);
        assert_eq!(restarted.cache.running_flushes(), []);
    }
}

/// The record of the flush goes with its segment, so the snapshot must not have the entries that it
/// covers.
#[test]
fn a_snapshot_during_the_flush_has_only_what_is_newer() {
    for until_then in [Freshness::Live, Freshness::Stale] {
        let sim = Sim::new(512);
        let world = World::filled(&sim);
        assert!(world.cache.flush_tenant_over(&world.doc, over(until_then)).is_durable());
        // One path has only a newer entry, one has an older and a newer one.
        world.fill("a/1.jpg", "?", 10);
        world.fill("b.jpg", "?w=200", 11);
        let served = Lookup::Stale(2);
        assert_eq!(world.get("b.jpg", "?"), served);
        world.cache.snapshot().unwrap();
        assert_eq!(world.get("b.jpg", "?"), served);
        assert_ne!(world.get("c.jpg", "?"), Lookup::Miss);

        let restarted = World::open(&sim.killed());
        let recovery = restarted.cache.recovery();
        assert!(matches!(recovery, Recovery::Warm { entries: 2, replayed: 0, .. }), "{recovery:?}");
        let misses = Lookup::Miss;
        assert_eq!(restarted.all(), [Lookup::Live(10), misses, misses, misses]);
        assert_eq!(restarted.get("b.jpg", "?w=200"), Lookup::Live(11));
    }
}

#[test]
fn other_tenants_and_entries_after_the_end_are_saved() {
    let sim = Sim::new(512);
    let world = World::filled(&sim);
    let other = world.cache.tenant("other");
    assert!(world.cache.insert(&other, &path("a/1.jpg"), &key("?"), 20).is_stored());
    assert!(world.cache.flush_tenant_over(&world.doc, MINUTE).is_durable());
    world.clock.advance(MINUTE);
    world.fill("a/2.jpg", "?", 12);
    world.cache.snapshot().unwrap();
    let restarted = World::open(&sim.killed());
    let other = restarted.cache.tenant("other");
    assert_eq!(restarted.cache.lookup(&other, &path("a/1.jpg"), &key("?")), Lookup::Live(20));
    let misses = Lookup::Miss;
    assert_eq!(restarted.all(), [misses, Lookup::Live(12), misses, misses]);
}

#[test]
fn the_log_says_what_was_flushed_over_which_time_and_by_whom() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default()).unwrap();
    let (doc, alice) = (cache.tenant("doc"), cache.on_behalf_of("alice"));
    assert!(alice.flush_all_over(over(Freshness::Live)).is_durable());
    assert!(alice.flush_tenant_over(&doc, MINUTE).is_durable());
    drop(cache);
    let found = inspect::directory(dir.path(), |_, _| ()).unwrap();
    let records = found.segments[0].records.as_ref().unwrap();
    let texts: Vec<_> = records.iter().map(|(_, record)| record.scope.to_string()).collect();
    let expected = ["all over 60s, live until then", "tenant doc over 60s, stale until then"];
    assert_eq!(texts, expected);
    assert!(records.iter().all(|(_, record)| record.by.as_deref() == Some("alice")));
}

/// Records of a second log begin when they are applied. One whose elapsed time is not known any
/// more is applied at once.
#[test]
fn records_of_another_log_are_applied_over_time_or_at_once() {
    let record = Record {
        unix_millis: 0,
        by: None,
        outbox: Some(OutboxId { incarnation: 1, number: 1 }),
        severity: Severity::Hard,
        scope: Scope::TenantOver { tenant: "doc".to_owned(), over: over(Freshness::Live) },
    };
    let world = World::filled(&Sim::new(512));
    assert!(world.cache.invalidate_unlogged(&record).is_empty());
    assert_eq!(world.all(), [0, 1, 2, 3].map(Lookup::Live));
    assert_eq!(world.cache.running_flushes()[0].tenant.as_ref(), Some(&world.doc));
    let at_once = record.at_once();
    assert_eq!(at_once.scope, Scope::Tenant { tenant: "doc".to_owned() });
    world.cache.invalidate_unlogged(&at_once);
    assert_eq!(world.all(), [Lookup::Miss; 4]);
}
