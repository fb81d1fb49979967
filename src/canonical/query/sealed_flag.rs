//! Sealed operations: whether a `ci_eqs` value contains the flag `ci_url_encoded=1`.
//!
//! Invariant: the seal is read, but never opened: its text stays opaque in the variant key. Not
//! here: whether the seal is genuine, which must be checked before the index is used.

use super::super::text::bytes::{NO_DIGIT, digit_values, unescaped};

const FLAG: &[u8] = b"ci_url_encoded=1";

/// Returns whether `value`, percent-decoded and then base64-decoded, contains the flag between
/// ampersands. The base64 is that of RFC 4648, in the alphabet of section 4 or of section 5, padded
/// or not. Returns false if it does not decode.
pub(in crate::canonical) fn holds_flag(value: &[u8]) -> bool {
    let (mut bits, mut count, mut padding) = (0_u32, 0, 0);
    let mut search = FlagSearch::default();
    for (digit, _) in unescaped(value) {
        if digit == b'=' {
            padding += 1;
            continue;
        }
        let sextet = SEXTETS[usize::from(digit)];
        if sextet == NO_DIGIT || padding > 0 {
            return false;
        }
        bits = bits << 6 | u32::from(sextet);
        count += 1;
        if count % 4 == 0 {
            let [_, decoded @ ..] = bits.to_be_bytes();
            search.push_all(&decoded);
        }
    }
    // Two or three digits at the end stand for one or two bytes; padding, if any, fills up their
    // four.
    let pending = count % 4;
    let is_filled = padding == 0 || (padding <= 2 && (count + padding) % 4 == 0);
    if pending == 1 || !is_filled {
        return false;
    }
    if pending > 0 {
        let [_, decoded @ ..] = (bits << (6 * (4 - pending))).to_be_bytes();
        search.push_all(&decoded[..pending - 1]);
    }
    search.ends_here()
}

/// The value of each digit of the two alphabets.
static SEXTETS: [u8; 256] = digit_values([
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
]);

/// Looks for the flag between ampersands.
#[derive(Default)]
struct FlagSearch {
    found: bool,
    /// The length of the current piece, and whether it differs from the start of the flag.
    len: usize,
    differs: bool,
}

impl FlagSearch {
    #[inline]
    fn push_all(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'&' {
                *self = Self { found: self.ends_here(), ..Self::default() };
            } else {
                self.differs |= FLAG.get(self.len) != Some(&byte);
                self.len += 1;
            }
        }
    }

    /// Returns whether the flag was found, if the text ends here.
    fn ends_here(&self) -> bool {
        self.found || (!self.differs && self.len == FLAG.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_is_found_between_ampersands_only() {
        for (value, expected) in [
            ("Y2lfdXJsX2VuY29kZWQ9MQ", true),         // ci_url_encoded=1
            ("Y2lfdXJsX2VuY29kZWQ9MQ==", true),       // padded
            ("Y2lfdXJsX2VuY29kZWQ9MQ%3d%3D", true),   // padding encoded
            ("dz0xMDAmY2lfdXJsX2VuY29kZWQ9MQ", true), // w=100&ci_url_encoded=1
            ("Y2lfdXJsX2VuY29kZWQ9MSZ3PTE", true),    // ci_url_encoded=1&w=1
            ("Y2lfdXJsX2VuY29kZWQ9MSY=", true),       // ci_url_encoded=1&
            ("Y2lfdXJsX2VuY29kZWQ9MTA", false),       // ci_url_encoded=10
            ("eGNpX3VybF9lbmNvZGVkPTE", false),       // xci_url_encoded=1
            ("Y2lfdXJsX2VuY29kZWQ9MA", false),        // ci_url_encoded=0
            ("dz0xMDA", false),                       // w=100
            ("", false),
        ] {
            assert_eq!(holds_flag(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn the_flag_is_found_wherever_it_stands() {
        // Four digits for three bytes, over the ends of blocks.
        for before in 0..200 {
            for end in ["MQ", "MSZ3"] {
                let value = "YWJj".repeat(before) + "eD0m" + "Y2lfdXJsX2VuY29kZWQ9" + end;
                assert!(holds_flag(value.as_bytes()), "{value}");
                assert!(holds_flag(value.replace('Y', "%59").as_bytes()), "{value}");
                let first_escaped = format!("%{:02X}{}", value.as_bytes()[0], &value[1..]);
                assert!(holds_flag(first_escaped.as_bytes()), "{first_escaped}");
                assert!(!holds_flag((value + "!").as_bytes()));
            }
        }
    }

    #[test]
    fn ampersands_end_what_is_before_them() {
        let value = "eHh4".repeat(16) + &"JiYm".repeat(16) + "Y2lfdXJsX2VuY29kZWQ9MQ";
        assert!(holds_flag(value.as_bytes()));
    }

    #[test]
    fn both_alphabets_are_read() {
        // x=<FB FF>&ci_url_encoded=1
        assert!(holds_flag(b"eD37/yZjaV91cmxfZW5jb2RlZD0x"));
        assert!(holds_flag(b"eD37_yZjaV91cmxfZW5jb2RlZD0x"));
        assert!(holds_flag(b"eD37%2FyZjaV91cmxfZW5jb2RlZD0x"));
    }

    #[test]
    fn what_does_not_decode_holds_nothing() {
        for value in [
            "Y2lfdXJsX2VuY29kZWQ9MQ=",        // too little padding
            "Y2lfdXJsX2VuY29kZWQ9MQ===",      // too much
            "Y2lfdXJsX2VuY29kZWQ9MQ==A",      // digits behind the padding
            "Y2lfdXJsX2VuY29kZWQ9MSZ3P",      // a lone last digit
            "Y2lfdXJsX2VuY29kZWQ9MSY=AAAA",   // four digits behind the padding
            "Y2lf dXJsX2VuY29kZWQ9MQ",        // a space
            "d!0xMDAmY2lfdXJsX2VuY29kZWQ9MQ", // no digit, ahead of the flag
            "Y2lfdXJsX2VuY29kZWQ9MQ%3",       // a bad escape
        ] {
            assert!(!holds_flag(value.as_bytes()), "{value}");
        }
    }
}
