//! Storing what isn't there, and purging it, on one thread.
//!
//! Paths are fresh: nothing was stored under them before, and nothing is purged until all are stored, so that no contestant is handed
//! memory that it has just freed. They are stored in shuffled order.

use crate::adapters::{Contestant, Peer, Room};
use crate::arrivals::{BATCH, insert, shuffled, store};
use crate::single::{Effort, Field, each, populate_all, site_label};
use crate::site::{MOST_VARIANTS, Request, Requests, Site};
use crate::table::{Line, Target, Unit};
use cpu_time::ThreadTime;
use std::time::Duration;

/// Variants of most fresh paths.
const FEW: u64 = 4;

/// Pictures that the site doesn't have, for each round.
pub(crate) struct Fresh {
    inserted: Vec<Vec<u64>>,
    filled: Vec<Vec<u64>>,
    large: Vec<Vec<u64>>,
}

impl Fresh {
    pub(crate) fn choose(site: &Site, pictures: u64, effort: Effort) -> Self {
        let rounds = usize::try_from(effort.rounds).expect("few");
        // Look-ups ask for pictures up to here.
        let new = |variants: u64| {
            (2 * pictures..).filter(move |picture| site.variants(*picture) == variants)
        };
        let in_rounds = |pictures: &mut dyn Iterator<Item = u64>, each: usize| {
            (0..rounds).map(|_| pictures.take(each).collect()).collect()
        };
        let (mut few, mut many) = (new(FEW), new(MOST_VARIANTS));
        let paths = |variants: u64| effort.fresh / usize::try_from(variants).expect("small");
        Self {
            inserted: in_rounds(&mut few, paths(FEW)),
            filled: in_rounds(&mut few, paths(FEW)),
            large: in_rounds(&mut many, paths(MOST_VARIANTS)),
        }
    }

    fn all(&self) -> impl Iterator<Item = u64> {
        [&self.inserted, &self.filled, &self.large].into_iter().flatten().flatten().copied()
    }

    pub(crate) fn paths(&self) -> u64 {
        self.all().count() as u64
    }

    pub(crate) fn entries(&self, site: &Site) -> u64 {
        self.all().map(|picture| site.variants(picture)).sum()
    }
}

impl Field {
    /// Stores all fresh pictures, and purges them afterwards.
    pub(crate) fn fresh_lines(&self) -> Vec<Line> {
        let fill = |peer: &dyn Peer<u64>, request: &Request<'_>| {
            peer.fill(&request.path, &request.key, request.number)
        };
        let (new, leased) = ([Target::OfBest(0.9)], [Target::OfBest(1.4)]);
        // A contestant that can't purge would keep them.
        let [inserted] = self.race(true, |round, peer| {
            [self.store_fresh(peer, &self.fresh.inserted, round, insert)]
        });
        let [filled] = self
            .race(true, |round, peer| [self.store_fresh(peer, &self.fresh.filled, round, fill)]);
        let [_] = self
            .race(true, |round, peer| [self.store_fresh(peer, &self.fresh.large, round, insert)]);
        let [purged_4] =
            self.race(true, |round, peer| [self.purge_fresh(peer, &self.fresh.inserted, round)]);
        let [_] =
            self.race(true, |round, peer| [self.purge_fresh(peer, &self.fresh.filled, round)]);
        let [purged_32] =
            self.race(true, |round, peer| [self.purge_fresh(peer, &self.fresh.large, round)]);
        vec![
            self.line("insert, fresh paths into presized tables", inserted, &new),
            self.line("lease + commit, fresh paths (peers: one insert)", filled, &leased),
            self.line("purge of 4 variants: the call", purged_4, &[Target::OfBest(0.75)]),
            self.line("purge of 32 variants: the call", purged_32, &[Target::OfBest(0.5)]),
        ]
    }

    fn store_fresh(
        &self,
        peer: &dyn Peer<u64>,
        rounds: &[Vec<u64>],
        round: u64,
        how: impl Fn(&dyn Peer<u64>, &Request<'_>) -> Option<u64>,
    ) -> f64 {
        let pictures = &rounds[usize::try_from(round).expect("few")];
        let entries = shuffled(&self.site, pictures.iter().copied());
        each(store(peer, &self.site, &entries, how), entries.len())
    }

    /// What a purge takes, with looking at each key and value that it hands over, and dropping it.
    fn purge_fresh(&self, peer: &dyn Peer<u64>, rounds: &[Vec<u64>], round: u64) -> f64 {
        let pictures = &rounds[usize::try_from(round).expect("few")];
        let mut requests = Requests::default();
        let mut time = Duration::ZERO;
        // In the order of their numbers, which isn't the one in which they were stored.
        for some in pictures.chunks(BATCH) {
            requests.clear();
            some.iter().for_each(|picture| requests.push(&self.site, *picture, 0));
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
}

/// The average insert while the whole site is stored into tables that start empty.
pub fn growing(contestants: &[Contestant<u64>], pictures: u64) -> Line {
    let site = Site::default();
    let room = Room::growing(site.entries(pictures));
    let (_, figures) = populate_all(contestants, &site, pictures, room);
    Line {
        what: format!(
            "insert, the whole site into tables that grow, {}",
            site_label(&site, pictures)
        ),
        unit: Unit::Nanoseconds,
        figures,
        targets: vec![Target::OfBest(0.9)],
    }
}
