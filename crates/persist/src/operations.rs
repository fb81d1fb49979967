//! The operations that read the index or store in it: those of [`CacheIndex`], and nothing between.

use crate::codec::Codec;
use crate::persistent::Persistent;
#[cfg(doc)]
use cache_index::CacheIndex;
use cache_index::{
    Claim, FillLease, Insertion, Lookup, OriginPath, PathPrefix, Reclaimed, Stats, Tenant,
    VariantKey,
};

impl<V: Codec + Clone + Send + Sync + 'static> Persistent<V> {
    /// Returns the handle of a tenant, as [`CacheIndex::tenant`] does.
    ///
    /// **Cost:** O(length of the name).
    /// **Locks:** the table of tenants.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let tenant = cache.tenant("doc");
    /// assert_eq!(tenant.name(), "doc");
    /// assert!(cache.tenants().contains(&tenant));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tenant(&self, name: &str) -> Tenant {
        self.index().tenant(name)
    }

    /// Looks up a variant, as [`CacheIndex::lookup`] does.
    ///
    /// A value that came from disk may name an object that is no longer there, or that was not
    /// written completely before a power loss: check length, checksum and names in the object's
    /// header when it is first read.
    ///
    /// **Cost, locks:** as [`CacheIndex::lookup`]. No I/O.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{Lookup, OriginPath, VariantKey};
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let tenant = cache.tenant("doc");
    /// let birds = OriginPath::from_canonical("a/birds.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// assert!(cache.insert(&tenant, &birds, &small, 7).is_stored());
    /// assert_eq!(cache.lookup(&tenant, &birds, &small), Lookup::Live(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lookup(
        &self,
        tenant: &Tenant,
        path: &OriginPath<'_>,
        variant: &VariantKey<'_>,
    ) -> Lookup<V> {
        self.index().lookup(tenant, path, variant)
    }

    /// Looks up several variants, as [`CacheIndex::lookup_many`] does.
    ///
    /// **Cost, locks:** as [`CacheIndex::lookup_many`]. No I/O.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{Lookup, OriginPath, VariantKey};
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let tenant = cache.tenant("doc");
    /// let birds = OriginPath::from_canonical("a/birds.jpg")?;
    /// let boat = OriginPath::from_canonical("a/boat.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// assert!(cache.insert(&tenant, &birds, &small, 7).is_stored());
    /// let found = cache.lookup_many(&tenant, &[(&birds, &small), (&boat, &small)]);
    /// assert_eq!(found, [Lookup::Live(7), Lookup::Miss]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lookup_many(
        &self,
        tenant: &Tenant,
        keys: &[(&OriginPath<'_>, &VariantKey<'_>)],
    ) -> Vec<Lookup<V>> {
        self.index().lookup_many(tenant, keys)
    }

    /// Starts a fill, as [`CacheIndex::lease`] does. A fill is durable with the next snapshot.
    ///
    /// **Cost, locks:** as [`CacheIndex::lease`]. No I/O.
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
    /// let lease = cache.lease(&tenant, &birds);
    /// // ... the origin is asked, and the object stored ...
    /// assert!(lease.commit(&small, 7).is_stored());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lease(&self, tenant: &Tenant, path: &OriginPath<'_>) -> FillLease<V> {
        self.index().lease(tenant, path)
    }

    /// Looks up a variant, and takes the lease on a miss, as [`CacheIndex::claim`] does. A fill is
    /// durable with the next snapshot.
    ///
    /// **Cost, locks:** as [`CacheIndex::claim`]. No I/O.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{Claim, OriginPath, VariantKey};
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let tenant = cache.tenant("doc");
    /// let birds = OriginPath::from_canonical("a/birds.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// let Claim::Claimed(lease) = cache.claim(&tenant, &birds, &small, 7) else { panic!() };
    /// assert!(matches!(cache.claim(&tenant, &birds, &small, 8), Claim::Pending(7)));
    /// assert!(lease.commit().is_stored());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn claim(
        &self,
        tenant: &Tenant,
        path: &OriginPath<'_>,
        variant: &VariantKey<'_>,
        value: V,
    ) -> Claim<V> {
        self.index().claim(tenant, path, variant, value)
    }

    /// Stores a value without a lease, as [`CacheIndex::insert`] does.
    ///
    /// **Cost, locks:** as [`CacheIndex::insert`]. No I/O.
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
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn insert(
        &self,
        tenant: &Tenant,
        path: &OriginPath<'_>,
        variant: &VariantKey<'_>,
        value: V,
    ) -> Insertion<V> {
        self.index().insert(tenant, path, variant, value)
    }

    /// Removes a variant that holds `expected`, as [`CacheIndex::remove`] does.
    ///
    /// A removal is not an invalidation and not logged: after a crash the entry may be there again.
    /// If its object is gone, the server notices that when it reads it.
    ///
    /// **Cost, locks:** as [`CacheIndex::remove`]. No I/O.
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
    /// assert_eq!(cache.remove(&tenant, &birds, &small, &8), None);
    /// assert_eq!(cache.remove(&tenant, &birds, &small, &7), Some(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the removed value is returned here"]
    pub fn remove(
        &self,
        tenant: &Tenant,
        path: &OriginPath<'_>,
        variant: &VariantKey<'_>,
        expected: &V,
    ) -> Option<V>
    where
        V: PartialEq,
    {
        self.index().remove(tenant, path, variant, expected)
    }

    /// Returns the tenants, as [`CacheIndex::tenants`] does.
    ///
    /// **Cost, locks:** as [`CacheIndex::tenants`]. No I/O.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let tenant = cache.tenant("doc");
    /// assert_eq!(cache.tenants(), [tenant]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tenants(&self) -> Vec<Tenant> {
        self.index().tenants()
    }

    /// Lists the variants of a path, as [`CacheIndex::variants`] does.
    ///
    /// **Cost, locks:** as [`CacheIndex::variants`]. No I/O.
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
    /// assert_eq!(cache.variants(&tenant, &birds), [small]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn variants(&self, tenant: &Tenant, path: &OriginPath<'_>) -> Vec<VariantKey<'static>> {
        self.index().variants(tenant, path)
    }

    /// Lists the paths that start with `prefix`, as [`CacheIndex::paths`] does.
    ///
    /// **Cost, locks:** as [`CacheIndex::paths`]. No I/O.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{OriginPath, PathPrefix, VariantKey};
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let tenant = cache.tenant("doc");
    /// let birds = OriginPath::from_canonical("a/birds.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// assert!(cache.insert(&tenant, &birds, &small, 7).is_stored());
    /// let prefix = PathPrefix::from_canonical("a/")?;
    /// assert_eq!(cache.paths(&tenant, &prefix), [birds]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn paths(&self, tenant: &Tenant, prefix: &PathPrefix<'_>) -> Vec<OriginPath<'static>> {
        self.index().paths(tenant, prefix)
    }

    /// Removes dead entries and returns their values, as [`CacheIndex::reclaim`] does.
    ///
    /// **Cost, locks:** as [`CacheIndex::reclaim`]. No I/O.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{Config, DeadValues, Hard, OriginPath, VariantKey};
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let queue = Config::builder().dead_values(DeadValues::Queue).build()?;
    /// let config = PersistConfig::builder().index(queue).build()?;
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), config)?;
    /// let tenant = cache.tenant("doc");
    /// let birds = OriginPath::from_canonical("a/birds.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// assert!(cache.insert(&tenant, &birds, &small, 7).is_stored());
    /// assert!(cache.flush_all(Hard).is_durable());
    /// let dead: Vec<_> = cache.reclaim(100).into_iter().map(|dead| dead.value).collect();
    /// assert_eq!(dead, [7]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reclaim(&self, limit: usize) -> Reclaimed<V> {
        self.index().reclaim(limit)
    }

    /// Returns the counts of the index, as [`CacheIndex::stats`] does.
    ///
    /// **Cost, locks:** as [`CacheIndex::stats`]. No I/O.
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
    /// assert_eq!(cache.stats().live, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stats(&self) -> Stats {
        self.index().stats()
    }
}
