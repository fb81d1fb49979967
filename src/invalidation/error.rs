//! `InvalidationError`: the reason why a request is invalid.
//!
//! Invariant: the text of an error is constant except for numbers (positions and limits). It
//! contains no part of the input. Suggestions in a [`PathError`] are made from the input, and are
//! kept separate for that reason.

use crate::canonical::PathError;
use std::fmt;

/// The kind of an [`InvalidationError`].
///
/// | kind | status of an HTTP server |
/// |---|---|
/// | [`NotJson`](Self::NotJson) | 400 |
/// | [`TooLarge`](Self::TooLarge) | 413 |
/// | all others: valid JSON, but not a valid request | 422 |
///
/// # Examples
///
/// ```
/// use cache_index::canonical::Rules;
/// use cache_index::invalidation::{InvalidationErrorKind, InvalidationRequest};
///
/// let rules = Rules::default();
/// let error = InvalidationRequest::builder(&rules).original(["sample.li/%2"]).unwrap_err();
/// assert_eq!(error.kind(), InvalidationErrorKind::BadEntry);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidationErrorKind {
    /// More bytes than [`InvalidationLimits::bytes`](super::InvalidationLimits::bytes).
    TooLarge,
    /// The bytes are not JSON.
    NotJson,
    /// The JSON nests deeper than [`InvalidationLimits::depth`](super::InvalidationLimits::depth).
    TooDeep,
    /// A value, or an entry of a list, has another JSON type than expected.
    WrongType,
    /// A member that requests do not have.
    UnknownMember,
    /// A member that occurs twice.
    RepeatedMember,
    /// The scope is missing.
    MissingScope,
    /// A scope other than `original`, `urls` and `all`.
    UnknownScope,
    /// A mode other than `hard` and `soft`.
    UnknownMode,
    /// The scope needs a list that is missing.
    MissingList,
    /// A list without entries.
    EmptyList,
    /// A list that does not belong to the scope.
    UnexpectedList,
    /// More entries than the [limits](super::InvalidationLimits) allow.
    TooManyEntries,
    /// An entry that is not valid: [`InvalidationError::path_error`] returns the reason.
    BadEntry,
    /// An entry that ends in a star together with operations, either its own or those of
    /// `transformations`.
    WildcardWithOperations,
}

/// The error of an invalidation request, with its kind and its position.
///
/// # Examples
///
/// ```
/// use cache_index::canonical::{PathErrorKind, Rules};
/// use cache_index::invalidation::{InvalidationErrorKind, InvalidationRequest};
///
/// let rules = Rules::default();
/// let urls = ["/sample.li/birds.jpg", "/sample.li/boat.jpg?w=300"];
/// let error = InvalidationRequest::builder(&rules).original(urls).unwrap_err();
/// assert_eq!(error.kind(), InvalidationErrorKind::BadEntry);
/// assert_eq!(error.to_string(), "urls[1] names no picture");
/// assert_eq!((error.member(), error.entry_index()), (Some("urls"), Some(1)));
///
/// let reason = error.path_error().unwrap();
/// assert_eq!(
///     reason.to_string(),
///     "unexpected query at byte 19: this entry invalidates the whole picture"
/// );
/// assert!(reason.suggestions().eq(["sample.li/boat.jpg"]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidationError(Fault);

/// A kind, with the details that its message needs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "serde"), allow(dead_code, reason = "lists can't be wrong as JSON can"))]
pub(super) enum Fault {
    TooLarge { limit: usize },
    EmptyBody,
    ByteOrderMark,
    EndsEarly { line: usize, column: usize },
    NotJson { line: usize, column: usize },
    TooDeep { limit: usize },
    NotAnObject,
    UnknownMember { place: usize, meant: Option<&'static str> },
    RepeatedMember { place: usize },
    MissingScope,
    ScopeType,
    UnknownScope,
    ModeType,
    UnknownMode,
    MissingUrls,
    ListType(List),
    EmptyList(List),
    UrlsOfAll,
    Transformations,
    TooMany { list: List, limit: usize },
    EntryType { list: List, position: usize },
    BadEntry { list: List, position: usize, reason: Box<PathError> },
    Wildcard { position: usize },
}

/// A list of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Urls,
    Transformations,
}

impl List {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Urls => "urls",
            Self::Transformations => "transformations",
        }
    }
}

impl From<Fault> for InvalidationError {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

impl InvalidationError {
    /// Returns the kind of the error.
    #[must_use]
    pub const fn kind(&self) -> InvalidationErrorKind {
        use InvalidationErrorKind as Kind;
        match self.0 {
            Fault::TooLarge { .. } => Kind::TooLarge,
            Fault::EmptyBody
            | Fault::ByteOrderMark
            | Fault::EndsEarly { .. }
            | Fault::NotJson { .. } => Kind::NotJson,
            Fault::TooDeep { .. } => Kind::TooDeep,
            Fault::NotAnObject
            | Fault::ScopeType
            | Fault::ModeType
            | Fault::ListType(_)
            | Fault::EntryType { .. } => Kind::WrongType,
            Fault::UnknownMember { .. } => Kind::UnknownMember,
            Fault::RepeatedMember { .. } => Kind::RepeatedMember,
            Fault::MissingScope => Kind::MissingScope,
            Fault::UnknownScope => Kind::UnknownScope,
            Fault::UnknownMode => Kind::UnknownMode,
            Fault::MissingUrls => Kind::MissingList,
            Fault::EmptyList(_) => Kind::EmptyList,
            Fault::UrlsOfAll | Fault::Transformations => Kind::UnexpectedList,
            Fault::TooMany { .. } => Kind::TooManyEntries,
            Fault::BadEntry { .. } => Kind::BadEntry,
            Fault::Wildcard { .. } => Kind::WildcardWithOperations,
        }
    }

    /// Returns the member of the request that is wrong: `scope`, `mode`, `urls` or
    /// `transformations`. Returns `None` if the error is not in one of these.
    #[must_use]
    pub const fn member(&self) -> Option<&'static str> {
        match self.0 {
            Fault::MissingScope | Fault::ScopeType | Fault::UnknownScope => Some("scope"),
            Fault::ModeType | Fault::UnknownMode => Some("mode"),
            Fault::MissingUrls | Fault::UrlsOfAll | Fault::Wildcard { .. } => Some("urls"),
            Fault::Transformations => Some("transformations"),
            Fault::ListType(list)
            | Fault::EmptyList(list)
            | Fault::TooMany { list, .. }
            | Fault::EntryType { list, .. }
            | Fault::BadEntry { list, .. } => Some(list.name()),
            _ => None,
        }
    }

    /// Returns the position of the wrong entry in its list, counted from 0.
    #[must_use]
    pub const fn entry_index(&self) -> Option<usize> {
        match self.0 {
            Fault::EntryType { position, .. }
            | Fault::BadEntry { position, .. }
            | Fault::Wildcard { position } => Some(position),
            _ => None,
        }
    }

    /// Returns the error in the text of the entry, with its byte offset and a suggestion if there
    /// is one. This is the same error as [`source`](std::error::Error::source).
    #[must_use]
    pub fn path_error(&self) -> Option<&PathError> {
        match &self.0 {
            Fault::BadEntry { reason, .. } => Some(reason),
            _ => None,
        }
    }
}

impl fmt::Display for InvalidationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SCOPES: &str = "expected \"original\", \"urls\" or \"all\"";
        const MODES: &str = "expected \"hard\" or \"soft\"";
        const MEMBERS: &str = "expected scope, mode, urls and transformations";
        match &self.0 {
            Fault::TooLarge { limit } => write!(f, "the body is larger than {limit} bytes"),
            Fault::EmptyBody => f.write_str("the body is empty: expected a JSON object"),
            Fault::ByteOrderMark => {
                f.write_str("the body starts with a byte order mark: expected a JSON object")
            }
            Fault::EndsEarly { line, column } => {
                write!(f, "the body ends too early at line {line}, column {column}")
            }
            Fault::NotJson { line, column } => {
                write!(f, "the body is not JSON at line {line}, column {column}")
            }
            Fault::TooDeep { limit } => write!(f, "the body nests deeper than {limit} levels"),
            Fault::NotAnObject => f.write_str("the body must be a JSON object"),
            Fault::UnknownMember { place, meant: Some(name) } => {
                write!(f, "member {place} of the body is unknown: expected \"{name}\"")
            }
            Fault::UnknownMember { place, meant: None } => {
                write!(f, "member {place} of the body is unknown: {MEMBERS}")
            }
            Fault::RepeatedMember { place } => {
                write!(f, "member {place} of the body repeats an earlier one")
            }
            Fault::MissingScope => write!(f, "scope is missing: {SCOPES}"),
            Fault::ScopeType => write!(f, "scope is not a string: {SCOPES}"),
            Fault::UnknownScope => write!(f, "unknown scope: {SCOPES}"),
            Fault::ModeType => write!(f, "mode is not a string: {MODES}"),
            Fault::UnknownMode => write!(f, "unknown mode: {MODES}"),
            Fault::UrlsOfAll => f.write_str("scope \"all\" takes no urls"),
            Fault::Transformations => {
                f.write_str("transformations are only allowed with scope \"original\"")
            }
            Fault::MissingUrls
            | Fault::ListType(_)
            | Fault::EmptyList(_)
            | Fault::TooMany { .. }
            | Fault::EntryType { .. }
            | Fault::BadEntry { .. }
            | Fault::Wildcard { .. } => self.0.fmt_list(f),
        }
    }
}

impl Fault {
    /// Writes the message of a fault in a list. Other faults have none here.
    fn fmt_list(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LIST: &str = "expected a list of strings";
        match self {
            Fault::MissingUrls => {
                f.write_str("urls is missing: expected a list of at least one string")
            }
            Fault::ListType(list) => write!(f, "{} is not a list: {LIST}", list.name()),
            Fault::EmptyList(List::Urls) => {
                f.write_str("urls is empty: expected at least one string")
            }
            Fault::EmptyList(List::Transformations) => f.write_str(
                "transformations is empty: expected at least one string, or no transformations",
            ),
            Fault::TooMany { list, limit } => {
                write!(f, "{} has more than {limit} entries", list.name())
            }
            Fault::EntryType { list, position } => {
                write!(f, "{}[{position}] is not a string", list.name())
            }
            Fault::BadEntry { list: List::Urls, position, .. } => {
                write!(f, "urls[{position}] names no picture")
            }
            Fault::BadEntry { list: List::Transformations, position, .. } => {
                write!(f, "transformations[{position}] names no operations")
            }
            Fault::Wildcard { position } => write!(
                f,
                "urls[{position}] ends in a star: expected whole pictures, without operations"
            ),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for InvalidationError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.path_error().map(|reason| reason as _)
    }
}
