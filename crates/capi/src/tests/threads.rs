//! Eight threads through the C functions: no lookup finds a version that a purge had killed before
//! the lookup began.

use super::calls::{index, sized_struct, stats, tenant, text};
use crate::*;
use std::ptr::null_mut;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};

const PATHS: [&str; 3] = ["a/1.jpg", "a/2.jpg", "b/1.jpg"];
const ROUNDS: usize = 400;
const FILLERS: usize = 3;
const READERS: usize = 3;

/// The pictures at their source: the version of each, and the version that the last purge that has
/// returned left behind.
#[derive(Default)]
struct Source {
    versions: [AtomicU64; 3],
    floors: [AtomicU64; 3],
}

#[test]
fn nothing_comes_back_in_eight_threads() {
    let index = index(2, false);
    let tenant = tenant(&index, "doc");
    let (source, barrier) = (Source::default(), Barrier::new(FILLERS + READERS + 2));
    let (ended, hits, refused) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let (index, tenant) = (&index, &tenant);
    let fill = |seed: usize| {
        barrier.wait();
        for round in seed.. {
            if ended.load(SeqCst) {
                return;
            }
            let p = round % PATHS.len();
            let mut lease = null_mut();
            // SAFETY: all handles and texts are valid; the lease is this thread's.
            let code = unsafe {
                let path = text(PATHS[p]);
                assert_eq!(ci_lease_take(index.0, tenant.0, path, &raw mut lease, null_mut()), 0);
                let version = source.versions[p].load(SeqCst);
                let code = ci_lease_commit(lease, text("?w=1"), version, null_mut(), null_mut());
                ci_lease_free(lease);
                code
            };
            refused.fetch_add(usize::from(code == CI_REFUSED), SeqCst);
        }
    };
    let read = |seed: usize| {
        barrier.wait();
        for round in seed.. {
            if ended.load(SeqCst) {
                return;
            }
            let p = round % PATHS.len();
            let (mut value, floor) = (0, source.floors[p].load(SeqCst));
            // SAFETY: all handles and texts are valid.
            let code = unsafe {
                let (path, key) = (text(PATHS[p]), text("?w=1"));
                ci_lookup(index.0, tenant.0, path, key, &raw mut value, null_mut())
            };
            if code == CI_LIVE {
                assert!(value >= floor, "version {value}, although {floor} was purged in");
                hits.fetch_add(1, SeqCst);
            }
        }
    };
    let purge = |seed: usize| {
        barrier.wait();
        for round in 0..ROUNDS {
            let p = (round + seed) % PATHS.len();
            let version = source.versions[p].fetch_add(1, SeqCst) + 1;
            // SAFETY: all handles and texts are valid.
            let code = unsafe {
                let (path, mut out) = (text(PATHS[p]), sized_struct::<ci_purged>());
                match round % 5 {
                    0 => ci_flush(index.0, tenant.0, CI_HARD, &raw mut out, null_mut()),
                    1 => {
                        let prefix = text("a/");
                        ci_purge_prefix(index.0, tenant.0, prefix, CI_HARD, null_mut(), null_mut());
                        ci_purge(
                            index.0,
                            tenant.0,
                            path,
                            CI_HARD,
                            null_mut(),
                            null_mut(),
                            null_mut(),
                        )
                    }
                    _ => {
                        let out = &raw mut out;
                        ci_purge(index.0, tenant.0, path, CI_HARD, out, null_mut(), null_mut())
                    }
                }
            };
            assert_eq!(code, CI_OK);
            source.floors[p].fetch_max(version, SeqCst);
            std::thread::yield_now();
        }
    };
    std::thread::scope(|scope| {
        (0..FILLERS).for_each(|n| _ = scope.spawn(move || fill(n)));
        (0..READERS).for_each(|n| _ = scope.spawn(move || read(n)));
        let purgers = [0, 1].map(|n| scope.spawn(move || purge(n)));
        for purger in purgers {
            purger.join().unwrap();
        }
        ended.store(true, SeqCst);
    });
    assert!(hits.into_inner() > 0, "no lookup hit");
    assert_eq!(stats(index).open_leases, 0);
    assert_eq!(
        stats(index).refused_purged + stats(index).refused_flushed,
        refused.into_inner() as u64
    );
}
