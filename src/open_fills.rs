//! Open fills: what a shard remembers of paths for which leases are out.
//!
//! Invariant: a path is here exactly while at least one lease for it is open. So memory is bounded by the number of open
//! leases, a purge reaches the fills of a path that has no entry, and a dropped lease leaves nothing behind.
//!
//! This lives beside the table of records and not in it: the purge of a path unlinks the record, and what open fills must know
//! of the purge has to outlive that.

use crate::generation::Generation;
use crate::hash::PathHash;
use crate::prefix::Match;
use crate::scopes::Scopes;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::sync::Arc;

#[derive(Debug)]
struct OpenFill {
    hash: PathHash,
    tenant: u32,
    path: Arc<str>,
    leases: usize,
    /// How many of `leases` a hard purge of the path has voided.
    voided: usize,
    /// The last hard purge of the path since the fill was opened.
    purged: Generation,
    /// The last soft one.
    softened: Generation,
    /// What prefix rules said of the path when they retired. Unlike purges of the path, they decide against a lease's broad
    /// generation.
    retired: Match,
}

/// The open fills of one shard.
#[derive(Debug, Default)]
pub(crate) struct OpenFills {
    fills: HashTable<OpenFill>,
    leases: usize,
}

/// What purges of the path did to a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overtaken {
    No,
    Softly,
    Hard,
}

impl OpenFills {
    /// How many leases are open.
    pub(crate) fn leases(&self) -> usize {
        self.leases
    }

    /// Heap bytes, the paths' text excluded.
    pub(crate) fn structure_bytes(&self) -> usize {
        self.fills.allocation_size()
    }

    /// Notes one more lease for the path, and gives the shared text of the path.
    pub(crate) fn open(&mut self, hash: PathHash, tenant: u32, path: &str) -> Arc<str> {
        self.leases += 1;
        let found = |fill: &OpenFill| fill.tenant == tenant && &*fill.path == path;
        match self.fills.entry(hash.table().spread(), found, |fill| fill.hash.table().spread()) {
            Entry::Occupied(mut fill) => {
                fill.get_mut().leases += 1;
                Arc::clone(&fill.get().path)
            }
            Entry::Vacant(vacant) => {
                let path: Arc<str> = path.into();
                vacant.insert(OpenFill {
                    hash,
                    tenant,
                    path: Arc::clone(&path),
                    leases: 1,
                    voided: 0,
                    purged: Generation::START,
                    softened: Generation::START,
                    retired: Match::default(),
                });
                path
            }
        }
    }

    /// Ends a lease that began at `began`. Says whether a purge of its path overtook it, and what retired rules said of the path.
    pub(crate) fn close(
        &mut self,
        hash: PathHash,
        tenant: u32,
        path: &str,
        began: Generation,
    ) -> (Overtaken, Match) {
        let found = |fill: &OpenFill| fill.tenant == tenant && &*fill.path == path;
        let mut entry = self
            .fills
            .find_entry(hash.table().spread(), found)
            .expect("a path is here while a lease for it is open");
        self.leases -= 1;
        let fill = entry.get_mut();
        let overtaken = if fill.purged > began {
            fill.voided -= 1;
            Overtaken::Hard
        } else if fill.softened > began {
            Overtaken::Softly
        } else {
            Overtaken::No
        };
        let retired = fill.retired;
        fill.leases -= 1;
        if fill.leases == 0 {
            entry.remove();
            self.shrink();
        }
        (overtaken, retired)
    }

    /// Notes a hard purge of the path; says how many leases it voided that weren't void yet.
    pub(crate) fn purge(
        &mut self,
        hash: PathHash,
        tenant: u32,
        path: &str,
        generation: Generation,
    ) -> usize {
        let Some(fill) = self.find_mut(hash, tenant, path) else { return 0 };
        fill.purged = generation;
        let voided = fill.leases - fill.voided;
        fill.voided = fill.leases;
        voided
    }

    /// Notes a soft purge of the path; says how many leases it overtook that can still commit.
    pub(crate) fn soften(
        &mut self,
        hash: PathHash,
        tenant: u32,
        path: &str,
        generation: Generation,
    ) -> usize {
        let Some(fill) = self.find_mut(hash, tenant, path) else { return 0 };
        fill.softened = generation;
        fill.leases - fill.voided
    }

    /// How many leases of the path a purge could still overtake.
    #[cfg(feature = "cloudimage")]
    pub(crate) fn valid(&self, hash: PathHash, tenant: u32, path: &str) -> usize {
        let found = |fill: &OpenFill| fill.tenant == tenant && &*fill.path == path;
        self.fills.find(hash.table().spread(), found).map_or(0, |fill| fill.leases - fill.voided)
    }

    /// The same of all paths of the tenant that begin with `prefix`.
    #[cfg(feature = "cloudimage")]
    pub(crate) fn valid_under(&self, tenant: u32, prefix: &str) -> usize {
        let under = self.fills.iter().filter(|f| f.tenant == tenant && f.path.starts_with(prefix));
        under.map(|fill| fill.leases - fill.voided).sum()
    }

    /// Writes down what the open rules say of each path, so that they can retire.
    pub(crate) fn note_rules(&mut self, scopes: &Scopes) {
        for fill in &mut self.fills {
            fill.retired = fill.retired.or(scopes.rules_for(fill.tenant, &fill.path));
        }
    }

    /// Panics where the invariants at the top of this module don't hold.
    #[cfg(fuzzing)]
    pub(crate) fn check(&self, belongs: impl Fn(PathHash, u32, &str) -> bool) {
        assert_eq!(self.leases, self.fills.iter().map(|fill| fill.leases).sum::<usize>(), "leases");
        for fill in &self.fills {
            assert!(belongs(fill.hash, fill.tenant, &fill.path), "{fill:?} is filed elsewhere");
            assert!(fill.leases > 0 && fill.voided <= fill.leases, "{fill:?}");
            let of_path = |f: &&OpenFill| f.tenant == fill.tenant && f.path == fill.path;
            assert_eq!(self.fills.iter().filter(of_path).count(), 1, "{fill:?} is here twice");
        }
    }

    fn find_mut(&mut self, hash: PathHash, tenant: u32, path: &str) -> Option<&mut OpenFill> {
        self.fills
            .find_mut(hash.table().spread(), |fill| fill.tenant == tenant && &*fill.path == path)
    }

    /// Gives memory back after a burst of leases. Amortized O(1): a table that is halved, or given back whole, was filled by as many
    /// leases as it has places, and has lost most of them since.
    fn shrink(&mut self) {
        // The smallest table has 4 places: keeping it saves an allocation for each lease of a quiet shard. By places and not by
        // `capacity`, which leaves out those that closed fills have used up.
        let places = self.fills.num_buckets();
        if places > 4 && self.fills.len() <= places / 8 {
            self.fills.shrink_to(self.fills.len() * 2, |fill| fill.hash.table().spread());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hashing;

    fn at(n: u64) -> Generation {
        Generation::new(n)
    }

    #[test]
    fn purge_overtakes_what_began_before_it_and_nothing_later() {
        let hash = Hashing::new().path(0, "p");
        let mut fills = OpenFills::default();
        fills.open(hash, 0, "p");
        assert_eq!(fills.purge(hash, 0, "p", at(1)), 1);
        fills.open(hash, 0, "p");
        assert_eq!(fills.purge(hash, 0, "q", at(2)), 0);
        assert_eq!(fills.close(hash, 0, "p", at(0)).0, Overtaken::Hard);
        assert_eq!(fills.close(hash, 0, "p", at(1)).0, Overtaken::No);
    }

    #[test]
    fn second_purge_counts_only_leases_that_were_not_void() {
        let hash = Hashing::new().path(0, "p");
        let mut fills = OpenFills::default();
        fills.open(hash, 0, "p");
        assert_eq!(fills.purge(hash, 0, "p", at(1)), 1);
        fills.open(hash, 0, "p");
        assert_eq!(fills.soften(hash, 0, "p", at(2)), 1);
        assert_eq!(fills.purge(hash, 0, "p", at(3)), 1);
        assert_eq!(fills.purge(hash, 0, "p", at(4)), 0);
    }

    #[test]
    fn leases_that_were_void_and_closed_are_not_counted() {
        let hash = Hashing::new().path(0, "p");
        let mut fills = OpenFills::default();
        (0..4).for_each(|_| drop(fills.open(hash, 0, "p")));
        assert_eq!(fills.purge(hash, 0, "p", at(1)), 4);
        (0..3).for_each(|_| assert_eq!(fills.close(hash, 0, "p", at(0)).0, Overtaken::Hard));
        assert_eq!(fills.valid(hash, 0, "p"), 0);
        fills.open(hash, 0, "p");
        assert_eq!(fills.valid(hash, 0, "p"), 1);
        assert_eq!(fills.purge(hash, 0, "p", at(2)), 1);
    }

    #[test]
    fn closing_the_last_lease_forgets_the_path_and_its_purges() {
        let hash = Hashing::new().path(0, "p");
        let mut fills = OpenFills::default();
        fills.open(hash, 0, "p");
        assert_eq!(fills.purge(hash, 0, "p", at(9)), 1);
        assert_eq!(fills.close(hash, 0, "p", at(0)).0, Overtaken::Hard);
        assert!(fills.fills.is_empty());
        assert_eq!(fills.leases(), 0);
    }

    #[test]
    fn memory_of_a_burst_comes_back_though_some_of_its_leases_stay_open() {
        for left in [0, 10] {
            let hashing = Hashing::new();
            let mut fills = OpenFills::default();
            for n in 0..10_000 {
                fills.open(hashing.path(n, "p"), n, "p");
            }
            let peak = fills.structure_bytes();
            for n in left..10_000 {
                fills.close(hashing.path(n, "p"), n, "p", at(0));
            }
            assert!(fills.structure_bytes() * 50 < peak, "{} of {peak}", fills.structure_bytes());
            assert!((0..left).all(|n| fills.valid(hashing.path(n, "p"), n, "p") == 1));
        }
    }

    #[test]
    fn fills_whose_hashes_are_the_same_are_told_apart() {
        let hash = Hashing::new().path(0, "p");
        let mut fills = OpenFills::default();
        let of = [(0, "p"), (0, "q"), (1, "p")];
        for (tenant, path) in of {
            assert_eq!(&*fills.open(hash, tenant, path), path);
        }
        assert_eq!(fills.purge(hash, 0, "p", at(1)), 1);
        assert_eq!(fills.soften(hash, 1, "p", at(2)), 1);
        assert_eq!(of.map(|(tenant, path)| fills.valid(hash, tenant, path)), [0, 1, 1]);
        assert_eq!(fills.valid_under(0, ""), 1);
        // From the last on: what was opened first comes first to hand, and is another's.
        let mut closed = of;
        closed.reverse();
        let closed = closed.map(|(tenant, path)| fills.close(hash, tenant, path, at(0)).0);
        assert_eq!(closed, [Overtaken::Softly, Overtaken::No, Overtaken::Hard]);
    }
}
