//! Strategies for texts: made of pieces that mean something, so that few of them fail at the first
//! step.

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

/// Queries of many parameters, whose names are alike in their first bytes, in the next, or as a
/// whole; some spelled so that it doesn't show. More of them than fit into small arrays and single
/// words, over the ends of blocks.
pub(crate) fn long_query() -> impl Strategy<Value = String> {
    let stem = select(
        &[
            "",
            "a",
            "n",
            "bg_color",
            "abcdefgh",
            "abcdefghijklmnop",
            "abcdefg%68",
            "%61bcdefgh",
            "width",
            "wat_colour",
            "%20",
            "\u{e9}",
            "caf%C3%A9",
        ][..],
    );
    let end = prop_oneof![
        3 => "[a-d]{0,2}",
        1 => "[a-d]{6,10}",
        1 => Just("x".repeat(70)),
        1 => select(&["%20", "%41", "!", "+", "ize", "~"][..]).prop_map(str::to_owned),
    ];
    let value = prop_oneof![
        2 => Just(String::new()),
        4 => "=[0-9a-z:,/]{0,12}",
        1 => Just(format!("={}", "v".repeat(90))),
        1 => select(&["==", "=a=b", "=%2c", "=%", "=%4", "=!\u{e9}", "=?"][..]).prop_map(str::to_owned),
    ];
    let piece = prop_oneof![
        12 => (stem, end, value).prop_map(|(stem, end, value)| format!("{stem}{end}{value}")),
        1 => select(&["", "", "ci_sign=1", "width=1", "w=1", "ci_url_encoded=1", "bg_colour"][..])
            .prop_map(str::to_owned),
    ];
    let count = prop_oneof![4 => 0..30_usize, 2 => 20..30_usize, 1 => 40..220_usize];
    count
        .prop_flat_map(move |count| proptest::collection::vec(piece.clone(), count))
        .prop_map(|pieces| pieces.join("&"))
}

/// Requests with parts that are longer than one step of the scan, canonical or nearly so.
pub(crate) fn long_request() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        6 => "[a-z0-9._-]{1,20}",
        1 => "[a-zA-Z()!&=]{1,9}",
        1 => select(&[".", "..", "", "%41", "%2E", "%e9", "\u{e9}\u{e9}\u{e9}", " ", "%zz", "*", "#", "\t"][..])
            .prop_map(str::to_owned),
    ];
    let path = proptest::collection::vec(segment, 1..24).prop_map(|path| path.join("/"));
    let operations = proptest::collection::vec("[a-h]{1,3}(=[0-9a-z]{0,4})?", 0..9);
    let query = prop_oneof![
        2 => operations.prop_map(|mut pieces| {
            pieces.sort();
            pieces.join("&")
        }),
        1 => long_query(),
    ];
    let start = select(
        &[
            "/",
            "/sample.li/",
            "/https://h.example/",
            "https://doc.cloudimg.io/",
            "//doc.cloudimg.io/My.li/",
        ][..],
    );
    (start, path, query).prop_map(|(start, path, query)| {
        if query.is_empty() { format!("{start}{path}") } else { format!("{start}{path}?{query}") }
    })
}

/// Requests as short as honest ones, with the changes that clients need, none or several at a time.
pub(crate) fn short_request() -> impl Strategy<Value = String> {
    let start = select(
        &[
            "/",
            "/",
            "//doc.cloudimg.io/",
            "https://doc.cloudimg.io/",
            "https://doc.cloudimg.io/v7/",
        ][..],
    );
    let head = select(
        &[
            "media",
            "sample.li",
            "Sample.LI",
            "_cdn_",
            "My_Folder",
            "https://img.example.org",
            "HTTP://IMG.example.org",
            "https://h:8080",
            "doc.cloudimg.io",
            "hello.s3.aws.com/bucket",
        ][..],
    );
    let segment = prop_oneof![
        8 => "[a-zA-Z0-9_-]{1,9}",
        2 => pieces(&["a", "%2D", "%2d", "%20", "%41", " ", "(1)", "\u{e9}", "%C3%A9", "&", "=", "+", "~", "@"], 1..4),
        1 => select(&[".", "..", ".a", "%2E", "%2e%2E", ".%2e", "", "a*", "*", "\\", "%", "%0A", "#"][..]).prop_map(str::to_owned),
    ];
    let path = (proptest::collection::vec(segment, 1..6), select(&["", ".jpg", "/", "*"][..]))
        .prop_map(|(path, end)| format!("{}{end}", path.join("/")));
    let name = select(
        &[
            "w",
            "h",
            "width",
            "height",
            "func",
            "f",
            "grey",
            "gray",
            "bg_colour",
            "bg_color",
            "wat_text",
            "q",
            "ci_sign",
            "ci_eqs",
            "%77",
            "x+",
        ][..],
    );
    let value = prop_oneof![
        6 => "(=[0-9a-z]{0,9})?",
        2 => pieces(&["1", "bright%3A15", "%2C", ",", "a b", "%20", "+", "\u{e9}", "/.", "%2f"], 1..3).prop_map(|value| format!("={value}")),
        1 => select(&["=a=b", "=a?b", "=%", "=dz0xMDA", "=Y2lfdXJsX2VuY29kZWQ9MQ"][..]).prop_map(str::to_owned),
    ];
    let parameter = prop_oneof![
        12 => (name, value).prop_map(|(name, value)| format!("{name}{value}")),
        1 => select(&["", "ci_url_encoded=1", "ci_url_encoded=0"][..]).prop_map(str::to_owned),
    ];
    let query = proptest::collection::vec(parameter, 0..7).prop_map(|pieces| pieces.join("&"));
    (start, head, path, query, 0..5_u8).prop_map(|(start, head, path, query, form)| {
        let origin = format!("{head}/{path}");
        match form {
            0 => format!("{start}{}?{query}&ci_url_encoded=1", origin.replace('/', "%2F")),
            1 if query.is_empty() => format!("{start}{origin}"),
            _ => format!("{start}{origin}?{query}"),
        }
    })
}

/// A path, sometimes encoded as a whole, and a query that often has the flag for it.
pub(crate) fn entry() -> impl Strategy<Value = String> {
    (path(), query(), path(), 0..4_u8).prop_map(|(path, query, inner, form)| match form {
        0 => format!("{}{query}", encoded(&path)),
        1 => format!("{}?ci_url_encoded=1", encoded(&format!("{path}{query}"))),
        2 => format!("{path}{}{query}", encoded(&inner)),
        _ => format!("{path}{query}"),
    })
}

/// Requests that a server may receive.
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

const HOST_PIECES: [&str; 56] = [
    ".",
    ".",
    ".",
    ".",
    "..",
    ":",
    ":80",
    ":443",
    ":21",
    ":0443",
    ":8080",
    ":99999",
    ":0",
    "%3A",
    "%3A80",
    "https",
    "HTTPS",
    "ftp",
    "://",
    "%3A/",
    "%3A//",
    "%3A///",
    "/",
    "www",
    "WWW",
    "example",
    "li",
    "LI",
    "espa\u{f1}ol",
    "Espa%C3%91ol",
    "xn--espaol-zwa",
    "XN--ESPAOL-ZWA",
    "xn--",
    "xn",
    "x",
    "m\u{fc}nchen",
    "%C3",
    "%BC",
    "e",
    "%CC%81",
    "\u{3002}",
    "\u{ad}",
    "\u{ff21}",
    "localhost",
    "LOCALHOST",
    "10.0.0.1",
    "127",
    "[",
    "]",
    "::1",
    "_",
    "-",
    "*",
    "+",
    "(",
    "%20",
];

/// Requests whose first segment is a host in one of its spellings, or nearly so.
pub(crate) fn host_request() -> impl Strategy<Value = String> {
    let host = prop_oneof![
        2 => pieces(&HOST_PIECES, 1..7),
        1 => (
            select(&["", "", "https://", "http:/", "https%3A//", "FTP%3a//"][..]),
            select(&["www.", "", "WWW.", "a.", "_.", "my_"][..]),
            select(&["espa\u{f1}ol", "ESPA%C3%91OL", "xn--espaol-zwa", "Sample", "sample", "10.0.0", "localhost"][..]),
            select(&[".example", ".Example", ".example.", ".1", ".xn--p1ai", ""][..]),
            select(&["", ":", ":80", ":443", ":0443", ":8080", "%3A8080", "%3A80", "%3A"][..]),
        ).prop_map(|(scheme, first, name, top, port)| format!("{scheme}{first}{name}{top}{port}")),
    ];
    let rest = select(&["", "/", "/a", "/a(1)", "/a%281%29?w=1", "?w=1", "//a*b"][..]);
    (host, rest, any::<bool>()).prop_map(|(host, rest, is_encoded)| {
        let text = format!("{host}{rest}");
        if is_encoded {
            format!("/{}?ci_url_encoded=1", encoded(&text))
        } else {
            format!("/{text}")
        }
    })
}
