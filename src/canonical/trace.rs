//! The steps of canonicalization, as they are recorded while a text is read.
//!
//! Invariant: without a listener, recording costs nothing. Not here: the listener, see `explain`.

use std::fmt;

/// The reason why a step changed a text.
///
/// # Examples
///
/// ```
/// use cache_index::canonical::{Rules, StepKind};
///
/// let explanation = Rules::default().explain_operations("?width=200");
/// assert_eq!(explanation.steps[0].kind, StepKind::ParameterName);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StepKind {
    /// Scheme and host of the delivery URL are not part of a name.
    DeliveryHost,
    /// Leading slashes and the `v7` segment are not part of a name.
    PathStart,
    /// A path that was encoded as a whole is decoded once.
    PathEncoding,
    /// Each byte of a path has one spelling.
    Escapes,
    /// Dot segments are resolved.
    DotSegments,
    /// Scheme and host are in lower case. A default port and an empty path have one spelling.
    SchemeAndHost,
    /// The delivery URL inside names the same picture.
    NestedDelivery,
    /// Each byte of an origin's query has one spelling.
    OwnQuery,
    /// A parameter without effect is left out.
    Dropped,
    /// A parameter has one name.
    ParameterName,
    /// Each byte of a parameter has one spelling.
    ParameterEscapes,
    /// Known parameters come first, in the order of their names; empty ones are left out.
    Order,
    /// All spellings of a picture are grouped.
    Grouping,
}

impl fmt::Display for StepKind {
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
///
/// # Examples
///
/// ```
/// use cache_index::canonical::Rules;
///
/// let explanation = Rules::default().explain_operations("?width=200");
/// let step = &explanation.steps[0];
/// assert_eq!((&*step.from, &*step.to), ("width=200", "w=200"));
/// assert_eq!(step.to_string(), "a parameter has one name: \"width=200\" -> \"w=200\"");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Step {
    /// The reason for the change.
    pub kind: StepKind,
    /// The part of the text that was changed. Bytes that are not UTF-8 are shown as `\xHH`.
    pub from: String,
    /// The result of the change.
    pub to: String,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: \"{}\" -> \"{}\"", self.kind, self.from, self.to)
    }
}

/// A listener while a text is read: it either ignores the steps or records them.
pub(super) trait Trace {
    /// Whether steps are recorded, and copies are needed.
    const RECORDS: bool;

    /// Records a step, if it changed the text.
    fn note(&mut self, kind: StepKind, from: &[u8], to: &[u8]);

    /// Returns a copy of a text that is about to be changed in place, for a step.
    fn keep(&self, text: &[u8]) -> Vec<u8> {
        if Self::RECORDS { text.to_vec() } else { Vec::new() }
    }
}

impl Trace for () {
    const RECORDS: bool = false;

    #[inline]
    fn note(&mut self, _: StepKind, _: &[u8], _: &[u8]) {}
}

impl Trace for Vec<Step> {
    const RECORDS: bool = true;

    fn note(&mut self, kind: StepKind, from: &[u8], to: &[u8]) {
        if from != to {
            self.push(Step { kind, from: shown(from), to: shown(to) });
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

    #[test]
    fn step_says_why_and_what_became_of_what() {
        let mut steps = Vec::new();
        steps.note(StepKind::Escapes, b"a", b"a");
        steps.note(StepKind::Escapes, b"%41\xff", b"A%FF");
        let [step] = &steps[..] else { panic!("{steps:?}") };
        let said = "each byte of a path has one spelling: \"%41\\xFF\" -> \"A%FF\"";
        assert_eq!(step.to_string(), said);
    }
}
