//! `CacheIndex`: the public operations. Each picks a shard, locks it, calls it, unlocks it, and
//! returns what came out.
//!
//! Invariants: at most one shard is locked at a time; no value of the caller's is dropped, and no
//! guard handed out, while one is.

use super::core::Core;
use crate::config::Config;
use crate::cpu_prefetch::Stage;
use crate::names::{OriginPath, PathPrefix, VariantKey};
use crate::outcome::{Lookup, Reclaimed};
use crate::scopes::Tenant;
use crate::stats::Stats;
use crate::variants::Wanted;
use smallvec::SmallVec;
use std::fmt;
use std::sync::Arc;

/// Knows, for every picture, which of its renditions a cache holds.
///
/// `V` is the value that the server stores with a rendition: an object id, a file offset, `()` for
/// a plain set. Share the index behind an [`Arc`]; every operation takes `&self`.
///
/// Lookups clone the caller's `V`, and [`remove`](Self::remove) compares it, while a shard is
/// locked: `V`'s `Clone` and `PartialEq` must not call the index. `V` is never dropped while a lock
/// is held.
///
/// Values are stored side by side with those of about 9 other paths, and move in memory when one of
/// these is added or removed. Keep `V` small: an id or a [`Box`].
///
/// # Examples
///
/// ```
/// use cache_index::{CacheIndex, Hard, Lookup, OriginPath, VariantKey};
///
/// let index = CacheIndex::default();
/// let tenant = index.tenant("doc");
/// let birds = OriginPath::from_canonical("sample.li/birds.jpg")?;
/// let small = VariantKey::from_canonical("?w=200")?;
///
/// let lease = index.lease(&tenant, &birds);
/// assert!(lease.commit(&small, 7_u64).is_stored());
/// assert_eq!(index.lookup(&tenant, &birds, &small), Lookup::Live(7));
///
/// assert_eq!(index.purge(&tenant, &birds, Hard).len(), 1);
/// assert_eq!(index.lookup(&tenant, &birds, &small), Lookup::Miss);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct CacheIndex<V> {
    pub(crate) core: Arc<Core<V>>,
}

impl<V> Default for CacheIndex<V> {
    fn default() -> Self {
        Self::new(Config::default())
    }
}

impl<V> CacheIndex<V> {
    /// Creates an empty index, with hash seeds of its own.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{CacheIndex, Config};
    ///
    /// let index = CacheIndex::<u64>::new(Config::builder().shards(64).build()?);
    /// assert_eq!(index.stats().paths, 0);
    /// # Ok::<(), cache_index::ConfigError>(())
    /// ```
    #[expect(clippy::needless_pass_by_value, reason = "a configuration is made for one index")]
    pub fn new(config: Config) -> Self {
        Self { core: Arc::new(Core::new(&config)) }
    }

    /// Returns the handle of the tenant called `name`, creating the tenant on first use.
    ///
    /// The index keeps what it knows of a tenant until the tenant is
    /// [forgotten](Self::forget_tenant), so ask for tenants that exist, not for any text that a
    /// request brings.
    ///
    /// **Cost:** O(length of the name).
    /// **Locks:** the table of tenants, shared; exclusively for a new one. No shard.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::CacheIndex;
    ///
    /// let index = CacheIndex::<u64>::default();
    /// assert_eq!(index.tenant("doc"), index.tenant("doc"));
    /// assert_ne!(index.tenant("doc"), index.tenant("shop"));
    /// ```
    pub fn tenant(&self, name: &str) -> Tenant {
        self.core.tenants.get_or_add(name)
    }

    /// Looks for a variant.
    ///
    /// The answer accounts for every purge and flush that has returned before this call began.
    ///
    /// **Cost:** O(1), no allocation of its own.
    /// **Locks:** one shard, shared, while the value is cloned.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{CacheIndex, Hard, Lookup, OriginPath, VariantKey};
    ///
    /// let index = CacheIndex::default();
    /// let (tenant, birds) = (index.tenant("doc"), OriginPath::opaque("birds.jpg")?);
    /// let small = VariantKey::opaque("small")?;
    /// assert!(index.insert(&tenant, &birds, &small, 7).is_stored());
    /// assert_eq!(index.lookup(&tenant, &birds, &small), Lookup::Live(7));
    /// index.purge(&tenant, &birds, Hard);
    /// assert_eq!(index.lookup(&tenant, &birds, &small), Lookup::Miss);
    /// # Ok::<(), cache_index::NameError>(())
    /// ```
    pub fn lookup(
        &self,
        tenant: &Tenant,
        path: &OriginPath<'_>,
        variant: &VariantKey<'_>,
    ) -> Lookup<V>
    where
        V: Clone,
    {
        let key = self.core.key(tenant, path);
        let shared = &self.core.shared;
        let wanted = || Wanted::new(variant.as_str(), &shared.hashing);
        self.core.shard(&key).read().lookup(&key, wanted, shared)
    }

    /// Looks for several variants of one tenant, each as [`lookup`](Self::lookup) does. The answers
    /// are in the order of the keys.
    ///
    /// For servers that know several keys at once, such as those of a page's pictures. The memory
    /// that the lookups need is fetched for sixteen at a time, instead of waiting for one after the
    /// other. On processors other than x86-64 and AArch64, this is `lookup` in a loop.
    ///
    /// Each variant is looked up at a moment of its own; all of them before the call returns.
    ///
    /// **Cost:** that of the single lookups, and one allocation for the answers; or less, if little
    /// of the index is in the processor's caches.
    /// **Locks:** one shard after another, shared; three times for each key.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{CacheIndex, Lookup, OriginPath, VariantKey};
    ///
    /// let index = CacheIndex::default();
    /// let tenant = index.tenant("doc");
    /// let birds = OriginPath::from_canonical("sample.li/birds.jpg")?;
    /// let boat = OriginPath::from_canonical("sample.li/boat.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// assert!(index.insert(&tenant, &boat, &small, 7_u64).is_stored());
    ///
    /// let found = index.lookup_many(&tenant, &[(&birds, &small), (&boat, &small)]);
    /// assert_eq!(found, [Lookup::Miss, Lookup::Live(7)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lookup_many(
        &self,
        tenant: &Tenant,
        keys: &[(&OriginPath<'_>, &VariantKey<'_>)],
    ) -> Vec<Lookup<V>>
    where
        V: Clone,
    {
        /// As many as are under way at the same time. Processors wait for ten to sixteen lines of
        /// memory at once.
        const TOGETHER: usize = 16;
        let Core { shared, .. } = &*self.core;
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(TOGETHER) {
            let hashed = keys.iter().map(|(path, variant)| {
                let variant = Wanted::new(variant.as_str(), &shared.hashing);
                (self.core.key(tenant, path), variant)
            });
            let hashed: SmallVec<[_; TOGETHER]> = hashed.collect();
            for stage in Stage::ALL {
                for (key, _) in &hashed {
                    self.core.shard(key).read().fetch(*stage, key);
                }
            }
            found.extend(hashed.iter().map(|(key, variant)| {
                self.core.shard(key).read().lookup(key, || *variant, shared)
            }));
        }
        found
    }

    /// Returns the variants of `path` that may be served, in no particular order.
    ///
    /// **Cost:** O(v) in the variants of `path`, which are copied.
    /// **Locks:** one shard, shared, while they are.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{CacheIndex, OriginPath, VariantKey};
    ///
    /// let index = CacheIndex::default();
    /// let (tenant, birds) = (index.tenant("doc"), OriginPath::opaque("birds.jpg")?);
    /// let small = VariantKey::opaque("small")?;
    /// assert!(index.insert(&tenant, &birds, &small, 7).is_stored());
    /// assert_eq!(index.variants(&tenant, &birds), [small]);
    /// # Ok::<(), cache_index::NameError>(())
    /// ```
    pub fn variants(&self, tenant: &Tenant, path: &OriginPath<'_>) -> Vec<VariantKey<'static>> {
        let key = self.core.key(tenant, path);
        self.core.shard(&key).read().variants(&key, &self.core.shared)
    }

    /// Returns the paths of `tenant` that begin with `prefix` and have a variant that may be
    /// served, in no particular order.
    ///
    /// Shards are visited one after the other, so a path that comes or goes meanwhile may be in the
    /// answer or not.
    ///
    /// **Cost:** O(paths in the index); paths are hashed, not sorted.
    /// **Locks:** one shard after another, shared, while its paths are compared.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{CacheIndex, OriginPath, PathPrefix, VariantKey};
    ///
    /// let index = CacheIndex::default();
    /// let tenant = index.tenant("doc");
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// for path in ["a/1.jpg", "a/2.jpg", "b/1.jpg"] {
    ///     let path = OriginPath::from_canonical(path)?;
    ///     assert!(index.insert(&tenant, &path, &small, ()).is_stored());
    /// }
    ///
    /// let mut found = index.paths(&tenant, &PathPrefix::from_canonical("a/")?);
    /// found.sort();
    /// assert!(found.iter().map(|path| path.as_str()).eq(["a/1.jpg", "a/2.jpg"]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn paths(&self, tenant: &Tenant, prefix: &PathPrefix<'_>) -> Vec<OriginPath<'static>> {
        self.core.check(tenant);
        let shards = self.core.shards.iter();
        shards
            .flat_map(|cell| cell.shard.read().paths(tenant, prefix.as_str(), &self.core.shared))
            .collect()
    }

    /// Removes at most `limit` dead entries and returns them.
    ///
    /// With [`DeadValues::Drop`](crate::DeadValues::Drop), this call is optional: the index drops
    /// dead entries as it is used, and `reclaim` frees them sooner. With
    /// [`DeadValues::Queue`](crate::DeadValues::Queue), `reclaim` returns every dead value, and
    /// nothing else does.
    ///
    /// Dead entries may lie far apart. To keep the call short, it examines at most about 4096 + 16
    /// * `limit` entries. Call again until [`Reclaimed::is_done`] returns `true`.
    ///
    /// **Cost:** O(limit).
    /// **Locks:** one shard after another, exclusively, for each path that is taken out. Only one
    /// thread sweeps at a time.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{CacheIndex, Config, DeadValues, Hard, OriginPath, VariantKey};
    ///
    /// let index = CacheIndex::new(Config::builder().dead_values(DeadValues::Queue).build()?);
    /// let tenant = index.tenant("doc");
    /// let birds = OriginPath::from_canonical("sample.li/birds.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// assert!(index.insert(&tenant, &birds, &small, 7_u64).is_stored());
    /// index.flush_all(Hard);
    ///
    /// let mut deleted = Vec::new();
    /// loop {
    ///     let dead = index.reclaim(100);
    ///     let done = dead.is_done();
    ///     deleted.extend(dead.into_iter().map(|entry| entry.value));
    ///     if done {
    ///         break;
    ///     }
    /// }
    /// assert_eq!(deleted, [7]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reclaim(&self, limit: usize) -> Reclaimed<V> {
        self.core.reclaim(limit)
    }

    /// Returns counts. Entries that a flush has killed count as dead from that moment on, although
    /// the flush doesn't visit them.
    ///
    /// **Cost:** O(shards), times the tenants that have entries there.
    /// **Locks:** one shard after another, shared.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{CacheIndex, Hard, OriginPath, VariantKey};
    ///
    /// let index = CacheIndex::default();
    /// let (tenant, birds) = (index.tenant("doc"), OriginPath::opaque("birds.jpg")?);
    /// assert!(index.insert(&tenant, &birds, &VariantKey::opaque("small")?, 7).is_stored());
    /// assert_eq!((index.stats().live, index.stats().dead), (1, 0));
    /// index.flush_all(Hard);
    /// assert_eq!((index.stats().live, index.stats().dead), (0, 1));
    /// # Ok::<(), cache_index::NameError>(())
    /// ```
    pub fn stats(&self) -> Stats {
        self.core.stats()
    }

    /// Panics where an invariant of the index doesn't hold inside. Only while nobody else uses it;
    /// only for the fuzzer.
    #[cfg(fuzzing)]
    #[doc(hidden)]
    pub fn check_invariants(&self) {
        self.core.check_invariants();
    }
}

impl<V> fmt::Debug for CacheIndex<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheIndex")
            .field("shards", &self.core.shards.len())
            .field("stats", &self.stats())
            .finish()
    }
}
