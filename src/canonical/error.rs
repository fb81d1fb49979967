//! What can be wrong with a text, and where.
//!
//! Invariant: the position is a byte position in the text as the caller gave it, whatever was decoded in between.
//! Not here: the entry that was meant, which needs the rules: `suggest`.

use std::fmt;

/// Why a text names no picture.
///
/// The names are those that the documentation of the rules uses; [`PathError`] says where and what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PathErrorKind {
    /// More than [`MAX_INPUT`](crate::canonical::MAX_INPUT) bytes.
    TooLong,
    /// A control byte: raw anywhere, or encoded in a path.
    ControlByte,
    /// A raw backslash in a path, a raw space at an end of the text, or a byte that a mark may not hold.
    InvalidCharacter,
    /// A raw `#`.
    Fragment,
    /// A delivery URL of another host, or no delivery URL at all.
    ForeignHost,
    /// A query where only whole pictures are invalidated.
    QueryNotAllowed,
    /// `%` without two hexadecimal digits.
    InvalidEscape,
    /// No leading `v7` segment, although the token needs one.
    MissingV7,
    /// A leading `v7` segment, although the token has none.
    UnexpectedV7,
    /// Nothing is left that could name a picture, or an operation.
    Empty,
    /// An origin with a scheme other than `http`, `https` and `ftp`.
    UnsupportedScheme,
    /// Credentials before the host of an origin.
    UserInfo,
    /// A host that is empty or not in ASCII form, or a bad port.
    InvalidHost,
    /// A `..` that would climb out of the origin.
    Traversal,
    /// A delivery URL where only the origin part is expected, or delivery URLs nested too deeply.
    DeliveryUrl,
    /// An origin that repeats the configured prefix.
    PrefixIncluded,
    /// A path that ends in a raw `*`.
    WildcardNotAllowed,
    /// Only from the `from_canonical` constructors: well-formed text that canonicalization would write differently.
    NotCanonical,
}

impl PathErrorKind {
    /// The name of the kind, as in `QueryNotAllowed`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooLong => "TooLong",
            Self::ControlByte => "ControlByte",
            Self::InvalidCharacter => "InvalidCharacter",
            Self::Fragment => "Fragment",
            Self::ForeignHost => "ForeignHost",
            Self::QueryNotAllowed => "QueryNotAllowed",
            Self::InvalidEscape => "InvalidEscape",
            Self::MissingV7 => "MissingV7",
            Self::UnexpectedV7 => "UnexpectedV7",
            Self::Empty => "Empty",
            Self::UnsupportedScheme => "UnsupportedScheme",
            Self::UserInfo => "UserInfo",
            Self::InvalidHost => "InvalidHost",
            Self::Traversal => "Traversal",
            Self::DeliveryUrl => "DeliveryUrl",
            Self::PrefixIncluded => "PrefixIncluded",
            Self::WildcardNotAllowed => "WildcardNotAllowed",
            Self::NotCanonical => "NotCanonical",
        }
    }
}

impl fmt::Display for PathErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The error of canonicalization: what is wrong, where, and what was expected.
///
/// # Examples
///
/// ```
/// use cache_index::canonical::{PathErrorKind, Rules};
///
/// let error = Rules::default().invalidation("sample.li/birds%2").unwrap_err();
/// assert_eq!(error.kind(), PathErrorKind::InvalidEscape);
/// assert_eq!(error.byte_offset(), 15);
/// assert_eq!(error.to_string(), "invalid percent escape at byte 15: expected two hex digits");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathError {
    fault: Fault,
    at: usize,
    suggestion: Option<Box<str>>,
}

impl PathError {
    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> PathErrorKind {
        self.fault.kind()
    }

    /// Where, as a byte position in the text as it was given; its length, if something is missing at the end.
    #[must_use]
    pub const fn byte_offset(&self) -> usize {
        self.at
    }

    /// The entry that was most likely meant, for invalidation entries with a mistake that the API's documentation warns of:
    /// [`QueryNotAllowed`](PathErrorKind::QueryNotAllowed), [`MissingV7`](PathErrorKind::MissingV7),
    /// [`UnexpectedV7`](PathErrorKind::UnexpectedV7), [`PrefixIncluded`](PathErrorKind::PrefixIncluded) and
    /// [`DeliveryUrl`](PathErrorKind::DeliveryUrl). It is read without error by the same rules.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::Rules;
    ///
    /// let rules = Rules::builder().token("doc").build()?;
    /// let error = rules.invalidation("https://doc.cloudimg.io/sample.li/boat.jpg?w=300").unwrap_err();
    /// assert_eq!(error.suggestion(), Some("sample.li/boat.jpg"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn suggestion(&self) -> Option<&str> {
        self.suggestion.as_deref()
    }

    pub(super) fn suggesting(self, entry: Option<String>) -> Self {
        Self { suggestion: entry.map(String::into_boxed_str), ..self }
    }

    /// The same error, seen from the text that this one was made from.
    pub(super) fn moved(self, position: impl FnOnce(usize) -> usize) -> Self {
        Self { at: position(self.at), ..self }
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, expected) = self.fault.words();
        f.write_str(what)?;
        if let Fault::ControlByte(byte) | Fault::EncodedControlByte(byte) = self.fault {
            write!(f, " 0x{byte:02X}")?;
        }
        write!(f, " at byte {}: expected {expected}", self.at)
    }
}

impl std::error::Error for PathError {}

/// A kind, in the detail that its message needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    TooLong,
    ControlByte(u8),
    EncodedControlByte(u8),
    OuterSpace,
    Backslash,
    Fragment,
    ForeignHost,
    NotADeliveryUrl,
    NotARequestTarget,
    QueryNotAllowed,
    InvalidEscape,
    MissingV7,
    UnexpectedV7,
    Empty,
    NoOperation,
    UnsupportedScheme,
    UserInfo,
    EmptyHost,
    InvalidHost,
    InvalidPort,
    Traversal,
    DeliveryUrl,
    NestedTooDeep,
    PrefixIncluded,
    WildcardNotAllowed,
    NotCanonical,
    EmptyMark,
    BadMark,
}

impl Fault {
    pub(crate) const fn at(self, at: usize) -> PathError {
        PathError { fault: self, at, suggestion: None }
    }

    const fn kind(self) -> PathErrorKind {
        match self {
            Self::TooLong => PathErrorKind::TooLong,
            Self::ControlByte(_) | Self::EncodedControlByte(_) => PathErrorKind::ControlByte,
            Self::OuterSpace | Self::Backslash | Self::EmptyMark | Self::BadMark => {
                PathErrorKind::InvalidCharacter
            }
            Self::Fragment => PathErrorKind::Fragment,
            Self::ForeignHost | Self::NotADeliveryUrl | Self::NotARequestTarget => {
                PathErrorKind::ForeignHost
            }
            Self::QueryNotAllowed => PathErrorKind::QueryNotAllowed,
            Self::InvalidEscape => PathErrorKind::InvalidEscape,
            Self::MissingV7 => PathErrorKind::MissingV7,
            Self::UnexpectedV7 => PathErrorKind::UnexpectedV7,
            Self::Empty | Self::NoOperation => PathErrorKind::Empty,
            Self::UnsupportedScheme => PathErrorKind::UnsupportedScheme,
            Self::UserInfo => PathErrorKind::UserInfo,
            Self::EmptyHost | Self::InvalidHost | Self::InvalidPort => PathErrorKind::InvalidHost,
            Self::Traversal => PathErrorKind::Traversal,
            Self::DeliveryUrl | Self::NestedTooDeep => PathErrorKind::DeliveryUrl,
            Self::PrefixIncluded => PathErrorKind::PrefixIncluded,
            Self::WildcardNotAllowed => PathErrorKind::WildcardNotAllowed,
            Self::NotCanonical => PathErrorKind::NotCanonical,
        }
    }

    /// What is wrong, and what was expected.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::TooLong => ("text too long", "at most 8192 bytes"),
            Self::ControlByte(_) => ("control byte", "none"),
            Self::EncodedControlByte(_) => ("encoded control byte", "none in a path"),
            Self::OuterSpace => ("space at an end of the text", "none, or \"%20\""),
            Self::Backslash => ("backslash", "\"/\" between segments, or \"%5C\" inside of one"),
            Self::Fragment => ("raw \"#\"", "\"%23\", as no fragment reaches a server"),
            Self::ForeignHost => ("foreign host", "a delivery host of these rules"),
            Self::NotADeliveryUrl => (
                "no delivery URL",
                "\"https://\", \"http://\" or \"//\" and a delivery host, or \"/\"",
            ),
            Self::NotARequestTarget => (
                "not a request target",
                "\"/\", or \"https://\" or \"http://\" and a delivery host",
            ),
            Self::QueryNotAllowed => ("query", "none, as the whole picture is invalidated"),
            Self::InvalidEscape => ("invalid percent escape", "two hex digits"),
            Self::MissingV7 => ("missing segment", "\"v7/\", which URLs of this token start with"),
            Self::UnexpectedV7 => {
                ("unexpected \"v7\"", "the origin, as URLs of this token have no \"v7/\"")
            }
            Self::Empty => ("nothing left", "the path of an origin"),
            Self::NoOperation => ("nothing left", "at least one operation"),
            Self::UnsupportedScheme => ("unsupported scheme", "\"https\", \"http\" or \"ftp\""),
            Self::UserInfo => ("credentials", "a host without \"@\""),
            Self::EmptyHost => ("empty host", "the name of a host"),
            Self::InvalidHost => ("invalid host", "letters, digits, \".\", \"-\" and \"_\""),
            Self::InvalidPort => ("invalid port", "a number up to 65535"),
            Self::Traversal => {
                ("path climbs above its root", "no more \"..\" than there are segments before it")
            }
            Self::DeliveryUrl => ("delivery URL", "its origin part alone"),
            Self::NestedTooDeep => ("delivery URL", "at most 4 of them nested in another"),
            Self::PrefixIncluded => ("origin prefix included", "the path below the prefix alone"),
            Self::WildcardNotAllowed => ("wildcard", "no \"*\" at the end of a path, or \"%2A\""),
            Self::EmptyMark => ("empty mark", "the name of a representation"),
            Self::BadMark => ("invalid mark", "letters, digits and \"-._~,:/+\""),
            Self::NotCanonical => ("text not canonical", "what canonicalization writes"),
        }
    }
}
