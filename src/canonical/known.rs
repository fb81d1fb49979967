//! Text that is said to be canonical: is it?
//!
//! Invariant: what passes is what canonicalization gives for some input under some rules, and nothing else. (The one liberty: of
//! the length of the input, only the greatest possible is asked.)
//! Not here: under which rules. `My.Folder/a.jpg` is canonical in a library, though not where its first segment is a host.

use super::error::{Fault, PathError};
use super::grouping::is_mark;
use super::origin::{Origin, Settled};
use super::query::Query;
use super::raw::{MAX_INPUT, clean};
use super::rules::{Root, Rules};
use super::{MAX_NESTING, split_query};
use crate::variant::{Marks, invalid_mark};

/// The longest canonical text: every byte of the longest input written as an escape.
const MAX_CANONICAL: usize = 3 * MAX_INPUT;

/// Rules under which the first segment may be anything, and there is nothing else to mind.
fn lenient() -> Rules {
    let mut rules = Rules::default();
    rules.root = Root::Path;
    rules
}

/// Whether `text` is a canonical origin.
pub(crate) fn check_origin(text: &str) -> Result<(), PathError> {
    let (path, own_query) = split_query(bounded(text)?);
    if path.is_empty() {
        return Err(Fault::Empty.at(0));
    }
    let rules = lenient();
    let canonical = relative(path, own_query, &rules)?.into_path(&mut ())?;
    same(text, &canonical)
}

/// Whether `text` is what precedes the star of a canonical pattern.
pub(crate) fn check_prefix(text: &str) -> Result<(), PathError> {
    bounded(text)?;
    if let Some(at) = text.find('?') {
        // A pattern has no query; what follows would be compared with the queries of origins.
        return Err(Fault::QueryNotAllowed.at(at));
    }
    let pattern = format!("{text}*");
    let rules = lenient();
    match relative(pattern.as_bytes(), None, &rules)?.into_prefix() {
        Ok(canonical) => same(text, &canonical),
        Err(_) => Err(Fault::NotCanonical.at(text.len())),
    }
}

/// Whether `text` is a canonical variant key.
pub(crate) fn check_variant(text: &str) -> Result<(), PathError> {
    if text.len() > MAX_CANONICAL {
        return Err(Fault::NotCanonical.at(MAX_CANONICAL));
    }
    if !text.starts_with('?') {
        return Err(Fault::NotCanonical.at(0));
    }
    let Marks { operations, grouping, representation } = Marks::of(text);
    check_operations(operations)?;
    if grouping.is_some_and(|mark| !is_mark(mark)) {
        return Err(Fault::NotCanonical.at(operations.len()));
    }
    let before = text.len() - representation.map_or(0, str::len);
    representation.map_or(Ok(()), |mark| {
        check_representation(mark).map_err(|error| error.moved(|at| before + at))
    })
}

/// Whether `mark` may name a representation.
fn check_representation(mark: &str) -> Result<(), PathError> {
    if mark.is_empty() {
        return Err(Fault::EmptyMark.at(0));
    }
    invalid_mark(mark).map_or(Ok(()), |at| Err(Fault::BadMark.at(at)))
}

fn check_operations(text: &str) -> Result<(), PathError> {
    let mut start = 0;
    for (nesting, operations) in text[1..].split('?').enumerate() {
        if nesting > MAX_NESTING {
            return Err(Fault::NestedTooDeep.at(start));
        }
        let group = &text[start..=start + operations.len()];
        let query =
            Query::read(Some(group.as_bytes()), &mut ()).and_then(|query| same(group, &query.key));
        query.map_err(|error| error.moved(|at| start + at))?;
        start += group.len();
    }
    Ok(())
}

fn bounded(text: &str) -> Result<&[u8], PathError> {
    if text.len() > MAX_CANONICAL {
        return Err(Fault::NotCanonical.at(MAX_CANONICAL));
    }
    clean(text.as_bytes())?;
    Ok(text.as_bytes())
}

/// Reads a path as an origin. A leading slash is never part of one.
fn relative<'t>(
    path: &'t [u8],
    own_query: Option<&'t [u8]>,
    rules: &Rules,
) -> Result<Settled<'t>, PathError> {
    if path.first() == Some(&b'/') {
        return Err(Fault::NotCanonical.at(0));
    }
    Origin::read(path, own_query, rules, &mut ())?.settle(rules, &mut ())
}

fn same(text: &str, canonical: &str) -> Result<(), PathError> {
    if text == canonical {
        return Ok(());
    }
    let common = text.bytes().zip(canonical.bytes()).take_while(|(one, other)| one == other);
    Err(Fault::NotCanonical.at(common.count()))
}
