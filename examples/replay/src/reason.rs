//! Why a line of a log counts as neither a request for a picture nor an invalidation.

use super::format::Format;
use cache_index::canonical::PathErrorKind;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    OtherMethod,
    OtherStatus,
    RefusedPurge,
    OtherHost,
    NotImage,
    Empty,
    TooLong,
    Foreign(Format),
    NoDate,
    BadDate,
    Between,
    Unquoted,
    Unclosed,
    NoStatus,
    Dash,
    EmptyRequest,
    Binary,
    NoVersion,
    OtherVersion,
    EmptyTarget,
    SpaceInTarget,
    NotHttp,
    BadTarget(PathErrorKind),
    BadPurge(PathErrorKind),
}

impl Reason {
    /// Whether the line was understood, and is about something else.
    pub(crate) fn is_passed_over(self) -> bool {
        matches!(
            self,
            Self::OtherMethod
                | Self::OtherStatus
                | Self::RefusedPurge
                | Self::OtherHost
                | Self::NotImage
        )
    }

    /// Returns the remedy, if it is known.
    pub(crate) fn hint(self) -> Option<&'static str> {
        Some(match self {
            Self::Foreign(format) => format.hint(),
            Self::NoDate => super::format::EXPECTED,
            Self::BadDate => {
                "expected 24/Nov/2026:20:24:17 +0000 or 2026-11-24T20:24:17+00:00; without a zone it is UTC"
            }
            Self::BadTarget(PathErrorKind::UnexpectedV7) => {
                "tokens from before November 2021 need --v7 required, migrated ones --v7 optional"
            }
            Self::BadTarget(PathErrorKind::MissingV7) => {
                "--v7 optional also reads paths without v7"
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherMethod => "method other than GET and PURGE",
            Self::OtherStatus => "status other than 200, 206 and 304",
            Self::RefusedPurge => "purge that was refused",
            Self::OtherHost => "another host",
            Self::NotImage => "name without the ending of a picture",
            Self::Empty => "empty line",
            Self::TooLong => "line longer than 65536 bytes",
            Self::Foreign(format) => return write!(f, "line of {format}"),
            Self::NoDate => "no date in brackets, followed by a quoted request",
            Self::BadDate => "date is not DAY/MONTH/YEAR:HOUR:MINUTE:SECOND ZONE",
            Self::Between => "something stands between date and request",
            Self::Unquoted => "no quoted request behind the date",
            Self::Unclosed => "request without a closing quote",
            Self::NoStatus => "no status and size behind the request",
            Self::Dash => "request is \"-\": the client sent none",
            Self::EmptyRequest => "request is empty",
            Self::Binary => "binary request, such as TLS on a port without it",
            Self::NoVersion => "request without an HTTP version",
            Self::OtherVersion => "version of the request is not HTTP/ and a number",
            Self::EmptyTarget => "request with an empty target",
            Self::SpaceInTarget => "space in the target",
            Self::NotHttp => "request is not METHOD TARGET HTTP/VERSION",
            Self::BadTarget(kind) => return write!(f, "target names no picture: {kind}"),
            Self::BadPurge(kind) => return write!(f, "purge names no picture: {kind}"),
        })
    }
}
