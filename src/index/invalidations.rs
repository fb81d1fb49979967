//! Purges and flushes.

use super::cache_index::CacheIndex;
use super::core::Core;
use crate::mode::Mode;
use crate::names::{OriginPath, PathPrefix};
use crate::outcome::{Flushed, PrefixPurged};
use crate::scopes::Tenant;
use crate::selection::Selection;
use crate::severity::Severity;
use crate::sync::Ordering;

impl<V> CacheIndex<V> {
    /// Invalidates every variant of `path`. [`Hard`](crate::Hard) removes and returns them,
    /// [`Soft`](crate::Soft) makes them stale.
    ///
    /// Leases taken before this call can no longer commit under `path` (hard), or are stored stale
    /// (soft), whether the path had variants or not. Leases for other paths are untouched.
    ///
    /// **Cost:** hard, O(1) under the lock and O(v) for the caller to drop the v variants; soft,
    /// O(v). The size of the index does not matter.
    /// **Locks:** one shard, exclusively, while the variants are unlinked or marked.
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
    /// let (tenant, birds) = (index.tenant("doc"), OriginPath::opaque("birds.jpg")?);
    /// let small = VariantKey::opaque("small")?;
    /// assert!(index.insert(&tenant, &birds, &small, 7).is_stored());
    /// assert_eq!(index.purge(&tenant, &birds, Hard).len(), 1);
    /// assert_eq!(index.purge(&tenant, &birds, Hard).len(), 0);
    /// # Ok::<(), cache_index::NameError>(())
    /// ```
    pub fn purge<M: Mode>(&self, tenant: &Tenant, path: &OriginPath<'_>, mode: M) -> M::Outcome<V> {
        if mode.severity() == Severity::Soft {
            return self.purge_selected(tenant, path, Selection::All, mode);
        }
        let key = self.core.key(tenant, path);
        M::hard_outcome(|purged| self.core.purge_path(&key, purged))
    }

    /// Invalidates the variants of `path` that `selection` picks, in the same way as
    /// [`purge`](Self::purge).
    ///
    /// The variant of an in-flight fill is not known before it commits. So every lease for the path
    /// that was taken before this call can no longer commit (hard) or is stored stale (soft).
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
        let key = self.core.key(tenant, path);
        let fills = self.core.fills(&key);
        self.core.write(&key, |shard, shared| {
            let (outcome, dead_record) =
                shard.purge(&key, selection, mode.severity(), fills, shared);
            (M::outcome(outcome), dead_record)
        })
    }

    /// Purges many paths of one tenant, each as [`purge`](Self::purge) does, and locks each shard
    /// once. The outcomes are in the order of the paths.
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
        let paths: Vec<_> = paths.iter().map(|path| (path.as_str(), Selection::All)).collect();
        let outcomes = self.core.purge_each(tenant, &paths, mode.severity());
        outcomes.into_iter().map(M::outcome).collect()
    }

    /// Invalidates every path of `tenant` that begins with `prefix`, cached or being fetched.
    /// Leases for such paths that were taken before can't commit (hard) or are stored stale (soft).
    /// Other paths are untouched.
    ///
    /// Paths are compared byte for byte: `a/b` covers `a/b.jpg` and `a/bc/d.jpg`, `a/b/` neither.
    ///
    /// The purge leaves a prefix rule behind. It is removed once every older entry has been checked
    /// against it, either by normal use or by [`reclaim`](Self::reclaim). While rules are open, the
    /// first lookup of each older path pays for the comparison: one probe for each length that a
    /// prefix of the tenant has. Until the sweep reaches them, entries killed by a prefix purge are
    /// still counted in [`Stats::live`](crate::Stats::live).
    ///
    /// **Cost:** O(length of the prefix), and O(log n) in the number of open rules; nothing under
    /// the prefix is visited.
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
        self.core.check(tenant);
        self.core.prefix_purges.fetch_add(1, Ordering::Relaxed);
        let added =
            self.core.shared.scopes.invalidate_prefix(tenant, prefix.as_str(), mode.severity());
        PrefixPurged { generation: added.generation, widened: added.widened }
    }

    /// Invalidates all that belongs to `tenant`. Leases of the tenant that were taken before can't
    /// commit (hard) or are stored stale (soft). Other tenants are untouched.
    ///
    /// Hard, the entries' memory stays until it is reclaimed, by [`reclaim`](Self::reclaim) or as
    /// the index is used.
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
        self.core.check(tenant);
        self.core.tenant_flushes.fetch_add(1, Ordering::Relaxed);
        let generation = self.core.shared.scopes.invalidate_tenant(tenant, mode.severity());
        Flushed { generation }
    }

    /// Flushes `tenant`, hard, and forgets it: for a customer who has left. Leases of the tenant
    /// can no longer commit, and nothing is stored for it any more.
    ///
    /// Nothing of the tenant is kept once its dead entries are reclaimed, its leases are closed,
    /// and the caller has dropped its handles.
    /// [`Stats::forgotten_tenants`](crate::Stats::forgotten_tenants) counts the tenants of which
    /// something is left. If the tenant was forgotten before, this returns the receipt of that time
    /// and changes nothing.
    ///
    /// The old handle, and each clone of it, remains usable and finds nothing: lookups miss,
    /// [`insert`](Self::insert) and [`commit`](crate::FillLease::commit) are refused as
    /// [`Forgotten`](crate::Refusal::Forgotten), purges and flushes match nothing.
    /// [`tenant`](Self::tenant) makes a new tenant for the same name, which shares nothing with the
    /// old one.
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
        let Core { tenants, shared, .. } = &*self.core;
        self.core.check(tenant);
        Flushed { generation: tenants.forget(tenant, || shared.scopes.forget(tenant)) }
    }

    /// Invalidates everything. Leases that were taken before can't commit (hard) or are stored
    /// stale (soft).
    ///
    /// Hard, the entries' memory stays until it is reclaimed, by [`reclaim`](Self::reclaim) or as
    /// the index is used.
    ///
    /// **Cost:** O(1): no entry is visited.
    /// **Locks:** no shard; flushes take turns.
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
    /// index.flush_all(Hard);
    /// assert_eq!(index.lookup(&tenant, &birds, &small), Lookup::Miss);
    /// # Ok::<(), cache_index::NameError>(())
    /// ```
    pub fn flush_all<M: Mode>(&self, mode: M) -> Flushed {
        self.core.flushes.fetch_add(1, Ordering::Relaxed);
        Flushed { generation: self.core.shared.scopes.invalidate_all(mode.severity()) }
    }
}
