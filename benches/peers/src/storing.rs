//! Storing what isn't there, and purging it, on one thread.
//!
//! Paths are fresh: nothing was stored under them before. So many are stored in a turn, in shuffled
//! order, that a path's next variant comes when the caches have forgotten the path. They are purged
//! after all other contestants have had their turn, in another order, so that no contestant is
//! handed memory that it has just freed and that lies side by side.

use crate::adapters::{Contestant, Peer, Room};
use crate::arrivals::{BATCH, insert, shuffled, store};
use crate::single::{Effort, Field, each, medians, populate_all, site_label};
use crate::site::{MOST_VARIANTS, Request, Requests, Site};
use crate::table::{Line, Target, Unit};
use cpu_time::ThreadTime;
use std::time::Duration;

/// Variants of most fresh paths.
const FEW: u64 = 4;

/// The most fresh paths that are there at once, and the most fresh entries.
pub(crate) fn most_fresh(effort: Effort) -> (u64, u64) {
    let (few, many) = (effort.fresh as u64, effort.large as u64);
    (few.max(many), (few * FEW).max(many * MOST_VARIANTS))
}

/// Figures by round and contestant.
type Rounds = Vec<Vec<Option<f64>>>;

impl Field {
    /// Stores fresh pictures and purges them, in each round others.
    pub(crate) fn fresh_lines(&self) -> Vec<Line> {
        let fill = |peer: &dyn Peer<u64>, request: &Request<'_>| {
            peer.fill(&request.path, &request.key, request.number)
        };
        let Effort { fresh, large, .. } = self.effort;
        let (mut few, mut many) = (self.fresh_with(FEW), self.fresh_with(MOST_VARIANTS));
        let [mut inserted, mut filled, mut purged_4, mut purged_32] = [const { Rounds::new() }; 4];
        for round in 0..self.effort.rounds {
            let mut next = |count| few.by_ref().take(count).collect::<Vec<_>>();
            let (to_insert, to_fill) = (next(fresh), next(fresh));
            let large: Vec<_> = many.by_ref().take(large).collect();
            inserted.push(self.store_fresh(&to_insert, round, insert));
            purged_4.push(self.purge_fresh(&to_insert, round));
            filled.push(self.store_fresh(&to_fill, round, fill));
            self.purge_fresh(&to_fill, round);
            self.store_fresh(&large, round, insert);
            purged_32.push(self.purge_fresh(&large, round));
        }
        let line =
            |what, rounds: Rounds, most| self.line(what, medians(&rounds), &[Target::OfBest(most)]);
        vec![
            line("insert, fresh paths into presized tables", inserted, 0.9),
            line("lease + commit, fresh paths (peers: one insert)", filled, 1.4),
            line("purge of 4 variants: the call", purged_4, 0.75),
            line("purge of 32 variants: the call", purged_32, 0.5),
        ]
    }

    /// Pictures that the site doesn't have, and that no lookup asks for: those with so many
    /// variants.
    fn fresh_with(&self, variants: u64) -> impl Iterator<Item = u64> {
        let all = 2 * self.pictures..;
        all.filter(move |picture| self.site.variants(*picture) == variants)
    }

    fn store_fresh(
        &self,
        pictures: &[u64],
        round: u64,
        how: impl Fn(&dyn Peer<u64>, &Request<'_>) -> Option<u64>,
    ) -> Vec<Option<f64>> {
        let entries = shuffled(&self.site, pictures.iter().copied());
        // A contestant that can't purge would keep them.
        self.turns(round, true, |peer| each(store(peer, &self.site, &entries, &how), entries.len()))
    }

    fn purge_fresh(&self, pictures: &[u64], round: u64) -> Vec<Option<f64>> {
        self.turns(round, true, |peer| self.purge(peer, pictures))
    }

    /// Measures a purge, including a look at each returned key and value, and their drop.
    fn purge(&self, peer: &dyn Peer<u64>, pictures: &[u64]) -> f64 {
        let mut requests = Requests::default();
        let mut time = Duration::ZERO;
        // In the order of their numbers, which isn't the one in which they were stored.
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
