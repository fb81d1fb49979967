//! Storing and removing single entries.

use super::cache_index::CacheIndex;
use super::lease::FillLease;
use crate::names::{OriginPath, VariantKey};
use crate::outcome::Insertion;
use crate::scopes::Tenant;

impl<V> CacheIndex<V> {
    /// Begins a fill: take the lease before the source is read, and commit it with the result.
    ///
    /// **Cost:** O(1) amortized, including a bounded cleanup step after a flush. No allocation for
    /// paths of up to 96 bytes.
    /// **Locks:** the table of open fills of one shard. No shard.
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
    /// let lease = index.lease(&tenant, &birds);
    /// // Here, the server reads the source.
    /// assert!(lease.commit(&VariantKey::opaque("small")?, 7).is_stored());
    /// # Ok::<(), cache_index::NameError>(())
    /// ```
    pub fn lease(&self, tenant: &Tenant, path: &OriginPath<'_>) -> FillLease<V> {
        let key = self.core.key(tenant, path);
        let began = self.core.fills(&key).open(&key, &self.core.shared.scopes);
        self.core.maintain();
        FillLease::new(&self.core, &key, began, None)
    }

    /// Stores a value without a lease, as a fill that begins and ends in this call.
    ///
    /// For loading and warming only. With what was read from a source earlier, use
    /// [`lease`](Self::lease): a purge between the reading and this call would not be noticed.
    ///
    /// **Cost:** O(1) amortized, including a bounded cleanup step after a flush.
    /// **Locks:** one shard, exclusively, while the entry is written.
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
    /// assert!(index.insert(&tenant, &birds, &VariantKey::opaque("small")?, 7).is_stored());
    /// # Ok::<(), cache_index::NameError>(())
    /// ```
    pub fn insert(
        &self,
        tenant: &Tenant,
        path: &OriginPath<'_>,
        variant: &VariantKey<'_>,
        value: V,
    ) -> Insertion<V> {
        let key = self.core.key(tenant, path);
        let variant = self.core.new_variant(variant, value);
        self.core.store(&key, |shard, shared, left| shard.insert(&key, variant, shared, left))
    }

    /// Removes one variant and returns its value, but only if it may still be served and holds
    /// `expected`.
    ///
    /// For evictions: remove the entry only if it still points at this object.
    ///
    /// **Cost:** O(1) amortized, including a bounded cleanup step after a flush.
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
        self.core
            .write(&key, |shard, shared| shard.remove(&key, variant.as_str(), expected, shared))
    }
}
