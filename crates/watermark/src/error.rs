//! The errors of a header that is not a watermark.

use std::fmt;

/// The error for a text that is not a watermark or not the id of a stream.
///
/// # Examples
///
/// ```
/// use cache_index_watermark::{Watermark, WatermarkErrorKind};
///
/// let error = "purges:1x".parse::<Watermark>().unwrap_err();
/// assert_eq!((error.kind(), error.byte_offset()), (WatermarkErrorKind::InvalidDigit, 8));
/// assert_eq!(error.to_string(), "invalid byte in number at byte 8: expected a digit");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatermarkError {
    kind: WatermarkErrorKind,
    byte_offset: usize,
}

/// The reason why a text is not a watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WatermarkErrorKind {
    /// The id of the stream is empty.
    EmptyStream,
    /// The id of the stream has a byte other than letters, digits and `-._`.
    InvalidStreamByte,
    /// The id of the stream is longer than 64 bytes.
    StreamTooLong,
    /// There is no colon behind the id of the stream.
    NoColon,
    /// There is no number behind the colon.
    EmptyNumber,
    /// The number has a byte that is not a digit.
    InvalidDigit,
    /// The number begins with a zero and goes on.
    LeadingZero,
    /// The number needs more than 64 bits.
    NumberTooLarge,
}

impl WatermarkError {
    pub(crate) const fn new(kind: WatermarkErrorKind, byte_offset: usize) -> Self {
        Self { kind, byte_offset }
    }

    /// Returns the reason.
    pub fn kind(&self) -> WatermarkErrorKind {
        self.kind
    }

    /// Returns the position of the first byte that is wrong, or the length of the text if something
    /// is missing at its end.
    pub fn byte_offset(&self) -> usize {
        self.byte_offset
    }
}

impl fmt::Display for WatermarkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use WatermarkErrorKind as Kind;
        let (subject, expected) = match self.kind {
            Kind::EmptyStream => ("empty stream id", "1 to 64 letters, digits or -._"),
            Kind::InvalidStreamByte => ("invalid byte in stream id", "a letter, a digit or -._"),
            Kind::StreamTooLong => ("stream id too long", "at most 64 bytes"),
            Kind::NoColon => ("no colon", "`stream id:number`"),
            Kind::EmptyNumber => ("empty number", "a decimal number"),
            Kind::InvalidDigit => ("invalid byte in number", "a digit"),
            Kind::LeadingZero => ("leading zero", "a decimal number without leading zeros"),
            Kind::NumberTooLarge => ("number too large", "at most 18446744073709551615"),
        };
        write!(f, "{subject} at byte {}: expected {expected}", self.byte_offset)
    }
}

impl std::error::Error for WatermarkError {}
