//! Measures the heap bytes of a contestant, and of this crate at scale. The `peers` program runs
//! it.
//!
//! A separate program, because counting adds time to each allocation, and so would distort the
//! timings. It counts the requested bytes, and the bytes that glibc's `malloc` would take for them:
//! see [`malloc_bytes`].

use clap::{Parser, Subcommand};
use peers::heap::{Weighing, Weight, malloc_bytes, weigh_all};
use peers::scale;
use peers::site::Keys;
use std::alloc::System;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use tracking_allocator::{AllocationGroupId, AllocationRegistry, AllocationTracker, Allocator};

#[global_allocator]
static ALLOCATOR: Allocator<System> = Allocator::system();

static REQUESTED: AtomicI64 = AtomicI64::new(0);
static WITH_WORDS: AtomicI64 = AtomicI64::new(0);
static PEAK: AtomicI64 = AtomicI64::new(0);

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
        /// Use the site with 20,000 keys, not the one with the 48 usual keys.
        #[arg(long)]
        many_keys: bool,
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

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).expect("no allocation is that large")
}

impl AllocationTracker for Counter {
    fn allocated(&self, _: usize, size: usize, _: usize, _: AllocationGroupId) {
        let requested = REQUESTED.fetch_add(signed(size), Relaxed) + signed(size);
        WITH_WORDS.fetch_add(signed(malloc_bytes(size)), Relaxed);
        PEAK.fetch_max(requested, Relaxed);
    }

    fn deallocated(
        &self,
        _: usize,
        size: usize,
        _: usize,
        _: AllocationGroupId,
        _: AllocationGroupId,
    ) {
        REQUESTED.fetch_sub(signed(size), Relaxed);
        WITH_WORDS.fetch_sub(signed(malloc_bytes(size)), Relaxed);
    }
}

impl Weighing for Counter {
    fn measure(&self, run: &mut dyn FnMut()) -> Weight {
        for counter in [&REQUESTED, &WITH_WORDS, &PEAK] {
            counter.store(0, Relaxed);
        }
        AllocationRegistry::enable_tracking();
        run();
        AllocationRegistry::disable_tracking();
        Weight {
            left: REQUESTED.load(Relaxed),
            with_words: WITH_WORDS.load(Relaxed),
            peak: PEAK.load(Relaxed),
        }
    }
}

fn main() {
    AllocationRegistry::set_global_tracker(Counter).expect("the first one");
    match Options::parse().what {
        What::Weigh { pictures, many_keys, peer } => {
            let keys = if many_keys { Keys::Many } else { Keys::Usual };
            weigh_all(keys, pictures, &peer, &Counter);
        }
        What::Scale { entries } => scale::run(entries, &Counter),
    }
}
