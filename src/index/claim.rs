//! Claims: a lookup that takes the lease on a miss, and tells later claims the value of the fill.
//!
//! Invariant: a claim returns the value of an open claim only if no invalidation of any scope has
//! reached that claim. So a request that starts after a purge has returned never joins a fill that
//! began before it.

use super::cache_index::CacheIndex;
use super::lease::FillLease;
use crate::names::{OriginPath, VariantKey};
use crate::outcome::Insertion;
use crate::scopes::Tenant;
use crate::shard::{ClaimAnswer, ClaimStart, PathRef};
use crate::variants::Wanted;
use std::fmt;
use std::sync::Arc;

/// The result of a [claim](CacheIndex::claim).
#[must_use = "a lease that is dropped gives up the fill"]
#[derive(Debug)]
pub enum Claim<V> {
    /// The value may be served.
    Live(V),
    /// The value may be served while it is refreshed.
    Stale {
        /// The value that may be served.
        value: V,
        /// The lease to refresh it, for the first claim. `None` while another claim is refreshing
        /// it.
        refresh: Option<ClaimLease<V>>,
    },
    /// No value may be served. Another claim is open, and this is the value that it claimed. It may
    /// still be dropped, or commit another value.
    Pending(V),
    /// No value may be served. This claim is the first: read the source and commit.
    Claimed(ClaimLease<V>),
}

/// The lease of a [claim](CacheIndex::claim), with the claimed variant and value.
///
/// While it is open, later claims of the same variant return its value as
/// [pending](Claim::Pending). It ends when the lease is committed or dropped. An invalidation that
/// reaches the fill ends it earlier, so that the next claim gets a lease of its own.
///
/// Otherwise it is a [`FillLease`]. The same invalidations refuse it, dropping it reports that the
/// fill failed, and it can be kept across an `await`.
///
/// # Examples
///
/// ```
/// use cache_index::{CacheIndex, Claim, OriginPath, VariantKey};
///
/// let index = CacheIndex::default();
/// let tenant = index.tenant("doc");
/// let (birds, small) = (OriginPath::opaque("birds.jpg")?, VariantKey::opaque("small")?);
///
/// let Claim::Claimed(lease) = index.claim(&tenant, &birds, &small, 7_u64) else { unreachable!() };
/// assert_eq!((lease.path(), lease.variant(), lease.value()), ("birds.jpg", small.clone(), &7));
/// assert!(matches!(index.claim(&tenant, &birds, &small, 8), Claim::Pending(7)));
///
/// assert!(lease.commit().is_stored());
/// assert!(matches!(index.claim(&tenant, &birds, &small, 9), Claim::Live(7)));
/// # Ok::<(), cache_index::NameError>(())
/// ```
#[must_use = "a lease that is dropped gives up the fill"]
pub struct ClaimLease<V> {
    /// Dropped first: no claim finds the value any more when it is dropped.
    lease: FillLease<V>,
    variant: Arc<str>,
    value: V,
}

impl<V> CacheIndex<V> {
    /// Looks for a variant, and takes a lease unless it is live or another claim is already filling
    /// it. `value` is the value that this claim intends to store.
    ///
    /// The first claim that misses gets the [lease](Claim::Claimed) and registers `value` as
    /// pending. Later claims of the same variant get a [copy](Claim::Pending) of it until the lease
    /// ends. A stale variant may be served, and its first claim gets the lease to refresh it.
    ///
    /// A pending value is void once a purge or flush that covers the path has returned, hard or
    /// soft, even if a selected purge did not select the variant: the same invalidations refuse the
    /// lease, or store its value as stale. The next claim then gets a lease, while the void one is
    /// still open.
    ///
    /// If the tenant was forgotten, each claim gets a lease of its own, which cannot commit.
    ///
    /// This is for servers that cache an object under a key that the index returns, and let that
    /// cache combine concurrent requests for one key. A [`lease`](Self::lease) registers no value,
    /// and no claim waits for it.
    ///
    /// `value` is dropped if the claim does not get the lease.
    ///
    /// **Cost:** O(1). One allocation if it gets the lease, two for paths of more than 96 bytes,
    /// and a bounded cleanup step after a flush. A live variant costs as much as a lookup.
    /// **Locks:** one shard, shared, while the value is cloned. Unless the variant is live, also
    /// the shard's table of open fills.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{CacheIndex, Claim, Hard, OriginPath, VariantKey};
    ///
    /// let index = CacheIndex::default();
    /// let tenant = index.tenant("doc");
    /// let birds = OriginPath::opaque("sample.li/birds.jpg")?;
    /// let small = VariantKey::opaque("200x100")?;
    /// let claim = |id: u64| index.claim(&tenant, &birds, &small, id);
    ///
    /// // The first request fetches the picture. The second one waits for the same object.
    /// let Claim::Claimed(first) = claim(1) else { unreachable!() };
    /// assert!(matches!(claim(2), Claim::Pending(1)));
    ///
    /// // The picture changes. A request that starts now must not get object 1.
    /// assert_eq!(index.purge(&tenant, &birds, Hard).overtaken_fills(), 1);
    /// let Claim::Claimed(third) = claim(3) else { unreachable!() };
    /// assert!(matches!(claim(4), Claim::Pending(3)));
    ///
    /// assert!(!first.commit().is_stored());
    /// assert!(third.commit().is_stored());
    /// assert!(matches!(claim(5), Claim::Live(3)));
    /// # Ok::<(), cache_index::NameError>(())
    /// ```
    pub fn claim(
        &self,
        tenant: &Tenant,
        path: &OriginPath<'_>,
        variant: &VariantKey<'_>,
        value: V,
    ) -> Claim<V>
    where
        V: Clone,
    {
        let key = self.core.key(tenant, path);
        let wanted = Wanted::new(variant.as_str(), &self.core.shared.hashing);
        let fills = self.core.fills(&key);
        let answer =
            self.core.shard(&key).read().claim(&key, wanted, &value, fills, &self.core.shared);
        // The value is dropped before a result is made: if that panics, so is the found value.
        match answer {
            ClaimAnswer::Live(found) => {
                drop(value);
                Claim::Live(found)
            }
            ClaimAnswer::Pending(found) => {
                drop(value);
                Claim::Pending(found)
            }
            ClaimAnswer::Stale(found, None) => {
                drop(value);
                Claim::Stale { value: found, refresh: None }
            }
            ClaimAnswer::Stale(found, Some(start)) => {
                let lease = self.claim_lease(&key, start, value);
                Claim::Stale { value: found, refresh: Some(lease) }
            }
            ClaimAnswer::Claimed(start) => Claim::Claimed(self.claim_lease(&key, start, value)),
        }
    }

    fn claim_lease(
        &self,
        key: &PathRef<'_>,
        ClaimStart { began, pending, variant }: ClaimStart,
        value: V,
    ) -> ClaimLease<V> {
        let lease = FillLease::new(&self.core, key, began, Some(pending));
        self.core.maintain();
        ClaimLease { lease, variant, value }
    }
}

impl<V> ClaimLease<V> {
    /// Returns the tenant whose picture is being fetched.
    pub fn tenant(&self) -> &Tenant {
        self.lease.tenant()
    }

    /// Returns the text of the path that is being fetched.
    pub fn path(&self) -> &str {
        self.lease.path()
    }

    /// Returns the claimed variant.
    pub fn variant(&self) -> VariantKey<'_> {
        VariantKey::new_unchecked(&*self.variant)
    }

    /// Returns the claimed value.
    pub fn value(&self) -> &V {
        &self.value
    }

    /// Stores the claimed value under the claimed variant, unless an invalidation overtook the
    /// fill, as [`FillLease::commit`] does.
    ///
    /// **Cost:** O(1) amortized, including a bounded cleanup step after a flush.
    /// **Locks:** one shard, exclusively, while the entry is written, and its table of open fills.
    pub fn commit(self) -> Insertion<V> {
        let Self { lease, variant, value } = self;
        lease.commit(&VariantKey::new_unchecked(&*variant), value)
    }

    /// Stores another value or another variant than the claimed one, and drops the claimed value.
    /// For a fill that learns its variant from the answer, such as the format that the source
    /// chose.
    ///
    /// Claims of the claimed variant then miss again, unless `variant` is the same.
    ///
    /// **Cost** and **Locks:** as [`commit`](Self::commit).
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{CacheIndex, Claim, Lookup, OriginPath, VariantKey};
    ///
    /// let index = CacheIndex::default();
    /// let (tenant, birds) = (index.tenant("doc"), OriginPath::opaque("birds.jpg")?);
    /// let (any, webp) = (VariantKey::opaque("small")?, VariantKey::opaque("small, webp")?);
    ///
    /// let Claim::Claimed(lease) = index.claim(&tenant, &birds, &any, 7) else { unreachable!() };
    /// assert!(lease.commit_as(&webp, 7).is_stored());
    /// assert_eq!(index.lookup(&tenant, &birds, &webp), Lookup::Live(7));
    /// assert_eq!(index.lookup(&tenant, &birds, &any), Lookup::Miss);
    /// # Ok::<(), cache_index::NameError>(())
    /// ```
    pub fn commit_as(self, variant: &VariantKey<'_>, value: V) -> Insertion<V> {
        self.lease.commit(variant, value)
    }
}

impl<V: fmt::Debug> fmt::Debug for ClaimLease<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimLease")
            .field("lease", &self.lease)
            .field("variant", &self.variant)
            .field("value", &self.value)
            .finish()
    }
}
