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
use super::over_time::OverTime;
use super::prefix_purges::PrefixPurges;
use super::spreads::Spreads;
use super::tenant::Tenant;
use super::view::{PathSpreads, View};
use crate::monotonic::TimeSource;
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
    spreads: RwLock<Spreads>,
    /// How many flushes over time there are, so that nobody locks `spreads` to find none.
    open_spreads: AtomicU64,
    /// Read only while a flush over time runs.
    time: TimeSource,
    turn: Mutex<()>,
}

/// The effect of a prefix purge on the rules.
#[derive(Clone, Debug)]
pub(crate) struct RuleAdded {
    pub(crate) generation: Generation,
    /// The tenant that was invalidated as a whole, to make room.
    pub(crate) widened: Option<Tenant>,
}

impl Scopes {
    pub(crate) fn new(most_rules: usize, time: TimeSource) -> Self {
        Self {
            clock: CachePadded::default(),
            broad: AtomicGeneration::default(),
            all: Horizon::default(),
            rules: RwLock::default(),
            open_rules: AtomicU64::default(),
            newest_rule: AtomicGeneration::default(),
            most_rules,
            spreads: RwLock::default(),
            open_spreads: AtomicU64::default(),
            time,
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
        self.consistent(tenant, LastInvalidations::default, || None)
    }

    /// Returns the current view of the scopes that cover the path, for an entry that was live at
    /// `since`, or later.
    #[inline]
    pub(crate) fn view_of(&self, tenant: &Tenant, path: &[u8], since: Generation) -> View {
        // As below, where there are no rules, no flushes over time, and nothing is half way.
        let as_of = self.broad.load();
        if self.open_rules.load(Ordering::Relaxed) == 0
            && self.open_spreads.load(Ordering::Acquire) == 0
        {
            let own = tenant.horizon().read();
            let whole = self.all.read().or(own);
            let refused = self.all.over_time().max(tenant.horizon().over_time());
            if whole.newest().max(refused) <= as_of {
                let forgotten = tenant.is_forgotten_by(own);
                let prefix = LastInvalidations::default();
                return View { as_of, whole, prefix, refused, spreads: None, forgotten };
            }
        }
        self.view_with_rules(tenant, path, since)
    }

    #[inline(never)]
    fn view_with_rules(&self, tenant: &Tenant, path: &[u8], since: Generation) -> View {
        let prefix = || {
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
        };
        self.consistent(tenant, prefix, || self.spreads_of(tenant, path))
    }

    fn consistent(
        &self,
        tenant: &Tenant,
        prefix: impl Fn() -> LastInvalidations,
        spreads: impl Fn() -> Option<PathSpreads>,
    ) -> View {
        loop {
            let as_of = self.broad.load();
            // In the opposite order of `invalidate_prefix`, which writes the horizon first. If a
            // rule is gone because it was widened, then this view has the horizon that goes with
            // it.
            let (prefix, spreads) = (prefix(), spreads());
            let own = tenant.horizon().read();
            let whole = self.all.read().or(own);
            let refused = self.all.over_time().max(tenant.horizon().over_time());
            // A flush over time whose horizon is not yet written, and that this thread or another
            // may publish.
            let refused =
                refused.max(spreads.map_or(Generation::START, |spreads| spreads.newest()));
            let newest = whole.newest().max(prefix.newest()).max(refused);
            if newest <= as_of {
                let timed = spreads.is_some_and(|spreads| spreads.timed);
                if timed && self.broad.load() != as_of {
                    // The clock was read in between: the answer must be of one moment.
                    continue;
                }
                let forgotten = tenant.is_forgotten_by(own);
                return View { as_of, whole, prefix, refused, spreads, forgotten };
            }
            // An invalidation has written its horizon and not yet published it: do it for it, then
            // all of it is visible.
            self.broad.publish(newest);
        }
    }

    /// Returns the flushes over time that cover a path, and notices the end of one.
    fn spreads_of(&self, tenant: &Tenant, path: &[u8]) -> Option<PathSpreads> {
        // Acquire: pairs with the release in `count_spreads`. If a flush is gone because a hard one
        // made it void, the horizon of the hard one is visible.
        if self.open_spreads.load(Ordering::Acquire) == 0 {
            return None;
        }
        let (spreads, due) = self.spreads.read().of_path(tenant, path, || self.time.now());
        if let Some(now) = due {
            // Not by waiting: the caller may have a shard locked. Another thread has the turn, or a
            // later call notices.
            if let Some(_turn) = self.turn.try_lock() {
                self.advance(now);
            }
        }
        spreads
    }

    /// Publishes that flushes over time have come further, so that the sweep sets out. Only while
    /// it is the caller's turn.
    fn advance(&self, now: u64) {
        let mut spreads = self.spreads.write();
        if spreads.is_due(now) {
            let generation = self.clock.next();
            spreads.advance(now, generation);
            drop(spreads);
            self.broad.publish(generation);
        }
    }

    /// Notices how far the flushes over time have come. The caller has no shard locked.
    pub(crate) fn notice_time(&self) {
        if self.open_spreads.load(Ordering::Acquire) > 0 {
            let _turn = self.turn.lock();
            self.advance(self.time.now());
        }
    }

    fn count_spreads(&self, spreads: &Spreads) {
        // Release: pairs with the acquire in `spreads_of`.
        self.open_spreads.store(spreads.len() as u64, Ordering::Release);
    }

    /// Returns the flushes over time that are running.
    pub(crate) fn running(&self) -> Vec<(Option<Tenant>, Generation, OverTime)> {
        if self.open_spreads.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        self.notice_time();
        self.spreads.read().running(self.time.now())
    }

    /// Invalidates everything.
    pub(crate) fn invalidate_all(&self, severity: Severity) -> Generation {
        self.invalidate(None, severity)
    }

    /// Invalidates all that belongs to `tenant`.
    pub(crate) fn invalidate_tenant(&self, tenant: &Tenant, severity: Severity) -> Generation {
        self.invalidate(Some(tenant), severity)
    }

    /// Invalidates everything, or all that belongs to a tenant, over time. Returns the generation
    /// in which later fills begin.
    pub(crate) fn invalidate_over(&self, scope: Option<&Tenant>, over: OverTime) -> Generation {
        let _turn = self.turn.lock();
        let mut spreads = self.spreads.write();
        let is_forgotten = scope.is_some_and(|tenant| tenant.forgotten() > Generation::START);
        if over.has_ended() || is_forgotten || spreads.is_full(scope) {
            drop(spreads);
            return self.invalidate_in_turn(scope, Severity::Hard);
        }
        let marker = self.clock.next_two();
        let generation = marker.next();
        spreads.add(scope, marker, over, self.time.now());
        // Before the horizon: a view that has the horizon has the flush.
        self.count_spreads(&spreads);
        drop(spreads);
        self.horizon(scope).raise_over_time(generation);
        self.broad.publish(generation);
        generation
    }

    fn horizon<'a>(&'a self, scope: Option<&'a Tenant>) -> &'a Horizon {
        scope.map_or(&self.all, Tenant::horizon)
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
        self.clear_spreads(Some(tenant));
        self.broad.publish(generation);
        generation
    }

    fn invalidate(&self, scope: Option<&Tenant>, severity: Severity) -> Generation {
        let _turn = self.turn.lock();
        self.invalidate_in_turn(scope, severity)
    }

    fn invalidate_in_turn(&self, scope: Option<&Tenant>, severity: Severity) -> Generation {
        let generation = self.clock.next();
        self.horizon(scope).raise(severity, generation);
        if severity == Severity::Hard {
            self.clear_spreads(scope);
        }
        self.broad.publish(generation);
        generation
    }

    /// Removes the flushes over time that are void because the scope's horizon was raised.
    fn clear_spreads(&self, scope: Option<&Tenant>) {
        // Relaxed: its writers take turns.
        if self.open_spreads.load(Ordering::Relaxed) > 0 {
            let mut spreads = self.spreads.write();
            spreads.clear(scope);
            self.count_spreads(&spreads);
        }
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
                // With the present generation and not the rule's own: what was settled since then
                // is to be counted with the rest.
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

    /// Forgets the flushes over time that nothing older than `settled` is left of.
    pub(crate) fn retire_spreads(&self, settled: Generation) {
        if self.open_spreads.load(Ordering::Relaxed) > 0 {
            let mut spreads = self.spreads.write();
            spreads.retire(settled);
            self.count_spreads(&spreads);
        }
    }

    /// Forgets the rules that nothing older than `settled` is left of.
    pub(crate) fn retire_rules(&self, settled: Generation) {
        if self.open_spreads.load(Ordering::Relaxed) > 0 {
            // A record that a flush over time covers is not settled beyond a later rule. A store in
            // it must know of the rule.
            return;
        }
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

    /// How many flushes over time have not been swept to their end. Rules stay open beside them.
    #[cfg(fuzzing)]
    pub(crate) fn open_spreads(&self) -> u64 {
        self.open_spreads.load(Ordering::Relaxed)
    }

    pub(crate) fn rule_bytes(&self) -> usize {
        self.rules.read().bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scopes::{Standing, Tenants};

    #[test]
    fn flush_of_a_tenant_covers_that_tenant_alone() {
        let scopes = Scopes::new(8, TimeSource::new(None));
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
        let scopes = Scopes::new(8, TimeSource::new(None));
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
        let scopes = Scopes::new(8, TimeSource::new(None));
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
        let scopes = Scopes::new(2, TimeSource::new(None));
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
