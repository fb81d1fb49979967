//! Laws of canonicalization, on generated texts.

use crate::checks::{self, SETTINGS};
use crate::naive::key;
use crate::notation::{Kind, Settings};
use crate::texts::{
    entry, good_request, host_request, long_query, long_request, request, short_request,
};
use cache_index::canonical::{Grouping, PathErrorKind, Rules, Target};
use cache_index::{NameErrorKind, OriginPath, PathPrefix, VariantKey};
use proptest::prelude::*;
use proptest::sample::select;

/// More cases than by default. `PROPTEST_CASES` overrides the number.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_some() {
        config
    } else {
        ProptestConfig { cases: 1000, ..config }
    }
}

/// Whether byte `at` is a digit of an escape.
fn in_escape(text: &str, at: usize) -> bool {
    text.as_bytes()[at.saturating_sub(2)..at].contains(&b'%')
}

fn doc() -> Rules {
    Rules::builder().token("doc").build().unwrap()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn requests_obey_the_laws(
        settings in select(&SETTINGS[..]),
        text in prop_oneof![request(), good_request()],
    ) {
        checks::request(settings, text.as_bytes());
    }

    /// There is a fast path for these, so one law matters most: the names equal those of the
    /// pipeline when it explains them.
    #[test]
    fn short_requests_obey_the_laws(settings in select(&SETTINGS[..]), text in short_request()) {
        checks::request(settings, text.as_bytes());
    }

    #[test]
    fn long_requests_obey_the_laws(
        settings in select(&SETTINGS[..]),
        text in prop_oneof![long_request(), long_query().prop_map(|query| format!("/sample.li/a.jpg?{query}"))],
    ) {
        checks::request(settings, text.as_bytes());
    }

    #[test]
    fn entries_obey_the_laws(
        settings in select(&SETTINGS[..]),
        start in select(&["", "", "", "/", "https://doc.cloudimg.io/", "v7/", "/v7/v7/", "https://hello.s3.aws.com/bucket/"][..]),
        text in prop_oneof![entry(), good_request()],
    ) {
        checks::entry(settings, format!("{start}{text}").as_bytes());
    }

    #[test]
    fn arbitrary_bytes_obey_the_laws(
        settings in select(&SETTINGS[..]),
        bytes in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        checks::request(settings, &bytes);
        checks::entry(settings, &bytes);
        checks::known(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn the_path_of_a_request_is_an_entry_for_it(text in prop_oneof![request(), good_request()]) {
        let rules = doc();
        if let (true, Ok(delivery)) = (text.starts_with('/') && !text.starts_with("//"), rules.delivery(&text)) {
            let path = text.split('?').next().unwrap();
            if let Ok(target) = rules.invalidation(path) {
                // A request may contain the flag that its path is encoded, and be nested. The rest
                // names the same picture.
                let flagged = key(text.split_once('?').map(|(_, query)| query.as_bytes())).unwrap().1;
                prop_assert!(flagged || target == Target::Path(delivery.origin));
            }
        }
    }

    #[test]
    fn encoding_an_unreserved_byte_changes_nothing(text in good_request(), at in any::<prop::sample::Index>()) {
        let rules = doc();
        let delivery = rules.delivery(&text).unwrap();
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let places: Vec<_> = (1..text.len()).filter(|&at| unreserved(text.as_bytes()[at]) && !in_escape(&text, at)).collect();
        let at = places[at.index(places.len())];
        let byte = text.as_bytes()[at];
        let respelled = format!("{}%{byte:02X}{}", &text[..at], &text[at + 1..]);
        prop_assert_eq!(rules.delivery(&respelled).unwrap(), delivery);
    }

    #[test]
    fn changing_a_digit_that_matters_changes_a_name(text in good_request(), at in any::<prop::sample::Index>()) {
        let rules = doc();
        let delivery = rules.delivery(&text).unwrap();
        let matters = |at: usize| {
            let before = text.get(..at).unwrap_or("%");
            let signed = before.rsplit(['?', '&']).next().unwrap().starts_with("ci_sign");
            // A port may become the default one, a letter of a parameter's name may make it a known
            // one.
            let (in_port, in_name) = (before.contains(':') && !before.contains('?'), before.contains('?') && !before.rsplit('&').next().unwrap().contains('='));
            text.as_bytes()[at].is_ascii_digit() && !in_escape(&text, at) && !signed && !in_port && !in_name
        };
        let places: Vec<_> = (1..text.len()).filter(|&at| matters(at)).collect();
        if places.is_empty() {
            return Ok(());
        }
        let at = places[at.index(places.len())];
        let changed = format!("{}{}{}", &text[..at], if &text[at..=at] == "7" { '8' } else { '7' }, &text[at + 1..]);
        prop_assert_ne!(rules.delivery(&changed).unwrap(), delivery);
    }

    #[test]
    fn the_order_of_known_parameters_does_not_matter_and_that_of_others_does(
        values in proptest::collection::vec("[a-z0-9%,]{0,3}", 8),
        order in Just([0, 1, 2, 3, 4, 5, 6, 7]).prop_shuffle(),
    ) {
        let names = ["width", "h", "func", "wat%5Ftext", "x!", "a", "w%69dths", "z"];
        let piece = |i: usize| format!("{}={}", names[i], values[i].replace('%', "%25"));
        let sorted: Vec<_> = (0..8).map(piece).collect();
        let shuffled: Vec<_> = order.into_iter().map(piece).collect();
        let unknown: Vec<_> = order.into_iter().filter(|&i| i > 3).collect();
        let one = format!("/a.jpg?{}", sorted.join("&"));
        let other = format!("/a.jpg?{}&", shuffled.join("&&"));
        let (one, other) = (doc().delivery(&one).unwrap(), doc().delivery(&other).unwrap());
        prop_assert_eq!(one == other, unknown == [4, 5, 6, 7]);
    }

    /// Grouping may be coarser than the exact rules, and never finer: its only input is the exact
    /// names.
    #[test]
    fn grouping_is_never_finer_than_the_exact_rules(
        one in host_request(),
        other in prop_oneof![host_request(), request()],
    ) {
        let grouping = Rules::builder().token("doc").grouping(Grouping::Grouped).build().unwrap();
        if let (Ok(one_exact), Ok(other_exact)) = (doc().delivery(&one), doc().delivery(&other)) {
            let (one, other) = (grouping.delivery(&one).unwrap(), grouping.delivery(&other).unwrap());
            prop_assert_eq!(&one, &one_exact.clone().grouped());
            prop_assert!(one_exact.origin != other_exact.origin || one.origin == other.origin);
            prop_assert_eq!(one_exact == other_exact, one == other);
        }
    }

    #[test]
    fn requests_of_any_host_obey_the_laws(settings in select(&SETTINGS[..]), text in host_request()) {
        checks::request(settings, text.as_bytes());
        checks::entry(settings, text.as_bytes());
    }

    #[test]
    fn grouping_keeps_prefixes(text in prop_oneof![request(), good_request(), host_request()], end in any::<prop::sample::Index>()) {
        let rules = Rules::builder().token("doc").allow_wildcards().build().unwrap();
        if let Ok(delivery) = rules.delivery(&text) {
            let origin = delivery.origin.as_str().to_owned();
            let start = &origin[..end.index(origin.len() + 1)];
            if let Ok(prefix) = PathPrefix::from_canonical(start) {
                let grouped = delivery.grouped();
                let Target::Prefix(prefix) = Target::Prefix(prefix).grouped() else { unreachable!() };
                // Without any of these, the start of a folder or a file is meant, not that of a
                // host.
                let is_name = !start.is_empty() && !start.contains(['/', '.', ':']) && !start.contains("%3A");
                let is_scheme = ["http", "https", "ftp"].contains(&&*start.to_ascii_lowercase());
                if is_name && !is_scheme {
                    prop_assert!(!prefix.as_str().is_empty(), "{start}");
                } else {
                    prop_assert!(prefix.contains(&grouped.origin), "{origin}: {start} -> {prefix}, {}", grouped.origin);
                }
            }
        }
    }

    #[test]
    fn a_representation_is_read_back_and_covered(text in good_request(), mark in "[a-zA-Z0-9._~,:/+-]{1,12}") {
        let delivery = doc().delivery(&text).unwrap().grouped();
        let marked = delivery.variant.with_representation(&mark).unwrap();
        prop_assert_eq!(VariantKey::from_canonical(marked.as_str()), Ok(marked.borrowed()));
        prop_assert_eq!(marked.representation(), Some(&*mark));
        prop_assert_eq!(marked.operations(), delivery.variant.operations());
        prop_assert!(delivery.variant.covers(&marked) && !marked.covers(&delivery.variant));
    }
}

#[test]
fn grouped_spellings() {
    for (exact, grouped) in [
        ("https://s.li.:8443/a%2Fb", "s.li:8443/a%2Fb"),
        ("https://s.li:80/a+b", "s.li/a+b"),
        ("a+b%3A1/c+d%2Be*f", "a%2Bb%3A1/c+d+e%2Af"),
        // Without a scheme it would be a dot segment.
        ("https://../a", "https://../a"),
        ("https://../a%28b", "https://../a(b"),
        ("https://./%2A", "https://./%2A"),
    ] {
        let path = OriginPath::from_canonical(exact).unwrap();
        assert_eq!(Target::Path(path).grouped().as_str(), grouped);
    }
}

#[test]
fn spellings_of_a_picture_share_a_grouped_origin() {
    let rules = Rules::builder().token("doc").grouping(Grouping::Grouped).build().unwrap();
    let families: [&[&str]; 11] = [
        &[
            "sample.li/a(1).jpg",
            "http://sample.li/a(1).jpg",
            "https://sample.li/a(1).jpg",
            "https://SAMPLE.li:443/a%281%29.jpg",
            "http://sample.li:443/a(1%29.jpg",
            "ftp://sample.li./a(1).jpg",
            "sample.li:80/a(1).jpg",
        ],
        &["a&b=c.jpg", "a%26b=c.jpg", "a&b%3Dc.jpg", "a%26b%3dc.jpg"],
        &["x/18:47@2x.png", "x/18%3A47%402x.png"],
        &[
            "sample.li/",
            "https://sample.li",
            "https%3A//sample.li",
            "HTTPS%3a//Sample.LI/",
            "http%3A/sample.li.:80/",
            "Sample.LI./",
            "SAMPLE.li.:443/",
            "sample.li:/",
            "sample.li:0080/",
            "sample.li:21/",
            "sample.li%3A80/",
        ],
        &[
            "espa\u{f1}ol.example/a.jpg",
            "folder/../Espa\u{d1}ol.Example/a.jpg",
            "espa%c3%b1ol.example./a.jpg",
            "xn--espaol-zwa.example/a.jpg",
            "https://XN--espaol-zwa.example/a.jpg",
            "http://xn--espaol-zwa.example.:80/a.jpg",
            "http%3A//Espa%C3%B1ol.example/a.jpg",
        ],
        &["localhost:8002/a", "LOCALHOST:8002/a", "http://localhost:8002/a", "localhost.:08002/a"],
        &[
            "10.0.0.1/a",
            "10.0.0.1:80/a",
            "https://10.0.0.1/a",
            "10.0.0.1./a",
            "http%3A//10.0.0.1/a",
        ],
        &["[::1]/a", "%5B::1%5d/a", "[0:0::1]:443/a"],
        &["h:8080/a", "https://h:8080/a", "https%3A//H%3A8080/a"],
        &["x/a*b", "x/a%2Ab", "x/a%2ab"],
        &["a+b/c.jpg", "a%2Bb/c.jpg", "a%2bb/c.jpg"],
    ];
    for family in families {
        let mut exact = std::collections::HashSet::new();
        for path in family {
            let request = format!("/{path}?w=1");
            let delivery = rules.delivery(&request).unwrap();
            let first = format!("/{}", family[0]);
            assert_eq!(rules.invalidation(path), rules.invalidation(&first), "{path}");
            assert_eq!(rules.invalidation(path).unwrap(), Target::Path(delivery.origin.borrowed()));
            exact.insert(doc().delivery(&request).unwrap().into_owned());
            assert!(
                VariantKey::from_canonical("?w=1").unwrap().covers(&delivery.variant),
                "{path}"
            );
        }
        let mut grouped: Vec<_> = exact.iter().map(|delivery| delivery.clone().grouped()).collect();
        grouped.dedup();
        assert_eq!(grouped.len(), exact.len());
    }
}

#[test]
fn grouped_names_are_written_so() {
    for (request, origin, key) in [
        ("/sample.li/a.jpg?w=1", "sample.li/a.jpg", "?w=1"),
        ("/https://sample.li/a.jpg?w=1", "sample.li/a.jpg", "?w=1@https"),
        ("/http://sample.li:8080/a.jpg", "sample.li:8080/a.jpg", "?@http"),
        ("/http://sample.li.:443/a.jpg", "sample.li/a.jpg", "?@http.:443"),
        ("/ftp://h.:8080/", "h:8080/", "?@ftp."),
        ("/sample.li:443/a", "sample.li/a", "?@:443"),
        ("/photo%281%29.jpg", "photo(1).jpg", "?@%3"),
        ("/a(b)c(d%29.jpg", "a(b)c(d).jpg", "?@%8"),
        ("/a(b)c(d)e%28.jpg", "a(b)c(d)e(.jpg", "?@%01"),
        ("/x%3Ay/%3A", "x%3Ay/:", "?@%1"),
        ("/a*b/c", "a%2Ab/c", "?@%1"),
        ("/a+b+c/d%2Be+", "a%2Bb%2Bc/d+e+", "?@%7"),
        ("/a%2B", "a%2B", "?"),
        ("/a%2Ab/c", "a%2Ab/c", "?"),
        ("/https://../a", "https://../a", "?"),
        ("/_a_/%26", "_a_/&", "?@%1"),
        ("/doc.cloudimg.io/http://h/a?w=1", "h/a", "??w=1@http"),
        ("/a%3Fb%3D%252F%2F?ci_url_encoded=1", "a?b=//", "?@%2"),
        ("/Sample.LI./a%28?w=1", "sample.li/a(", "?w=1@%1=Sample.LI./"),
        ("/https%3A//h?w=1", "h/", "?w=1@=https%3A//h"),
        ("/https%3A//h/?w=1", "h/", "?w=1@=https%3A//h/"),
        ("/https://xn--p1ai/", "%D1%80%D1%84/", "?@=https://xn--p1ai/"),
        ("/espa\u{f1}ol.example/", "espa%C3%B1ol.example/", "?"),
        ("/https://a.example:21/", "a.example/", "?@https:21"),
    ] {
        let grouped = doc().delivery(request).unwrap().grouped();
        assert_eq!((grouped.origin.as_str(), grouped.variant.as_str()), (origin, key), "{request}");
    }
    for (entry, prefix) in [
        ("https://h/a%28*", "h/a("),
        ("h*", "h"),
        ("http*", ""),
        ("DSC*", "DSC"),
        ("x*", "x"),
        ("DSC1.JP*", ""),
        ("https:*", ""),
        ("ftp:*", ""),
        ("hx*", "hx"),
        ("sample.li:*", "sample.li"),
        ("sample.li:44*", "sample.li"),
        ("sample.li:5*", "sample.li:5"),
        ("sample.li:443/*", "sample.li/"),
        ("sample.li:0*", "sample.li"),
        ("sample.li.*", "sample.li"),
        ("v1.*", "v1."),
        ("Sample.LI./a*", "sample.li/a"),
        ("espa%C3%B1*", "espa%C3%B1"),
        ("espa%C3%B1.*", "espa"),
        ("a.xn--esp*", "a."),
        ("a.x*", "a."),
        ("IMG_1*", "IMG_1"),
        ("IMG_1.x*", "IMG_1.x"),
        ("_.x*", "_."),
        ("a_b.li%3A8*", "a_b.li"),
        ("a_b.li%288*", "a_b.li(8"),
        ("My holiday*", "My%20holiday"),
        ("img-S*", "img-S"),
        ("img-S.*", "img-"),
        ("HTTPS%3A*", ""),
        ("https%3A//sample.l*", ""),
        ("https%3A//sample.li/*", "sample.li/"),
        ("[::*", ""),
        ("a:*", "a:"),
        ("localhost%3A*", "localhost"),
        ("localhost%3A8*", "localhost"),
        ("IMG%3A01*", "IMG%3A01"),
        ("a/x%2A*", "a/x%2A"),
    ] {
        let rules = Rules::builder().grouping(Grouping::Grouped).allow_wildcards().build().unwrap();
        let target = rules.invalidation(entry).unwrap();
        assert_eq!(target, Target::Prefix(prefix.try_into().unwrap()), "{entry}");
    }
}

#[test]
fn marks_that_grouping_does_not_write_are_refused() {
    for good in [
        "?@http",
        "?@https.",
        "?@ftp.:80",
        "?@:443",
        "?@%1",
        "?@http%0F",
        "?@ftp.",
        "?@https:21",
        "?@=Sample.LI./",
        "?@%1=https%3A//h",
        "?w=1@https#webp",
        "?#image/svg+xml",
    ] {
        assert!(VariantKey::from_canonical(good).is_ok(), "{good}");
    }
    for bad in [
        "?@",
        "?@s3",
        "?@.",
        "?@%",
        "?@%0",
        "?@%f",
        "?@%10",
        "?@http:80",
        "?@https:443",
        "?@http:8080",
        "?@ftp:21",
        "?@=",
        "?@=sample.li/",
        "?@=Sample.LI.",
        "?@=Sample.LI./a",
        "?@http=Sample.LI./",
        "?@httpx",
        "?#",
        "?#a#b",
        "?#a@http",
        "?#\u{e9}",
    ] {
        assert!(VariantKey::from_canonical(bad).is_err(), "{bad}");
    }
    let key = VariantKey::from_canonical("?w=1#webp").unwrap();
    assert_eq!(key.with_representation("avif").unwrap().as_str(), "?w=1#avif");
    let error = key.with_representation("a#b").unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid mark at byte 1: expected letters, digits and \"-._~,:/+\""
    );
    let error = key.with_representation("").unwrap_err();
    assert_eq!(error.kind(), NameErrorKind::Empty);
}

#[test]
fn operations_pick_by_every_spelling_that_a_variant_keeps() {
    let rules = Rules::builder().token("doc").build().unwrap();
    let variant = rules.delivery("/a.jpg?w=300&width=500&sharp&wat_text==").unwrap().variant;
    assert_eq!(variant.as_str(), "?sharp&w=300&width=500&wat_text=%3D");
    for picks in ["w=300", "w=500", "width=300", "width=500", "sharp", "wat_text==", "?sharp&w=300"]
    {
        assert!(rules.operations(picks).unwrap().matches(&variant), "{picks}");
    }
    for leaves in ["w=30", "w", "h=300", "sharp=", "wat_text=", "w=300&h=1"] {
        assert!(!rules.operations(leaves).unwrap().matches(&variant), "{leaves}");
    }
}

#[test]
fn a_source_with_a_query_of_its_own_has_two_readings() {
    for (settings, entry, picture, encoded) in [
        (
            "default",
            "https://fb.example/o/images%2Ftemp?alt=media&token=9f60",
            "https://fb.example/o/images%2Ftemp",
            "https%3A%2F%2Ffb.example%2Fo%2Fimages%252Ftemp%3Falt%3Dmedia%26token%3D9f60",
        ),
        ("v7", "a.php?id=7&w=3", "v7/a.php", "v7/a.php%3Fid%3D7%26w%3D3"),
        ("default", "v7/h.example/a?%69d=7", "h.example/a", "h.example%2Fa%3F%2569d%3D7"),
        ("prefix=https://h/p", "https://h/p/a?b=c&ci_sign=1", "a", "a%3Fb%3Dc%26ci_sign%3D1"),
        ("grouping=on", "HTTP://H.:80/a?b", "http://h./a", "http%3A%2F%2Fh.%2Fa%3Fb"),
    ] {
        let settings = Settings::parse(settings).unwrap();
        let error = settings.read(Kind::Invalidation, entry.as_bytes()).unwrap_err();
        let flagged = format!("{encoded}?ci_url_encoded=1");
        assert!(error.suggestions().eq([picture, &flagged]), "{entry}: {error:?}");
    }
    // In a delivery URL, the query belongs to the request.
    for entry in
        ["//doc.cloudimg.io/a.jpg?id=7&w=3", "a.jpg?w=3&height=1", "a.jpg?", "a.jpg?ci_sign=5"]
    {
        let settings = Settings::parse("default").unwrap();
        let error = settings.read(Kind::Invalidation, entry.as_bytes()).unwrap_err();
        assert!(error.suggestions().eq(["a.jpg"]), "{entry}: {error:?}");
    }
}

#[test]
fn an_origin_prefix_is_recognized_in_every_spelling_where_they_are_grouped() {
    let prefix = || Rules::builder().token("doc").prefix("https://Hello.example/p%28/");
    let grouping = prefix().grouping(Grouping::Grouped).build().unwrap();
    for spelling in [
        "https://hello.example/p%28/a%281%29.jpg",
        "http://hello.example/p%28/a%281%29.jpg",
        "hello.example/p%28/a%281%29.jpg",
        "HELLO.example./p%28/a%281%29.jpg",
        "https://hello.example:80/p%28/x/../a%281%29.jpg",
        "https%3A//Hello.example:443/p%28/a%281%29.jpg",
    ] {
        let error = grouping.invalidation(spelling).unwrap_err();
        assert_eq!(error.kind(), PathErrorKind::PrefixIncluded, "{spelling}");
        assert!(error.suggestions().eq(["a%281%29.jpg"]), "{spelling}: {error:?}");
        let request = format!("/{spelling}?w=1");
        for rules in [&grouping, &grouping.without_grouping()] {
            let error = rules.delivery(&request).unwrap_err();
            assert_eq!(error.kind(), PathErrorKind::PrefixIncluded, "{spelling}");
        }
    }
    // The tail is spelled as the prefix isn't.
    let error = grouping.invalidation("http://hello.example/p(/a.jpg").unwrap_err();
    assert!(error.suggestions().eq(["a.jpg"]), "{error:?}");
    let exact = prefix().build().unwrap();
    assert!(exact.delivery("/http://hello.example/p%28/a.jpg").is_ok());
    for other in
        ["hello.examples/p%28/a.jpg", "hello.example:8443/p%28/a", "http://hello.example/p/a"]
    {
        assert!(grouping.invalidation(other).is_ok(), "{other}");
    }
}

#[test]
fn delivery_urls_are_recognized_by_every_host_that_is_answered_to() {
    let rules = Rules::builder()
        .token("doc")
        .custom_host("img.example.com")
        .delivery_host("localhost:8080")
        .delivery_host("127.0.0.1:8080")
        .delivery_host("IMG.example.org")
        .delivery_host("img.example.com:443")
        .build()
        .unwrap();
    for host in [
        "http://localhost:8080",
        "localhost:8080",
        "https://LOCALHOST:8080",
        "127.0.0.1:8080",
        "http://img.example.org",
        "img.EXAMPLE.org:80",
        "https://img.example.com",
    ] {
        let error = rules.invalidation(&format!("{host}/sample.li/a.jpg?w=3")).unwrap_err();
        assert!(error.suggestions().eq(["sample.li/a.jpg"]), "{host}: {error:?}");
        let error = rules.invalidation(&format!("{host}/sample.li/a.jpg")).unwrap_err();
        assert_eq!(error.kind(), PathErrorKind::DeliveryUrl, "{host}");
        let nested = rules.delivery(&format!("/{host}/sample.li/a.jpg?h=2")).unwrap().into_owned();
        assert_eq!(nested.origin.as_str(), "sample.li/a.jpg");
        if host.starts_with("http") {
            let url = format!("{host}/sample.li/a.jpg?w=3");
            assert_eq!(rules.delivery(&url), rules.delivery("/sample.li/a.jpg?w=3"), "{host}");
        }
    }
    for other in ["localhost/a.jpg", "http://localhost:8081/a.jpg", "img.example.org:8080/a.jpg"] {
        assert!(rules.invalidation(other).is_ok(), "{other}");
    }
}

#[test]
fn a_request_target_names_no_host() {
    for (settings, target, origin) in [
        ("default", "//sample.li/birds.jpg?w=300", "sample.li/birds.jpg"),
        ("default", "///sample.li/birds.jpg", "sample.li/birds.jpg"),
        ("v7", "//v7/sample.li/birds.jpg", "sample.li/birds.jpg"),
        ("v7", "//v7//sample.li/birds.jpg", "sample.li/birds.jpg"),
        ("v7=optional", "//v7/a", "a"),
        ("default", "//doc.cloudimg.io/sample.li/a.jpg", "sample.li/a.jpg"),
        ("default", "/https://h/a.jpg", "https://h/a.jpg"),
        ("default", "//https://h/a.jpg", "https://h/a.jpg"),
        ("default", "HTTP://DOC.cloudimg.io:80//sample.li/a.jpg", "sample.li/a.jpg"),
    ] {
        let rules = Settings::parse(settings).unwrap().rules;
        assert_eq!(rules.request_target(target).unwrap().origin.as_str(), origin, "{target}");
    }
    // A host in a target is an origin like any other: that of a delivery URL inside of this one.
    let nested = doc();
    let nested = nested.request_target("//doc.cloudimg.io/sample.li/a.jpg?w=1").unwrap();
    assert_eq!(nested.variant.as_str(), "??w=1");
    let error = Settings::parse("default").unwrap().rules.request_target("//v7/a").unwrap_err();
    assert_eq!((error.kind(), error.byte_offset()), (PathErrorKind::UnexpectedV7, 2));
}

#[test]
fn a_star_is_a_wildcard_at_the_end_and_nowhere_else() {
    let rules = Rules::builder().token("doc").allow_wildcards().build().unwrap();
    let refused = |entry: &str| {
        let error = rules.invalidation(entry).unwrap_err();
        assert_eq!(error.kind(), PathErrorKind::WildcardNotAllowed, "{entry}");
        assert_eq!(rules.variant_entry(entry).unwrap_err().kind(), error.kind(), "{entry}");
        error.byte_offset()
    };
    for (entry, at) in [
        ("*.jpg", 0),
        ("/sample.li/*/a.jpg", 11),
        ("sample.li/**", 10),
        ("sample.li/*/*", 10),
        ("^sample.li/a", 0),
        ("//^/.*", 2),
        ("https://h/*a", 10),
        ("https://h*/a", 9),
        ("a*b?ci_url_encoded=1", 1),
    ] {
        assert_eq!(refused(entry), at, "{entry}");
    }
    for (entry, prefix) in
        [("*", ""), ("/*", ""), ("a%2A*", "a%2A"), ("a^*", "a%5E"), ("%5Ea*", "%5Ea")]
    {
        let target = rules.invalidation(entry).unwrap();
        assert_eq!(target, Target::Prefix(prefix.try_into().unwrap()), "{entry}");
    }
    for (entry, path) in [("a%2Ab", "a%2Ab"), ("a%2Ab?ci_url_encoded=1", "a*b"), ("%5Ea", "%5Ea")] {
        let target = rules.invalidation(entry).unwrap();
        assert_eq!(target, Target::Path(path.try_into().unwrap()), "{entry}");
    }
    // Inside of a host with its scheme, a star is no wildcard either.
    let error = rules.invalidation("https://sample*").unwrap_err();
    assert_eq!((error.kind(), error.byte_offset()), (PathErrorKind::InvalidHost, 14));
    // Where there are no wildcards, and in requests, a star is an ordinary letter.
    assert_eq!(doc().invalidation("a*b").unwrap().as_str(), "a*b");
    assert_eq!(doc().invalidation("^a").unwrap().as_str(), "%5Ea");
    assert_eq!(rules.delivery("/a*b").unwrap().origin.as_str(), "a*b");
}

#[test]
fn suggestions_are_what_was_meant() {
    for (settings, entry, suggestion) in [
        ("default", "https://doc.cloudimg.io/sample.li/boat.jpg", "sample.li/boat.jpg"),
        ("default", "//doc.cloudimg.io/sample.li/boat.jpg?w=1", "sample.li/boat.jpg"),
        ("v7", "https://doc.cloudimg.io/v7/boat.jpg", "v7/boat.jpg"),
        ("v7", "/sample.li/boat.jpg", "v7/sample.li/boat.jpg"),
        ("default", "/v7/https://h/a.jpg", "https://h/a.jpg"),
        ("default", "/v7/https://h/a.jpg?w=600", "https://h/a.jpg"),
        ("default", "/v7/v7/a.jpg", "%767%2Fa.jpg?ci_url_encoded=1"),
        ("default", "/sample.li/birds.jpg?w=600", "sample.li/birds.jpg"),
        (
            "default",
            "/https%3A%2F%2Fh%2Fa%3Fw%3D22?ci_url_encoded=1&w=300",
            "https%3A%2F%2Fh%2Fa%3Fw%3D22?ci_url_encoded=1",
        ),
        ("prefix=https://h/img", "https://h/img/a.jpg", "a.jpg"),
        ("prefix=https://h/img;wildcard=on", "https://H/img/a*", "a*"),
        ("scope=urls;v7", "a.jpg?width=3", "v7/a.jpg?w=3"),
        ("scope=urls", "//doc.cloudimg.io/a.jpg?w=3", "a.jpg?w=3"),
        // It shows the spelling that was used, not the grouped one.
        ("grouping=on", "//doc.cloudimg.io/https://h./a+b", "https://h./a+b"),
    ] {
        let settings = Settings::parse(settings).unwrap();
        let error = settings.read(Kind::Invalidation, entry.as_bytes()).unwrap_err();
        assert!(error.suggestions().eq([suggestion]), "{entry}: {error:?}");
    }
    for (settings, entry) in [
        ("default", "a/../../b"),
        ("prefix=https://h/img", "https://h/img/"),
        ("default", "a%2?w=1"),
        // These would name another picture, or one that was never delivered.
        ("v7", "V7/a.jpg"),
        ("v7", "https://doc.cloudimg.io/V7/a.jpg?w=1"),
        ("v7", "%767/a.jpg"),
        ("prefix=https://h", "https://h/_a_/b.jpg"),
        ("prefix=https://h", "https://h/http://x/b.jpg"),
    ] {
        let settings = Settings::parse(settings).unwrap();
        let error = settings.read(Kind::Invalidation, entry.as_bytes()).unwrap_err();
        assert_eq!(error.suggestions().len(), 0, "{entry}: {error:?}");
    }
}
