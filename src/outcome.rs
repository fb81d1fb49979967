//! The results of the operations.
//!
//! Invariant: every value that leaves the index leaves it inside one of these, so that the caller
//! drops it, deletes its object, or stores it elsewhere, with no lock held.

use crate::freshness::Freshness;
use crate::names::{OriginPath, VariantKey};
use crate::scopes::{Generation, Tenant};
use crate::variants::{Entry, Taken};
use std::fmt;
use std::sync::Arc;

/// The result of a lookup.
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
/// index.flush_all(Hard);
/// assert_eq!(index.lookup(&tenant, &birds, &small).servable(), None);
/// # Ok::<(), cache_index::NameError>(())
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup<V> {
    /// May be served.
    Live(V),
    /// May be served while it is refreshed; refreshing it is a fill, and takes a lease.
    Stale(V),
    /// No value may be served.
    Miss,
}

impl<V> Lookup<V> {
    /// Returns the value that may be served, live or stale.
    pub fn servable(self) -> Option<V> {
        match self {
            Self::Live(value) | Self::Stale(value) => Some(value),
            Self::Miss => None,
        }
    }
}

/// The outcome of storing a value.
///
/// A refusal is not an error: an invalidation overtook the fill, or a limit is reached. The server
/// may serve the value to the clients that wait for it, and must then discard it.
///
/// # Examples
///
/// ```
/// use cache_index::{CacheIndex, Hard, Insertion, OriginPath, Refusal, VariantKey};
///
/// let index = CacheIndex::default();
/// let tenant = index.tenant("doc");
/// let birds = OriginPath::from_canonical("sample.li/birds.jpg")?;
/// let small = VariantKey::from_canonical("?w=200")?;
///
/// let lease = index.lease(&tenant, &birds);
/// let gone = index.purge(&tenant, &birds, Hard);
/// assert!(gone.is_empty());
/// assert_eq!(gone.overtaken_fills(), 1);
///
/// let Insertion::Refused(refused) = lease.commit(&small, 7_u64) else { unreachable!() };
/// assert_eq!((refused.value, refused.reason), (7, Refusal::Purged));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a replaced or refused value is handed back here"]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Insertion<V> {
    /// The index holds the value.
    Stored(Stored<V>),
    /// The index doesn't hold the value, and returns it.
    Refused(Refused<V>),
}

impl<V> Insertion<V> {
    /// Returns whether the index holds the value.
    pub fn is_stored(&self) -> bool {
        matches!(self, Self::Stored(_))
    }
}

/// A value that was stored.
///
/// # Examples
///
/// ```
/// use cache_index::{CacheIndex, Insertion, OriginPath, VariantKey};
///
/// let index = CacheIndex::default();
/// let (tenant, birds) = (index.tenant("doc"), OriginPath::opaque("birds.jpg")?);
/// let small = VariantKey::opaque("small")?;
/// assert!(index.insert(&tenant, &birds, &small, 7).is_stored());
/// let again = index.insert(&tenant, &birds, &small, 8);
/// let Insertion::Stored(stored) = again else { panic!() };
/// assert_eq!(stored.replaced, Some(7));
/// # Ok::<(), cache_index::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored<V> {
    /// Stale if a soft purge or flush overtook the fill.
    pub freshness: Freshness,
    /// The value that the new one replaced.
    pub replaced: Option<V>,
    /// The variant that was evicted, if the path was full and the index is configured to
    /// [evict the oldest](crate::WhenFull::EvictOldest).
    pub evicted: Option<(VariantKey<'static>, V)>,
}

/// A value that was not stored.
///
/// # Examples
///
/// ```
/// use cache_index::{CacheIndex, Hard, Insertion, OriginPath, VariantKey};
///
/// let index = CacheIndex::default();
/// let (tenant, birds) = (index.tenant("doc"), OriginPath::opaque("birds.jpg")?);
/// let lease = index.lease(&tenant, &birds);
/// index.flush_all(Hard);
/// let late = lease.commit(&VariantKey::opaque("small")?, 7);
/// let Insertion::Refused(refused) = late else { panic!() };
/// assert_eq!((refused.value, refused.reason.to_string()), (7, "flushed".into()));
/// # Ok::<(), cache_index::NameError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused<V> {
    /// The value that was to be stored.
    pub value: V,
    /// Why it wasn't.
    pub reason: Refusal,
}

/// Why a value was not stored.
///
/// # Examples
///
/// ```
/// use cache_index::{CacheIndex, Config, Insertion, OriginPath, Refusal, VariantKey};
///
/// let index = CacheIndex::new(Config::builder().max_path_len(10).build()?);
/// let (tenant, long) = (index.tenant("doc"), OriginPath::opaque("sample.li/birds.jpg")?);
/// let outcome = index.insert(&tenant, &long, &VariantKey::opaque("small")?, 7);
/// let Insertion::Refused(refused) = outcome else { panic!() };
/// assert_eq!(refused.reason, Refusal::PathTooLong);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The path, or a prefix of it, was purged after the fill began.
    Purged,
    /// The tenant, or everything, was flushed after the fill began.
    Flushed,
    /// The tenant was [forgotten](crate::CacheIndex::forget_tenant), before the fill began or
    /// after.
    Forgotten,
    /// The path has as many variants as it may have.
    TooManyVariants,
    /// The index has as many paths as it may have, dead ones that were not swept yet included.
    TooManyPaths,
    /// The index has as many entries as it may have, dead ones that were not swept yet included.
    TooManyEntries,
    /// The path is longer than it may be.
    PathTooLong,
    /// The variant key is longer than it may be.
    KeyTooLong,
    /// The index holds a value of this variant already, which is newer than one that is
    /// [restored](crate::Restore).
    Newer,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Purged => "purged",
            Self::Flushed => "flushed",
            Self::Forgotten => "tenant forgotten",
            Self::TooManyVariants => "too many variants of the path",
            Self::TooManyPaths => "too many paths",
            Self::TooManyEntries => "too many entries",
            Self::PathTooLong => "path too long",
            Self::KeyTooLong => "variant key too long",
            Self::Newer => "variant has a newer value",
        })
    }
}

/// The result of a hard purge: the removed variants with their values, in no particular order.
///
/// Until it is iterated or dropped, the index keeps the texts of its keys, and the outcome keeps
/// the index's table of keys. To store many outcomes for long, collect their entries.
///
/// # Examples
///
/// ```
/// use cache_index::{CacheIndex, Hard, OriginPath, VariantKey};
///
/// let index = CacheIndex::default();
/// let tenant = index.tenant("doc");
/// let birds = OriginPath::from_canonical("sample.li/birds.jpg")?;
/// let small = VariantKey::from_canonical("?w=200")?;
/// assert!(index.insert(&tenant, &birds, &small, 7_u64).is_stored());
///
/// let gone = index.purge(&tenant, &birds, Hard);
/// assert_eq!(gone.len(), 1);
/// for (variant, object) in gone {
///     println!("delete object {object}, which was {variant}");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the values that went are in here, for the caller to delete their objects"]
pub struct Purged<V> {
    pub(crate) generation: Generation,
    pub(crate) variants: Taken<V>,
    pub(crate) voided: usize,
}

impl<V> Purged<V> {
    #[inline]
    pub(crate) fn none() -> Self {
        Self { generation: Generation::START, variants: Taken::none(), voided: 0 }
    }

    /// Returns how many variants were removed. Variants that an earlier flush had killed don't
    /// count.
    pub fn len(&self) -> usize {
        self.variants.len()
    }

    /// Returns whether the purge removed no variant. Open fills are not variants: see
    /// [`Self::overtaken_fills`].
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the generation of this purge.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Returns how many open fills of the path will be refused because of this purge.
    pub fn overtaken_fills(&self) -> usize {
        self.voided
    }

    /// Passes each removed variant on with its value, in no particular order. The keys are
    /// borrowed. An iteration, whose keys can be kept, takes two more atomic instructions for each.
    ///
    /// **Cost:** O(variants), no allocation.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{CacheIndex, Hard, OriginPath, VariantKey};
    ///
    /// let index = CacheIndex::default();
    /// let (tenant, birds) = (index.tenant("doc"), OriginPath::opaque("birds.jpg")?);
    /// assert!(index.insert(&tenant, &birds, &VariantKey::opaque("small")?, 7_u64).is_stored());
    ///
    /// let mut objects = Vec::new();
    /// index.purge(&tenant, &birds, Hard).visit(|variant, object| {
    ///     println!("delete object {object}, which was {variant}");
    ///     objects.push(object);
    /// });
    /// assert_eq!(objects, [7]);
    /// # Ok::<(), cache_index::NameError>(())
    /// ```
    #[inline]
    pub fn visit(self, mut visit: impl FnMut(VariantKey<'_>, V)) {
        self.variants.visit(|key, value| visit(VariantKey::new_unchecked(key), value));
    }
}

impl<V> fmt::Debug for Purged<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Purged")
            .field("generation", &self.generation)
            .field("len", &self.len())
            .field("overtaken_fills", &self.voided)
            .finish_non_exhaustive()
    }
}

impl<V> IntoIterator for Purged<V> {
    type Item = (VariantKey<'static>, V);
    type IntoIter = PurgedEntries<V>;

    #[inline]
    fn into_iter(self) -> PurgedEntries<V> {
        PurgedEntries(self.variants)
    }
}

/// The entries of a [`Purged`].
pub struct PurgedEntries<V>(Taken<V>);

impl<V> Iterator for PurgedEntries<V> {
    type Item = (VariantKey<'static>, V);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|entry| (key_of(entry.key), entry.value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.len(), Some(self.0.len()))
    }
}

impl<V> ExactSizeIterator for PurgedEntries<V> {}

impl<V> fmt::Debug for PurgedEntries<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PurgedEntries").field("left", &self.0.len()).finish()
    }
}

/// The result of a soft purge.
///
/// # Examples
///
/// ```
/// use cache_index::{CacheIndex, OriginPath, Soft, VariantKey};
///
/// let index = CacheIndex::default();
/// let (tenant, birds) = (index.tenant("doc"), OriginPath::opaque("birds.jpg")?);
/// assert!(index.insert(&tenant, &birds, &VariantKey::opaque("small")?, 7).is_stored());
/// assert_eq!(index.purge(&tenant, &birds, Soft).len(), 1);
/// let again = index.purge(&tenant, &birds, Soft);
/// assert_eq!((again.len(), again.stale_before()), (0, 1));
/// # Ok::<(), cache_index::NameError>(())
/// ```
#[must_use = "a purge that matched nothing says so here"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softened {
    pub(crate) generation: Generation,
    pub(crate) count: usize,
    pub(crate) stale_before: usize,
    pub(crate) overtaken: usize,
}

impl Softened {
    /// Returns how many variants became stale. Variants that were stale already don't count.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Returns how many of the selected variants were stale already.
    pub fn stale_before(&self) -> usize {
        self.stale_before
    }

    /// Returns whether no variant became stale.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the generation of this purge.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Returns how many open fills of the path will be stored stale because of this purge.
    pub fn overtaken_fills(&self) -> usize {
        self.overtaken
    }
}

/// The result of the purge of a path: hard or soft.
#[doc(hidden)]
#[derive(Debug)]
pub enum PurgeOutcome<V> {
    Hard(Purged<V>),
    Soft(Softened),
}

/// The receipt of a purge of a prefix.
///
/// It doesn't count entries: a purge of a prefix doesn't visit them.
///
/// # Examples
///
/// ```
/// use cache_index::{CacheIndex, Hard, PathPrefix};
///
/// let index = CacheIndex::<u64>::default();
/// let purged = index.purge_prefix(&index.tenant("doc"), &PathPrefix::opaque("avatars/")?, Hard);
/// assert!(purged.widened().is_none());
/// assert!(purged.generation() < index.flush_all(Hard).generation());
/// # Ok::<(), cache_index::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixPurged {
    pub(crate) generation: Generation,
    pub(crate) widened: Option<Tenant>,
}

impl PrefixPurged {
    /// Returns the generation of this purge. Everything under the prefix that began before it is
    /// dead (hard) or stale (soft).
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Returns the tenant that was invalidated as a whole, if there was no room for one more prefix
    /// rule and the oldest rule belonged to it. This invalidates more than requested, never less.
    pub fn widened(&self) -> Option<&Tenant> {
        self.widened.as_ref()
    }
}

/// The receipt of a flush.
///
/// It doesn't count entries: a flush doesn't visit them.
///
/// # Examples
///
/// ```
/// use cache_index::{CacheIndex, Hard, Soft};
///
/// let index = CacheIndex::<u64>::default();
/// let flushed = index.flush_tenant(&index.tenant("doc"), Soft);
/// assert!(flushed.generation() < index.flush_all(Hard).generation());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flushed {
    pub(crate) generation: Generation,
}

impl Flushed {
    /// Returns the generation of this flush. Everything that began before it is dead (hard) or
    /// stale (soft).
    pub fn generation(&self) -> Generation {
        self.generation
    }
}

/// Dead entries of one path on their way out.
pub(crate) struct DeadRecord<V> {
    pub(crate) tenant: Tenant,
    pub(crate) path: Box<str>,
    pub(crate) entries: Vec<Entry<V>>,
    /// Heap bytes.
    pub(crate) bytes: usize,
}

impl<V> DeadRecord<V> {
    pub(crate) fn new(tenant: &Tenant, path: Box<str>, entries: Vec<Entry<V>>) -> Self {
        let bytes = path.len() + entries.capacity() * size_of::<Entry<V>>();
        Self { tenant: tenant.clone(), path, entries, bytes }
    }

    /// Adds more entries of the same path.
    pub(crate) fn join(mut self, more: Self) -> Self {
        self.entries.extend(more.entries);
        Self::new(&self.tenant, self.path, self.entries)
    }
}

/// An entry that a flush or the purge of a prefix killed.
/// [`CacheIndex::reclaim`](crate::CacheIndex::reclaim) returns it.
///
/// # Examples
///
/// ```
/// use cache_index::{CacheIndex, Config, DeadValues, Hard, OriginPath, VariantKey};
///
/// let index = CacheIndex::new(Config::builder().dead_values(DeadValues::Queue).build()?);
/// let (tenant, birds) = (index.tenant("doc"), OriginPath::opaque("birds.jpg")?);
/// assert!(index.insert(&tenant, &birds, &VariantKey::opaque("small")?, 7).is_stored());
/// index.flush_all(Hard);
/// for dead in index.reclaim(10) {
///     assert_eq!((dead.path, dead.value), (birds.clone(), 7));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dead<V> {
    /// The tenant of the picture.
    pub tenant: Tenant,
    /// The picture.
    pub path: OriginPath<'static>,
    /// The rendition.
    pub variant: VariantKey<'static>,
    /// The value that was stored with it.
    pub value: V,
}

/// The entries that [`CacheIndex::reclaim`](crate::CacheIndex::reclaim) removed.
///
/// # Examples
///
/// ```
/// use cache_index::{CacheIndex, Config, DeadValues, Hard, OriginPath, VariantKey};
///
/// let index = CacheIndex::new(Config::builder().dead_values(DeadValues::Queue).build()?);
/// let (tenant, birds) = (index.tenant("doc"), OriginPath::opaque("birds.jpg")?);
/// assert!(index.insert(&tenant, &birds, &VariantKey::opaque("small")?, 7).is_stored());
/// index.flush_all(Hard);
/// let reclaimed = index.reclaim(10);
/// assert_eq!((reclaimed.len(), reclaimed.is_done()), (1, true));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the dead values are in here, for the caller to delete their objects"]
pub struct Reclaimed<V> {
    pub(crate) entries: Vec<(Tenant, Arc<str>, Entry<V>)>,
    pub(crate) done: bool,
}

impl<V> Reclaimed<V> {
    /// Returns how many entries were removed.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether no entry was removed. Dead entries may be left all the same: see
    /// [`Self::is_done`].
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns whether no dead entry is left of those that were dead when the call began. If some
    /// are, call again.
    pub fn is_done(&self) -> bool {
        self.done
    }
}

impl<V> fmt::Debug for Reclaimed<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Reclaimed");
        debug.field("len", &self.len()).field("done", &self.done).finish_non_exhaustive()
    }
}

impl<V> IntoIterator for Reclaimed<V> {
    type Item = Dead<V>;
    type IntoIter = ReclaimedEntries<V>;

    fn into_iter(self) -> ReclaimedEntries<V> {
        ReclaimedEntries(self.entries.into_iter())
    }
}

/// The entries of a [`Reclaimed`].
pub struct ReclaimedEntries<V>(std::vec::IntoIter<(Tenant, Arc<str>, Entry<V>)>);

impl<V> Iterator for ReclaimedEntries<V> {
    type Item = Dead<V>;

    fn next(&mut self) -> Option<Dead<V>> {
        let (tenant, path, entry) = self.0.next()?;
        Some(Dead {
            tenant,
            path: OriginPath::new_unchecked(path),
            variant: key_of(entry.key),
            value: entry.value,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<V> ExactSizeIterator for ReclaimedEntries<V> {}

impl<V> fmt::Debug for ReclaimedEntries<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReclaimedEntries").field("left", &self.0.len()).finish()
    }
}

/// A path with copies of entries that may be served.
/// [`CacheIndex::export`](crate::CacheIndex::export) returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportedPath<V> {
    /// The tenant of the picture.
    pub tenant: Tenant,
    /// The picture.
    pub path: OriginPath<'static>,
    /// Its renditions: each key, with the value and whether it may be served as it is.
    pub entries: Vec<(VariantKey<'static>, V, Freshness)>,
}

/// The result of restoring the entries of a path. [`Restore::path`](crate::Restore::path) returns
/// it.
#[must_use = "the values that were not stored are in here"]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored<V> {
    /// How many entries were stored.
    pub stored: usize,
    /// The values that were not stored, each with the reason.
    pub refused: Vec<Refused<V>>,
}

pub(crate) fn key_of(text: Arc<str>) -> VariantKey<'static> {
    VariantKey::new_unchecked(text)
}
