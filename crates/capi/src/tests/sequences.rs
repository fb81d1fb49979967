//! Random sequences of calls, on the index through C and on the reference model: every answer must
//! be the same. `CI_SEQUENCES=100000 cargo test --release -p cache-index-capi sequences` runs the
//! long form.

#[allow(dead_code, unreachable_pub, reason = "shared with the tests of the index")]
#[path = "../../../../tests/common/model.rs"]
mod model;

use super::calls::{Owned, index, key, path, read, rules, sized_struct, stats, tenant, text};
use crate::*;
use fastrand::Rng;
use model::{Claimed, Found, Mode, Model, PATHS, PREFIXES, Scope, Stored};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::c_int;
use std::ptr::null_mut;

const TENANTS: usize = 2;
/// More than a small set of variants holds.
const VARIANTS: usize = 24;
const STEPS: usize = 120;

struct Pair {
    rng: Rng,
    model: Model,
    leases: BTreeMap<usize, Owned<ci_lease>>,
    next_value: u64,
    /// A prefix purge whose dead entries the statistics may not know yet.
    unsettled: bool,
    queue_dead: bool,
    paths: Vec<Owned<ci_path>>,
    keys: Vec<Owned<ci_key>>,
    key_texts: Vec<String>,
    rules: Owned<ci_rules>,
    /// Before the index, as they must not be used after it.
    tenants: Vec<Owned<ci_tenant>>,
    index: Owned<ci_index>,
}

fn key_text(variant: usize) -> String {
    // Half of them with a width that a purge of `w=1` or `w=2` selects.
    if variant % 2 == 0 {
        format!("?h={variant}&w={}", variant % 4 + 1)
    } else {
        format!("?h={variant}")
    }
}

fn found(code: c_int, value: u64) -> Found {
    match code {
        CI_MISS => Found::Miss,
        CI_LIVE => Found::Live(value),
        CI_STALE => Found::Stale(value),
        other => panic!("{other}"),
    }
}

impl Pair {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let queue_dead = rng.bool();
        let index = index([1, 2, 64][rng.usize(..3)], queue_dead);
        let key_texts: Vec<_> = (0..VARIANTS).map(key_text).collect();
        Self {
            rng,
            model: Model::default(),
            leases: BTreeMap::new(),
            next_value: 0,
            unsettled: false,
            queue_dead,
            paths: PATHS.iter().map(|name| path(name)).collect(),
            keys: key_texts.iter().map(|name| key(name)).collect(),
            key_texts,
            rules: rules(false),
            tenants: ["doc", "other"].map(|name| tenant(&index, name)).into(),
            index,
        }
    }

    fn path(&mut self) -> (usize, usize) {
        (self.rng.usize(..TENANTS), self.rng.usize(..PATHS.len()))
    }

    /// Few variants as a rule, so that they meet.
    fn variant(&mut self) -> usize {
        if self.rng.u8(..5) == 0 { self.rng.usize(..VARIANTS) } else { self.rng.usize(..4) }
    }

    fn mode(&mut self) -> (Mode, c_int) {
        if self.rng.bool() { (Mode::Hard, CI_HARD) } else { (Mode::Soft, CI_SOFT) }
    }

    fn value(&mut self) -> u64 {
        self.next_value += 1;
        self.next_value
    }

    fn step(&mut self) {
        match self.rng.u8(..40) {
            0..=7 => self.lookup(),
            8..=9 => self.lookup_many(),
            10..=12 => self.lease(),
            13..=14 => self.claim(),
            15..=20 => self.commit(),
            21 => self.free_lease(),
            22..=27 => self.insert(),
            28..=29 => self.remove(),
            30..=33 => self.purge(),
            34 => self.prefix(),
            35 => self.flush(),
            36..=37 => self.list(),
            _ => {
                let limit = 1 + self.rng.usize(..20);
                self.reclaim(limit);
            }
        }
        self.check_totals();
    }

    fn lookup(&mut self) {
        let ((t, p), v) = (self.path(), self.variant());
        let (index, tenant, error) = (self.index.0, self.tenants[t].0, null_mut());
        let (mut value, mut prepared) = (u64::MAX, u64::MAX);
        // SAFETY: all handles and texts are valid.
        let codes = unsafe {
            let (path, key) = (text(PATHS[p]), text(&self.key_texts[v]));
            let code = ci_lookup(index, tenant, path, key, &raw mut value, error);
            let (path, key) = (self.paths[p].0, self.keys[v].0);
            (code, ci_lookup_prepared(index, tenant, path, key, &raw mut prepared, error))
        };
        assert_eq!(found(codes.0, value), self.model.lookup(t, p, v));
        assert_eq!((codes.1, prepared), (codes.0, value));
    }

    fn lookup_many(&mut self) {
        let t = self.rng.usize(..TENANTS);
        let wanted: Vec<_> =
            (0..self.rng.usize(..40)).map(|_| (self.path().1, self.variant())).collect();
        let names = wanted
            .iter()
            .map(|(p, v)| ci_name { path: text(PATHS[*p]), variant: text(&self.key_texts[*v]) });
        let names: Vec<_> = names.collect();
        let mut answers = vec![ci_found { value: 0, state: -1 }; names.len()];
        let (index, tenant) = (self.index.0, self.tenants[t].0);
        // SAFETY: all handles and texts are valid, and there is room for all answers.
        let code = unsafe {
            let (names, out) = (names.as_ptr(), answers.as_mut_ptr());
            ci_lookup_many(index, tenant, names, wanted.len(), out, null_mut())
        };
        assert_eq!(code, CI_OK);
        let answers = answers.into_iter().map(|answer| found(answer.state, answer.value));
        assert!(answers.eq(wanted.iter().map(|(p, v)| self.model.lookup(t, *p, *v))));
    }

    fn lease(&mut self) {
        let (t, p) = self.path();
        let (mut lease, prepared) = (null_mut(), self.rng.bool());
        let (index, tenant, error) = (self.index.0, self.tenants[t].0, null_mut());
        // SAFETY: all handles and texts are valid.
        let code = unsafe {
            if prepared {
                ci_lease_take_prepared(index, tenant, self.paths[p].0, &raw mut lease, error)
            } else {
                ci_lease_take(index, tenant, text(PATHS[p]), &raw mut lease, error)
            }
        };
        assert_eq!(code, CI_OK);
        self.leases.insert(self.model.lease(t, p), Owned(lease, ci_lease_free));
    }

    fn claim(&mut self) {
        let ((t, p), v, value) = (self.path(), self.variant(), self.value());
        let (mut found, mut lease) = (u64::MAX, null_mut());
        let (index, tenant) = (self.index.0, self.tenants[t].0);
        let (path, key) = (text(PATHS[p]), text(&self.key_texts[v]));
        // SAFETY: all handles and texts are valid.
        let code = unsafe {
            let (found, lease) = (&raw mut found, &raw mut lease);
            ci_claim(index, tenant, path, key, value, found, lease, null_mut())
        };
        let (expected, name) = match self.model.claim((t, p, v), value) {
            Claimed::Live(value) => ((CI_LIVE, value), None),
            Claimed::Stale(value, name) => ((CI_STALE, value), name),
            Claimed::Pending(value) => ((CI_PENDING, value), None),
            Claimed::First(name) => ((CI_CLAIMED, value), Some(name)),
        };
        assert_eq!(((code, found), lease.is_null()), (expected, name.is_none()));
        if let Some(name) = name {
            self.leases.insert(name, Owned(lease, ci_lease_free));
        }
    }

    fn commit_claimed(&mut self, name: usize) {
        let (v, value) = self.model.claims[&name];
        let lease = self.leases.remove(&name).unwrap();
        let mut out = sized_struct::<ci_commit>();
        // SAFETY: all handles are valid.
        let code = unsafe { ci_lease_commit_claimed(lease.0, &raw mut out, null_mut()) };
        assert_eq!(stored(code, &out), expected(self.model.commit(name, v, value)));
    }

    fn open_lease(&mut self) -> Option<usize> {
        let names: Vec<_> = self.leases.keys().copied().collect();
        self.rng.choice(names)
    }

    fn commit(&mut self) {
        let Some(name) = self.open_lease() else { return };
        if self.model.claims.contains_key(&name) && self.rng.bool() {
            return self.commit_claimed(name);
        }
        let (v, value) = (self.variant(), self.value());
        let lease = self.leases.remove(&name).unwrap();
        let mut out = sized_struct::<ci_commit>();
        let prepared = self.rng.bool();
        let (again, key) = (text("?w=1"), text(&self.key_texts[v]));
        // SAFETY: all handles and texts are valid.
        let (code, closed) = unsafe {
            let code = if prepared {
                let key = self.keys[v].0;
                ci_lease_commit_prepared(lease.0, key, value, &raw mut out, null_mut())
            } else {
                ci_lease_commit(lease.0, key, value, &raw mut out, null_mut())
            };
            (code, ci_lease_commit(lease.0, again, value, null_mut(), null_mut()))
        };
        assert_eq!(closed, CI_ERR_CLOSED);
        assert_eq!(stored(code, &out), expected(self.model.commit(name, v, value)));
    }

    fn free_lease(&mut self) {
        let Some(name) = self.open_lease() else { return };
        self.leases.remove(&name);
        self.model.close(name);
    }

    fn insert(&mut self) {
        let ((t, p), v, value) = (self.path(), self.variant(), self.value());
        let mut out = sized_struct::<ci_commit>();
        let (path, key) = (text(PATHS[p]), text(&self.key_texts[v]));
        let (index, tenant) = (self.index.0, self.tenants[t].0);
        // SAFETY: all handles and texts are valid.
        let code = unsafe { ci_insert(index, tenant, path, key, value, &raw mut out, null_mut()) };
        assert_eq!(stored(code, &out), expected(self.model.insert((t, p, v), value)));
    }

    fn remove(&mut self) {
        let ((t, p), v) = (self.path(), self.variant());
        let there = match self.model.lookup(t, p, v) {
            Found::Live(value) | Found::Stale(value) if self.rng.bool() => value,
            _ => 0,
        };
        let (path, key) = (text(PATHS[p]), text(&self.key_texts[v]));
        let (index, tenant) = (self.index.0, self.tenants[t].0);
        // SAFETY: all handles and texts are valid.
        let code = unsafe { ci_remove(index, tenant, path, key, there, null_mut()) };
        assert_eq!(code == 1, self.model.remove((t, p, v), there).is_some());
    }

    fn purge(&mut self) {
        let ((t, p), (mode, c_mode), kind) = (self.path(), self.mode(), self.rng.u8(..3));
        let picked: u64 = match kind {
            0 => u64::MAX,
            1 => self.rng.u64(1..1 << VARIANTS),
            _ => (0..VARIANTS).filter(|v| key_text(*v).ends_with("w=1")).map(|v| 1 << v).sum(),
        };
        let fills = self.model.valid_fills(t, p);
        let scope = if kind == 0 { Scope::Path(t, p) } else { Scope::Variants(t, p, picked) };
        let met = self.model.invalidate(scope, mode);
        let keys = (0..VARIANTS).filter(|v| picked >> v & 1 == 1).map(|v| text(&self.key_texts[v]));
        let (keys, width) = (keys.collect::<Vec<_>>(), [text("?width=1")]);
        let (mut out, mut entries) = (sized_struct::<ci_purged>(), null_mut());
        let (index, tenant, path) = (self.index.0, self.tenants[t].0, text(PATHS[p]));
        let (o, e, error) = (&raw mut out, &raw mut entries, null_mut());
        // SAFETY: all handles and texts are valid.
        let code = unsafe {
            let (keys, count, width) = (keys.as_ptr(), keys.len(), width.as_ptr());
            match kind {
                0 => ci_purge(index, tenant, path, c_mode, o, e, error),
                1 => ci_purge_variants(index, tenant, path, keys, count, c_mode, o, e, error),
                _ => {
                    let rules = self.rules.0;
                    ci_purge_operations(index, tenant, path, rules, width, 1, c_mode, o, e, error)
                }
            }
        };
        assert_eq!(code, CI_OK);
        assert_eq!((out.variants, out.overtaken_fills), (met.len(), fills));
        let gone: BTreeSet<_> = read(entries).into_iter().map(|(_, key, v)| (key, v)).collect();
        let met = met.into_iter().map(|(v, value)| (self.key_texts[v].clone(), value));
        assert_eq!(gone, if mode == Mode::Hard { met.collect() } else { BTreeSet::new() });
    }

    fn prefix(&mut self) {
        let (t, prefix) = (self.rng.usize(..TENANTS), PREFIXES[self.rng.usize(..PREFIXES.len())]);
        let (mode, c_mode) = self.mode();
        let (index, tenant) = (self.index.0, self.tenants[t].0);
        let (mut out, error) = (sized_struct::<ci_purged>(), null_mut());
        // SAFETY: all handles and texts are valid.
        let code =
            unsafe { ci_purge_prefix(index, tenant, text(prefix), c_mode, &raw mut out, error) };
        assert_eq!((code, out.widened), (CI_OK, 0));
        self.model.invalidate(Scope::Prefix(t, prefix), mode);
        self.unsettled = true;
    }

    fn flush(&mut self) {
        let (t, (mode, c_mode)) = (self.rng.usize(..=TENANTS), self.mode());
        let tenant = self.tenants.get(t).map_or(null_mut(), |tenant| tenant.0);
        let scope = if t < TENANTS { Scope::Tenant(t) } else { Scope::All };
        // SAFETY: all handles are valid.
        let code = unsafe { ci_flush(self.index.0, tenant, c_mode, null_mut(), null_mut()) };
        assert_eq!(code, CI_OK);
        self.model.invalidate(scope, mode);
    }

    fn list(&mut self) {
        let ((t, p), prefix) = (self.path(), PREFIXES[self.rng.usize(..PREFIXES.len())]);
        let (mut variants, mut paths) = (null_mut(), null_mut());
        let (index, tenant) = (self.index.0, self.tenants[t].0);
        // SAFETY: all handles and texts are valid.
        let codes = unsafe {
            let path = text(PATHS[p]);
            let code = ci_variants(index, tenant, path, &raw mut variants, null_mut());
            (code, ci_paths(index, tenant, text(prefix), &raw mut paths, null_mut()))
        };
        assert_eq!(codes, (CI_OK, CI_OK));
        let variants: BTreeSet<_> = read(variants).into_iter().map(|(_, key, _)| key).collect();
        let known = self.model.variants(t, p);
        assert_eq!(variants, known.iter().map(|v| self.key_texts[*v].clone()).collect());
        let paths: BTreeSet<_> = read(paths).into_iter().map(|(path, ..)| path).collect();
        let cached = (0..PATHS.len()).filter(|path| PATHS[*path].starts_with(prefix));
        let cached = cached.filter(|path| !self.model.variants(t, *path).is_empty());
        assert_eq!(paths, cached.map(|path| PATHS[path].to_owned()).collect());
    }

    fn reclaim(&mut self, limit: usize) -> bool {
        let mut entries = null_mut();
        // SAFETY: all handles are valid.
        let code = unsafe { ci_reclaim(self.index.0, limit, &raw mut entries, null_mut()) };
        assert!(code == 0 || code == 1, "{code}");
        let dead = read(entries);
        assert!(dead.len() <= limit);
        for (path, key, value) in dead {
            assert!(PATHS.contains(&&*path) && self.key_texts.contains(&key));
            assert!(self.model.dead.remove(&value), "{value} wasn't dead, or came twice");
        }
        self.unsettled &= code == 0;
        code == 1
    }

    fn check_totals(&self) {
        let (stats, (live, stale, paths)) = (stats(&self.index), self.model.counts());
        if !self.unsettled {
            let of_model = (live as u64, stale as u64, paths as u64);
            assert_eq!((stats.live, stats.stale, stats.paths), of_model);
            let dead = self.model.dead.len() as u64;
            assert!(if self.queue_dead { stats.dead == dead } else { stats.dead <= dead });
        }
        assert_eq!(stats.open_leases, self.model.open.len() as u64);
        let refused = (self.model.refused_purged, self.model.refused_flushed);
        assert_eq!((stats.refused_purged, stats.refused_flushed), refused);
        assert_eq!(stats.purges, self.model.purges);
    }

    fn finish(mut self) {
        while !self.reclaim(7) {}
        self.check_totals();
        if self.queue_dead {
            assert!(self.model.dead.is_empty(), "dead values that never came out");
        }
    }
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Stored { stale: bool, replaced: Option<u64> },
    Refused(c_int),
}

fn stored(code: c_int, out: &ci_commit) -> Outcome {
    assert_eq!(out.has_evicted, 0);
    match code {
        CI_REFUSED => Outcome::Refused(out.reason),
        CI_STORED | CI_STORED_STALE => {
            assert_eq!(out.reason, CI_REASON_NONE);
            let replaced = (out.has_replaced == 1).then_some(out.replaced);
            Outcome::Stored { stale: code == CI_STORED_STALE, replaced }
        }
        other => panic!("{other}"),
    }
}

fn expected(stored: Stored) -> Outcome {
    match stored {
        Stored::Stored { stale, replaced } => Outcome::Stored { stale, replaced },
        Stored::Refused(refusal) => Outcome::Refused(lease_reason(refusal)),
    }
}

fn lease_reason(refusal: cache_index::Refusal) -> c_int {
    crate::lease::reason(refusal)
}

#[test]
fn every_answer_is_the_models() {
    let sequences = std::env::var("CI_SEQUENCES").map_or(200, |n| n.parse().expect("a number"));
    for seed in 0..sequences {
        let mut pair = Pair::new(seed);
        (0..STEPS).for_each(|_| pair.step());
        pair.finish();
    }
}
