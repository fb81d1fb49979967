//! Flushes and prefix purges: the duration of the call for any number of entries, and its effect on
//! readers.

use crate::access::{Draw, Skew};
use crate::adapters::{Class, Contestant, Peer, Room};
use crate::arrivals::{insert, path_by_path, store};
use crate::single::{median, thousands};
use crate::site::{PREFIX_SPANS, Requests, Site};
use crate::table::{Line, Target, Unit};
use cache_index::PathPrefix;
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A call shorter than this is repeated, and the median counts.
const SHORT: Duration = Duration::from_micros(100);

/// The minimum number of lookups for the effect on readers. All lookups during the call count as
/// well.
const LOOK_UPS: u32 = 100_000;

/// Returns the duration of calls.
pub fn calls(contestants: &[Contestant<u64>], pictures: u64) -> Vec<Line> {
    let mut by_contestant = Vec::new();
    for contestant in contestants {
        by_contestant.push(contestant.purges().then(|| times(contestant, pictures)));
    }
    let names = ["purge of a prefix over 1 path", "over 1,000 paths", "over 100,000 paths"];
    let names = names.into_iter().chain(["flush of a tenant", "flush of everything"]);
    let names = names.chain(["flush of everything, until its memory is free"]);
    let lines = names.enumerate().map(|(at, name)| {
        let what = match at {
            1 | 2 => format!("purge of a prefix {name}: the call"),
            5 => name.to_owned(),
            _ => format!("{name}: the call"),
        };
        Line {
            what: format!("{what}, {} paths", thousands(pictures)),
            unit: Unit::Nanoseconds,
            figures: by_contestant.iter().map(|times| times.map(|times| times[at])).collect(),
            targets: Vec::new(),
        }
    });
    lines.collect()
}

fn built(contestant: &Contestant<u64>, site: &Site, pictures: u64) -> crate::adapters::Built<u64> {
    let built = contestant.build(Room::presized(pictures, site.entries(pictures)));
    store(built.peer(), site, &path_by_path(site, 0..pictures), insert);
    built
}

fn times(contestant: &Contestant<u64>, pictures: u64) -> [f64; 6] {
    let site = Site::default();
    let whole = built(contestant, &site, pictures);
    let peer = whole.peer();
    let mut draw = Draw::new(pictures, Skew::Uniform, 5);
    let mut times = [0.0; 6];
    for (time, span) in times.iter_mut().zip(PREFIX_SPANS) {
        *time = often(peer, &site, pictures, || {
            let mut prefix = String::new();
            site.folder(draw.picture(), span, &mut prefix);
            let prefix = PathPrefix::from_canonical(&prefix).expect("canonical").into_owned();
            move |peer: &dyn Peer<u64>| peer.purge_prefix(&prefix)
        });
    }
    drop(whole);
    let whole = built(contestant, &site, pictures);
    let flush = || |peer: &dyn Peer<u64>| peer.flush_all();
    times[4] = often(whole.peer(), &site, pictures, flush);
    drop(whole);
    let whole = built(contestant, &site, pictures);
    let start = Instant::now();
    whole.peer().flush_all();
    whole.peer().reclaim();
    times[5] = start.elapsed().as_secs_f64() * 1e9;
    // The peers hold one tenant each, so the same call flushes it.
    times[3] = times[4];
    if contestant.class == Class::Ours {
        let whole = built(contestant, &site, pictures);
        let flush = || |peer: &dyn Peer<u64>| peer.flush_tenant();
        times[3] = often(whole.peer(), &site, pictures, flush);
    }
    times
}

/// Returns the median of many calls, between which entries are looked up and stored. Returns the
/// first call if it is long.
fn often<F: FnOnce(&dyn Peer<u64>)>(
    peer: &dyn Peer<u64>,
    site: &Site,
    pictures: u64,
    mut prepare: impl FnMut() -> F,
) -> f64 {
    let mut times = Vec::new();
    let mut draw = Draw::new(pictures, Skew::Zipf, 6);
    let mut requests = Requests::default();
    for _ in 0..101 {
        let call = prepare();
        let start = Instant::now();
        call(peer);
        let took = start.elapsed();
        times.push(took.as_secs_f64() * 1e9);
        if took > SHORT {
            break;
        }
        requests.clear();
        (0..20).for_each(|_| {
            let (picture, variant) = draw.variant(site);
            requests.push(site, picture, variant);
        });
        for request in requests.ready() {
            std::hint::black_box(peer.look_up(&request.path, &request.key));
            std::hint::black_box(peer.insert(&request.path, &request.key, request.number));
        }
    }
    median(times)
}

/// Measures the effect on a reader.
///
/// # Panics
/// If a thread does.
pub fn readers(contestants: &[Contestant<u64>], pictures: u64, rounds: u64) -> Vec<Line> {
    let mut quiet = vec![None; contestants.len()];
    let mut flushed = quiet.clone();
    let mut reclaimed = quiet.clone();
    let site = Site::default();
    for (at, contestant) in contestants.iter().enumerate() {
        if !contestant.is_shared() {
            continue;
        }
        let mut figures = [const { Vec::new() }; 3];
        for round in 0..rounds {
            let built = built(contestant, &site, pictures);
            let peer = built.shared().expect("it is shared");
            let seen = watch(peer, &site, pictures, round);
            for (all, figure) in figures.iter_mut().zip(seen) {
                all.push(figure);
            }
        }
        let medians = figures.map(|all| Some(median(all)));
        [quiet[at], flushed[at], reclaimed[at]] = medians;
    }
    let line = |what: &str, unit, figures: Vec<Option<f64>>, targets: &[Target]| Line {
        what: format!("reader, {} paths, {what}", thousands(pictures)),
        unit,
        figures,
        targets: targets.to_vec(),
    };
    let share = |of: &[Option<f64>]| -> Vec<_> {
        of.iter().zip(&quiet).map(|(of, quiet)| Some((*of)? / (*quiet)?)).collect()
    };
    vec![
        line("undisturbed: p99.9", Unit::Nanoseconds, quiet.clone(), &[]),
        line("while everything is flushed: p99.9", Unit::Nanoseconds, flushed.clone(), &[]),
        line("flushed over undisturbed", Unit::Share, share(&flushed), &[]),
        line("while all is reclaimed: p99.9", Unit::Nanoseconds, reclaimed.clone(), &[]),
        line("reclaimed over undisturbed", Unit::Share, share(&reclaimed), &[Target::Most(3.0)]),
    ]
}

/// Returns the p99.9 of a reader's lookups: undisturbed, from a flush on, from a reclaim on.
fn watch(peer: &(dyn Peer<u64> + Send + Sync), site: &Site, pictures: u64, round: u64) -> [f64; 3] {
    const END: u8 = 4;
    let mut draw = Draw::new(pictures, Skew::Uniform, round);
    let mut requests = Requests::default();
    for _ in 0..50_000 {
        let (picture, variant) = draw.variant(site);
        requests.push(site, picture, variant);
    }
    let phase = AtomicU8::new(0);
    let mut seen = [const { Vec::new() }; END as usize];
    let (enough, told) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let ready = requests.ready();
            let (mut counted, mut count) = (0, 0);
            for request in ready.iter().cycle() {
                let began = phase.load(Ordering::Relaxed);
                count = if began == counted { count + 1 } else { 1 };
                counted = began;
                if count == LOOK_UPS {
                    enough.send(began).expect("somebody waits for it");
                }
                let start = Instant::now();
                std::hint::black_box(peer.look_up(&request.path, &request.key));
                let took = u64::try_from(start.elapsed().as_nanos()).expect("not for centuries");
                // A lookup that was delayed across phases counts for each phase that it reached,
                // because an event of that phase may have delayed it.
                let ended = phase.load(Ordering::Relaxed);
                for reached in (began + 1).min(ended)..=ended.min(END - 1) {
                    seen[usize::from(reached)].push(took);
                }
                if ended == END {
                    break;
                }
            }
        });
        // The first phase is a warm-up.
        for now in 0..END {
            phase.store(now, Ordering::Relaxed);
            match now {
                2 => peer.flush_all(),
                3 => peer.reclaim(),
                _ => {}
            }
            assert_eq!(told.recv(), Ok(now), "the reader reads on");
        }
        phase.store(END, Ordering::Relaxed);
    });
    let [_, quiet, flushed, reclaimed] = seen;
    [quiet, flushed, reclaimed].map(|times| {
        let mut all = Histogram::<u64>::new(3).expect("three digits are possible");
        for time in times {
            all.record(time).expect("the histogram grows");
        }
        all.value_at_quantile(0.999) as f64
    })
}
