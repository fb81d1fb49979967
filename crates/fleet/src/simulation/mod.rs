//! A fleet in one thread: an engine that loses, repeats, reorders, restores and forgets, and nodes
//! that are killed, frozen and cut off. All choices come from a seed.
//!
//! `FLEET_SEEDS=N` sets how many seeds are run, from `FLEET_FIRST` on. `FLEET_SEED=S` runs one and
//! prints its faults.

#![allow(clippy::print_stdout, reason = "the simulation prints its counts")]
#![allow(clippy::cast_precision_loss, reason = "counts and times are small")]
#![allow(clippy::struct_excessive_bools, reason = "an oracle keeps facts")]

mod engine;
mod faults;
mod network;
mod oracle;
mod plan;
mod site;
mod world;

use plan::Plan;
use world::{Report, World};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

fn run(plan: Plan) -> Report {
    World::new(plan).run()
}

/// Runs all seeds and returns the sum of the reports. Prints the first seeds that fail.
fn run_all(default: u64, plan: impl Fn(u64) -> Plan) -> Report {
    if let Some(seed) = number("FLEET_SEED") {
        let report = run(Plan { is_verbose: true, ..plan(seed) });
        println!("seed {seed}: {report:#?}");
        return report;
    }
    let mut sum = Report::default();
    let first = number("FLEET_FIRST").unwrap_or(0);
    for seed in first..first + number("FLEET_SEEDS").unwrap_or(default) {
        let report = run(plan(seed));
        if !report.violations.is_empty() && sum.violations.len() < 5 {
            println!("seed {seed}: {:?}", report.violations);
        }
        sum.add(report);
    }
    println!("{sum}");
    sum
}

#[test]
fn nothing_stale_is_served_as_fresh_whatever_fails() {
    let sum = run_all(60, Plan::any);
    assert!(sum.violations.is_empty(), "{sum}");
    if number("FLEET_SEED").is_none() && sum.seeds >= 100 {
        assert!(sum.served > 10_000 && sum.everywhere > 100, "too little happened: {sum}");
        assert!(sum.flushes.len() >= 6, "too few reasons to flush: {sum}");
    }
}

#[test]
fn nothing_is_flushed_while_the_engine_loses_nothing() {
    let sum = run_all(40, Plan::lossless);
    assert!(sum.violations.is_empty(), "{sum}");
    let reasons: Vec<_> = sum.flushes.keys().collect();
    assert_eq!(reasons, ["NoPosition"], "{sum}");
    assert_eq!(sum.losses, 0);
}

#[test]
fn one_node_ticks_for_all() {
    let sum = run_all(5, Plan::quiet);
    assert!(sum.violations.is_empty(), "{sum}");
    // One message a quarter of the period, and some at the start.
    let quarters = sum.quarters as f64;
    let ratio = sum.ticks_appended as f64 / quarters;
    assert!(ratio < 1.2, "{ratio} ticks a quarter: {sum}");
}
