//! A site with many entries, by this crate alone: stored, looked up, flushed, reclaimed.

use crate::access::{Draw, Skew};
use crate::adapters::{Class, Peer, Room, contestants};
use crate::arrivals::{insert, path_by_path, store};
use crate::heap::Weighing;
use crate::machine;
use crate::single::{each, thousands};
use crate::site::{Requests, Site};
use std::time::{Duration, Instant};

const SAMPLE: usize = 1_000_000;

/// Runs the workload and prints the progress. The text of each request is written when it is
/// needed, so that this program does not need memory for the requests.
///
/// # Panics
/// If the index answers wrongly.
pub fn run(entries: u64, scale: &dyn Weighing) {
    let site = Site::default();
    let mut pictures = 0;
    let mut stored = 0;
    while stored < entries {
        stored += site.variants(pictures);
        pictures += 1;
    }
    println!("{} entries of {} paths, V = u64", thousands(stored), thousands(pictures));
    let ours = contestants::<u64>().into_iter().find(|other| other.class == Class::Ours);
    let built = ours.expect("this crate takes part").build(Room::growing(stored));
    let peer = built.peer();
    let start = Instant::now();
    let weight = scale.measure(&mut || {
        for from in (0..pictures).step_by(64) {
            let some = from..pictures.min(from + 64);
            store(peer, &site, &path_by_path(&site, some), insert);
        }
    });
    println!(
        "stored in {:.1?}: {} MB of heap, {:.1} bytes an entry; at most {} MB on the way; resident {}",
        start.elapsed(),
        weight.left / 1_000_000,
        weight.left as f64 / stored as f64,
        weight.peak / 1_000_000,
        machine::resident()
    );
    look_up(peer, &site, pictures, true);
    let start = Instant::now();
    peer.flush_all();
    println!("flushed in {:.1?}", start.elapsed());
    look_up(peer, &site, pictures, false);
    let start = Instant::now();
    let freed = scale.measure(&mut || peer.reclaim());
    println!(
        "reclaimed in {:.1?}: {} MB of heap left, {:.2} % of what it was; resident {}",
        start.elapsed(),
        (weight.left + freed.left) / 1_000_000,
        (weight.left + freed.left) as f64 / weight.left as f64 * 100.0,
        machine::resident()
    );
}

fn look_up(peer: &dyn Peer<u64>, site: &Site, pictures: u64, expected: bool) {
    for (skew, name) in [(Skew::Zipf, "Zipf"), (Skew::Uniform, "uniform")] {
        let mut draw = Draw::new(pictures, skew, 1);
        let mut requests = Requests::default();
        let (mut time, mut found) = (Duration::ZERO, 0);
        for _ in 0..SAMPLE / 500 {
            requests.clear();
            (0..500).for_each(|_| {
                let (picture, variant) = draw.variant(site);
                requests.push(site, picture, variant);
            });
            let ready = requests.ready();
            let start = Instant::now();
            found += ready
                .iter()
                .filter(|request| peer.look_up(&request.path, &request.key) == Some(request.number))
                .count();
            time += start.elapsed();
        }
        assert_eq!(found, if expected { SAMPLE } else { 0 }, "found");
        println!(
            "{} look-ups, {name}, all {}: {:.0} ns each",
            thousands(SAMPLE as u64),
            if expected { "hits" } else { "misses" },
            each(time, SAMPLE)
        );
    }
}
