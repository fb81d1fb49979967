//! A purge of 10,000 variants: the duration of the call, and the delay of another thread that looks
//! up the same path. The delay is the longest concurrent lookup. The figure is the lower quartile
//! of the rounds, because other work of the machine only increases the delay.

use crate::adapters::{Contestant, Peer, Room};
use crate::single::median;
use crate::site::Site;
use crate::table::{Line, Target, Unit};
use cache_index::{OriginPath, VariantKey};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const VARIANTS: u64 = 10_000;

/// A running reader does not pause longer than this between two lookups.
const STEADY: Duration = Duration::from_micros(20);

/// Both lines.
pub fn lines(contestants: &[Contestant<u64>], rounds: u64) -> Vec<Line> {
    let figures: Vec<_> =
        contestants.iter().map(|contestant| measure(contestant, rounds)).collect();
    let line = |what: &str, figures, target: &[Target]| Line {
        what: format!("purge of 10,000 variants: {what}"),
        unit: Unit::Nanoseconds,
        figures,
        targets: target.to_vec(),
    };
    vec![
        line(
            "the call",
            figures.iter().map(|figures| figures.map(|figures| figures.0)).collect(),
            &[Target::OfBest(1.0)],
        ),
        line(
            "what another thread waits",
            figures.iter().map(|figures| figures.and_then(|figures| figures.1)).collect(),
            &[],
        ),
    ]
}

fn measure(contestant: &Contestant<u64>, rounds: u64) -> Option<(f64, Option<f64>)> {
    if !contestant.is_shared() {
        return None;
    }
    let site = Site::default();
    let built = contestant.build(Room::presized(1000, 20_000));
    let peer = built.shared()?;
    let path = OriginPath::from_canonical("shop.example.com/catalog/a.jpg").expect("canonical");
    let keys: Vec<_> = (0..VARIANTS)
        .map(|variant| {
            let mut key = String::new();
            site.odd_key(7, variant, &mut key);
            VariantKey::from_canonical(&key).expect("canonical").into_owned()
        })
        .collect();
    let (mut calls, mut waits) = (Vec::new(), Vec::new());
    // On a busy machine the reader may not run during the purge. Such a round does not show how
    // long the reader waits.
    for round in 0..rounds * 10 {
        for (key, value) in keys.iter().zip(0..) {
            assert!(peer.insert(&path, key, value).is_none(), "new");
        }
        let (call, wait) = purge_beside_reader(peer, &path, &keys);
        calls.push(call);
        waits.extend(wait);
        if round + 1 >= rounds && waits.len() as u64 >= rounds / 2 {
            break;
        }
    }
    // Other programs only increase the delay.
    waits.sort_by(f64::total_cmp);
    Some((median(calls), waits.get(waits.len() / 4).copied()))
}

/// Measures the call, and the longest lookup that runs at the same time. The reader must have run
/// before, during and after the call.
fn purge_beside_reader(
    peer: &(dyn Peer<u64> + Send + Sync),
    path: &OriginPath<'_>,
    keys: &[VariantKey<'_>],
) -> (f64, Option<f64>) {
    let (start, done) = (Barrier::new(2), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut times = Vec::with_capacity(1 << 20);
            start.wait();
            while !done.load(Ordering::Relaxed) && times.len() < 1 << 20 {
                let begin = Instant::now();
                std::hint::black_box(peer.look_up(path, &keys[0]));
                times.push((begin, Instant::now()));
            }
            times
        });
        start.wait();
        // The reader is well under way.
        let warm = Instant::now();
        while warm.elapsed().as_micros() < 200 {
            std::hint::spin_loop();
        }
        let mut gone = 0;
        let begin = Instant::now();
        peer.purge(path, &mut |key, _| gone += usize::from(!key.is_empty()));
        let end = Instant::now();
        while end.elapsed() < STEADY {
            std::hint::spin_loop();
        }
        done.store(true, Ordering::Relaxed);
        assert_eq!(gone, keys.len(), "handed over");
        let times = reader.join().expect("the reader's work");
        let meanwhile = times.iter().filter(|(from, to)| *to >= begin && *from <= end);
        let longest = meanwhile.map(|(from, to)| (*to - *from).as_secs_f64() * 1e9);
        let longest = longest.max_by(f64::total_cmp);
        // Excludes a reader that was paused for reasons unrelated to the purge: it must also have
        // run between two lookups.
        let near =
            |at: Instant| times.iter().any(|(from, to)| *from <= at + STEADY && *to + STEADY >= at);
        let steady = near(begin) && near(end);
        ((end - begin).as_secs_f64() * 1e9, longest.filter(|_| steady))
    })
}
