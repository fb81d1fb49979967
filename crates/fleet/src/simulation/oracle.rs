//! The oracle: what must hold, from the point of view of somebody who sees everything.

use super::plan::Plan;
use crate::machine::Level;
use cache_index_persist::OutboxId;
use std::collections::{HashMap, HashSet};

/// A purge that somebody asked for.
#[derive(Clone, Debug)]
pub(super) struct Purge {
    /// Paths, and the oldest version that is not old.
    pub(super) floors: Vec<(usize, u64)>,
    pub(super) site: usize,
    pub(super) boot: u64,
    pub(super) accepted: u64,
    pub(super) level: Level,
    /// Its number in the outbox of its node.
    pub(super) id: Option<OutboxId>,
    /// Synced on the disk of its node.
    pub(super) is_local: bool,
    pub(super) is_done: bool,
    /// From when on no node may serve anything older as fresh.
    pub(super) holds_from: Option<u64>,
    pub(super) is_in_stream: bool,
    pub(super) was_in_stream: bool,
}

impl Purge {
    pub(super) fn new(
        floors: Vec<(usize, u64)>,
        (site, boot): (usize, u64),
        accepted: u64,
        level: Level,
        id: Option<OutboxId>,
    ) -> Self {
        Self {
            floors,
            site,
            boot,
            accepted,
            level,
            id,
            is_local: false,
            is_done: false,
            holds_from: None,
            is_in_stream: false,
            was_in_stream: false,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Oracle {
    pub(super) purges: Vec<Purge>,
    by_path: HashMap<usize, Vec<usize>>,
    pub(super) violations: Vec<String>,
}

impl Oracle {
    pub(super) fn violation(&mut self, text: String) {
        if self.violations.len() < 10 {
            self.violations.push(text);
        }
    }

    pub(super) fn add(&mut self, purge: Purge) -> usize {
        let index = self.purges.len();
        for (path, _) in &purge.floors {
            self.by_path.entry(*path).or_default().push(index);
        }
        self.purges.push(purge);
        index
    }

    /// Finds a purge by its number. Numbers may repeat after the loss of a disk: the newest counts.
    pub(super) fn find(&self, site: usize, id: OutboxId) -> Option<usize> {
        let same = |purge: &Purge| purge.site == site && purge.id == Some(id);
        self.purges.iter().rposition(same)
    }

    /// Notes that a purge was appended at a time. One period later, no gate may be open without it.
    pub(super) fn appended(&mut self, index: usize, now: u64, plan: &Plan) {
        let period = u64::try_from(plan.period.as_nanos()).expect("seconds");
        let purge = &mut self.purges[index];
        if !purge.is_in_stream {
            (purge.is_in_stream, purge.was_in_stream) = (true, true);
            // Clocks differ by up to 0.9 %.
            purge.holds_from = Some(now + period + period / 100);
        }
    }

    /// Notes which purges the stream still has.
    pub(super) fn restored(&mut self, present: &HashSet<usize>) {
        for (index, purge) in self.purges.iter_mut().enumerate() {
            if !present.contains(&index) {
                (purge.is_in_stream, purge.holds_from) = (false, None);
            }
        }
    }

    /// Checks a version that a node serves as fresh.
    pub(super) fn served(&mut self, now: u64, site: usize, boot: u64, path: usize, version: u64) {
        let Some(purges) = self.by_path.get(&path) else { return };
        let old = purges.iter().map(|&index| (index, &self.purges[index])).find(|(_, purge)| {
            let is_old = purge.floors.iter().any(|&(at, floor)| at == path && version < floor);
            let is_own = purge.site == site && purge.boot == boot;
            is_old && (is_own || purge.holds_from.is_some_and(|from| from <= now))
        });
        if let Some((index, purge)) = old {
            let text = format!(
                "{now}: node {site} serves version {version} of path {path}, purge {index}: {purge:?}"
            );
            self.violation(text);
        }
    }

    /// Returns the versions that must hold after everything has healed.
    pub(super) fn final_floor(&self, path: usize, disks_lost: &[Option<u64>]) -> u64 {
        let Some(purges) = self.by_path.get(&path) else { return 0 };
        let counts = |purge: &&Purge| {
            let lost = disks_lost[purge.site].is_some_and(|at| at >= purge.accepted);
            purge.is_in_stream || purge.is_local && !lost
        };
        let counted = purges.iter().map(|&index| &self.purges[index]).filter(counts);
        let floors = counted.flat_map(|purge| &purge.floors).filter(|(at, _)| *at == path);
        floors.map(|&(_, floor)| floor).max().unwrap_or(0)
    }
}
