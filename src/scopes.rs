//! Broad scopes: everything, a tenant, and what their last invalidations say of an entry.
//!
//! Invalidating a broad scope only moves a number, its horizon. An entry is live only if nothing that covers it was invalidated
//! after the entry was last known to be good.
//!
//! Invariant: broad invalidations take turns. Each takes its generation, writes its horizon, and then publishes the generation
//! as `broad`, before the next one begins. So whoever reads `broad` at *g* finds every horizon up to *g* written, and who
//! finds a horizon beyond the `broad` that it read has met an invalidation half way: it publishes that generation itself and
//! looks again. The moment of the publication is therefore the one moment at which the invalidation happened, for
//! every scope, in every shard, for look-ups, leases and commits alike.
//!
//! Two designs that look simpler and are wrong: horizons without turns (a later flush publishes first, an entry is then
//! settled beyond the earlier one's number before its horizon is written, and outlives it); and a lease that takes its generation
//! from the clock (between the flush's number and its horizon it looks newer than a flush that others still don't see).

use crate::generation::{AtomicGeneration, Generation};
use crate::mode::Severity;
use crate::sync::Mutex;
use crate::tenant::{Horizon, Tenant};

/// The clock, the horizons that belong to no tenant, and the newest broad invalidation.
#[derive(Debug, Default)]
pub(crate) struct Scopes {
    /// Where every purge and flush takes its number.
    pub(crate) clock: AtomicGeneration,
    /// The newest broad invalidation that has happened. Changes rarely, so that look-ups share its cache line.
    broad: AtomicGeneration,
    all: Horizon,
    turn: Mutex<()>,
}

/// What a tenant's scopes say at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// The newest broad invalidation that this view knows of.
    pub(crate) as_of: Generation,
    hard: Generation,
    soft: Generation,
}

/// What broad invalidations made of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// None reached it.
    Untouched,
    /// A soft one did.
    Stale,
    /// A hard one did.
    Dead,
}

impl View {
    /// The standing of what was good at `since`.
    pub(crate) fn standing(&self, since: Generation) -> Standing {
        if self.hard > since {
            Standing::Dead
        } else if self.soft > since {
            Standing::Stale
        } else {
            Standing::Untouched
        }
    }
}

impl Scopes {
    /// The generation in which something begins now, as far as broad scopes go.
    pub(crate) fn broad(&self) -> Generation {
        self.broad.load()
    }

    /// What the scopes that cover the tenant's paths say now.
    pub(crate) fn view(&self, tenant: &Tenant) -> View {
        loop {
            let as_of = self.broad.load();
            let (all, own) = (&self.all, tenant.horizon());
            let hard = all.hard().max(own.hard());
            let soft = all.soft().max(own.soft());
            let newest = hard.max(soft);
            if newest <= as_of {
                return View { as_of, hard, soft };
            }
            // An invalidation has written its horizon and not yet published it: do it for it, then all of it is visible.
            self.broad.publish(newest);
        }
    }

    /// Invalidates everything.
    pub(crate) fn invalidate_all(&self, severity: Severity) -> Generation {
        self.invalidate(&self.all, severity)
    }

    /// Invalidates all that belongs to `tenant`.
    pub(crate) fn invalidate_tenant(&self, tenant: &Tenant, severity: Severity) -> Generation {
        self.invalidate(tenant.horizon(), severity)
    }

    fn invalidate(&self, horizon: &Horizon, severity: Severity) -> Generation {
        let _turn = self.turn.lock();
        let generation = self.clock.next();
        horizon.raise(severity, generation);
        self.broad.publish(generation);
        generation
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::Tenants;

    #[test]
    fn flush_of_a_tenant_covers_that_tenant_alone() {
        let scopes = Scopes::default();
        let tenants = Tenants::new(0);
        let (a, b) = (tenants.get_or_add("a"), tenants.get_or_add("b"));
        let before = scopes.broad();

        scopes.invalidate_tenant(&a, Severity::Hard);

        assert_eq!(scopes.view(&a).standing(before), Standing::Dead);
        assert_eq!(scopes.view(&b).standing(before), Standing::Untouched);
        assert_eq!(scopes.view(&a).standing(scopes.broad()), Standing::Untouched);
    }

    #[test]
    fn hard_outweighs_soft_in_either_order() {
        let scopes = Scopes::default();
        let tenant = Tenants::new(0).get_or_add("a");
        let before = scopes.broad();
        scopes.invalidate_tenant(&tenant, Severity::Soft);
        assert_eq!(scopes.view(&tenant).standing(before), Standing::Stale);
        let between = scopes.broad();
        scopes.invalidate_all(Severity::Hard);
        assert_eq!(scopes.view(&tenant).standing(before), Standing::Dead);
        scopes.invalidate_all(Severity::Soft);
        assert_eq!(scopes.view(&tenant).standing(between), Standing::Dead);
        assert_eq!(scopes.view(&tenant).standing(scopes.broad()), Standing::Untouched);
    }

    #[test]
    fn view_publishes_an_invalidation_that_it_met_half_way() {
        let scopes = Scopes::default();
        let tenant = Tenants::new(0).get_or_add("a");
        let generation = scopes.clock.next();
        tenant.horizon().raise(Severity::Hard, generation);

        let view = scopes.view(&tenant);

        assert_eq!(view.as_of, generation);
        assert_eq!(scopes.broad(), generation);
        assert_eq!(view.standing(Generation::START), Standing::Dead);
    }
}
