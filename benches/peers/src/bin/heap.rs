//! How many heap bytes a contestant asks for, and this crate at scale. Run by the `peers` program.
//!
//! A program of its own, because counting costs something with each allocation and would be timed with what is timed. Counted is what is
//! requested, not what an allocator makes of it.

use clap::{Parser, Subcommand};
use peers::heap::{Weighing, Weight, weigh_all};
use peers::scale;

#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// One line of figures for each contestant and payload.
    Weigh {
        /// So many pictures.
        pictures: u64,
        /// Which contestants; all if none is named.
        #[arg(long)]
        peer: Vec<String>,
    },
    /// This crate with so many entries.
    Scale {
        /// So many.
        entries: u64,
    },
}

struct Counter;

impl Weighing for Counter {
    fn measure(&self, run: &mut dyn FnMut()) -> Weight {
        let counted = allocation_counter::measure(run);
        Weight { left: counted.bytes_current, peak: counted.bytes_max }
    }
}

fn main() {
    match Options::parse().what {
        What::Weigh { pictures, peer } => weigh_all(pictures, &peer, &Counter),
        What::Scale { entries } => scale::run(entries, &Counter),
    }
}
