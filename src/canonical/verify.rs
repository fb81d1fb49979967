//! Checks text that claims to be canonical.
//!
//! Invariant: accepted text is exactly the text that canonicalization writes for some input under
//! some rules. (One exception: the length of the input is checked only against the maximum.) Not
//! here: under which rules. `My.Folder/a.jpg` is canonical in a library, but not if its first
//! segment is a host.

use super::error::{Fault, Moved, PathError, Result};
use super::fast_verify::{is_plain_key, is_plain_origin};
use super::input_checks::{MAX_CANONICAL, MAX_NESTING, clean, split_query};
use super::path::grouping::is_mark;
use super::path::origin::Origin;
use super::query::key::Query;
use super::query::operations::Operations;
use super::rules::Rules;
use crate::names::{Marks, OriginPath, PathPrefix, VariantKey, invalid_mark};
use std::borrow::Cow;

/// Adds the constructors of a name that accept canonical text.
macro_rules! from_canonical {
    ($name:ident, $check:ident) => {
        impl<'a> $name<'a> {
            /// Accepts text that is already canonical under some rules.
            ///
            /// Cost: O(length). The text is borrowed.
            ///
            /// # Errors
            ///
            /// If the text is not canonical. The error has the byte where the text differs from the
            /// output of canonicalization, or the mistake in the text.
            #[inline]
            pub fn from_canonical(text: &'a str) -> Result<Self, PathError> {
                $check(text).map(|()| Self::new_unchecked(text))
            }
        }

        impl<'a> TryFrom<&'a str> for $name<'a> {
            type Error = PathError;

            fn try_from(text: &'a str) -> Result<Self, Self::Error> {
                Self::from_canonical(text)
            }
        }

        impl std::str::FromStr for $name<'static> {
            type Err = PathError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $name::from_canonical(text).map($name::into_owned)
            }
        }
    };
}

from_canonical!(OriginPath, check_origin);
from_canonical!(PathPrefix, check_prefix);
from_canonical!(VariantKey, check_variant);

impl<'a> Operations<'a> {
    /// Accepts operations that [`Rules::operations`] wrote, such as those that a log has kept.
    ///
    /// Cost: O(length). The text is borrowed.
    ///
    /// # Errors
    ///
    /// If the text is not canonical, or has no operation. The error has the byte where the text
    /// differs.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::{Operations, Rules};
    ///
    /// let entry = Rules::default().operations("?width=200&h=100")?;
    /// assert_eq!(entry.as_str(), "?h=100&w=200");
    /// assert_eq!(Operations::from_canonical("?h=100&w=200")?, entry);
    ///
    /// let error = Operations::from_canonical("?w=200&h=100").unwrap_err();
    /// assert_eq!(error.byte_offset(), 1);
    /// # Ok::<(), cache_index::canonical::PathError>(())
    /// ```
    pub fn from_canonical(text: &'a str) -> Result<Self, PathError> {
        check_variant(text)?;
        let Marks { operations, .. } = Marks::of(text);
        if operations == "?" {
            return Err(Fault::NoOperation.at(text.len()));
        }
        // An entry has neither marks nor operations of a nested URL.
        let end = operations[1..].find('?').map_or(operations.len(), |at| at + 1);
        if end < text.len() {
            return Err(Fault::NotCanonical.at(end));
        }
        Ok(Self::new(VariantKey::new_unchecked(text)))
    }
}

/// Returns an error unless `text` is a canonical origin.
#[inline]
fn check_origin(text: &str) -> Result<()> {
    if is_plain_origin(text.as_bytes()) {
        debug_assert_eq!(check_any_origin(text), Ok(()), "{text}");
        return Ok(());
    }
    check_any_origin(text)
}

#[inline(never)]
fn check_any_origin(text: &str) -> Result<()> {
    let (path, own_query) = split_query(bounded(text)?);
    if path.is_empty() {
        return Err(Fault::Empty.at(0));
    }
    same(text, &canonical_origin(path, own_query, false)?)
}

/// Returns an error unless `text` is the part before the star of a canonical pattern.
fn check_prefix(text: &str) -> Result<()> {
    bounded(text)?;
    if let Some(at) = text.find('?') {
        // A pattern has no query; it would be compared with the queries of origins.
        return Err(Fault::QueryNotAllowed.at(at));
    }
    let pattern = format!("{text}*");
    same(text, &canonical_origin(pattern.as_bytes(), None, true)?)
}

/// Returns an error unless `text` is a canonical variant key.
#[inline]
fn check_variant(text: &str) -> Result<()> {
    if is_plain_key(text.as_bytes()) {
        debug_assert_eq!(check_any_variant(text), Ok(()), "{text}");
        return Ok(());
    }
    check_any_variant(text)
}

#[inline(never)]
fn check_any_variant(text: &str) -> Result<()> {
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
    match representation {
        Some("") => Err(Fault::EmptyMark.at(before)),
        mark => {
            mark.and_then(invalid_mark).map_or(Ok(()), |at| Err(Fault::BadMark.at(before + at)))
        }
    }
}

fn check_operations(text: &str) -> Result<()> {
    let mut start = 0;
    for (nesting, operations) in text[1..].split('?').enumerate() {
        if nesting > MAX_NESTING {
            return Err(Fault::NestedTooDeep.at(start));
        }
        let group = &text[start..=start + operations.len()];
        let query =
            Query::read(Some(group.as_bytes()), &mut ()).and_then(|query| same(group, &query.key));
        query.moved(|at| start + at)?;
        start += group.len();
    }
    Ok(())
}

fn bounded(text: &str) -> Result<&[u8]> {
    if text.len() > MAX_CANONICAL {
        return Err(Fault::NotCanonical.at(MAX_CANONICAL));
    }
    clean(text.as_bytes())?;
    Ok(text.as_bytes())
}

/// Returns an origin, or the part before its star, in its canonical spelling. A leading slash is
/// never part of one.
fn canonical_origin<'t>(
    path: &'t [u8],
    own_query: Option<&'t [u8]>,
    is_pattern: bool,
) -> Result<Cow<'t, str>> {
    if path.first() == Some(&b'/') {
        return Err(Fault::NotCanonical.at(0));
    }
    let rules = Rules::of_any_root();
    let origin = Origin::read(path, own_query, &rules, &mut ())?;
    origin.settle(is_pattern, &rules, &mut ()).map(|(text, _)| text)
}

fn same(text: &str, canonical: &str) -> Result<()> {
    if text == canonical {
        return Ok(());
    }
    let common = text.bytes().zip(canonical.bytes()).take_while(|(one, other)| one == other);
    Err(Fault::NotCanonical.at(common.count()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fast_is_slow(text: &str) {
        if is_plain_origin(text.as_bytes()) {
            assert_eq!(check_any_origin(text), Ok(()), "{text}");
        }
        if is_plain_key(text.as_bytes()) {
            assert_eq!(check_any_variant(text), Ok(()), "{text}");
        }
        assert_eq!(check_origin(text), check_any_origin(text), "{text}");
        assert_eq!(check_variant(text), check_any_variant(text), "{text}");
    }

    /// Calls `check` with every sequence of up to `len` of the parts, appended to `text`.
    fn every_sequence(parts: &[&str], len: usize, text: &mut String, check: &impl Fn(&str)) {
        check(text);
        if len == 0 {
            return;
        }
        for part in parts {
            let before = text.len();
            text.push_str(part);
            every_sequence(parts, len - 1, text, check);
            text.truncate(before);
        }
    }

    #[test]
    fn every_short_text_is_judged_alike() {
        let bytes = ["a", "A", "/", ".", ":", "?", "%", "*", "=", "&", ",", "\u{e9}"];
        every_sequence(&bytes, 4, &mut String::new(), &fast_is_slow);
        for start in ["http", "https", "https://", "http://", "https://h/", "ftp://", "_a_/"] {
            every_sequence(&bytes, 3, &mut start.to_owned(), &fast_is_slow);
        }
        let far = "a".repeat(20);
        every_sequence(&bytes, 3, &mut far.clone(), &fast_is_slow);
        every_sequence(&bytes, 3, &mut format!("?{far}"), &fast_is_slow);
    }

    #[test]
    fn every_short_query_is_judged_alike() {
        let parts = [
            "&",
            "=",
            "w",
            "width",
            "h=1",
            "gray",
            "grey",
            "bg_color",
            "bg_colorize",
            "wat_font",
            "wat_fontsize",
            "ci_sign",
            "ci_eqs=",
            "ci_url_encoded=1",
            "zz",
            "aa",
            "#",
            "@http",
            "?",
        ];
        every_sequence(&parts, 3, &mut String::from("?"), &fast_is_slow);
    }

    #[test]
    fn usual_names_take_the_fast_path() {
        for text in ["a", "sample.li/birds.jpg", "https://img.x-y.com/A/b_1-2.JPG", "_a_/b//c-1"] {
            assert!(is_plain_origin(text.as_bytes()), "{text}");
        }
        for text in ["?", "?w=1", "?h=1&w=2", "?w&zz=1&aa=,:/", "?wat_font=a"] {
            assert!(is_plain_key(text.as_bytes()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged_alike(
            path in "(https?://)?[a-zA-Z0-9./:,_-]{0,80}[ -~]?[a-z/.]{0,40}",
            key in "[?]((w|h|width|gray|zz|aa|org_if_sml)(=[a-z0-9.,:/=]{0,20})?&?){0,6}[ -~]?",
        ) {
            fast_is_slow(&path);
            fast_is_slow(&key);
        }
    }
}
