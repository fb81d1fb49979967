//! `Receipt`: the outcome of a request, or of its dry run.
//!
//! Invariant: when [`CacheIndex::apply`](crate::CacheIndex::apply) returns a receipt, everything in
//! it has happened. Each removed value is in it exactly once.

use crate::canonical::Target;
use crate::names::{OriginPath, VariantKey};
use crate::scopes::{Generation, Tenant};
use std::fmt;

/// The outcome of one entry of a request.
///
/// # Examples
///
/// ```
/// use cache_index::canonical::Rules;
/// use cache_index::invalidation::{EntryOutcome, InvalidationRequest};
/// use cache_index::CacheIndex;
///
/// let index = CacheIndex::<u64>::default();
/// let rules = Rules::default();
/// let request = InvalidationRequest::builder(&rules).original(["sample.li/birds.jpg"])?;
/// let receipt = index.apply(&index.tenant("doc"), &request);
/// assert_eq!(receipt.entries()[0].outcome(), EntryOutcome::MatchedNothing);
/// assert_eq!(receipt.entries()[0].outcome().to_string(), "matched nothing");
/// # Ok::<(), cache_index::invalidation::InvalidationError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EntryOutcome {
    /// Variants were removed.
    Removed,
    /// Variants became stale.
    MadeStale,
    /// There were variants, and all were already stale. Only for soft requests.
    AlreadyStale,
    /// No cached variant matched, but in-flight fills of the picture were overtaken. They will be
    /// refused (hard) or stored stale (soft).
    OvertookFills,
    /// The named variant was not cached. The origin copy of its picture was, and was removed or
    /// became stale. Only with the scope `urls`.
    OriginCopyOnly,
    /// No cached variant and no in-flight fill matched the entry. Often a typing error.
    MatchedNothing,
    /// Everything of the tenant is dead or stale from now on. No entry was visited, so none was
    /// counted; a dry run counts them.
    Invalidated,
    /// Everything that matches the wildcard, if anything, is dead or stale from now on. No entry
    /// was visited, so matches were not counted; a dry run counts them.
    NotCounted,
}

impl EntryOutcome {
    /// Returns the outcome as text, such as `matched nothing`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::MadeStale => "made stale",
            Self::AlreadyStale => "already stale",
            Self::OvertookFills => "overtook open fills",
            Self::OriginCopyOnly => "origin copy only",
            Self::MatchedNothing => "matched nothing",
            Self::Invalidated => "invalidated",
            Self::NotCounted => "invalidated, matches not counted: a dry run counts them",
        }
    }
}

impl fmt::Display for EntryOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The outcome of a request. For a dry run, the outcome that it would have.
///
/// # Examples
///
/// ```
/// use cache_index::canonical::Rules;
/// use cache_index::invalidation::{EntryOutcome, InvalidationRequest};
/// use cache_index::{CacheIndex, OriginPath, VariantKey};
///
/// let index = CacheIndex::default();
/// let tenant = index.tenant("doc");
/// let birds = OriginPath::from_canonical("sample.li/birds.jpg")?;
/// assert!(
///     index
///         .insert(&tenant, &birds, &VariantKey::from_canonical("?w=200")?, 7_u64)
///         .is_stored()
/// );
///
/// let rules = Rules::default();
/// let request = InvalidationRequest::builder(&rules)
///     .original(["/sample.li/birds.jpg", "/sample.li/brids.jpg"])?;
/// let receipt = index.apply(&tenant, &request);
/// assert_eq!(receipt.entries()[0].outcome(), EntryOutcome::Removed);
/// assert_eq!(receipt.entries()[1].outcome(), EntryOutcome::MatchedNothing);
/// assert_eq!((receipt.variants(), receipt.matched_nothing()), (1, 1));
/// assert_eq!((receipt.overtaken_fills(), receipt.duplicates()), (0, 0));
/// // Pictures are purged shard by shard, so that the last entry need not be the newest.
/// let newest = receipt.entries().iter().map(|entry| entry.generation()).max();
/// assert_eq!(Some(receipt.generation()), newest);
/// for (variant, object) in receipt.into_removed() {
///     println!("delete object {object}, which was {variant}");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the values that went are in here, for the caller to delete their objects"]
pub struct Receipt<V> {
    pub(super) generation: Generation,
    pub(super) entries: Vec<EntryReceipt<V>>,
    pub(super) duplicates: usize,
}

/// The outcome of one entry of a request.
///
/// # Examples
///
/// ```
/// use cache_index::invalidation::InvalidationRequest;
/// use cache_index::{CacheIndex, Severity};
///
/// let index = CacheIndex::<u64>::default();
/// let receipt = index.apply(&index.tenant("doc"), &InvalidationRequest::all(Severity::Hard));
/// let everything = &receipt.entries()[0];
/// assert_eq!(everything.outcome().as_str(), "invalidated");
/// assert!(everything.target().is_none() && everything.entry_index().is_none());
/// ```
///
/// ```
/// use cache_index::canonical::Rules;
/// use cache_index::invalidation::InvalidationRequest;
/// use cache_index::{CacheIndex, OriginPath, VariantKey};
///
/// let index = CacheIndex::default();
/// let tenant = index.tenant("doc");
/// let birds = OriginPath::from_canonical("sample.li/birds.jpg")?;
/// let small = VariantKey::from_canonical("?w=200")?;
/// assert!(index.insert(&tenant, &birds, &small, 7_u64).is_stored());
/// let fetch = index.lease(&tenant, &birds);
///
/// let rules = Rules::default();
/// let request = InvalidationRequest::builder(&rules).urls(["sample.li/birds.jpg?width=200"])?;
/// let receipt = index.apply(&tenant, &request).into_entries().remove(0);
/// assert_eq!((receipt.entry_index(), receipt.path()), (Some(0), Some(&birds)));
/// assert_eq!(receipt.variant(), Some(&small));
/// assert_eq!((receipt.variants(), receipt.stale_before()), (Some(1), None));
/// assert_eq!(receipt.overtaken_fills(), Some(1));
/// assert!(receipt.widened().is_none());
/// assert_eq!(receipt.removed(), [(small.clone(), 7)]);
/// assert!(!fetch.commit(&small, 8).is_stored());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the values that went are in here, for the caller to delete their objects"]
pub struct EntryReceipt<V> {
    pub(super) position: Option<usize>,
    pub(super) target: Option<Target<'static>>,
    pub(super) variant: Option<VariantKey<'static>>,
    pub(super) generation: Generation,
    pub(super) outcome: EntryOutcome,
    pub(super) variants: Option<usize>,
    pub(super) stale_before: Option<usize>,
    pub(super) fills: Option<usize>,
    pub(super) removed: Vec<(VariantKey<'static>, V)>,
    pub(super) widened: Option<Tenant>,
}

impl<V> Receipt<V> {
    /// Returns the last generation of the request. Every matching entry or fill that began before
    /// it is dead or stale.
    ///
    /// For a dry run, returns the newest generation of the index before it was examined.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Returns the outcome of each entry, in the order of the list. For the scope `all`, there is
    /// one outcome without a position.
    pub fn entries(&self) -> &[EntryReceipt<V>] {
        &self.entries
    }

    /// Consumes the receipt and returns the outcome of each entry.
    pub fn into_entries(self) -> Vec<EntryReceipt<V>> {
        self.entries
    }

    /// Consumes the receipt and returns all removed variants with their values. For a dry run,
    /// returns the variants that would be removed, without values.
    pub fn into_removed(self) -> impl Iterator<Item = (VariantKey<'static>, V)> + use<V> {
        self.entries.into_iter().flat_map(|entry| entry.removed)
    }

    /// Returns how many variants were removed or became stale, as far as they were counted.
    pub fn variants(&self) -> usize {
        self.entries.iter().filter_map(|entry| entry.variants).sum()
    }

    /// Returns how many in-flight fills were overtaken, as far as they were counted.
    pub fn overtaken_fills(&self) -> usize {
        self.entries.iter().filter_map(|entry| entry.fills).sum()
    }

    /// Returns how many entries matched nothing.
    pub fn matched_nothing(&self) -> usize {
        let nothing = |entry: &&EntryReceipt<V>| entry.outcome == EntryOutcome::MatchedNothing;
        self.entries.iter().filter(nothing).count()
    }

    /// Returns how many entries of the request repeated an earlier entry. They have no receipts.
    pub fn duplicates(&self) -> usize {
        self.duplicates
    }
}

impl<V> EntryReceipt<V> {
    /// Returns the position of the entry in the request's list, counted from 0. Returns `None` for
    /// the scope `all`.
    pub fn entry_index(&self) -> Option<usize> {
        self.position
    }

    /// Returns the target of the entry. Returns `None` for the scope `all`.
    pub fn target(&self) -> Option<&Target<'static>> {
        self.target.as_ref()
    }

    /// Returns the picture that the entry names. Returns `None` if it does not name a single
    /// picture.
    pub fn path(&self) -> Option<&OriginPath<'static>> {
        match &self.target {
            Some(Target::Path(path)) => Some(path),
            _ => None,
        }
    }

    /// Returns the variant that the entry names, with the scope `urls`.
    pub fn variant(&self) -> Option<&VariantKey<'static>> {
        self.variant.as_ref()
    }

    /// Returns the generation of the entry's purge or flush.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Returns the outcome of the entry.
    pub fn outcome(&self) -> EntryOutcome {
        self.outcome
    }

    /// Returns how many variants were removed (hard) or became stale (soft). Returns `None` for
    /// prefixes and for the scope `all`, which visit no entries.
    pub fn variants(&self) -> Option<usize> {
        self.variants
    }

    /// Returns how many variants were already stale. Returns `None` for hard requests, and if no
    /// entries were visited.
    pub fn stale_before(&self) -> Option<usize> {
        self.stale_before
    }

    /// Returns how many in-flight fills of the picture will be refused (hard) or stored stale
    /// (soft) because of this request. If several entries name variants of one picture, the first
    /// entry counts all fills. Returns `None` if no entries were visited.
    pub fn overtaken_fills(&self) -> Option<usize> {
        self.fills
    }

    /// Returns the removed variants with their values, in no particular order. The list is empty
    /// for soft requests, and if no entries were visited.
    pub fn removed(&self) -> &[(VariantKey<'static>, V)] {
        &self.removed
    }

    /// Consumes the receipt and returns the removed variants with their values.
    pub fn into_removed(self) -> Vec<(VariantKey<'static>, V)> {
        self.removed
    }

    /// Returns the tenant that was invalidated as a whole to make room for this prefix: see
    /// [`PrefixPurged::widened`](crate::PrefixPurged::widened). It may be another tenant than that
    /// of the request, so do not reveal it to the request's sender.
    pub fn widened(&self) -> Option<&Tenant> {
        self.widened.as_ref()
    }
}

impl<V> fmt::Debug for Receipt<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("generation", &self.generation)
            .field("entries", &self.entries)
            .field("duplicates", &self.duplicates)
            .finish()
    }
}

impl<V> fmt::Debug for EntryReceipt<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryReceipt")
            .field("position", &self.position)
            .field("target", &self.target)
            .field("variant", &self.variant)
            .field("outcome", &self.outcome)
            .field("variants", &self.variants)
            .field("overtaken_fills", &self.fills)
            .finish_non_exhaustive()
    }
}
