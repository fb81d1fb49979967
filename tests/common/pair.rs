//! The index and the model, side by side: every outcome must be the same.

mod copies;
mod requests;

use super::Names;
use super::model::{Claimed, Found, Mode, Model, PATHS, PREFIXES, Scope, Stored, Value, Variant};
use cache_index::canonical::Rules;
use cache_index::{
    CacheIndex, Claim, ClaimLease, Config, DeadValues, FillLease, Freshness, Hard, Insertion,
    Lookup, ManualClock, OriginPath, OverTime, Restore, Selection, Soft, Tenant, VariantKey,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub const TENANTS: usize = 2;
/// The handles that an operation may use: of each tenant, and of the forgotten tenant that had its
/// name before.
pub const HANDLES: usize = 2 * TENANTS;
/// More than a small set holds.
pub const VARIANTS: usize = 40;

#[derive(Clone, Debug)]
pub enum Op {
    Lookup(usize, usize, usize),
    /// Single variants of paths.
    LookupMany(usize, Vec<(usize, usize)>),
    Lease(usize, usize),
    Claim(usize, usize, usize),
    /// Which of the open leases, counted from the oldest and around. A claim is committed as it is
    /// if the variant is even.
    Commit(usize, usize),
    Drop(usize),
    Insert(usize, usize, usize),
    /// This number of variants, one after the other.
    InsertSome(usize, usize, usize),
    /// With the value that is there, or with another.
    Remove(usize, usize, usize, bool),
    Purge(usize, usize, Mode),
    /// The variants whose bit is set, each by its key.
    PurgeKeys(usize, usize, u64, Mode),
    /// The variants of this width, whatever their height.
    PurgeWidth(usize, usize, usize, Mode),
    PurgeMany(usize, Vec<usize>, Mode),
    PurgePrefix(usize, usize, Mode),
    /// Pictures, and for larger numbers prefixes. With a width, only the variants of that width, if
    /// all are pictures.
    Request(usize, Vec<usize>, Option<usize>, Mode),
    /// Single variants of paths.
    RequestUrls(usize, Vec<(usize, usize)>, Mode),
    RequestAll(usize, Mode),
    FlushTenant(usize, Mode),
    FlushAll(Mode),
    /// Of a tenant or of everything, over this number of seconds, of which so many have passed; and
    /// whether older entries are stale until then.
    FlushOver(Option<usize>, u64, u64, bool),
    /// Advances the clock by this number of seconds.
    Wait(u64),
    /// Asks for the name again afterwards.
    Forget(usize),
    Variants(usize, usize),
    Paths(usize, usize),
    Reclaim(usize),
    /// Some steps of an export that goes on with the next such operation.
    Export(usize),
    /// Begins a restore, ends the one that is under way, or restores with a fill's
    /// entries: this number of variants from one on, every third of them stale.
    BeginRestore,
    EndRestore,
    Restore(usize, usize, usize, usize),
}

impl Op {
    /// Returns the tenant handle of the operation, if any.
    fn handle(&mut self) -> Option<&mut usize> {
        match self {
            Self::FlushOver(t, ..) => t.as_mut(),
            Self::Commit(..)
            | Self::Drop(_)
            | Self::FlushAll(_)
            | Self::Wait(_)
            | Self::Reclaim(_)
            | Self::Export(_)
            | Self::BeginRestore
            | Self::EndRestore => None,
            Self::Lookup(t, ..)
            | Self::LookupMany(t, _)
            | Self::Lease(t, _)
            | Self::Claim(t, ..)
            | Self::Insert(t, ..)
            | Self::InsertSome(t, ..)
            | Self::Remove(t, ..)
            | Self::Purge(t, ..)
            | Self::PurgeKeys(t, ..)
            | Self::PurgeWidth(t, ..)
            | Self::PurgeMany(t, ..)
            | Self::PurgePrefix(t, ..)
            | Self::Request(t, ..)
            | Self::RequestUrls(t, ..)
            | Self::RequestAll(t, _)
            | Self::FlushTenant(t, _)
            | Self::Forget(t)
            | Self::Restore(t, ..)
            | Self::Variants(t, _)
            | Self::Paths(t, _) => Some(t),
        }
    }

    /// The operation that the next bytes stand for, so that a fuzzer can write a sequence.
    pub fn read(bytes: &mut impl Iterator<Item = u8>) -> Option<Self> {
        let kind = bytes.next()?;
        let mut next = || bytes.next().map(usize::from);
        // The values are bits of one byte, so that the fuzzer changes one value at a time.
        let place = |byte: usize| (byte & 1 | byte >> 6 & 2, (byte >> 1 & 0x3F) % PATHS.len());
        let few = |byte: usize| if byte < 192 { byte % 4 } else { byte % VARIANTS };
        let mode = |byte: u8| if byte & 0x80 == 0 { Mode::Hard } else { Mode::Soft };
        let (t, p) = place(next()?);
        Some(match kind & 0x1F {
            0..=2 => Self::Lookup(t, p, few(next()?)),
            3 => {
                let (other, v) = (next()? % PATHS.len(), few(next()?));
                Self::LookupMany(
                    t,
                    (0..20).map(|n| ([p, other][n % 2], (v + n) % VARIANTS)).collect(),
                )
            }
            4 | 5 => Self::Lease(t, p),
            6 | 7 => Self::Claim(t, p, few(next()?)),
            8..=12 => Self::Commit(next()?, few(next()?)),
            13 => Self::Drop(next()?),
            14..=17 => Self::Insert(t, p, few(next()?)),
            18 => Self::Remove(t, p, few(next()?), kind & 0x80 == 0),
            19 | 20 => Self::Purge(t, p, mode(kind)),
            21 if kind & 0x40 == 0 => Self::PurgeKeys(t, p, u64::from(bytes.next()?), mode(kind)),
            21 => Self::PurgeWidth(t, p, next()? % (VARIANTS / 2), mode(kind)),
            22 => Self::PurgeMany(t, vec![p, next()? % PATHS.len()], mode(kind)),
            23 | 24 => Self::PurgePrefix(t, p % PREFIXES.len(), mode(kind)),
            25 if kind & 0x40 == 0 => Self::FlushTenant(t, mode(kind)),
            25 => match next()? {
                0 => Self::RequestAll(t, mode(kind)),
                some if some & 1 == 0 => {
                    let others = (some >> 1) % (PATHS.len() + PREFIXES.len());
                    let width = (some & 0x80 != 0).then_some(p);
                    Self::Request(t, vec![p, others, p], width, mode(kind))
                }
                some => {
                    let other = (some >> 1) % PATHS.len();
                    Self::RequestUrls(t, vec![(p, 0), (other, some % 4), (p, 2)], mode(kind))
                }
            },
            26 if kind & 0x40 == 0 => Self::FlushAll(mode(kind)),
            26 => Self::Forget(t),
            27 => Self::Variants(t, p),
            28 => Self::Paths(t, p % PREFIXES.len()),
            29 => Self::InsertSome(t, p, next()? % (VARIANTS + 1)),
            30 if kind & 0x40 == 0 => match next()? % 8 {
                0 => Self::BeginRestore,
                1 => Self::EndRestore,
                steps => Self::Export(steps),
            },
            30 => Self::Restore(t, p, few(next()?), few(next()?)),
            31 if kind & 0x60 == 0 => {
                let (seconds, passed) = (next()? as u64, next()? as u64 / 8);
                Self::FlushOver((p & 1 == 0).then_some(t), seconds, passed, kind & 0x80 == 0)
            }
            31 if kind & 0x60 == 0x20 => Self::Wait(next()? as u64),
            31 if kind & 0x60 == 0x40 => Self::Claim(t, p, few(next()?)),
            _ => Self::Reclaim(next()? % 20),
        })
    }
}

enum Lease {
    Fill(FillLease<Value>),
    Claim(ClaimLease<Value>),
}

/// The index and the model, side by side.
pub struct Pair {
    index: CacheIndex<Value>,
    dead_values: DeadValues,
    names: Names,
    model: Model,
    /// By the number that the model has for a tenant. A forgotten tenant keeps its number, the next
    /// of its name gets another.
    tenants: Vec<Tenant>,
    /// The numbers of the tenants that have a name now, and those of the tenants that had it
    /// before.
    named: [usize; TENANTS],
    before: [usize; TENANTS],
    paths: Vec<OriginPath<'static>>,
    keys: Vec<VariantKey<'static>>,
    leases: BTreeMap<usize, Lease>,
    next_value: Value,
    clock: ManualClock,
    export: Option<copies::Export>,
    restore: Option<(Restore<Value>, usize)>,
    /// Whether the counts may lag behind a prefix purge.
    unsettled: bool,
}

/// The origin copy, and then two variants of each width, but that the narrowest has one.
fn key(names: Names, n: Variant) -> VariantKey<'static> {
    if n == 0 {
        return names.key("?");
    }
    let height = if n % 2 == 0 { "" } else { "h=9&" };
    names.key(&format!("?{height}w={}", n / 2))
}

/// The variants of a width.
fn of_width(width: usize) -> u64 {
    (0b11 << (2 * width)) & !1
}

impl Pair {
    pub fn new(shards: usize, dead_values: DeadValues, names: Names) -> Self {
        let clock = ManualClock::default();
        let config = Config::builder().shards(shards).dead_values(dead_values);
        let index = CacheIndex::new(config.manual_clock(&clock).build().unwrap());
        Self {
            tenants: (0..TENANTS).map(|n| index.tenant(&format!("tenant {n}"))).collect(),
            named: std::array::from_fn(|n| n),
            before: std::array::from_fn(|n| n),
            paths: PATHS.map(|text| names.path(text)).to_vec(),
            keys: (0..VARIANTS).map(|n| key(names, n)).collect(),
            index,
            dead_values,
            names,
            model: Model::default(),
            leases: BTreeMap::new(),
            next_value: 0,
            clock,
            export: None,
            restore: None,
            unsettled: false,
        }
    }

    fn value(&mut self) -> Value {
        self.next_value += 1;
        self.next_value
    }

    fn name(&self, n: usize) -> Option<usize> {
        let open = &self.model.open;
        (!open.is_empty()).then(|| open[n % open.len()].0)
    }

    /// The number of the tenant that an operation names.
    fn tenant(&self, handle: usize) -> usize {
        if handle < TENANTS { self.named[handle] } else { self.before[handle - TENANTS] }
    }

    fn forget(&mut self, handle: usize) {
        let t = self.tenant(handle);
        let receipt = self.index.forget_tenant(&self.tenants[t]);
        assert_eq!(self.index.forget_tenant(&self.tenants[t].clone()), receipt, "twice");
        self.model.forget(t);
        let slot = handle % TENANTS;
        let next = self.index.tenant(self.tenants[t].name());
        // An old handle must not forget the tenant that has its name now.
        assert_eq!(
            next == self.tenants[self.named[slot]],
            handle >= TENANTS && t != self.named[slot]
        );
        if !self.tenants.contains(&next) {
            (self.before[slot], self.named[slot]) = (t, self.tenants.len());
            self.tenants.push(next);
        }
    }

    pub fn run(&mut self, op: &Op) {
        if let Op::Forget(handle) = *op {
            return self.forget(handle);
        }
        let mut op = op.clone();
        if let Some(handle) = op.handle() {
            *handle = self.tenant(*handle);
        }
        self.run_numbered(&op);
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each operation")]
    fn run_numbered(&mut self, op: &Op) {
        match *op {
            Op::Forget(_) => unreachable!("what it names is a name"),
            Op::Lookup(t, p, v) => {
                let found = self.index.lookup(&self.tenants[t], &self.paths[p], &self.keys[v]);
                assert_eq!(as_found(found), self.model.lookup(t, p, v));
            }
            Op::LookupMany(t, ref variants) => {
                let keys: Vec<_> =
                    variants.iter().map(|(p, v)| (&self.paths[*p], &self.keys[*v])).collect();
                let found = self.index.lookup_many(&self.tenants[t], &keys);
                let expected = variants.iter().map(|(p, v)| self.model.lookup(t, *p, *v));
                assert!(found.into_iter().map(as_found).eq(expected), "{variants:?}");
            }
            Op::Lease(t, p) => {
                let lease = self.index.lease(&self.tenants[t], &self.paths[p]);
                self.leases.insert(self.model.lease(t, p), Lease::Fill(lease));
            }
            Op::Claim(t, p, v) => self.claim(t, p, v),
            Op::Commit(n, v) => self.commit(n, v),
            Op::Drop(n) => {
                let Some(name) = self.name(n) else { return };
                self.leases.remove(&name);
                self.model.close(name);
            }
            Op::Insert(t, p, v) => {
                let value = self.value();
                let key = &self.keys[v];
                let stored = self.index.insert(&self.tenants[t], &self.paths[p], key, value);
                assert_eq!(as_stored(stored, value), self.model.insert((t, p, v), value));
            }
            Op::InsertSome(t, p, count) => {
                (0..count).for_each(|v| self.run_numbered(&Op::Insert(t, p, v)));
            }
            Op::Remove(t, p, v, right) => {
                let expected = match (self.model.lookup(t, p, v), right) {
                    (Found::Live(value) | Found::Stale(value), true) => value,
                    _ => 0,
                };
                let key = &self.keys[v];
                let removed = self.index.remove(&self.tenants[t], &self.paths[p], key, &expected);
                assert_eq!(removed, self.model.remove((t, p, v), expected));
            }
            Op::Purge(t, p, mode) => {
                self.purge(t, p, Scope::Path(t, p), Selection::All, mode);
            }
            Op::PurgeKeys(t, p, picked, mode) => {
                let keys: Vec<_> = (0..VARIANTS)
                    .filter(|v| picked >> v & 1 == 1)
                    .map(|v| self.keys[v].clone())
                    .collect();
                self.purge(t, p, Scope::Variants(t, p, picked), Selection::Keys(&keys), mode);
            }
            Op::PurgeWidth(t, p, width, mode) => {
                let width_alone = format!("w={width}");
                let picked = [Rules::default().operations(&width_alone).unwrap()];
                // Opaque keys have no operations.
                let met = if self.names == Names::Canonical { of_width(width) } else { 0 };
                let scope = Scope::Variants(t, p, met);
                self.purge(t, p, scope, Selection::Operations(&picked), mode);
            }
            Op::PurgeMany(t, ref ps, mode) => self.purge_many(t, ps, mode),
            // A purge of one variant may end other variants early, which a forecast for each
            // entry does not know.
            Op::Request(t, _, _, Mode::Soft) | Op::RequestUrls(t, _, Mode::Soft)
                if self.model.is_mixed(t) => {}
            // Requests name canonical names.
            Op::Request(..) | Op::RequestUrls(..) if self.names != Names::Canonical => {}
            Op::Request(t, ref entries, width, mode) => self.request(t, entries, width, mode),
            Op::RequestUrls(t, ref variants, mode) => self.request_urls(t, variants, mode),
            Op::RequestAll(t, mode) => self.request_all(t, mode),
            Op::PurgePrefix(t, p, mode) => {
                let prefix = self.names.prefix(PREFIXES[p]);
                let receipt = match mode {
                    Mode::Hard => self.index.purge_prefix(&self.tenants[t], &prefix, Hard),
                    Mode::Soft => self.index.purge_prefix(&self.tenants[t], &prefix, Soft),
                };
                assert_eq!(receipt.widened(), None);
                self.model.invalidate(Scope::Prefix(t, PREFIXES[p]), mode);
                self.unsettled = true;
            }
            Op::FlushTenant(t, mode) => {
                match mode {
                    Mode::Hard => self.index.flush_tenant(&self.tenants[t], Hard),
                    Mode::Soft => self.index.flush_tenant(&self.tenants[t], Soft),
                };
                self.model.invalidate(Scope::Tenant(t), mode);
            }
            Op::FlushAll(mode) => {
                match mode {
                    Mode::Hard => self.index.flush_all(Hard),
                    Mode::Soft => self.index.flush_all(Soft),
                };
                self.model.invalidate(Scope::All, mode);
            }
            Op::FlushOver(t, seconds, passed, stale) => self.flush_over(t, seconds, passed, stale),
            Op::Wait(seconds) => {
                self.clock.advance(Duration::from_secs(seconds));
                self.model.advance(Duration::from_secs(seconds));
            }
            Op::Variants(t, p) => {
                let keys = self.index.variants(&self.tenants[t], &self.paths[p]);
                let keys: BTreeSet<_> = keys.into_iter().collect();
                let expected = self.model.variants(t, p);
                assert_eq!(keys, expected.iter().map(|v| self.keys[*v].clone()).collect());
            }
            Op::Paths(t, p) => {
                let prefix = self.names.prefix(PREFIXES[p]);
                let paths = self.index.paths(&self.tenants[t], &prefix);
                let paths: BTreeSet<_> = paths.into_iter().collect();
                let all = (0..PATHS.len()).filter(|path| PATHS[*path].starts_with(PREFIXES[p]));
                let cached = all.filter(|path| !self.model.variants(t, *path).is_empty());
                assert_eq!(paths, cached.map(|path| self.paths[path].clone()).collect());
            }
            Op::Reclaim(limit) => {
                self.reclaim(limit);
            }
            Op::Export(steps) => self.export_some(steps),
            Op::BeginRestore => {
                self.restore = Some((self.index.begin_restore(), self.model.begin_restore()));
            }
            Op::EndRestore => self.restore = None,
            Op::Restore(t, p, first, count) => self.restore_some(t, p, first, count),
        }
    }

    fn flush_over(&mut self, t: Option<usize>, seconds: u64, passed: u64, stale: bool) {
        let freshness = if stale { Freshness::Stale } else { Freshness::Live };
        let over = OverTime::new(Duration::from_secs(seconds)).serving(freshness);
        let over = over.resumed_at(Duration::from_secs(passed));
        let receipt = match t {
            Some(t) => self.index.flush_tenant_over(&self.tenants[t], over),
            None => self.index.flush_all_over(over),
        };
        let mut running = self.index.running_flushes().into_iter();
        let runs = running.any(|flush| flush.generation == receipt.generation());
        if !runs {
            // It has ended already, or the tenant is forgotten, or one more has no room.
            self.model.invalidate(t.map_or(Scope::All, Scope::Tenant), Mode::Hard);
            return;
        }
        let moments =
            self.paths.iter().map(|path| over.moment(path).saturating_sub(over.elapsed()));
        self.model.flush_over(t, &moments.collect::<Vec<_>>(), stale);
        self.unsettled = true;
    }

    fn claim(&mut self, t: usize, p: usize, v: Variant) {
        let value = self.value();
        let claim = self.index.claim(&self.tenants[t], &self.paths[p], &self.keys[v], value);
        let expected = self.model.claim((t, p, v), value);
        let lease = match (claim, expected) {
            (Claim::Live(value), Claimed::Live(expected))
            | (Claim::Stale { value, refresh: None }, Claimed::Stale(expected, None))
            | (Claim::Pending(value), Claimed::Pending(expected)) => {
                return assert_eq!(value, expected);
            }
            (Claim::Stale { value, refresh: Some(lease) }, Claimed::Stale(stale, Some(name))) => {
                assert_eq!(value, stale);
                (name, lease)
            }
            (Claim::Claimed(lease), Claimed::First(name)) => (name, lease),
            (claim, expected) => panic!("{claim:?} is not {expected:?}"),
        };
        let (name, lease) = lease;
        assert_eq!((lease.variant(), *lease.value()), (self.keys[v].clone(), value));
        self.leases.insert(name, Lease::Claim(lease));
    }

    fn commit(&mut self, n: usize, v: Variant) {
        let Some(name) = self.name(n) else { return };
        let value = self.value();
        let (stored, v, value) = match (self.leases.remove(&name).unwrap(), v % 2) {
            (Lease::Fill(lease), _) => (lease.commit(&self.keys[v], value), v, value),
            (Lease::Claim(lease), 0) => {
                let (v, value) = self.model.claims[&name];
                (lease.commit(), v, value)
            }
            (Lease::Claim(lease), _) => (lease.commit_as(&self.keys[v], value), v, value),
        };
        assert_eq!(as_stored(stored, value), self.model.commit(name, v, value));
    }

    fn purge(&mut self, t: usize, p: usize, scope: Scope, picked: Selection<'_>, mode: Mode) {
        let (tenant, path) = (&self.tenants[t], &self.paths[p]);
        let fills = self.model.valid_fills(t, p);
        let met = self.model.invalidate(scope, mode);
        match mode {
            Mode::Hard => {
                let gone = self.index.purge_selected(tenant, path, picked, Hard);
                assert_eq!(gone.overtaken_fills(), fills);
                assert_eq!(gone.len(), met.len());
                let gone: BTreeSet<_> = gone.into_iter().collect();
                let met = met.into_iter().map(|(v, value)| (self.keys[v].clone(), value));
                assert_eq!(gone, met.collect());
            }
            Mode::Soft => {
                let softened = self.index.purge_selected(tenant, path, picked, Soft);
                assert_eq!(softened.overtaken_fills(), fills);
                assert_eq!(softened.len(), met.len());
            }
        }
    }

    fn purge_many(&mut self, t: usize, ps: &[usize], mode: Mode) {
        let paths: Vec<_> = ps.iter().map(|p| self.paths[*p].clone()).collect();
        // One path after the other, in the model as in the index. A path that is named twice has no
        // entries the second time.
        let mut expected = Vec::new();
        for p in ps {
            let fills = self.model.valid_fills(t, *p);
            expected.push((self.model.invalidate(Scope::Path(t, *p), mode).len(), fills));
        }
        let tenant = &self.tenants[t];
        let purged: Vec<_> = match mode {
            Mode::Hard => {
                let gone = self.index.purge_many(tenant, &paths, Hard);
                gone.iter().map(|gone| (gone.len(), gone.overtaken_fills())).collect()
            }
            Mode::Soft => {
                let softened = self.index.purge_many(tenant, &paths, Soft);
                softened.iter().map(|s| (s.len(), s.overtaken_fills())).collect()
            }
        };
        assert_eq!(purged, expected);
    }

    /// A reclaimed entry must have died, and must not have been returned before.
    fn reclaim(&mut self, limit: usize) -> bool {
        let reclaimed = self.index.reclaim(limit);
        let done = reclaimed.is_done();
        assert!(reclaimed.len() <= limit);
        // While a flush over time runs, entries die without being counted.
        self.unsettled &= !done || self.index.stats().running_flushes > 0;
        for dead in reclaimed {
            assert!(self.model.dead.remove(&dead.value), "{dead:?} wasn't dead, or came twice");
        }
        done
    }

    pub fn check_totals(&self) {
        let stats = self.index.stats();
        let (live, stale, paths) = self.model.counts();
        if self.unsettled {
            // Entries killed by a prefix purge are counted as before until the sweep reaches them.
            let (of_index, of_model) =
                (stats.live + stats.stale + stats.dead, live + stale + self.model.dead.len());
            match self.dead_values {
                DeadValues::Queue => assert_eq!(of_index, of_model),
                DeadValues::Drop => assert!(of_index <= of_model),
            }
        } else {
            assert_eq!((stats.live, stats.stale, stats.paths), (live, stale, paths));
            match self.dead_values {
                DeadValues::Queue => assert_eq!(stats.dead, self.model.dead.len()),
                DeadValues::Drop => assert!(stats.dead <= self.model.dead.len()),
            }
        }
        assert_eq!(stats.open_leases, self.model.open.len());
        assert_eq!(stats.open_claims, self.model.claims.len());
        assert_eq!(stats.refused_purged, self.model.refused_purged);
        assert_eq!(stats.refused_flushed, self.model.refused_flushed);
        assert_eq!(stats.refused_forgotten, self.model.refused_forgotten);
        // All handles are in here.
        let forgotten = self.tenants.len() - TENANTS;
        assert_eq!((stats.tenants, stats.forgotten_tenants), (TENANTS, forgotten));
        assert_eq!(stats.purges, self.model.purges);
    }

    pub fn finish(mut self) {
        self.export_all();
        // Both may hold the handle of a tenant.
        (self.export, self.restore) = (None, None);
        #[cfg(fuzzing)]
        self.index.check_invariants();
        self.run_numbered(&Op::Wait(1000));
        while !self.reclaim(7) {}
        if self.dead_values == DeadValues::Queue {
            assert_eq!(self.model.dead, BTreeSet::new(), "dead values that never came out");
        }
        self.check_totals();
        assert_eq!((self.index.stats().dead, self.index.stats().running_flushes), (0, 0));
        assert_eq!(self.index.stats().prefix_rules, 0, "rules that nothing needs any more");
        for t in 0..self.tenants.len() {
            for p in 0..PATHS.len() {
                for v in 0..VARIANTS {
                    self.run_numbered(&Op::Lookup(t, p, v));
                }
            }
        }
        #[cfg(fuzzing)]
        self.index.check_invariants();
        self.leases.clear();
        self.tenants.clear();
        assert_eq!(self.index.stats().forgotten_tenants, 0, "something is left of one");
    }
}

fn as_found(lookup: Lookup<Value>) -> Found {
    match lookup {
        Lookup::Live(value) => Found::Live(value),
        Lookup::Stale(value) => Found::Stale(value),
        Lookup::Miss => Found::Miss,
    }
}

fn as_stored(insertion: Insertion<Value>, value: Value) -> Stored {
    match insertion {
        Insertion::Stored(stored) => Stored::Stored {
            stale: stored.freshness == Freshness::Stale,
            replaced: stored.replaced,
        },
        Insertion::Refused(refused) => {
            assert_eq!(refused.value, value, "another value came back");
            Stored::Refused(refused.reason)
        }
    }
}
