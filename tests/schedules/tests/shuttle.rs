//! Random schedules of random programs, each history checked: is there an order of the operations,
//! within the time that each took, that a sequential index would have answered in the same way?
//!
//! ```sh
//! RUSTFLAGS="--cfg cache_index_shuttle" CARGO_TARGET_DIR=target/shuttle \
//!   cargo test --release -p schedules --test shuttle
//! ```
//!
//! `SHUTTLE_SCHEDULES` sets how many schedules are tried (default 20,000); a failure prints the
//! schedule, and `SHUTTLE_REPLAY=schedule` in the environment runs that one again.
//!
//! Linearizability implies the guarantees of the sequential index: P1 (nothing comes back after an
//! invalidation that has returned) and P2 (nothing else goes). P4 (every value leaves exactly once)
//! is checked at the end of each history.
#![cfg(cache_index_shuttle)]

#[path = "../../common/mod.rs"]
mod common;

use cache_index::{
    CacheIndex, Claim, ClaimLease, Config, DeadValues, ExportCursor, FillLease, Freshness, Hard,
    Insertion, Lookup, ManualClock, OriginPath, OverTime, PathPrefix, Restore, Soft, Tenant,
    VariantKey,
};
use common::Names;
use shuttle::rand::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::{Action, History};
use todc_utils::specifications::Specification;

/// Tenant and path of each place. A flush of tenant 0 covers the first two, the prefix of tenant 0
/// the first.
const PLACES: [(usize, &str); 3] = [(0, "a/x"), (0, "b/y"), (1, "a/x")];
const PREFIX: (usize, &str) = (0, "a/");
const VARIANTS: usize = 2;
/// Of each flush over time, and how far the clock is advanced at once.
const DURATION: Duration = Duration::from_secs(8);
const WAIT: Duration = Duration::from_secs(3);
const THREADS: usize = 3;

type Place = usize;
type Variant = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Place(Place),
    Tenant(usize),
    Prefix,
    All,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Lookup(Place, Variant),
    Lease(Place),
    Claim(Place, Variant),
    /// Commits the thread's oldest open lease, if it has one. A claim stores its own variant and
    /// value.
    Commit(Variant),
    Drop,
    Insert(Place, Variant),
    /// Removes the value that the thread found last at this place.
    Remove(Place, Variant),
    Hard(Scope),
    Soft(Scope),
    Forget(usize),
    /// A flush over time of everything or of a tenant, and whether entries are stale until then.
    Over(Option<usize>, bool),
    Wait,
    /// Asks for the name of a tenant.
    Tenant(usize),
    /// Restores an entry that is older than the program.
    Restore(Place, Variant),
    Reclaim,
}

/// An operation with its answer; the answer is empty in the call.
#[derive(Clone, Debug)]
enum Done {
    Lookup(Place, Variant, Option<(u32, bool)>),
    Lease(Place, u32),
    /// The name of the lease and the value, if it gets one.
    Claim(Place, Variant, u32, Option<Claimed>),
    /// The name of the lease, and whether the value was stored fresh or stale, or was refused.
    Commit(u32, Variant, u32, Option<bool>, Option<u32>),
    Drop(u32),
    /// Whether the value was stored, and the value that it replaced.
    Insert(Place, Variant, u32, bool, Option<u32>),
    Remove(Place, Variant, u32, bool),
    /// The removed entries, if the operation returns them.
    Hard(Scope, Option<BTreeSet<(Variant, u32)>>),
    /// The number of entries that became stale, if the operation returns it.
    Soft(Scope, Option<usize>),
    Forget(usize),
    /// With the moment of each place.
    Over(Option<usize>, bool, [Duration; 3]),
    Wait,
    /// Whether the name still is the first tenant's.
    Tenant(usize, bool),
    /// Whether the value was stored.
    Restore(Place, Variant, u32, bool),
}

/// The answer to a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claimed {
    Live(u32),
    /// Whether the claim gets the lease.
    Stale(u32, bool),
    Pending(u32),
    First,
}

/// A lease of a thread, with the variant and value that it claims.
enum Lease {
    Fill(FillLease<u32>),
    Claim(ClaimLease<u32>, Variant),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Fill {
    Valid,
    Overtaken,
    Void,
}

/// An entry; if a flush over time covers it, with the moment at which it dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Entry {
    value: u32,
    stale: bool,
    dies: Option<Duration>,
}

/// The sequential index: entries with a stale mark, and leases with their state. An invalidation
/// marks both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct State {
    now: Duration,
    entries: BTreeMap<(Place, Variant), Entry>,
    /// Places with newer entries beside those that a flush over time covers.
    mixed: BTreeSet<Place>,
    /// Places all of whose entries a flush over time covers, and a later soft one as well.
    twice: BTreeSet<Place>,
    leases: BTreeMap<u32, (Place, Fill)>,
    /// The variants of those leases that are claims. The name of such a lease is also its value.
    claims: BTreeMap<u32, Variant>,
    /// The effect of the invalidations so far on entries that are restored. They have no effect on
    /// a place that is not in here.
    restoring: BTreeMap<Place, Fill>,
    forgotten: BTreeSet<usize>,
}

struct Spec;

impl Scope {
    fn covers(self, place: Place) -> bool {
        match self {
            Self::Place(p) => p == place,
            Self::Tenant(t) => PLACES[place].0 == t,
            Self::Prefix => PLACES[place].0 == PREFIX.0 && PLACES[place].1.starts_with(PREFIX.1),
            Self::All => true,
        }
    }
}

impl State {
    fn has_forgotten(&self, place: Place) -> bool {
        self.forgotten.contains(&PLACES[place].0)
    }

    fn claim(&mut self, place: Place, variant: Variant, name: u32) -> Claimed {
        let found = self.entries.get(&(place, variant)).copied();
        if let Some(Entry { value, stale: false, .. }) = found {
            return Claimed::Live(value);
        }
        let is_forgotten = self.has_forgotten(place);
        let is_pending = |(_, claimed): &(&u32, &Variant)| **claimed == variant && !is_forgotten;
        let mut pending = self.claims.iter().filter(is_pending).map(|(name, _)| *name);
        let pending = pending.find(|name| self.leases[name] == (place, Fill::Valid));
        if pending.is_none() {
            self.leases.insert(name, (place, Fill::Valid));
            self.claims.insert(name, variant);
        }
        match (found, pending) {
            (Some(stale), _) => Claimed::Stale(stale.value, pending.is_none()),
            (None, Some(pending)) => Claimed::Pending(pending),
            (None, None) => Claimed::First,
        }
    }

    fn close(&mut self, name: u32) -> Option<(Place, Fill)> {
        self.claims.remove(&name);
        self.leases.remove(&name)
    }

    fn hard(&mut self, scope: Scope) -> BTreeSet<(Variant, u32)> {
        self.leases.values_mut().filter(|l| scope.covers(l.0)).for_each(|l| l.1 = Fill::Void);
        let places = (0..PLACES.len()).filter(|place| scope.covers(*place));
        self.restoring.extend(places.map(|place| (place, Fill::Void)));
        let gone = self.entries.extract_if(.., |(place, _), _| scope.covers(*place));
        gone.map(|((_, variant), entry)| (variant, entry.value)).collect()
    }

    fn soft(&mut self, scope: Scope) -> usize {
        self.leave_no_older(scope, matches!(scope, Scope::Place(_)));
        let leases = self.leases.values_mut().filter(|l| scope.covers(l.0) && l.1 == Fill::Valid);
        leases.for_each(|lease| lease.1 = Fill::Overtaken);
        for place in (0..PLACES.len()).filter(|place| scope.covers(*place)) {
            self.restoring.entry(place).or_insert(Fill::Overtaken);
        }
        let entries = self.entries.iter_mut().filter(|(key, e)| scope.covers(key.0) && !e.stale);
        entries.map(|(_, entry)| entry.stale = true).count()
    }

    fn over(&mut self, tenant: Option<usize>, stale: bool, moments: &[Duration; 3]) {
        let scope = tenant.map_or(Scope::All, Scope::Tenant);
        self.leave_no_older(scope, false);
        self.leases.values_mut().filter(|l| scope.covers(l.0)).for_each(|l| l.1 = Fill::Void);
        let places = (0..PLACES.len()).filter(|place| scope.covers(*place));
        self.restoring.extend(places.map(|place| (place, Fill::Void)));
        for ((place, _), entry) in self.entries.iter_mut().filter(|(key, _)| scope.covers(key.0)) {
            let moment = self.now + moments[*place];
            entry.dies = Some(entry.dies.map_or(moment, |dies| dies.min(moment)));
            entry.stale |= stale;
        }
    }

    fn has_older(&self, place: Place) -> bool {
        self.entries.iter().any(|(key, entry)| key.0 == place && entry.dies.is_some())
    }

    fn kill_older(&mut self, place: Place) {
        self.entries.retain(|key, entry| key.0 != place || entry.dies.is_none());
    }

    /// An invalidation comes after a flush over time: it ends older entries beside newer ones.
    fn leave_no_older(&mut self, scope: Scope, is_purge: bool) {
        for place in (0..PLACES.len()).filter(|place| scope.covers(*place)) {
            if self.mixed.contains(&place) {
                self.kill_older(place);
                self.mixed.remove(&place);
            } else if self.has_older(place) && !is_purge {
                self.twice.insert(place);
            }
        }
    }

    /// Stores an entry, beside older ones if the place has room for both. Returns the value that it
    /// replaces.
    fn store(&mut self, place: Place, variant: Variant, value: u32, stale: bool) -> Option<u32> {
        if self.has_older(place) {
            let is_mixed = self.mixed.contains(&place);
            if stale || (!is_mixed && self.twice.contains(&place)) {
                self.kill_older(place);
            } else {
                self.mixed.insert(place);
                let older = self.entries.iter_mut().filter(|(key, _)| key.0 == place);
                older.filter(|(_, e)| e.dies.is_some()).for_each(|(_, e)| e.stale = true);
            }
        }
        let entry = Entry { value, stale, dies: None };
        self.entries.insert((place, variant), entry).map(|old| old.value)
    }

    /// Time has passed, and older entries have gone.
    fn tidy(&mut self) {
        let now = self.now;
        self.entries.retain(|_, entry| entry.dies.is_none_or(|dies| dies > now));
        for place in (0..PLACES.len()).filter(|place| !self.has_older(*place)).collect::<Vec<_>>() {
            self.mixed.remove(&place);
            self.twice.remove(&place);
        }
    }
}

impl Specification for Spec {
    type State = State;
    type Operation = Done;

    fn init() -> State {
        State::default()
    }

    fn apply(operation: &Done, state: &State) -> (bool, State) {
        let mut next = state.clone();
        let holds = match operation {
            Done::Lookup(p, v, found) => {
                let entry = next.entries.get(&(*p, *v));
                entry.map(|entry| (entry.value, entry.stale)) == *found
            }
            Done::Lease(p, name) => next.leases.insert(*name, (*p, Fill::Valid)).is_none(),
            Done::Claim(p, v, name, said) => {
                let claimed = next.claim(*p, *v, *name);
                said.is_none_or(|said| said == claimed)
            }
            Done::Commit(name, v, value, stored, replaced) => match next.close(*name) {
                Some((_, Fill::Void)) => stored.is_none(),
                Some((p, _)) if state.has_forgotten(p) => stored.is_none(),
                Some((p, fill)) => {
                    let stale = fill == Fill::Overtaken;
                    let old = next.store(p, *v, *value, stale);
                    *stored == Some(stale) && old == *replaced
                }
                None => false,
            },
            Done::Drop(name) => next.close(*name).is_some(),
            Done::Insert(p, _, _, stored, _) if state.has_forgotten(*p) => !stored,
            Done::Insert(_, _, _, false, _) => false,
            Done::Insert(p, v, value, true, replaced) => {
                next.store(*p, *v, *value, false) == *replaced
            }
            Done::Remove(p, v, expected, removed) => {
                let holds = next.entries.get(&(*p, *v)).is_some_and(|e| e.value == *expected);
                if holds {
                    next.entries.remove(&(*p, *v));
                }
                holds == *removed
            }
            Done::Hard(scope, said) => {
                let gone = next.hard(*scope);
                said.as_ref().is_none_or(|said| *said == gone)
            }
            Done::Soft(scope, said) => {
                let softened = next.soft(*scope);
                said.is_none_or(|said| said == softened)
            }
            Done::Forget(t) => {
                next.hard(Scope::Tenant(*t));
                next.forgotten.insert(*t);
                true
            }
            Done::Restore(p, v, value, stored) => {
                let fill = state.restoring.get(p).copied().unwrap_or(Fill::Valid);
                let is_there = state.entries.contains_key(&(*p, *v));
                let expected = fill != Fill::Void && !state.has_forgotten(*p) && !is_there;
                if expected {
                    next.store(*p, *v, *value, fill == Fill::Overtaken);
                }
                *stored == expected
            }
            Done::Over(tenant, stale, moments) => {
                next.over(*tenant, *stale, moments);
                true
            }
            Done::Wait => {
                next.now += WAIT;
                true
            }
            Done::Tenant(t, is_first) => *is_first != state.forgotten.contains(t),
        };
        next.tidy();
        (holds, next)
    }
}

/// The data that the threads share. The log's lock is std's: it does not add a point at which the
/// schedule could change.
struct World {
    index: CacheIndex<u32>,
    clock: ManualClock,
    /// It began before the first thread.
    restore: Restore<u32>,
    tenants: [Tenant; 2],
    paths: [OriginPath<'static>; 3],
    prefix: PathPrefix<'static>,
    keys: [VariantKey<'static>; VARIANTS],
    log: Mutex<Vec<(usize, Action<Done>)>>,
    stored: Mutex<Vec<u32>>,
    returned: Mutex<Vec<u32>>,
}

impl World {
    fn new(names: Names) -> Self {
        let clock = ManualClock::default();
        let config = Config::builder().shards(2).dead_values(DeadValues::Queue);
        let index = CacheIndex::new(config.manual_clock(&clock).build().unwrap());
        Self {
            clock,
            tenants: ["t", "u"].map(|name| index.tenant(name)),
            restore: index.begin_restore(),
            index,
            paths: PLACES.map(|(_, text)| names.path(text)),
            prefix: names.prefix(PREFIX.1),
            keys: ["?w=1", "?w=2"].map(|text| names.key(text)),
            log: Mutex::default(),
            stored: Mutex::default(),
            returned: Mutex::default(),
        }
    }

    fn place(&self, place: Place) -> (&Tenant, &OriginPath<'static>) {
        (&self.tenants[PLACES[place].0], &self.paths[place])
    }

    fn logged(&self, thread: usize, call: Done, run: impl FnOnce() -> Done) -> Done {
        self.log.lock().unwrap().push((thread, Action::Call(call)));
        let done = run();
        self.log.lock().unwrap().push((thread, Action::Response(done.clone())));
        done
    }

    fn hand_back(&self, values: impl IntoIterator<Item = u32>) {
        self.returned.lock().unwrap().extend(values);
    }

    /// Returns whether the value was stored stale or fresh, and the value that it replaced.
    fn settle(&self, insertion: Insertion<u32>, value: u32) -> Option<(bool, Option<u32>)> {
        match insertion {
            Insertion::Stored(stored) => {
                self.stored.lock().unwrap().push(value);
                self.hand_back(stored.replaced);
                Some((stored.freshness == Freshness::Stale, stored.replaced))
            }
            Insertion::Refused(refused) => {
                assert_eq!(refused.value, value);
                None
            }
        }
    }

    fn run(&self, thread: usize, steps: &[Step]) {
        let mut leases: Vec<(u32, Lease)> = Vec::new();
        let mut last_found = BTreeMap::new();
        for (n, step) in steps.iter().enumerate() {
            // Names and values of their own for every step.
            let serial = u32::try_from(thread * 100 + n).unwrap();
            match *step {
                Step::Lookup(p, v) => {
                    self.logged(thread, Done::Lookup(p, v, None), || {
                        let (tenant, path) = self.place(p);
                        let found = match self.index.lookup(tenant, path, &self.keys[v]) {
                            Lookup::Live(value) => Some((value, false)),
                            Lookup::Stale(value) => Some((value, true)),
                            Lookup::Miss => None,
                        };
                        last_found.insert((p, v), found.map(|(value, _)| value));
                        Done::Lookup(p, v, found)
                    });
                }
                Step::Lease(p) => {
                    self.logged(thread, Done::Lease(p, serial), || {
                        let (tenant, path) = self.place(p);
                        leases.push((serial, Lease::Fill(self.index.lease(tenant, path))));
                        Done::Lease(p, serial)
                    });
                }
                Step::Claim(p, v) => {
                    self.logged(thread, Done::Claim(p, v, serial, None), || {
                        let (claimed, lease) = self.claim(p, v, serial);
                        leases.extend(lease.map(|lease| (serial, Lease::Claim(lease, v))));
                        Done::Claim(p, v, serial, Some(claimed))
                    });
                }
                Step::Commit(_) | Step::Drop if leases.is_empty() => {}
                Step::Commit(v) => {
                    let (name, lease) = leases.remove(0);
                    let (v, value) = match &lease {
                        Lease::Fill(_) => (v, serial),
                        Lease::Claim(lease, claimed) => (*claimed, *lease.value()),
                    };
                    self.logged(thread, Done::Commit(name, v, value, None, None), || {
                        let insertion = match lease {
                            Lease::Fill(lease) => lease.commit(&self.keys[v], value),
                            Lease::Claim(lease, _) => lease.commit(),
                        };
                        let stored = self.settle(insertion, value);
                        let replaced = stored.and_then(|(_, replaced)| replaced);
                        Done::Commit(name, v, value, stored.map(|(stale, _)| stale), replaced)
                    });
                }
                Step::Drop => {
                    let (name, lease) = leases.remove(0);
                    self.logged(thread, Done::Drop(name), || {
                        drop(lease);
                        Done::Drop(name)
                    });
                }
                Step::Insert(p, v) => {
                    self.logged(thread, Done::Insert(p, v, serial, false, None), || {
                        let (tenant, path) = self.place(p);
                        let insertion = self.index.insert(tenant, path, &self.keys[v], serial);
                        let stored = self.settle(insertion, serial);
                        let replaced = stored.and_then(|(_, replaced)| replaced);
                        Done::Insert(p, v, serial, stored.is_some(), replaced)
                    });
                }
                Step::Remove(p, v) => {
                    let expected = last_found.get(&(p, v)).copied().flatten().unwrap_or(u32::MAX);
                    self.logged(thread, Done::Remove(p, v, expected, false), || {
                        let (tenant, path) = self.place(p);
                        let removed = self.index.remove(tenant, path, &self.keys[v], &expected);
                        self.hand_back(removed);
                        Done::Remove(p, v, expected, removed.is_some())
                    });
                }
                Step::Hard(scope) => {
                    self.logged(thread, Done::Hard(scope, None), || self.hard(scope));
                }
                Step::Soft(scope) => {
                    self.logged(thread, Done::Soft(scope, None), || self.soft(scope));
                }
                Step::Forget(t) => {
                    self.logged(thread, Done::Forget(t), || {
                        self.index.forget_tenant(&self.tenants[t]);
                        Done::Forget(t)
                    });
                }
                Step::Over(tenant, stale) => {
                    let freshness = if stale { Freshness::Stale } else { Freshness::Live };
                    let over = OverTime::new(DURATION).serving(freshness);
                    let moments = self.paths.each_ref().map(|path| over.moment(path));
                    self.logged(thread, Done::Over(tenant, stale, moments), || {
                        match tenant {
                            Some(t) => self.index.flush_tenant_over(&self.tenants[t], over),
                            None => self.index.flush_all_over(over),
                        };
                        Done::Over(tenant, stale, moments)
                    });
                }
                Step::Wait => {
                    self.logged(thread, Done::Wait, || {
                        self.clock.advance(WAIT);
                        Done::Wait
                    });
                }
                Step::Tenant(t) => {
                    self.logged(thread, Done::Tenant(t, false), || {
                        let tenant = self.index.tenant(self.tenants[t].name());
                        Done::Tenant(t, tenant == self.tenants[t])
                    });
                }
                Step::Restore(p, v) => {
                    self.logged(thread, Done::Restore(p, v, serial, false), || {
                        let (tenant, path) = self.place(p);
                        let entry = [(self.keys[v].borrowed(), serial, Freshness::Live)];
                        let stored = self.restore.path(tenant, path, entry).stored == 1;
                        if stored {
                            self.stored.lock().unwrap().push(serial);
                        }
                        Done::Restore(p, v, serial, stored)
                    });
                }
                // No order can contradict its answer.
                Step::Reclaim => {
                    self.hand_back(self.index.reclaim(2).into_iter().map(|dead| dead.value));
                }
            }
        }
        for (name, lease) in leases {
            self.logged(thread, Done::Drop(name), || {
                drop(lease);
                Done::Drop(name)
            });
        }
    }

    fn claim(&self, p: Place, v: Variant, value: u32) -> (Claimed, Option<ClaimLease<u32>>) {
        let (tenant, path) = self.place(p);
        match self.index.claim(tenant, path, &self.keys[v], value) {
            Claim::Live(value) => (Claimed::Live(value), None),
            Claim::Stale { value, refresh } => (Claimed::Stale(value, refresh.is_some()), refresh),
            Claim::Pending(value) => (Claimed::Pending(value), None),
            Claim::Claimed(lease) => (Claimed::First, Some(lease)),
        }
    }

    fn hard(&self, scope: Scope) -> Done {
        let said = match scope {
            Scope::Place(p) => {
                let (tenant, path) = self.place(p);
                let gone: Vec<_> = self.index.purge(tenant, path, Hard).into_iter().collect();
                self.hand_back(gone.iter().map(|(_, value)| *value));
                let number = |key| self.keys.iter().position(|k| *k == key).unwrap();
                Some(gone.into_iter().map(|(key, value)| (number(key), value)).collect())
            }
            Scope::Tenant(t) => {
                self.index.flush_tenant(&self.tenants[t], Hard);
                None
            }
            Scope::Prefix => {
                self.index.purge_prefix(&self.tenants[PREFIX.0], &self.prefix, Hard);
                None
            }
            Scope::All => {
                self.index.flush_all(Hard);
                None
            }
        };
        Done::Hard(scope, said)
    }

    fn soft(&self, scope: Scope) -> Done {
        let said = match scope {
            Scope::Place(p) => {
                let (tenant, path) = self.place(p);
                Some(self.index.purge(tenant, path, Soft).len())
            }
            Scope::Tenant(t) => {
                self.index.flush_tenant(&self.tenants[t], Soft);
                None
            }
            Scope::Prefix => {
                self.index.purge_prefix(&self.tenants[PREFIX.0], &self.prefix, Soft);
                None
            }
            Scope::All => {
                self.index.flush_all(Soft);
                None
            }
        };
        Done::Soft(scope, said)
    }

    /// After the last operation: the history has an order, and every value has left once.
    fn check(self) {
        let log = self.log.into_inner().unwrap();
        let text = format!("{log:#?}");
        if !log.is_empty() {
            let linearizable = WGLChecker::<Spec>::is_linearizable(History::from_actions(log));
            assert!(linearizable, "no order of the operations explains the answers: {text}");
        }
        assert_eq!(self.index.stats().open_leases, 0);
        drop(self.restore);
        self.index.flush_all(Hard);
        while {
            let dead = self.index.reclaim(100);
            let done = dead.is_done();
            self.returned.lock().unwrap().extend(dead.into_iter().map(|dead| dead.value));
            !done
        } {}
        let (mut stored, mut returned) =
            (self.stored.into_inner().unwrap(), self.returned.into_inner().unwrap());
        stored.sort_unstable();
        returned.sort_unstable();
        assert_eq!(stored, returned, "a value was lost or handed over twice: {text}");
    }
}

fn scope(rng: &mut impl Rng) -> Scope {
    match rng.gen_range(0..8) {
        0..4 => Scope::Place(rng.gen_range(0..2)),
        4 => Scope::Tenant(rng.gen_range(0..2)),
        5..7 => Scope::Prefix,
        _ => Scope::All,
    }
}

fn step(rng: &mut impl Rng) -> Step {
    // Most at the first place, so that they meet.
    let place = if rng.gen_range(0..3) == 0 { rng.gen_range(0..PLACES.len()) } else { 0 };
    let variant = if rng.gen_range(0..3) == 0 { 1 } else { 0 };
    match rng.gen_range(0..29) {
        0..5 => Step::Lookup(place, variant),
        5..9 => Step::Lease(place),
        9..13 => Step::Commit(variant),
        13 => Step::Drop,
        14 => Step::Insert(place, variant),
        15 => Step::Remove(place, variant),
        16..18 => Step::Hard(scope(rng)),
        18 => Step::Soft(scope(rng)),
        19 => Step::Forget(usize::from(rng.gen_range(0..4) == 0)),
        20 => Step::Tenant(usize::from(rng.gen_range(0..4) == 0)),
        21..24 => Step::Restore(place, variant),
        24..28 => Step::Claim(place, variant),
        _ => Step::Reclaim,
    }
}

/// Flushes over time, and time. All of them by one thread: the duration counts from some moment
/// within the call, and no time passes during it.
fn flushes_over_time(rng: &mut impl Rng) -> Vec<Step> {
    let over = |rng: &mut dyn shuttle::rand::RngCore| {
        let tenant = [None, Some(0), Some(0), Some(1)][rng.gen_range(0..4)];
        Step::Over(tenant, rng.gen_range(0..2) == 0)
    };
    let mut steps = vec![over(rng)];
    for _ in 0..3 {
        steps.push(match rng.gen_range(0..8) {
            0..4 => Step::Wait,
            4 => over(rng),
            _ => step(rng),
        });
    }
    steps
}

/// Three threads of four steps; each begins with something to lose: a lease, or an entry.
fn program() -> Vec<Vec<Step>> {
    let mut rng = shuttle::rand::thread_rng();
    (0..THREADS)
        .map(|thread| {
            if thread == 2 && rng.gen_range(0..2) == 0 {
                return flushes_over_time(&mut rng);
            }
            let first = match thread {
                0 if rng.gen_range(0..2) == 0 => Step::Claim(0, 0),
                0 => Step::Lease(0),
                1 => Step::Insert(0, 0),
                _ => Step::Hard(scope(&mut rng)),
            };
            std::iter::once(first).chain((0..3).map(|_| step(&mut rng))).collect()
        })
        .collect()
}

fn one_history(concurrent: &AtomicUsize) {
    let is_opaque = shuttle::rand::thread_rng().gen_range(0..2) == 1;
    let names = if is_opaque { Names::Opaque('?') } else { Names::Canonical };
    let world = Arc::new(World::new(names));
    let threads: Vec<_> = program()
        .into_iter()
        .enumerate()
        .map(|(thread, steps)| {
            let world = Arc::clone(&world);
            shuttle::thread::spawn(move || world.run(thread, &steps))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let world = Arc::into_inner(world).expect("all threads have ended");
    // A call that is followed by another thread's call was overtaken by it.
    let overlapped = world
        .log
        .lock()
        .unwrap()
        .windows(2)
        .any(|pair| matches!(pair, [(a, Action::Call(_)), (b, _)] if a != b));
    concurrent.fetch_add(usize::from(overlapped), SeqCst);
    world.check();
}

fn schedules() -> usize {
    let set = std::env::var("SHUTTLE_SCHEDULES").ok();
    set.map_or(20_000, |n| n.parse().expect("a number of schedules"))
}

/// Reports how long it took to find the failure.
struct Tried(Arc<AtomicUsize>);

impl Drop for Tried {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("failed after {} schedules", self.0.load(SeqCst));
        }
    }
}

fn explore(explore: impl FnOnce(Arc<dyn Fn() + Send + Sync>)) {
    let (concurrent, tried) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counter, begun) = (Arc::clone(&concurrent), Arc::clone(&tried));
    let history: Arc<dyn Fn() + Send + Sync> = Arc::new(move || {
        begun.fetch_add(1, SeqCst);
        one_history(&counter);
    });
    let _tried = Tried(tried);
    if let Ok(schedule) = std::env::var("SHUTTLE_REPLAY") {
        shuttle::replay(move || history(), &schedule);
        return;
    }
    explore(history);
    let concurrent = concurrent.load(SeqCst);
    println!("{} schedules, {concurrent} of them with overlapping operations", schedules());
    assert!(concurrent > schedules() / 10, "hardly anything overlapped: nothing was tried");
}

#[test]
fn every_history_of_a_random_schedule_is_linearizable() {
    explore(|history| shuttle::check_random(move || history(), schedules()));
}

#[test]
fn every_history_of_a_schedule_with_few_preemptions_is_linearizable() {
    explore(|history| shuttle::check_pct(move || history(), schedules(), 3));
}

/// An export while another thread's sweep merges buckets, and a third stores new paths: all entries
/// that stay are exported.
#[test]
fn every_export_beside_a_sweep_has_all_that_stays() {
    const STAYING: u32 = 6;
    let exports = || {
        let index = CacheIndex::new(Config::builder().shards(1).build().unwrap());
        let index = Arc::new(index);
        let (kept, flushed) = (index.tenant("kept"), index.tenant("flushed"));
        let names = Names::Opaque('x');
        let (key, name) = (names.key("?w=1"), move |n: u32| names.path(&n.to_string()));
        for n in 0..STAYING {
            assert!(index.insert(&kept, &name(n), &key, n).is_stored());
        }
        for n in 0..60 {
            assert!(index.insert(&flushed, &name(n), &key, 1000 + n).is_stored());
        }
        let other = Arc::clone(&index);
        let sweeper = shuttle::thread::spawn(move || {
            other.flush_tenant(&flushed, Hard);
            while !other.reclaim(100).is_done() {}
        });
        let other = Arc::clone(&index);
        let (tenant, new_key) = (kept.clone(), key.clone());
        let inserter = shuttle::thread::spawn(move || {
            for n in 100..110 {
                assert!(other.insert(&tenant, &name(n), &new_key, n).is_stored());
            }
        });
        let (mut cursor, mut found) = (ExportCursor::default(), BTreeSet::new());
        while let Some(paths) = index.export(&mut cursor, 1) {
            let values = paths.into_iter().filter(|path| path.tenant == kept);
            found.extend(values.flat_map(|path| path.entries).map(|(_, value, _)| value));
        }
        assert!((0..STAYING).all(|n| found.contains(&n)), "exported: {found:?}");
        sweeper.join().unwrap();
        inserter.join().unwrap();
    };
    let tried = Arc::new(AtomicUsize::new(0));
    let begun = Arc::clone(&tried);
    let _tried = Tried(tried);
    let counted = move || {
        begun.fetch_add(1, SeqCst);
        exports();
    };
    shuttle::check_random(counted, schedules() / 10);
}
