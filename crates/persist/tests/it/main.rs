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

/// How often the random tests are repeated.
fn scale() -> u64 {
    std::env::var("PERSIST_SCALE")
        .map_or(1, |scale| scale.parse().expect("PERSIST_SCALE is a number"))
}
