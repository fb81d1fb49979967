//! Code that the test binaries share.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "shared by test binaries, none of which uses all of it"
)]

pub mod model;
pub mod pair;

use cache_index::{OriginPath, PathPrefix, VariantKey};

/// Which names are used. The index must do the same with all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    Canonical,
    /// The same names, spelled as no canonical rule would spell them, with this character in front.
    Opaque(char),
}

impl Names {
    /// Returns the spelling of `text`. Different texts stay different, and prefixes stay prefixes.
    pub fn text(self, text: &str) -> String {
        let Self::Opaque(front) = self else { return text.to_owned() };
        let mut odd = String::from(front);
        for character in text.chars() {
            match odd_text(character) {
                Some(text) => odd.push_str(text),
                None => odd.push(character),
            }
        }
        odd
    }

    pub fn path(self, text: &str) -> OriginPath<'static> {
        match self {
            Self::Canonical => path(text),
            Self::Opaque(_) => OriginPath::opaque(self.text(text)).expect("a name"),
        }
    }

    pub fn prefix(self, text: &str) -> PathPrefix<'static> {
        match self {
            Self::Canonical => PathPrefix::from_canonical(text).expect("canonical").into_owned(),
            Self::Opaque(_) => PathPrefix::opaque(self.text(text)).expect("a name"),
        }
    }

    /// Returns a key without operations and marks, although most of them hold `@` or `#`.
    pub fn key(self, text: &str) -> VariantKey<'static> {
        match self {
            Self::Canonical => variant(text),
            Self::Opaque('?') => Self::Opaque('#').key(text),
            Self::Opaque(_) => VariantKey::opaque(self.text(text)).expect("a name"),
        }
    }
}

/// Spellings with equal first bytes, empty segments, spaces, control bytes, escapes, and every byte
/// that means something in canonical text.
fn odd_text(character: char) -> Option<&'static str> {
    Some(match character {
        '/' => "//",
        'a' => " %2f",
        'b' => "\u{e9}",
        'c' => "\u{e8}",
        '.' => "?",
        '?' => "*",
        'w' => "@",
        'h' => "#",
        '=' => "..",
        '&' => "\0",
        '1' => "\u{1f426}",
        '2' => "\u{1f427}",
        'x' => "X",
        'y' => "\u{301}",
        _ => return None,
    })
}

#[track_caller]
pub fn path(text: &str) -> OriginPath<'static> {
    OriginPath::from_canonical(text).expect("canonical path").into_owned()
}

#[track_caller]
pub fn variant(text: &str) -> VariantKey<'static> {
    VariantKey::from_canonical(text).expect("canonical variant key").into_owned()
}
