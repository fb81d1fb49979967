//! Each call of the file layer fails once, in each way.

use crate::history::{Cache, Crash, Oracle, Scope, open};
use crate::sim::{Fault, Sim};
use cache_index::Severity::{Hard, Soft};

/// Opens, fills, invalidates and saves. The same calls each time, as long as nothing fails.
fn script(sim: &Sim, oracle: &mut Oracle) -> Option<Cache> {
    let cache = open(sim).ok()?;
    let _ = oracle.restart(&cache);
    for path in 0..5 {
        oracle.fill(&cache, (0, path, 1));
        oracle.fill(&cache, (1, path, 0));
    }
    oracle.invalidate(&cache, Scope::Path(0, 0), Hard);
    oracle.snapshot(&cache);
    oracle.invalidate(&cache, Scope::Path(0, 1), Hard);
    oracle.invalidate(&cache, Scope::Prefix(1, 1), Soft);
    oracle.fill(&cache, (0, 1, 2));
    oracle.snapshot(&cache);
    oracle.invalidate(&cache, Scope::Tenant(1), Hard);
    Some(cache)
}

/// A directory in which a process has worked already.
fn used() -> (Sim, Oracle) {
    let (sim, mut oracle) = (Sim::new(512), Oracle::default());
    drop(script(&sim, &mut oracle).unwrap());
    (sim.killed(), oracle)
}

fn check(sim: &Sim, oracle: &Oracle, context: &str) {
    let reopened = open(sim).unwrap_or_else(|error| panic!("{context}: {error}"));
    let checked = oracle.clone().check(&reopened, Crash::PowerLost, true);
    checked.unwrap_or_else(|error| panic!("{context}: {error}"));
}

#[test]
fn what_fails_at_any_call_is_named_and_nothing_is_forgotten() {
    let mut random = fastrand::Rng::with_seed(1);
    let (start, before) = used();
    let counted = start.killed();
    drop(script(&counted, &mut before.clone()));
    let calls = counted.calls();
    assert!(calls > 60, "{calls} calls");
    for (call, fault) in (0..calls).flat_map(|call| {
        [Fault::Eio, Fault::Enospc, Fault::Eintr, Fault::Short].map(|fault| (call, fault))
    }) {
        let context = format!("call {call}, {fault:?}");
        let (sim, mut oracle) = (start.killed(), before.clone());
        sim.fail(call, fault);
        let cache = script(&sim, &mut oracle);
        assert!(!sim.was_retried(), "{context}: synced again after a failure");
        // Nothing but the one call has failed, so the manifest could be removed: even what was not
        // durable is not undone by a crash.
        oracle.expect_all();
        check(&sim.killed(), &oracle, &context);
        check(&sim.power_lost(&mut random), &oracle, &context);
        if let (Fault::Eintr | Fault::Short, Some(cache)) = (fault, &cache) {
            let stats = cache.persist_stats();
            assert!(stats.fault.is_none() && stats.would_start_warm, "{context}: {stats:?}");
            assert_eq!((stats.snapshots, stats.failed_snapshots), (2, 0), "{context}");
        }
        assert!(cache.is_some() || matches!(fault, Fault::Eio | Fault::Enospc), "{context}");
        // A snapshot heals whatever it was.
        let cache = cache.or_else(|| open(&sim).ok()).unwrap();
        assert!(oracle.snapshot(&cache), "{context}: not healed");
        let acknowledged = oracle.acknowledged;
        oracle.invalidate(&cache, Scope::Path(0, 3), Hard);
        assert_eq!(oracle.acknowledged, acknowledged + 1, "{context}: not healed");
        assert!(cache.persist_stats().would_start_warm, "{context}");
        check(&sim.power_lost(&mut random), &oracle, &context);
    }
}

#[test]
fn nothing_is_acknowledged_between_a_failed_sync_and_the_next_snapshot() {
    let (sim, mut oracle) = used();
    let cache = open(&sim).unwrap();
    oracle.restart(&cache).unwrap();
    // The first call of an invalidation writes, the second syncs. All further calls fail as well,
    // so nothing heals the log.
    sim.fail(1, Fault::PowerOff);
    for path in 0..4 {
        oracle.invalidate(&cache, Scope::Path(0, path), Hard);
    }
    assert_eq!(oracle.acknowledged, used().1.acknowledged);
    let stats = cache.persist_stats();
    assert_eq!(stats.fault.unwrap().to_string(), "log could not be synced");
    assert!(!stats.would_start_warm);
}

#[test]
fn nobody_waits_for_ever_when_the_file_layer_panics() {
    let (sim, mut oracle) = used();
    let cache = open(&sim).unwrap();
    oracle.restart(&cache).unwrap();
    let acknowledged = oracle.acknowledged;
    sim.before_sync(|| panic!("planted by the test"));
    oracle.invalidate(&cache, Scope::Path(0, 0), Hard);
    oracle.invalidate(&cache, Scope::Path(0, 1), Hard);
    assert!(cache.snapshot().is_err());
    assert!(cache.close().is_err());
    assert_eq!(oracle.acknowledged, acknowledged);
    // A crash or restart is followed by a cold start: even what was not durable holds.
    oracle.expect_all();
    check(&sim.killed(), &oracle, "after a panic");
    assert!(!cache.persist_stats().would_start_warm);
}

#[test]
fn a_second_opening_of_a_directory_fails() {
    let sim = Sim::new(512);
    let cache = open(&sim).unwrap();
    let error = open(&sim).unwrap_err();
    assert_eq!(error.to_string(), "directory could not be locked: another process may use it");
    drop(cache);
    assert!(open(&sim).is_ok());
}
