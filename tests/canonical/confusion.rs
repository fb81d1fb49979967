//! Classes of faults by which caches have served a wrong picture, or kept a purged one. Each has
//! its public case, and at least six spellings here, in requests and in invalidation entries.

use cache_index::canonical::{PathErrorKind, Rules, Target};

/// The expected relation of two spellings.
enum Relation {
    /// They are one picture: whichever is requested, purging the other takes it.
    Meet,
    /// They are two: purging one leaves the other.
    Apart,
}
use Relation::{Apart, Meet};

fn rules() -> Rules {
    Rules::builder().token("doc").custom_host("img.example.com").build().unwrap()
}

/// Returns the names of a request and an entry. If both are refused, returns their common reason.
fn named(text: &str) -> Result<(String, String), PathErrorKind> {
    let rules = rules();
    let request = format!("/{text}");
    let requested = rules.delivery(&request).map_err(|error| error.kind());
    let entry = rules.variant_entry(text).map_err(|error| error.kind());
    match (requested, entry) {
        (Ok(requested), Ok(entry)) => {
            assert_eq!(Target::Path(requested.origin.borrowed()), entry.target, "{text}");
            assert_eq!(requested.variant, entry.variant, "{text}");
            let whole = rules.invalidation(text.split('?').next().unwrap());
            let flagged = text.contains("ci_url_encoded");
            assert!(flagged || whole == Ok(entry.target), "{text}");
            Ok((requested.origin.to_string(), requested.variant.to_string()))
        }
        (Err(requested), Err(entry)) => {
            assert_eq!(requested, entry, "{text}");
            Err(entry)
        }
        (requested, entry) => panic!("{text}: {requested:?}, {entry:?}"),
    }
}

#[track_caller]
fn check(cases: &[(&str, &str, Relation)], refused: &[(&str, PathErrorKind)]) {
    assert!(cases.len() + refused.len() >= 6, "{} cases", cases.len() + refused.len());
    for (one, other, relation) in cases {
        let (names, other_names) = (named(one).unwrap(), named(other).unwrap());
        match relation {
            Meet => assert_eq!(names, other_names, "{one} {other}"),
            Apart => assert_ne!(names, other_names, "{one} {other}"),
        }
    }
    for (text, kind) in refused {
        assert_eq!(named(text), Err(*kind), "{text}");
    }
}

/// Pingora, CVE-2026-2836: the path alone was the key, and one tenant got the pictures of another.
#[test]
fn k1_the_host_is_in_the_name_and_tenants_are_told_apart() {
    check(
        &[
            ("a.example/x.jpg", "b.example/x.jpg", Apart),
            ("https://a.example/x.jpg", "https://b.example/x.jpg", Apart),
            ("a.example/x.jpg", "x.jpg", Apart),
            ("https://a.example:8443/x.jpg", "https://a.example/x.jpg", Apart),
            ("https://other.cloudimg.io/x.jpg", "x.jpg", Apart),
            ("http://a.example/x.jpg", "ftp://a.example/x.jpg", Apart),
        ],
        &[],
    );
    for request in [
        "https://other.cloudimg.io/a.jpg",
        "//doc.cloudimg.io.evil.example/a.jpg",
        "//doc.cloudimg.io@evil.example/a.jpg",
        "https://xdoc.cloudimg.io/a.jpg",
        "https://doc.cloudimg.io:8080/a.jpg",
        "https://doc.cloudimg.io%2F@other/a.jpg",
        "doc.cloudimg.io/a.jpg",
    ] {
        let error = rules().delivery(request).unwrap_err();
        assert_eq!(error.kind(), PathErrorKind::ForeignHost, "{request}");
    }
    for entry in [
        "https://doc.cloudimg.io/a.jpg",
        "img.example.com/a.jpg",
        "//IMG.example.com:80/a.jpg",
        "http:/doc.cloudimg.io/",
        "h%74tps://doc.cloudimg.i%6F/a",
        "./doc.cloudimg.io/a",
    ] {
        let error = rules().invalidation(entry).unwrap_err();
        assert_eq!(error.kind(), PathErrorKind::DeliveryUrl, "{entry}");
    }
}

/// trafficserver issue 7563: `http://%3A%40victim.com%2F@attacker.com/` has the key of
/// `victim.com/:@attacker.com/`.
#[test]
fn k2_delimiters_inside_of_parts_stay_inside() {
    check(
        &[
            ("a/b%3Fw=1", "a/b?w=1", Apart),
            ("a?b=c%26d=e", "a?b=c&d=e", Apart),
            ("a?b%3Dc", "a?b=c", Apart),
            ("a?w=1%3Fh=2", "a%3Fw=1?h=2", Apart),
            ("a%2Fb/c", "a/b%2Fc", Apart),
            ("a?x=%23webp", "a?x=", Apart),
            ("a?x=1%40https", "a?x=1", Apart),
        ],
        &[
            ("http://%3A%40victim.com%2F@attacker.com/", PathErrorKind::UserInfo),
            ("http://%3A%40victim.com/", PathErrorKind::InvalidHost),
        ],
    );
}

/// Envoy, CVE-2019-9901: `/info/../private` passed as `/info/`.
#[test]
fn k3_dot_segments_are_resolved_before_the_name() {
    check(
        &[
            ("s.li/info/../private", "s.li/private", Meet),
            ("s.li/./a/./b", "s.li/a/b", Meet),
            ("s.li/a/..", "s.li/", Meet),
            ("s.li/a/b/../../c", "s.li/c", Meet),
            ("./s.li/a", "s.li/a", Meet),
            ("https://h/a/../b", "https://h/b", Meet),
            ("s.li/...", "s.li/", Apart),
        ],
        &[
            ("s.li/../private", PathErrorKind::Traversal),
            ("../a", PathErrorKind::Traversal),
            ("https://h/a/../../b", PathErrorKind::Traversal),
        ],
    );
}

/// keycloak pull request 51526; fast-uri, CVE-2026-6321: `%2E%2E` was decoded after dot segments
/// had been resolved.
#[test]
fn k4_encoded_dots_are_dots() {
    check(
        &[
            ("s.li/a/%2e%2e/b", "s.li/b", Meet),
            ("s.li/a/%2E./b", "s.li/b", Meet),
            ("s.li/a/.%2e/b", "s.li/b", Meet),
            ("s.li/%2E/b", "s.li/b", Meet),
            ("s.li/%2E%2E%2E", "s.li/...", Meet),
            ("s.li/a%2F%2E%2E%2Fb", "s.li/b", Apart),
        ],
        &[
            ("%2e%2e/a", PathErrorKind::Traversal),
            ("s.li/%2e%2E/a", PathErrorKind::Traversal),
            ("s.li%2F%2e%2e%2Fa?ci_url_encoded=1", PathErrorKind::Traversal),
        ],
    );
}

/// Istio, CVE-2021-31920: `//admin` was `/admin` for the backend only.
#[test]
fn k5_slashes_have_one_rule() {
    check(
        &[
            ("s.li//a", "s.li/a", Apart),
            ("s.li/a/", "s.li/a", Apart),
            ("s.li/a//", "s.li/a/", Apart),
            ("https:/h/a", "https://h/a", Meet),
            ("https:////h/a", "https://h/a", Meet),
            ("https://h//a", "https://h/a", Apart),
        ],
        &[],
    );
    for spelling in ["//s.li/a", "///s.li/a", "////s.li/a"] {
        assert_eq!(rules().invalidation(spelling), rules().invalidation("s.li/a"));
        let request = format!("https://doc.cloudimg.io{spelling}");
        assert_eq!(rules().delivery(&request), rules().delivery("/s.li/a"));
    }
}

/// Envoy, CVE-2021-29492: `%2F` and `%5C` were separators for one side only.
#[test]
fn k6_encoded_slashes_and_backslashes_are_data() {
    check(
        &[
            ("s.li/a%2Fb", "s.li/a/b", Apart),
            ("s.li/a%2fb", "s.li/a%2Fb", Meet),
            ("s.li/a%5Cb", "s.li/a/b", Apart),
            ("s.li/a%5cb", "s.li/a%5Cb", Meet),
            ("s.li/a%2F..%2Fb", "s.li/b", Apart),
            ("s.li%2Fa", "s.li/a", Apart),
        ],
        &[
            ("s.li\\a", PathErrorKind::InvalidCharacter),
            ("s.li/a\\..\\b", PathErrorKind::InvalidCharacter),
            ("s.li%5Ca?ci_url_encoded=1", PathErrorKind::InvalidCharacter),
        ],
    );
}

/// Envoy, CVE-2026-73551: `/..;/admin` survived normalization, and a server behind dropped the `;`.
#[test]
fn k7_path_parameters_are_part_of_their_segment() {
    check(
        &[
            ("s.li/a;v=1/b", "s.li/a/b", Apart),
            ("s.li/a/..;/b", "s.li/b", Apart),
            ("s.li/a/.;/b", "s.li/a/b", Apart),
            ("s.li/a;jpg", "s.li/a", Apart),
            ("s.li/a%3Bv", "s.li/a;v", Apart),
            ("s.li/..;/..;/a", "s.li/a", Apart),
            ("s.li/%2e%2e;/a", "s.li/..;/a", Meet),
        ],
        &[],
    );
}

/// calico pull request 12531: `%252e%252e` was decoded twice.
#[test]
fn k8_nothing_is_decoded_twice() {
    check(
        &[
            ("s.li/%252e%252e/a", "s.li/a", Apart),
            ("s.li/b/%252e%252e/a", "s.li/a", Apart),
            ("s.li/%2541", "s.li/A", Apart),
            ("s.li/%2541", "s.li/%41", Apart),
            ("s.li/%2520", "s.li/%20", Apart),
            ("s.li/%25%34%31", "s.li/%2541", Meet),
            ("s.li%2F%252541?ci_url_encoded=1", "s.li/%2541", Meet),
            ("a?x=%2541", "a?x=A", Apart),
        ],
        &[],
    );
}

/// James Kettle, Web Cache Entanglement, 2020: one side sees a parameter that the other doesn't.
#[test]
fn k9_queries_have_one_reading() {
    check(
        &[
            ("a?w=1&h=2", "a?h=2&w=1", Meet),
            ("a?w=1&w=2", "a?w=2&w=1", Apart),
            ("a?w=1;h=2", "a?w=1&h=2", Apart),
            ("a?w=1&&h=2&", "a?w=1&h=2", Meet),
            ("a?width=1", "a?w=1", Meet),
            ("a?w=1&width=2", "a?w=2&width=1", Apart),
            ("a?w=1&utm_source=x", "a?w=1", Apart),
            ("a?rotate=90&crop=0,0,5,9", "a?crop=0,0,5,9&rotate=90", Apart),
            ("a?rotate=90&w=1&crop=0,0,5,9", "a?w=1&rotate=90&crop=0,0,5,9", Meet),
            ("a?w=1&ci_sign=abc", "a?w=1", Meet),
            ("a?%77=1", "a?w=1", Meet),
            ("a?w", "a?w=", Apart),
            ("a?w=1?h=2", "a?w=1&h=2", Apart),
            ("a?W=1", "a?w=1", Apart),
        ],
        &[],
    );
}

/// Cached and Confused, USENIX Security 2020: `x.css`, `%00`, `%0a`, `%23` and `%3f` ended the path
/// for one side.
#[test]
fn k10_nothing_ends_a_path_early() {
    check(
        &[
            ("s.li/account/x.css", "s.li/account", Apart),
            ("s.li/a%23x.css", "s.li/a", Apart),
            ("s.li/a%3Fx.css", "s.li/a", Apart),
            ("s.li/a%3Bx.css", "s.li/a", Apart),
            ("s.li/a%20", "s.li/a", Apart),
            ("s.li/a.", "s.li/a", Apart),
        ],
        &[
            ("s.li/a%00.jpg", PathErrorKind::ControlByte),
            ("s.li/a%0a.jpg", PathErrorKind::ControlByte),
            ("s.li/a%7F.jpg", PathErrorKind::ControlByte),
            ("s.li/a\0.jpg", PathErrorKind::ControlByte),
            ("s.li/a\r\nX: y", PathErrorKind::ControlByte),
            ("s.li/a#x.css", PathErrorKind::Fragment),
        ],
    );
}

/// RFC 3986, section 6: two entries for one picture, of which a purge misses one.
#[test]
fn k11_spellings_that_are_equivalent_meet() {
    check(
        &[
            ("s.li/%c3%a9", "s.li/%C3%A9", Meet),
            ("S.LI/a", "s.li/a", Meet),
            ("HTTPS://S.li/a", "https://s.li/a", Meet),
            ("https://s.li:443/a", "https://s.li/a", Meet),
            ("http://s.li:080/a", "http://s.li/a", Meet),
            ("https://s.li:/a", "https://s.li/a", Meet),
            ("https://s.li", "https://s.li/", Meet),
            ("s.li/%7Ea", "s.li/~a", Meet),
            // Distinct under the exact rules, and grouped together.
            ("https://s.li./a", "https://s.li/a", Apart),
            ("s.li/A", "s.li/a", Apart),
        ],
        &[],
    );
    let grouped = |text: &str| rules().invalidation(text).unwrap().into_owned().grouped();
    for spelling in [
        "https://s.li./a",
        "http://s.li/a",
        "S.li:80/a",
        "https://S.LI.:443/a",
        "s.li:443/%61",
        "ftp://s.li/a",
    ] {
        assert_eq!(grouped(spelling), grouped("s.li/a"), "{spelling}");
    }
}

/// `%c0%ae` is a dot for lax decoders; two forms of one letter are two names for others.
#[test]
fn k12_bytes_are_compared_not_characters() {
    check(
        &[
            ("s.li/caf\u{e9}", "s.li/cafe\u{301}", Apart),
            ("s.li/caf\u{e9}", "s.li/caf%C3%A9", Meet),
            ("s.li/caf%E9", "s.li/caf\u{e9}", Apart),
            ("s.li/%c0%ae%c0%ae/a", "s.li/%C0%AE%C0%AE/a", Meet),
            ("s.li/b/%c0%ae%c0%ae/a", "s.li/a", Apart),
            ("s.li/\u{ff0e}\u{ff0e}/a", "s.li/a", Apart),
            ("s.li/\u{212a}", "s.li/K", Apart),
            ("s.li/\u{130}", "s.li/i", Apart),
        ],
        &[("https://m\u{fc}nchen.example/a", PathErrorKind::InvalidHost)],
    );
}

/// cloudflare-docs issue 5767: purges ignored the normalization of URLs, and content under
/// normalized ones stayed.
#[test]
fn k13_every_request_spelling_meets_every_entry_spelling() {
    let families: [(&[&str], &[&str]); 3] = [
        (
            &[
                "/sample.li/caf%C3%A9/a.jpg",
                "https://doc.cloudimg.io/Sample.LI/caf%c3%a9/a.jpg?w=1",
                "//img.example.com//sample.li/x/../caf\u{e9}/./a.jpg",
                "/sample.li/c%61f%C3%A9/%61.jpg?ci_sign=1",
                "/sample.li%2Fcaf%C3%A9%2Fa.jpg?ci_url_encoded=1",
                "/doc.cloudimg.io/sample.li/caf%C3%A9/a.jpg?w=2",
            ],
            &[
                "sample.li/caf\u{e9}/a.jpg",
                "/SAMPLE.LI/caf%c3%a9/a.jpg",
                "//sample.li/caf%C3%A9/./a.jpg",
                "sample.li/x/%2E%2E/caf%C3%A9/a.jpg",
                "sample.li/caf%C3%A9/%61%2Ejpg",
                "%73ample.li%2Fcaf%25C3%25A9%2Fa.jpg?ci_url_encoded=1",
            ],
        ),
        (
            &[
                "/https://h.example/a%2Bb.jpg",
                "/https:/H.example:443/a%2bb.jpg?h=1",
                "/https%3A%2F%2Fh.example%2Fa%252Bb.jpg?ci_url_encoded=1",
                "//doc.cloudimg.io/HTTPS://h.example/%61%2Bb.jpg",
                "/https://h.example:/./a%2Bb.jpg",
                "/h%74tps://h.example/a%2Bb.jpg",
            ],
            &[
                "https://h.example/a%2Bb.jpg",
                "/https://h.example/a%2bb.jpg",
                "https:/h.example/a%2Bb.jpg",
                "https://h.example:0443/a%2Bb.jpg",
                "//https://h.example/x/../a%2Bb.jpg",
                "https%3a%2f%2fh.example/a%252bb.jpg?ci_url_encoded=1",
            ],
        ),
        (
            &[
                "/https%3A%2F%2Fh%2Fi.php%3Fid%3D7?ci_url_encoded=1",
                "/https:%2F%2Fh%2Fi.php%3Fid=7?ci_url_encoded=1&w=1",
                "/HTTPS%3A%2F%2FH%3A443%2Fi.php%3Fid%3D7?w=2&ci_url_encoded=1",
                "/%68ttps%3A/h/%69.php%3F%69d%3D7?ci_url_encoded=1",
                "/https%3A%2F%2Fh%2Fi.php%3Fid%3D7?ci_eqs=Y2lfdXJsX2VuY29kZWQ9MQ",
                "/https%3A%2F%2Fh%2Fa%2F..%2Fi.php%3Fid%3D%2537?ci_url_encoded=1",
            ],
            &[
                "https%3A%2F%2Fh%2Fi.php%3Fid%3D7?ci_url_encoded=1",
                "/https%3A%2F%2Fh%2Fi.php%3Fid%3D7?ci_url_encoded=1",
                "/https://h/i.php%3Fid=7?ci_url_encoded=1",
                "HTTPS:/h/i.php%3fid=7?ci_url_encoded=1",
                "%2F%2Fhttps://h/./i.php%3Fid=7?ci_url_encoded=1",
                "https://h:443/i.php%3Fi%2564=7?ci_url_encoded=1",
            ],
        ),
    ];
    for (requests, entries) in families {
        assert!(requests.len() >= 6 && entries.len() >= 6);
        for request in requests {
            for entry in entries {
                let (requested, named) =
                    (rules().delivery(request).unwrap(), rules().invalidation(entry).unwrap());
                assert_eq!(Target::Path(requested.origin), named, "{request} {entry}");
            }
        }
    }
}
