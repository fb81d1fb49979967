//! Looks entries up, plainly and behind the gate of a fleet. `benches/instructions/check-gate`
//! counts the instructions of both.

use cache_index::{Lookup, OriginPath, Tenant, VariantKey};
use cache_index_fleet::{Fleet, FleetConfig, MemoryEngine, Moment};
use cache_index_persist::{PersistConfig, Persistent};
use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

/// The number of paths, and of lookups of each kind.
const PATHS: u64 = 4000;

type Member = Fleet<u64, MemoryEngine>;

/// A marker for callgrind.
#[inline(never)]
fn count_plain(fleet: &Member, tenant: &Tenant, paths: &[OriginPath<'_>]) -> usize {
    let (key, index) = (key(), fleet.local());
    let is_live = |path: &&OriginPath<'_>| {
        matches!(black_box(index.lookup(tenant, path, &key)), Lookup::Live(_))
    };
    paths.iter().filter(is_live).count()
}

/// A marker for callgrind. The caller has read the clock.
#[inline(never)]
fn count_gated(fleet: &Member, tenant: &Tenant, paths: &[OriginPath<'_>], now: Moment) -> usize {
    let key = key();
    let is_live = |path: &&OriginPath<'_>| {
        let now = black_box(now);
        matches!(black_box(fleet.lookup_at(now, tenant, path, &key)), Lookup::Live(_))
    };
    paths.iter().filter(is_live).count()
}

fn key() -> VariantKey<'static> {
    VariantKey::from_canonical("?w=200").unwrap_or_else(|_| unreachable!("a canonical key"))
}

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let dir = tempfile::tempdir()?;
    let cache = Persistent::open(dir.path(), PersistConfig::default())?;
    let config = FleetConfig::builder("one").fresh_for(Duration::from_secs(3600)).build()?;
    let fleet = runtime.block_on(async {
        let fleet = Fleet::join(cache, config, MemoryEngine::new());
        fleet.serves_fresh().await;
        fleet
    });
    let tenant = fleet.tenant("site");
    let path = |n: u64| format!("shop.example.com/catalog{:03}/products/{n:08}-front.jpg", n / 100);
    let paths: Result<Vec<_>, _> = (0..PATHS).map(|n| path(n).parse::<OriginPath<'_>>()).collect();
    let paths = paths?;
    for (path, value) in paths.iter().zip(0..) {
        assert!(fleet.local().insert(&tenant, path, &key(), value).is_stored());
    }
    // The first lookup of an entry notes in it that it is live.
    assert!(paths.iter().all(|path| fleet.local().lookup(&tenant, path, &key()) != Lookup::Miss));
    assert_eq!(count_plain(&fleet, &tenant, &paths), paths.len());
    assert_eq!(count_gated(&fleet, &tenant, &paths, Moment::now()), paths.len());
    Ok(())
}
