//! Sealed operations: whether the flag `ci_url_encoded=1` is among those inside of a `ci_eqs` value.
//!
//! Invariant: the seal is only looked into, never opened: its text stays opaque in the variant key.
//! Not here: whether the seal is genuine; that must be checked before the index is asked.

use super::bytes::escape_at;

const FLAG: &[u8] = b"ci_url_encoded=1";

/// Whether `value`, percent-decoded and then base64-decoded (RFC 4648, in the alphabet of section 4 or of section 5, padded or
/// not), holds the flag between ampersands. What doesn't decode holds none.
pub(super) fn holds_flag(value: &[u8]) -> bool {
    let mut digits = Sextets::default();
    let mut flag = FlagSearch::default();
    let mut at = 0;
    while at < value.len() {
        let byte = if value[at] == b'%' {
            let Some(byte) = escape_at(value, at) else { return false };
            at += 3;
            byte
        } else {
            at += 1;
            value[at - 1]
        };
        match digits.push(byte) {
            Ok(Some(decoded)) => flag.push(decoded),
            Ok(None) => {}
            Err(NoBase64) => return false,
        }
    }
    digits.is_whole() && flag.finish()
}

struct NoBase64;

/// Decodes base64 one digit at a time.
#[derive(Default)]
struct Sextets {
    digits: usize,
    padding: usize,
    bits: u32,
}

impl Sextets {
    fn push(&mut self, digit: u8) -> Result<Option<u8>, NoBase64> {
        if digit == b'=' {
            self.padding += 1;
            return Ok(None);
        }
        let sextet = match digit {
            _ if self.padding > 0 => return Err(NoBase64),
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return Err(NoBase64),
        };
        self.bits = self.bits << 6 | u32::from(sextet);
        self.digits += 1;
        // The first digit of four completes no byte, each of the others does.
        let pending = match self.digits % 4 {
            1 => return Ok(None),
            2 => 4,
            3 => 2,
            _ => 0,
        };
        Ok(Some((self.bits >> pending & 0xFF) as u8))
    }

    /// Whether the digits make whole bytes, and the padding, if there is any, fills the last four.
    fn is_whole(&self) -> bool {
        self.digits % 4 != 1
            && (self.padding == 0 || (self.padding <= 2 && (self.digits + self.padding) % 4 == 0))
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
    fn push(&mut self, byte: u8) {
        if byte == b'&' {
            self.found = self.finish();
            (self.len, self.differs) = (0, false);
        } else {
            self.differs |= FLAG.get(self.len) != Some(&byte);
            self.len += 1;
        }
    }

    fn finish(&self) -> bool {
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
    fn both_alphabets_are_read() {
        // x=<FB FF>&ci_url_encoded=1
        assert!(holds_flag(b"eD37/yZjaV91cmxfZW5jb2RlZD0x"));
        assert!(holds_flag(b"eD37_yZjaV91cmxfZW5jb2RlZD0x"));
        assert!(holds_flag(b"eD37%2FyZjaV91cmxfZW5jb2RlZD0x"));
    }

    #[test]
    fn what_does_not_decode_holds_nothing() {
        for value in [
            "Y2lfdXJsX2VuY29kZWQ9MQ=",   // too little padding
            "Y2lfdXJsX2VuY29kZWQ9MQ===", // too much
            "Y2lfdXJsX2VuY29kZWQ9MQ==A", // digits behind the padding
            "Y2lfdXJsX2VuY29kZWQ9MSZ3P", // a lone last digit
            "Y2lf dXJsX2VuY29kZWQ9MQ",   // a space
            "Y2lfdXJsX2VuY29kZWQ9MQ%3",  // a bad escape
        ] {
            assert!(!holds_flag(value.as_bytes()), "{value}");
        }
    }
}
