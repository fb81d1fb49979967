//! `cache-index-persist` beside redb and SQLite, which keep the same data as somebody would who had
//! no such crate: one Markdown table.
//!
//! ```sh
//! cargo run --release -p stores -- --dir DIR
//! ```
//!
//! `DIR` decides what is measured: a directory in memory has no syncs to speak of.
//!
//! All three keep the entries of an index and its purges, and acknowledge a purge after a sync. The
//! measurements of the stores alternate, and the table has their medians.
#![allow(clippy::print_stdout, missing_docs)]

mod batch;
mod database;
mod flips;
mod job;
mod measure;
mod ours;
mod redb;
mod sqlite;
mod table;

use clap::Parser;
use std::error::Error;
use std::path::PathBuf;

pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Measures cache-index-persist beside redb and SQLite.
#[derive(Parser)]
pub(crate) struct Options {
    /// A directory on the disk to be measured. A new one is made in it.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// How many purges each store acknowledges one by one.
    #[arg(long, default_value_t = 500)]
    purges: usize,
    /// How many purges each of 64 callers makes, in each round.
    #[arg(long, default_value_t = 5)]
    purges_of_each: usize,
    /// Rounds of purges of 64 callers.
    #[arg(long, default_value_t = 12)]
    rounds: usize,
    /// How many entries a snapshot has.
    #[arg(long, default_value_t = 1_000_000)]
    entries: u64,
    /// How many bits are flipped, each in a copy of the files.
    #[arg(long, default_value_t = 500)]
    flips: usize,
}

fn main() -> Outcome<()> {
    let options = Options::parse();
    let mut table = table::Table::new();
    measure::run(&options, &mut table)?;
    print!("{}", table.markdown(&options));
    Ok(())
}
