//! Carries out requests: `CacheIndex::apply`, and `CacheIndex::dry_run`, which returns the same
//! answer and changes nothing.
//!
//! Invariant: pictures come before prefixes. In the reverse order, a prefix purge could kill the
//! variants of a picture before its own turn. The picture's receipt could then not list them, and
//! their values would wait to be reclaimed.

use super::receipt::{EntryOutcome, EntryReceipt, Receipt};
use super::request::{InvalidationRequest, InvalidationScope, RequestEntry};
use crate::canonical::Target;
use crate::dry_run::{Extent, Matches};
use crate::index::CacheIndex;
use crate::mode::{Hard, Soft};
use crate::names::{OriginPath, PathPrefix};
use crate::outcome::{Flushed, PrefixPurged, PurgeOutcome, key_of};
use crate::scopes::{Generation, Tenant};
use crate::selection::Selection;
use crate::severity::Severity;

impl<V> CacheIndex<V> {
    /// Invalidates the entries that `request` names, and returns the outcome of each.
    ///
    /// When this function returns, every invalidation is complete. Each entry takes effect at its
    /// own moment: meanwhile, a lookup on another thread may miss one picture and still find the
    /// next. Pictures come first, then prefixes.
    ///
    /// The request must have been read by the rules of `tenant`; the index cannot check this.
    ///
    /// **Cost:** that of the single [purges](Self::purge_selected), [prefix
    /// purges](Self::purge_prefix) or of the [flush](Self::flush_tenant).
    ///
    /// **Locks:** For pictures, one shard after another, each once and exclusively, while the
    /// variants are unlinked or marked. For prefixes, the table of rules. For everything, none.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
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
    /// let rules = Rules::builder().allow_wildcards().build()?;
    /// let birds = OriginPath::from_canonical("sample.li/birds.jpg")?;
    /// assert!(
    ///     index
    ///         .insert(&tenant, &birds, &VariantKey::from_canonical("?w=200")?, 7_u64)
    ///         .is_stored()
    /// );
    ///
    /// let request = InvalidationRequest::builder(&rules)
    ///     .original(["/sample.li/avatars/*", "/sample.li/birds.jpg"])?;
    /// let [avatars, birds] = index.apply(&tenant, &request).into_entries().try_into().unwrap();
    /// assert_eq!((avatars.outcome(), avatars.variants()), (EntryOutcome::NotCounted, None));
    /// assert_eq!((birds.outcome(), birds.variants()), (EntryOutcome::Removed, Some(1)));
    /// assert_eq!(birds.removed()[0].1, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn apply(&self, tenant: &Tenant, request: &InvalidationRequest) -> Receipt<V> {
        let entries = if request.scope == InvalidationScope::All {
            vec![EntryReceipt::new(None, self.flush(tenant, request.severity).generation())]
        } else {
            let mut purged = self.purge_pictures(tenant, request).into_iter();
            let receipts = request.entries.iter().map(|entry| match &entry.target {
                Target::Path(_) => purged.next().expect("each picture was purged"),
                Target::Prefix(prefix) => {
                    let rule = self.purge_under(tenant, prefix, request.severity);
                    let widened = rule.widened().cloned();
                    EntryReceipt { widened, ..EntryReceipt::new(Some(entry), rule.generation()) }
                }
            });
            receipts.collect()
        };
        let generation = entries.iter().map(EntryReceipt::generation).max().unwrap_or_default();
        Receipt { generation, entries, duplicates: request.duplicates() }
    }

    /// Returns the outcome that [`apply`](Self::apply) would have now, entry by entry, and changes
    /// nothing.
    ///
    /// Each outcome was true when its shard was examined; other threads go on. Unlike `apply`, a
    /// dry run also counts the matches of prefixes and of the scope `all`. An entry under a prefix
    /// is counted there even if another entry of the request names it as well.
    ///
    /// **Cost:** O(variants of the named pictures), times the operations that select them. For each
    /// prefix, and for the scope `all`, O(paths in the index).
    ///
    /// **Locks:** one shard after another, shared, while its paths are compared.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::invalidation::{EntryOutcome, InvalidationRequest};
    /// use cache_index::{CacheIndex, Lookup, OriginPath, Severity, VariantKey};
    ///
    /// let index = CacheIndex::default();
    /// let tenant = index.tenant("doc");
    /// let birds = OriginPath::from_canonical("sample.li/birds.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// assert!(index.insert(&tenant, &birds, &small, 7_u64).is_stored());
    ///
    /// let receipt = index.dry_run(&tenant, &InvalidationRequest::all(Severity::Hard));
    /// assert_eq!(
    ///     (receipt.entries()[0].outcome(), receipt.variants()),
    ///     (EntryOutcome::Removed, 1)
    /// );
    /// assert_eq!(index.lookup(&tenant, &birds, &small), Lookup::Live(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dry_run(&self, tenant: &Tenant, request: &InvalidationRequest) -> Receipt<()> {
        // Read before the index is examined, so that the receipt is at least as recent as this
        // number.
        let generation = self.core.newest_generation();
        let severity = request.severity;
        let under = |entry: Option<&RequestEntry>, prefix: &str| {
            let extent = self.core.extent(tenant, prefix);
            EntryReceipt::estimated(entry, severity, extent, generation)
        };
        let entries = if request.scope == InvalidationScope::All {
            vec![under(None, "")]
        } else {
            let forecast = |entry: &RequestEntry| match &entry.target {
                Target::Path(_) => self.forecast(tenant, request, entry, generation),
                Target::Prefix(prefix) => under(Some(entry), prefix.as_str()),
            };
            request.entries.iter().map(forecast).collect()
        };
        Receipt { generation, entries, duplicates: request.duplicates() }
    }

    /// Returns the outcome that a purge of the entry's picture would have.
    fn forecast(
        &self,
        tenant: &Tenant,
        request: &InvalidationRequest,
        entry: &RequestEntry,
        generation: Generation,
    ) -> EntryReceipt<()> {
        let mut receipts = steps(request, entry).map(|step| {
            let matches = self.core.matches(tenant, step.path, step.selection);
            EntryReceipt::forecast(step, request.severity, matches, generation)
        });
        let mut receipt = receipts.next().expect("an entry for a picture takes a step");
        receipts.for_each(|copy| receipt.add_copy(copy, request.severity));
        receipt
    }

    fn flush(&self, tenant: &Tenant, severity: Severity) -> Flushed {
        match severity {
            Severity::Hard => self.flush_tenant(tenant, Hard),
            Severity::Soft => self.flush_tenant(tenant, Soft),
        }
    }

    fn purge_under(
        &self,
        tenant: &Tenant,
        prefix: &PathPrefix<'_>,
        severity: Severity,
    ) -> PrefixPurged {
        match severity {
            Severity::Hard => self.purge_prefix(tenant, prefix, Hard),
            Severity::Soft => self.purge_prefix(tenant, prefix, Soft),
        }
    }

    /// Returns the receipts of the entries that name single pictures, in their order.
    fn purge_pictures(
        &self,
        tenant: &Tenant,
        request: &InvalidationRequest,
    ) -> Vec<EntryReceipt<V>> {
        let pictures = request.entries.iter().flat_map(|entry| steps(request, entry));
        let (steps, paths): (Vec<_>, Vec<_>) =
            pictures.map(|step| (step, (step.path.as_str(), step.selection))).unzip();
        let outcomes = self.core.purge_each(tenant, &paths, request.severity);
        let mut receipts: Vec<EntryReceipt<V>> = Vec::new();
        for (step, outcome) in steps.into_iter().zip(outcomes) {
            let purged = EntryReceipt::purged(step, outcome);
            match receipts.last_mut().filter(|_| step.is_copy) {
                Some(receipt) => receipt.add_copy(purged, request.severity),
                None => receipts.push(purged),
            }
        }
        receipts
    }
}

/// One purge of a picture. An entry has one step, and a second one if it includes the origin copy.
/// So the outcome of each is known separately.
#[derive(Clone, Copy)]
struct Step<'r> {
    entry: &'r RequestEntry,
    path: &'r OriginPath<'static>,
    selection: Selection<'r>,
    is_copy: bool,
}

impl Step<'_> {
    /// The in-flight fills are reported once per picture, by the first step.
    fn tells_fills(&self) -> bool {
        !self.is_copy && !self.entry.follows
    }
}

fn steps<'r>(
    request: &'r InvalidationRequest,
    entry: &'r RequestEntry,
) -> impl Iterator<Item = Step<'r>> {
    let Target::Path(path) = &entry.target else { return None.into_iter().chain(None) };
    let selection = match request.scope {
        InvalidationScope::Urls => Selection::Keys(entry.variant.as_slice()),
        _ if request.transformations.is_empty() => Selection::All,
        _ => Selection::Operations(&request.transformations),
    };
    let named = Step { entry, path, selection, is_copy: false };
    let copy = Step { selection: Selection::Keys(entry.copy.as_slice()), is_copy: true, ..named };
    Some(named).into_iter().chain(entry.copy.is_some().then_some(copy))
}

impl<V> EntryReceipt<V> {
    fn new(entry: Option<&RequestEntry>, generation: Generation) -> Self {
        let is_wildcard = entry.is_some_and(|entry| matches!(entry.target, Target::Prefix(_)));
        let outcome =
            if is_wildcard { EntryOutcome::NotCounted } else { EntryOutcome::Invalidated };
        Self {
            position: entry.map(RequestEntry::entry_index),
            target: entry.map(|entry| entry.target.clone()),
            variant: entry.and_then(RequestEntry::variant).cloned(),
            generation,
            outcome,
            variants: None,
            stale_before: None,
            fills: None,
            removed: Vec::new(),
            widened: None,
        }
    }

    /// Creates the receipt for an entry whose matches were counted.
    fn counted(
        entry: Option<&RequestEntry>,
        generation: Generation,
        severity: Severity,
        [variants, stale_before, fills]: [usize; 3],
    ) -> Self {
        let outcome = match severity {
            _ if variants == 0 && stale_before == 0 && fills == 0 => EntryOutcome::MatchedNothing,
            _ if variants == 0 && stale_before == 0 => EntryOutcome::OvertookFills,
            Severity::Hard => EntryOutcome::Removed,
            Severity::Soft if variants == 0 => EntryOutcome::AlreadyStale,
            Severity::Soft => EntryOutcome::MadeStale,
        };
        Self {
            outcome,
            variants: Some(variants),
            stale_before: (severity == Severity::Soft).then_some(stale_before),
            fills: Some(fills),
            ..Self::new(entry, generation)
        }
    }

    fn purged(step: Step<'_>, outcome: PurgeOutcome<V>) -> Self {
        let entry = Some(step.entry);
        let fills = |overtaken: usize| if step.tells_fills() { overtaken } else { 0 };
        match outcome {
            PurgeOutcome::Hard(purged) => {
                let (generation, fills) = (purged.generation(), fills(purged.overtaken_fills()));
                let removed: Vec<_> = purged.into_iter().collect();
                let counts = [removed.len(), 0, fills];
                Self { removed, ..Self::counted(entry, generation, Severity::Hard, counts) }
            }
            PurgeOutcome::Soft(softened) => {
                let fills = fills(softened.overtaken_fills());
                let counts = [softened.len(), softened.stale_before(), fills];
                Self::counted(entry, softened.generation(), Severity::Soft, counts)
            }
        }
    }

    /// Adds the outcome of the origin copy.
    fn add_copy(&mut self, copy: Self, severity: Severity) {
        let met = |receipt: &Self| receipt.variants.max(receipt.stale_before) > Some(0);
        let copy_alone = !met(self) && met(&copy);
        let sum = |a: Option<usize>, b: Option<usize>| a.zip(b).map(|(a, b)| a + b);
        self.generation = self.generation.max(copy.generation);
        self.variants = sum(self.variants, copy.variants);
        self.stale_before = sum(self.stale_before, copy.stale_before);
        self.removed.extend(copy.removed);
        if copy_alone {
            self.outcome = EntryOutcome::OriginCopyOnly;
        } else if severity == Severity::Soft && self.variants > Some(0) {
            self.outcome = EntryOutcome::MadeStale;
        }
    }
}

impl EntryReceipt<()> {
    /// Returns the outcome of a purge that would match `matches`.
    fn forecast(
        step: Step<'_>,
        severity: Severity,
        matches: Matches,
        generation: Generation,
    ) -> Self {
        let stale = matches.variants.iter().filter(|(_, freshness)| freshness.is_stale()).count();
        let all = matches.variants.len();
        let fills = if step.tells_fills() { matches.fills } else { 0 };
        match severity {
            Severity::Hard => {
                let keys = matches.variants.into_iter().map(|(key, _)| (key_of(key), ()));
                let counts = [all, 0, fills];
                let receipt = Self::counted(Some(step.entry), generation, severity, counts);
                Self { removed: keys.collect(), ..receipt }
            }
            Severity::Soft => {
                let counts = [all - stale, stale, fills];
                Self::counted(Some(step.entry), generation, severity, counts)
            }
        }
    }

    /// Returns the outcome of an invalidation that would match `extent`.
    fn estimated(
        entry: Option<&RequestEntry>,
        severity: Severity,
        extent: Extent,
        generation: Generation,
    ) -> Self {
        let Extent { live, stale, fills } = extent;
        let counts = match severity {
            Severity::Hard => [live + stale, 0, fills],
            Severity::Soft => [live, stale, fills],
        };
        Self::counted(entry, generation, severity, counts)
    }
}
