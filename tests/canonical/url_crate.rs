//! Against the `url` crate, which follows the WHATWG rules: on hosts, ports and dot segments of
//! origins that are whole URLs, both agree, except where the rules here differ on purpose.
//!
//! | text | WHATWG | here | why |
//! |---|---|---|---|
//! | `..` at the root | stays at the root | error | such an entry is a mistake or an attack |
//! | `\` | a slash | error | a reader with other rules sees another path |
//! | `%2e` in a path | a dot only in dot segments | always a dot | one spelling for each byte |
//! | `%7E`, `%7e`, `%c3` | kept as written | `~`, `~`, `%C3` | one spelling for each byte |
//! | `"`, `<`, `>`, space, `` ` ``, `{`, `}` | encoded | encoded | |
//! | `\|`, `[`, `]`, `^` | kept raw (some of them) | encoded | RFC 3986 does not allow them raw |
//! | `%zz` | kept | error | not an escape |
//! | credentials | kept | error | they belong in no key |
//! | Unicode host | converted to `xn--` | error | one spelling for each host |
//! | `%41` in a host | decoded | decoded | |
//! | `127.1`, `0x7f.1`, `[::1]` | IP addresses | names, or an error | the resolver decides |
//! | `a_b`, `a..b`, trailing dot | kept | kept | |
//! | tab and line feed inside | removed | error | |
//! | `#` | a fragment | error | it never reaches a server |
//!
//! Two spellings of one address cost only one more fetch.

use cache_index::canonical::{PathErrorKind, Rules, Target};
use proptest::prelude::*;
use proptest::sample::select;

fn ours(text: &str) -> Result<String, PathErrorKind> {
    match Rules::default().invalidation(text) {
        Ok(Target::Path(path)) => Ok(path.to_string()),
        Ok(Target::Prefix(prefix)) => panic!("{prefix} is a pattern"),
        Err(error) => Err(error.kind()),
    }
}

fn theirs(text: &str) -> Option<String> {
    url::Url::parse(text).ok().map(String::from)
}

proptest! {
    #[test]
    fn both_agree_where_they_mean_to(
        scheme in select(&["http", "https", "HTTP", "Https", "ftp"][..]),
        host in "[a-zA-Z][a-zA-Z0-9_-]{0,6}(\\.[a-zA-Z][a-zA-Z0-9]{0,4}){0,2}\\.?",
        port in select(&["", ":", ":80", ":443", ":21", ":8080", ":0", ":00080", ":65535", ":65536", ":99999", ":8a"][..]),
        segments in proptest::collection::vec(select(&["", ".", "..", "a", "b.jpg", ".c", "..d", "e..", "(1)", "a%20b", "caf\u{e9}", "%2F", "%2B", "+", "a;b", "18:47@2x", "%C3%A9", "a b", "\"", "<", "'"][..]), 0..8),
    ) {
        // Names that the other side would read as numbers are among the differences.
        prop_assume!(!host.to_ascii_lowercase().split('.').any(|label| label.starts_with("xn--")));
        let path = segments.iter().fold(String::new(), |path, segment| path + "/" + segment);
        let text = format!("{scheme}://{host}{port}{path}");
        match (ours(&text), theirs(&text)) {
            (Ok(ours), Some(theirs)) => prop_assert_eq!(ours, theirs),
            (Err(PathErrorKind::Traversal), Some(theirs)) => {
                let depth = |segments: &[&str]| segments.iter().try_fold(0_usize, |depth, segment| match *segment {
                    ".." => depth.checked_sub(1),
                    "." => Some(depth),
                    _ => Some(depth + 1),
                });
                prop_assert_eq!(depth(&segments), None, "{} {}", text, theirs);
            }
            (Err(kind), None) => prop_assert_eq!(kind, PathErrorKind::InvalidHost),
            (ours, theirs) => prop_assert!(false, "{text}: {ours:?}, {theirs:?}"),
        }
    }
}

#[test]
fn the_differences_are_those_of_the_table() {
    use PathErrorKind::{
        ControlByte, Fragment, InvalidCharacter, InvalidEscape, InvalidHost, Traversal, UserInfo,
    };
    for (text, expected_theirs, expected_ours) in [
        ("https://h/../a", "https://h/a", Err(Traversal)),
        ("https://h/a\\b", "https://h/a/b", Err(InvalidCharacter)),
        ("https://h/a/%2e%2E/b", "https://h/b", Ok("https://h/b")),
        ("https://h/a%2eb", "https://h/a%2eb", Ok("https://h/a.b")),
        ("https://h/%7Eu", "https://h/%7Eu", Ok("https://h/~u")),
        ("https://h/%c3%a9", "https://h/%c3%a9", Ok("https://h/%C3%A9")),
        ("https://h/{a}`", "https://h/%7Ba%7D%60", Ok("https://h/%7Ba%7D%60")),
        ("https://h/a|b[c]", "https://h/a|b[c]", Ok("https://h/a%7Cb%5Bc%5D")),
        ("https://h/%zz", "https://h/%zz", Err(InvalidEscape)),
        ("https://u:p@h/a", "https://u:p@h/a", Err(UserInfo)),
        ("https://b\u{fc}cher.example/", "https://xn--bcher-kva.example/", Err(InvalidHost)),
        ("https://%41.example/", "https://a.example/", Ok("https://a.example/")),
        ("https://127.1/", "https://127.0.0.1/", Ok("https://127.1/")),
        ("https://[::1]/", "https://[::1]/", Err(InvalidHost)),
        ("https://a..b./", "https://a..b./", Ok("https://a..b./")),
        ("https://h/a\tb", "https://h/ab", Err(ControlByte)),
        ("https://h/a#b", "https://h/a#b", Err(Fragment)),
    ] {
        assert_eq!(theirs(text).as_deref(), Some(expected_theirs), "{text}");
        assert_eq!(ours(text), expected_ours.map(str::to_owned), "{text}");
    }
}
