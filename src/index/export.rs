//! Copying the whole index out, step by step, while it is in use.

use super::cache_index::CacheIndex;
use crate::outcome::ExportedPath;
use crate::scopes::Tenant;
use crate::shard::{ExportPlace, LargePlace, Running};

/// How far an export has come. A new one begins with the first entry.
///
/// It may hold the handle of a tenant, which counts as one that the caller keeps.
///
/// # Examples
///
/// ```
/// use cache_index::{CacheIndex, ExportCursor};
///
/// let index = CacheIndex::<u64>::default();
/// let mut cursor = ExportCursor::default();
/// while let Some(paths) = index.export(&mut cursor, 100) {
///     assert!(paths.is_empty());
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct ExportCursor {
    shard: usize,
    /// The place in that shard, once it was visited.
    place: Option<ExportPlace>,
    /// Large sets that were met and not copied yet.
    large: Vec<LargePlace>,
    running: Running,
}

impl ExportCursor {
    /// Creates a cursor of an export that leaves out all entries that are older than a running
    /// [flush over time](CacheIndex::flush_all_over), as though each had ended.
    ///
    /// After a crash, it is not known how much of the duration has passed, and which of the older
    /// entries had died. Without them, nothing dead comes back.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{CacheIndex, ExportCursor, OriginPath, VariantKey};
    /// use std::time::Duration;
    ///
    /// let index = CacheIndex::<u64>::default();
    /// let birds = OriginPath::from_canonical("sample.li/birds.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// assert!(index.insert(&index.tenant("doc"), &birds, &small, 7).is_stored());
    /// index.flush_all_over(Duration::from_secs(3600));
    ///
    /// let mut cursor = ExportCursor::as_if_ended();
    /// while let Some(paths) = index.export(&mut cursor, 100) {
    ///     assert!(paths.is_empty());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn as_if_ended() -> Self {
        Self { running: Running::Ended, ..Self::default() }
    }
}

impl<V> CacheIndex<V> {
    /// Copies further entries that may be served. Returns `None` when all of them were copied.
    ///
    /// Entries that a flush or purge has killed are left out, and entries that a soft flush or
    /// prefix purge covers are stale in the copy.
    ///
    /// The index may be used and changed between two calls, and during one. An entry that is there
    /// from the first call to the last, and is not replaced, is copied at least once. It may be
    /// copied twice if the index grows meanwhile. Each entry was in the index when it was copied.
    ///
    /// A call looks at about `limit` entries: it ends with the paths of the bucket, about 10, in
    /// which the limit is reached. A returned list may be empty although entries are left. A path
    /// with many variants may be returned in parts.
    ///
    /// **Cost:** O(limit).
    /// **Locks:** one shard, shared, while the entries are copied.
    ///
    /// # Panics
    /// If `cursor` was used with an index of fewer shards or other tenants.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{CacheIndex, ExportCursor, Freshness, OriginPath, Soft, VariantKey};
    ///
    /// let index = CacheIndex::default();
    /// let tenant = index.tenant("doc");
    /// let birds = OriginPath::from_canonical("sample.li/birds.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// assert!(index.insert(&tenant, &birds, &small, 7_u64).is_stored());
    /// index.flush_tenant(&tenant, Soft);
    ///
    /// let mut cursor = ExportCursor::default();
    /// while let Some(paths) = index.export(&mut cursor, 100) {
    ///     for path in paths {
    ///         assert_eq!((&path.tenant, &path.path), (&tenant, &birds));
    ///         assert_eq!(path.entries, [(small.clone(), 7, Freshness::Stale)]);
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn export(&self, cursor: &mut ExportCursor, limit: usize) -> Option<Vec<ExportedPath<V>>>
    where
        V: Clone,
    {
        let limit = limit.max(1);
        let scopes = (&self.core.shared, cursor.running);
        // Dropped after the shard is unlocked, should the caller's `clone` panic.
        let mut out = Vec::new();
        if let Some(place) = cursor.large.last() {
            let key = self.core.named(&place.tenant, &place.path);
            let shard = self.core.shard(&key).read();
            let next = shard.export_large(&key, place, limit, scopes, &mut out);
            drop(shard);
            match (next, cursor.large.last_mut()) {
                (Some(next), Some(last)) => *last = next,
                _ => drop(cursor.large.pop()),
            }
            return Some(out);
        }
        let shard = self.core.shards.get(cursor.shard)?.shard.read();
        let place = cursor.place.take().unwrap_or_else(|| ExportPlace::first(&shard));
        let mut large = Vec::new();
        let next = shard.export(&place, limit, scopes, &mut out, &mut large);
        drop(shard);
        cursor.large = large;
        cursor.shard += usize::from(next.is_none());
        cursor.place = next;
        Some(out)
    }

    /// Returns the tenants, in no particular order: those that were requested and not forgotten.
    ///
    /// **Cost:** O(tenants).
    /// **Locks:** the table of tenants, shared, while they are copied. No shard.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::CacheIndex;
    ///
    /// let index = CacheIndex::<u64>::default();
    /// let doc = index.tenant("doc");
    /// assert_eq!(index.tenants(), [doc.clone()]);
    /// index.forget_tenant(&doc);
    /// assert_eq!(index.tenants(), []);
    /// ```
    pub fn tenants(&self) -> Vec<Tenant> {
        self.core.tenants.list()
    }
}
