//! `InvalidationRequest`: a request as data.
//!
//! Invariant: every entry of a request was checked, and no two entries name the same target. This
//! module is pure and does not use the index.

use super::error::{Fault, InvalidationError, List};
use super::limits::InvalidationLimits;
use crate::canonical::{Operations, PathError, Rules, Target, VariantTarget};
use crate::names::{OriginPath, VariantKey};
use crate::severity::Severity;
use std::collections::{HashMap, HashSet};

/// The scope of a request.
///
/// # Examples
///
/// ```
/// use cache_index::invalidation::{InvalidationRequest, InvalidationScope};
/// use cache_index::Severity;
///
/// assert_eq!(InvalidationRequest::all(Severity::Soft).scope(), InvalidationScope::All);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidationScope {
    /// Whole pictures: all variants of each, or those that the transformations select.
    Original,
    /// Named variants, and the origin copy (the untransformed picture, `?`) of each picture named.
    Urls,
    /// All entries of the tenant.
    All,
}

/// A checked invalidation request.
///
/// [`builder`](Self::builder) creates it from lists, and `from_json` from JSON (with the feature
/// `serde`). [`CacheIndex::apply`](crate::CacheIndex::apply) carries it out. Read it by the rules
/// of the tenant for which it is applied.
///
/// # Examples
///
/// ```
/// use cache_index::canonical::Rules;
/// use cache_index::invalidation::{InvalidationRequest, InvalidationScope};
/// use cache_index::{CacheIndex, Severity};
///
/// let index = CacheIndex::<u64>::default();
/// let tenant = index.tenant("doc");
/// let rules = Rules::default();
/// let request = InvalidationRequest::builder(&rules)
///     .severity(Severity::Soft)
///     .original(["/sample.li/birds.jpg", "sample.li/./birds.jpg", "/sample.li/boat.jpg"])?;
/// assert_eq!(request.scope(), InvalidationScope::Original);
/// assert_eq!((request.entries().len(), request.duplicates()), (2, 1));
///
/// let receipt = index.apply(&tenant, &request);
/// assert_eq!(receipt.matched_nothing(), 2);
/// # Ok::<(), cache_index::invalidation::InvalidationError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a request does nothing before it is applied"]
pub struct InvalidationRequest {
    pub(super) scope: InvalidationScope,
    pub(super) severity: Severity,
    pub(super) entries: Vec<RequestEntry>,
    pub(super) transformations: Vec<Operations<'static>>,
    /// One per entry of the list, duplicates included.
    texts: Vec<Box<[u8]>>,
}

/// One entry of a request.
///
/// # Examples
///
/// ```
/// use cache_index::canonical::Rules;
/// use cache_index::invalidation::InvalidationRequest;
///
/// let rules = Rules::default();
/// let request = InvalidationRequest::builder(&rules).urls(["sample.li/birds.jpg?width=200"])?;
/// let entry = &request.entries()[0];
/// assert_eq!(entry.target().as_str(), "sample.li/birds.jpg");
/// assert_eq!(entry.variant().map(|variant| variant.as_str()), Some("?w=200"));
/// # Ok::<(), cache_index::invalidation::InvalidationError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestEntry {
    position: usize,
    pub(super) target: Target<'static>,
    /// The variant that it names.
    pub(super) variant: Option<VariantKey<'static>>,
    /// The key of the origin copy, if this entry includes the copy.
    pub(super) copy: Option<VariantKey<'static>>,
    /// Whether an earlier entry names another variant of the same picture.
    pub(super) follows: bool,
}

impl RequestEntry {
    /// Returns the position of its first occurrence in the list, counted from 0.
    #[must_use]
    pub fn entry_index(&self) -> usize {
        self.position
    }

    /// Returns the picture or pictures.
    #[must_use]
    pub fn target(&self) -> &Target<'static> {
        &self.target
    }

    /// Returns the variant, with the scope `urls`.
    #[must_use]
    pub fn variant(&self) -> Option<&VariantKey<'static>> {
        self.variant.as_ref()
    }
}

impl RequestEntry {
    /// Returns the keys that the entry purges, with the scope `urls`: the variant, and the origin
    /// copy if this entry includes the copy. Returns nothing with another scope.
    ///
    /// For logs that keep what a request invalidates: a purge of
    /// [these keys](crate::Selection::Keys) of the picture has the same effect as the entry.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::Rules;
    /// use cache_index::invalidation::InvalidationRequest;
    ///
    /// let rules = Rules::default();
    /// let request = InvalidationRequest::builder(&rules)
    ///     .urls(["/sample.li/birds.jpg?w=200", "/sample.li/birds.jpg?w=300"])?;
    /// let keys: Vec<Vec<&str>> = request
    ///     .entries()
    ///     .iter()
    ///     .map(|entry| entry.purged_keys().map(|key| key.as_str()).collect())
    ///     .collect();
    /// assert_eq!(keys, [vec!["?w=200", "?"], vec!["?w=300"]]);
    /// # Ok::<(), cache_index::invalidation::InvalidationError>(())
    /// ```
    pub fn purged_keys(&self) -> impl Iterator<Item = &VariantKey<'static>> {
        self.variant.iter().chain(&self.copy)
    }
}

impl InvalidationRequest {
    /// Creates a builder for a request that is read by `rules`. It is hard and has the default
    /// limits.
    pub fn builder(rules: &Rules) -> InvalidationRequestBuilder<'_> {
        InvalidationRequestBuilder {
            rules,
            limits: InvalidationLimits::default(),
            severity: Severity::Hard,
            transformations: None,
        }
    }

    /// Creates a request for everything of a tenant. It needs no rules.
    pub fn all(severity: Severity) -> Self {
        Self {
            scope: InvalidationScope::All,
            severity,
            entries: Vec::new(),
            transformations: Vec::new(),
            texts: Vec::new(),
        }
    }

    /// Returns the scope of the request.
    #[must_use]
    pub fn scope(&self) -> InvalidationScope {
        self.scope
    }

    /// Returns whether the request is hard or soft.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// Returns the targets of the entries in their order, without duplicates. Returns an empty list
    /// with the scope `all`.
    #[must_use]
    pub fn entries(&self) -> &[RequestEntry] {
        &self.entries
    }

    /// Returns the operations that select variants of the pictures, without duplicates. An empty
    /// list selects every variant.
    #[must_use]
    pub fn transformations(&self) -> &[Operations<'static>] {
        &self.transformations
    }

    /// Returns how many entries repeated an earlier entry.
    #[must_use]
    pub fn duplicates(&self) -> usize {
        self.texts.len() - self.entries.len()
    }

    /// Returns the texts of the entries in their order, duplicates included. Returns an empty list
    /// with the scope `all`. The text of a [`RequestEntry`] is at its
    /// [`entry_index`](RequestEntry::entry_index).
    ///
    /// **Cost:** O(1). No lock.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::Rules;
    /// use cache_index::invalidation::InvalidationRequest;
    ///
    /// let rules = Rules::default();
    /// let urls = ["/Sample.li/a.jpg", "sample.li/a.jpg", "/sample.li/b.jpg"];
    /// let request = InvalidationRequest::builder(&rules).original(urls)?;
    /// assert!(request.texts().eq(urls.map(str::as_bytes)));
    /// assert_eq!(request.entries()[1].entry_index(), 2);
    /// # Ok::<(), cache_index::invalidation::InvalidationError>(())
    /// ```
    pub fn texts(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.texts.iter().map(AsRef::as_ref)
    }
}

/// The settings of an [`InvalidationRequest`]. The list comes last, and is checked at once.
///
/// # Examples
///
/// ```
/// use cache_index::canonical::Rules;
/// use cache_index::invalidation::InvalidationRequest;
///
/// let rules = Rules::default();
/// let request = InvalidationRequest::builder(&rules)
///     .transformations(["?width=200", "w=200"])
///     .original(["/sample.li/birds.jpg"])?;
/// assert_eq!(request.transformations().len(), 1);
///
/// let single = InvalidationRequest::builder(&rules).urls(["/sample.li/birds.jpg?width=200"])?;
/// assert_eq!(single.entries()[0].variant().unwrap().as_str(), "?w=200");
/// # Ok::<(), cache_index::invalidation::InvalidationError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "settings have no effect before the list is given"]
pub struct InvalidationRequestBuilder<'r> {
    rules: &'r Rules,
    limits: InvalidationLimits,
    severity: Severity,
    transformations: Option<Vec<Option<Vec<u8>>>>,
}

impl InvalidationRequestBuilder<'_> {
    /// Sets the limits of the request.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::Rules;
    /// use cache_index::invalidation::{InvalidationLimits, InvalidationRequest};
    ///
    /// let (rules, limits) = (Rules::default(), InvalidationLimits::builder().entries(1).build()?);
    /// let request = InvalidationRequest::builder(&rules).limits(limits);
    /// let error = request.original(["/sample.li/a.jpg", "/sample.li/b.jpg"]).unwrap_err();
    /// assert_eq!(error.to_string(), "urls has more than 1 entries");
    /// # Ok::<(), cache_index::ConfigError>(())
    /// ```
    pub fn limits(mut self, limits: InvalidationLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets whether the request is hard or soft.
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Selects of each picture only the variants that include all operations of at least one of
    /// these.
    pub fn transformations(mut self, entries: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        // One more entry than allowed is enough to detect that there are too many.
        let few = entries.into_iter().take(self.limits.transformations() + 1);
        self.transformations = Some(few.map(|entry| Some(entry.as_ref().to_vec())).collect());
        self
    }

    /// Creates a request for whole pictures.
    ///
    /// **Cost:** O(length of the entries). No lock.
    ///
    /// # Errors
    /// If the list or the transformations are empty, too long, or contain an entry that is not
    /// valid. Also if there are both a wildcard and transformations.
    pub fn original(
        self,
        urls: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<InvalidationRequest, InvalidationError> {
        let transformations = match self.transformations {
            None => Vec::new(),
            Some(ref list) => operations(list, self.rules, &self.limits)?,
        };
        self.list(InvalidationScope::Original, urls.into_iter().map(Some), transformations)
    }

    /// Creates a request for named variants, and the origin copy of each picture named.
    ///
    /// **Cost:** O(length of the entries). No lock.
    ///
    /// # Errors
    /// If the list is empty or too long, or contains an entry that is not valid, or a wildcard.
    /// Also if there are transformations.
    pub fn urls(
        self,
        urls: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<InvalidationRequest, InvalidationError> {
        if self.transformations.is_some() {
            return Err(Fault::Transformations.into());
        }
        self.list(InvalidationScope::Urls, urls.into_iter().map(Some), Vec::new())
    }

    /// Reads the list. An entry that is not text is `None`.
    pub(super) fn list(
        self,
        scope: InvalidationScope,
        urls: impl Iterator<Item = Option<impl AsRef<[u8]>>>,
        transformations: Vec<Operations<'static>>,
    ) -> Result<InvalidationRequest, InvalidationError> {
        let mut entries = Vec::new();
        let mut seen = HashSet::new();
        let mut texts = Vec::new();
        for (position, text) in urls.enumerate() {
            if position == self.limits.entries() {
                let limit = self.limits.entries();
                return Err(Fault::TooMany { list: List::Urls, limit }.into());
            }
            let Some(text) = text else {
                return Err(Fault::EntryType { list: List::Urls, position }.into());
            };
            let (target, variant) = self
                .read(scope, text.as_ref())
                .map_err(|reason| bad_entry(List::Urls, position, reason))?;
            let picks = variant.is_some() || !transformations.is_empty();
            if picks && matches!(target, Target::Prefix(_)) {
                return Err(Fault::Wildcard { position }.into());
            }
            texts.push(Box::from(text.as_ref()));
            if seen.insert((target.clone(), variant.clone())) {
                entries.push(RequestEntry {
                    position,
                    target,
                    variant,
                    copy: None,
                    follows: false,
                });
            }
        }
        if entries.is_empty() {
            return Err(Fault::EmptyList(List::Urls).into());
        }
        if scope == InvalidationScope::Urls {
            add_origin_copies(&mut entries);
        }
        let severity = self.severity;
        Ok(InvalidationRequest { scope, severity, entries, transformations, texts })
    }

    fn read(
        &self,
        scope: InvalidationScope,
        text: &[u8],
    ) -> Result<(Target<'static>, Option<VariantKey<'static>>), PathError> {
        if scope == InvalidationScope::Urls {
            let VariantTarget { target, variant } = self.rules.variant_entry(text)?.into_owned();
            Ok((target, Some(variant)))
        } else {
            Ok((self.rules.invalidation(text)?.into_owned(), None))
        }
    }
}

/// Reads the list of transformations. An entry that is not text is `None`.
pub(super) fn operations(
    list: &[Option<impl AsRef<[u8]>>],
    rules: &Rules,
    limits: &InvalidationLimits,
) -> Result<Vec<Operations<'static>>, InvalidationError> {
    const LIST: List = List::Transformations;
    if list.is_empty() {
        return Err(Fault::EmptyList(LIST).into());
    }
    if list.len() > limits.transformations() {
        return Err(Fault::TooMany { list: LIST, limit: limits.transformations() }.into());
    }
    let mut operations = Vec::new();
    for (position, text) in list.iter().enumerate() {
        let Some(text) = text else {
            return Err(Fault::EntryType { list: LIST, position }.into());
        };
        let entry = rules.operations(text.as_ref());
        let entry = entry.map_err(|reason| bad_entry(LIST, position, reason))?.into_owned();
        if !operations.contains(&entry) {
            operations.push(entry);
        }
    }
    Ok(operations)
}

fn bad_entry(list: List, position: usize, reason: PathError) -> Fault {
    Fault::BadEntry { list, position, reason: Box::new(reason) }
}

/// Adds the origin copy of a picture to the entry that names it, or else to the first entry that
/// names a variant of the picture.
fn add_origin_copies(entries: &mut [RequestEntry]) {
    let copy = VariantKey::new_unchecked("?");
    let mut takers = HashMap::<OriginPath<'static>, usize>::new();
    for (at, entry) in entries.iter_mut().enumerate() {
        let Target::Path(path) = &entry.target else { continue };
        entry.follows = takers.contains_key(path);
        let taker = takers.entry(path.clone()).or_insert(at);
        if entry.variant.as_ref() == Some(&copy) {
            *taker = at;
        }
    }
    for at in takers.into_values() {
        entries[at].copy =
            Some(&copy).filter(|copy| entries[at].variant.as_ref() != Some(copy)).cloned();
    }
}
