//! Random histories with crashes, and an oracle that says what may be found afterwards.
//!
//! The oracle is a list of everything that was stored and everything that was invalidated, in
//! order. It knows nothing of files.

use crate::sim::Sim;
use cache_index::canonical::Rules;
use cache_index::{
    Config, Freshness, Hard, Lookup, OriginPath, OverTime, PathPrefix, Selection, Severity, Soft,
    Tenant, VariantKey,
};
use cache_index_persist::{Durability, PersistConfig, Persistent, Recovery};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const TENANTS: [&str; 2] = ["doc", "other"];
pub(crate) const PATHS: [&str; 5] = ["a/1.jpg", "a/2.jpg", "a/b/1.jpg", "c/1.jpg", "d.jpg"];
pub(crate) const PREFIXES: [&str; 3] = ["a/", "a/b/", "c"];
pub(crate) const KEYS: [&str; 3] = ["?", "?w=200", "?h=100&w=200"];

/// (tenant, path, key), by their places in the lists above.
type Name = (usize, usize, usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Path(usize, usize),
    Key(usize, usize, usize),
    /// `?w=200`
    Operations(usize, usize),
    Prefix(usize, usize),
    Tenant(usize),
    All,
    /// Over an hour, which no history takes. A restart ends them, so that for the oracle, which
    /// looks after restarts, they are hard flushes.
    TenantOver(usize, Freshness),
    AllOver(Freshness),
}

impl Scope {
    fn covers(self, (tenant, path, key): Name) -> bool {
        match self {
            Self::Path(t, p) => (t, p) == (tenant, path),
            Self::Key(t, p, k) => (t, p, k) == (tenant, path, key),
            Self::Operations(t, p) => (t, p) == (tenant, path) && key > 0,
            Self::Prefix(t, p) => t == tenant && PATHS[path].starts_with(PREFIXES[p]),
            Self::Tenant(t) | Self::TenantOver(t, _) => t == tenant,
            Self::All | Self::AllOver(_) => true,
        }
    }
}

/// The known state of an invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    /// The call had not returned, or said that nothing is promised.
    Nothing,
    Written,
    Durable,
}

#[derive(Clone, Copy, Debug)]
struct Invalidation {
    at: u64,
    scope: Scope,
    severity: Severity,
    known: Known,
}

#[derive(Clone, Copy, Debug)]
struct Fill {
    at: u64,
    name: Name,
}

/// Everything that happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Oracle {
    now: u64,
    fills: BTreeMap<u64, Fill>,
    invalidations: Vec<Invalidation>,
    last_incarnation: u64,
    /// The minimum content of the last complete snapshot: values that were current when it began.
    saved: BTreeMap<Name, u64>,
    current: BTreeMap<Name, u64>,
    next_value: u64,
    pub(crate) acknowledged: u64,
}

/// The kind of a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    Killed,
    PowerLost,
}

pub(crate) type Cache = Persistent<u64>;

pub(crate) fn config() -> PersistConfig {
    let index = Config::builder().shards(1).build().unwrap();
    let builder = PersistConfig::builder().index(index).snapshot_every(None);
    builder.segment_bytes(PersistConfig::MIN_SEGMENT_BYTES).build().unwrap()
}

pub(crate) fn open(sim: &Sim) -> Result<Cache, cache_index_persist::PersistError> {
    Persistent::open_on(Arc::new(sim.clone()), config())
}

/// Opens, and loads the snapshot in the background.
pub(crate) fn open_serving(sim: &Sim) -> Result<Cache, cache_index_persist::PersistError> {
    Persistent::open_serving_on(Arc::new(sim.clone()), config())
}

fn path(path: usize) -> OriginPath<'static> {
    OriginPath::from_canonical(PATHS[path]).unwrap()
}

fn key(key: usize) -> VariantKey<'static> {
    VariantKey::from_canonical(KEYS[key]).unwrap()
}

impl Oracle {
    /// Stores a value.
    pub(crate) fn fill(&mut self, cache: &Cache, name: Name) {
        self.now += 1;
        self.next_value += 1;
        let value = cache.incarnation() << 32 | self.next_value;
        let tenant = cache.tenant(TENANTS[name.0]);
        if cache.lease(&tenant, &path(name.1)).commit(&key(name.2), value).is_stored() {
            self.fills.insert(value, Fill { at: self.now, name });
            self.current.insert(name, value);
        }
    }

    /// Invalidates.
    pub(crate) fn invalidate(&mut self, cache: &Cache, scope: Scope, severity: Severity) {
        self.now += 1;
        let at = self.now;
        self.current.retain(|&name, _| severity == Severity::Soft || !scope.covers(name));
        let durability = match severity {
            Severity::Hard => act(cache, scope, Hard),
            Severity::Soft => act(cache, scope, Soft),
        };
        let known = match durability {
            Durability::Durable => Known::Durable,
            Durability::Written => Known::Written,
            _ => Known::Nothing,
        };
        self.acknowledged += u64::from(known != Known::Nothing);
        self.invalidations.push(Invalidation { at, scope, severity, known });
    }

    /// Counts every invalidation as acknowledged that returned before the power failed: the log had
    /// failed, but then a crash must be followed by a cold start.
    pub(crate) fn expect_all(&mut self) {
        for invalidation in &mut self.invalidations {
            invalidation.known = Known::Durable;
        }
    }

    /// Writes a snapshot. Returns whether that worked.
    pub(crate) fn snapshot(&mut self, cache: &Cache) -> bool {
        let current = self.current.clone();
        let written = cache.snapshot().is_ok();
        if written {
            self.saved = current;
        }
        written
    }

    /// One random step while the snapshot is being loaded.
    pub(crate) fn step_while_loading(&mut self, cache: &Cache, random: &mut fastrand::Rng) {
        let (tenant, path, key) = (
            random.usize(0..TENANTS.len()),
            random.usize(0..PATHS.len()),
            random.usize(0..KEYS.len()),
        );
        let severity = if random.bool() { Severity::Soft } else { Severity::Hard };
        match random.u8(0..6) {
            0 | 1 => self.fill(cache, (tenant, path, key)),
            2 => self.invalidate(cache, Scope::Path(tenant, path), severity),
            3 => self.invalidate(cache, Scope::Key(tenant, path, key), severity),
            4 => self.invalidate(cache, Scope::Operations(tenant, path), severity),
            _ => {
                let prefix = random.usize(0..PREFIXES.len());
                self.invalidate(cache, Scope::Prefix(tenant, prefix), severity);
            }
        }
    }

    /// One random step.
    pub(crate) fn step(&mut self, cache: &Cache, random: &mut fastrand::Rng) {
        let (tenant, path, key) = (
            random.usize(0..TENANTS.len()),
            random.usize(0..PATHS.len()),
            random.usize(0..KEYS.len()),
        );
        let severity = if random.u8(0..3) == 0 { Severity::Soft } else { Severity::Hard };
        let until_then = if path % 2 == 0 { Freshness::Stale } else { Freshness::Live };
        let scope = match random.u8(0..100) {
            0..55 => return self.fill(cache, (tenant, path, key)),
            55..62 => {
                self.snapshot(cache);
                return;
            }
            62..76 => Scope::Path(tenant, path),
            76..82 => Scope::Key(tenant, path, key),
            82..88 => Scope::Operations(tenant, path),
            88..94 => Scope::Prefix(tenant, random.usize(0..PREFIXES.len())),
            94..96 => Scope::Tenant(tenant),
            96 => Scope::TenantOver(tenant, until_then),
            97 => Scope::AllOver(until_then),
            _ => Scope::All,
        };
        let is_over_time = matches!(scope, Scope::TenantOver(..) | Scope::AllOver(_));
        self.invalidate(cache, scope, if is_over_time { Severity::Hard } else { severity });
    }

    /// Compares the state after a crash with the allowed states, and goes on from there.
    ///
    /// # Errors
    /// Says what is wrong.
    pub(crate) fn check(
        &mut self,
        cache: &Cache,
        crash: Crash,
        may_be_cold: bool,
    ) -> Result<(), String> {
        if cache.incarnation() <= self.last_incarnation {
            return Err(format!("incarnation {} is not new", cache.incarnation()));
        }
        let is_warm = match cache.recovery() {
            Recovery::Warm { .. } => true,
            Recovery::Cold { .. } | Recovery::New if may_be_cold => false,
            recovery => return Err(format!("needless cold start: {recovery:?}")),
        };
        let found = Self::found(cache)?;
        for (&name, &(value, is_live)) in &found {
            self.check_entry(name, value, is_live, crash)?;
        }
        if is_warm {
            self.check_complete(&found)?;
        }
        Ok(())
    }

    /// Goes on from the state that was found.
    pub(crate) fn restart(&mut self, cache: &Cache) -> Result<(), String> {
        self.last_incarnation = cache.incarnation();
        self.current =
            Self::found(cache)?.into_iter().map(|(name, (value, _))| (name, value)).collect();
        // Only what is there can be expected from now on, in whatever snapshot.
        let current = &self.current;
        self.saved.retain(|name, value| current.get(name) == Some(value));
        Ok(())
    }

    fn found(cache: &Cache) -> Result<BTreeMap<Name, (u64, bool)>, String> {
        let mut found = BTreeMap::new();
        for (t, tenant_name) in TENANTS.iter().enumerate() {
            let tenant: Tenant = cache.tenant(tenant_name);
            for p in 0..PATHS.len() {
                for variant in cache.variants(&tenant, &path(p)) {
                    let k = KEYS.iter().position(|key| *key == variant.as_str());
                    let k = k.ok_or_else(|| format!("unknown key {variant}"))?;
                    match cache.lookup(&tenant, &path(p), &variant) {
                        Lookup::Live(value) => found.insert((t, p, k), (value, true)),
                        Lookup::Stale(value) => found.insert((t, p, k), (value, false)),
                        Lookup::Miss => return Err(format!("listed and not found: {variant}")),
                    };
                }
            }
        }
        Ok(found)
    }

    fn check_entry(
        &self,
        name: Name,
        value: u64,
        is_live: bool,
        crash: Crash,
    ) -> Result<(), String> {
        let fill = self.fills.get(&value).filter(|fill| fill.name == name);
        let fill =
            fill.ok_or_else(|| format!("{name:?} holds {value}, which was not stored there"))?;
        let enough = if crash == Crash::Killed { Known::Written } else { Known::Durable };
        let broken = self.invalidations.iter().find(|invalidation| {
            invalidation.known >= enough
                && invalidation.at > fill.at
                && invalidation.scope.covers(name)
                && (invalidation.severity == Severity::Hard || is_live)
        });
        match broken {
            None => Ok(()),
            Some(forgotten) => Err(format!("forgotten: {forgotten:?} by {name:?} = {value}")),
        }
    }

    /// Everything of the last snapshot must be there that nothing may have invalidated.
    fn check_complete(&self, found: &BTreeMap<Name, (u64, bool)>) -> Result<(), String> {
        for (name, value) in &self.saved {
            let fill = self.fills[value];
            let is_invalidated = self.invalidations.iter().any(|invalidation| {
                invalidation.at > fill.at
                    && invalidation.severity == Severity::Hard
                    && invalidation.scope.covers(*name)
            });
            // A newer snapshot, whose call had not returned, may hold what took its place.
            let is_replaced =
                found.get(name).is_some_and(|(other, _)| self.fills[other].at > fill.at);
            if !is_invalidated
                && !is_replaced
                && found.get(name).map(|found| found.0) != Some(*value)
            {
                return Err(format!("lost: {name:?} = {value}"));
            }
        }
        Ok(())
    }
}

fn act<M: cache_index::Mode>(cache: &Cache, scope: Scope, mode: M) -> Durability {
    let tenant = |tenant: usize| cache.tenant(TENANTS[tenant]);
    match scope {
        Scope::Path(t, p) => cache.purge(&tenant(t), &path(p), mode).into_parts().1,
        Scope::Key(t, p, k) => {
            let keys = [key(k)];
            cache.purge_selected(&tenant(t), &path(p), Selection::Keys(&keys), mode).into_parts().1
        }
        Scope::Operations(t, p) => {
            let operations = [Rules::default().operations("?w=200").unwrap()];
            let selection = Selection::Operations(&operations);
            cache.purge_selected(&tenant(t), &path(p), selection, mode).into_parts().1
        }
        Scope::Prefix(t, p) => {
            let prefix = PathPrefix::from_canonical(PREFIXES[p]).unwrap();
            cache.purge_prefix(&tenant(t), &prefix, mode).into_parts().1
        }
        Scope::Tenant(t) => cache.flush_tenant(&tenant(t), mode).into_parts().1,
        Scope::All => cache.flush_all(mode).into_parts().1,
        Scope::TenantOver(t, until_then) => {
            cache.flush_tenant_over(&tenant(t), hour(until_then)).into_parts().1
        }
        Scope::AllOver(until_then) => cache.flush_all_over(hour(until_then)).into_parts().1,
    }
}

fn hour(until_then: Freshness) -> OverTime {
    OverTime::new(Duration::from_secs(3600)).serving(until_then)
}
