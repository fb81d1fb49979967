//! Flushes over time: those that run, and those that have ended and that dead entries are left of.
//!
//! A flush over time has two numbers. Entries older than the first, the *marker*, die at the moment
//! of their path. The second is the one that is published as broad, and later fills begin at it. So
//! no record is settled at a marker in any other way, and a record that is settled at a marker is
//! *mixed*: its variants marked stale are older than the flush, all others are newer. See
//! `shard::over_time`.
//!
//! Invariant: a flush is kept until it has ended and the sweep that followed has seen every record.
//! Removing it earlier would serve dead entries again.

use super::generation::Generation;
use super::over_time::{OverTime, fraction, offset};
use super::tenant::Tenant;
use super::view::{MOST_SPREADS, PathSpread, PathSpreads, Standing};
use crate::freshness::Freshness;
use crate::monotonic::nanoseconds;
use hashbrown::HashMap;
use std::time::Duration;

/// The dead entries of a running flush are swept this often.
const SLICES: u64 = 8;

/// One flush over time.
#[derive(Clone, Debug)]
struct Spread {
    marker: Generation,
    /// When it began, in nanoseconds of the index's clock, and how much had passed by then.
    began: u64,
    passed: u64,
    /// In nanoseconds.
    duration: u64,
    freshness: Freshness,
    /// When the next slice of the duration has passed, in nanoseconds since the begin.
    due: u64,
    /// The generation in which the end was noticed.
    ended: Option<Generation>,
}

impl Spread {
    fn elapsed(&self, now: u64) -> u64 {
        now.saturating_sub(self.began).saturating_add(self.passed)
    }

    fn is_due(&self, now: u64) -> bool {
        self.ended.is_none() && self.elapsed(now) >= self.due
    }

    /// Returns the end of the slice at `now`.
    fn end_of_slice(&self, now: u64) -> u64 {
        let ends = (1..SLICES).map(|slice| self.duration / SLICES * slice);
        let mut later = ends.filter(|end| *end > self.elapsed(now));
        later.next().unwrap_or(self.duration)
    }

    /// The effect on the older entries of a path.
    fn state(&self, now: u64, fraction: u64) -> Standing {
        if self.elapsed(now) >= offset(self.duration, fraction) {
            Standing::Dead
        } else if self.freshness == Freshness::Stale {
            Standing::Stale
        } else {
            Standing::Untouched
        }
    }
}

/// The flushes over time of an index.
#[derive(Debug, Default)]
pub(crate) struct Spreads {
    all: Vec<Spread>,
    by_tenant: HashMap<u32, (Tenant, Vec<Spread>), ahash::RandomState>,
}

impl Spreads {
    pub(crate) fn len(&self) -> usize {
        self.iter().count()
    }

    fn iter(&self) -> impl Iterator<Item = &Spread> {
        self.all.iter().chain(self.by_tenant.values().flat_map(|(_, spreads)| spreads))
    }

    fn of(&self, scope: Option<&Tenant>) -> &[Spread] {
        match scope {
            None => &self.all,
            Some(tenant) => self.by_tenant.get(&tenant.id()).map_or(&[], |(_, spreads)| spreads),
        }
    }

    /// Whether there is no room for one more flush of the scope, which takes effect at once then.
    pub(crate) fn is_full(&self, scope: Option<&Tenant>) -> bool {
        self.of(scope).len() >= MOST_SPREADS
    }

    /// Adds a flush of everything or of a tenant that begins at `now`.
    pub(crate) fn add(
        &mut self,
        scope: Option<&Tenant>,
        marker: Generation,
        over: OverTime,
        now: u64,
    ) {
        let mut spread = Spread {
            marker,
            began: now,
            passed: nanoseconds(over.elapsed()),
            duration: nanoseconds(over.duration()),
            freshness: over.freshness(),
            due: 0,
            ended: None,
        };
        spread.due = spread.end_of_slice(now);
        match scope {
            None => self.all.push(spread),
            Some(tenant) => {
                let of_tenant = || (tenant.clone(), Vec::new());
                self.by_tenant.entry(tenant.id()).or_insert_with(of_tenant).1.push(spread);
            }
        }
    }

    /// Removes the flushes that a hard flush of the scope has made void.
    pub(crate) fn clear(&mut self, scope: Option<&Tenant>) {
        match scope {
            None => *self = Self::default(),
            Some(tenant) => drop(self.by_tenant.remove(&tenant.id())),
        }
    }

    /// Returns the flushes that cover a path, and whether one of them is due. Reads the clock only
    /// if one is running.
    pub(crate) fn of_path(
        &self,
        tenant: &Tenant,
        path: &[u8],
        clock: impl FnOnce() -> u64,
    ) -> (Option<PathSpreads>, Option<u64>) {
        let covering = || self.all.iter().chain(self.of(Some(tenant)));
        if covering().next().is_none() {
            return (None, None);
        }
        let is_running = covering().any(|spread| spread.ended.is_none());
        let (now, fraction) = if is_running { (clock(), fraction(path)) } else { (0, 0) };
        let mut found = PathSpreads::new(is_running);
        for spread in covering() {
            let state = match spread.ended {
                Some(_) => Standing::Dead,
                None => spread.state(now, fraction),
            };
            found.push(PathSpread { marker: spread.marker, state });
        }
        let is_due = is_running && covering().any(|spread| spread.is_due(now));
        (Some(found), is_due.then_some(now))
    }

    pub(crate) fn is_due(&self, now: u64) -> bool {
        self.iter().any(|spread| spread.is_due(now))
    }

    /// Writes down which slices have passed and which flushes have ended at `now`; `generation` is
    /// about to be published.
    pub(crate) fn advance(&mut self, now: u64, generation: Generation) {
        let of_tenants = self.by_tenant.values_mut().flat_map(|(_, spreads)| spreads);
        for spread in self.all.iter_mut().chain(of_tenants).filter(|spread| spread.is_due(now)) {
            spread.due = spread.end_of_slice(now);
            if spread.elapsed(now) >= spread.duration {
                spread.ended = Some(generation);
            }
        }
    }

    /// Removes the flushes that had ended when a sweep began of which this was the target.
    pub(crate) fn retire(&mut self, swept: Generation) {
        let is_left = |spread: &mut Spread| spread.ended.is_none_or(|ended| ended > swept);
        self.all.retain_mut(is_left);
        self.by_tenant.retain(|_, (_, spreads)| {
            spreads.retain_mut(is_left);
            !spreads.is_empty()
        });
    }

    /// Returns the flushes that are running, each with its tenant, or none for everything.
    pub(crate) fn running(&self, now: u64) -> Vec<(Option<Tenant>, Generation, OverTime)> {
        let all = self.all.iter().map(|spread| (None, spread));
        let of_tenants = self.by_tenant.values().flat_map(|(tenant, spreads)| {
            spreads.iter().map(move |spread| (Some(tenant.clone()), spread))
        });
        let running = all.chain(of_tenants).filter(|(_, spread)| spread.ended.is_none());
        let mut running: Vec<_> = running
            .map(|(tenant, spread)| {
                let elapsed = Duration::from_nanos(spread.elapsed(now).min(spread.duration));
                let over = OverTime::new(Duration::from_nanos(spread.duration))
                    .serving(spread.freshness)
                    .resumed_at(elapsed);
                (tenant, spread.marker.next(), over)
            })
            .collect();
        running.sort_by_key(|(_, generation, _)| *generation);
        running
    }
}
