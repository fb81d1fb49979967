//! `Receipt`: what a request did, or what it would do.
//!
//! Invariant: when a receipt of [`CacheIndex::apply`](crate::CacheIndex::apply) exists, what it tells has happened; every value
//! that went is in it, once.

use crate::canonical::Target;
use crate::names::{OriginPath, VariantKey};
use crate::scopes::{Generation, Tenant};
use std::fmt;

/// What became of an entry of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EntryOutcome {
    /// Variants went.
    Removed,
    /// Variants became stale.
    MadeStale,
    /// There were variants, all of which were stale already. Only of soft requests.
    AlreadyStale,
    /// Nothing was cached that the entry names, but open fills of the picture were overtaken: they will be refused (hard) or be
    /// stored stale (soft).
    OvertookFills,
    /// The named variant was not cached. The origin copy of its picture was, and went with it, or became stale. Only with the scope
    /// `urls`.
    OriginCopyOnly,
    /// Nothing that the entry names is cached or being fetched. Often a typing error.
    MatchedNothing,
    /// Everything of the tenant: it is dead or stale from now on. Nothing was visited, so nothing
    /// was counted; a dry run counts.
    Invalidated,
    /// Everything that a wildcard names, which may be nothing: it is dead or stale from now on.
    /// Nothing was visited, so matches were not counted; a dry run counts them.
    NotCounted,
}

impl EntryOutcome {
    /// The outcome in words, as in `matched nothing`.
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

/// What a request did, or, of a dry run, what it would do.
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
/// assert!(index.insert(&tenant, &birds, &VariantKey::from_canonical("?w=200")?, 7_u64).is_stored());
///
/// let rules = Rules::default();
/// let request = InvalidationRequest::builder(&rules).original(["/sample.li/birds.jpg", "/sample.li/brids.jpg"])?;
/// let receipt = index.apply(&tenant, &request);
/// assert_eq!(receipt.entries()[0].outcome(), EntryOutcome::Removed);
/// assert_eq!(receipt.entries()[1].outcome(), EntryOutcome::MatchedNothing);
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

/// What became of one entry of a request.
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
    /// The last of the numbers that the request took. What began before it, of what the request names, is dead or stale.
    ///
    /// Of a dry run: the last number that anybody took before the index was looked at.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// What became of each entry, in the order of the list; one without a position for the scope `all`.
    pub fn entries(&self) -> &[EntryReceipt<V>] {
        &self.entries
    }

    /// The same, to be taken apart.
    pub fn into_entries(self) -> Vec<EntryReceipt<V>> {
        self.entries
    }

    /// All that went, whatever entry it went with. Of a dry run: the variants that would go, with no values.
    pub fn into_removed(self) -> impl Iterator<Item = (VariantKey<'static>, V)> + use<V> {
        self.entries.into_iter().flat_map(|entry| entry.removed)
    }

    /// How many variants went, or became stale, as far as they were counted.
    pub fn variants(&self) -> usize {
        self.entries.iter().filter_map(|entry| entry.variants).sum()
    }

    /// How many open fills were overtaken, as far as they were counted.
    pub fn overtaken_fills(&self) -> usize {
        self.entries.iter().filter_map(|entry| entry.fills).sum()
    }

    /// How many entries matched nothing.
    pub fn matched_nothing(&self) -> usize {
        let nothing = |entry: &&EntryReceipt<V>| entry.outcome == EntryOutcome::MatchedNothing;
        self.entries.iter().filter(nothing).count()
    }

    /// How many entries of the request named again what an earlier one had named. They have no receipts.
    pub fn duplicates(&self) -> usize {
        self.duplicates
    }
}

impl<V> EntryReceipt<V> {
    /// Where in the list of the request the entry stands, counted from 0; none for the scope `all`.
    pub fn entry_index(&self) -> Option<usize> {
        self.position
    }

    /// What it names; none for everything of the tenant.
    pub fn target(&self) -> Option<&Target<'static>> {
        self.target.as_ref()
    }

    /// The picture that it names, if it names a single one.
    pub fn path(&self) -> Option<&OriginPath<'static>> {
        match &self.target {
            Some(Target::Path(path)) => Some(path),
            _ => None,
        }
    }

    /// The variant that it names, with the scope `urls`.
    pub fn variant(&self) -> Option<&VariantKey<'static>> {
        self.variant.as_ref()
    }

    /// The number of its purge or flush.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// What became of it.
    pub fn outcome(&self) -> EntryOutcome {
        self.outcome
    }

    /// How many variants went (hard), or became stale (soft). None where nothing was visited: of a prefix and of everything.
    pub fn variants(&self) -> Option<usize> {
        self.variants
    }

    /// How many variants were stale already. None of hard requests, and where nothing was visited.
    pub fn stale_before(&self) -> Option<usize> {
        self.stale_before
    }

    /// How many open fills of the picture will be refused (hard) or stored stale (soft) because of this request. Where several
    /// entries name variants of one picture, the first has them all. None where nothing was visited.
    pub fn overtaken_fills(&self) -> Option<usize> {
        self.fills
    }

    /// The variants that went, with their values, in no particular order; none of soft requests, and where nothing was visited.
    pub fn removed(&self) -> &[(VariantKey<'static>, V)] {
        &self.removed
    }

    /// The same, to be kept or deleted.
    pub fn into_removed(self) -> Vec<(VariantKey<'static>, V)> {
        self.removed
    }

    /// The tenant that was invalidated as a whole to make room for this prefix: see
    /// [`PrefixPurged::widened`](crate::PrefixPurged::widened). It may be another one than that of the request, and isn't to be told
    /// to the request's sender.
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
