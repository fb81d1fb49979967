//! Canonical text is read without an allocation, and any other with one for each name that had to
//! change.

use allocation_counter::measure;
use cache_index::OriginPath;
use cache_index::canonical::{Rules, Target};
use std::hint::black_box;

/// How many allocations it takes to read a request, the two names in it included.
fn allocations_of(rules: &Rules, request: &str) -> u64 {
    let read = || drop(black_box(rules.delivery(black_box(request))));
    // One-time setup is not counted.
    read();
    measure(read).count_total
}

fn doc() -> Rules {
    Rules::builder().token("doc").custom_host("img.example.com").build().unwrap()
}

#[test]
fn canonical_requests_need_no_allocation() {
    for request in [
        "/sample.li/birds.jpg",
        "/sample.li/birds.jpg?",
        "https://doc.cloudimg.io/sample.li/birds.jpg?h=400&w=600",
        "https://img.example.com/My-Folder/caf%C3%A9%20(1)%2B.jpg?f=bright:15&w=600",
        "/https://img.domain.com:8443/a//b.jpg?wat_text=a+b%20c%2B",
        "/_Alias_/a/?w=1&w=2",
        "/sample.li/a.jpg?w=300&width=500",
        "/sample.li/a.jpg?w=300&z=1&a=%21",
        "/sample.li:443/a?ci_eqs=dz0xMDA",
        "HTTP://DOC.cloudimg.io:80/a?sharp",
    ] {
        assert_eq!(allocations_of(&doc(), request), 0, "{request}");
    }
    let long = format!("/sample.li/{}?{}w=1", "a%20".repeat(1000), "f=%26&".repeat(600));
    assert_eq!(allocations_of(&doc(), &long), 0);
}

#[test]
fn one_name_that_changes_needs_one_allocation() {
    for request in [
        "/Sample.LI/birds.jpg?h=400&w=600",
        "/sample.li/b%69rds.jpg",
        "/sample.li/\u{e9}\u{e9}\u{e9}.jpg",
        "/https:/h",
        "/HTTPS:/H:0443/a/../b%7e?w=1",
        "/a/./b/../%41\"",
        "/sample.li/a.jpg?w=1&h=2",
        "/sample.li/a.jpg?a=2&w=1",
        "/sample.li/a.jpg?width=1&f=%2c%2C!!!!&ci_sign=1",
        "/https%3A%2F%2Fsample.li%2Fa%20b.jpg%3Fx=%20%20!?ci_eqs=Y2lfdXJsX2VuY29kZWQ9MQ&w=1",
    ] {
        assert_eq!(allocations_of(&doc(), request), 1, "{request}");
    }
    // Three bytes for one, or none more.
    for grows in ["!", "\u{e9}", "%2c", "%e9", "a", "~!=="] {
        let grown = grows.repeat(400);
        assert_eq!(allocations_of(&doc(), &format!("/a.jpg?f={grown}&ar")), 1, "{grows}");
        assert_eq!(allocations_of(&doc(), &format!("/A.li/a{}", grown.replace('!', "\""))), 1);
    }
    for count in [30, 100, 255] {
        let names: Vec<_> = (0..count).rev().map(|n: u16| n.to_string()).collect();
        let parameters = names.join("&");
        assert_eq!(allocations_of(&doc(), &format!("/a.jpg?{parameters}")), 0, "{count}");
        assert_eq!(allocations_of(&doc(), &format!("/a.jpg?{parameters}&w")), 1, "{count}");
    }
}

#[test]
fn two_names_that_change_need_two() {
    for request in [
        "/Sample.LI/birds.jpg?width=600",
        "https://doc.cloudimg.io/https%3A%2F%2FH%2Fa%3Fb?ci_url_encoded=1&w=300&h=2",
    ] {
        assert_eq!(allocations_of(&doc(), request), 2, "{request}");
    }
}

#[test]
fn entries_need_no_more() {
    let rules = doc();
    let allocations =
        |entry: &str| measure(|| drop(black_box(rules.invalidation(entry)))).count_total;
    assert_eq!(allocations("sample.li/birds.jpg"), 0);
    assert_eq!(allocations("/sample.li/caf%C3%A9.jpg"), 0);
    assert_eq!(allocations("/SAMPLE.li/caf%C3%A9.jpg"), 1);
    assert_eq!(allocations("/https%3A%2F%2Fh%2Fa%3Fw=1?ci_url_encoded=1"), 1);
}

#[test]
fn grouping_allocates_only_where_it_changes_something() {
    let grouping = |path: &'static str, owned: bool| {
        let path = OriginPath::from_canonical(path).unwrap();
        let target = Target::Path(if owned { path.into_owned() } else { path });
        measure(move || drop(black_box(target.grouped()))).count_total
    };
    for owned in [false, true] {
        assert_eq!(grouping("sample.li/caf.jpg", owned), 0);
        assert_eq!(grouping("sample.li/caf%C3%A9.jpg", owned), 0);
        assert_eq!(grouping("sample.li:80/a", owned), 1);
    }
    assert_eq!(grouping("https://sample.li/a", false), 0);
}
