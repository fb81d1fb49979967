//! `Invalidator`: the operations that must reach the log.
//!
//! Invariant: each is applied in memory first and logged second. In the reverse order, a snapshot
//! that begins between the two would contain the purged entries, and count the record as contained.

use crate::codec::Codec;
use crate::outcome::Acknowledged;
use crate::persistent::Persistent;
use crate::record::{Record, Scope};
use cache_index::canonical::Target;
use cache_index::invalidation::{InvalidationRequest, InvalidationScope, Receipt};
use cache_index::{
    CacheIndex, Flushed, Mode, OriginPath, PathPrefix, PrefixPurged, Selection, Severity, Tenant,
};

/// Invalidates on behalf of a person or program, whose name the log keeps.
/// [`Persistent::on_behalf_of`] creates it.
///
/// # Examples
///
/// ```
/// use cache_index::Hard;
/// use cache_index_persist::{PersistConfig, Persistent};
///
/// let dir = tempfile::tempdir()?;
/// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
/// let flushed = cache.on_behalf_of("alice").flush_all(Hard);
/// assert!(flushed.is_durable());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Invalidator<'a, V: Codec + Clone + Send + Sync + 'static> {
    cache: &'a Persistent<V>,
    by: Option<&'a str>,
}

fn severity<M: Mode>() -> Severity {
    M::SEVERITY
}

pub(crate) fn path_scope(
    tenant: &Tenant,
    path: &OriginPath<'_>,
    selection: Selection<'_>,
) -> Scope {
    let (tenant, path) = (tenant.name().to_owned(), path.as_str().to_owned());
    let owned = |text: &str| text.to_owned();
    match selection {
        Selection::Keys(keys) => {
            let keys = keys.iter().map(|key| owned(key.as_str())).collect();
            Scope::Keys { tenant, path, keys }
        }
        Selection::Operations(entries) => {
            let operations = entries.iter().map(|entry| owned(entry.as_str())).collect();
            Scope::Operations { tenant, path, operations }
        }
        // All variants. So is a selection that this version does not know: this invalidates more
        // than requested, never less.
        _ => Scope::Path { tenant, path },
    }
}

/// Returns the records of a request.
pub(crate) fn request_scopes(tenant: &Tenant, request: &InvalidationRequest) -> Vec<Scope> {
    if request.scope() == InvalidationScope::All {
        return vec![Scope::Tenant { tenant: tenant.name().to_owned() }];
    }
    let scopes = request.entries().iter().map(|entry| match entry.target() {
        Target::Prefix(prefix) => {
            Scope::Prefix { tenant: tenant.name().to_owned(), prefix: prefix.as_str().to_owned() }
        }
        Target::Path(path) if request.scope() == InvalidationScope::Urls => {
            let keys: Vec<_> = entry.purged_keys().cloned().collect();
            path_scope(tenant, path, Selection::Keys(&keys))
        }
        Target::Path(path) if request.transformations().is_empty() => {
            path_scope(tenant, path, Selection::All)
        }
        Target::Path(path) => {
            path_scope(tenant, path, Selection::Operations(request.transformations()))
        }
    });
    scopes.collect()
}

impl<'a, V: Codec + Clone + Send + Sync + 'static> Invalidator<'a, V> {
    pub(crate) fn index(&self) -> &'a CacheIndex<V> {
        self.cache.index()
    }

    pub(crate) fn new(cache: &'a Persistent<V>, by: Option<&'a str>) -> Self {
        Self { cache, by }
    }

    /// Logs what has been applied.
    pub(crate) fn acknowledge<T>(
        &self,
        outcome: T,
        severity: Severity,
        scopes: Vec<Scope>,
    ) -> Acknowledged<T> {
        let unix_millis = crate::parts::unix_millis();
        let by = self.by.map(str::to_owned);
        let of = |scope| Record { unix_millis, by: by.clone(), outbox: None, severity, scope };
        let records: Vec<Record> = scopes.into_iter().map(of).collect();
        Acknowledged::new(outcome, self.cache.append(&records))
    }

    /// Does what [`Persistent::purge`] does.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{Hard, OriginPath, VariantKey};
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let tenant = cache.tenant("doc");
    /// let birds = OriginPath::from_canonical("a/birds.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// assert!(cache.insert(&tenant, &birds, &small, 7).is_stored());
    /// let purged = cache.on_behalf_of("alice").purge(&tenant, &birds, Hard);
    /// assert_eq!(purged.outcome().len(), 1);
    /// assert!(purged.is_durable());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn purge<M: Mode>(
        &self,
        tenant: &Tenant,
        path: &OriginPath<'_>,
        mode: M,
    ) -> Acknowledged<M::Outcome<V>> {
        self.purge_selected(tenant, path, Selection::All, mode)
    }

    /// Does what [`Persistent::purge_selected`] does.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{Hard, OriginPath, Selection, VariantKey};
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let tenant = cache.tenant("doc");
    /// let birds = OriginPath::from_canonical("a/birds.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// assert!(cache.insert(&tenant, &birds, &small, 7).is_stored());
    /// let keys = [small];
    /// let alice = cache.on_behalf_of("alice");
    /// let purged = alice.purge_selected(&tenant, &birds, Selection::Keys(&keys), Hard);
    /// assert_eq!(purged.outcome().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn purge_selected<M: Mode>(
        &self,
        tenant: &Tenant,
        path: &OriginPath<'_>,
        selection: Selection<'_>,
        mode: M,
    ) -> Acknowledged<M::Outcome<V>> {
        let outcome = self.cache.index().purge_selected(tenant, path, selection, mode);
        self.acknowledge(outcome, severity::<M>(), vec![path_scope(tenant, path, selection)])
    }

    /// Does what [`Persistent::purge_many`] does.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{Hard, OriginPath, VariantKey};
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let tenant = cache.tenant("doc");
    /// let birds = OriginPath::from_canonical("a/birds.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// assert!(cache.insert(&tenant, &birds, &small, 7).is_stored());
    /// let paths = [birds, OriginPath::from_canonical("a/boat.jpg")?];
    /// let purged = cache.on_behalf_of("alice").purge_many(&tenant, &paths, Hard);
    /// let counts: Vec<_> = purged.outcome().iter().map(|purged| purged.len()).collect();
    /// assert_eq!(counts, [1, 0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn purge_many<M: Mode>(
        &self,
        tenant: &Tenant,
        paths: &[OriginPath<'_>],
        mode: M,
    ) -> Acknowledged<Vec<M::Outcome<V>>> {
        let outcomes = self.cache.index().purge_many(tenant, paths, mode);
        let scopes = paths.iter().map(|path| path_scope(tenant, path, Selection::All)).collect();
        self.acknowledge(outcomes, severity::<M>(), scopes)
    }

    /// Does what [`Persistent::purge_prefix`] does.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{Hard, PathPrefix};
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let tenant = cache.tenant("doc");
    /// let prefix = PathPrefix::from_canonical("a/")?;
    /// assert!(cache.on_behalf_of("alice").purge_prefix(&tenant, &prefix, Hard).is_durable());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn purge_prefix<M: Mode>(
        &self,
        tenant: &Tenant,
        prefix: &PathPrefix<'_>,
        mode: M,
    ) -> Acknowledged<PrefixPurged> {
        let outcome = self.cache.index().purge_prefix(tenant, prefix, mode);
        let (tenant, prefix) = (tenant.name().to_owned(), prefix.as_str().to_owned());
        self.acknowledge(outcome, severity::<M>(), vec![Scope::Prefix { tenant, prefix }])
    }

    /// Does what [`Persistent::flush_tenant`] does.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::Hard;
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let tenant = cache.tenant("doc");
    /// assert!(cache.on_behalf_of("alice").flush_tenant(&tenant, Hard).is_durable());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flush_tenant<M: Mode>(&self, tenant: &Tenant, mode: M) -> Acknowledged<Flushed> {
        let outcome = self.cache.index().flush_tenant(tenant, mode);
        let scope = Scope::Tenant { tenant: tenant.name().to_owned() };
        self.acknowledge(outcome, severity::<M>(), vec![scope])
    }

    /// Does what [`Persistent::flush_all`] does.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::Soft;
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// assert!(cache.on_behalf_of("alice").flush_all(Soft).is_durable());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flush_all<M: Mode>(&self, mode: M) -> Acknowledged<Flushed> {
        let outcome = self.cache.index().flush_all(mode);
        self.acknowledge(outcome, severity::<M>(), vec![Scope::All])
    }

    /// Does what [`Persistent::forget_tenant`] does.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let tenant = cache.tenant("doc");
    /// assert!(cache.on_behalf_of("alice").forget_tenant(&tenant).is_durable());
    /// assert!(!cache.knows_tenant("doc"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn forget_tenant(&self, tenant: &Tenant) -> Acknowledged<Flushed> {
        let outcome = self.cache.forget(tenant);
        let scope = Scope::ForgetTenant { tenant: tenant.name().to_owned() };
        self.acknowledge(outcome, Severity::Hard, vec![scope])
    }

    /// Does what [`Persistent::apply`] does.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::Rules;
    /// use cache_index::invalidation::InvalidationRequest;
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let tenant = cache.tenant("doc");
    /// let rules = Rules::default();
    /// let request = InvalidationRequest::builder(&rules).original(["/a/1.jpg"])?;
    /// assert!(cache.on_behalf_of("alice").apply(&tenant, &request).is_durable());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn apply(
        &self,
        tenant: &Tenant,
        request: &InvalidationRequest,
    ) -> Acknowledged<Receipt<V>> {
        let receipt = self.cache.index().apply(tenant, request);
        self.acknowledge(receipt, request.severity(), request_scopes(tenant, request))
    }
}
