//! The operations of the index that this crate needs: exporting and restoring entries, and
//! replaying records.
//!
//! Everything else in the crate goes through these functions. They use the public operations of the
//! index, which is slower than it could be: a tenant is exported path by path with one lookup for
//! each variant, and restored with one insertion for each.

use crate::record::{Record, Scope};
use crate::snapshot::PathEntries;
use cache_index::canonical::{Operations, Rules};
use cache_index::{
    CacheIndex, Freshness, Hard, Lookup, Mode, OriginPath, PathPrefix, Selection, Severity, Soft,
    Tenant, VariantKey,
};
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// The index, with the names of its tenants.
#[derive(Debug)]
pub(crate) struct Core<V> {
    index: CacheIndex<V>,
    tenants: Mutex<BTreeMap<String, Tenant>>,
}

/// How far an export has come.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    /// Tenants that are still to be exported; `None` before the start.
    tenants: Option<Vec<Tenant>>,
    paths: Vec<(Tenant, OriginPath<'static>)>,
}

impl<V: Clone> Core<V> {
    pub(crate) fn new(index: CacheIndex<V>) -> Self {
        Self { index, tenants: Mutex::default() }
    }

    pub(crate) fn index(&self) -> &CacheIndex<V> {
        &self.index
    }

    /// Returns the handle of a tenant, and remembers that there is one.
    pub(crate) fn tenant(&self, name: &str) -> Tenant {
        let mut tenants = self.tenants.lock();
        match tenants.get(name) {
            Some(tenant) => tenant.clone(),
            None => tenants.entry(name.to_owned()).or_insert(self.index.tenant(name)).clone(),
        }
    }

    /// Exports about `paths` further paths. Returns `None` when all were exported.
    ///
    /// Exports every entry that may be served from the first step to the last and is not replaced.
    pub(crate) fn export(&self, cursor: &mut Cursor, paths: usize) -> Option<Vec<PathEntries<V>>> {
        let tenants =
            cursor.tenants.get_or_insert_with(|| self.tenants.lock().values().cloned().collect());
        while cursor.paths.is_empty() {
            let tenant = tenants.pop()?;
            let all = PathPrefix::from_canonical("").ok()?;
            let paths = self.index.paths(&tenant, &all).into_iter();
            cursor.paths = paths.map(|path| (tenant.clone(), path)).collect();
        }
        let rest = cursor.paths.len().saturating_sub(paths);
        Some(
            cursor.paths.drain(rest..).map(|(tenant, path)| self.entries(&tenant, &path)).collect(),
        )
    }

    fn entries(&self, tenant: &Tenant, path: &OriginPath<'_>) -> PathEntries<V> {
        let variants = self.index.variants(tenant, path).into_iter().filter_map(|variant| {
            let (value, freshness) = match self.index.lookup(tenant, path, &variant) {
                Lookup::Live(value) => (value, Freshness::Live),
                Lookup::Stale(value) => (value, Freshness::Stale),
                Lookup::Miss => return None,
            };
            Some((variant.as_str().to_owned(), value, freshness))
        });
        PathEntries {
            tenant: tenant.name().to_owned(),
            path: path.as_str().to_owned(),
            variants: variants.collect(),
        }
    }

    /// Stores entries of one path in an index that is not in use yet. Returns how many were stored,
    /// or `None` if a name is not canonical.
    pub(crate) fn restore(
        &self,
        tenant: &str,
        path: &str,
        variants: &[(&str, V, Freshness)],
    ) -> Option<u64> {
        let tenant = self.tenant(tenant);
        let path = OriginPath::from_canonical(path).ok()?;
        let of = |wanted| variants.iter().filter(move |(_, _, freshness)| *freshness == wanted);
        let mut stored = 0;
        // A fill that a soft purge overtakes is stored stale. Stale entries come first, as the
        // purge makes stale what is there.
        for (variant, value, _) in of(Freshness::Stale) {
            let variant = VariantKey::from_canonical(variant).ok()?;
            let lease = self.index.lease(&tenant, &path);
            let _ = self.index.purge(&tenant, &path, Soft);
            stored += u64::from(lease.commit(&variant, value.clone()).is_stored());
        }
        for (variant, value, _) in of(Freshness::Live) {
            let variant = VariantKey::from_canonical(variant).ok()?;
            let insertion = self.index.insert(&tenant, &path, &variant, value.clone());
            stored += u64::from(insertion.is_stored());
        }
        Some(stored)
    }

    /// Returns whether the tenant has been used.
    pub(crate) fn knows_tenant(&self, name: &str) -> bool {
        self.tenants.lock().contains_key(name)
    }

    /// Invalidates the scope of a record, or a broader one. Returns the removed values, except
    /// those that the index queues for `reclaim`.
    pub(crate) fn replay(&self, record: &Record) -> Vec<V> {
        match record.severity {
            Severity::Hard => {
                let purged = self.replay_as(&record.scope, Hard);
                purged.into_iter().flatten().map(|(_, value)| value).collect()
            }
            Severity::Soft => {
                let _ = self.replay_as(&record.scope, Soft);
                Vec::new()
            }
        }
    }

    fn replay_as<M: Mode>(&self, scope: &Scope, mode: M) -> Option<M::Outcome<V>> {
        match scope {
            Scope::Path { tenant, path } => {
                return self.replay_path(tenant, path, Selection::All, mode);
            }
            Scope::Keys { tenant, path, keys } => {
                let parsed: Result<Vec<_>, _> =
                    keys.iter().map(|key| VariantKey::from_canonical(key)).collect();
                let selection = parsed.as_deref().map_or(Selection::All, Selection::Keys);
                return self.replay_path(tenant, path, selection, mode);
            }
            Scope::Operations { tenant, path, operations } => {
                let rules = Rules::default();
                let parsed: Option<Vec<_>> =
                    operations.iter().map(|text| read_operations(&rules, text)).collect();
                let selection = parsed.as_deref().map_or(Selection::All, Selection::Operations);
                return self.replay_path(tenant, path, selection, mode);
            }
            Scope::Prefix { tenant, prefix } => {
                let tenant = self.tenant(tenant);
                match PathPrefix::from_canonical(prefix) {
                    Ok(prefix) => {
                        self.index.purge_prefix(&tenant, &prefix, mode);
                    }
                    Err(_) => {
                        self.index.flush_tenant(&tenant, mode);
                    }
                }
            }
            Scope::Tenant { tenant } => {
                self.index.flush_tenant(&self.tenant(tenant), mode);
            }
            Scope::All => {
                self.index.flush_all(mode);
            }
            Scope::ForgetTenant { tenant } => {
                self.index.flush_tenant(&self.tenant(tenant), Hard);
            }
        }
        None
    }

    fn replay_path<M: Mode>(
        &self,
        tenant: &str,
        path: &str,
        selection: Selection<'_>,
        mode: M,
    ) -> Option<M::Outcome<V>> {
        let tenant = self.tenant(tenant);
        if let Ok(path) = OriginPath::from_canonical(path) {
            return Some(self.index.purge_selected(&tenant, &path, selection, mode));
        }
        self.index.flush_tenant(&tenant, mode);
        None
    }
}

/// Reads operations that may have been made by other rules. Returns `None` for text that does not
/// read as itself.
fn read_operations<'a>(rules: &Rules, text: &'a str) -> Option<Operations<'a>> {
    rules.operations(text).ok().filter(|operations| operations.as_str() == text)
}
