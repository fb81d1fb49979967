//! `View`: the last invalidations of the scopes that cover a path, at one moment, and their effect
//! on an entry.

use super::generation::Generation;
use super::horizon::LastInvalidations;
use crate::freshness::Freshness;

/// How many flushes over time of one scope are kept.
pub(super) const MOST_SPREADS: usize = 4;

/// The last invalidations of the scopes that cover a path, or a tenant, at one moment.
// Nothing in it is dropped: a store that meets no flush over time pays one byte for them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    /// The newest broad invalidation that this view knows of.
    pub(crate) as_of: Generation,
    /// The last invalidations of everything and of the tenant.
    pub(super) whole: LastInvalidations,
    /// The last invalidations of the prefixes of the path.
    pub(super) prefix: LastInvalidations,
    /// The last flush over time of everything or of the tenant: it refuses older fills at once.
    pub(super) refused: Generation,
    /// The flushes over time that cover the path, if any.
    pub(super) spreads: Option<PathSpreads>,
    /// Whether the tenant is forgotten.
    pub(super) forgotten: bool,
}

/// The effect of broad invalidations on an entry, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// None reached it.
    Untouched,
    /// A soft one did.
    Stale,
    /// A hard one did.
    Dead,
}

/// The effect of a flush over time on the entries of a path that are older than its marker.
#[derive(Clone, Copy, Debug)]
pub(super) struct PathSpread {
    pub(super) marker: Generation,
    pub(super) state: Standing,
}

/// The flushes over time that cover a path.
#[derive(Clone, Copy, Debug)]
pub(super) struct PathSpreads {
    /// Those of everything and those of the tenant; the first `len` of these.
    list: [PathSpread; 2 * MOST_SPREADS],
    len: usize,
    /// Whether the clock was read for them.
    pub(super) timed: bool,
}

impl PathSpreads {
    /// A list without any.
    pub(super) fn new(timed: bool) -> Self {
        let none = PathSpread { marker: Generation::START, state: Standing::Untouched };
        Self { list: [none; 2 * MOST_SPREADS], len: 0, timed }
    }

    pub(super) fn push(&mut self, spread: PathSpread) {
        self.list[self.len] = spread;
        self.len += 1;
    }

    fn list(&self) -> &[PathSpread] {
        &self.list[..self.len]
    }

    /// The newest number that one of them has published, or is about to.
    pub(super) fn newest(&self) -> Generation {
        let newest = self.list().iter().map(|spread| spread.marker.next()).max();
        newest.unwrap_or(Generation::START)
    }
}

impl LastInvalidations {
    fn standing(self, since: Generation) -> Standing {
        if self.hard > since {
            Standing::Dead
        } else if self.soft > since {
            Standing::Stale
        } else {
            Standing::Untouched
        }
    }
}

impl View {
    #[inline]
    fn spreads(&self) -> &[PathSpread] {
        self.spreads.as_ref().map_or(&[], PathSpreads::list)
    }

    /// Returns the standing of an entry that was live at `since`. In a mixed record, that is one of
    /// the newer entries.
    pub(crate) fn standing(&self, since: Generation) -> Standing {
        let plain = self.whole.or(self.prefix).standing(since);
        let later = self.spreads().iter().filter(|spread| spread.marker > since);
        later.fold(plain, |standing, spread| standing.max(spread.state))
    }

    /// Returns the standing of a variant of a record that is settled at `since`.
    pub(crate) fn standing_of(&self, since: Generation, freshness: Freshness) -> Standing {
        if freshness.is_stale() && self.is_mixed(since) {
            self.standing_of_older(since)
        } else {
            self.standing(since)
        }
    }

    /// Returns the standing of an entry that was live at `since`, as far as flushes of everything
    /// and of the tenant go that happened at once.
    pub(crate) fn whole_standing(&self, since: Generation) -> Standing {
        self.whole.standing(since)
    }

    /// Returns the standing of a fill that began at `since`, for whose path prefix rules may have
    /// retired since.
    pub(crate) fn standing_of_fill(
        &self,
        since: Generation,
        retired: LastInvalidations,
    ) -> Standing {
        if self.refused > since {
            return Standing::Dead;
        }
        self.whole.or(self.prefix).or(retired).standing(since)
    }

    /// Whether a flush killed a fill that began at `since`.
    pub(crate) fn is_flushed(&self, since: Generation) -> bool {
        self.refused > since || self.whole_standing(since) == Standing::Dead
    }

    /// Whether the tenant is forgotten: nothing is stored for it any more.
    #[inline]
    pub(crate) fn is_forgotten(&self) -> bool {
        self.forgotten
    }

    /// Whether a record that is settled at `since` has variants that are older than a flush over
    /// time, marked stale, beside newer ones.
    pub(crate) fn is_mixed(&self, since: Generation) -> bool {
        self.spreads().iter().any(|spread| spread.marker == since)
    }

    /// Returns the marker of the first flush over time that covers a record, not dead, that is
    /// settled at `since`.
    #[inline]
    pub(crate) fn covering(&self, since: Generation) -> Option<Generation> {
        let later = self.spreads.as_ref()?.list().iter().filter(|spread| spread.marker > since);
        later.map(|spread| spread.marker).min()
    }

    /// Returns the standing of the entries that are older than `marker`, of a path that has newer
    /// ones. They die early with the next soft invalidation or flush over time: a record has no
    /// room for a third kind of entries.
    pub(crate) fn standing_of_older(&self, marker: Generation) -> Standing {
        if self.standing(marker) != Standing::Untouched || self.covering(marker).is_some() {
            return Standing::Dead;
        }
        let own = self.spreads().iter().find(|spread| spread.marker == marker);
        own.map_or(Standing::Dead, |spread| spread.state.max(Standing::Stale))
    }

    /// Returns the generation at which a record, not dead, can be settled that is settled at
    /// `since`.
    pub(crate) fn settles_to(&self, since: Generation) -> Generation {
        if self.spreads.is_none() {
            self.as_of
        } else if self.is_mixed(since) {
            since
        } else {
            self.covering(since).map_or(self.as_of, Generation::previous)
        }
    }

    /// Returns the same view as though all flushes over time had ended.
    pub(crate) fn with_spreads_ended(mut self) -> Self {
        let spreads = self.spreads.iter_mut().flat_map(|spreads| &mut spreads.list);
        spreads.for_each(|spread| spread.state = Standing::Dead);
        self
    }

    /// Returns the same view without the flush over time of this marker, for a record that is mixed
    /// no longer.
    pub(crate) fn without(&self, marker: Generation) -> Self {
        let mut kept = PathSpreads::new(self.spreads.is_some_and(|spreads| spreads.timed));
        let others = self.spreads().iter().filter(|spread| spread.marker != marker);
        others.for_each(|spread| kept.push(*spread));
        Self { spreads: Some(kept).filter(|kept| kept.len > 0), ..*self }
    }
}
