//! One thread: what each operation costs. All contestants hold the same site and take turns, so that what disturbs the machine
//! disturbs them alike; the figure is the median of the rounds. Processor time: on an idle machine the same as time, and on a busy one
//! without the waiting for other programs.

use crate::access::{Draw, Skew};
use crate::adapters::{Built, Contestant, Peer, Room};
use crate::site::{Request, Requests, Site};
use crate::table::{Line, Target, Unit};
use cpu_time::ThreadTime;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use std::collections::HashSet;
use std::time::Duration;

/// Requests that are written out before they are made: as many as stay in the first levels of the processor's cache.
const BATCH: usize = 512;

/// In which order a site is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// Path after path, each with all of its variants: what is stored of a path lies side by side in memory, whatever the structure.
    PathByPath,
    /// Every entry at a random moment, as visitors ask for pictures and their sizes.
    Mixed,
}

/// Look-ups that are made together: a page's pictures. Divides [`BATCH`].
const TOGETHER: usize = 16;

/// Requests made before the clock counts, after other contestants have had the caches.
const WARM_UP: usize = 4;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Turns of each contestant.
    pub rounds: u64,
    /// Batches in a turn.
    pub batches: usize,
    /// Paths that are purged and filled again in a turn.
    pub purges: usize,
}

/// All contestants, holding the same site.
pub struct Field {
    pub(crate) site: Site,
    pub(crate) pictures: u64,
    pub(crate) peers: Vec<(Contestant<u64>, Built<u64>)>,
    effort: Effort,
    arrivals: Arrivals,
    /// What storing the site took, per entry.
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

/// Nanoseconds for each of so many.
pub fn each(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e9 / count as f64
}

impl Field {
    /// Has every contestant store the site.
    ///
    /// # Panics
    /// If one of them isn't empty at first.
    pub fn populate(
        contestants: &[Contestant<u64>],
        pictures: u64,
        arrivals: Arrivals,
        effort: Effort,
    ) -> Self {
        let site = Site::default();
        let entries = usize::try_from(site.entries(pictures)).expect("fits into memory");
        let room = Room { paths: usize::try_from(pictures).expect("fits into memory"), entries };
        let mut populated = Vec::new();
        let mut peers = Vec::new();
        for contestant in contestants {
            let peer = contestant.build(room);
            let time = match arrivals {
                Arrivals::PathByPath => populate(peer.peer(), &site, 0..pictures),
                Arrivals::Mixed => populate_mixed(peer.peer(), &site, pictures),
            };
            populated.push(Some(each(time, entries)));
            peers.push((*contestant, peer));
        }
        Self { site, pictures, peers, effort, arrivals, populated }
    }

    /// Lets the contestants take turns, and gives the medians of each one's rounds.
    fn race<const FIGURES: usize>(
        &self,
        purges: bool,
        mut turn: impl FnMut(u64, &dyn Peer<u64>) -> [f64; FIGURES],
    ) -> [Vec<Option<f64>>; FIGURES] {
        let mut figures = vec![[const { Vec::new() }; FIGURES]; self.peers.len()];
        for round in 0..self.effort.rounds {
            for at in 0..self.peers.len() {
                // Another one begins in each round.
                let at = (at + usize::try_from(round).expect("few")) % self.peers.len();
                let (contestant, peer) = &self.peers[at];
                if contestant.purges() || !purges {
                    let taken = turn(round, peer.peer());
                    figures[at].iter_mut().zip(taken).for_each(|(all, figure)| all.push(figure));
                }
            }
        }
        std::array::from_fn(|at| {
            let own = figures.iter().map(|figures| figures[at].clone());
            own.map(|own| (!own.is_empty()).then(|| median(own))).collect()
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
        lines.extend(self.store_lines());
        lines
    }

    fn line(&self, what: &str, figures: Vec<Option<f64>>, targets: &[Target]) -> Line {
        let order = match self.arrivals {
            Arrivals::PathByPath => "",
            Arrivals::Mixed => ", entries stored in any order",
        };
        let what = format!("{what}, {} paths{order}", thousands(self.pictures));
        Line { what, unit: Unit::Nanoseconds, figures, targets: targets.to_vec() }
    }

    fn look_up_lines(&self) -> Vec<Line> {
        let zipf = [Target::OfBest(0.65), Target::OfFingerprints(1.35)];
        let [zipf_hits] = self.race(false, |round, peer| [self.hits(peer, Skew::Zipf, round)]);
        let [hits, together] = self.race(false, |round, peer| {
            [self.hits(peer, Skew::Uniform, round), self.hits_together(peer, round)]
        });
        let [path_missing] = self.race(false, |round, peer| [self.misses_of_path(peer, round)]);
        let [variant_missing] =
            self.race(false, |round, peer| [self.misses_of_variant(peer, round)]);
        let share = together.iter().zip(&hits).map(|(together, one)| Some((*together)? / (*one)?));
        let share = Line {
            unit: Unit::Share,
            ..self.line(
                "look-up of 16 together over one by one",
                share.collect(),
                &[Target::Most(0.5)],
            )
        };
        vec![
            self.line("look-up, hit, Zipf", zipf_hits, &zipf),
            self.line("look-up, hit, uniform", hits, &[Target::OfBest(0.6)]),
            self.line("look-up, path missing", path_missing, &[Target::OfBest(1.0)]),
            self.line("look-up, variant missing", variant_missing, &[]),
            self.line("look-up of 16 together, hit, uniform, per key", together, &[]),
            share,
        ]
    }

    fn store_lines(&self) -> Vec<Line> {
        let insert = |peer: &dyn Peer<u64>, request: &Request<'_>| {
            peer.insert(&request.path, &request.key, request.number)
        };
        let fill = |peer: &dyn Peer<u64>, request: &Request<'_>| {
            peer.fill(&request.path, &request.key, request.number)
        };
        let [again] = self.race(false, |round, peer| [self.inserts_again(peer, round)]);
        let [purged, inserted] = self.churn(&self.some(), insert);
        let [_, filled] = self.churn(&self.some(), fill);
        let [purged_4, _] = self.churn(&self.with(4), insert);
        let [purged_32, _] = self.churn(&self.with(32), insert);
        vec![
            self.line("insert, there already, uniform", again, &[]),
            self.line("insert, new", inserted, &[Target::OfBest(0.85)]),
            self.line("fill, new (here lease and commit)", filled, &[Target::OfBest(1.0)]),
            self.line("insert into an empty index", self.populated.clone(), &[]),
            self.line("purge of a path, 6 variants on average", purged, &[]),
            self.line("purge of 4 variants", purged_4, &[Target::OfBest(0.45)]),
            self.line("purge of 32 variants", purged_32, &[Target::OfBest(0.3)]),
        ]
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

    fn hits(&self, peer: &dyn Peer<u64>, skew: Skew, round: u64) -> f64 {
        self.there(skew, round, &mut |ready| {
            let found = ready.iter().filter(|request| {
                peer.look_up(&request.path, &request.key) == Some(request.number)
            });
            assert_eq!(found.count(), ready.len(), "hits");
        })
    }

    fn hits_together(&self, peer: &dyn Peer<u64>, round: u64) -> f64 {
        let mut found = Vec::with_capacity(TOGETHER);
        self.there(Skew::Uniform, round, &mut |ready| {
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

    /// Pictures drawn at random, other ones for each round.
    fn some(&self) -> Vec<Vec<u64>> {
        self.chosen(|_| true)
    }

    /// Pictures that have so many variants.
    fn with(&self, variants: u64) -> Vec<Vec<u64>> {
        self.chosen(|picture| self.site.variants(picture) == variants)
    }

    fn chosen(&self, is: impl Fn(u64) -> bool) -> Vec<Vec<u64>> {
        let round = |round| {
            let mut draw = Draw::new(self.pictures, Skew::Uniform, 1000 + round);
            let mut chosen = HashSet::new();
            let mut list = Vec::new();
            // Of rare ones, a small site has fewer than are asked for.
            for _ in 0..self.pictures {
                let picture = draw.picture();
                if is(picture) && chosen.insert(picture) {
                    list.push(picture);
                }
                if list.len() == self.effort.purges {
                    break;
                }
            }
            list
        };
        (0..self.effort.rounds).map(round).collect()
    }

    /// Purges paths and stores them again: what a purge takes per path, and storing per entry.
    fn churn(
        &self,
        pictures: &[Vec<u64>],
        store: impl Fn(&dyn Peer<u64>, &Request<'_>) -> Option<u64>,
    ) -> [Vec<Option<f64>>; 2] {
        self.race(true, |round, peer| {
            let pictures = &pictures[usize::try_from(round).expect("few")];
            [self.purge(peer, pictures), self.store(peer, pictures, &store)]
        })
    }

    /// What a purge takes, with looking at each key and value that it hands over, and dropping it.
    fn purge(&self, peer: &dyn Peer<u64>, pictures: &[u64]) -> f64 {
        let mut requests = Requests::default();
        let mut time = Duration::ZERO;
        for some in pictures.chunks(BATCH) {
            requests.clear();
            for picture in some {
                requests.push(&self.site, *picture, 0);
            }
            let ready = requests.ready();
            let mut gone = 0;
            let start = ThreadTime::now();
            for request in &ready {
                peer.purge(&request.path, &mut |key, value| {
                    gone += u64::from(!key.is_empty() && value / 64 == request.number / 64);
                });
            }
            time += start.elapsed();
            assert_eq!(gone, some.iter().map(|picture| self.site.variants(*picture)).sum::<u64>());
        }
        each(time, pictures.len())
    }

    fn store(
        &self,
        peer: &dyn Peer<u64>,
        pictures: &[u64],
        store: impl Fn(&dyn Peer<u64>, &Request<'_>) -> Option<u64>,
    ) -> f64 {
        let mut requests = Requests::default();
        let (mut time, mut count) = (Duration::ZERO, 0);
        for some in pictures.chunks(BATCH / 8) {
            requests.clear();
            for picture in some {
                requests.push_all(&self.site, *picture);
            }
            let ready = requests.ready();
            let start = ThreadTime::now();
            let new = ready.iter().filter(|request| store(peer, request).is_none());
            let new = new.count();
            time += start.elapsed();
            assert_eq!(new, ready.len(), "new");
            count += new;
        }
        each(time, count)
    }
}

fn missing(peer: &dyn Peer<u64>, ready: &[Request<'_>]) -> usize {
    let missing =
        ready.iter().filter(|request| peer.look_up(&request.path, &request.key).is_none());
    missing.count()
}

/// Stores pictures, one after the other; gives the time without that of writing requests.
///
/// # Panics
/// If one of them was there.
pub fn populate(peer: &dyn Peer<u64>, site: &Site, pictures: std::ops::Range<u64>) -> Duration {
    let mut requests = Requests::default();
    let mut time = Duration::ZERO;
    let mut from = pictures.start;
    while from < pictures.end {
        let to = pictures.end.min(from + 64);
        requests.clear();
        (from..to).for_each(|picture| requests.push_all(site, picture));
        time += insert_new(peer, &requests);
        from = to;
    }
    time
}

/// Stores the variants of the first pictures in a random order, the same for all.
fn populate_mixed(peer: &dyn Peer<u64>, site: &Site, pictures: u64) -> Duration {
    let mut entries: Vec<(u64, u64)> = (0..pictures)
        .flat_map(|picture| (0..site.variants(picture)).map(move |variant| (picture, variant)))
        .collect();
    entries.shuffle(&mut SmallRng::seed_from_u64(7));
    let mut requests = Requests::default();
    let stored = entries.chunks(BATCH).map(|some| {
        requests.clear();
        for (picture, variant) in some {
            requests.push(site, *picture, *variant);
        }
        insert_new(peer, &requests)
    });
    stored.sum()
}

fn insert_new(peer: &dyn Peer<u64>, requests: &Requests) -> Duration {
    let ready = requests.ready();
    let start = ThreadTime::now();
    let new = ready
        .iter()
        .filter(|request| peer.insert(&request.path, &request.key, request.number).is_none());
    let new = new.count();
    let time = start.elapsed();
    assert_eq!(new, ready.len(), "new");
    time
}

/// A number for people: 1,000,000.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}
