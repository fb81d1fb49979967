//! Sealed operations: whether the flag `ci_url_encoded=1` is among those inside of a `ci_eqs` value.
//!
//! Invariant: the seal is only looked into, never opened: its text stays opaque in the variant key.
//! Not here: whether the seal is genuine; that must be checked before the index is asked.

use super::bytes::escape_at;
use super::scan::any;

const FLAG: &[u8] = b"ci_url_encoded=1";

/// Whether `value`, percent-decoded and then base64-decoded (RFC 4648, in the alphabet of section 4 or of section 5, padded or
/// not), holds the flag between ampersands. What doesn't decode holds none.
pub(super) fn holds_flag(value: &[u8]) -> bool {
    let mut digits = Digits::default();
    let mut at = 0;
    while let Some(&byte) = value.get(at) {
        // Nearly all come in fours.
        if digits.push_four(&value[at..]) {
            at += 4;
            continue;
        }
        let escape = escape_at(value, at);
        if !digits.push(escape.unwrap_or(byte)) {
            return false;
        }
        at += if escape.is_some() { 3 } else { 1 };
    }
    digits.finish()
}

const NO_DIGIT: u8 = 0xFF;

/// What each digit of the two alphabets stands for.
static SEXTETS: [u8; 256] = {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut sextets = [NO_DIGIT; 256];
    let mut value: u8 = 0;
    while value < 64 {
        sextets[digits[value as usize] as usize] = value;
        value += 1;
    }
    sextets[b'-' as usize] = 62;
    sextets[b'_' as usize] = 63;
    sextets
};

/// How many bytes are decoded before anything is looked for in them.
const BLOCK: usize = 48;

/// Decodes base64.
struct Digits {
    count: usize,
    padding: usize,
    /// The last digits, the newest lowest.
    bits: u32,
    block: [u8; BLOCK],
    len: usize,
    flag: FlagSearch,
}

impl Default for Digits {
    fn default() -> Self {
        Self {
            count: 0,
            padding: 0,
            bits: 0,
            block: [0; BLOCK],
            len: 0,
            flag: FlagSearch::default(),
        }
    }
}

impl Digits {
    /// Takes the first four bytes of `text`, if they are digits and none is pending.
    #[inline]
    fn push_four(&mut self, text: &[u8]) -> bool {
        let Some(four) = text.first_chunk::<4>() else { return false };
        let four = four.map(|digit| SEXTETS[usize::from(digit)]);
        // What is no digit shows through the disjunction.
        let are_digits = four.iter().fold(0, |all, &sextet| all | sextet) < 64;
        if !are_digits || self.count % 4 > 0 || self.padding > 0 {
            return false;
        }
        self.bits = four.iter().fold(0, |bits, &sextet| bits << 6 | u32::from(sextet));
        self.count += 4;
        self.write(3);
        true
    }

    /// Takes a digit, or padding.
    fn push(&mut self, digit: u8) -> bool {
        if digit == b'=' {
            self.padding += 1;
            return true;
        }
        let sextet = SEXTETS[usize::from(digit)];
        if sextet == NO_DIGIT || self.padding > 0 {
            return false;
        }
        self.bits = self.bits << 6 | u32::from(sextet);
        self.count += 1;
        if self.count % 4 == 0 {
            self.write(3);
        }
        true
    }

    /// Decodes the first of the last three bytes.
    #[inline]
    fn write(&mut self, bytes: usize) {
        let [_, decoded @ ..] = self.bits.to_be_bytes();
        self.block[self.len..self.len + 3].copy_from_slice(&decoded);
        self.len += bytes;
        if self.len == BLOCK {
            self.flag.push(&self.block);
            self.len = 0;
        }
    }

    fn finish(mut self) -> bool {
        // Digits at the end that make no three bytes make one or two, and padding, if there is any, fills up their four.
        let pending = self.count % 4;
        let is_filled =
            self.padding == 0 || (self.padding <= 2 && (self.count + self.padding) % 4 == 0);
        if pending == 1 || !is_filled {
            return false;
        }
        if pending > 0 {
            self.bits <<= 6 * (4 - pending);
            self.write(pending - 1);
        }
        let Self { block, len, mut flag, .. } = self;
        flag.push(&block[..len]);
        flag.ends_here()
    }
}

/// Looks for the flag between ampersands.
#[derive(Default)]
struct FlagSearch {
    found: bool,
    /// The length of the current piece, and whether it is the start of the flag so far.
    len: usize,
    differs: bool,
}

impl FlagSearch {
    fn push(&mut self, text: &[u8]) {
        // Most texts differ early.
        if self.differs && !any(text, |byte| byte == b'&') {
            return;
        }
        for &byte in text {
            if byte == b'&' {
                self.found = self.ends_here();
                (self.len, self.differs) = (0, false);
            } else {
                self.differs |= FLAG.get(self.len) != Some(&byte);
                self.len += 1;
            }
        }
    }

    /// Whether the flag was found, if the text ends here.
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
    fn a_block_of_ampersands_ends_what_is_before_it() {
        let value = "eHh4".repeat(BLOCK / 3) + &"JiYm".repeat(BLOCK / 3) + "Y2lfdXJsX2VuY29kZWQ9MQ";
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
