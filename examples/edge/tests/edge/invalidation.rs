//! `POST /invalidate`: the removed entries, the reply, and requests that are refused and change
//! nothing.

use crate::app::client::Answer;
use crate::app::edge::Limits;
use crate::harness::{BLUE, KEY, RED, Site, eventually, json, picture, text};
use axum::body::Bytes;
use axum::http::Method;
use cache_index::canonical::Grouping;
use serde_json::json;

const BIRDS: [&str; 3] = [
    "/sample.li/birds.jpg?w=30",
    "/sample.li/birds.jpg?h=10&force_format=webp",
    "/sample.li/birds.jpg",
];
const BOAT: &str = "/sample.li/boat.jpg?w=30";

/// A site that has three renditions of the birds and one of the boat.
async fn filled() -> Site {
    let site = Site::start().await;
    for target in BIRDS.iter().chain([&BOAT]) {
        site.expect(target, 200, "MISS").await;
    }
    site
}

/// Checks that nothing has changed since [`filled`].
async fn assert_untouched(site: &Site, before: &crate::harness::State) {
    assert_eq!(site.state(), *before);
    for target in BIRDS.iter().chain([&BOAT]) {
        site.expect(target, 200, "HIT").await;
    }
}

fn reason(answer: &Answer) -> String {
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    let reply = json(answer);
    assert_eq!(reply["status"], "error");
    reply["msg"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn all_renditions_of_a_picture_go_and_no_other() {
    let site = filled().await;
    site.script.set("sample.li/birds.jpg", Ok(picture(BLUE)));
    let lines = site.purge(&["/sample.li/birds.jpg"]).await;
    assert_eq!((&lines[0]["outcome"], &lines[0]["variants"]), (&json!("removed"), &json!(3)));
    assert_eq!(site.variants("sample.li/birds.jpg"), [""; 0]);
    site.assert_agreement();

    for target in BIRDS {
        site.expect(target, 200, "MISS").await;
    }
    assert_eq!(site.expect(BIRDS[2], 200, "HIT").await.body, picture(BLUE));
    site.expect(BOAT, 200, "HIT").await;
    site.assert_agreement();
}

/// Pictures whose exact names differ only in ways that a customer would not think of.
const SPELLINGS: [&str; 3] = [
    "/sample.li/a(1).jpg?w=30",
    "/sample.li/a%281%29.jpg?w=30",
    "/https://sample.li/a(1).jpg?w=30",
];

/// A site at whose origin each spelling is a picture of its own.
async fn spelled(grouping: Grouping) -> Site {
    let site = Site::start_as(grouping, Limits::default()).await;
    for (name, color) in [
        ("sample.li/a(1).jpg", BLUE),
        ("sample.li/a%281%29.jpg", RED),
        ("https://sample.li/a(1).jpg", RED),
    ] {
        site.script.set(name, Ok(picture(color)));
    }
    for target in SPELLINGS {
        site.expect(target, 200, "MISS").await;
        site.expect(target, 200, "HIT").await;
    }
    site
}

#[tokio::test]
async fn spellings_of_a_picture_are_kept_apart_and_go_together() {
    let site = spelled(Grouping::Grouped).await;
    let first = site.get(SPELLINGS[0]).await.body;
    assert_ne!(first, site.get(SPELLINGS[1]).await.body, "two pictures under one name");

    let lines = site.purge(&["/http://sample.li/a(1%29.jpg"]).await;

    assert_eq!((&lines[0]["outcome"], &lines[0]["variants"]), (&json!("removed"), &json!(3)));
    for target in SPELLINGS {
        site.expect(target, 200, "MISS").await;
    }
}

#[tokio::test]
async fn spellings_go_one_by_one_where_names_are_exact() {
    let site = spelled(Grouping::Exact).await;
    let lines = site.purge(&["/sample.li/a%281%29.jpg"]).await;
    assert_eq!(lines[0]["variants"], json!(1));
    site.expect(SPELLINGS[0], 200, "HIT").await;
    site.expect(SPELLINGS[1], 200, "MISS").await;
    site.expect(SPELLINGS[2], 200, "HIT").await;
}

#[tokio::test]
async fn the_reply_has_the_documented_shape_and_says_what_went() {
    let site = filled().await;
    let body = r#"{"scope":"original","urls":["/sample.li/boat.jpg","sample.li/nothing.jpg","/sample.li/./boat%2Ejpg"]}"#;
    let answer = site.post(body).await;
    assert_eq!(answer.status.as_u16(), 201);
    assert_eq!(answer.header("content-type"), "application/json");
    let reply = json(&answer);
    assert_eq!(reply["status"], "success");
    assert_eq!(reply["msg"], "1 variant removed, 0 open fills overtaken, 1 of 2 matched nothing");
    let invalidation = &reply["invalidation"];
    assert_eq!(invalidation["status"], "DONE");
    assert!(uuid::Uuid::parse_str(invalidation["uuid"].as_str().unwrap()).is_ok());
    assert!(invalidation["added_at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    assert_eq!(invalidation["duplicates"], 1);
    let expected = json!([
        { "position": 0, "origin": "sample.li/boat.jpg", "outcome": "removed", "variants": 1, "overtaken_fills": 0 },
        { "position": 1, "origin": "sample.li/nothing.jpg", "outcome": "matched nothing", "variants": 0, "overtaken_fills": 0 },
    ]);
    assert_eq!(invalidation["entries"], expected);

    let again = json(&site.post(body).await);
    assert_eq!(again["msg"], "0 variants removed, 0 open fills overtaken, 2 of 2 matched nothing");
    assert_ne!(again["invalidation"]["uuid"], invalidation["uuid"]);
    assert!(again["invalidation"]["generation"].as_u64() > invalidation["generation"].as_u64());
}

#[tokio::test]
async fn invalidating_everything_deletes_every_object_in_the_background() {
    let site = filled().await;
    let answer = site.post(r#"{"scope":"all"}"#).await;
    assert_eq!(answer.status.as_u16(), 201);
    let entries = &json(&answer)["invalidation"]["entries"];
    assert_eq!(*entries, json!([{ "origin": "/*", "outcome": "invalidated" }]));
    assert_eq!(site.variants("sample.li/birds.jpg"), [""; 0]);
    // No request asks for a picture meanwhile: the server does it by itself.
    eventually(|| site.edge().store.len() == 0).await;
    assert_eq!(site.edge().store.bytes(), 0);
    assert_eq!(site.edge().index.stats().dead, 0);
    for target in BIRDS.iter().chain([&BOAT]) {
        site.expect(target, 200, "MISS").await;
    }
    site.assert_agreement();
}

#[tokio::test]
async fn a_wrong_key_is_refused_and_changes_nothing() {
    let site = filled().await;
    let before = site.state();
    let body = Bytes::from_static(br#"{"scope":"all"}"#);
    let twice = [("x-client-key", KEY), ("x-client-key", KEY)];
    let cases: [&[(&str, &str)]; 6] = [
        &[],
        &[("x-client-key", "")],
        &[("x-client-key", "a-key-for-test")],
        &[("x-client-key", "A-KEY-FOR-TESTS")],
        &[("authorization", KEY)],
        &twice,
    ];
    for headers in cases {
        for body in [body.clone(), Bytes::new(), Bytes::from(vec![b' '; 10_000_000])] {
            let answer =
                site.client.control(Method::POST, "/invalidate", headers, body).await.unwrap();
            assert_eq!(answer.status.as_u16(), 401);
            let expected = "wrong or missing client key: expected one X-Client-Key header";
            assert_eq!(reason(&answer), expected);
        }
    }
    assert_untouched(&site, &before).await;
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused_and_changes_nothing() {
    let site = filled().await;
    let before = site.state();
    for (body, expected) in [
        (&b""[..], "the body is empty: expected a JSON object"),
        (b"   ", "the body ends too early at line 1, column 3"),
        (b"{", "the body ends too early at line 1, column 1"),
        (b"{\"scope\":\"all\"", "the body ends too early at line 1, column 14"),
        (b"scope=all", "the body is not JSON at line 1, column 1"),
        (b"{'scope':'all'}", "the body is not JSON at line 1, column 2"),
        (b"{\"scope\":\"all\",}", "the body is not JSON at line 1, column 16"),
        (b"{\"scope\":\"all\"}\n{\"scope\":\"all\"}", "the body is not JSON at line 2, column 1"),
        (
            b"\xEF\xBB\xBF{\"scope\":\"all\"}",
            "the body starts with a byte order mark: expected a JSON object",
        ),
        (b"{\"scope\":\"\xFF\"}", "the body is not JSON at line 1, column 11"),
        (b"{\"scope\":\"\\ud800\"}", "the body is not JSON at line 1, column 17"),
        (b"{\"scope\":\"all\x00\"}", "the body is not JSON at line 1, column 14"),
    ] {
        let answer = site.post(Bytes::copy_from_slice(body)).await;
        assert_eq!((answer.status.as_u16(), reason(&answer).as_str()), (400, expected));
    }
    assert_untouched(&site, &before).await;
}

#[tokio::test]
async fn json_that_is_no_request_is_refused_and_changes_nothing() {
    let site = filled().await;
    let before = site.state();
    let scopes = "expected \"original\", \"urls\" or \"all\"";
    let list = "urls is not a list: expected a list of strings";
    let empty = "urls is empty: expected at least one string";
    let missing = "urls is missing: expected a list of at least one string";
    let deep = format!(r#"{{"scope":"all","urls":{}"#, "[".repeat(60_000));
    let many = format!(r#"{{"scope":"original","urls":[{}"/x"]}}"#, "\"/x\",".repeat(1000));
    for (body, expected) in [
        ("null", "the body must be a JSON object".to_owned()),
        (r#"["all"]"#, "the body must be a JSON object".to_owned()),
        (r#""all""#, "the body must be a JSON object".to_owned()),
        ("{}", format!("scope is missing: {scopes}")),
        (r#"{"urls":["/sample.li/birds.jpg"]}"#, format!("scope is missing: {scopes}")),
        (r#"{"scope":"secret-token"}"#, format!("unknown scope: {scopes}")),
        (r#"{"scope":"ALL"}"#, format!("unknown scope: {scopes}")),
        (r#"{"scope":"all "}"#, format!("unknown scope: {scopes}")),
        (r#"{"scope":null}"#, format!("scope is not a string: {scopes}")),
        (r#"{"scope":["all"]}"#, format!("scope is not a string: {scopes}")),
        (r#"{"scope":1}"#, format!("scope is not a string: {scopes}")),
        (r#"{"scope":"original"}"#, missing.to_owned()),
        (r#"{"scope":"original","urls":[]}"#, empty.to_owned()),
        (r#"{"scope":"original","urls":null}"#, list.to_owned()),
        (r#"{"scope":"original","urls":"/sample.li/birds.jpg"}"#, list.to_owned()),
        (r#"{"scope":"original","urls":{"0":"/sample.li/birds.jpg"}}"#, list.to_owned()),
        (
            r#"{"scope":"all","urls":["/sample.li/birds.jpg"]}"#,
            "scope \"all\" takes no urls".to_owned(),
        ),
        (r#"{"scope":"all","urls":[]}"#, "scope \"all\" takes no urls".to_owned()),
        (
            r#"{"scope":"all","scope":"all"}"#,
            "member 2 of the body repeats an earlier one".to_owned(),
        ),
        (
            r#"{"urls":["/x"],"scope":"original","\u0075rls":["/sample.li/birds.jpg"]}"#,
            "member 3 of the body repeats an earlier one".to_owned(),
        ),
        (
            r#"{"scope":"all","secret-token":1}"#,
            "member 2 of the body is unknown: expected scope, mode, urls and transformations"
                .to_owned(),
        ),
        (r#"{"scope":"original","urls":[1]}"#, "urls[0] is not a string".to_owned()),
        (
            r#"{"scope":"original","urls":["/sample.li/birds.jpg",null]}"#,
            "urls[1] is not a string".to_owned(),
        ),
        (
            r#"{"scope":"original","urls":["/sample.li/birds.jpg",["/sample.li/boat.jpg"]]}"#,
            "urls[1] is not a string".to_owned(),
        ),
        (&many, "urls has more than 1000 entries".to_owned()),
        (&deep, "the body nests deeper than 16 levels".to_owned()),
        (
            r#"{"scope":"all","mode":"gently"}"#,
            "unknown mode: expected \"hard\" or \"soft\"".to_owned(),
        ),
    ] {
        let answer = site.post(body.to_owned()).await;
        let seen = (answer.status.as_u16(), reason(&answer));
        assert_eq!(seen, (422, expected), "{}", &body[..body.len().min(80)]);
        assert!(!text(&answer).contains("secret-token"), "the input is not repeated");
    }
    assert_untouched(&site, &before).await;
}

#[tokio::test]
async fn one_bad_entry_stops_all_the_others() {
    let site = filled().await;
    let before = site.state();
    for bad in [
        "",
        "/",
        "/../birds.jpg",
        "/sample.li/../../birds.jpg",
        "/sample.li/birds.jpg?w=30",
        "/sample.li/birds.jpg?",
        "/sample.li/birds%zz.jpg",
        "/sample.li/birds\u{0}.jpg",
        "/sample.li/birds.jpg#x",
        "/https://doc.cloudimg.io/sample.li/birds.jpg",
    ] {
        let urls = ["/sample.li/boat.jpg", "/sample.li/birds.jpg", bad];
        let answer = site.post(json!({ "scope": "original", "urls": urls }).to_string()).await;
        assert_eq!(answer.status.as_u16(), 422, "{bad}");
        assert_eq!(json(&answer)["position"], 2);
        assert!(
            reason(&answer).starts_with("urls[2] names no picture: "),
            "{bad}: {}",
            reason(&answer)
        );
    }
    assert_untouched(&site, &before).await;
}

#[tokio::test]
async fn a_picture_is_found_however_it_is_spelled() {
    let site = Site::start().await;
    for spelling in [
        "/sample.li/birds.jpg",
        "sample.li/birds.jpg",
        "//sample.li/birds.jpg",
        "/SAMPLE.LI/birds.jpg",
        "/sample.li/x/../birds%2Ejpg",
    ] {
        site.expect(BIRDS[0], 200, "MISS").await;
        assert_eq!(site.purge(&[spelling]).await[0]["variants"], 1, "{spelling}");
    }
}

#[tokio::test]
async fn ten_megabytes_are_refused_and_the_server_goes_on() {
    let site = filled().await;
    let before = site.state();
    let padding = " ".repeat(10_000_000);
    for body in [padding.clone(), format!(r#"{{"scope":"all"}}{padding}"#)] {
        let answer = site.post(body).await;
        let seen = (answer.status.as_u16(), reason(&answer));
        assert_eq!(seen, (413, "the body is larger than 1048576 bytes".to_owned()));
        assert_eq!(answer.header("connection"), "close");
    }
    assert_untouched(&site, &before).await;
    // One byte less than too much is JSON like any other.
    let body = r#"{"scope":"all"}"#;
    let padded = format!("{body}{}", " ".repeat((1 << 20) - body.len()));
    assert_eq!(site.post(padded).await.status.as_u16(), 201);
}

#[tokio::test]
async fn options_that_do_not_exist_are_not_ignored() {
    let site = filled().await;
    let before = site.state();
    let headers = [("x-client-key", KEY)];
    let body = Bytes::from_static(br#"{"scope":"all"}"#);
    for target in
        ["/invalidate?dry_run=0", "/invalidate?dry_run", "/invalidate?", "/invalidate?dry_run=1&x"]
    {
        let answer =
            site.client.control(Method::POST, target, &headers, body.clone()).await.unwrap();
        let seen = (answer.status.as_u16(), reason(&answer));
        assert_eq!(
            seen,
            (400, "unknown query: expected none, dry_run=1 or over=SECONDS".to_owned())
        );
    }
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let answer =
            site.client.control(method, "/invalidate", &headers, body.clone()).await.unwrap();
        assert_eq!(answer.status.as_u16(), 405);
        assert_eq!(answer.header("allow"), "POST");
    }
    assert_untouched(&site, &before).await;
}
