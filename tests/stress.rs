//! Real threads: P1, P2 and P4 under concurrent operations. Includes a short run of
//! `examples/soak`, and a run whose purges never concern the fills.

#[path = "../examples/soak/src/soak.rs"]
#[allow(dead_code, reason = "the command prints its report")]
mod soak;

mod common;

use cache_index::{CacheIndex, Config, Hard, Insertion};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;

#[test]
fn nothing_comes_back_and_no_value_is_lost_or_doubled() {
    // A meeting that never occurred cannot have failed. So the test repeats until each kind of
    // meeting has occurred: mostly in one run, and in a few on a busy machine.
    let mut seen = [0; 5];
    for seed in 1..=50 {
        let report = soak::soak(4, seed, soak::Until::Rounds(50_000));
        assert_eq!(report.violations, [""; 0]);
        assert_eq!(report.stored, report.returned);
        seen[0] += report.overlapped;
        seen[1] += report.fills_that_met_an_invalidation;
        seen[2] += report.refused_purged;
        seen[3] += report.refused_flushed;
        seen[4] += report.refused_forgotten;
        if seen.iter().all(|count| *count > 0) {
            return;
        }
    }
    panic!("overlapped, met an invalidation, refused as purged, flushed, forgotten: {seen:?}");
}

#[test]
fn purges_of_other_paths_and_flushes_of_other_tenants_refuse_no_fill() {
    let index = CacheIndex::new(Config::builder().shards(1).build().unwrap());
    let (mine, other) = (index.tenant("mine"), index.tenant("other"));
    let (path, neighbor) = (common::path("s.li/a.jpg"), common::path("s.li/b.jpg"));
    let key = common::variant("?w=1");
    let barrier = Barrier::new(2);
    let done = AtomicBool::new(false);
    let purges = AtomicU64::new(0);
    let mut overlapped = 0_u64;
    let mut refused = 0_u64;
    thread::scope(|scope| {
        scope.spawn(|| {
            barrier.wait();
            while !done.load(SeqCst) {
                drop(index.purge(&mine, &neighbor, Hard));
                drop(index.purge(&other, &path, Hard));
                index.flush_tenant(&other, Hard);
                purges.fetch_add(1, SeqCst);
            }
        });
        barrier.wait();
        // At least this many fills, and more until some overlap.
        let mut fills = 0_u64;
        while fills < 50_000 || overlapped < 100 {
            let before = purges.load(SeqCst);
            let lease = index.lease(&mine, &path);
            if fills % 64 == 0 {
                // Lets the other thread in, also on one core.
                thread::yield_now();
            }
            let insertion = lease.commit(&key, fills);
            overlapped += u64::from(purges.load(SeqCst) > before);
            refused += u64::from(matches!(insertion, Insertion::Refused(_)));
            fills += 1;
        }
        done.store(true, SeqCst);
    });
    assert_eq!(refused, 0);
}
