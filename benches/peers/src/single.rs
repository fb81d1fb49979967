//! One thread: the cost of each operation.
//!
//! All contestants hold the same site and take turns, so that disturbances of the machine affect
//! them alike. The figure is the median of the rounds, in processor time. On an idle machine this
//! equals elapsed time. On a busy machine it excludes the waiting for other programs.

use crate::access::{Draw, Skew};
use crate::adapters::{Built, Contestant, Peer, Room};
use crate::arrivals::{BATCH, insert, shuffled, store};
use crate::site::{Keys, Request, Requests, Site, mixed};
use crate::storing;
use crate::table::{Line, Target, Unit};
use cpu_time::ThreadTime;
use std::time::Duration;

/// Lookups that are made together: a page's pictures. Divides [`BATCH`].
const TOGETHER: usize = 16;

/// Batches made before the clock counts, after other contestants have had the caches. Popular
/// pictures are then in the caches again.
const WARM_UP: usize = 64;

/// Turns that the contestants take while they store the site.
const SLICES: usize = 16;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Turns of each contestant.
    pub rounds: u64,
    /// Batches in a turn.
    pub batches: usize,
    /// Fresh paths of few variants that are stored and purged in a turn,
    pub fresh: usize,
    /// and of many.
    pub large: usize,
}

/// All contestants, holding the same site.
pub struct Field {
    pub(crate) site: Site,
    pub(crate) pictures: u64,
    pub(crate) peers: Vec<(Contestant<u64>, Built<u64>)>,
    pub(crate) effort: Effort,
    /// The time to store the site, per entry.
    populated: Vec<Option<f64>>,
}

/// The median.
///
/// # Panics
/// Of nothing.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// The median of each contestant's figures, by round and contestant.
pub(crate) fn medians(rounds: &[Vec<Option<f64>>]) -> Vec<Option<f64>> {
    let own = |at: usize| rounds.iter().filter_map(move |round| round[at]).collect::<Vec<_>>();
    let contestants = 0..rounds.first().map_or(0, Vec::len);
    contestants.map(|at| Some(own(at)).filter(|own| !own.is_empty()).map(median)).collect()
}

/// Nanoseconds for each of so many.
pub fn each(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e9 / count as f64
}

/// Contestants that have stored the site, and the average time of an insert of each.
type Populated = (Vec<(Contestant<u64>, Built<u64>)>, Vec<Option<f64>>);

/// Builds contestants that store the same site by turns. Returns them with the average time of an
/// insert.
pub(crate) fn populate_all(
    contestants: &[Contestant<u64>],
    site: &Site,
    pictures: u64,
    room: Room,
) -> Populated {
    let peers: Vec<_> = contestants.iter().map(|other| (*other, other.build(room))).collect();
    let entries = shuffled(site, 0..pictures);
    let mut times = vec![Duration::ZERO; peers.len()];
    for slice in entries.chunks(entries.len().div_ceil(SLICES)) {
        for ((_, peer), time) in peers.iter().zip(&mut times) {
            *time += store(peer.peer(), site, slice, insert);
        }
    }
    let figures = times.into_iter().map(|time| Some(each(time, entries.len())));
    (peers, figures.collect())
}

/// Returns the label that distinguishes the lines of one site from those of another.
pub(crate) fn site_label(site: &Site, pictures: u64) -> String {
    let keys = match site.keys() {
        Keys::Usual => "",
        Keys::Many => ", 20,000 keys",
    };
    format!("{} paths{keys}", thousands(pictures))
}

impl Field {
    /// Has every contestant store the site.
    ///
    /// # Panics
    /// If one of them isn't empty at first.
    pub fn populate(
        contestants: &[Contestant<u64>],
        keys: Keys,
        pictures: u64,
        effort: Effort,
    ) -> Self {
        let site = Site::new(keys);
        let (fresh, fresh_entries) = storing::most_fresh(effort);
        let room = Room::presized(pictures + fresh, site.entries(pictures) + fresh_entries);
        let (peers, populated) = populate_all(contestants, &site, pictures, room);
        Self { site, pictures, peers, effort, populated }
    }

    /// Lets the contestants take turns once, and returns the figure of each.
    pub(crate) fn turns<Figure>(
        &self,
        round: u64,
        purges: bool,
        mut turn: impl FnMut(&dyn Peer<u64>) -> Figure,
    ) -> Vec<Option<Figure>> {
        let mut figures: Vec<_> = self.peers.iter().map(|_| None).collect();
        // Another order in each round.
        let mut order: Vec<_> = (0..self.peers.len()).collect();
        order.sort_by_key(|at| mixed(mixed(round) ^ *at as u64));
        for at in order {
            let (contestant, peer) = &self.peers[at];
            if contestant.purges() || !purges {
                figures[at] = Some(turn(peer.peer()));
            }
        }
        figures
    }

    /// Lets the contestants take turns in each round, and returns the medians of each one's rounds.
    fn race<const FIGURES: usize>(
        &self,
        mut turn: impl FnMut(u64, &dyn Peer<u64>) -> [f64; FIGURES],
    ) -> [Vec<Option<f64>>; FIGURES] {
        let rounds = 0..self.effort.rounds;
        let rounds: Vec<_> =
            rounds.map(|round| self.turns(round, false, |peer| turn(round, peer))).collect();
        std::array::from_fn(|at| {
            let own = |round: &Vec<Option<[f64; FIGURES]>>| {
                round.iter().map(|figures| figures.map(|figures| figures[at])).collect()
            };
            medians(&rounds.iter().map(own).collect::<Vec<_>>())
        })
    }

    /// Times requests that are written out batch by batch.
    fn batches(
        &self,
        write: &mut dyn FnMut(&mut Requests),
        make: &mut dyn FnMut(&[Request<'_>]),
    ) -> f64 {
        let mut requests = Requests::default();
        let (mut time, mut count) = (Duration::ZERO, 0);
        for batch in 0..self.effort.batches + WARM_UP {
            requests.clear();
            (0..BATCH).for_each(|_| write(&mut requests));
            let ready = requests.ready();
            let start = ThreadTime::now();
            make(&ready);
            let took = start.elapsed();
            if batch >= WARM_UP {
                time += took;
                count += ready.len();
            }
        }
        each(time, count)
    }

    /// All lines.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = self.look_up_lines();
        let what = "insert, the whole site into presized tables";
        lines.push(self.line(what, self.populated.clone(), &[]));
        lines.extend(self.store_lines());
        lines
    }

    pub(crate) fn line(&self, what: &str, figures: Vec<Option<f64>>, targets: &[Target]) -> Line {
        let what = format!("{what}, {}", site_label(&self.site, self.pictures));
        // The targets are for a site with the usual keys.
        let targets = if self.site.keys() == Keys::Usual { targets.to_vec() } else { Vec::new() };
        Line { what, unit: Unit::Nanoseconds, figures, targets }
    }

    fn look_up_lines(&self) -> Vec<Line> {
        let [zipf] = self.race(|round, peer| [self.hits(peer, Skew::Zipf, round)]);
        let [hits, together] = self.race(|round, peer| {
            [self.hits(peer, Skew::Uniform, round), self.hits_together(peer, round)]
        });
        let [zipf_waits] =
            self.race(|round, peer| [self.hits_one_at_a_time(peer, Skew::Zipf, round)]);
        let [waits] =
            self.race(|round, peer| [self.hits_one_at_a_time(peer, Skew::Uniform, round)]);
        let [path_missing] = self.race(|round, peer| [self.misses_of_path(peer, round)]);
        let [variant_missing] = self.race(|round, peer| [self.misses_of_variant(peer, round)]);
        let share = together.iter().zip(&hits).map(|(together, one)| Some((*together)? / (*one)?));
        let share = Line {
            unit: Unit::Share,
            ..self.line(
                "look-up of 16 together over one in a loop",
                share.collect(),
                &[Target::Most(0.5)],
            )
        };
        let (in_a_loop, one_at_a_time) = ([Target::OfBest(0.9)], [Target::OfBest(0.7)]);
        vec![
            self.line("look-up, hit, in a loop, Zipf", zipf, &in_a_loop),
            self.line("look-up, hit, in a loop, uniform", hits, &in_a_loop),
            self.line("look-up, hit, one at a time, Zipf", zipf_waits, &one_at_a_time),
            self.line("look-up, hit, one at a time, uniform", waits, &one_at_a_time),
            self.line("look-up, path missing", path_missing, &[Target::OfBest(1.0)]),
            self.line("look-up, variant missing", variant_missing, &[Target::OfBest(0.75)]),
            self.line("look-up of 16 together, hit, uniform, per key", together, &[]),
            share,
        ]
    }

    fn store_lines(&self) -> Vec<Line> {
        let [again] = self.race(|round, peer| [self.inserts_again(peer, round)]);
        let mut lines =
            vec![self.line("insert, there already, uniform", again, &[Target::OfBest(0.95)])];
        lines.extend(self.fresh_lines());
        lines
    }

    /// Variants that are there.
    fn there(&self, skew: Skew, round: u64, make: &mut dyn FnMut(&[Request<'_>])) -> f64 {
        let mut draw = Draw::new(self.pictures, skew, round);
        let mut write = |requests: &mut Requests| {
            let (picture, variant) = draw.variant(&self.site);
            requests.push(&self.site, picture, variant);
        };
        self.batches(&mut write, make)
    }

    /// The processor may begin a lookup before the one before has ended.
    fn hits(&self, peer: &dyn Peer<u64>, skew: Skew, round: u64) -> f64 {
        self.there(skew, round, &mut |ready| {
            let found = ready.iter().filter(|request| {
                peer.look_up(&request.path, &request.key) == Some(request.number)
            });
            assert_eq!(found.count(), ready.len(), "hits");
        })
    }

    /// Each lookup waits for the one before, as the value that this one finds says which request
    /// comes next.
    fn hits_one_at_a_time(&self, peer: &dyn Peer<u64>, skew: Skew, round: u64) -> f64 {
        self.there(skew, round, &mut |ready| {
            let (mut at, mut made) = (0_usize, 0);
            while let Some(request) = ready.get(at) {
                let value = peer.look_up(&request.path, &request.key).unwrap_or(u64::MAX);
                // 0 if the value is right; otherwise so much that the loop ends early.
                let off = usize::try_from(value ^ request.number).unwrap_or(usize::MAX);
                at = at.wrapping_add(1).saturating_add(off.saturating_mul(BATCH));
                made += 1;
            }
            assert_eq!(made, ready.len(), "hits");
        })
    }

    fn hits_together(&self, peer: &dyn Peer<u64>, round: u64) -> f64 {
        let mut found = Vec::with_capacity(TOGETHER);
        // Other requests than those of `hits`, whose memory is in the caches.
        self.there(Skew::Uniform, round ^ 1 << 32, &mut |ready| {
            for some in ready.chunks(TOGETHER) {
                let asked: [_; TOGETHER] =
                    std::array::from_fn(|at| (&some[at].path, &some[at].key));
                found.clear();
                peer.look_up_many(&asked, &mut found);
                let right = found.iter().zip(some);
                let right = right.filter(|(found, request)| **found == Some(request.number));
                assert_eq!(right.count(), some.len(), "hits");
            }
        })
    }

    fn inserts_again(&self, peer: &dyn Peer<u64>, round: u64) -> f64 {
        self.there(Skew::Uniform, round, &mut |ready| {
            let replaced = ready.iter().filter(|request| {
                let old = peer.insert(&request.path, &request.key, request.number);
                old == Some(request.number)
            });
            assert_eq!(replaced.count(), ready.len(), "replaced");
        })
    }

    fn misses_of_path(&self, peer: &dyn Peer<u64>, round: u64) -> f64 {
        let mut draw = Draw::new(self.pictures, Skew::Uniform, round);
        let mut write = |requests: &mut Requests| {
            let (picture, variant) = draw.variant(&self.site);
            requests.push(&self.site, picture + self.pictures, variant);
        };
        self.batches(&mut write, &mut |ready| assert_eq!(missing(peer, ready), ready.len()))
    }

    fn misses_of_variant(&self, peer: &dyn Peer<u64>, round: u64) -> f64 {
        let mut draw = Draw::new(self.pictures, Skew::Uniform, round);
        let mut write = |requests: &mut Requests| {
            let picture = draw.picture();
            requests.push(&self.site, picture, self.site.variants(picture));
        };
        self.batches(&mut write, &mut |ready| assert_eq!(missing(peer, ready), ready.len()))
    }
}

fn missing(peer: &dyn Peer<u64>, ready: &[Request<'_>]) -> usize {
    let missing =
        ready.iter().filter(|request| peer.look_up(&request.path, &request.key).is_none());
    missing.count()
}

/// A number for people: 1,000,000.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}
