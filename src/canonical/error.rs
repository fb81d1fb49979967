//! `PathError`: the reason why a text names no picture, and the position of the mistake.
//!
//! Invariant: the position is a byte position in the text as the caller passed it, whatever was
//! decoded in between. Not here: suggestions, which need the rules; see `suggest`.

use std::fmt;

/// The reason why a text does not name a picture.
///
/// The names are those of the documentation of the rules. [`PathError`] adds the position and the
/// expected content.
///
/// # Examples
///
/// ```
/// use cache_index::canonical::{PathErrorKind, Rules};
///
/// let error = Rules::default().invalidation("sample.li/a.jpg?w=600").unwrap_err();
/// assert_eq!(error.kind(), PathErrorKind::QueryNotAllowed);
/// assert_eq!(error.kind().to_string(), "QueryNotAllowed");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PathErrorKind {
    /// The text has more than [`MAX_INPUT`](crate::canonical::MAX_INPUT) bytes.
    TooLong,
    /// A control byte: raw anywhere, or encoded in a path.
    ControlByte,
    /// A raw backslash in a path, a leading or trailing raw space, a byte order mark, or a byte
    /// that a mark must not contain.
    InvalidCharacter,
    /// A raw `#`.
    Fragment,
    /// A delivery URL of another host, or a text that is not a delivery URL.
    ForeignHost,
    /// A query in an entry that invalidates whole pictures.
    QueryNotAllowed,
    /// `%` without two hexadecimal digits.
    InvalidEscape,
    /// The leading `v7` segment is missing, although the token needs one.
    MissingV7,
    /// A leading `v7` segment, although the token has none.
    UnexpectedV7,
    /// The rest of the text is empty: it does not name a picture, or an operation.
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
    /// An origin that contains the configured prefix.
    PrefixIncluded,
    /// A path that ends in a raw `*`. In invalidation entries with wildcards: a raw `*` anywhere
    /// else, or a leading `^`.
    WildcardNotAllowed,
    /// More than [`MAX_PARAMETERS`](crate::canonical::MAX_PARAMETERS) parameters in one query.
    TooManyParameters,
    /// Only from the `from_canonical` constructors: valid text that canonicalization would write
    /// differently.
    NotCanonical,
}

impl fmt::Display for PathErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{self:?}"))
    }
}

/// The error of canonicalization, with its kind, its position and the expected content.
///
/// # Examples
///
/// ```
/// use cache_index::canonical::{PathErrorKind, Rules};
///
/// let error = Rules::default().invalidation("sample.li/birds%2").unwrap_err();
/// assert_eq!(error.kind(), PathErrorKind::InvalidEscape);
/// assert_eq!(error.byte_offset(), 15);
/// assert_eq!(
///     error.to_string(),
///     "invalid percent escape at byte 15: expected two hex digits"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathError {
    fault: Fault,
    at: usize,
    /// `None` if there are no suggestions, so that an error is small.
    suggestions: Option<Box<[Box<str>]>>,
}

impl PathError {
    /// Returns the kind of the error.
    #[must_use]
    pub const fn kind(&self) -> PathErrorKind {
        self.fault.row().0
    }

    /// Returns the byte position in the text as it was passed. If the end of the text is missing,
    /// this is the length of the text.
    #[must_use]
    pub const fn byte_offset(&self) -> usize {
        self.at
    }

    /// Returns the entries that were probably meant, the most likely first. There are suggestions
    /// for invalidation entries with a mistake that the API's documentation warns of:
    /// [`QueryNotAllowed`](PathErrorKind::QueryNotAllowed),
    /// [`MissingV7`](PathErrorKind::MissingV7), [`UnexpectedV7`](PathErrorKind::UnexpectedV7),
    /// [`PrefixIncluded`](PathErrorKind::PrefixIncluded) and
    /// [`DeliveryUrl`](PathErrorKind::DeliveryUrl). The same rules accept each suggestion.
    ///
    /// For a source with its own query, there are two suggestions. The first is the source without
    /// the query, which is its name if it is requested without encoding. The second is the whole
    /// source, encoded.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::Rules;
    ///
    /// let rules = Rules::builder().token("doc").build()?;
    /// let error =
    ///     rules.invalidation("https://doc.cloudimg.io/sample.li/boat.jpg?w=300").unwrap_err();
    /// assert!(error.suggestions().eq(["sample.li/boat.jpg"]));
    ///
    /// let error = rules.invalidation("sample.li/boat.php?id=7").unwrap_err();
    /// let encoded = "sample.li%2Fboat.php%3Fid%3D7?ci_url_encoded=1";
    /// assert!(error.suggestions().eq(["sample.li/boat.php", encoded]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn suggestions(&self) -> impl ExactSizeIterator<Item = &str> {
        self.suggestions.as_deref().unwrap_or_default().iter().map(|entry| &**entry)
    }

    pub(super) fn suggesting(self, entries: Vec<String>) -> Self {
        let entries: Box<[_]> = entries.into_iter().map(String::into_boxed_str).collect();
        Self { suggestions: Some(entries).filter(|entries| !entries.is_empty()), ..self }
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, what, expected) = self.fault.row();
        f.write_str(what)?;
        if let Fault::ControlByte(byte) | Fault::EncodedControlByte(byte) = self.fault {
            write!(f, " 0x{byte:02X}")?;
        }
        write!(f, " at byte {}: {expected}", self.at)
    }
}

impl std::error::Error for PathError {}

/// The result of a step.
pub(super) type Result<T, E = PathError> = std::result::Result<T, E>;

/// A result with its error at another position.
pub(super) trait Moved {
    /// Maps the position of the error to the text that this text was made from.
    fn moved(self, position: impl FnOnce(usize) -> usize) -> Self;
}

impl<T> Moved for Result<T> {
    #[inline]
    fn moved(self, position: impl FnOnce(usize) -> usize) -> Self {
        self.map_err(|error| PathError { at: position(error.at), ..error })
    }
}

macro_rules! faults {
    ($($fault:ident $(($data:ty))? => $kind:ident, $what:literal, $expected:expr;)*) => {
        /// A kind, with the details that its message needs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Fault {
            $($fault $(($data))?,)*
        }

        impl Fault {
            /// Returns the kind, the mistake, and the expected content.
            const fn row(self) -> (PathErrorKind, &'static str, &'static str) {
                match self {
                    $(Self::$fault { .. } => (PathErrorKind::$kind, $what, $expected),)*
                }
            }
        }
    };
}

faults! {
    TooLong => TooLong, "text too long", "expected at most 8192 bytes";
    ControlByte(u8) => ControlByte, "control byte", "expected printable characters";
    EncodedControlByte(u8) => ControlByte, "encoded control byte",
        "expected printable characters in a path";
    OuterSpace => InvalidCharacter, "leading or trailing space",
        "expected \"%20\" for a space in a name";
    ByteOrderMark => InvalidCharacter, "byte order mark",
        "expected text without one, or \"%EF%BB%BF\"";
    Backslash => InvalidCharacter, "backslash",
        "expected \"/\" between segments, or \"%5C\" inside a segment";
    Fragment => Fragment, "raw \"#\"", "expected \"%23\" for a hash sign in a name";
    ForeignHost => ForeignHost, "foreign host", "expected a delivery host of these rules";
    NotADeliveryUrl => ForeignHost, "not a delivery URL",
        "expected \"https://\", \"http://\" or \"//\" and a delivery host, or \"/\"";
    NotARequestTarget => ForeignHost, "not a request target",
        "expected \"/\", or \"https://\" or \"http://\" and a delivery host";
    QueryNotAllowed => QueryNotAllowed, "unexpected query",
        "this entry invalidates the whole picture";
    InvalidEscape => InvalidEscape, "invalid percent escape", "expected two hex digits";
    MissingV7 => MissingV7, "missing segment",
        "expected \"v7/\", which URLs of this token start with";
    UnexpectedV7 => UnexpectedV7, "unexpected \"v7\"",
        "expected the origin, as URLs of this token have no \"v7/\"";
    Empty => Empty, "path is empty", "expected the path of an origin";
    NoOperation => Empty, "transformation is empty", "expected at least one operation";
    UnsupportedScheme => UnsupportedScheme, "unsupported scheme",
        "expected \"https\", \"http\" or \"ftp\"";
    UserInfo => UserInfo, "credentials", "expected a host without \"@\"";
    EmptyHost => InvalidHost, "empty host", "expected a host name";
    InvalidHost => InvalidHost, "invalid host",
        "expected ASCII letters, digits, \".\", \"-\" and \"_\"";
    HostNotAscii => InvalidHost, "host not in ASCII", "expected its \"xn--\" form";
    InvalidPort => InvalidHost, "invalid port", "expected a number up to 65535";
    Traversal => Traversal, "path climbs above its root",
        "expected no more \"..\" than there are segments before it";
    DeliveryUrl => DeliveryUrl, "delivery URL", "expected its origin part alone";
    NestedTooDeep => DeliveryUrl, "delivery URL", "expected at most 4 of them nested in another";
    PrefixIncluded => PrefixIncluded, "origin prefix included",
        "expected the path below the prefix alone";
    WildcardNotAllowed => WildcardNotAllowed, "wildcard not allowed",
        "expected \"%2A\" for a star in a name";
    InnerWildcard => WildcardNotAllowed, "misplaced wildcard", ONLY_FINAL;
    RegularExpression => WildcardNotAllowed, "misplaced \"^\"", ONLY_FINAL;
    EmptyMark => InvalidCharacter, "empty mark", "expected the name of a representation";
    BadMark => InvalidCharacter, "invalid mark", "expected letters, digits and \"-._~,:/+\"";
    TooManyParameters => TooManyParameters, "more than 256 parameters", "expected at most 256";
    NotCanonical => NotCanonical, "text not canonical", "expected what canonicalization writes";
}

impl Fault {
    pub(crate) const fn at(self, at: usize) -> PathError {
        PathError { fault: self, at, suggestions: None }
    }
}

const ONLY_FINAL: &str = "only a final * is a wildcard; a star in a name is %2A";
