//! Explains the names of a text: the steps that changed it, each with the text before and after.
//!
//! Invariant: the explanation comes from the pipeline itself, which records its steps while it
//! runs. Without an explanation, recording costs nothing. Not here: a second copy of the rules.

use super::error::PathError;
use super::input::Input;
use super::names::{Delivery, Target, VariantTarget};
use super::path::delivery_host::Reference;
use super::pipeline::Reader;
use super::query::operations::Operations;
use super::rules::Rules;
use super::trace::Step;

/// The names of a text, and the steps that led to them.
///
/// # Examples
///
/// ```
/// use cache_index::canonical::Rules;
///
/// let explanation = Rules::default().explain_invalidation("/Sample.LI/a.jpg");
/// assert_eq!(explanation.outcome?.as_str(), "sample.li/a.jpg");
/// assert_eq!(explanation.steps.len(), 2);
/// # Ok::<(), cache_index::canonical::PathError>(())
/// ```
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
        self.explained(|reader| reader.delivery(input.bytes(), Reference::Url))
    }

    /// Does the same as [`request_target`](Self::request_target), and returns the steps that
    /// changed the text.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::Rules;
    ///
    /// let explanation = Rules::default().explain_request_target("/Sample.LI/a.jpg?w=1");
    /// assert_eq!(explanation.steps.last().unwrap().to, "sample.li/a.jpg");
    /// assert_eq!(explanation.outcome?.origin.as_str(), "sample.li/a.jpg");
    /// # Ok::<(), cache_index::canonical::PathError>(())
    /// ```
    pub fn explain_request_target<'a>(
        &self,
        target: &'a (impl Input + ?Sized),
    ) -> Explanation<Delivery<'a>> {
        self.explained(|reader| reader.delivery(target.bytes(), Reference::Target))
    }

    /// Does the same as [`invalidation`](Self::invalidation), and returns the steps that changed
    /// the text.
    pub fn explain_invalidation<'a>(
        &self,
        entry: &'a (impl Input + ?Sized),
    ) -> Explanation<Target<'a>> {
        self.explained(|reader| self.suggesting(entry.bytes(), |entry| reader.invalidation(entry)))
    }

    /// Does the same as [`variant_entry`](Self::variant_entry), and returns the steps that changed
    /// the text.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::Rules;
    ///
    /// let explanation = Rules::default().explain_variant_entry("sample.li/a.jpg?width=600");
    /// assert_eq!(explanation.steps[0].to, "w=600");
    /// assert_eq!(explanation.outcome?.variant.as_str(), "?w=600");
    /// # Ok::<(), cache_index::canonical::PathError>(())
    /// ```
    pub fn explain_variant_entry<'a>(
        &self,
        entry: &'a (impl Input + ?Sized),
    ) -> Explanation<VariantTarget<'a>> {
        self.explained(|reader| self.suggesting(entry.bytes(), |entry| reader.variant_entry(entry)))
    }

    /// Does the same as [`operations`](Self::operations), and returns the steps that changed the
    /// text.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::Rules;
    ///
    /// let explanation = Rules::default().explain_operations("?width=600");
    /// assert_eq!(explanation.steps[0].to, "w=600");
    /// assert_eq!(explanation.outcome?.as_str(), "?w=600");
    /// # Ok::<(), cache_index::canonical::PathError>(())
    /// ```
    pub fn explain_operations<'a>(
        &self,
        entry: &'a (impl Input + ?Sized),
    ) -> Explanation<Operations<'a>> {
        self.explained(|reader| reader.operations(entry.bytes()))
    }

    fn explained<'r, T>(
        &'r self,
        read: impl FnOnce(&mut Reader<'r, Vec<Step>>) -> Result<T, PathError>,
    ) -> Explanation<T> {
        let mut reader = Reader { rules: self, trace: Vec::new() };
        let outcome = read(&mut reader);
        Explanation { outcome, steps: reader.trace }
    }
}
