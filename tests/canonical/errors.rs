//! Every message in full, with the position in the text as it was given.

use crate::checks;
use crate::notation::{Kind, Settings, unescape};
use cache_index::canonical::{PathErrorKind, Rules};
use cache_index::{OriginPath, PathPrefix, VariantKey};
use std::borrow::Cow;

#[track_caller]
fn message(settings: &str, kind: Kind, text: &str) -> String {
    let text = unescape(text).unwrap();
    let read = Settings::parse(settings).unwrap().read(kind, &text);
    read.unwrap_err().to_string()
}

const MESSAGES: [(&str, Kind, &str, &str); 47] = {
    use Kind::{Delivery, Invalidation};
    [
        (
            "default",
            Invalidation,
            "\\{a*8193}",
            "text too long at byte 8192: expected at most 8192 bytes",
        ),
        (
            "default",
            Invalidation,
            "a\\x0A.jpg",
            "control byte 0x0A at byte 1: expected printable characters",
        ),
        (
            "default",
            Delivery,
            "/a.jpg?w=\\x7F",
            "control byte 0x7F at byte 9: expected printable characters",
        ),
        (
            "default",
            Invalidation,
            "/a/b%7f.jpg",
            "encoded control byte 0x7F at byte 4: expected printable characters in a path",
        ),
        (
            "default",
            Invalidation,
            "\\x20a.jpg",
            "leading or trailing space at byte 0: expected \"%20\" for a space in a name",
        ),
        (
            "default",
            Invalidation,
            "a.jpg\\x20",
            "leading or trailing space at byte 5: expected \"%20\" for a space in a name",
        ),
        (
            "default",
            Invalidation,
            "a%20\\\\b",
            "backslash at byte 4: expected \"/\" between segments, or \"%5C\" inside a segment",
        ),
        (
            "default",
            Delivery,
            "/a.jpg?w=1#x",
            "raw \"#\" at byte 10: expected \"%23\" for a hash sign in a name",
        ),
        (
            "default",
            Delivery,
            "https://x.cloudimg.io/a",
            "foreign host at byte 8: expected a delivery host of these rules",
        ),
        (
            "default",
            Delivery,
            "a.jpg",
            "not a delivery URL at byte 0: expected \"https://\", \"http://\" or \"//\" and a delivery host, or \"/\"",
        ),
        (
            "default",
            Invalidation,
            "/a.jpg?w=1",
            "unexpected query at byte 6: this entry invalidates the whole picture",
        ),
        (
            "default",
            Invalidation,
            "a%2",
            "invalid percent escape at byte 1: expected two hex digits",
        ),
        (
            "default",
            Delivery,
            "/a.jpg?w=%zz",
            "invalid percent escape at byte 9: expected two hex digits",
        ),
        (
            "default",
            Delivery,
            "/a.jpg?w=1%4&h=2",
            "invalid percent escape at byte 10: expected two hex digits",
        ),
        (
            "default",
            Delivery,
            "//doc.cloudimg.io/a.jpg?ci_sign=%",
            "invalid percent escape at byte 32: expected two hex digits",
        ),
        (
            "v7",
            Delivery,
            "//a.jpg",
            "foreign host at byte 2: expected a delivery host of these rules",
        ),
        (
            "v7",
            Invalidation,
            "//a.jpg",
            "missing segment at byte 2: expected \"v7/\", which URLs of this token start with",
        ),
        (
            "default",
            Delivery,
            "https://doc.cloudimg.io/v7/a.jpg",
            "unexpected \"v7\" at byte 24: expected the origin, as URLs of this token have no \"v7/\"",
        ),
        ("default", Invalidation, "//", "path is empty at byte 2: expected the path of an origin"),
        (
            "default",
            Invalidation,
            "a/..",
            "path is empty at byte 4: expected the path of an origin",
        ),
        (
            "default",
            Delivery,
            "/a.jpg?\\{a&*256}w",
            "more than 256 parameters at byte 519: expected at most 256",
        ),
        (
            "default",
            Delivery,
            "/a.jpg?\\{ci_sign&*128}\\{&&a=%*128}&b%",
            "more than 256 parameters at byte 1672: expected at most 256",
        ),
        (
            "scope=urls",
            Invalidation,
            "a.jpg?\\{a&*256}&&w",
            "more than 256 parameters at byte 520: expected at most 256",
        ),
        (
            "item=transformation",
            Invalidation,
            "\\{a&*256}w",
            "more than 256 parameters at byte 512: expected at most 256",
        ),
        (
            "item=transformation",
            Invalidation,
            "?&",
            "transformation is empty at byte 2: expected at least one operation",
        ),
        (
            "default",
            Invalidation,
            "/s3://b/k",
            "unsupported scheme at byte 1: expected \"https\", \"http\" or \"ftp\"",
        ),
        (
            "default",
            Invalidation,
            "https://u:p@h/a",
            "credentials at byte 11: expected a host without \"@\"",
        ),
        ("default", Invalidation, "https:///", "empty host at byte 9: expected a host name"),
        (
            "default",
            Invalidation,
            "h%74tp://h%41:x/",
            "invalid port at byte 14: expected a number up to 65535",
        ),
        (
            "default",
            Invalidation,
            "https://m\u{fc}nchen.example/",
            "host not in ASCII at byte 9: expected its \"xn--\" form",
        ),
        (
            "default",
            Invalidation,
            "/a/%2e%2E/../b",
            "path climbs above its root at byte 10: expected no more \"..\" than there are segments before it",
        ),
        (
            "default",
            Invalidation,
            "/doc.cloudimg.io/a",
            "delivery URL at byte 1: expected its origin part alone",
        ),
        (
            "default",
            Delivery,
            "/doc.cloudimg.io/doc.cloudimg.io/doc.cloudimg.io/doc.cloudimg.io/doc.cloudimg.io/a",
            "delivery URL at byte 65: expected at most 4 of them nested in another",
        ),
        (
            "prefix=https://h/p",
            Invalidation,
            "/https://h/p/a",
            "origin prefix included at byte 1: expected the path below the prefix alone",
        ),
        (
            "default",
            Delivery,
            "/caf\u{e9}*?w=1",
            "wildcard not allowed at byte 6: expected \"%2A\" for a star in a name",
        ),
        (
            "default",
            Invalidation,
            "https://a%28b.example/",
            "invalid host at byte 9: expected ASCII letters, digits, \".\", \"-\" and \"_\"",
        ),
        (
            "default",
            Invalidation,
            "\u{feff}sample.li/a.jpg",
            "byte order mark at byte 0: expected text without one, or \"%EF%BB%BF\"",
        ),
        (
            "wildcard=on",
            Invalidation,
            "//sample.li/*.jpg",
            "misplaced wildcard at byte 12: only a final * is a wildcard; a star in a name is %2A",
        ),
        (
            "wildcard=on;v7",
            Invalidation,
            "/v7/a/**",
            "misplaced wildcard at byte 6: only a final * is a wildcard; a star in a name is %2A",
        ),
        (
            "wildcard=on",
            Invalidation,
            "/^/.*",
            "misplaced \"^\" at byte 1: only a final * is a wildcard; a star in a name is %2A",
        ),
        (
            "default",
            Invalidation,
            "/sample.li/*",
            "wildcard not allowed at byte 11: expected \"%2A\" for a star in a name",
        ),
        // Positions lead back through decoding, ...
        (
            "default",
            Delivery,
            "/%61%2F..%2F..?ci_url_encoded=1",
            "path climbs above its root at byte 12: expected no more \"..\" than there are segments before it",
        ),
        (
            "default",
            Delivery,
            "/a%3Fb%5Cc?ci_url_encoded=1&w=1",
            "backslash at byte 6: expected \"/\" between segments, or \"%5C\" inside a segment",
        ),
        (
            "default",
            Invalidation,
            "/%2F%3Fa?ci_url_encoded=1",
            "path is empty at byte 4: expected the path of an origin",
        ),
        // ... through dot segments that hid the form of the origin, ...
        (
            "default",
            Invalidation,
            "a/.././%41/../ftp://u@h/",
            "credentials at byte 21: expected a host without \"@\"",
        ),
        // ... and through nested delivery URLs.
        (
            "default",
            Delivery,
            "/doc.cloudimg.io/%41/b/../../../c",
            "path climbs above its root at byte 29: expected no more \"..\" than there are segments before it",
        ),
        (
            "default",
            Delivery,
            "/doc.cloudimg.io%2Fa%3Fw=%2525%25?ci_url_encoded=1",
            "invalid percent escape at byte 30: expected two hex digits",
        ),
    ]
};

#[test]
fn messages_say_what_is_wrong_where_and_what_was_expected() {
    for (settings, kind, text, expected) in MESSAGES {
        assert_eq!(message(settings, kind, text), expected, "{text}");
    }
}

#[test]
fn canonical_text_is_accepted_in_every_form() {
    for text in [
        "sample.li/birds.jpg",
        "My.Folder/Birds.JPG",
        "Birds.JPG",
        "_Alias_/a/",
        "https://img.domain.com/a.jpg?w=22",
        "http://h:8080//a//",
        "ftp://files.example.com/",
        "https%3A%2F%2Fsample.li%2Fflat.jpg",
        "a?",
        "a*?x",
        "v7/a",
        "caf%C3%A9/(1)%28+",
    ] {
        let path = OriginPath::from_canonical(text).unwrap();
        assert_eq!(path.as_str(), text);
        assert_eq!(text.parse::<OriginPath<'_>>().unwrap(), path.into_owned());
    }
    for text in ["", "sample.li/av", "_a", "https://h/", "a/..", "a/.", "http", "My.Folder/"] {
        assert_eq!(PathPrefix::from_canonical(text).unwrap().as_str(), text);
    }
    for text in [
        "?",
        "?h=400&w=600",
        "?r=90?w=300",
        "??w=300",
        "?????",
        "?w=1&width=2",
        "?ci_url_encoded=0",
        "?a=%26",
    ] {
        assert_eq!(VariantKey::from_canonical(text).unwrap().as_str(), text);
    }
}

#[test]
fn text_that_is_not_canonical_is_refused_where_it_differs() {
    let not =
        |at| format!("text not canonical at byte {at}: expected what canonicalization writes");
    for (text, at) in [
        ("/a.jpg", 0),
        ("a b", 1),
        ("a%2fb", 3),
        ("a/%7E", 2),
        ("a/./b", 2),
        ("HTTP://h/", 0),
        ("https:/h/a", 7),
        ("https://H/a", 8),
        ("https://h:443/a", 9),
        ("https://h", 9),
        ("a?\"", 2),
    ] {
        assert_eq!(OriginPath::from_canonical(text).unwrap_err().to_string(), not(at), "{text}");
    }
    for (text, at) in [("/a", 0), ("a/../b", 0), ("https://H/a", 8)] {
        assert_eq!(PathPrefix::from_canonical(text).unwrap_err().to_string(), not(at), "{text}");
    }
    for (text, at) in [
        ("", 0),
        ("w=1", 0),
        ("?w=1&h=1", 1),
        ("?width=1", 2),
        ("?w=1&", 4),
        ("?w=1?h=2&", 8),
        ("?ci_sign=1", 1),
        ("?a=%2c", 3),
        ("?a=!", 3),
        ("?w=1@", 4),
        ("?w=1@gopher#webp", 4),
    ] {
        assert_eq!(VariantKey::from_canonical(text).unwrap_err().to_string(), not(at), "{text}");
    }
}

#[test]
fn text_that_no_input_could_give_keeps_the_error_of_an_input() {
    let origin = |text| OriginPath::from_canonical(text).unwrap_err().to_string();
    assert_eq!(origin(""), "path is empty at byte 0: expected the path of an origin");
    assert_eq!(origin("?w=1"), "path is empty at byte 0: expected the path of an origin");
    assert_eq!(
        origin("a/*"),
        "wildcard not allowed at byte 2: expected \"%2A\" for a star in a name"
    );
    assert_eq!(origin("a#"), "raw \"#\" at byte 1: expected \"%23\" for a hash sign in a name");
    let prefix = |text| PathPrefix::from_canonical(text).unwrap_err().to_string();
    assert_eq!(
        prefix("a?"),
        "unexpected query at byte 1: this entry invalidates the whole picture"
    );
    let variant = |text| VariantKey::from_canonical(text).unwrap_err().to_string();
    assert_eq!(variant("?a=%"), "invalid percent escape at byte 3: expected two hex digits");
    assert_eq!(
        variant("??????"),
        "delivery URL at byte 5: expected at most 4 of them nested in another"
    );
    assert_eq!(
        variant("?w=1@http#web p"),
        "invalid mark at byte 13: expected letters, digits and \"-._~,:/+\""
    );
    assert_eq!(variant("?w=1#"), "empty mark at byte 5: expected the name of a representation");
    assert_eq!(
        variant(&format!("?{}", "a".repeat(3 * 8192))),
        "text not canonical at byte 24576: expected what canonicalization writes"
    );
}

#[test]
fn the_longest_canonical_text_is_three_times_the_longest_input() {
    let longest = "%20".repeat(8192);
    let longer = format!("{longest}a");
    let error = "text not canonical at byte 24576: expected what canonicalization writes";
    assert!(OriginPath::from_canonical(&longest).is_ok());
    assert_eq!(OriginPath::from_canonical(&longer).unwrap_err().to_string(), error);
    assert!(PathPrefix::from_canonical(&longest).is_ok());
    assert_eq!(PathPrefix::from_canonical(&longer).unwrap_err().to_string(), error);
    let (longest, longer) = (format!("?{}", &longer[2..]), format!("?{longest}"));
    assert!(VariantKey::from_canonical(&longest).is_ok());
    assert_eq!(VariantKey::from_canonical(&longer).unwrap_err().to_string(), error);
}

#[test]
fn text_that_is_longest_when_respelled_is_read_to_its_end() {
    for name in ["!".repeat(24_575), format!("{}!", "!&".repeat(200)) + &"!".repeat(24_000)] {
        let error = VariantKey::from_canonical(&format!("?{name}")).unwrap_err();
        assert_eq!((error.kind(), error.byte_offset()), (PathErrorKind::NotCanonical, 1));
    }
}

#[test]
fn a_query_has_at_most_256_parameters() {
    for (one, is_dropped) in [("w=1", false), ("a", false), ("ci_sign=1", true), ("%61=%2c", false)]
    {
        for count in 254..=259 {
            let query = format!("?{}", vec![one; count].join("&&"));
            let nested =
                format!("/https://doc.cloudimg.io/a.jpg{}{query}", query.replace('?', "%3F"));
            checks::request("default", format!("/a.jpg{query}").as_bytes());
            checks::request("default", nested.as_bytes());
            checks::entry("scope=urls", format!("/a.jpg{query}").as_bytes());
            let rules = Rules::builder().token("doc").build().unwrap();
            let read = rules.delivery(format!("/a.jpg{query}").as_bytes()).map(|read| {
                assert_eq!(read.variant.as_str() == "?", is_dropped);
                read.variant.as_str().len()
            });
            assert_eq!(read.is_ok(), count <= 256, "{count} {one}");
            let Err(error) = read else { continue };
            let at = "/a.jpg?".len() + 256 * (one.len() + "&&".len());
            assert_eq!((error.kind(), error.byte_offset()), (PathErrorKind::TooManyParameters, at));
        }
    }
    let key = |count| format!("?r=1?{}", vec!["w=1"; count].join("&"));
    assert!(VariantKey::from_canonical(&key(256)).is_ok());
    assert_eq!(
        VariantKey::from_canonical(&key(257)).unwrap_err().to_string(),
        "more than 256 parameters at byte 1029: expected at most 256"
    );
}

#[test]
fn every_kind_of_input_is_read_alike() {
    let rules = Rules::default();
    let text = "/caf\u{e9}.jpg?w=1";
    let expected = rules.delivery(text).unwrap();
    let mut array = [0; 14];
    array.copy_from_slice(text.as_bytes());
    let (string, bytes) = (text.to_owned(), text.as_bytes().to_owned());
    assert_eq!(rules.delivery(&array).unwrap(), expected);
    assert_eq!(rules.delivery(&text).unwrap(), expected);
    assert_eq!(rules.delivery(&string).unwrap(), expected);
    assert_eq!(rules.delivery(&string.clone().into_boxed_str()).unwrap(), expected);
    assert_eq!(rules.delivery(&Cow::Borrowed(text)).unwrap(), expected);
    assert_eq!(rules.delivery(text.as_bytes()).unwrap(), expected);
    assert_eq!(rules.delivery(&bytes).unwrap(), expected);
    assert_eq!(rules.delivery(&bytes.clone().into_boxed_slice()).unwrap(), expected);
    assert_eq!(rules.delivery(&Cow::Borrowed(text.as_bytes())).unwrap(), expected);
}

#[test]
fn a_request_target_says_what_it_may_be() {
    let rules = Rules::builder().token("doc").build().unwrap();
    for target in ["*", "", "sample.li/a.jpg", "ftp://doc.cloudimg.io/a.jpg"] {
        assert_eq!(
            rules.request_target(target).unwrap_err().to_string(),
            "not a request target at byte 0: expected \"/\", or \"https://\" or \"http://\" and a delivery host"
        );
    }
    let error = rules.request_target("http://other.example/a.jpg").unwrap_err();
    assert_eq!(
        error.to_string(),
        "foreign host at byte 7: expected a delivery host of these rules"
    );
}
