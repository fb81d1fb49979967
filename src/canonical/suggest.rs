//! Suggestions for the mistakes that the API's documentation warns of.
//!
//! Invariant: the rules that refused the original accept a suggestion. The suggestion names the
//! same picture as a delivery of the original's text. Not here: guesses at typing errors.

use super::error::{PathError, PathErrorKind, Result};
use super::input_checks::split_query;
use super::names::Target;
use super::path::form::{Form, Shape};
use super::path::segments;
use super::query::key::Query;
use super::query::parameters::is_known;
use super::query::split::parameters_of_key;
use super::rules::Rules;
use super::settings::{Root, V7};
use super::text::bytes::{UNRESERVED, encoded};

const FLAG: &str = "ci_url_encoded=1";

impl Rules {
    /// Reads `entry`, and adds the entries that were probably meant to an error.
    pub(super) fn suggesting<'t, T>(
        &self,
        entry: &'t [u8],
        read: impl FnOnce(&'t [u8]) -> Result<T>,
    ) -> Result<T> {
        read(entry).map_err(|error| self.with_suggestions(error, entry))
    }

    #[cold]
    fn with_suggestions(&self, error: PathError, entry: &[u8]) -> PathError {
        let suggestions = match error.kind() {
            PathErrorKind::QueryNotAllowed => {
                let pictures = self.meant(entry, false).into_iter();
                pictures.chain(self.meant_with_own_query(entry)).collect()
            }
            PathErrorKind::MissingV7
            | PathErrorKind::UnexpectedV7
            | PathErrorKind::PrefixIncluded
            | PathErrorKind::DeliveryUrl => Vec::from_iter(self.meant(entry, true)),
            _ => return error,
        };
        error.suggesting(suggestions)
    }

    /// Returns the entry for the target of `entry` when it is read without the rules that it broke.
    fn meant(&self, entry: &[u8], with_query: bool) -> Option<String> {
        let lenient = self.lenient();
        let (path, query) = split_query(entry);
        let Query { key, encodes_path, .. } = Query::read(query, &mut ()).ok()?;
        let target = match lenient.reader().target(path, encodes_path) {
            Err(error) if error.kind() == PathErrorKind::DeliveryUrl => {
                // Read as a request, a delivery URL leads to the picture inside.
                let start = segments::origin_start(path, lenient.v7).ok()?;
                let inside = [b"/", &path[start..], query.unwrap_or_default()].concat();
                Target::Path(lenient.delivery(&inside).ok()?.origin.into_owned())
            }
            read => read.ok()?,
        };
        let key = (with_query && key != "?").then_some(&*key);
        let text = self.text_of(&target)?;
        let candidate = self.spelled(&text, matches!(target, Target::Prefix(_)), key);
        self.names(&candidate, key.is_some(), &text).then_some(candidate)
    }

    /// Returns the entry for a source that has its own query and was pasted without encoding. Known
    /// parameters are operations.
    fn meant_with_own_query(&self, entry: &[u8]) -> Option<String> {
        let lenient = self.lenient();
        let (path, query) = split_query(entry);
        let Query { key, encodes_path, .. } = Query::read(query, &mut ()).ok()?;
        if encodes_path || parameters_of_key(&key).all(|(name, _)| is_known(name)) {
            return None;
        }
        let Ok(Target::Path(origin)) = lenient.reader().target(path, false) else { return None };
        let text = self.text_of(&Target::Path(origin))? + std::str::from_utf8(query?).ok()?;
        let candidate = self.spelled(&text, false, None);
        self.reader().invalidation(candidate.as_bytes()).is_ok().then_some(candidate)
    }

    /// Returns the name of `target` under these rules: below their prefix, if they have one.
    /// Returns `None` if it has no name under these rules.
    fn text_of(&self, target: &Target<'_>) -> Option<String> {
        let text = self.below_prefix(target.as_str())?;
        let is_shorter = text.len() < target.as_str().len();
        let form = Shape::of(text.as_bytes(), Root::Path).ok()?.form;
        // A text that is not a folder below the prefix names another target there.
        (!is_shorter || form == Form::Relative).then_some(text)
    }

    /// Returns an origin as an entry under these rules, followed by a variant key.
    fn spelled(&self, text: &str, is_prefix: bool, key: Option<&str>) -> String {
        let start = if self.v7 == V7::Required { "v7/" } else { "" };
        let star = if is_prefix { "*" } else { "" };
        let starts_with_v7 = text == "v7" || text.starts_with("v7/");
        if text.contains('?') || (starts_with_v7 && self.v7 != V7::Required) {
            let flag = key.map_or(format!("?{FLAG}"), |key| format!("{key}&{FLAG}"));
            // An encoded `v7` is a folder of an origin.
            let (v, rest) = text.split_at(usize::from(text.starts_with("v7")));
            let v = encoded(v, |_| false);
            format!("{start}{v}{}{flag}", encoded(rest, |byte| UNRESERVED.contains(byte)))
        } else {
            format!("{start}{text}{star}{}", key.unwrap_or_default())
        }
    }

    /// Returns whether `candidate` is an entry for `text`. A candidate with a second `v7`, in
    /// addition to that of the rules, is not.
    fn names(&self, candidate: &str, is_variant: bool, text: &str) -> bool {
        let first = text.split('/').next().unwrap_or_default();
        if self.v7 == V7::Required && first.eq_ignore_ascii_case("v7") {
            return false;
        }
        let exact = self.without_grouping();
        let mut reader = exact.reader();
        let read = if is_variant {
            reader.variant_entry(candidate.as_bytes()).map(|entry| entry.target)
        } else {
            reader.invalidation(candidate.as_bytes())
        };
        read.is_ok_and(|target| target.as_str() == text)
    }
}
