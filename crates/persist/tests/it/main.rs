//! The crate from outside, on a simulated file layer and on a real one.
//!
//! `PERSIST_SCALE=N` repeats the random tests N times as often.

#![allow(clippy::print_stdout, reason = "tests print how much they have looked at")]

mod crashes;
mod damage;
mod faults;
mod full_disk;
mod golden;
mod history;
mod operations;
mod order;
mod over_time;
mod relay;
mod serving;
mod sim;

use std::time::{Duration, Instant};

/// Waits until something is so. The limit only ends a test that would wait for ever.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(600), "has waited too long until {what}");
        // Looks again: the condition has no event.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// How often the random tests are repeated.
fn scale() -> u64 {
    std::env::var("PERSIST_SCALE")
        .map_or(1, |scale| scale.parse().expect("PERSIST_SCALE is a number"))
}
