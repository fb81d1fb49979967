//! The operations that invalidate.
//!
//! Invariant: no operation that invalidates bypasses the log: each is one of [`Invalidator`].

use crate::codec::Codec;
use crate::invalidator::Invalidator;
use crate::outcome::Acknowledged;
use crate::persistent::Persistent;
#[cfg(doc)]
use cache_index::CacheIndex;
use cache_index::invalidation::{InvalidationRequest, Receipt};
use cache_index::{Flushed, Mode, OriginPath, PathPrefix, PrefixPurged, Selection, Tenant};

impl<V: Codec + Clone + Send + Sync + 'static> Persistent<V> {
    /// Purges a path, as [`CacheIndex::purge`] does, and logs it.
    ///
    /// **Cost:** that of the index, and the wait for the log: a sync under
    /// [`SyncPolicy::Always`](crate::SyncPolicy::Always).
    /// **Locks:** those of the index; none while it waits.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
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
    /// let (purged, durability) = cache.purge(&tenant, &birds, Hard).into_parts();
    /// assert_eq!(purged.len(), 1);
    /// assert!(durability.is_durable());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn purge<M: Mode>(
        &self,
        tenant: &Tenant,
        path: &OriginPath<'_>,
        mode: M,
    ) -> Acknowledged<M::Outcome<V>> {
        Invalidator::new(self, None).purge(tenant, path, mode)
    }

    /// Purges some variants of a path, as [`CacheIndex::purge_selected`] does, and logs it.
    ///
    /// **Cost, locks:** as [`purge`](Self::purge).
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
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
    /// let keys = [small.clone()];
    /// let purged = cache.purge_selected(&tenant, &birds, Selection::Keys(&keys), Hard);
    /// assert!(purged.is_durable());
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
        Invalidator::new(self, None).purge_selected(tenant, path, selection, mode)
    }

    /// Purges many paths, as [`CacheIndex::purge_many`] does, and logs them together.
    ///
    /// **Cost, locks:** as [`purge`](Self::purge), with one wait for all.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
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
    /// let boat = OriginPath::from_canonical("a/boat.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// assert!(cache.insert(&tenant, &birds, &small, 7).is_stored());
    /// let purged = cache.purge_many(&tenant, &[birds, boat], Hard);
    /// assert!(purged.is_durable());
    /// assert_eq!(purged.outcome().len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn purge_many<M: Mode>(
        &self,
        tenant: &Tenant,
        paths: &[OriginPath<'_>],
        mode: M,
    ) -> Acknowledged<Vec<M::Outcome<V>>> {
        Invalidator::new(self, None).purge_many(tenant, paths, mode)
    }

    /// Purges all paths that start with `prefix`, as [`CacheIndex::purge_prefix`] does, and logs
    /// it.
    ///
    /// **Cost, locks:** as [`purge`](Self::purge).
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{Lookup, OriginPath, PathPrefix, Soft, VariantKey};
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let tenant = cache.tenant("doc");
    /// let birds = OriginPath::from_canonical("a/birds.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// assert!(cache.insert(&tenant, &birds, &small, 7).is_stored());
    /// let prefix = PathPrefix::from_canonical("a/")?;
    /// assert!(cache.purge_prefix(&tenant, &prefix, Soft).is_durable());
    /// assert_eq!(cache.lookup(&tenant, &birds, &small), Lookup::Stale(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn purge_prefix<M: Mode>(
        &self,
        tenant: &Tenant,
        prefix: &PathPrefix<'_>,
        mode: M,
    ) -> Acknowledged<PrefixPurged> {
        Invalidator::new(self, None).purge_prefix(tenant, prefix, mode)
    }

    /// Flushes a tenant, as [`CacheIndex::flush_tenant`] does, and logs it.
    ///
    /// **Cost, locks:** as [`purge`](Self::purge).
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{Hard, Lookup, OriginPath, VariantKey};
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let tenant = cache.tenant("doc");
    /// let birds = OriginPath::from_canonical("a/birds.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// assert!(cache.insert(&tenant, &birds, &small, 7).is_stored());
    /// assert!(cache.flush_tenant(&tenant, Hard).is_durable());
    /// assert_eq!(cache.lookup(&tenant, &birds, &small), Lookup::Miss);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flush_tenant<M: Mode>(&self, tenant: &Tenant, mode: M) -> Acknowledged<Flushed> {
        Invalidator::new(self, None).flush_tenant(tenant, mode)
    }

    /// Flushes everything, as [`CacheIndex::flush_all`] does, and logs it.
    ///
    /// **Cost, locks:** as [`purge`](Self::purge).
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{Hard, Lookup, OriginPath, VariantKey};
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let tenant = cache.tenant("doc");
    /// let birds = OriginPath::from_canonical("a/birds.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// assert!(cache.insert(&tenant, &birds, &small, 7).is_stored());
    /// assert!(cache.flush_all(Hard).is_durable());
    /// assert_eq!(cache.lookup(&tenant, &birds, &small), Lookup::Miss);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flush_all<M: Mode>(&self, mode: M) -> Acknowledged<Flushed> {
        Invalidator::new(self, None).flush_all(mode)
    }

    /// Flushes a tenant, hard, and forgets it, as [`CacheIndex::forget_tenant`] does, and logs it.
    ///
    /// After a restart, the tenant has no entries. It is known again if something was stored for a
    /// later tenant of the same name, and those entries may be lost.
    ///
    /// **Cost, locks:** as [`purge`](Self::purge).
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{OriginPath, VariantKey};
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let tenant = cache.tenant("doc");
    /// let birds = OriginPath::from_canonical("a/birds.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// assert!(cache.insert(&tenant, &birds, &small, 7).is_stored());
    /// assert!(cache.forget_tenant(&tenant).is_durable());
    /// assert!(cache.tenants().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn forget_tenant(&self, tenant: &Tenant) -> Acknowledged<Flushed> {
        Invalidator::new(self, None).forget_tenant(tenant)
    }

    /// Invalidates the targets of a request, as [`CacheIndex::apply`] does, and logs them together.
    ///
    /// **Cost, locks:** as [`purge`](Self::purge), with one wait for all.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::Rules;
    /// use cache_index::invalidation::InvalidationRequest;
    /// use cache_index::{OriginPath, VariantKey};
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let tenant = cache.tenant("doc");
    /// let birds = OriginPath::from_canonical("a/birds.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// assert!(cache.insert(&tenant, &birds, &small, 7).is_stored());
    /// let rules = Rules::default();
    /// let request = InvalidationRequest::builder(&rules).original(["/a/birds.jpg"])?;
    /// let applied = cache.apply(&tenant, &request);
    /// assert!(applied.is_durable());
    /// assert_eq!(applied.outcome().variants(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn apply(
        &self,
        tenant: &Tenant,
        request: &InvalidationRequest,
    ) -> Acknowledged<Receipt<V>> {
        Invalidator::new(self, None).apply(tenant, request)
    }

    /// Returns the same operations on behalf of a person or program, whose name is kept with each
    /// record.
    ///
    /// **Cost:** O(1). No locks.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::Hard;
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// assert!(cache.on_behalf_of("alice").flush_all(Hard).is_durable());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_behalf_of<'a>(&'a self, by: &'a str) -> Invalidator<'a, V> {
        Invalidator::new(self, Some(by))
    }

    /// Returns the outcome that a request would have, as [`CacheIndex::dry_run`] does.
    ///
    /// **Cost, locks:** as [`CacheIndex::dry_run`]. No I/O.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::Rules;
    /// use cache_index::invalidation::InvalidationRequest;
    /// use cache_index::{Lookup, OriginPath, VariantKey};
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let tenant = cache.tenant("doc");
    /// let birds = OriginPath::from_canonical("a/birds.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// assert!(cache.insert(&tenant, &birds, &small, 7).is_stored());
    /// let rules = Rules::default();
    /// let request = InvalidationRequest::builder(&rules).original(["/a/birds.jpg"])?;
    /// assert_eq!(cache.dry_run(&tenant, &request).variants(), 1);
    /// assert_eq!(cache.lookup(&tenant, &birds, &small), Lookup::Live(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dry_run(&self, tenant: &Tenant, request: &InvalidationRequest) -> Receipt<()> {
        self.index().dry_run(tenant, request)
    }
}
