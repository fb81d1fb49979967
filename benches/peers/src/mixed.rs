//! Several threads with the load of a server: of 1000 operations, 950 lookups, 45 fills and 5
//! purges, with pictures drawn by Zipf's law.
//!
//! Each thread has its operations written before the clock starts, and executes them in order. Half
//! of the runs read the clock around each operation, for the percentiles. The other half does not,
//! for throughput and processor time.

use crate::access::{Draw, Skew};
use crate::adapters::Peer;
use crate::single::{Field, each, median, thousands};
use crate::site::{Request, Requests, Site};
use crate::table::{Line, Target, Unit};
use cpu_time::ThreadTime;
use hdrhistogram::Histogram;
use std::sync::Barrier;
use std::time::{Duration, Instant};

const THREADS: [usize; 2] = [1, 8];

/// The amount of measurement.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Runs of each kind.
    pub rounds: u64,
    /// Operations of each thread in a run.
    pub operations: u64,
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    LookUp,
    Fill,
    Purge,
}

/// The work of one thread.
struct Work {
    requests: Requests,
    operations: Vec<Operation>,
}

/// The outcome of the work.
#[derive(Default)]
struct Outcome {
    time: Duration,
    processor: Duration,
    /// Nanoseconds of each operation, if they were timed.
    each: Vec<u32>,
    /// Values found, replaced and taken out: the same for all contestants if there is one thread.
    sum: u64,
}

impl Work {
    fn write(site: &Site, pictures: u64, operations: u64, seed: u64) -> Self {
        let mut draw = Draw::new(pictures, Skew::Zipf, seed);
        let mut work = Self { requests: Requests::default(), operations: Vec::new() };
        for _ in 0..operations {
            let (picture, variant) = draw.variant(site);
            work.requests.push(site, picture, variant);
            work.operations.push(match draw.below(1000) {
                0..950 => Operation::LookUp,
                950..995 => Operation::Fill,
                _ => Operation::Purge,
            });
        }
        work
    }

    fn run(&self, peer: &dyn Peer<u64>, timed: bool, start: &Barrier) -> Outcome {
        let ready = self.requests.ready();
        let mut outcome = Outcome::default();
        outcome.each.reserve(if timed { ready.len() } else { 0 });
        start.wait();
        let (begin, processor) = (Instant::now(), ThreadTime::now());
        for (request, operation) in ready.iter().zip(&self.operations) {
            if timed {
                let start = Instant::now();
                outcome.sum += operation.run(peer, request);
                let took = start.elapsed().as_nanos();
                outcome.each.push(u32::try_from(took).unwrap_or(u32::MAX));
            } else {
                outcome.sum += operation.run(peer, request);
            }
        }
        outcome.processor = processor.elapsed();
        outcome.time = begin.elapsed();
        outcome
    }
}

impl Operation {
    fn run(self, peer: &dyn Peer<u64>, request: &Request<'_>) -> u64 {
        let (path, key) = (&request.path, &request.key);
        match self {
            Self::LookUp => u64::from(peer.look_up(path, key).is_some()),
            Self::Fill => u64::from(peer.fill(path, key, request.number).is_some()),
            Self::Purge => {
                let mut gone = 0;
                peer.purge(path, &mut |key, value| gone += u64::from(!key.is_empty() && value > 0));
                gone
            }
        }
    }
}

/// The figures of a contestant, by round.
#[derive(Default)]
struct Figures {
    rate: Vec<f64>,
    processor: Vec<f64>,
    percentiles: [Vec<f64>; 4],
}

const PERCENTILES: [(&str, f64); 4] =
    [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("longest", 1.0)];

/// All lines.
pub fn lines(field: &Field, effort: Effort) -> Vec<Line> {
    let mut lines = Vec::new();
    for threads in THREADS {
        let figures = race(field, effort, threads);
        let by = |figure: &dyn Fn(&Figures) -> &Vec<f64>| -> Vec<_> {
            let figures = figures.iter().map(figure);
            figures.map(|all| (!all.is_empty()).then(|| median(all.clone()))).collect()
        };
        let size = thousands(field.pictures);
        let mut line = |what: &str, unit, figures, targets: &[Target]| {
            let s = if threads == 1 { "" } else { "s" };
            let what = format!("mixed, {threads} thread{s}: {what}, {size} paths");
            lines.push(Line { what, unit, figures, targets: targets.to_vec() });
        };
        let rate = by(&|figures| &figures.rate);
        line("operations a second", Unit::Rate, rate, &[]);
        let target: &[_] = if threads == 1 { &[Target::OfBest(0.85)] } else { &[] };
        let processor = by(&|figures| &figures.processor);
        line("processor time an operation", Unit::Nanoseconds, processor, target);
        for (at, (name, _)) in PERCENTILES.iter().enumerate() {
            let target: &[_] = if *name == "p99.9" { &[Target::OfBest(1.0)] } else { &[] };
            let percentile = by(&|figures| &figures.percentiles[at]);
            line(name, Unit::Nanoseconds, percentile, target);
        }
    }
    lines
}

fn race(field: &Field, effort: Effort, threads: usize) -> Vec<Figures> {
    let mut figures: Vec<_> = field.peers.iter().map(|_| Figures::default()).collect();
    for round in 0..2 * effort.rounds {
        let timed = round % 2 == 1;
        let seed = |thread: usize| (round << 16) + (threads << 8) as u64 + thread as u64;
        let write =
            |thread| Work::write(&field.site, field.pictures, effort.operations, seed(thread));
        let work: Vec<_> = (0..threads).map(write).collect();
        let mut sums = Vec::new();
        for at in 0..field.peers.len() {
            let at = (at + usize::try_from(round).expect("few")) % field.peers.len();
            let Some(peer) = field.peers[at].1.shared() else { continue };
            let outcomes = run(peer, &work, timed);
            sums.push(outcomes.iter().map(|outcome| outcome.sum).sum::<u64>());
            figures[at].add(&outcomes, &work);
        }
        let agree = sums.windows(2).all(|pair| pair[0] == pair[1]);
        assert!(agree || threads > 1, "the contestants found different things: {sums:?}");
    }
    figures
}

fn run(peer: &(dyn Peer<u64> + Send + Sync), work: &[Work], timed: bool) -> Vec<Outcome> {
    let start = Barrier::new(work.len());
    std::thread::scope(|scope| {
        let start = &start;
        let threads = work.iter().map(|work| scope.spawn(move || work.run(peer, timed, start)));
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread's work")).collect()
    })
}

impl Figures {
    fn add(&mut self, outcomes: &[Outcome], work: &[Work]) {
        let operations: usize = work.iter().map(|work| work.operations.len()).sum();
        if outcomes.iter().all(|outcome| outcome.each.is_empty()) {
            let rates = outcomes.iter().zip(work);
            let rate = rates
                .map(|(outcome, work)| work.operations.len() as f64 / outcome.time.as_secs_f64());
            self.rate.push(rate.sum());
            let processor = outcomes.iter().map(|outcome| outcome.processor).sum();
            self.processor.push(each(processor, operations));
            return;
        }
        let mut histogram = Histogram::<u64>::new(3).expect("three digits are possible");
        for time in outcomes.iter().flat_map(|outcome| &outcome.each) {
            histogram.record(u64::from(*time)).expect("the histogram grows");
        }
        for (all, (_, quantile)) in self.percentiles.iter_mut().zip(PERCENTILES) {
            all.push(histogram.value_at_quantile(quantile) as f64);
        }
    }
}
