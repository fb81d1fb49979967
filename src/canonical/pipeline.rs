//! The steps of canonicalization in their order, from the outermost to the innermost.
//!
//! Invariant: positions in errors are counted from the start of a function's input; its caller maps
//! them. Not here: the work of a step; each has a file.

use super::error::{Fault, PathError};
use super::input_checks::{self, MAX_NESTING, split_query};
use super::names::{Delivery, Target, VariantTarget};
use super::path::delivery_host::{Reference, path_start};
use super::path::escape;
use super::path::origin::Origin;
use super::path::segments;
use super::query::key::Query;
use super::query::operations::Operations;
use super::rules::Rules;
use super::text::scan;
use super::trace::{StepKind, Trace};
use crate::names::{OriginPath, PathPrefix, VariantKey};
use std::borrow::Cow;

/// The only query that an entry for whole pictures may have: it does not select a variant, but
/// describes how the path is spelled.
const PATH_IS_ENCODED: &[u8] = b"?ci_url_encoded=1";

/// The pipeline, from the outermost step to the innermost. Positions in errors are counted from the
/// start of a function's input; its caller maps them.
impl Rules {
    pub(super) fn read_delivery<'t>(
        &self,
        input: &'t [u8],
        reference: Reference,
        trace: &mut impl Trace,
    ) -> Result<Delivery<'t>, PathError> {
        let input = input_checks::checked(input)?;
        let start = path_start(input, reference, self)?;
        trace.note(StepKind::DeliveryHost, input, &input[start..]);
        let (path, query) = split_query(&input[start..]);
        let exact = read_query(path, query, trace)
            .and_then(|query| self.requested(path, query, 0, trace))
            .map_err(|error| error.moved(|at| start + at))?;
        Ok(if self.groups() { grouped_delivery(exact, trace) } else { exact })
    }

    pub(super) fn read_invalidation<'t>(
        &self,
        entry: &'t [u8],
        trace: &mut impl Trace,
    ) -> Result<Target<'t>, PathError> {
        let (path, query) = split_query(input_checks::checked(entry)?);
        match query {
            None => self.target(path, false, trace),
            Some(PATH_IS_ENCODED) => self.target(path, true, trace),
            Some(_) => Err(Fault::QueryNotAllowed.at(path.len())),
        }
    }

    pub(super) fn read_variant_entry<'t>(
        &self,
        entry: &'t [u8],
        trace: &mut impl Trace,
    ) -> Result<VariantTarget<'t>, PathError> {
        let (path, query) = split_query(input_checks::checked(entry)?);
        let query = read_query(path, query, trace)?;
        let target = self.target(path, query.encodes_path, trace)?;
        Ok(VariantTarget { target, variant: VariantKey::new_unchecked(query.key) })
    }

    #[allow(clippy::unused_self, reason = "one day, rules may say what an operation is")]
    pub(super) fn read_operations<'t>(
        &self,
        entry: &'t [u8],
        trace: &mut impl Trace,
    ) -> Result<Operations<'t>, PathError> {
        let entry = input_checks::checked(entry)?;
        let has_mark = entry.first() == Some(&b'?');
        let query = if has_mark {
            Query::read(Some(entry), trace)
        } else {
            Query::read_bare(entry, trace)
        }?;
        if query.key == "?" {
            return Err(Fault::NoOperation.at(entry.len()));
        }
        Ok(Operations::new(VariantKey::new_unchecked(query.key)))
    }

    /// Reads path and query of a request. Positions are counted from the start of the path.
    fn requested<'t>(
        &self,
        path: &'t [u8],
        query: Query<'t>,
        depth: usize,
        trace: &mut impl Trace,
    ) -> Result<Delivery<'t>, PathError> {
        let picture = self.named(path, query.encodes_path, Place::Request { depth }, trace)?;
        let key = match picture.inner {
            None => query.key,
            Some(inner) => Cow::Owned(inner + &query.key),
        };
        Ok(Delivery {
            origin: OriginPath::new_unchecked(picture.name),
            variant: VariantKey::new_unchecked(key),
        })
    }

    /// Reads the path of an entry.
    pub(super) fn target<'t>(
        &self,
        path: &'t [u8],
        encoded: bool,
        trace: &mut impl Trace,
    ) -> Result<Target<'t>, PathError> {
        let Named { name, is_prefix, .. } = self.named(path, encoded, Place::Entry, trace)?;
        let exact = if is_prefix {
            Target::Prefix(PathPrefix::new_unchecked(name))
        } else {
            Target::Path(OriginPath::new_unchecked(name))
        };
        Ok(if self.groups() { grouped_target(exact, trace) } else { exact })
    }

    /// Reads a path from its leading slashes on.
    fn named<'t>(
        &self,
        path: &'t [u8],
        encoded: bool,
        place: Place,
        trace: &mut impl Trace,
    ) -> Result<Named<'t>, PathError> {
        let start = self.origin_start(path, trace)?;
        let path = &path[start..];
        let mut read = || {
            if place.allows_star(self) {
                wildcards_are_final(path)?;
            }
            if encoded {
                self.decoded(path, place, trace)
            } else {
                self.origin(path, None, place, trace)
            }
        };
        read().map_err(|error| error.moved(|at| start + at))
    }

    /// Returns the position where the origin starts in a path: after its leading slashes and its
    /// `v7`.
    pub(super) fn origin_start(
        &self,
        path: &[u8],
        trace: &mut impl Trace,
    ) -> Result<usize, PathError> {
        let start = segments::origin_start(path, self.v7)?;
        trace.note(StepKind::PathStart, path, &path[start..]);
        Ok(start)
    }

    /// Decodes a path that was encoded as a whole, and reads the result: the path of an origin, and
    /// its own query.
    #[inline(never)]
    fn decoded(
        &self,
        path: &[u8],
        place: Place,
        trace: &mut impl Trace,
    ) -> Result<Named<'static>, PathError> {
        let mut text = escape::decoded(path)?;
        let text = text.written();
        trace.note(StepKind::PathEncoding, path, text);
        let mut read = || {
            input_checks::clean(text)?;
            let start = segments::leading_slashes(text);
            let (path, own_query) = split_query(&text[start..]);
            if path.is_empty() {
                return Err(Fault::Empty.at(start));
            }
            let named = self.origin(path, own_query, place, trace);
            named.map(Named::into_owned).map_err(|error| error.moved(|at| start + at))
        };
        read().map_err(|error| error.moved(|at| escape::position_before_decoding(path, at)))
    }

    /// Reads the origin part of a path.
    fn origin<'t>(
        &self,
        path: &'t [u8],
        own_query: Option<&'t [u8]>,
        place: Place,
        trace: &mut impl Trace,
    ) -> Result<Named<'t>, PathError> {
        let origin = Origin::read(path, own_query, self, trace)?;
        if origin.is_delivery_url(self) {
            return match place {
                Place::Entry => Err(Fault::DeliveryUrl.at(0)),
                Place::Request { depth } => self.nested(&origin, path, own_query, depth, trace),
            };
        }
        let (name, is_prefix) = origin.settle(place.allows_star(self), self, trace)?;
        Ok(Named { name, is_prefix, inner: None })
    }

    /// Reads an origin that is a delivery URL. The picture is that of the inner URL, and its
    /// operations come first.
    fn nested(
        &self,
        origin: &Origin<'_>,
        source: &[u8],
        own_query: Option<&[u8]>,
        depth: usize,
        trace: &mut impl Trace,
    ) -> Result<Named<'static>, PathError> {
        if depth == MAX_NESTING {
            return Err(Fault::NestedTooDeep.at(0));
        }
        let path = origin.path_of_delivery_url()?;
        trace.note(StepKind::NestedDelivery, source, path);
        let inner = read_query(path, own_query, trace)
            .and_then(|query| self.requested(path, query, depth + 1, trace));
        let inner = inner.map_err(|error| {
            error.moved(|at| match at.checked_sub(path.len()) {
                None => origin.position(at),
                Some(in_query) => source.len() + in_query,
            })
        })?;
        let name = Cow::Owned(inner.origin.into());
        Ok(Named { name, is_prefix: false, inner: Some(inner.variant.into()) })
    }
}

/// The place of a path.
#[derive(Clone, Copy)]
enum Place {
    /// A request, or a delivery URL inside of one, at this depth.
    Request { depth: usize },
    /// An invalidation entry.
    Entry,
}

impl Place {
    /// Returns whether a star at the end makes the path a prefix.
    fn allows_star(self, rules: &Rules) -> bool {
        rules.wildcards && matches!(self, Self::Entry)
    }
}

/// The name of a path.
struct Named<'t> {
    name: Cow<'t, str>,
    is_prefix: bool,
    /// The variant key of the nested delivery URL that the path contained, if it did.
    inner: Option<String>,
}

impl Named<'_> {
    fn into_owned(self) -> Named<'static> {
        Named { name: Cow::Owned(self.name.into_owned()), ..self }
    }
}

/// Accepts the path of an entry in which a star, if there is one, is the last byte. Any other star
/// is a different kind of pattern, which would match nothing. Only raw stars count: encoded stars
/// are letters of a name.
fn wildcards_are_final(path: &[u8]) -> Result<(), PathError> {
    if path.first() == Some(&b'^') {
        return Err(Fault::RegularExpression.at(0));
    }
    match scan::find(path, b'*') {
        Some(at) if at + 1 < path.len() => Err(Fault::InnerWildcard.at(at)),
        _ => Ok(()),
    }
}

/// Reads the query after `path`. Positions are counted from the start of the path.
fn read_query<'t>(
    path: &[u8],
    query: Option<&'t [u8]>,
    trace: &mut impl Trace,
) -> Result<Query<'t>, PathError> {
    Query::read(query, trace).map_err(|error| error.moved(|at| path.len() + at))
}

fn grouped_delivery<'t>(exact: Delivery<'t>, trace: &mut impl Trace) -> Delivery<'t> {
    let before = trace.keep(exact.origin.as_str().as_bytes());
    let before_key = trace.keep(exact.variant.as_str().as_bytes());
    let grouped = exact.grouped();
    trace.note(StepKind::Grouping, &before, grouped.origin.as_str().as_bytes());
    trace.note(StepKind::Grouping, &before_key, grouped.variant.as_str().as_bytes());
    grouped
}

fn grouped_target<'t>(exact: Target<'t>, trace: &mut impl Trace) -> Target<'t> {
    let before = trace.keep(exact.as_str().as_bytes());
    let grouped = exact.grouped();
    trace.note(StepKind::Grouping, &before, grouped.as_str().as_bytes());
    grouped
}
