//! The entry that was meant, for the mistakes that the API's documentation warns of.
//!
//! Invariant: a suggestion is read without error by the rules that refused the original.
//! Not here: guesses at typing errors.

use super::bytes::{UNRESERVED, escaped};
use super::error::{PathError, PathErrorKind};
use super::names::Target;
use super::query::Query;
use super::rules::{Rules, V7};
use super::split_query;

impl Rules {
    /// Adds the entry that was meant to an error about `entry`, if there is one.
    #[cold]
    pub(super) fn with_suggestion(&self, error: PathError, entry: &[u8]) -> PathError {
        match error.kind() {
            PathErrorKind::QueryNotAllowed => error.suggesting(self.meant(entry, false)),
            PathErrorKind::MissingV7
            | PathErrorKind::UnexpectedV7
            | PathErrorKind::PrefixIncluded
            | PathErrorKind::DeliveryUrl => error.suggesting(self.meant(entry, true)),
            _ => error,
        }
    }

    /// The entry that names what `entry` means when it is read without the rules that it broke.
    fn meant(&self, entry: &[u8], with_query: bool) -> Option<String> {
        let lenient = self.lenient();
        let (path, query) = split_query(entry);
        let Query { key, encodes_path, .. } = Query::read(query, &mut ()).ok()?;
        let target = match lenient.named(path, encodes_path, &mut ()) {
            Err(error) if error.kind() == PathErrorKind::DeliveryUrl => {
                // Read as a request, a delivery URL leads to the picture inside.
                let start = lenient.origin_start(path, &mut ()).ok()?;
                let inside = [b"/", &path[start..], query.unwrap_or_default()].concat();
                Target::Path(lenient.delivery(&inside).ok()?.origin.into_owned())
            }
            read => read.ok()?,
        };
        let candidate = self.spelled(&target, (with_query && key != "?").then_some(&key))?;
        let read = match query {
            Some(_) if with_query && key != "?" => self
                .read_variant_entry(candidate.as_bytes(), &mut ())
                .map(|selection| selection.target),
            _ => self.read_invalidation(candidate.as_bytes(), &mut ()),
        };
        read.is_ok().then_some(candidate)
    }

    /// `target` as an entry under these rules.
    fn spelled(&self, target: &Target<'_>, key: Option<&str>) -> Option<String> {
        let text = self.below_prefix(target.as_str())?;
        let start = if self.v7 == V7::Required { "v7/" } else { "" };
        let star = if matches!(target, Target::Prefix(_)) { "*" } else { "" };
        let starts_with_v7 = text == "v7" || text.starts_with("v7/");
        if text.contains('?') || (starts_with_v7 && self.v7 != V7::Required) {
            let flag =
                key.map_or("?ci_url_encoded=1".into(), |key| format!("{key}&ci_url_encoded=1"));
            Some(format!("{start}{}{flag}", encoded(text)))
        } else {
            Some(format!("{start}{text}{star}{}", key.unwrap_or_default()))
        }
    }
}

/// `text` with everything encoded that might be read as something else.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(3 * text.len());
    for (at, byte) in text.bytes().enumerate() {
        // The first byte, so that no `v7` is seen.
        if at > 0 && UNRESERVED.contains(byte) {
            out.push(char::from(byte));
        } else {
            out.extend(escaped(byte).map(char::from));
        }
    }
    out
}
