//! Recognizes files that are not NCSA logs by their first bytes, and lines that are not NCSA lines
//! by theirs.

use std::fmt;

/// The expected form of a line.
pub(crate) const EXPECTED: &str = concat!(
    "expected NCSA lines: CLIENT - USER [24/Nov/2026:20:24:17 +0000] ",
    r#""GET /PATH HTTP/1.1" 200 512 "REFERRER" "AGENT""#
);

/// How many bytes of a file are looked at.
pub(crate) const HEAD: usize = 512;

/// The first two bytes of gzip data.
pub(crate) const GZIP: [u8; 2] = [0x1F, 0x8B];

/// Logs in lines of another format. Their lines are counted, and none is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Format {
    Json,
    W3c,
    S3,
    Haproxy,
    Utf16,
}

impl Format {
    /// Returns the format of a line that is not an NCSA line by its first bytes.
    pub(crate) fn of_line(line: &[u8]) -> Option<Self> {
        let first = line.split(|&byte| byte == b' ').next().unwrap_or_default();
        match line.first()? {
            b'{' => Some(Self::Json),
            b'[' if matches!(line.trim_ascii_end(), b"[" | b"[{") || line.starts_with(b"[{\"") => {
                Some(Self::Json)
            }
            b'#' => Some(Self::W3c),
            // The id of the bucket's owner.
            _ if first.len() == 64 && first.iter().all(u8::is_ascii_hexdigit) => Some(Self::S3),
            _ => {
                let name = b" haproxy[";
                let begin = &line[..line.len().min(100)];
                begin.windows(name.len()).any(|part| part == name).then_some(Self::Haproxy)
            }
        }
    }

    /// Whether one of the fields between date and request is an operation on a bucket, such as
    /// `REST.GET.OBJECT`.
    pub(crate) fn has_operation_of_s3(fields: &[u8]) -> bool {
        let mut fields = fields.split(|&byte| byte == b' ');
        fields.any(|field| field.starts_with(b"REST.") || field.starts_with(b"WEBSITE."))
    }

    /// Returns the format of a text by its first bytes, as far as that is not a matter of lines.
    pub(crate) fn of_text(head: &[u8]) -> Option<Self> {
        let marked = head.starts_with(b"\xFF\xFE") || head.starts_with(b"\xFE\xFF");
        // Without a mark, each second byte of ASCII text is zero.
        let sample = &head[..head.len().min(64) & !1];
        let zeros = |odd: usize| sample.chunks_exact(2).filter(|pair| pair[odd] == 0).count() * 2;
        let whole = sample.len();
        let unmarked = whole >= 16
            && (zeros(0) == whole && zeros(1) == 0 || zeros(1) == whole && zeros(0) == 0);
        (marked || unmarked).then_some(Self::Utf16)
    }

    pub(crate) fn hint(self) -> &'static str {
        match self {
            Self::Json => {
                r#"write NCSA lines first, as in jq -r '"\(.ip) - - [\(.time)] \"GET \(.path) HTTP/1.1\" \(.status) -"' FILE | replay -"#
            }
            Self::W3c => {
                r#"write NCSA lines first, with the columns that #Fields names, as in awk '!/^#/ {print $9, "- - [" $1 "T" $2 "Z] \"GET " $5, "HTTP/1.1\"", $11, "-"}' FILE | replay -"#
            }
            Self::S3 => {
                r#"write NCSA lines first, as in sed -E 's/^[^[]*(\[[^]]*\]) ([^ ]*) [^"]*/\2 - - \1 /' FILE | replay -"#
            }
            Self::Haproxy => EXPECTED,
            Self::Utf16 => "convert it first, as in iconv -f UTF-16 -t UTF-8 FILE | replay -",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "a JSON log",
            Self::W3c => "a W3C log",
            Self::S3 => "an S3 access log",
            Self::Haproxy => "an HAProxy log",
            Self::Utf16 => "text in UTF-16",
        })
    }
}

/// First bytes, name, and the program that undoes it.
const COMPRESSED: [(&[u8], &str, &str); 9] = [
    (b"\xFD7zXZ\0", "xz", "xz -dc"),
    (b"\x28\xB5\x2F\xFD", "zstd", "zstd -dc"),
    (b"BZh", "bzip2", "bzip2 -dc"),
    (b"\x04\x22\x4D\x18", "lz4", "lz4 -dc"),
    (b"LZIP", "lzip", "lzip -dc"),
    (b"\x1F\x9D", "compress", "gzip -dc"),
    (b"PK\x03\x04", "zip", "unzip -p"),
    (b"7z\xBC\xAF\x27\x1C", "7z", "7z x -so"),
    (b"\xFF\x06\0\0sNaPpY", "snappy", "snzip -dc"),
];

/// Returns the reason why no line of a file with this beginning can be read, and the remedy.
pub(crate) fn refusal(head: &[u8]) -> Option<String> {
    let known = COMPRESSED.iter().find(|(magic, ..)| head.starts_with(magic));
    if let Some((_, name, command)) = known {
        return Some(format!(
            "{name}-compressed: decompress it first, as in {command} FILE | replay -"
        ));
    }
    (head.get(257..262) == Some(b"ustar"))
        .then(|| "tar archive: unpack it first, as in tar -xOf FILE | replay -".to_owned())
}

/// Returns the reason why a file cannot be read in which this number of zero bytes precedes `head`.
pub(crate) fn refusal_behind_zeros(zeros: u64, head: &[u8]) -> Option<String> {
    if head.starts_with(&GZIP) {
        return Some(format!(
            "{zeros} zero bytes in front of gzip data: cut them off first, as in tail -c +{} FILE | replay -",
            zeros + 1
        ));
    }
    is_binary(head).then(|| {
        format!("{zeros} zero bytes at its beginning, and no text behind them: damaged, if it is a compressed log")
    })
}

/// Whether text cannot begin so: in compressed data, three bytes of five are not printable ASCII.
fn is_binary(head: &[u8]) -> bool {
    let odd = |byte: &&u8| !matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n');
    head.iter().filter(odd).count() * 4 > head.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_other_formats_are_recognized() {
        let owner = "b659b576cff1e15e4c0313ff8930fba9f53e6794567f5c60dab3abf2f8dfb6cc";
        for (line, format) in [
            (r#"{"ts":1,"log":"[24/Nov/2026:20:24:17 +0000]"}"#, Some(Format::Json)),
            ("[", Some(Format::Json)),
            (r#"[{"ts":1}]"#, Some(Format::Json)),
            ("#Version: 1.0", Some(Format::W3c)),
            (&format!("{owner} bucket [10/Feb/2012:16:42:07 -0500] 1.2.3.4"), Some(Format::S3)),
            ("Sep 25 06:05:27 host haproxy[6801]: 4.3.2.1", Some(Format::Haproxy)),
            ("192.0.2.7 - - [24/Nov/2026:20:24:17 +0000] \"GET /a HTTP/1.1\" 200 1", None),
            ("[2026-11-24T20:24:17Z] \"GET /a HTTP/2\" 200 - 1", None),
            ("", None),
        ] {
            assert_eq!(Format::of_line(line.as_bytes()), format, "{line}");
        }
    }

    #[test]
    fn utf_16_is_recognized_with_and_without_a_mark() {
        let utf_16 = |mark: &[u8], bytes: fn(u16) -> [u8; 2]| {
            let text = "192.0.2.7 - - [24/Nov".encode_utf16().flat_map(bytes);
            mark.iter().copied().chain(text).collect::<Vec<u8>>()
        };
        for text in [
            utf_16(b"\xFF\xFE", u16::to_le_bytes),
            utf_16(b"\xFE\xFF", u16::to_be_bytes),
            utf_16(b"", u16::to_le_bytes),
            utf_16(b"", u16::to_be_bytes),
        ] {
            assert_eq!(Format::of_text(&text), Some(Format::Utf16));
        }
        assert_eq!(Format::of_text(b"192.0.2.7 - - [24/Nov"), None);
        assert_eq!(Format::of_text(&[0; 64]), None);
        assert_eq!(Format::of_text(b""), None);
    }
}
