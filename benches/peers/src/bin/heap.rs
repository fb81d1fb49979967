//! How many heap bytes a contestant asks for: one line of figures for each. Run by the `peers` program.
//!
//! A program of its own, because counting costs something with each allocation and would be timed with what is timed. Counted is what is
//! requested, not what an allocator makes of it.

use clap::Parser;
use peers::heap::{Weighing, weigh_all};

#[derive(Parser)]
struct Options {
    /// So many pictures.
    pictures: u64,
}

struct Counter;

impl Weighing for Counter {
    fn measure(&self, run: &mut dyn FnMut()) -> peers::heap::Weight {
        let counted = allocation_counter::measure(run);
        peers::heap::Weight { left: counted.bytes_current, peak: counted.bytes_max }
    }
}

fn main() {
    let options = Options::parse();
    weigh_all(options.pictures, &Counter);
}
