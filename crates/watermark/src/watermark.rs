//! `Watermark`: the header, read and written.
//!
//! Invariant: a watermark has one spelling. Each text that is read is written in the same way.

use crate::error::{WatermarkError, WatermarkErrorKind as Kind};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The name of the header, in requests and in answers.
pub const HEADER: &str = "Cache-Watermark";

/// The identity of a stream of purges: the numbers of two streams mean nothing to each other.
///
/// A stream that is created anew, or restored from an older copy, needs another id. Otherwise, the
/// same number may stand for two purges.
///
/// # Examples
///
/// ```
/// use cache_index_watermark::{StreamId, WatermarkErrorKind};
///
/// let id: StreamId = "CACHE_PURGE.1780000000".parse()?;
/// assert_eq!(id.as_str(), "CACHE_PURGE.1780000000");
/// let error = "a b".parse::<StreamId>().unwrap_err();
/// assert_eq!((error.kind(), error.byte_offset()), (WatermarkErrorKind::InvalidStreamByte, 1));
/// # Ok::<(), cache_index_watermark::WatermarkError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(Arc<str>);

impl StreamId {
    /// The length of the longest id, in bytes.
    pub const MAX_LEN: usize = 64;

    /// Returns the text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StreamId {
    type Err = WatermarkError;

    fn from_str(text: &str) -> Result<Self, WatermarkError> {
        if text.is_empty() {
            return Err(WatermarkError::new(Kind::EmptyStream, 0));
        }
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if let Some(at) = text.bytes().position(|byte| !is_allowed(byte)) {
            return Err(WatermarkError::new(Kind::InvalidStreamByte, at));
        }
        if text.len() > Self::MAX_LEN {
            return Err(WatermarkError::new(Kind::StreamTooLong, Self::MAX_LEN));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The number of a purge in a stream, as an edge sends it and as a shield echoes it.
///
/// The text is the id of the stream, a colon, and the number in decimal without leading zeros.
///
/// # Examples
///
/// ```
/// use cache_index_watermark::Watermark;
///
/// let watermark: Watermark = "purges:17".parse()?;
/// assert_eq!((watermark.stream().as_str(), watermark.number()), ("purges", 17));
/// assert_eq!(watermark.to_string(), "purges:17");
/// let echo = Watermark::new("purges".parse()?, 18);
/// assert!(watermark.allows_keeping(Some(&echo)) && !watermark.allows_keeping(None));
/// assert_eq!(
///     "purges:017".parse::<Watermark>().unwrap_err().to_string(),
///     "leading zero at byte 7: expected a decimal number without leading zeros"
/// );
/// # Ok::<(), cache_index_watermark::WatermarkError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Watermark {
    stream: StreamId,
    number: u64,
}

impl Watermark {
    /// Creates the watermark of a number in a stream.
    pub fn new(stream: StreamId, number: u64) -> Self {
        Self { stream, number }
    }

    /// Returns the stream.
    pub fn stream(&self) -> &StreamId {
        &self.stream
    }

    /// Returns the number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns whether the edge that sent this watermark may keep an answer with this echo: it is
    /// of the same stream, and its number is at least the one that was sent.
    ///
    /// An answer without an echo, or with one that cannot be read, must not be kept. It may be
    /// served to the clients that wait for it.
    pub fn allows_keeping(&self, echo: Option<&Self>) -> bool {
        echo.is_some_and(|echo| echo.stream == self.stream && echo.number >= self.number)
    }
}

impl fmt::Display for Watermark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.stream, self.number)
    }
}

impl FromStr for Watermark {
    type Err = WatermarkError;

    fn from_str(text: &str) -> Result<Self, WatermarkError> {
        let Some((stream, number)) = text.split_once(':') else {
            // The id is wrong first, if it is.
            text.parse::<StreamId>()?;
            return Err(WatermarkError::new(Kind::NoColon, text.len()));
        };
        let stream: StreamId = stream.parse()?;
        let start = text.len() - number.len();
        if number.is_empty() {
            return Err(WatermarkError::new(Kind::EmptyNumber, start));
        }
        if let Some(at) = number.bytes().position(|byte| !byte.is_ascii_digit()) {
            return Err(WatermarkError::new(Kind::InvalidDigit, start + at));
        }
        if number.len() > 1 && number.starts_with('0') {
            return Err(WatermarkError::new(Kind::LeadingZero, start));
        }
        match number.parse() {
            Ok(number) => Ok(Self { stream, number }),
            Err(_) => Err(WatermarkError::new(Kind::NumberTooLarge, start)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_read_is_written_in_the_same_way() {
        for text in ["a:0", "A-b._9:1", "s:18446744073709551615"] {
            assert_eq!(text.parse::<Watermark>().unwrap().to_string(), text);
        }
        let longest = format!("{}:1", "x".repeat(64));
        assert_eq!(longest.parse::<Watermark>().unwrap().to_string(), longest);
    }

    #[test]
    fn every_other_text_is_an_error_with_its_place() {
        let too_long = format!("{}:1", "x".repeat(65));
        let cases = [
            ("", Kind::EmptyStream, 0),
            (":", Kind::EmptyStream, 0),
            (":1", Kind::EmptyStream, 0),
            ("s", Kind::NoColon, 1),
            ("s p:1", Kind::InvalidStreamByte, 1),
            (" s:1", Kind::InvalidStreamByte, 0),
            ("s\u{e9}:1", Kind::InvalidStreamByte, 1),
            ("s\r\n", Kind::InvalidStreamByte, 1),
            (&too_long, Kind::StreamTooLong, 64),
            ("s:", Kind::EmptyNumber, 2),
            ("s:-1", Kind::InvalidDigit, 2),
            ("s:+1", Kind::InvalidDigit, 2),
            ("s:1 ", Kind::InvalidDigit, 3),
            ("s:1:2", Kind::InvalidDigit, 3),
            ("s:0x1", Kind::InvalidDigit, 3),
            ("s:\u{661}", Kind::InvalidDigit, 2),
            ("s:00", Kind::LeadingZero, 2),
            ("s:01", Kind::LeadingZero, 2),
            ("s:18446744073709551616", Kind::NumberTooLarge, 2),
        ];
        for (text, kind, byte_offset) in cases {
            let error = text.parse::<Watermark>().unwrap_err();
            assert_eq!((error.kind(), error.byte_offset()), (kind, byte_offset), "{text:?}");
            assert!(error.to_string().contains(&format!("at byte {byte_offset}: expected")));
        }
    }

    #[test]
    fn answer_is_kept_only_with_an_echo_of_the_stream_that_reaches_the_number() {
        let of = |text: &str| text.parse::<Watermark>().unwrap();
        let sent = of("s:7");
        for (echo, kept) in [("s:6", false), ("s:7", true), ("s:8", true), ("t:7", false)] {
            assert_eq!(sent.allows_keeping(Some(&of(echo))), kept, "{echo}");
        }
        assert!(!sent.allows_keeping(None));
    }
}
