//! Names of files.
//!
//! Invariant: no name is used twice, as each holds the incarnation that wrote the file and a number
//! that only grows. The names alone are enough to choose the next incarnation, whatever happened to
//! the contents.

use std::fmt;

pub(crate) const LOCK: &str = "LOCK";
pub(crate) const MANIFEST: &str = "MANIFEST";
pub(crate) const NEW_MANIFEST: &str = "MANIFEST.new";

/// Incarnations, numbers of files and sequence numbers are below this one. So a hostile file cannot
/// make the next number wrap around.
pub(crate) const END_OF_NUMBERS: u64 = 1 << 63;

/// The identity of a file: the incarnation that created it, and the number of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileId {
    pub(crate) incarnation: u64,
    pub(crate) number: u64,
}

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileName {
    Segment(FileId),
    Snapshot(FileId),
}

impl FileName {
    /// Reads a name; `None` for files that are not this crate's.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (kind, rest) = name.split_once('-')?;
        let (incarnation, number) = rest.split_once('-')?;
        let id = FileId { incarnation: hex(incarnation)?, number: hex(number)? };
        match kind {
            "log" => Some(Self::Segment(id)),
            "snap" => Some(Self::Snapshot(id)),
            _ => None,
        }
    }

    pub(crate) fn id(self) -> FileId {
        match self {
            Self::Segment(id) | Self::Snapshot(id) => id,
        }
    }
}

fn hex(text: &str) -> Option<u64> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_number = text.len() == 16 && text.bytes().all(is_hex);
    let number = is_number.then(|| u64::from_str_radix(text, 16).ok())?;
    number.filter(|&number| number < END_OF_NUMBERS)
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, FileId { incarnation, number }) = match self {
            Self::Segment(id) => ("log", id),
            Self::Snapshot(id) => ("snap", id),
        };
        write!(f, "{kind}-{incarnation:016x}-{number:016x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_other_files_have_none() {
        let id = FileId { incarnation: 7, number: 0xabc };
        for name in [FileName::Segment(id), FileName::Snapshot(id)] {
            assert_eq!(FileName::parse(&name.to_string()), Some(name));
        }
        for other in [
            "LOCK",
            "MANIFEST",
            "log-7-1",
            "log",
            "snap-",
            "log-000000000000000A-0000000000000001",
            "log-8000000000000000-0000000000000001",
            "log-0000000000000001-ffffffffffffffff",
        ] {
            assert_eq!(FileName::parse(other), None, "{other}");
        }
    }
}
