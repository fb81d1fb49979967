//! Why a text got its names: the steps that changed something, each with the text before and after.
//!
//! Invariant: the explanation is that of the pipeline itself, which notes its steps while it runs; without an explanation, noting
//! is nothing.
//! Not here: a second copy of the rules.

use super::host::Reference;
use super::names::{Delivery, Target, VariantTarget};
use super::operations::Operations;
use super::rules::Rules;
use super::{Input, PathError};
use std::fmt;

/// A rule that changed a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// Scheme and host of the delivery URL are no part of a name.
    DeliveryHost,
    /// Neither are leading slashes and the `v7` segment.
    PathStart,
    /// A path that was encoded as a whole is decoded once.
    PathEncoding,
    /// Each byte of a path has one spelling.
    Escapes,
    /// Dot segments are resolved.
    DotSegments,
    /// Scheme and host are in lower case, a default port and an empty path have one spelling.
    SchemeAndHost,
    /// The same picture is meant by the delivery URL inside.
    NestedDelivery,
    /// Each byte of an origin's query has one spelling.
    OwnQuery,
    /// A parameter that changes nothing is left out.
    Dropped,
    /// A parameter has one name.
    ParameterName,
    /// Each byte of a parameter has one spelling.
    ParameterEscapes,
    /// Known parameters come first, in the order of their names; empty ones are left out.
    Order,
    /// All spellings of a picture are filed together.
    Grouping,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::DeliveryHost => "scheme and host of a delivery URL are no part of a name",
            Self::PathStart => "leading slashes and \"v7\" are no part of a name",
            Self::PathEncoding => "a path that is encoded as a whole is decoded once",
            Self::Escapes => "each byte of a path has one spelling",
            Self::DotSegments => "dot segments are resolved",
            Self::SchemeAndHost => "scheme, host, port and empty path have one spelling",
            Self::NestedDelivery => "the picture is that of the delivery URL inside",
            Self::OwnQuery => "each byte of an origin's query has one spelling",
            Self::Dropped => "a parameter that changes nothing is left out",
            Self::ParameterName => "a parameter has one name",
            Self::ParameterEscapes => "each byte of a parameter has one spelling",
            Self::Order => "known parameters come first, in the order of their names",
            Self::Grouping => "all spellings of a picture are filed together",
        })
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Step {
    /// Why.
    pub rule: Rule,
    /// The part of the text that was changed; bytes that are no UTF-8 are shown as `\xHH`.
    pub from: String,
    /// What it was changed to.
    pub to: String,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: \"{}\" -> \"{}\"", self.rule, self.from, self.to)
    }
}

/// What a text names, and how that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation<T> {
    /// What the function without explanation gives.
    pub outcome: Result<T, PathError>,
    /// The steps that changed something, in order; up to the error, if there is one.
    pub steps: Vec<Step>,
}

/// For the support engineer who must say why two URLs do or don't meet.
impl Rules {
    /// As [`delivery`](Self::delivery), with the steps that changed something.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::Rules;
    ///
    /// let explanation = Rules::default().explain_delivery("/Sample.LI/a.jpg?w=1&ci_sign=84c8");
    /// let steps: Vec<_> = explanation.steps.iter().map(|step| (&*step.from, &*step.to)).collect();
    /// assert_eq!(steps[0], ("ci_sign=84c8", ""));
    /// assert_eq!(steps[1], ("/Sample.LI/a.jpg", "Sample.LI/a.jpg"));
    /// assert_eq!(steps[2], ("Sample.LI/a.jpg", "sample.li/a.jpg"));
    /// assert_eq!(explanation.outcome?.variant.as_str(), "?w=1");
    /// # Ok::<(), cache_index::canonical::PathError>(())
    /// ```
    pub fn explain_delivery<'a>(
        &self,
        input: &'a (impl Input + ?Sized),
    ) -> Explanation<Delivery<'a>> {
        explained(|steps| self.read_delivery(input.bytes(), Reference::Url, steps))
    }

    /// As [`request_target`](Self::request_target), with the steps that changed something.
    pub fn explain_request_target<'a>(
        &self,
        target: &'a (impl Input + ?Sized),
    ) -> Explanation<Delivery<'a>> {
        explained(|steps| self.read_delivery(target.bytes(), Reference::Target, steps))
    }

    /// As [`invalidation`](Self::invalidation), with the steps that changed something.
    pub fn explain_invalidation<'a>(
        &self,
        entry: &'a (impl Input + ?Sized),
    ) -> Explanation<Target<'a>> {
        let entry = entry.bytes();
        explained(|steps| {
            let read = self.read_invalidation(entry, steps);
            read.map_err(|error| self.with_suggestions(error, entry))
        })
    }

    /// As [`selection`](Self::selection), with the steps that changed something.
    pub fn explain_selection<'a>(
        &self,
        entry: &'a (impl Input + ?Sized),
    ) -> Explanation<VariantTarget<'a>> {
        let entry = entry.bytes();
        explained(|steps| {
            let read = self.read_selection(entry, steps);
            read.map_err(|error| self.with_suggestions(error, entry))
        })
    }

    /// As [`operations`](Self::operations), with the steps that changed something.
    pub fn explain_operations<'a>(
        &self,
        entry: &'a (impl Input + ?Sized),
    ) -> Explanation<Operations<'a>> {
        explained(|steps| self.read_operations(entry.bytes(), steps))
    }
}

fn explained<T>(read: impl FnOnce(&mut Vec<Step>) -> Result<T, PathError>) -> Explanation<T> {
    let mut steps = Vec::new();
    let outcome = read(&mut steps);
    Explanation { outcome, steps }
}

/// Who listens while a text is read: nobody, or someone who notes the steps.
pub(super) trait Trace {
    /// Whether anything is noted, and copies are worth making.
    const RECORDS: bool;

    /// Notes a step, if it changed something.
    fn note(&mut self, rule: Rule, from: &[u8], to: &[u8]);

    /// A copy of a text that is about to be changed in place, for a note.
    fn keep(&self, text: &[u8]) -> Vec<u8> {
        if Self::RECORDS { text.to_vec() } else { Vec::new() }
    }

    fn group_delivery<'t>(&mut self, exact: Delivery<'t>) -> Delivery<'t> {
        let before = self.keep(exact.origin.as_str().as_bytes());
        let before_key = self.keep(exact.variant.as_str().as_bytes());
        let grouped = exact.grouped();
        self.note(Rule::Grouping, &before, grouped.origin.as_str().as_bytes());
        self.note(Rule::Grouping, &before_key, grouped.variant.as_str().as_bytes());
        grouped
    }

    fn group_target<'t>(&mut self, exact: Target<'t>) -> Target<'t> {
        let before = self.keep(exact.as_str().as_bytes());
        let grouped = exact.grouped();
        self.note(Rule::Grouping, &before, grouped.as_str().as_bytes());
        grouped
    }
}

impl Trace for () {
    const RECORDS: bool = false;

    #[inline]
    fn note(&mut self, _: Rule, _: &[u8], _: &[u8]) {}
}

impl Trace for Vec<Step> {
    const RECORDS: bool = true;

    fn note(&mut self, rule: Rule, from: &[u8], to: &[u8]) {
        if from != to {
            self.push(Step { rule, from: shown(from), to: shown(to) });
        }
    }
}

fn shown(text: &[u8]) -> String {
    let mut out = String::new();
    for chunk in text.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02X}")));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::Grouping;

    #[test]
    fn step_says_why_and_what_became_of_what() {
        let mut steps = Vec::new();
        steps.note(Rule::Escapes, b"a", b"a");
        steps.note(Rule::Escapes, b"%41\xff", b"A%FF");
        let [step] = &steps[..] else { panic!("{steps:?}") };
        let said = "each byte of a path has one spelling: \"%41\\xFF\" -> \"A%FF\"";
        assert_eq!(step.to_string(), said);
    }

    fn assert_steps(text: &str, expected: &[(Rule, &str, &str)]) {
        let rules = Rules::builder().token("doc").grouping(Grouping::Grouped).build().unwrap();
        let Explanation { outcome, steps } = rules.explain_delivery(text);
        assert!(outcome.is_ok(), "{text}");
        let told: Vec<_> = steps.iter().map(|s| (s.rule, s.from.as_str(), s.to.as_str())).collect();
        assert_eq!(told, expected, "{text}");
    }

    #[test]
    fn each_step_is_told_with_what_it_changed() {
        let path = "/HTTP://Sample.LI:80/x/../b%41(1).jpg";
        let query = "?width=1&ci_sign=5&h=%2c";
        assert_steps(
            &format!("https://doc.cloudimg.io{path}{query}"),
            &[
                (
                    Rule::DeliveryHost,
                    &format!("https://doc.cloudimg.io{path}{query}"),
                    &format!("{path}{query}"),
                ),
                (Rule::Dropped, "ci_sign=5", ""),
                (Rule::ParameterEscapes, "h=%2c", "h=,"),
                (Rule::ParameterName, "width=1", "w=1"),
                (Rule::Order, query, "?h=,&w=1"),
                (Rule::PathStart, path, &path[1..]),
                (Rule::Escapes, &path[1..], "HTTP://Sample.LI:80/x/../bA(1).jpg"),
                (
                    Rule::DotSegments,
                    "HTTP://Sample.LI:80/x/../bA(1).jpg",
                    "HTTP://Sample.LI:80/bA(1).jpg",
                ),
                (
                    Rule::SchemeAndHost,
                    "HTTP://Sample.LI:80/bA(1).jpg",
                    "http://sample.li/bA(1).jpg",
                ),
                (Rule::Grouping, "http://sample.li/bA(1).jpg", "sample.li/bA(1).jpg"),
                (Rule::Grouping, "?h=,&w=1", "?h=,&w=1@http"),
            ],
        );
        assert_steps(
            "/sample.li%2fc%20d.jpg?ci_url_encoded=1",
            &[
                (Rule::Dropped, "ci_url_encoded=1", ""),
                (Rule::PathStart, "/sample.li%2fc%20d.jpg", "sample.li%2fc%20d.jpg"),
                (Rule::PathEncoding, "sample.li%2fc%20d.jpg", "sample.li/c d.jpg"),
                (Rule::Escapes, "sample.li/c d.jpg", "sample.li/c%20d.jpg"),
            ],
        );
        let nested = "https://doc.cloudimg.io/sample.li/a.jpg";
        assert_steps(
            &format!("/{nested}?%77=1&%68=2"),
            &[
                (Rule::ParameterEscapes, "%77=1", "w=1"),
                (Rule::ParameterEscapes, "%68=2", "h=2"),
                (Rule::Order, "?w=1&h=2", "?h=2&w=1"),
                (Rule::PathStart, &format!("/{nested}"), nested),
                (Rule::NestedDelivery, nested, "/sample.li/a.jpg"),
                (Rule::PathStart, "/sample.li/a.jpg", "sample.li/a.jpg"),
            ],
        );
    }
}
