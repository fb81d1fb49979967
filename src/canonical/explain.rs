//! Explains the names of a text: the steps that changed it, each with the text before and after.
//!
//! Invariant: the explanation comes from the pipeline itself, which records its steps while it
//! runs. Without an explanation, recording costs nothing. Not here: a second copy of the rules.

use super::error::PathError;
use super::input::Input;
use super::names::{Delivery, Target, VariantTarget};
use super::path::delivery_host::Reference;
use super::query::operations::Operations;
use super::rules::Rules;
use super::trace::Step;

/// The names of a text, and the steps that led to them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation<T> {
    /// The result of the function without explanation.
    pub outcome: Result<T, PathError>,
    /// The steps that changed something, in order; up to the error, if there is one.
    pub steps: Vec<Step>,
}

/// For a support engineer who must explain why two URLs have equal or different names.
impl Rules {
    /// Does the same as [`delivery`](Self::delivery), and returns the steps that changed the text.
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

    /// Does the same as [`request_target`](Self::request_target), and returns the steps that
    /// changed the text.
    pub fn explain_request_target<'a>(
        &self,
        target: &'a (impl Input + ?Sized),
    ) -> Explanation<Delivery<'a>> {
        explained(|steps| self.read_delivery(target.bytes(), Reference::Target, steps))
    }

    /// Does the same as [`invalidation`](Self::invalidation), and returns the steps that changed
    /// the text.
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

    /// Does the same as [`variant_entry`](Self::variant_entry), and returns the steps that changed
    /// the text.
    pub fn explain_variant_entry<'a>(
        &self,
        entry: &'a (impl Input + ?Sized),
    ) -> Explanation<VariantTarget<'a>> {
        let entry = entry.bytes();
        explained(|steps| {
            let read = self.read_variant_entry(entry, steps);
            read.map_err(|error| self.with_suggestions(error, entry))
        })
    }

    /// Does the same as [`operations`](Self::operations), and returns the steps that changed the
    /// text.
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

#[cfg(test)]
mod tests {
    use super::super::settings::Grouping;
    use super::super::trace::StepKind;
    use super::*;

    fn assert_steps(text: &str, expected: &[(StepKind, &str, &str)]) {
        let rules = Rules::builder().token("doc").grouping(Grouping::Grouped).build().unwrap();
        let Explanation { outcome, steps } = rules.explain_delivery(text);
        assert!(outcome.is_ok(), "{text}");
        let told: Vec<_> = steps.iter().map(|s| (s.kind, s.from.as_str(), s.to.as_str())).collect();
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
                    StepKind::DeliveryHost,
                    &format!("https://doc.cloudimg.io{path}{query}"),
                    &format!("{path}{query}"),
                ),
                (StepKind::Dropped, "ci_sign=5", ""),
                (StepKind::ParameterEscapes, "h=%2c", "h=,"),
                (StepKind::ParameterName, "width=1", "w=1"),
                (StepKind::Order, query, "?h=,&w=1"),
                (StepKind::PathStart, path, &path[1..]),
                (StepKind::Escapes, &path[1..], "HTTP://Sample.LI:80/x/../bA(1).jpg"),
                (
                    StepKind::DotSegments,
                    "HTTP://Sample.LI:80/x/../bA(1).jpg",
                    "HTTP://Sample.LI:80/bA(1).jpg",
                ),
                (
                    StepKind::SchemeAndHost,
                    "HTTP://Sample.LI:80/bA(1).jpg",
                    "http://sample.li/bA(1).jpg",
                ),
                (StepKind::Grouping, "http://sample.li/bA(1).jpg", "sample.li/bA(1).jpg"),
                (StepKind::Grouping, "?h=,&w=1", "?h=,&w=1@http"),
            ],
        );
        assert_steps(
            "/sample.li%2fc%20d.jpg?ci_url_encoded=1",
            &[
                (StepKind::Dropped, "ci_url_encoded=1", ""),
                (StepKind::PathStart, "/sample.li%2fc%20d.jpg", "sample.li%2fc%20d.jpg"),
                (StepKind::PathEncoding, "sample.li%2fc%20d.jpg", "sample.li/c d.jpg"),
                (StepKind::Escapes, "sample.li/c d.jpg", "sample.li/c%20d.jpg"),
            ],
        );
        let nested = "https://doc.cloudimg.io/sample.li/a.jpg";
        assert_steps(
            &format!("/{nested}?%77=1&%68=2"),
            &[
                (StepKind::ParameterEscapes, "%77=1", "w=1"),
                (StepKind::ParameterEscapes, "%68=2", "h=2"),
                (StepKind::Order, "?w=1&h=2", "?h=2&w=1"),
                (StepKind::PathStart, &format!("/{nested}"), nested),
                (StepKind::NestedDelivery, nested, "/sample.li/a.jpg"),
                (StepKind::PathStart, "/sample.li/a.jpg", "sample.li/a.jpg"),
            ],
        );
    }
}
