//! The longest insert while the number of a site's paths doubles.
//!
//! Measured in processor time of the thread, including page faults, because other programs can make
//! a thread wait much longer.

use crate::adapters::{Contestant, Room};
use crate::single::{median, thousands};
use crate::site::{Requests, Site};
use crate::table::{Line, Unit};
use cpu_time::ThreadTime;
use hdrhistogram::Histogram;

/// Returns all lines. With one variant per path, the growing part is the table of paths.
pub fn lines(contestants: &[Contestant<u64>], pictures: u64, rounds: u64) -> Vec<Line> {
    let mut percentiles = vec![Vec::new(); contestants.len()];
    let mut worst = percentiles.clone();
    for _ in 0..rounds {
        for (at, contestant) in contestants.iter().enumerate() {
            let histogram = grow(contestant, pictures);
            percentiles[at].push(histogram.value_at_quantile(0.9999) as f64);
            worst[at].push(histogram.max() as f64);
        }
    }
    let line = |what: &str, figures: Vec<Vec<f64>>| Line {
        what: format!(
            "insert while {} paths become {}: {what}",
            thousands(pictures),
            thousands(2 * pictures)
        ),
        unit: Unit::Nanoseconds,
        figures: figures.into_iter().map(|figures| Some(median(figures))).collect(),
        targets: Vec::new(),
    };
    vec![line("p99.99", percentiles), line("longest", worst)]
}

fn grow(contestant: &Contestant<u64>, pictures: u64) -> Histogram<u64> {
    let site = Site::default();
    // Sized for the present content, not for later content, as a user would do.
    let room = Room {
        expected: Room::growing(2 * pictures).expected,
        ..Room::presized(pictures, pictures)
    };
    let built = contestant.build(room);
    let peer = built.peer();
    let mut requests = Requests::default();
    let mut histogram = Histogram::new(3).expect("three digits are possible");
    for from in (0..2 * pictures).step_by(500) {
        requests.clear();
        (from..(from + 500).min(2 * pictures)).for_each(|at| requests.push(&site, at, 0));
        for request in &requests.ready() {
            // Reading this clock takes longer than many inserts.
            let start = (from >= pictures).then(ThreadTime::now);
            let replaced = peer.insert(&request.path, &request.key, request.number);
            let took = start.map(|start| start.elapsed().as_nanos());
            assert!(replaced.is_none(), "{request:?} was there");
            if let Some(took) = took {
                let took = u64::try_from(took).expect("less than centuries");
                histogram.record(took).expect("the histogram grows");
            }
        }
    }
    histogram
}
