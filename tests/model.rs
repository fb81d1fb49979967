//! Sequences of operations, on the index and on the reference model: every outcome must be the same.
//!
//! `PROPTEST_CASES=100000 cargo test --release --test model` runs the long form.

mod common;

use cache_index::{
    CacheIndex, Config, DeadValues, FillLease, Freshness, Hard, Insertion, Lookup, OriginPath,
    PathPrefix, Soft, Tenant, VariantKey,
};
use common::model::{Found, Mode, Model, PATHS, PREFIXES, Scope, Stored, Value};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const TENANTS: usize = 2;
const VARIANTS: usize = 24;

#[derive(Clone, Debug)]
enum Op {
    Lookup(usize, usize, usize),
    Lease(usize, usize),
    /// Which of the open leases, counted from the oldest and around.
    Commit(usize, usize),
    Drop(usize),
    Insert(usize, usize, usize),
    /// With the value that is there, or with another.
    Remove(usize, usize, usize, bool),
    Purge(usize, usize, Mode),
    PurgeMany(usize, Vec<usize>, Mode),
    PurgePrefix(usize, usize, Mode),
    FlushTenant(usize, Mode),
    FlushAll(Mode),
    Variants(usize, usize),
    Paths(usize, usize),
    Reclaim(usize),
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![3 => Just(Mode::Hard), 2 => Just(Mode::Soft)]
}

fn op() -> impl Strategy<Value = Op> {
    let (t, p) = (0..TENANTS, 0..PATHS.len());
    // Few variants as a rule, so that they meet; now and then enough of them for the set to change its form.
    let v = || prop_oneof![4 => 0..4_usize, 1 => 0..VARIANTS];
    prop_oneof![
        6 => (t.clone(), p.clone(), v()).prop_map(|(t, p, v)| Op::Lookup(t, p, v)),
        4 => (t.clone(), p.clone()).prop_map(|(t, p)| Op::Lease(t, p)),
        6 => (any::<usize>(), v()).prop_map(|(n, v)| Op::Commit(n, v)),
        1 => any::<usize>().prop_map(Op::Drop),
        6 => (t.clone(), p.clone(), v()).prop_map(|(t, p, v)| Op::Insert(t, p, v)),
        2 => (t.clone(), p.clone(), v(), any::<bool>())
            .prop_map(|(t, p, v, right)| Op::Remove(t, p, v, right)),
        3 => (t.clone(), p.clone(), mode()).prop_map(|(t, p, m)| Op::Purge(t, p, m)),
        1 => (t.clone(), proptest::collection::vec(p.clone(), 0..4), mode())
            .prop_map(|(t, ps, m)| Op::PurgeMany(t, ps, m)),
        2 => (t.clone(), 0..PREFIXES.len(), mode())
            .prop_map(|(t, p, m)| Op::PurgePrefix(t, p, m)),
        1 => (t.clone(), mode()).prop_map(|(t, m)| Op::FlushTenant(t, m)),
        1 => mode().prop_map(Op::FlushAll),
        1 => (t.clone(), p).prop_map(|(t, p)| Op::Variants(t, p)),
        1 => (t, 0..PREFIXES.len()).prop_map(|(t, p)| Op::Paths(t, p)),
        1 => (0..20_usize).prop_map(Op::Reclaim),
    ]
}

/// The index and the model, side by side.
struct Pair {
    index: CacheIndex<Value>,
    dead_values: DeadValues,
    model: Model,
    tenants: Vec<Tenant>,
    paths: Vec<OriginPath<'static>>,
    keys: Vec<VariantKey<'static>>,
    leases: BTreeMap<usize, FillLease<Value>>,
    next_value: Value,
    /// Whether the counts may lag behind a prefix purge.
    unsettled: bool,
}

impl Pair {
    fn new(shards: usize, dead_values: DeadValues) -> Self {
        let config = Config::builder().shards(shards).dead_values(dead_values).build().unwrap();
        let index = CacheIndex::new(config);
        Self {
            tenants: (0..TENANTS).map(|n| index.tenant(&format!("tenant {n}"))).collect(),
            paths: PATHS.map(common::path).to_vec(),
            keys: (0..VARIANTS).map(|n| common::variant(&format!("?w={n}"))).collect(),
            index,
            dead_values,
            model: Model::default(),
            leases: BTreeMap::new(),
            next_value: 0,
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

    fn run(&mut self, op: &Op) {
        match *op {
            Op::Lookup(t, p, v) => {
                let found = self.index.lookup(&self.tenants[t], &self.paths[p], &self.keys[v]);
                assert_eq!(as_found(found), self.model.lookup(t, p, v));
            }
            Op::Lease(t, p) => {
                let lease = self.index.lease(&self.tenants[t], &self.paths[p]);
                self.leases.insert(self.model.lease(t, p), lease);
            }
            Op::Commit(n, v) => {
                let Some(name) = self.name(n) else { return };
                let value = self.value();
                let lease = self.leases.remove(&name).unwrap();
                let stored = lease.commit(&self.keys[v], value);
                assert_eq!(as_stored(stored, value), self.model.commit(name, v, value));
            }
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
            Op::Remove(t, p, v, right) => {
                let expected = match (self.model.lookup(t, p, v), right) {
                    (Found::Live(value) | Found::Stale(value), true) => value,
                    _ => 0,
                };
                let key = &self.keys[v];
                let removed = self.index.remove(&self.tenants[t], &self.paths[p], key, &expected);
                assert_eq!(removed, self.model.remove((t, p, v), expected));
            }
            Op::Purge(t, p, mode) => self.purge(t, p, mode),
            Op::PurgeMany(t, ref ps, mode) => self.purge_many(t, ps, mode),
            Op::PurgePrefix(t, p, mode) => {
                let prefix = PathPrefix::from_canonical(PREFIXES[p]).unwrap();
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
            Op::Variants(t, p) => {
                let keys = self.index.variants(&self.tenants[t], &self.paths[p]);
                let keys: BTreeSet<_> = keys.into_iter().collect();
                let expected = self.model.variants(t, p);
                assert_eq!(keys, expected.iter().map(|v| self.keys[*v].clone()).collect());
            }
            Op::Paths(t, p) => {
                let prefix = PathPrefix::from_canonical(PREFIXES[p]).unwrap();
                let paths = self.index.paths(&self.tenants[t], &prefix);
                let paths: BTreeSet<_> = paths.into_iter().collect();
                let all = (0..PATHS.len()).filter(|path| PATHS[*path].starts_with(PREFIXES[p]));
                let cached = all.filter(|path| !self.model.variants(t, *path).is_empty());
                assert_eq!(paths, cached.map(|path| self.paths[path].clone()).collect());
            }
            Op::Reclaim(limit) => {
                self.reclaim(limit);
            }
        }
    }

    fn purge(&mut self, t: usize, p: usize, mode: Mode) {
        let (tenant, path) = (&self.tenants[t], &self.paths[p]);
        let fills = self.model.valid_fills(t, p);
        let met = self.model.invalidate(Scope::Path(t, p), mode);
        match mode {
            Mode::Hard => {
                let gone = self.index.purge(tenant, path, Hard);
                assert_eq!(gone.voided_fills(), fills);
                assert_eq!(gone.len(), met.len());
                let gone: BTreeSet<_> = gone.into_iter().collect();
                let met = met.into_iter().map(|(v, value)| (self.keys[v].clone(), value));
                assert_eq!(gone, met.collect());
            }
            Mode::Soft => {
                let softened = self.index.purge(tenant, path, Soft);
                assert_eq!(softened.overtaken_fills(), fills);
                assert_eq!(softened.len(), met.len());
            }
        }
    }

    fn purge_many(&mut self, t: usize, ps: &[usize], mode: Mode) {
        let paths: Vec<_> = ps.iter().map(|p| self.paths[*p].clone()).collect();
        // One path after the other, in the model as in the index; a path named twice has nothing left the second time.
        let mut expected = Vec::new();
        for p in ps {
            let fills = self.model.valid_fills(t, *p);
            expected.push((self.model.invalidate(Scope::Path(t, *p), mode).len(), fills));
        }
        let tenant = &self.tenants[t];
        let purged: Vec<_> = match mode {
            Mode::Hard => {
                let gone = self.index.purge_many(tenant, &paths, Hard);
                gone.iter().map(|gone| (gone.len(), gone.voided_fills())).collect()
            }
            Mode::Soft => {
                let softened = self.index.purge_many(tenant, &paths, Soft);
                softened.iter().map(|s| (s.len(), s.overtaken_fills())).collect()
            }
        };
        assert_eq!(purged, expected);
    }

    /// What comes out must have died and must not have come out before.
    fn reclaim(&mut self, limit: usize) -> bool {
        let reclaimed = self.index.reclaim(limit);
        let done = reclaimed.is_done();
        assert!(reclaimed.len() <= limit);
        self.unsettled &= !done;
        for dead in reclaimed {
            assert!(self.model.dead.remove(&dead.value), "{dead:?} wasn't dead, or came twice");
        }
        done
    }

    fn check_totals(&self) {
        let stats = self.index.stats();
        let (live, stale, paths) = self.model.counts();
        if self.unsettled {
            // What a prefix purge reached counts as before until it is come across.
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
        assert_eq!(stats.refused_purged, self.model.refused_purged);
        assert_eq!(stats.refused_flushed, self.model.refused_flushed);
        assert_eq!(stats.purges, self.model.purges);
    }

    fn finish(mut self) {
        while !self.reclaim(7) {}
        if self.dead_values == DeadValues::Queue {
            assert_eq!(self.model.dead, BTreeSet::new(), "dead values that never came out");
        }
        self.check_totals();
        assert_eq!(self.index.stats().dead, 0);
        assert_eq!(self.index.stats().prefix_rules, 0, "rules that nothing needs any more");
        for t in 0..TENANTS {
            for p in 0..PATHS.len() {
                for v in 0..VARIANTS {
                    self.run(&Op::Lookup(t, p, v));
                }
            }
        }
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

proptest! {
    #[test]
    fn every_outcome_is_the_models(
        shards in prop_oneof![Just(1), Just(2), Just(64)],
        dead_values in prop_oneof![Just(DeadValues::Queue), Just(DeadValues::Drop)],
        ops in proptest::collection::vec(op(), 1..120),
    ) {
        let mut pair = Pair::new(shards, dead_values);
        for op in &ops {
            pair.run(op);
            pair.check_totals();
        }
        pair.finish();
    }
}
