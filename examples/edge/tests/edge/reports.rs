//! Cases from public bug reports: the rows of `tests/data/reports.tsv` that are about the edge, and
//! more of their kinds.

use crate::app::client::Answer;
use crate::harness::{KEY, Site, json};
use axum::body::Bytes;
use axum::http::Method;
use serde_json::{Value, json};

const REPORTS: &str = include_str!("../../../../tests/data/reports.tsv");

/// A row: kind, configuration, input, expected, reason.
fn rows(kind: &str) -> Vec<[&'static str; 5]> {
    let rows = REPORTS.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let rows = rows.map(|line| {
        let columns: Vec<_> = line.split('\t').collect();
        <[&str; 5]>::try_from(columns).unwrap_or_else(|_| panic!("not five columns: {line}"))
    });
    rows.filter(|row| row[0] == kind).collect()
}

/// Input as bytes: `\xHH` is a byte, and `\\` a backslash.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut parts = text.split('\\');
    bytes.extend(parts.next().unwrap().bytes());
    while let Some(part) = parts.next() {
        if let Some(rest) = part.strip_prefix('x') {
            bytes.push(u8::from_str_radix(&rest[..2], 16).unwrap());
            bytes.extend(rest[2..].bytes());
        } else {
            assert!(part.is_empty(), "unknown escape: \\{part}");
            bytes.push(b'\\');
            bytes.extend(parts.next().unwrap().bytes());
        }
    }
    bytes
}

/// A site whose pictures have one rendition each, and some of which have been cached.
async fn site() -> Site {
    let site = Site::start().await;
    site.expect("/sample.li/birds.jpg?w=300", 200, "MISS").await;
    site.expect("/sample.li/boat.jpg?w=300", 200, "MISS").await;
    site
}

/// Returns the content of an answer to an invalidation: status, outcome of the first entry,
/// message, hint.
fn told(answer: &Answer) -> [String; 4] {
    let reply = json(answer);
    let entry = &reply["invalidation"]["entries"][0];
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let hint = if entry.is_null() { &reply["hint"] } else { &entry["hint"] };
    let status = answer.status.as_u16().to_string();
    [status, text(&entry["outcome"]), text(&reply["msg"]), text(hint)]
}

/// Checks each part. A part that begins and ends in three dots must be contained in the answer.
fn assert_told(seen: &[String], expected: &str, row: &str) {
    let expected: Vec<_> = expected.split(" | ").collect();
    let inner = |text: &str| {
        let rest = text.strip_prefix("...")?.strip_suffix("...")?;
        Some(rest.to_owned())
    };
    let holds = seen.len() == expected.len()
        && seen.iter().zip(&expected).all(|(seen, expected)| {
            inner(expected).map_or(seen == expected, |part| seen.contains(&part))
        });
    assert!(holds, "{row}\n    seen: {seen:?}\nexpected: {expected:?}");
}

#[tokio::test]
async fn requests_are_served_as_the_reports_expect() {
    let rows = rows("edge");
    assert!(!rows.is_empty());
    for [_, _, input, expected, reason] in rows {
        let site = site().await;
        let target = input.strip_prefix("GET ").and_then(|rest| rest.strip_suffix(" HTTP/1.1"));
        let answer = site.get(target.unwrap()).await;
        let parts: Vec<_> = expected.split(" | ").collect();
        let [status, cache, like] = parts[..] else { panic!("not three parts: {expected}") };
        let seen = (answer.status.as_u16().to_string(), answer.cache().to_owned());
        assert_eq!(seen, (status.to_owned(), cache.to_owned()), "{input}: {reason}");
        let same = site.get(like).await.body;
        assert_eq!(answer.body, same, "{input}: {reason}");
    }
}

#[tokio::test]
async fn entries_are_answered_as_the_reports_expect() {
    let rows = rows("edgeinv");
    assert!(!rows.is_empty());
    for [_, _, input, expected, reason] in rows {
        let site = site().await;
        let entry = String::from_utf8(unescape(input)).unwrap();
        let body = json!({ "scope": "original", "urls": [entry] });
        let seen = told(&site.post(body.to_string()).await);
        assert_told(&seen, expected, &format!("{input}: {reason}"));
    }
}

#[tokio::test]
async fn bodies_are_answered_as_the_reports_expect() {
    let rows = rows("body");
    assert!(!rows.is_empty());
    for [_, _, input, expected, reason] in rows {
        let site = site().await;
        let [status, _, message, hint] = told(&site.post(unescape(input)).await);
        assert_told(&[status, message, hint], expected, &format!("{input}: {reason}"));
    }
}

#[tokio::test]
async fn all_leading_slashes_of_a_target_are_one() {
    let site = site().await;
    for (target, status, cache) in [
        ("//sample.li/birds.jpg?w=300", 200, "HIT"),
        ("///sample.li/birds.jpg?width=300", 200, "HIT"),
        ("//https://sample.li/birds.jpg?w=300", 404, ""),
        ("//v7/sample.li/birds.jpg?w=300", 400, ""),
        ("//doc.cloudimg.io/sample.li/birds.jpg?w=300", 400, ""),
        ("//", 404, ""),
        ("//?w=300", 400, ""),
    ] {
        site.expect(target, status, cache).await;
    }
    // A picture that was delivered under such a target can be invalidated under it.
    assert_eq!(site.purge(&["//sample.li/birds.jpg"]).await[0]["outcome"], "removed");
}

#[tokio::test]
async fn the_path_of_an_invalidation_may_have_a_slash_too_many() {
    let site = site().await;
    let headers = [("x-client-key", KEY)];
    for (target, status) in [
        ("/invalidate", 201),
        ("/invalidate/", 201),
        ("//invalidate", 201),
        ("/invalidate/?dry_run=1", 200),
        ("/invalidate//", 404),
    ] {
        let body = Bytes::from_static(br#"{"scope":"all"}"#);
        let answer = site.client.control(Method::POST, target, &headers, body).await.unwrap();
        assert_eq!(answer.status.as_u16(), status, "{target}");
    }
    assert_eq!(site.ask("/invalidate/").await.status.as_u16(), 404);
}

#[tokio::test]
async fn a_wildcard_that_was_carried_out_says_what_was_not_counted() {
    let site = site().await;
    let body = r#"{"scope":"original","urls":["/sample.li/b*","/sample.li/birds.jpg"]}"#;
    let reply = json(&site.post(body).await);
    let message = "1 wildcard invalidated (not counted: a dry run, /invalidate?dry_run=1, counts), \
                   1 variant removed, 0 open fills overtaken";
    assert_eq!(reply["msg"], message);
    assert_eq!(reply["invalidation"]["entries"][0]["variants"], json!(null));

    let headers = [("x-client-key", KEY)];
    for (body, message) in [
        (
            r#"{"scope":"original","urls":["/sample.li/nosuchfolder/*"]}"#,
            "dry run, nothing was changed: 0 variants removed, 0 open fills overtaken, \
             1 of 1 matched nothing",
        ),
        (
            r#"{"scope":"original","urls":["/sample.li/bo*"],"mode":"soft"}"#,
            "dry run, nothing was changed: 0 variants made stale, 0 open fills overtaken, \
             1 of 1 matched nothing",
        ),
    ] {
        let target = "/invalidate?dry_run=1";
        let answer = site.client.control(Method::POST, target, &headers, body.into());
        assert_eq!(json(&answer.await.unwrap())["msg"], message, "{body}");
    }
}

#[tokio::test]
async fn what_was_probably_meant_is_hinted_at() {
    let several = "one string names one picture: send each picture as a string of its own in urls";
    let renditions = "to invalidate single renditions, use scope \"urls\" or transformations";
    for (entry, status, hint) in [
        ("/sample.li/birds.jpg,/sample.li/boat.jpg", "201", several),
        ("/sample.li/birds.jpg /sample.li/boat.jpg", "201", several),
        ("/sample.li/birds.jpg;sample.li/boat.jpg", "201", several),
        ("/sample.li/birds.jpg\t/sample.li/boat.jpg", "422", several),
        ("/sample.li/birds.jpg\n/sample.li/boat.jpg\n", "422", several),
        ("/sample.li/birds.jpg?w=300,/sample.li/boat.jpg?w=300", "422", renditions),
        ("/sample.li/birds.jpg,/sample.li/boat.jpg?w=300", "422", several),
        ("/sample.li/brids.jpg", "201", "-"),
        ("/sample.li/birds.jpg", "201", "-"),
    ] {
        let site = site().await;
        let body = json!({ "scope": "original", "urls": [entry] });
        let [seen, _, message, found] = told(&site.post(body.to_string()).await);
        assert_eq!((seen.as_str(), found.as_str()), (status, hint), "{entry:?}: {message}");
    }
}

#[tokio::test]
async fn a_url_from_the_address_bar_is_recognized_by_any_host_of_the_edge() {
    let site = site().await;
    let port = site.running.delivery.port();
    let mut wrong = Vec::new();
    for host in ["127.0.0.1", "localhost", "LOCALHOST", "doc.cloudimg.io"] {
        for start in ["http://", "HTTPS://", "/http://"] {
            let url = format!("{start}{host}:{port}/sample.li/birds.jpg");
            for (scope, query, meant) in [
                ("original", "", "sample.li/birds.jpg"),
                ("original", "?w=300", "sample.li/birds.jpg"),
                ("urls", "?w=300", "sample.li/birds.jpg?w=300"),
            ] {
                let entry = format!("{url}{query}");
                let body = json!({ "scope": scope, "urls": [entry] });
                let answer = site.post(body.to_string()).await;
                let suggestion = json(&answer)["suggestion"].clone();
                if (answer.status.as_u16(), &suggestion) != (422, &json!(meant)) {
                    wrong.push(format!(
                        "{scope} {entry}: {:?}",
                        String::from_utf8_lossy(&answer.body)
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Other hosts and other ports are origins.
    for url in
        [format!("http://127.0.0.1:{}/a.jpg", port ^ 1), format!("http://sample.li:{port}/a.jpg")]
    {
        assert_eq!(site.purge(&[&url]).await[0]["outcome"], "matched nothing");
    }
    site.expect("/sample.li/birds.jpg?w=300", 200, "HIT").await;
}
