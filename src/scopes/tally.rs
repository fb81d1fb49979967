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
use hashbrown::HashMap;

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
pub(crate) struct Tallies(HashMap<u32, Tally, ahash::RandomState>);

impl Counts {
    /// Takes out a path with so many variants, `stale` of which are marked so.
    pub(crate) fn remove(&mut self, variants: usize, stale: usize) {
        self.paths -= 1;
        self.stale -= stale;
        self.live -= variants - stale;
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn add(&mut self, freshness: Freshness) {
        *self.of(freshness) += 1;
    }

    pub(crate) fn subtract(&mut self, freshness: Freshness) {
        *self.of(freshness) -= 1;
    }

    fn of(&mut self, freshness: Freshness) -> &mut usize {
        match freshness {
            Freshness::Live => &mut self.live,
            Freshness::Stale => &mut self.stale,
        }
    }

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
    /// The tenant's tally, brought forward to `view`.
    pub(crate) fn at(&mut self, tenant: &Tenant, view: &View) -> &mut Counts {
        let tally = self.0.entry(tenant.id()).or_insert_with(|| Tally {
            tenant: tenant.clone(),
            counts: Counts::default(),
            as_of: view.as_of,
        });
        tally.forward(view);
        &mut tally.counts
    }

    /// The counts of a tenant that was asked for by [`Self::at`] just now.
    pub(crate) fn of(&mut self, tenant: &Tenant) -> &mut Counts {
        &mut self.0.get_mut(&tenant.id()).expect("a tenant with records has a tally").counts
    }

    /// The tenant with this id, which has records in this shard.
    pub(crate) fn tenant(&self, id: u32) -> &Tenant {
        &self.0.get(&id).expect("a tenant with records has a tally").tenant
    }

    /// Forgets the tenant's tally if nothing is left to count.
    pub(crate) fn prune(&mut self, id: u32) {
        if self.0.get(&id).is_some_and(|tally| tally.counts.is_empty()) {
            self.0.remove(&id);
            // Amortized O(1): a table that is halved was filled by as many tallies as it has
            // places. The smallest table stays.
            let places = self.0.allocation_size() / size_of::<(u32, Tally)>();
            if places > 4 && self.0.len() <= places / 8 {
                self.0.shrink_to(self.0.len() * 2);
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Tally> {
        self.0.values()
    }

    pub(crate) fn structure_bytes(&self) -> usize {
        self.0.allocation_size()
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
        let expected = size_of::<Tally>()..10 * size_of::<(u32, Tally)>();
        assert!(expected.contains(&bytes), "{bytes} is not in {expected:?}");

        tallies.prune(tenant.id());
        assert_eq!(tallies.iter().map(|tally| tally.counts.stale).sum::<usize>(), 1);

        tallies.of(&tenant).subtract(Freshness::Stale);
        tallies.prune(tenant.id());
        assert_eq!(tallies.iter().count(), 0);
    }
}
