//! Counts of live, stale and dead entries, per shard and tenant.
//!
//! A flush visits no entry, so it can't count them either. Each tally remembers up to which broad
//! invalidation it has been counted, and is brought forward when it is next looked at: a flush
//! since then moves all that it held to dead (or stale) at once.
//!
//! Invariant: within one shard, a tally is never behind a record of its tenant that a writer
//! settled; so whatever a flush kills has been counted before the flush, and moves with it.

use super::generation::Generation;
use super::tenant::Tenant;
use super::view::{Standing, View};
use crate::freshness::Freshness;
use hashbrown::HashTable;

/// Entries of one tenant in one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) paths: usize,
    pub(crate) live: usize,
    pub(crate) stale: usize,
    pub(crate) dead_paths: usize,
    pub(crate) dead: usize,
}

#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) tenant: Tenant,
    pub(crate) counts: Counts,
    as_of: Generation,
}

/// The tallies of one shard. A tenant without records in the shard has none.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    all: Vec<Tally>,
    /// The place of each tally, by the id of its tenant.
    places: HashTable<u32>,
    /// The place that was asked for last. A shard is mostly busy with one tenant for a while.
    last: usize,
}

/// Ids are numbers of the index's own, so nobody can choose them to collide.
fn hash(id: u32) -> u64 {
    u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Counts {
    /// Takes out a path with so many variants, `stale` of which are marked so.
    #[inline]
    pub(crate) fn remove(&mut self, variants: usize, stale: usize) {
        self.paths -= 1;
        self.stale -= stale;
        self.live -= variants - stale;
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    #[inline]
    pub(crate) fn add(&mut self, freshness: Freshness) {
        *self.of(freshness) += 1;
    }

    #[inline]
    pub(crate) fn subtract(&mut self, freshness: Freshness) {
        *self.of(freshness) -= 1;
    }

    #[inline]
    fn of(&mut self, freshness: Freshness) -> &mut usize {
        match freshness {
            Freshness::Live => &mut self.live,
            Freshness::Stale => &mut self.stale,
        }
    }

    #[inline]
    fn forward(&mut self, standing: Standing) {
        match standing {
            Standing::Untouched => {}
            Standing::Stale => self.stale += std::mem::take(&mut self.live),
            Standing::Dead => {
                self.dead_paths += std::mem::take(&mut self.paths);
                self.dead += std::mem::take(&mut self.live) + std::mem::take(&mut self.stale);
            }
        }
    }
}

impl Tally {
    /// The counts as they are in `view`.
    pub(crate) fn counts_in(&self, view: &View) -> Counts {
        let mut counts = self.counts;
        counts.forward(view.whole_standing(self.as_of));
        counts
    }

    fn forward(&mut self, view: &View) {
        self.counts.forward(view.whole_standing(self.as_of));
        self.as_of = view.as_of;
    }
}

impl Tallies {
    fn place(&self, id: u32) -> Option<usize> {
        let place = self.places.find(hash(id), |at| self.all[*at as usize].tenant.id() == id);
        place.map(|at| *at as usize)
    }

    /// The tenant's tally, brought forward to `view`.
    #[inline]
    pub(crate) fn at(&mut self, tenant: &Tenant, view: &View) -> &mut Counts {
        if self.all.get(self.last).is_none_or(|tally| tally.tenant != *tenant) {
            self.last = self.place(tenant.id()).unwrap_or_else(|| self.add(tenant, view));
        }
        let tally = &mut self.all[self.last];
        if tally.as_of != view.as_of {
            tally.forward(view);
        }
        &mut tally.counts
    }

    /// The tenant's tally, if it was the last one that was asked for and is of this generation.
    #[inline]
    pub(crate) fn last_at(&mut self, tenant: &Tenant, as_of: Generation) -> Option<&mut Counts> {
        let tally = self.all.get_mut(self.last)?;
        (tally.tenant == *tenant && tally.as_of == as_of).then_some(&mut tally.counts)
    }

    /// # Panics
    /// Past 2^32 tenants.
    fn add(&mut self, tenant: &Tenant, view: &View) -> usize {
        let at = self.all.len();
        let place = u32::try_from(at).expect("a tenant has an id of 32 bits");
        let (tenant, counts) = (tenant.clone(), Counts::default());
        let of = hash(tenant.id());
        self.all.push(Tally { tenant, counts, as_of: view.as_of });
        let tallies = &self.all;
        self.places.insert_unique(of, place, |at| hash(tallies[*at as usize].tenant.id()));
        at
    }

    /// The counts of a tenant that was asked for by [`Self::at`] just now.
    pub(crate) fn of(&mut self, tenant: &Tenant) -> &mut Counts {
        let place = self.place(tenant.id()).expect("a tenant with records has a tally");
        &mut self.all[place].counts
    }

    /// The tenant with this id, which has records in this shard.
    pub(crate) fn tenant(&self, id: u32) -> &Tenant {
        let place = self.place(id).expect("a tenant with records has a tally");
        &self.all[place].tenant
    }

    /// Forgets the tenant's tally if nothing is left to count.
    pub(crate) fn prune(&mut self, id: u32) {
        let Some(place) = self.place(id) else { return };
        if !self.all[place].counts.is_empty() {
            return;
        }
        let entry = self.places.find_entry(hash(id), |at| *at as usize == place);
        let (number, _) = entry.map_err(drop).expect("each tally has a place").remove();
        let last = self.all.len() - 1;
        if place < last {
            // The last tally takes the place.
            let moved = hash(self.all[last].tenant.id());
            let moved = self.places.find_mut(moved, |at| *at as usize == last);
            *moved.expect("each tally has a place") = number;
        }
        self.all.swap_remove(place);
        // Amortized O(1): a table that is halved was filled by as many tallies as it has places.
        // The smallest table stays.
        if self.all.capacity() > 4 && self.all.len() <= self.all.capacity() / 8 {
            self.all.shrink_to(self.all.len() * 2);
            let tallies = &self.all;
            let of = |at: &u32| hash(tallies[*at as usize].tenant.id());
            self.places.shrink_to(tallies.len() * 2, of);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Tally> {
        self.all.iter()
    }

    pub(crate) fn structure_bytes(&self) -> usize {
        self.all.capacity() * size_of::<Tally>() + self.places.allocation_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scopes::Scopes;
    use crate::scopes::Tenants;

    #[test]
    fn memory_of_many_tenants_comes_back_though_some_of_them_stay() {
        for left in [0, 10] {
            let (scopes, tenants) =
                (Scopes::new(8, crate::monotonic::TimeSource::new(None)), Tenants::new(0));
            let mut tallies = Tallies::default();
            let many: Vec<_> = (0..10_000).map(|n| tenants.get_or_add(&n.to_string())).collect();
            for tenant in &many {
                tallies.at(tenant, &scopes.view(tenant)).add(Freshness::Stale);
            }
            let peak = tallies.structure_bytes();
            for tenant in &many[left..] {
                tallies.of(tenant).subtract(Freshness::Stale);
                tallies.prune(tenant.id());
            }
            assert!(
                tallies.structure_bytes() * 50 < peak,
                "{} of {peak}",
                tallies.structure_bytes()
            );
            assert!(many[..left].iter().all(|tenant| tallies.of(tenant).stale == 1));
        }
    }

    #[test]
    fn tallies_are_of_their_tenants_while_others_come_and_go() {
        let scopes = Scopes::new(8, crate::monotonic::TimeSource::new(None));
        let tenants = Tenants::new(0);
        let many: Vec<_> = (0..50).map(|n| tenants.get_or_add(&n.to_string())).collect();
        let (mut tallies, mut expected) = (Tallies::default(), vec![0; many.len()]);
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..5000 {
            let at = random.usize(0..many.len());
            let tenant = &many[at];
            if random.bool() {
                tallies.at(tenant, &scopes.view(tenant)).add(Freshness::Live);
                expected[at] += 1;
            } else if expected[at] > 0 {
                let gone = if random.bool() { expected[at] } else { 1 };
                tallies.of(tenant).live -= gone;
                expected[at] -= gone;
                tallies.prune(tenant.id());
            }
            let there = expected.iter().filter(|count| **count > 0).count();
            assert_eq!(tallies.iter().count(), there);
            for tally in tallies.iter() {
                let at = many.iter().position(|tenant| *tenant == tally.tenant).unwrap();
                assert_eq!(tally.counts.live, expected[at]);
                assert_eq!(tallies.tenant(tally.tenant.id()), &tally.tenant);
            }
        }
    }

    #[test]
    fn tally_is_kept_while_it_counts_something_and_forgotten_then() {
        let (scopes, tenant) = (
            Scopes::new(8, crate::monotonic::TimeSource::new(None)),
            Tenants::new(0).get_or_add("a"),
        );
        let mut tallies = Tallies::default();
        assert_eq!(tallies.structure_bytes(), 0);
        tallies.at(&tenant, &scopes.view(&tenant)).add(Freshness::Stale);
        // At the least the tally itself; a small table, at the most.
        let bytes = tallies.structure_bytes();
        let expected = size_of::<Tally>()..10 * size_of::<Tally>();
        assert!(expected.contains(&bytes), "{bytes} is not in {expected:?}");

        tallies.prune(tenant.id());
        assert_eq!(tallies.iter().map(|tally| tally.counts.stale).sum::<usize>(), 1);

        tallies.of(&tenant).subtract(Freshness::Stale);
        tallies.prune(tenant.id());
        assert_eq!(tallies.iter().count(), 0);
    }
}
