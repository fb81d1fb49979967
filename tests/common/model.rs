//! The reference index: slow, and obviously right.
//!
//! It keeps every entry and every invalidation that there ever was, with the moment of each, and
//! answers from the definition: an entry is dead if a hard invalidation that covers it came after
//! its fill began, stale if a soft one did.

use cache_index::Refusal;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Paths that prefixes distinguish in every way: by folder, within a name, only by a slash.
pub const PATHS: [&str; 5] = ["a/b/1.jpg", "a/b/2.jpg", "a/bc.jpg", "a/c/1.jpg", "b/1.jpg"];
pub const PREFIXES: [&str; 5] = ["a/", "a/b", "a/b/", "a/b/1.jpg", "c"];

pub type Tenant = usize;
pub type Path = usize;
pub type Variant = usize;
pub type Value = u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    All,
    Tenant(Tenant),
    Path(Tenant, Path),
    /// The variants of a path whose bit is set, and all in-flight fills of the path.
    Variants(Tenant, Path, u64),
    /// All paths whose text begins with this prefix.
    Prefix(Tenant, &'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Hard,
    Soft,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Live,
    Stale,
    Dead,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Live(Value),
    Stale(Value),
    Miss,
}

/// The answer to a claim; leases are named by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    Live(Value),
    Stale(Value, Option<usize>),
    Pending(Value),
    First(usize),
}

#[derive(Clone, Copy, Debug)]
pub struct Lease {
    pub tenant: Tenant,
    pub path: Path,
    began: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    Stored { stale: bool, replaced: Option<Value> },
    Refused(Refusal),
}

/// The matches of an invalidation.
#[derive(Clone, Copy, Debug)]
pub struct Met {
    /// Entries that would be removed or become stale.
    pub changed: usize,
    /// For a soft invalidation: entries that are already stale.
    pub stale: usize,
    pub fills: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    value: Value,
    began: usize,
    stored: usize,
    /// Whether it was stale when it began.
    stale: bool,
}

/// A flush over time of everything or of a tenant.
#[derive(Clone, Debug)]
struct Over {
    at: usize,
    tenant: Option<Tenant>,
    /// When each path dies.
    moments: Vec<Duration>,
    stale: bool,
}

impl Over {
    fn covers(&self, tenant: Tenant, began: usize) -> bool {
        self.tenant.is_none_or(|t| t == tenant) && self.at > began
    }
}

/// A path that has entries older than a flush over time beside newer ones.
#[derive(Clone, Copy, Debug)]
struct Mixed {
    /// When the flush was called, and when the first newer entry was stored.
    over: usize,
    since: usize,
}

#[derive(Debug, Default)]
pub struct Model {
    now: usize,
    time: Duration,
    overs: Vec<Over>,
    mixed: BTreeMap<(Tenant, Path), Mixed>,
    invalidations: Vec<(usize, Scope, Mode)>,
    /// The entries that may be served.
    entries: BTreeMap<(Tenant, Path, Variant), Entry>,
    /// Values that died and were not handed over yet.
    pub dead: BTreeSet<Value>,
    pub open: Vec<(usize, Lease)>,
    /// The variant and value of each open lease that is a claim.
    pub claims: BTreeMap<usize, (Variant, Value)>,
    names: usize,
    pub refused_purged: u64,
    pub refused_flushed: u64,
    pub refused_forgotten: u64,
    pub purges: u64,
    forgotten: BTreeSet<Tenant>,
}

impl Scope {
    fn covers(self, tenant: Tenant, path: Path) -> bool {
        match self {
            Self::All => true,
            Self::Tenant(t) => t == tenant,
            Self::Path(t, p) | Self::Variants(t, p, _) => (t, p) == (tenant, path),
            Self::Prefix(t, prefix) => t == tenant && PATHS[path].starts_with(prefix),
        }
    }

    /// Stored entries are selected by their variant. Entries that are stored later are always
    /// selected, as their variant was not known.
    fn picks(self, variant: Variant, was_stored: bool) -> bool {
        match self {
            Self::Variants(_, _, picked) => !was_stored || picked >> variant & 1 == 1,
            _ => true,
        }
    }

    fn is_broad(self) -> bool {
        !self.is_purge()
    }

    fn is_purge(self) -> bool {
        matches!(self, Self::Path(..) | Self::Variants(..))
    }
}

impl Model {
    fn tick(&mut self) -> usize {
        self.now += 1;
        self.now
    }

    fn since(
        &self,
        began: usize,
        tenant: Tenant,
        path: Path,
    ) -> impl Iterator<Item = &(usize, Scope, Mode)> {
        let later = self.invalidations.iter().filter(move |(at, ..)| *at > began);
        later.filter(move |(_, scope, _)| scope.covers(tenant, path))
    }

    fn state(&self, (tenant, path, variant): (Tenant, Path, Variant), entry: Entry) -> State {
        let mut reached = self
            .since(entry.began, tenant, path)
            .filter(|(at, scope, _)| scope.picks(variant, entry.stored < *at))
            .peekable();
        let untouched = reached.peek().is_none();
        let over = self.state_over_time(tenant, path, entry);
        if reached.any(|(.., mode)| *mode == Mode::Hard) || over == State::Dead {
            State::Dead
        } else if untouched && over == State::Live && !entry.stale {
            State::Live
        } else {
            State::Stale
        }
    }

    /// The state of an entry as far as flushes over time go.
    fn state_over_time(&self, tenant: Tenant, path: Path, entry: Entry) -> State {
        let overs = || self.overs.iter().filter(|over| over.covers(tenant, entry.began));
        let dies_early = |mixed: &Mixed| {
            let overs = self.overs.iter().any(|over| over.covers(tenant, mixed.over));
            let mut later = self.since(mixed.over, tenant, path);
            let is_after = |at, scope: Scope| scope.is_broad() || at > mixed.since;
            overs || later.any(|&(at, scope, mode)| mode == Mode::Soft && is_after(at, scope))
        };
        let mixed = self.mixed.get(&(tenant, path)).filter(|mixed| entry.began < mixed.over);
        if overs().any(|over| self.time >= over.moments[path]) || mixed.is_some_and(dies_early) {
            State::Dead
        } else if overs().any(|over| over.stale) || mixed.is_some() {
            State::Stale
        } else {
            State::Live
        }
    }

    /// Begins a flush over time; the moments are those of the paths from now on.
    pub fn flush_over(&mut self, tenant: Option<Tenant>, moments: &[Duration], stale: bool) {
        let at = self.tick();
        let moments = moments.iter().map(|moment| self.time + *moment).collect();
        self.overs.push(Over { at, tenant, moments, stale });
        self.bury();
    }

    pub fn advance(&mut self, by: Duration) {
        self.time += by;
        self.bury();
    }

    /// Removes what has died without being called for.
    fn bury(&mut self) {
        let entries = self.entries.clone();
        for (key, entry) in entries {
            if self.state(key, entry) == State::Dead {
                self.entries.remove(&key);
                self.dead.insert(entry.value);
            }
        }
    }

    /// Whether a path of the tenant has entries that are older than a flush over time beside newer
    /// ones.
    pub fn is_mixed(&self, tenant: Tenant) -> bool {
        let older = |(t, p, _): &(Tenant, Path, Variant), entry: &Entry| {
            *t == tenant && self.mixed.get(&(*t, *p)).is_some_and(|mixed| entry.began < mixed.over)
        };
        self.entries.iter().any(|(key, entry)| older(key, entry))
    }

    /// Makes room for a newer entry of a path beside entries that a flush over time covers.
    fn mix(&mut self, tenant: Tenant, path: Path, stored_stale: bool) {
        let of_path = |key: &(Tenant, Path, Variant)| (key.0, key.1) == (tenant, path);
        let entries: Vec<_> = self.entries.iter().filter(|(key, _)| of_path(key)).collect();
        if let Some(mixed) = self.mixed.get(&(tenant, path)) {
            let older = entries.iter().filter(|(_, entry)| entry.began < mixed.over);
            let older: Vec<_> = older.map(|(key, _)| **key).collect();
            if !older.is_empty() {
                if stored_stale {
                    self.kill(&older);
                }
                return;
            }
        }
        let first = |entry: &Entry| {
            let overs = self.overs.iter().filter(|over| over.covers(tenant, entry.began));
            overs.map(|over| over.at).min()
        };
        let Some(over) = entries.iter().filter_map(|(_, entry)| first(entry)).min() else { return };
        let later = self.since(over, tenant, path).any(|(_, scope, _)| scope.is_broad());
        let second = self.overs.iter().any(|other| other.covers(tenant, over));
        if stored_stale || second || later {
            let all: Vec<_> = entries.iter().map(|(key, _)| **key).collect();
            self.kill(&all);
        } else {
            self.mixed.insert((tenant, path), Mixed { over, since: self.now });
        }
    }

    fn kill(&mut self, keys: &[(Tenant, Path, Variant)]) {
        for key in keys {
            self.dead.extend(self.entries.remove(key).map(|entry| entry.value));
        }
    }

    pub fn lookup(&self, tenant: Tenant, path: Path, variant: Variant) -> Found {
        let key = (tenant, path, variant);
        match self.entries.get(&key).map(|entry| (self.state(key, *entry), entry.value)) {
            None | Some((State::Dead, _)) => Found::Miss,
            Some((State::Live, value)) => Found::Live(value),
            Some((State::Stale, value)) => Found::Stale(value),
        }
    }

    /// Opens a lease and returns its name.
    pub fn lease(&mut self, tenant: Tenant, path: Path) -> usize {
        let began = self.tick();
        self.names += 1;
        self.open.push((self.names, Lease { tenant, path, began }));
        self.names
    }

    /// A later claim gets the value of an open one that no invalidation has reached.
    pub fn claim(&mut self, key: (Tenant, Path, Variant), value: Value) -> Claimed {
        let (tenant, path, variant) = key;
        let found = self.lookup(tenant, path, variant);
        if let Found::Live(value) = found {
            return Claimed::Live(value);
        }
        let pending = self.open.iter().find_map(|(name, lease)| {
            let (claimed, value) = self.claims.get(name)?;
            let same = (lease.tenant, lease.path, *claimed) == key;
            let same = same && !self.forgotten.contains(&tenant);
            let same = same && !self.overs.iter().any(|over| over.covers(tenant, lease.began));
            (same && self.since(lease.began, tenant, path).next().is_none()).then_some(*value)
        });
        match (found, pending) {
            (Found::Stale(stale), Some(_)) => Claimed::Stale(stale, None),
            (_, Some(pending)) => Claimed::Pending(pending),
            (_, None) => {
                let name = self.lease(tenant, path);
                self.claims.insert(name, (variant, value));
                match found {
                    Found::Stale(stale) => Claimed::Stale(stale, Some(name)),
                    _ => Claimed::First(name),
                }
            }
        }
    }

    pub fn close(&mut self, name: usize) -> Lease {
        self.claims.remove(&name);
        let at = self.open.iter().position(|(n, _)| *n == name).expect("lease is open");
        self.open.remove(at).1
    }

    pub fn commit(&mut self, name: usize, variant: Variant, value: Value) -> Stored {
        let lease = self.close(name);
        if self.forgotten.contains(&lease.tenant) {
            self.refused_forgotten += 1;
            return Stored::Refused(Refusal::Forgotten);
        }
        let since: Vec<_> = self.since(lease.began, lease.tenant, lease.path).copied().collect();
        let hard = |of: fn(Scope) -> bool| since.iter().any(|&(_, s, m)| m == Mode::Hard && of(s));
        // Several reasons: a purge of the very path is named first, then a flush.
        if hard(Scope::is_purge) {
            self.refused_purged += 1;
            return Stored::Refused(Refusal::Purged);
        }
        let over_time = self.overs.iter().any(|over| over.covers(lease.tenant, lease.began));
        if over_time || hard(|s| matches!(s, Scope::All | Scope::Tenant(_))) {
            self.refused_flushed += 1;
            return Stored::Refused(Refusal::Flushed);
        }
        if hard(|s| matches!(s, Scope::Prefix(..))) {
            self.refused_purged += 1;
            return Stored::Refused(Refusal::Purged);
        }
        self.store((lease.tenant, lease.path, variant), value, lease.began)
    }

    pub fn insert(&mut self, key: (Tenant, Path, Variant), value: Value) -> Stored {
        if self.forgotten.contains(&key.0) {
            self.refused_forgotten += 1;
            return Stored::Refused(Refusal::Forgotten);
        }
        let began = self.tick();
        self.store(key, value, began)
    }

    /// Forgets the tenant; its number is not used for another one.
    pub fn forget(&mut self, tenant: Tenant) {
        self.invalidate(Scope::Tenant(tenant), Mode::Hard);
        self.forgotten.insert(tenant);
    }

    fn store(&mut self, key: (Tenant, Path, Variant), value: Value, began: usize) -> Stored {
        let entry = Entry { value, began, stored: self.tick(), stale: false };
        let stale = self.state(key, entry) == State::Stale;
        self.mix(key.0, key.1, stale);
        let replaced = self.entries.insert(key, entry).map(|old| old.value);
        Stored::Stored { stale, replaced }
    }

    /// Begins to restore, and returns the moment.
    pub fn begin_restore(&mut self) -> usize {
        self.tick()
    }

    /// Restores an entry of an earlier index. Returns the reason if it is refused.
    pub fn restore(
        &mut self,
        key: (Tenant, Path, Variant),
        value: Value,
        stale: bool,
        began: usize,
    ) -> Option<Refusal> {
        let (tenant, path, variant) = key;
        let (all_hard, all_soft) = self.purged_as_all(began, tenant, path);
        // Its variant is known from the beginning, as that of an entry that is there.
        let entry = Entry { value, began, stored: began, stale: stale || all_soft };
        let since: Vec<_> = self.since(began, tenant, path).copied().collect();
        let hard = |of: fn(Scope) -> bool| {
            since.iter().any(|&(_, s, m)| m == Mode::Hard && s.picks(variant, true) && of(s))
        };
        if self.forgotten.contains(&tenant) {
            return Some(Refusal::Forgotten);
        }
        if hard(Scope::is_purge) || all_hard {
            return Some(Refusal::Purged);
        }
        let over_time = self.overs.iter().any(|over| over.covers(tenant, began));
        if over_time || hard(|s| matches!(s, Scope::All | Scope::Tenant(_))) {
            return Some(Refusal::Flushed);
        }
        if hard(|s| matches!(s, Scope::Prefix(..))) {
            return Some(Refusal::Purged);
        }
        if self.entries.contains_key(&key) {
            return Some(Refusal::Newer);
        }
        self.mix(tenant, path, self.state(key, entry) == State::Stale);
        self.entries.insert(key, entry);
        None
    }

    /// Whether a purge of all variants of a path, or of one more group of variants than a restore
    /// distinguishes, has happened since a restore began: a hard one, and a soft one.
    fn purged_as_all(&self, began: usize, tenant: Tenant, path: Path) -> (bool, bool) {
        const DISTINGUISHED: usize = 16;
        let (mut kept, mut hard, mut soft) = (0, false, false);
        for (_, scope, mode) in self.since(began, tenant, path) {
            match (scope, mode) {
                (Scope::Variants(..), _) if kept < DISTINGUISHED => kept += 1,
                (Scope::Variants(..) | Scope::Path(..), Mode::Hard) => (hard, kept) = (true, 0),
                (Scope::Variants(..) | Scope::Path(..), Mode::Soft) => soft = true,
                _ => {}
            }
        }
        (hard, soft)
    }

    /// The entries that may be served, and whether each is stale.
    pub fn servable(&self) -> BTreeMap<(Tenant, Path, Variant), (Value, bool)> {
        let states = self.entries.iter().map(|(key, e)| (*key, e.value, self.state(*key, *e)));
        states.map(|(key, value, state)| (key, (value, state == State::Stale))).collect()
    }

    pub fn remove(&mut self, key: (Tenant, Path, Variant), expected: Value) -> Option<Value> {
        if self.entries.get(&key)?.value != expected {
            return None;
        }
        self.entries.remove(&key).map(|entry| entry.value)
    }

    /// Invalidates. Returns the removed entries (hard), or those that became stale (soft).
    pub fn invalidate(&mut self, scope: Scope, mode: Mode) -> Vec<(Variant, Value)> {
        let covered =
            |&(t, p, v): &(Tenant, Path, Variant)| scope.covers(t, p) && scope.picks(v, true);
        let fresh = |model: &Self, key, entry| model.state(key, entry) == State::Live;
        let met: Vec<_> = self
            .entries
            .iter()
            .filter(|(key, _)| covered(key))
            .filter(|(key, entry)| mode == Mode::Hard || fresh(self, **key, **entry))
            .map(|(key, entry)| (*key, entry.value))
            .collect();
        let at = self.tick();
        self.invalidations.push((at, scope, mode));
        self.purges += u64::from(scope.is_purge());
        if mode == Mode::Hard {
            for (key, value) in &met {
                self.entries.remove(key);
                if !scope.is_purge() {
                    self.dead.insert(*value);
                }
            }
        }
        self.bury();
        met.into_iter().map(|((_, _, variant), value)| (variant, value)).collect()
    }

    /// Returns the matches that an invalidation of these variants of the path would have now.
    pub fn met(&self, tenant: Tenant, path: Path, picked: u64, mode: Mode) -> Met {
        let of_path =
            |t: Tenant, p: Path, v: Variant| (t, p) == (tenant, path) && picked >> v & 1 == 1;
        self.counted(of_path, self.valid_fills(tenant, path), mode)
    }

    /// Returns the matches that an invalidation of the prefix would have now.
    pub fn extent(&self, tenant: Tenant, prefix: &str, mode: Mode) -> Met {
        let under = |p: &Path| PATHS[*p].starts_with(prefix);
        let fills = (0..PATHS.len()).filter(under).map(|p| self.valid_fills(tenant, p)).sum();
        self.counted(|t, p, _| t == tenant && under(&p), fills, mode)
    }

    fn counted(
        &self,
        covers: impl Fn(Tenant, Path, Variant) -> bool,
        fills: usize,
        mode: Mode,
    ) -> Met {
        let covered = self.entries.keys().filter(|(t, p, v)| covers(*t, *p, *v));
        let found: Vec<_> = covered.map(|(t, p, v)| self.lookup(*t, *p, *v)).collect();
        let live = found.iter().filter(|found| matches!(found, Found::Live(_))).count();
        let stale = found.iter().filter(|found| matches!(found, Found::Stale(_))).count();
        match mode {
            Mode::Hard => Met { changed: live + stale, stale: 0, fills },
            Mode::Soft => Met { changed: live, stale, fills },
        }
    }

    /// Open leases of the path that a hard purge now would void, or a soft one overtake.
    pub fn valid_fills(&self, tenant: Tenant, path: Path) -> usize {
        let of_path = self.open.iter().filter(|(_, l)| (l.tenant, l.path) == (tenant, path));
        of_path
            .filter(|(_, lease)| {
                let mut since = self.since(lease.began, tenant, path);
                !since.any(|(_, scope, mode)| *mode == Mode::Hard && scope.is_purge())
            })
            .count()
    }

    pub fn variants(&self, tenant: Tenant, path: Path) -> Vec<Variant> {
        let of_path = self.entries.keys().filter(|(t, p, _)| (*t, *p) == (tenant, path));
        of_path.map(|(_, _, variant)| *variant).collect()
    }

    /// Live entries, stale entries, paths with entries.
    pub fn counts(&self) -> (usize, usize, usize) {
        let states: Vec<_> = self.entries.iter().map(|(k, e)| self.state(*k, *e)).collect();
        let count = |state| states.iter().filter(|s| **s == state).count();
        let paths: BTreeSet<_> = self.entries.keys().map(|(t, p, _)| (*t, *p)).collect();
        (count(State::Live), count(State::Stale), paths.len())
    }
}
