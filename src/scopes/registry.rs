//! Broad scopes: everything, a tenant, or all paths under a prefix; and the effect of their last
//! invalidations on an entry.
//!
//! Invalidating a broad scope only moves a number, its horizon. An entry is live only if nothing
//! that covers it was invalidated after the entry was last known to be good.
//!
//! Invariant: broad invalidations take turns. Each takes its generation, writes its horizon, and
//! publishes the generation as `broad` before the next one begins. So a thread that reads `broad`
//! at *g* finds every horizon up to *g* written. A thread that finds a horizon beyond the `broad`
//! that it read has met an invalidation half way: it publishes that generation itself and reads
//! again. The publication is therefore the one moment at which the invalidation happens, for every
//! scope, in every shard, for lookups, leases and commits alike.
//!
//! Two designs look simpler and are wrong:
//! - Horizons without turns. A later flush publishes first, an entry is settled beyond the number
//!   of the earlier flush before that flush writes its horizon, and the entry outlives it.
//! - A lease that takes its generation from the clock. Between the number of a flush and its
//!   horizon, the lease looks newer than a flush that other threads do not see yet.

use super::generation::{AtomicGeneration, Generation};
use super::horizon::{Horizon, LastInvalidations};
use super::prefix_purges::PrefixPurges;
use super::tenant::Tenant;
use crate::severity::Severity;
use crate::sync::{AtomicU64, CachePadded, Mutex, Ordering, RwLock};

/// The clock, the horizons that belong to no tenant, and the newest broad invalidation.
#[derive(Debug)]
pub(crate) struct Scopes {
    /// Where every purge and flush takes its number. On a line of its own: what is beside it is
    /// read by each lookup.
    pub(crate) clock: CachePadded<AtomicGeneration>,
    /// The newest broad invalidation that has happened. Changes rarely, so that lookups share its
    /// cache line.
    broad: AtomicGeneration,
    all: Horizon,
    rules: RwLock<PrefixPurges>,
    /// How many rules there are, so that nobody locks `rules` to find none.
    open_rules: AtomicU64,
    /// The newest rule: what was good since then needs no look at the rules.
    newest_rule: AtomicGeneration,
    most_rules: usize,
    turn: Mutex<()>,
}

/// The last invalidations of the scopes that cover a path, or a tenant, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// The newest broad invalidation that this view knows of.
    pub(crate) as_of: Generation,
    /// The last invalidations of everything and of the tenant.
    whole: LastInvalidations,
    /// The last invalidations of the prefixes of the path.
    prefix: LastInvalidations,
    /// Whether the tenant is forgotten.
    forgotten: bool,
}

/// The effect of broad invalidations on an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// None reached it.
    Untouched,
    /// A soft one did.
    Stale,
    /// A hard one did.
    Dead,
}

/// The effect of a prefix purge on the rules.
#[derive(Clone, Debug)]
pub(crate) struct RuleAdded {
    pub(crate) generation: Generation,
    /// The tenant that was invalidated as a whole, to make room.
    pub(crate) widened: Option<Tenant>,
}

impl LastInvalidations {
    #[inline]
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
    /// Returns the standing of an entry that was live at `since`.
    pub(crate) fn standing(&self, since: Generation) -> Standing {
        self.whole.or(self.prefix).standing(since)
    }

    /// The same, as far as everything and the tenant go.
    #[inline]
    pub(crate) fn whole_standing(&self, since: Generation) -> Standing {
        self.whole.standing(since)
    }

    /// Whether the tenant is forgotten: nothing is stored for it any more.
    #[inline]
    pub(crate) fn is_forgotten(&self) -> bool {
        self.forgotten
    }

    /// Returns the same view, including prefix rules that have retired since.
    #[inline]
    pub(crate) fn with_retired(mut self, retired: LastInvalidations) -> Self {
        self.prefix = self.prefix.or(retired);
        self
    }
}

impl Scopes {
    pub(crate) fn new(most_rules: usize) -> Self {
        Self {
            clock: CachePadded::default(),
            broad: AtomicGeneration::default(),
            all: Horizon::default(),
            rules: RwLock::default(),
            open_rules: AtomicU64::default(),
            newest_rule: AtomicGeneration::default(),
            most_rules,
            turn: Mutex::default(),
        }
    }

    /// Makes the next invalidation take the number after `generation`. Only before the first use.
    pub(crate) fn start_after(&self, generation: Generation) {
        self.clock.raise_relaxed(generation);
        self.broad.publish(generation);
    }

    /// The generation in which something begins now, as far as broad scopes go.
    #[inline]
    pub(crate) fn broad(&self) -> Generation {
        self.broad.load()
    }

    /// Returns the current view of the scopes that cover all of the tenant's paths.
    pub(crate) fn view(&self, tenant: &Tenant) -> View {
        self.consistent(tenant, LastInvalidations::default)
    }

    /// Returns the current view of the scopes that cover the path, for an entry that was live at
    /// `since`, or later.
    #[inline]
    pub(crate) fn view_of(&self, tenant: &Tenant, path: &[u8], since: Generation) -> View {
        // As below, where there are no rules and nothing is half way.
        let as_of = self.broad.load();
        if self.open_rules.load(Ordering::Relaxed) == 0 {
            let own = tenant.horizon().read();
            let whole = self.all.read().or(own);
            if whole.newest() <= as_of {
                let forgotten = tenant.is_forgotten_by(own);
                return View { as_of, whole, prefix: LastInvalidations::default(), forgotten };
            }
        }
        self.view_with_rules(tenant, path, since)
    }

    #[inline(never)]
    fn view_with_rules(&self, tenant: &Tenant, path: &[u8], since: Generation) -> View {
        self.consistent(tenant, || {
            // Relaxed, both. A thread that has read the generation of a rule in `broad` sees them
            // through that; any other thread may miss the rule. A thread that holds the lock of a
            // shard and sees that a rule has retired sees what the sweep settled in that shard
            // before.
            if self.open_rules.load(Ordering::Relaxed) > 0
                && self.newest_rule.load_relaxed() > since
            {
                let path = std::str::from_utf8(path).expect("a path is text");
                self.rules.read().matching(tenant.id(), path)
            } else {
                LastInvalidations::default()
            }
        })
    }

    fn consistent(&self, tenant: &Tenant, prefix: impl Fn() -> LastInvalidations) -> View {
        loop {
            let as_of = self.broad.load();
            // In the opposite order of `invalidate_prefix`, which writes the horizon first. If a
            // rule is gone because it was widened, then this view has the horizon that goes with
            // it.
            let prefix = prefix();
            let own = tenant.horizon().read();
            let whole = self.all.read().or(own);
            let newest = whole.newest().max(prefix.newest());
            if newest <= as_of {
                return View { as_of, whole, prefix, forgotten: tenant.is_forgotten_by(own) };
            }
            // An invalidation has written its horizon and not yet published it: do it for it, then
            // all of it is visible.
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

    /// Invalidates all that belongs to `tenant`; from then on nothing is stored for it. Returns the
    /// generation in which the tenant was forgotten first.
    pub(crate) fn forget(&self, tenant: &Tenant) -> Generation {
        let _turn = self.turn.lock();
        if tenant.forgotten() > Generation::START {
            return tenant.forgotten();
        }
        let generation = self.clock.next();
        // Before the horizon: a view that has the horizon knows of both.
        tenant.forget(generation);
        tenant.horizon().raise(Severity::Hard, generation);
        self.broad.publish(generation);
        generation
    }

    fn invalidate(&self, horizon: &Horizon, severity: Severity) -> Generation {
        let _turn = self.turn.lock();
        let generation = self.clock.next();
        horizon.raise(severity, generation);
        self.broad.publish(generation);
        generation
    }

    /// Invalidates all paths of `tenant` that begin with `prefix`.
    ///
    /// If there is no room for one more rule, the oldest is widened to its whole tenant, which
    /// invalidates too much and never too little.
    pub(crate) fn invalidate_prefix(
        &self,
        tenant: &Tenant,
        prefix: &str,
        severity: Severity,
    ) -> RuleAdded {
        let _turn = self.turn.lock();
        let generation = self.clock.next();
        if tenant.forgotten() > Generation::START {
            // Everything of it is dead already; a rule would keep it longer, and could widen
            // another tenant's rule.
            return RuleAdded { generation, widened: None };
        }
        let mut rules = self.rules.write();
        let mut widened = None;
        if rules.len() >= self.most_rules && !rules.has(tenant, prefix) {
            if let Some((owner, rule)) = rules.remove_oldest() {
                // With today's generation and not the rule's own: what was settled since then is to
                // be counted with the rest.
                if rule.hard > Generation::START {
                    owner.horizon().raise(Severity::Hard, generation);
                }
                if rule.soft > Generation::START {
                    owner.horizon().raise(Severity::Soft, generation);
                }
                // All entries of a forgotten tenant were dead before.
                widened = Some(owner).filter(|owner| owner.forgotten() == Generation::START);
            }
        }
        rules.add(tenant, prefix, severity, generation);
        // Relaxed: published by `broad`, last.
        self.open_rules.store(rules.len() as u64, Ordering::Relaxed);
        self.newest_rule.raise_relaxed(generation);
        drop(rules);
        self.broad.publish(generation);
        RuleAdded { generation, widened }
    }

    /// Forgets the rules that nothing older than `settled` is left of.
    pub(crate) fn retire_rules(&self, settled: Generation) {
        if self.open_rules() > 0 {
            let mut rules = self.rules.write();
            rules.retire(settled);
            // Relaxed: the rules' lock orders the writers; for readers see `view_of`.
            self.open_rules.store(rules.len() as u64, Ordering::Relaxed);
        }
    }

    /// Returns the last invalidations of a path by open rules.
    pub(crate) fn rules_for(&self, tenant: u32, path: &str) -> LastInvalidations {
        self.rules.read().matching(tenant, path)
    }

    #[inline]
    pub(crate) fn open_rules(&self) -> usize {
        usize::try_from(self.open_rules.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    pub(crate) fn rule_bytes(&self) -> usize {
        self.rules.read().bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scopes::Tenants;

    #[test]
    fn flush_of_a_tenant_covers_that_tenant_alone() {
        let scopes = Scopes::new(8);
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
        let scopes = Scopes::new(8);
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
        let scopes = Scopes::new(8);
        let tenant = Tenants::new(0).get_or_add("a");
        let generation = scopes.clock.next();
        tenant.horizon().raise(Severity::Hard, generation);

        let view = scopes.view(&tenant);

        assert_eq!(view.as_of, generation);
        assert_eq!(scopes.broad(), generation);
        assert_eq!(view.standing(Generation::START), Standing::Dead);
    }

    #[test]
    fn rules_beyond_the_limit_widen_the_oldest_to_its_tenant() {
        let scopes = Scopes::new(2);
        let tenants = Tenants::new(0);
        let (a, b) = (tenants.get_or_add("a"), tenants.get_or_add("b"));
        scopes.invalidate_prefix(&a, "x/", Severity::Hard);
        scopes.invalidate_prefix(&b, "y/", Severity::Hard);
        let renewed = scopes.invalidate_prefix(&a, "x/", Severity::Hard);
        assert!(renewed.widened.is_none());
        let before = scopes.broad();
        assert_eq!(scopes.view_of(&b, b"z", before).standing(before), Standing::Untouched);

        let added = scopes.invalidate_prefix(&a, "z/", Severity::Hard);

        assert_eq!(added.widened.as_ref(), Some(&b));
        assert_eq!(scopes.view_of(&b, b"z", before).standing(before), Standing::Dead);
        assert_eq!(scopes.view_of(&a, b"q", before).standing(before), Standing::Untouched);
        assert_eq!(scopes.open_rules(), 2);
    }
}
