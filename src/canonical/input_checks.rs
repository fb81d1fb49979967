//! First step: checks on the text as it was passed.
//!
//! Invariant: accepted text is at most [`MAX_INPUT`] bytes long and contains no raw control byte
//! and no raw `#`, so that no later step has to check. Not here: anything that depends on the
//! rules.

use super::error::{Fault, Result};
use super::text::bytes::{is_control, never_raw};
use super::text::scan::{any, find};

/// The longest text that is read, in bytes. RFC 9110, section 4.1, asks servers for at least 8000.
pub const MAX_INPUT: usize = 8192;

/// The longest canonical text: every byte of the longest input written as an escape.
pub(super) const MAX_CANONICAL: usize = 3 * MAX_INPUT;

/// The maximum nesting of delivery URLs, not counting the outermost. Editors nest one.
pub(super) const MAX_NESTING: usize = 4;

/// Returns `input`, or the error in it.
pub(super) fn checked(input: &[u8]) -> Result<&[u8]> {
    bounded(input)?;
    clean(input)?;
    // A leading or trailing raw space comes from pasting; an encoded one is part of a name.
    match input {
        [b' ', ..] => Err(Fault::OuterSpace.at(0)),
        [.., b' '] => Err(Fault::OuterSpace.at(input.len() - 1)),
        // A byte order mark, which an editor writes before a list, is not part of the first entry.
        [0xEF, 0xBB, 0xBF, ..] => Err(Fault::ByteOrderMark.at(0)),
        _ => Ok(input),
    }
}

/// Returns an error if `input` is too long.
#[inline]
pub(super) fn bounded(input: &[u8]) -> Result<()> {
    if input.len() > MAX_INPUT { Err(Fault::TooLong.at(MAX_INPUT)) } else { Ok(()) }
}

/// Repeats the checks on decoded text.
pub(super) fn clean(text: &[u8]) -> Result<()> {
    // The position is searched only if there is one.
    if !any(text, never_raw) {
        return Ok(());
    }
    let find = |wrong: fn(u8) -> bool| text.iter().position(|&byte| wrong(byte));
    if let Some(at) = find(is_control) {
        return Err(Fault::ControlByte(text[at]).at(at));
    }
    find(|byte| byte == b'#').map_or(Ok(()), |at| Err(Fault::Fragment.at(at)))
}

/// Splits a text at its first question mark.
pub(super) fn split_query(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match find(text, b'?') {
        Some(at) => (&text[..at], Some(&text[at..])),
        None => (text, None),
    }
}
