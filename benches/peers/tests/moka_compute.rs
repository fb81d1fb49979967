//! moka can order a purge of one key after a fill of it, with `and_compute_with` for both: the
//! purge then waits for the source.

use moka::ops::compute::{CompResult, Op};
use moka::sync::Cache;
use std::sync::mpsc;
use std::thread;

#[test]
fn purge_through_compute_ends_after_the_fill_that_it_met() {
    let cache = Cache::new(10);
    let (reading, is_reading) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let removed = thread::scope(|threads| {
        let cache = &cache;
        threads.spawn(move || {
            cache.entry("key").and_compute_with(|_| {
                reading.send(()).expect("the test waits for it");
                may_go_on.recv().expect("the test lets it go on");
                Op::Put("old")
            })
        });
        is_reading.recv().expect("the fill begins");
        let purge = threads.spawn(move || {
            go_on.send(()).expect("the fill waits for it");
            cache.entry("key").and_compute_with(|entry| match entry {
                Some(_) => Op::Remove,
                None => Op::Nop,
            })
        });
        purge.join().expect("the purge doesn't panic")
    });
    // It found the value that the fill had yet to store when the purge set out.
    let CompResult::Removed(entry) = removed else { panic!("the purge did not wait") };
    assert_eq!(entry.into_value(), "old");
    assert_eq!(cache.get("key"), None);
}
