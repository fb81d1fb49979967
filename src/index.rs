//! `CacheIndex`: the public operations. Each picks a shard, locks it, calls it, unlocks it, and returns what came out.
//!
//! Invariants: at most one shard is locked at a time; no value of the caller's is dropped, and no guard handed out, while one is.

use crate::config::{Config, DeadValues};
use crate::generation::{AtomicGeneration, Generation};
use crate::graves::Graves;
use crate::hash::Hashing;
use crate::lease::FillLease;
use crate::mode::{Mode, Severity};
use crate::origin::OriginPath;
use crate::outcome::{Flushed, Grave, Insertion, Lookup, Reclaimed};
use crate::scopes::Scopes;
use crate::shard::{Began, Context, Key, Shard};
use crate::stats::Stats;
use crate::sync::{AtomicU64, CachePadded, Mutex, Ordering, RwLock};
use crate::tenant::{Tenant, Tenants};
use crate::variant::VariantKey;
use std::fmt;
use std::sync::Arc;

/// After a flush, each storing operation looks at this many places for dead entries. At 16 to a new path, a table is swept long
/// before it could grow by half.
const STEP: usize = 16;

/// How many places are looked at under one lock by `reclaim`: some microseconds.
const RECLAIM_STEP: usize = 256;

/// A shard that needs no sweeping still costs its lock, about as much as this many places.
const SHARD_VISIT: usize = 4;

/// Knows, for every picture, which of its renditions a cache holds.
///
/// `V` is what the server stores with a rendition: an object id, a file offset, `()` for a plain set. Share the index behind an
/// [`Arc`]; every operation takes `&self`.
///
/// The caller's `V` is cloned by look-ups and compared by [`remove`](Self::remove) while a shard is locked: these two must not
/// call the index. Dropped it is only outside of the locks.
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
    core: Arc<Core<V>>,
}

// What the handle and its leases share. The sweep that follows a flush goes through all shards in order, one step at a time, as
// the index is used: `pass` says where it is, `swept` up to which broad invalidation nothing dead is left in the tables. One
// cursor for the whole index rather than one a shard, because a shard that sees no traffic must be swept, too.
pub(crate) struct Core<V> {
    /// Tells this index from every other in the process.
    id: u64,
    shards: Box<[CachePadded<RwLock<Shard<V>>>]>,
    cx: Context,
    tenants: Tenants,
    dead_values: DeadValues,
    graves: Mutex<Graves<V>>,
    pass: Mutex<Pass>,
    swept: AtomicGeneration,
    tenant_flushes: AtomicU64,
    flushes: AtomicU64,
}

/// How far the sweep has come.
#[derive(Debug, Default)]
struct Pass {
    shard: usize,
    /// What `swept` will be when the last shard is done; read before the first shard was begun.
    target: Generation,
}

impl<V> Default for CacheIndex<V> {
    fn default() -> Self {
        Self::new(Config::default())
    }
}

impl<V> CacheIndex<V> {
    /// Makes an empty index, with hash seeds of its own.
    #[expect(clippy::needless_pass_by_value, reason = "a configuration is made for one index")]
    pub fn new(config: Config) -> Self {
        // std's own counter, whatever `sync` uses: it orders nothing and must survive from one index to the next.
        static NEXT_ID: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Self {
            core: Arc::new(Core {
                id,
                shards: (0..config.shards()).map(|_| CachePadded::default()).collect(),
                cx: Context { hashing: Hashing::new(), scopes: Scopes::default() },
                tenants: Tenants::new(id),
                dead_values: config.dead_values(),
                graves: Mutex::default(),
                pass: Mutex::default(),
                swept: AtomicGeneration::default(),
                tenant_flushes: AtomicU64::default(),
                flushes: AtomicU64::default(),
            }),
        }
    }

    /// The handle of the tenant called `name`, which comes into being when it is first asked for.
    ///
    /// The index keeps what it knows of a tenant for as long as it lives, so ask for tenants that exist, not for any text that a
    /// request brings.
    ///
    /// **Cost:** O(length of the name).
    /// **Locks:** the table of tenants, shared; exclusively for a new one. No shard.
    pub fn tenant(&self, name: &str) -> Tenant {
        self.core.tenants.get_or_add(name)
    }

    /// Looks for a variant.
    ///
    /// A purge or flush that has returned before this call began is always seen.
    ///
    /// **Cost:** O(1), no allocation of its own.
    /// **Locks:** one shard, shared, while the value is cloned.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
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
        self.core.shard(&key).read().lookup(&key, variant.as_str(), &self.core.cx)
    }

    /// Begins a fill: take the lease before the source is read, commit it with what came out.
    ///
    /// **Cost:** O(1); after a flush, a bounded step of cleaning up besides.
    /// **Locks:** one shard, exclusively, while the open fill is noted.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    pub fn lease(&self, tenant: &Tenant, path: &OriginPath<'_>) -> FillLease<V> {
        let key = self.core.key(tenant, path);
        let (path, began) = self.core.shard(&key).write().open(&key, &self.core.cx);
        let lease = FillLease::new(&self.core, &key, path, began);
        self.core.maintain();
        lease
    }

    /// Stores a value without a lease, as a fill that begins and ends in this call.
    ///
    /// For loading and warming only. With what was read from a source earlier, use [`lease`](Self::lease): a purge between the
    /// reading and this call would not be noticed.
    ///
    /// **Cost:** O(1) amortized; after a flush, a bounded step of cleaning up besides.
    /// **Locks:** one shard, exclusively, while the entry is written.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    pub fn insert(
        &self,
        tenant: &Tenant,
        path: &OriginPath<'_>,
        variant: &VariantKey<'_>,
        value: V,
    ) -> Insertion<V> {
        let key = self.core.key(tenant, path);
        let (insertion, grave) =
            self.core.shard(&key).write().insert(&key, variant, value, &self.core.cx);
        self.core.after(grave);
        insertion
    }

    /// Removes one variant, but only if it may still be served and holds `expected`; gives its value.
    ///
    /// For evictions: an object that is evicted late can't take down the entry of the object that took its place.
    ///
    /// **Cost:** O(1).
    /// **Locks:** one shard, exclusively, while the values are compared and the entry is taken out.
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
    /// let tenant = index.tenant("doc");
    /// let birds = OriginPath::from_canonical("sample.li/birds.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// assert!(index.insert(&tenant, &birds, &small, 8_u64).is_stored());
    ///
    /// assert_eq!(index.remove(&tenant, &birds, &small, &7), None);
    /// assert_eq!(index.remove(&tenant, &birds, &small, &8), Some(8));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the removed value is handed over here"]
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
        let key = self.core.key(tenant, path);
        self.core.shard(&key).write().remove(&key, variant.as_str(), expected, &self.core.cx)
    }

    /// Invalidates every variant of `path`: [`Hard`](crate::Hard) takes them out and hands them over, [`Soft`](crate::Soft) makes
    /// them stale.
    ///
    /// Leases taken before this call can no longer commit under `path` (hard), or are stored stale (soft), whether the path had
    /// variants or not. Leases for other paths are untouched.
    ///
    /// **Cost:** hard, O(1) under the lock and O(v) for the caller to drop the v variants; soft, O(v). Whatever the size of the
    /// index.
    /// **Locks:** one shard, exclusively, while the variants are unlinked or marked.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    pub fn purge<M: Mode>(&self, tenant: &Tenant, path: &OriginPath<'_>, mode: M) -> M::Outcome<V> {
        let _ = mode;
        let key = self.core.key(tenant, path);
        let (purged, softened, grave) =
            self.core.shard(&key).write().purge(&key, Severity::of::<M>(), &self.core.cx);
        self.core.after(grave);
        M::outcome(purged, softened)
    }

    /// Invalidates all that belongs to `tenant`. Leases of the tenant that were taken before can't commit (hard) or are stored stale
    /// (soft). Other tenants are untouched.
    ///
    /// Hard, the entries' memory stays until it is reclaimed, by [`reclaim`](Self::reclaim) or as the index is used.
    ///
    /// **Cost:** O(1): no entry is visited.
    /// **Locks:** no shard; flushes take turns.
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
    /// let (doc, other) = (index.tenant("doc"), index.tenant("other"));
    /// let birds = OriginPath::from_canonical("sample.li/birds.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// assert!(index.insert(&doc, &birds, &small, 7_u64).is_stored());
    /// assert!(index.insert(&other, &birds, &small, 8_u64).is_stored());
    ///
    /// index.flush_tenant(&doc, Hard);
    /// assert_eq!(index.lookup(&doc, &birds, &small), Lookup::Miss);
    /// assert_eq!(index.lookup(&other, &birds, &small), Lookup::Live(8));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flush_tenant<M: Mode>(&self, tenant: &Tenant, mode: M) -> Flushed {
        let _ = mode;
        self.core.check(tenant);
        self.core.tenant_flushes.fetch_add(1, Ordering::Relaxed);
        let generation = self.core.cx.scopes.invalidate_tenant(tenant, Severity::of::<M>());
        Flushed { generation }
    }

    /// Invalidates everything. Leases that were taken before can't commit (hard) or are stored stale (soft).
    ///
    /// Hard, the entries' memory stays until it is reclaimed, by [`reclaim`](Self::reclaim) or as the index is used.
    ///
    /// **Cost:** O(1): no entry is visited.
    /// **Locks:** no shard; flushes take turns.
    pub fn flush_all<M: Mode>(&self, mode: M) -> Flushed {
        let _ = mode;
        self.core.flushes.fetch_add(1, Ordering::Relaxed);
        Flushed { generation: self.core.cx.scopes.invalidate_all(Severity::of::<M>()) }
    }

    /// The variants of `path` that may be served, in no particular order.
    ///
    /// **Cost:** O(v) in the variants of `path`, which are copied.
    /// **Locks:** one shard, shared, while they are.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    pub fn variants(&self, tenant: &Tenant, path: &OriginPath<'_>) -> Vec<VariantKey<'static>> {
        let key = self.core.key(tenant, path);
        self.core.shard(&key).read().variants(&key, &self.core.cx)
    }

    /// Takes out at most `limit` dead entries and hands them over.
    ///
    /// With [`DeadValues::Drop`] nobody needs to call this: dead entries are dropped as the index is used, and this is for those
    /// who want them gone sooner. With [`DeadValues::Queue`] every dead value comes out here, and only here.
    ///
    /// Dead entries may lie far apart. So that one call stays short, it also ends when it has looked at some thousands of places and
    /// sixteen for each entry asked for: [`Reclaimed::is_done`] tells whether to call again.
    ///
    /// **Cost:** O(limit).
    /// **Locks:** one shard after another, exclusively, some microseconds each. Only one thread sweeps at a time.
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

    /// Counts. Entries that a flush has killed count as dead from that moment on, though nobody visited them.
    ///
    /// **Cost:** O(shards), times the tenants that have entries there.
    /// **Locks:** one shard after another, shared.
    pub fn stats(&self) -> Stats {
        self.core.stats()
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

impl<V> Core<V> {
    fn check(&self, tenant: &Tenant) {
        assert_eq!(tenant.index(), self.id, "tenant {tenant:?} belongs to another index");
    }

    fn key<'a>(&self, tenant: &'a Tenant, path: &'a OriginPath<'_>) -> Key<'a> {
        self.check(tenant);
        let path = path.as_str();
        Key { hash: self.cx.hashing.path(tenant.id(), path), tenant, path }
    }

    fn shard(&self, key: &Key<'_>) -> &RwLock<Shard<V>> {
        &self.shards[key.hash.shard(self.shards.len())].0
    }

    pub(crate) fn commit(
        &self,
        key: &Key<'_>,
        began: Began,
        variant: &VariantKey<'_>,
        value: V,
    ) -> Insertion<V> {
        let (insertion, grave) =
            self.shard(key).write().commit(key, began, variant, value, &self.cx);
        self.after(grave);
        insertion
    }

    pub(crate) fn close(&self, key: &Key<'_>, began: Began) {
        self.shard(key).write().close(key, began);
    }

    /// What every storing operation does when it has unlocked its shard.
    fn after(&self, grave: Option<Grave<V>>) {
        if grave.is_some() {
            self.lay_to_rest(grave);
        }
        self.maintain();
    }

    /// Drops dead values or queues them, as configured. Call it with no shard locked.
    fn lay_to_rest(&self, graves: impl IntoIterator<Item = Grave<V>>) {
        match self.dead_values {
            DeadValues::Drop => drop(graves.into_iter().collect::<Vec<_>>()),
            DeadValues::Queue => self.graves.lock().push(graves),
        }
    }

    /// One bounded step of the sweep, if there is something to sweep and nobody else is at it.
    fn maintain(&self) {
        if self.swept.load() >= self.cx.scopes.broad() {
            return;
        }
        let Some(mut pass) = self.pass.try_lock() else { return };
        let mut graves = Vec::new();
        let mut budget = STEP;
        while budget > 0 && self.swept.load() < self.cx.scopes.broad() {
            let looked_at = self.step(&mut pass, budget, &mut graves);
            budget = budget.saturating_sub(looked_at);
        }
        drop(pass);
        if !graves.is_empty() {
            self.lay_to_rest(graves);
        }
    }

    /// Sweeps on in the shard whose turn it is, and says what that cost.
    fn step(&self, pass: &mut Pass, places: usize, graves: &mut Vec<Grave<V>>) -> usize {
        if pass.shard == 0 {
            // Read before the shard is touched. If the shard is only begun in this step and finished in a later one, an older target
            // would do as well; a newer one would claim what was not looked at.
            pass.target = match pass.target {
                Generation::START => self.cx.scopes.broad(),
                begun => begun,
            };
        }
        let (looked_at, done) = self.shards[pass.shard].0.write().sweep(places, &self.cx, graves);
        if done {
            pass.shard += 1;
        }
        if pass.shard == self.shards.len() {
            self.swept.publish(pass.target);
            *pass = Pass::default();
        }
        looked_at.max(SHARD_VISIT)
    }

    fn reclaim(&self, limit: usize) -> Reclaimed<V> {
        let target = self.cx.scopes.broad();
        let mut entries = Vec::new();
        let mut budget = limit.saturating_mul(16).saturating_add(4096);
        self.graves.lock().take(limit, &mut entries);
        while entries.len() < limit && budget > 0 && self.swept.load() < target {
            let mut found = Vec::new();
            let looked_at = self.step(&mut self.pass.lock(), RECLAIM_STEP.min(budget), &mut found);
            budget = budget.saturating_sub(looked_at);
            let mut graves = self.graves.lock();
            graves.push(found);
            graves.take(limit, &mut entries);
        }
        let done = self.swept.load() >= target && self.graves.lock().entries() == 0;
        Reclaimed { entries, done }
    }

    fn stats(&self) -> Stats {
        let mut total = Stats {
            tenants: self.tenants.len(),
            tenant_flushes: self.tenant_flushes.load(Ordering::Relaxed),
            flushes: self.flushes.load(Ordering::Relaxed),
            bytes: self.shards.len() * size_of::<CachePadded<RwLock<Shard<V>>>>(),
            ..Stats::default()
        };
        for shard in &self.shards {
            shard.0.read().add_stats(&self.cx, &mut total);
        }
        let graves = self.graves.lock();
        total.dead += graves.entries();
        total.bytes += graves.bytes();
        total
    }
}
