//! Strategies for texts: made of pieces that mean something, so that few of them fail at the first step.

use crate::checks::encoded;
use proptest::prelude::*;
use proptest::sample::select;

const PATH_PIECES: [&str; 64] = [
    "/",
    "/",
    "/",
    "//",
    ".",
    "..",
    "/./",
    "/../",
    "a",
    "b.jpg",
    "Folder",
    "sample.li",
    "Sample.LI",
    "sample.li:80",
    "x.y:443",
    "http:",
    "https:/",
    "https://",
    "HTTP://",
    "ftp://",
    "s3://",
    "h%74tps://",
    "h",
    "h.",
    "..",
    ":",
    ":80",
    ":0443",
    ":8080",
    ":99999",
    "@",
    "_alias_",
    "_a",
    "_",
    "doc.cloudimg.io",
    "img.example.com",
    "DOC.cloudimg.io",
    "hello.s3.aws.com",
    "bucket",
    "v7",
    "v7/",
    "V7",
    "%7E",
    "%2e",
    "%2E",
    "%2f",
    "%2F",
    "%3A",
    "%3f",
    "%28",
    "(",
    "%41",
    "%c3%a9",
    "\u{e9}",
    " ",
    "\"",
    "+",
    "%2B",
    "*",
    "%2A",
    "%25",
    "%",
    "%0",
    "%00",
];
const QUERY_PIECES: [&str; 47] = [
    "&",
    "&",
    "&",
    "&",
    "=",
    "=",
    "?",
    "w",
    "w=1",
    "width",
    "width=2",
    "h=",
    "height",
    "grey",
    "gray=1",
    "bg_colour",
    "bg_color=1",
    "wat",
    "wat_color",
    "wat_colour=x",
    "ci_sign=1",
    "ci_seal",
    "ci_url_encoded=1",
    "ci_url_encoded",
    "ci%5Furl_encoded=%31",
    "ci_eqs=dz0xMDA",
    "ci_eqs=Y2lfdXJsX2VuY29kZWQ9MQ",
    "ci_eqs=Y2lfdXJsX2VuY29kZWQ9MQ%3D%3D",
    "f=a:1,b",
    "%2C",
    ",",
    "/",
    "+",
    "%2B",
    "%20",
    " ",
    "%77",
    "%zz",
    "%",
    "%0A",
    ";",
    "\u{e9}",
    "x",
    "1",
    "0",
    "b",
    "a",
];

fn pieces(
    from: &'static [&'static str],
    count: impl Into<proptest::collection::SizeRange>,
) -> impl Strategy<Value = String> {
    proptest::collection::vec(select(from), count).prop_map(|pieces| pieces.concat())
}

pub(crate) fn path() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => pieces(&PATH_PIECES, 0..10),
        1 => "[a-zA-Z0-9._~!$&'()*+,;=:@/%-]{0,24}",
    ]
}

pub(crate) fn query() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => Just(String::new()),
        1 => Just("?ci_url_encoded=1".to_owned()),
        5 => pieces(&QUERY_PIECES, 0..12).prop_map(|query| format!("?{query}")),
    ]
}

/// A path, sometimes encoded as a whole, and a query that often says so.
pub(crate) fn entry() -> impl Strategy<Value = String> {
    (path(), query(), path(), 0..4_u8).prop_map(|(path, query, inner, form)| match form {
        0 => format!("{}{query}", encoded(&path)),
        1 => format!("{}?ci_url_encoded=1", encoded(&format!("{path}{query}"))),
        2 => format!("{path}{}{query}", encoded(&inner)),
        _ => format!("{path}{query}"),
    })
}

/// What a server may be asked for.
pub(crate) fn request() -> impl Strategy<Value = String> {
    let start = select(
        &["/", "/", "/", "/v7/", "//", "https://doc.cloudimg.io/", "//DOC.cloudimg.io:80/v7/", ""]
            [..],
    );
    (start, entry()).prop_map(|(start, entry)| format!("{start}{entry}"))
}

/// Texts that are mostly accepted: a path of plain words under some head, and tidy operations.
pub(crate) fn good_request() -> impl Strategy<Value = String> {
    let head = select(
        &[
            "",
            "sample.li/",
            "Sample.LI:8080/",
            "https://img.example.org/",
            "http:/IMG.example.org:80/",
            "_alias_/",
            "ftp://f/",
        ][..],
    );
    let segment = pieces(
        &[
            "a", "B", "1", "%41", "%c3%a9", "\u{e9}", "(", "%28", "&", "%26", " ", "+", "%2B", ".",
            "-", "~",
        ],
        1..5,
    );
    let path = proptest::collection::vec(
        segment.prop_map(|s| if s.trim_matches('.').is_empty() { "x".into() } else { s }),
        1..4,
    );
    let name = select(
        &["w", "h", "width", "height", "func", "f", "grey", "x%20", "wat_text", "ci_sign"][..],
    );
    let value = pieces(&["1", "300", "a,b", "%2C", "%26", "c%20d", "+", "/"], 1..3);
    let parameters =
        proptest::collection::vec((name, value).prop_map(|(n, v)| format!("{n}={v}")), 0..6);
    (head, path, parameters).prop_map(|(head, path, parameters)| {
        let query = if parameters.is_empty() {
            String::new()
        } else {
            format!("?{}", parameters.join("&"))
        };
        format!("/{head}{}.jpg{query}", path.join("/"))
    })
}
