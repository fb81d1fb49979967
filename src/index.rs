//! `CacheIndex`: the public operations. Each picks a shard, locks it, calls it, unlocks it, and returns what came out.
//!
//! Invariants: at most one shard is locked at a time; no value of the caller's is dropped, and no guard handed out, while one is.

use crate::config::{Config, DeadValues};
use crate::generation::{AtomicGeneration, Generation};
use crate::graves::Graves;
use crate::hash::Hashing;
#[cfg(fuzzing)]
use crate::hash::PathHash;
use crate::lease::FillLease;
use crate::limits::Occupancy;
use crate::mode::{Mode, Severity};
use crate::open_fills::OpenFills;
use crate::origin::{OriginPath, PathPrefix};
use crate::outcome::{
    Flushed, Grave, Insertion, Lookup, PrefixPurged, Purged, Reclaimed, Softened,
};
use crate::prefetch::Stage;
use crate::scopes::Scopes;
use crate::selection::Selection;
use crate::shard::{Context, Extent, FillStart, Matches, Shard};
use crate::stats::Stats;
use crate::sync::{AtomicU64, CachePadded, Mutex, Ordering, ShardLock};
use crate::table::PathRef;
use crate::tenant::{Tenant, Tenants};
use crate::variant::VariantKey;
use crate::variants::Wanted;
use smallvec::SmallVec;
use std::fmt;
use std::sync::Arc;

/// This many places are looked at for dead entries by each storing operation after a flush, about two buckets of them. At 16 to a new path, a
/// table is swept long before it could grow by half. What is dead is taken out one path at a time, each under a lock of its own, so that
/// readers of the shard wait for about a microsecond.
const STEP: usize = 16;

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
/// Values lie side by side with those of about eight other paths, and move up in memory when one of these comes or goes: keep `V` small, an id
/// or a [`Box`].
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

// What the handle and its leases share. The sweep that follows a flush goes through all shards in order, one step at a time, as
// the index is used: `pass` says where it is, `swept` up to which broad invalidation nothing dead is left in the tables. One
// cursor for the whole index rather than one a shard, because a shard that sees no traffic must be swept, too.
//
// On lines of its own, as each look-up reads it and each lease counts its handle beside it.
#[repr(align(128))]
pub(crate) struct Core<V> {
    /// Tells this index from every other in the process.
    id: u64,
    shards: Box<[Cell<V>]>,
    cx: Context,
    tenants: Tenants,
    dead_values: DeadValues,
    graves: Mutex<Graves<V>>,
    pass: Mutex<Pass>,
    // Relaxed throughout: whoever concludes anything from it about the queue of graves locks the queue afterwards, and comes after
    // those who filled it before they moved this forward.
    swept: AtomicGeneration,
    prefix_purges: AtomicU64,
    tenant_flushes: AtomicU64,
    flushes: AtomicU64,
}

/// A shard and its open fills, on lines of their own: readers of the shard share its line, and each fill writes to the other.
struct Cell<V> {
    shard: CachePadded<ShardLock<Shard<V>>>,
    fills: CachePadded<OpenFills>,
}

impl<V> Default for Cell<V> {
    fn default() -> Self {
        Self { shard: CachePadded::default(), fills: CachePadded::default() }
    }
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
                shards: (0..config.shards()).map(|_| Cell::default()).collect(),
                cx: Context {
                    hashing: Hashing::new(),
                    keys: Arc::default(),
                    scopes: Scopes::new(config.max_prefix_rules()),
                    occupancy: Occupancy::new(config.limits()),
                    limits: config.limits().clone(),
                },
                tenants: Tenants::new(id),
                dead_values: config.dead_values(),
                graves: Mutex::default(),
                pass: Mutex::default(),
                swept: AtomicGeneration::default(),
                prefix_purges: AtomicU64::default(),
                tenant_flushes: AtomicU64::default(),
                flushes: AtomicU64::default(),
            }),
        }
    }

    /// The handle of the tenant called `name`, which comes into being when it is first asked for.
    ///
    /// The index keeps what it knows of a tenant until the tenant is [forgotten](Self::forget_tenant), so ask for tenants that
    /// exist, not for any text that a request brings.
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
        let Core { cx, .. } = &*self.core;
        let text = variant.as_str();
        let wanted = || Wanted { text, hash: cx.hashing.variant(text) };
        self.core.shard(&key).read().lookup(&key, wanted, cx)
    }

    /// Looks for several variants of one tenant, each as [`lookup`](Self::lookup) does. The answers are in the order of the keys.
    ///
    /// For servers that know several keys at once, such as those of a page's pictures. With the feature `prefetch`, the memory that the
    /// look-ups need is fetched for sixteen at a time, instead of waiting for one after the other; without it, this is `lookup` in a loop.
    ///
    /// Each variant is looked up at a moment of its own; all of them before the call returns.
    ///
    /// **Cost:** that of the single look-ups, and one allocation for the answers. With `prefetch` less, the more so the less of the
    /// index is in the processor's caches.
    /// **Locks:** one shard after another, shared; with `prefetch` four times for each key.
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
        /// As many as are under way at the same time. Processors wait for ten to sixteen lines of memory at once.
        const TOGETHER: usize = 16;
        let Core { cx, .. } = &*self.core;
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(TOGETHER) {
            let hashed = keys.iter().map(|(path, variant)| {
                let variant = variant.as_str();
                (self.core.key(tenant, path), variant, cx.hashing.variant(variant))
            });
            let hashed: SmallVec<[_; TOGETHER]> = hashed.collect();
            for stage in Stage::ALL {
                for (key, _, hash) in &hashed {
                    self.core.shard(key).read().fetch(*stage, key, *hash, cx);
                }
            }
            found.extend(hashed.iter().map(|(key, variant, hash)| {
                let wanted = || Wanted { text: variant, hash: *hash };
                self.core.shard(key).read().lookup(key, wanted, cx)
            }));
        }
        found
    }

    /// Begins a fill: take the lease before the source is read, commit it with what came out.
    ///
    /// **Cost:** O(1); after a flush, a bounded step of cleaning up besides. No allocation for paths of up to 96 bytes.
    /// **Locks:** the table of open fills of one shard. No shard.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    pub fn lease(&self, tenant: &Tenant, path: &OriginPath<'_>) -> FillLease<V> {
        let key = self.core.key(tenant, path);
        let began = self.core.fills(&key).open(&key, &self.core.cx.scopes);
        self.core.maintain();
        FillLease::new(&self.core, &key, began)
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
        self.core.write(&key, |shard, cx| shard.insert(&key, variant, value, cx))
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
        self.purge_selected(tenant, path, Selection::All, mode)
    }

    /// Invalidates the variants of `path` that `selection` picks, as [`purge`](Self::purge) does with all of them.
    ///
    /// What an open fill will be stored as isn't known before it commits, so leases for the path that were taken before can't
    /// commit (hard), or are stored stale (soft), whatever variant they turn out to be of.
    ///
    /// **Cost:** O(variants of `path`), times the entries of the selection.
    /// **Locks:** one shard, exclusively, while the variants are picked.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::Rules;
    /// use cache_index::{CacheIndex, Hard, OriginPath, Selection, VariantKey};
    ///
    /// let index = CacheIndex::default();
    /// let tenant = index.tenant("doc");
    /// let birds = OriginPath::from_canonical("sample.li/birds.jpg")?;
    /// for key in ["?w=200", "?h=100&w=200", "?w=400"] {
    ///     let stored = index.insert(&tenant, &birds, &VariantKey::from_canonical(key)?, ());
    ///     assert!(stored.is_stored());
    /// }
    ///
    /// let narrow = [Rules::default().operations("?width=200")?];
    /// let gone = index.purge_selected(&tenant, &birds, Selection::Operations(&narrow), Hard);
    /// assert_eq!(gone.len(), 2);
    ///
    /// let exact = [VariantKey::from_canonical("?w=400")?];
    /// let gone = index.purge_selected(&tenant, &birds, Selection::Keys(&exact), Hard);
    /// assert_eq!(gone.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn purge_selected<M: Mode>(
        &self,
        tenant: &Tenant,
        path: &OriginPath<'_>,
        selection: Selection<'_>,
        mode: M,
    ) -> M::Outcome<V> {
        let _ = mode;
        let key = self.core.key(tenant, path);
        let fills = self.core.fills(&key);
        self.core.write(&key, |shard, cx| {
            let severity = Severity::of::<M>();
            let (purged, softened, grave) = shard.purge(&key, selection, severity, fills, cx);
            (M::outcome(purged, softened), grave)
        })
    }

    /// Purges many paths of one tenant, each as [`purge`](Self::purge) does, and locks each shard once. The outcomes are in the order
    /// of the paths.
    ///
    /// Each path is purged at a moment of its own; all of them before the call returns.
    ///
    /// **Cost:** that of the single purges.
    /// **Locks:** one shard after another, exclusively, while its paths are purged.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{CacheIndex, Hard, OriginPath, VariantKey};
    ///
    /// let index = CacheIndex::default();
    /// let tenant = index.tenant("doc");
    /// let birds = OriginPath::from_canonical("sample.li/birds.jpg")?;
    /// let boat = OriginPath::from_canonical("sample.li/boat.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// assert!(index.insert(&tenant, &boat, &small, 7_u64).is_stored());
    ///
    /// let gone = index.purge_many(&tenant, &[birds, boat], Hard);
    /// assert!(gone[0].is_empty());
    /// assert_eq!(gone[1].len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn purge_many<M: Mode>(
        &self,
        tenant: &Tenant,
        paths: &[OriginPath<'_>],
        mode: M,
    ) -> Vec<M::Outcome<V>> {
        let _ = mode;
        let paths: Vec<_> = paths.iter().map(|path| (path.as_str(), Selection::All)).collect();
        let outcomes = self.core.purge_each(tenant, &paths, Severity::of::<M>());
        outcomes.into_iter().map(|(purged, softened)| M::outcome(purged, softened)).collect()
    }

    /// Invalidates every path of `tenant` that begins with `prefix`, cached or being fetched. Leases for such paths that were taken
    /// before can't commit (hard) or are stored stale (soft). Other paths are untouched.
    ///
    /// Matching is on the canonical path, byte by byte: `a/b` covers `a/b.jpg` and `a/bc/d.jpg`, `a/b/` neither.
    ///
    /// The rule that this leaves behind is forgotten when all that is older has been held against it, by use or by
    /// [`reclaim`](Self::reclaim). While rules are open, the first look-up of each older path pays for the comparison: one probe for
    /// each length that a prefix of the tenant has. [`Stats::live`] counts what a prefix purge killed until it is come across.
    ///
    /// **Cost:** O(length of the prefix), and O(log n) in the number of open rules; nothing under the prefix is visited.
    /// **Locks:** no shard; the table of rules, exclusively.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{CacheIndex, Hard, Lookup, OriginPath, PathPrefix, VariantKey};
    ///
    /// let index = CacheIndex::default();
    /// let tenant = index.tenant("doc");
    /// let avatar = OriginPath::from_canonical("sample.li/avatars/1.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// assert!(index.insert(&tenant, &avatar, &small, 7_u64).is_stored());
    ///
    /// index.purge_prefix(&tenant, &PathPrefix::from_canonical("sample.li/avatars/")?, Hard);
    /// assert_eq!(index.lookup(&tenant, &avatar, &small), Lookup::Miss);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn purge_prefix<M: Mode>(
        &self,
        tenant: &Tenant,
        prefix: &PathPrefix<'_>,
        mode: M,
    ) -> PrefixPurged {
        let _ = mode;
        self.core.check(tenant);
        self.core.prefix_purges.fetch_add(1, Ordering::Relaxed);
        let added =
            self.core.cx.scopes.invalidate_prefix(tenant, prefix.as_str(), Severity::of::<M>());
        PrefixPurged { generation: added.generation, widened: added.widened }
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

    /// Flushes `tenant`, hard, and forgets it: for a customer who has left. Leases of the tenant can no longer commit, and nothing
    /// is stored for it any more.
    ///
    /// Nothing of the tenant is kept once its dead entries are reclaimed, its leases are closed, and the caller has dropped its
    /// handles. [`Stats::forgotten_tenants`] counts the tenants of which something is left. If the tenant was forgotten before, this
    /// returns the receipt of that time and changes nothing.
    ///
    /// The old handle, and each clone of it, remains usable and finds nothing: lookups miss, [`insert`](Self::insert) and
    /// [`commit`](FillLease::commit) are refused as [`Forgotten`](crate::Refusal::Forgotten), purges and flushes match nothing.
    /// [`tenant`](Self::tenant) makes a new tenant for the same name, which shares nothing with the old one.
    ///
    /// **Cost:** O(length of the name): no entry is visited.
    /// **Locks:** the table of tenants, exclusively. No shard; flushes take turns.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{CacheIndex, Insertion, Lookup, OriginPath, Refusal, VariantKey};
    ///
    /// let index = CacheIndex::default();
    /// let tenant = index.tenant("doc");
    /// let birds = OriginPath::from_canonical("sample.li/birds.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// assert!(index.insert(&tenant, &birds, &small, 7_u64).is_stored());
    ///
    /// index.forget_tenant(&tenant);
    /// assert_eq!(index.lookup(&tenant, &birds, &small), Lookup::Miss);
    /// let Insertion::Refused(refused) = index.insert(&tenant, &birds, &small, 8) else {
    ///     unreachable!()
    /// };
    /// assert_eq!(refused.reason, Refusal::Forgotten);
    ///
    /// // A customer of the same name is another tenant.
    /// let new = index.tenant("doc");
    /// assert_ne!(new, tenant);
    /// assert!(index.insert(&new, &birds, &small, 9).is_stored());
    /// assert_eq!(index.lookup(&tenant, &birds, &small), Lookup::Miss);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn forget_tenant(&self, tenant: &Tenant) -> Flushed {
        let Core { tenants, cx, .. } = &*self.core;
        self.core.check(tenant);
        Flushed { generation: tenants.forget(tenant, || cx.scopes.forget(tenant)) }
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

    /// The paths of `tenant` that begin with `prefix` and have a variant that may be served, in no particular order.
    ///
    /// Shards are visited one after the other, so a path that comes or goes meanwhile may be in the answer or not.
    ///
    /// **Cost:** O(paths in the index): the index is no tree.
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
    /// assert_eq!(found.iter().map(|path| path.as_str()).collect::<Vec<_>>(), ["a/1.jpg", "a/2.jpg"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn paths(&self, tenant: &Tenant, prefix: &PathPrefix<'_>) -> Vec<OriginPath<'static>> {
        self.core.check(tenant);
        let shards = self.core.shards.iter();
        shards
            .flat_map(|cell| cell.shard.read().paths(tenant, prefix.as_str(), &self.core.cx))
            .collect()
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
    /// **Locks:** one shard after another, exclusively, for each path that is taken out. Only one thread sweeps at a time.
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

    /// Panics where an invariant of the index doesn't hold inside. Only while nobody else uses it; only for the fuzzer.
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

impl<V> Core<V> {
    fn check(&self, tenant: &Tenant) {
        assert_eq!(tenant.index(), self.id, "tenant {tenant:?} belongs to another index");
    }

    fn key<'a>(&self, tenant: &'a Tenant, path: &'a OriginPath<'_>) -> PathRef<'a> {
        self.named(tenant, path.as_str())
    }

    fn named<'a>(&self, tenant: &'a Tenant, path: &'a str) -> PathRef<'a> {
        self.check(tenant);
        PathRef { hash: self.cx.hashing.path(tenant.id(), path), tenant, path }
    }

    fn shard(&self, key: &PathRef<'_>) -> &ShardLock<Shard<V>> {
        &self.cell(key).shard.0
    }

    fn fills(&self, key: &PathRef<'_>) -> &OpenFills {
        &self.cell(key).fills.0
    }

    fn cell(&self, key: &PathRef<'_>) -> &Cell<V> {
        &self.shards[key.hash.shard(self.shards.len())]
    }

    pub(crate) fn commit(
        &self,
        key: &PathRef<'_>,
        began: FillStart,
        variant: &VariantKey<'_>,
        value: V,
    ) -> Insertion<V> {
        let fills = self.fills(key);
        self.write(key, |shard, cx| shard.commit(key, began, variant, value, fills, cx))
    }

    pub(crate) fn close(&self, key: &PathRef<'_>, began: FillStart) {
        self.fills(key).close(key, began.clock);
    }

    /// Changes the path's shard, queues or drops what died in it, and then sweeps a little.
    fn write<R>(
        &self,
        key: &PathRef<'_>,
        change: impl FnOnce(&mut Shard<V>, &Context) -> (R, Option<Grave<V>>),
    ) -> R {
        let mut shard = self.shard(key).write();
        let (result, grave) = change(&mut shard, &self.cx);
        // Queued while the shard is locked: who has swept the shard afterwards knows that nothing dead of it is still on its way.
        let dropped = grave.and_then(|grave| self.queue(grave));
        drop(shard);
        // Dropped when nothing is locked any more.
        drop(dropped);
        self.maintain();
        result
    }

    /// Purges paths, or variants of them, and locks each shard once. The outcomes are in the order of the paths; that of the other
    /// severity is empty.
    pub(crate) fn purge_each(
        &self,
        tenant: &Tenant,
        paths: &[(&str, Selection<'_>)],
        severity: Severity,
    ) -> Vec<(Purged<V>, Softened)> {
        let shards = self.shards.len();
        let mut keys: Vec<_> = paths
            .iter()
            .map(|(path, selection)| (self.named(tenant, path), *selection))
            .enumerate()
            .collect();
        let shard_of = |key: &PathRef<'_>| key.hash.shard(shards);
        // Stable: where a path occurs twice, its turns stay in order.
        keys.sort_by_key(|(_, (key, _))| shard_of(key));
        let mut outcomes: Vec<_> = paths.iter().map(|_| None).collect();
        let mut dropped = Vec::new();
        for group in keys.chunk_by(|(_, (a, _)), (_, (b, _))| shard_of(a) == shard_of(b)) {
            let fills = self.fills(&group[0].1.0);
            let mut shard = self.shard(&group[0].1.0).write();
            for (at, (key, selection)) in group {
                let (purged, softened, grave) =
                    shard.purge(key, *selection, severity, fills, &self.cx);
                outcomes[*at] = Some((purged, softened));
                dropped.extend(grave.and_then(|grave| self.queue(grave)));
            }
        }
        drop(dropped);
        self.maintain();
        outcomes.into_iter().flatten().collect()
    }

    /// What a purge of the path would meet now.
    pub(crate) fn matches(
        &self,
        tenant: &Tenant,
        path: &OriginPath<'_>,
        selection: Selection<'_>,
    ) -> Matches {
        let key = self.key(tenant, path);
        self.shard(&key).read().matches(&key, selection, self.fills(&key), &self.cx)
    }

    /// How much a purge of the prefix would meet, shard by shard.
    pub(crate) fn extent(&self, tenant: &Tenant, prefix: &str) -> Extent {
        self.check(tenant);
        let mut total = Extent::default();
        for Cell { shard, fills } in &self.shards {
            let extent = shard.read().extent(tenant, prefix, fills, &self.cx);
            total.live += extent.live;
            total.stale += extent.stale;
            total.fills += extent.fills;
        }
        total
    }

    /// The number of the last purge or flush that has begun.
    pub(crate) fn newest_generation(&self) -> Generation {
        self.cx.scopes.clock.load_relaxed()
    }

    /// Queues dead values, or gives them back to be dropped outside of the locks.
    fn queue(&self, grave: Grave<V>) -> Option<Grave<V>> {
        match self.dead_values {
            DeadValues::Drop => Some(grave),
            DeadValues::Queue => {
                self.graves.lock().push([grave]);
                None
            }
        }
    }

    /// One bounded step of the sweep, if there is something to sweep and nobody else is at it.
    fn maintain(&self) {
        if self.swept.load_relaxed() >= self.cx.scopes.broad() {
            return;
        }
        let Some(mut pass) = self.pass.try_lock() else { return };
        let mut dropped = Vec::new();
        let mut budget = STEP;
        while budget > 0 && self.swept.load_relaxed() < self.cx.scopes.broad() {
            let looked_at = self.step(&mut pass, budget, |grave| {
                dropped.extend(self.queue(grave));
            });
            budget = budget.saturating_sub(looked_at);
        }
        drop(pass);
        drop(dropped);
    }

    /// Sweeps on in the shard whose turn it is, passes on a path that died there, and returns how many places that is worth.
    fn step(&self, pass: &mut Pass, places: usize, take: impl FnOnce(Grave<V>)) -> usize {
        if pass.shard == 0 && pass.target == Generation::START {
            // Read before the first shard is touched: a newer target would claim what was not looked at.
            pass.target = self.cx.scopes.broad();
        }
        let Cell { shard, fills } = &self.shards[pass.shard];
        let (looked_at, grave, done) = shard.write().sweep(places, fills, &self.cx);
        // Before the end of the pass is published: who reads that finds in the queue what was found.
        grave.map(take);
        if done {
            pass.shard += 1;
        }
        if pass.shard == self.shards.len() {
            self.swept.raise_relaxed(pass.target);
            self.cx.scopes.retire_rules(pass.target);
            *pass = Pass::default();
        }
        if done { looked_at.max(SHARD_VISIT) } else { looked_at }
    }

    fn reclaim(&self, limit: usize) -> Reclaimed<V> {
        let target = self.cx.scopes.broad();
        let mut entries = Vec::new();
        let mut budget = limit.saturating_mul(16).saturating_add(4096);
        self.graves.lock().take(limit, &mut entries);
        while entries.len() < limit && budget > 0 && self.swept.load_relaxed() < target {
            let places = STEP.min(budget);
            let looked_at =
                self.step(&mut self.pass.lock(), places, |grave| self.graves.lock().push([grave]));
            budget = budget.saturating_sub(looked_at);
            self.graves.lock().take(limit, &mut entries);
        }
        let done = self.swept.load_relaxed() >= target && self.graves.lock().entries() == 0;
        Reclaimed { entries, done }
    }

    #[cfg(fuzzing)]
    fn check_invariants(&self) {
        let (mut paths, mut entries, mut any_dead, mut uses) = (0, 0, false, Vec::new());
        for (number, Cell { shard, fills }) in self.shards.iter().enumerate() {
            let belongs = |hash: PathHash| hash.shard(self.shards.len()) == number;
            let (of_shard, entries_of_shard, dead_in_shard) =
                shard.read().check(fills, &self.cx, belongs, &mut uses);
            paths += of_shard;
            entries += entries_of_shard;
            any_dead |= dead_in_shard;
        }
        self.cx.keys.check(uses.into_iter());
        self.cx.occupancy.check(paths, entries);
        let (swept, broad) = (self.swept.load_relaxed(), self.cx.scopes.broad());
        assert!(swept <= broad && broad <= self.cx.scopes.clock.load_relaxed(), "generations");
        assert!(swept < broad || !any_dead, "dead entries behind the sweep");
        assert!(swept < broad || self.cx.scopes.open_rules() == 0, "rules behind the sweep");
        self.graves.lock().check();
    }

    fn stats(&self) -> Stats {
        let mut total = Stats {
            tenants: self.tenants.len(),
            forgotten_tenants: self.tenants.forgotten(),
            prefix_rules: self.cx.scopes.open_rules(),
            prefix_purges: self.prefix_purges.load(Ordering::Relaxed),
            tenant_flushes: self.tenant_flushes.load(Ordering::Relaxed),
            flushes: self.flushes.load(Ordering::Relaxed),
            bytes: self.shards.len() * size_of::<Cell<V>>()
                + self.cx.scopes.rule_bytes()
                + self.cx.keys.bytes(),
            ..Stats::default()
        };
        for Cell { shard, fills } in &self.shards {
            shard.read().add_stats(&self.cx, &mut total);
            total.open_leases += fills.leases();
            total.bytes += fills.bytes();
        }
        let graves = self.graves.lock();
        total.dead += graves.entries();
        total.bytes += graves.bytes();
        total
    }
}
