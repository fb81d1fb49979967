//! Real threads, for as long as you like, with a checker that runs along.
//!
//! ```sh
//! cargo run --release -p soak -- --minutes 10
//! ```
//!
//! The module `soak` has the checks. Exits with 1 if there was a violation.

mod soak;

use clap::Parser;
use soak::{Until, soak};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Parser)]
#[command(about = "Puts an index under load from many threads and checks what it promises")]
struct Args {
    /// How long, in minutes
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// How many operations each thread does, instead of a time
    #[arg(long, conflicts_with = "minutes")]
    rounds: Option<u64>,
    /// How many threads; more than cores, so that some are interrupted half way
    #[arg(long, default_value_t = 4)]
    threads: usize,
    /// Where the choices begin; each thread adds its number
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    let args: Args = streams::arguments();
    let Ok(duration) = Duration::try_from_secs_f64(args.minutes * 60.0) else {
        streams::complain("soak", "minutes must be a number from 0 on");
        return ExitCode::FAILURE;
    };
    let elapsed = Until::Elapsed(duration);
    let until = args.rounds.map_or(elapsed, Until::Rounds);
    // If the output is not read, the exit code still reports a violation.
    let say = |text: &str| drop(streams::print(text));
    say(&format!("seed {}, {} threads, until {until:?}\n", args.seed, args.threads));
    let report = soak(args.threads, args.seed, until);
    say(&report.text());
    if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
