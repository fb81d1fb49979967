//! `FillLease`: the permission to store what a fill brings.
//!
//! Invariant: a lease is refused if its path was purged, or its tenant or everything flushed, after
//! it was taken; whether the path had an entry at the time or not. Nothing else refuses it.
//!
//! ```text
//!   fill                               purge
//!   lease = index.lease(path)            .
//!   reads the old picture                .
//!     .                                the picture is replaced at its source
//!     .                                index.purge(path)      notes the purge with the open fill
//!   lease.commit(variant, value)         .
//!   -> Refused: the old picture          .
//!      does not come back                .
//! ```
//!
//! Not here: making a second request wait for the first one's fill. The server must do that. A
//! claim tells it which fill.

use super::core::Core;
use crate::hash::PathHash;
use crate::names::VariantKey;
use crate::outcome::Insertion;
use crate::scopes::Tenant;
use crate::shard::{FillStart, PathRef, PathText, PendingId};
use std::fmt;
use std::sync::Arc;

/// Permission to store one variant of a path, taken *before* the source is read.
///
/// Dropping a lease reports that the fill failed, and releases the memory of the open fill. The
/// drop locks the table of open fills of one shard, and no shard.
///
/// A lease keeps the index alive, can be sent to another thread, and can be kept across an `await`.
///
/// # Examples
///
/// ```
/// use cache_index::{CacheIndex, Lookup, OriginPath, VariantKey};
///
/// let index = CacheIndex::default();
/// let tenant = index.tenant("doc");
/// let birds = OriginPath::from_canonical("sample.li/birds.jpg")?;
/// let small = VariantKey::from_canonical("?w=200")?;
///
/// if index.lookup(&tenant, &birds, &small) == Lookup::Miss {
///     let lease = index.lease(&tenant, &birds);
///     assert_eq!(lease.path(), "sample.li/birds.jpg");
///     let object = 7_u64; // read the source, resize, write the object
///     assert!(lease.commit(&small, object).is_stored());
/// }
/// assert_eq!(index.lookup(&tenant, &birds, &small), Lookup::Live(7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a lease that is dropped gives up the fill"]
pub struct FillLease<V> {
    core: Arc<Core<V>>,
    tenant: Tenant,
    path: PathText,
    hash: PathHash,
    began: FillStart,
    /// The pending value of a claim.
    pending: Option<PendingId>,
    /// False once the commit has closed the fill.
    open: bool,
}

impl<V> FillLease<V> {
    #[inline]
    pub(crate) fn new(
        core: &Arc<Core<V>>,
        key: &PathRef<'_>,
        began: FillStart,
        pending: Option<PendingId>,
    ) -> Self {
        let (core, tenant) = (Arc::clone(core), key.tenant.clone());
        let path = PathText::new(key.path);
        Self { core, tenant, path, hash: key.hash, began, pending, open: true }
    }

    /// Returns the tenant whose picture is being fetched.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Returns the text of the path that is being fetched.
    pub fn path(&self) -> &str {
        self.path.as_str()
    }

    /// Stores what the fill brought, unless an invalidation overtook it.
    ///
    /// Returns a value that is replaced or refused.
    ///
    /// **Cost:** O(1) amortized, including a bounded cleanup step after a flush.
    /// **Locks:** one shard, exclusively, while the entry is written, and its table of open fills.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{CacheIndex, Hard, OriginPath, VariantKey};
    ///
    /// let index = CacheIndex::default();
    /// let (tenant, birds) = (index.tenant("doc"), OriginPath::opaque("birds.jpg")?);
    /// let (slow, small) = (index.lease(&tenant, &birds), VariantKey::opaque("small")?);
    /// index.purge(&tenant, &birds, Hard);
    /// assert!(!slow.commit(&small, 7).is_stored());
    /// assert!(index.lease(&tenant, &birds).commit(&small, 8).is_stored());
    /// # Ok::<(), cache_index::NameError>(())
    /// ```
    pub fn commit(mut self, variant: &VariantKey<'_>, value: V) -> Insertion<V> {
        self.open = false;
        self.core.commit(&self.key(), (self.began, self.pending), variant, value)
    }

    fn key(&self) -> PathRef<'_> {
        PathRef { hash: self.hash, tenant: &self.tenant, path: self.path.as_bytes() }
    }
}

impl<V> Drop for FillLease<V> {
    fn drop(&mut self) {
        if self.open {
            self.core.close(self.hash, self.began, self.pending);
        }
    }
}

impl<V> fmt::Debug for FillLease<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FillLease")
            .field("tenant", &self.tenant.name())
            .field("path", &self.path)
            .field("began", &self.began)
            .finish_non_exhaustive()
    }
}
