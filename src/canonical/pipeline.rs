//! The steps of canonicalization in their order, from the outermost to the innermost.
//!
//! Invariant: positions in errors are counted from the start of a function's input; its caller maps
//! them. Not here: the work of a step; each has a file.

use super::error::{Fault, Moved, Result};
use super::input_checks::{self, MAX_NESTING, split_query};
use super::names::{Delivery, Target, VariantTarget};
use super::path::delivery_host::{Reference, path_start};
use super::path::escape::{self, position_before_normalizing};
use super::path::origin::Origin;
use super::path::segments;
use super::query::key::Query;
use super::query::operations::Operations;
use super::rules::Rules;
use super::text::scan;
use super::text::spelling::DECODED;
use super::trace::{StepKind, Trace};
use crate::names::{OriginPath, PathPrefix, VariantKey};
use std::borrow::Cow;

/// The only query that an entry for whole pictures may have: it does not select a variant, but
/// describes how the path is spelled.
const PATH_IS_ENCODED: &[u8] = b"?ci_url_encoded=1";

/// Reads texts by the rules, and tells a listener about the steps.
pub(super) struct Reader<'r, T> {
    pub(super) rules: &'r Rules,
    pub(super) trace: T,
}

impl Rules {
    /// Returns a reader without a listener.
    pub(super) fn reader(&self) -> Reader<'_, ()> {
        Reader { rules: self, trace: () }
    }
}

/// The pipeline, from the outermost step to the innermost. Positions in errors are counted from the
/// start of a function's input; its caller maps them.
impl<T: Trace> Reader<'_, T> {
    pub(super) fn delivery<'t>(
        &mut self,
        input: &'t [u8],
        reference: Reference,
    ) -> Result<Delivery<'t>> {
        let input = input_checks::checked(input)?;
        let start = path_start(input, reference, self.rules)?;
        self.trace.note(StepKind::DeliveryHost, input, &input[start..]);
        let (path, query) = split_query(&input[start..]);
        let exact = self.requested(path, query, 0).moved(|at| start + at)?;
        if !self.rules.groups() {
            return Ok(exact);
        }
        let before = self.trace.keep(exact.origin.as_str().as_bytes());
        let before_key = self.trace.keep(exact.variant.as_str().as_bytes());
        let grouped = exact.grouped();
        self.trace.note(StepKind::Grouping, &before, grouped.origin.as_str().as_bytes());
        self.trace.note(StepKind::Grouping, &before_key, grouped.variant.as_str().as_bytes());
        Ok(grouped)
    }

    pub(super) fn invalidation<'t>(&mut self, entry: &'t [u8]) -> Result<Target<'t>> {
        let (path, query) = split_query(input_checks::checked(entry)?);
        match query {
            None => self.target(path, false),
            Some(PATH_IS_ENCODED) => self.target(path, true),
            Some(_) => Err(Fault::QueryNotAllowed.at(path.len())),
        }
    }

    pub(super) fn variant_entry<'t>(&mut self, entry: &'t [u8]) -> Result<VariantTarget<'t>> {
        let (path, query) = split_query(input_checks::checked(entry)?);
        let query = self.query(path, query)?;
        let target = self.target(path, query.encodes_path)?;
        Ok(VariantTarget { target, variant: VariantKey::new_unchecked(query.key) })
    }

    pub(super) fn operations<'t>(&mut self, entry: &'t [u8]) -> Result<Operations<'t>> {
        let entry = input_checks::checked(entry)?;
        let query = Query::read(Some(entry), &mut self.trace)?;
        if query.key == "?" {
            return Err(Fault::NoOperation.at(entry.len()));
        }
        Ok(Operations::new(VariantKey::new_unchecked(query.key)))
    }

    /// Reads the query after `path`. Positions are counted from the start of the path.
    fn query<'t>(&mut self, path: &[u8], query: Option<&'t [u8]>) -> Result<Query<'t>> {
        Query::read(query, &mut self.trace).moved(|at| path.len() + at)
    }

    /// Reads path and query of a request. Positions are counted from the start of the path.
    fn requested<'t>(
        &mut self,
        path: &'t [u8],
        query: Option<&'t [u8]>,
        depth: usize,
    ) -> Result<Delivery<'t>> {
        let query = self.query(path, query)?;
        let picture = self.named(path, query.encodes_path, Place::Request { depth })?;
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
    pub(super) fn target<'t>(&mut self, path: &'t [u8], encoded: bool) -> Result<Target<'t>> {
        let Named { name, is_prefix, .. } = self.named(path, encoded, Place::Entry)?;
        let exact = if is_prefix {
            Target::Prefix(PathPrefix::new_unchecked(name))
        } else {
            Target::Path(OriginPath::new_unchecked(name))
        };
        if !self.rules.groups() {
            return Ok(exact);
        }
        let before = self.trace.keep(exact.as_str().as_bytes());
        let grouped = exact.grouped();
        self.trace.note(StepKind::Grouping, &before, grouped.as_str().as_bytes());
        Ok(grouped)
    }

    /// Reads a path from its leading slashes on.
    fn named<'t>(&mut self, path: &'t [u8], encoded: bool, place: Place) -> Result<Named<'t>> {
        let start = segments::origin_start(path, self.rules.v7)?;
        self.trace.note(StepKind::PathStart, path, &path[start..]);
        let path = &path[start..];
        let mut read = || {
            if place.allows_star(self.rules) {
                wildcards_are_final(path)?;
            }
            if encoded { self.decoded(path, place) } else { self.origin(path, None, place) }
        };
        read().moved(|at| start + at)
    }

    /// Decodes a path that was encoded as a whole, and reads the result: the path of an origin, and
    /// its own query.
    #[inline(never)]
    fn decoded(&mut self, path: &[u8], place: Place) -> Result<Named<'static>> {
        let mut text = escape::decoded(path)?;
        let text = text.written();
        self.trace.note(StepKind::PathEncoding, path, text);
        let mut read = || {
            input_checks::clean(text)?;
            let start = segments::leading_slashes(text);
            let (path, own_query) = split_query(&text[start..]);
            if path.is_empty() {
                return Err(Fault::Empty.at(start));
            }
            let named = self.origin(path, own_query, place).moved(|at| start + at)?;
            Ok(Named { name: Cow::Owned(named.name.into_owned()), ..named })
        };
        read().moved(|at| position_before_normalizing(path, &DECODED, at))
    }

    /// Reads the origin part of a path.
    fn origin<'t>(
        &mut self,
        path: &'t [u8],
        own_query: Option<&'t [u8]>,
        place: Place,
    ) -> Result<Named<'t>> {
        let origin = Origin::read(path, own_query, self.rules, &mut self.trace)?;
        if origin.is_delivery_url(self.rules) {
            return match place {
                Place::Entry => Err(Fault::DeliveryUrl.at(0)),
                Place::Request { depth } => self.nested(&origin, path, own_query, depth),
            };
        }
        let allows_star = place.allows_star(self.rules);
        let (name, is_prefix) = origin.settle(allows_star, self.rules, &mut self.trace)?;
        Ok(Named { name, is_prefix, inner: None })
    }

    /// Reads an origin that is a delivery URL. The picture is that of the inner URL, and its
    /// operations come first.
    fn nested(
        &mut self,
        origin: &Origin<'_>,
        source: &[u8],
        own_query: Option<&[u8]>,
        depth: usize,
    ) -> Result<Named<'static>> {
        if depth == MAX_NESTING {
            return Err(Fault::NestedTooDeep.at(0));
        }
        let path = origin.path_of_delivery_url()?;
        self.trace.note(StepKind::NestedDelivery, source, path);
        let inner = self.requested(path, own_query, depth + 1);
        let inner = inner.moved(|at| match at.checked_sub(path.len()) {
            None => origin.position(at),
            Some(in_query) => source.len() + in_query,
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

/// Accepts the path of an entry in which a star, if there is one, is the last byte. Any other star
/// is a different kind of pattern, which would match nothing. Only raw stars count: encoded stars
/// are letters of a name.
fn wildcards_are_final(path: &[u8]) -> Result<()> {
    if path.first() == Some(&b'^') {
        return Err(Fault::RegularExpression.at(0));
    }
    match scan::find(path, b'*') {
        Some(at) if at + 1 < path.len() => Err(Fault::InnerWildcard.at(at)),
        _ => Ok(()),
    }
}
