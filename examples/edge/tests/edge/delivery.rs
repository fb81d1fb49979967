//! `GET` and `HEAD` of pictures: which are made, which are kept, which are refused.

use crate::app::client::Answer;
use crate::app::edge::Limits;
use crate::app::origin::OriginError;
use crate::harness::{BLUE, RED, Site, picture, text};
use axum::body::Bytes;
use axum::http::{Method, StatusCode};
use pictures::{Format, Picture};
use std::time::Duration;

const BIRDS: &str = "/sample.li/birds.jpg?w=30";

fn picture_in(answer: &Answer) -> Picture {
    Picture::decode(&answer.body).unwrap()
}

#[tokio::test]
async fn a_rendition_is_made_once_and_then_served_from_memory() {
    let site = Site::start().await;
    let made = site.expect(BIRDS, 200, "MISS").await;
    assert_eq!(picture_in(&made).size(), (30, 20));
    assert_eq!(picture_in(&made).color(), Some(RED));

    let kept = site.expect(BIRDS, 200, "HIT").await;
    assert_eq!(kept.body, made.body);
    assert_eq!(kept.header("age"), "0");
    assert_eq!(site.script.fetches(), 1);
    site.assert_agreement();
}

#[tokio::test]
async fn two_spellings_of_one_rendition_meet() {
    let site = Site::start().await;
    site.expect("/sample.li/birds.jpg?w=30&h=10&func=fit", 200, "MISS").await;
    for other in [
        "/sample.li/birds.jpg?func=fit&h=10&w=30",
        "/sample.li/birds.jpg?height=10&&width=30&func=fi%74",
        "/SAMPLE.li/./x/../birds%2Ejpg?w=30&h=10&func=fit",
    ] {
        site.expect(other, 200, "HIT").await;
    }
    assert_eq!(site.script.fetches(), 1);
}

#[tokio::test]
async fn each_func_gives_its_own_size() {
    let site = Site::start().await;
    for (func, size) in
        [("crop", (30, 30)), ("fit", (30, 30)), ("bound", (30, 20)), ("cover", (45, 30))]
    {
        let target = format!("/sample.li/birds.jpg?w=30&h=30&func={func}");
        let answer = site.expect(&target, 200, "MISS").await;
        assert_eq!(picture_in(&answer).size(), size, "{func}");
    }
    let small = site.expect("/sample.li/birds.jpg?w=600&org_if_sml=1", 200, "MISS").await;
    assert_eq!(picture_in(&small).size(), (60, 40));
    assert_eq!(site.variants("sample.li/birds.jpg").len(), 5);
}

#[tokio::test]
async fn each_format_is_what_it_says() {
    let site = Site::start().await;
    for (name, format, content_type) in [
        ("jpeg", Format::Jpeg, "image/jpeg"),
        ("png", Format::Png, "image/png"),
        ("webp", Format::WebP, "image/webp"),
    ] {
        let target = format!("/sample.li/birds.jpg?w=30&force_format={name}");
        let answer = site.expect(&target, 200, "MISS").await;
        assert_eq!(Format::of(&answer.body), Some(format));
        assert_eq!(answer.header("content-type"), content_type);
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
}

#[tokio::test]
async fn without_operations_the_picture_is_served_byte_for_byte() {
    let site = Site::start().await;
    for target in ["/sample.li/birds.jpg", "/sample.li/birds.jpg?vh=7"] {
        let answer = site.expect(target, 200, "MISS").await;
        assert_eq!(answer.body, picture(RED));
        assert_eq!(answer.header("content-type"), "image/png", "by content, not by name");
    }
}

#[tokio::test]
async fn head_says_what_get_would_and_sends_no_body() {
    let site = Site::start().await;
    for cache in ["MISS", "HIT"] {
        let head = site.client.send(Method::HEAD, BIRDS, &[], Bytes::new()).await.unwrap();
        assert_eq!((head.status, head.cache()), (StatusCode::OK, cache));
        assert!(head.body.is_empty());
        let get = site.expect(BIRDS, 200, "HIT").await;
        assert_eq!(head.header("content-length"), get.body.len().to_string());
        for name in ["etag", "content-type", "cache-control", "content-length"] {
            assert_eq!(head.header(name), get.header(name), "{name}");
        }
    }
}

#[tokio::test]
async fn further_slashes_at_the_beginning_of_a_target_are_dropped() {
    let site = Site::start().await;
    let made = site.expect(BIRDS, 200, "MISS").await;
    for slashes in ["/", "//"] {
        let answer = site.expect(&format!("{slashes}{BIRDS}"), 200, "HIT").await;
        assert_eq!(answer.body, made.body);
    }
    assert_eq!(site.get("//").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_client_that_has_the_bytes_gets_304_until_they_change() {
    let site = Site::start().await;
    let made = site.expect(BIRDS, 200, "MISS").await;
    let etag = made.header("etag").to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() == 34, "strong: {etag}");
    assert_eq!(made.header("cache-control"), "public, max-age=0, must-revalidate");

    let ask = async |tags: &str| {
        let headers = [("if-none-match", tags)];
        site.client.send(Method::GET, BIRDS, &headers, Bytes::new()).await.unwrap()
    };
    for known in [etag.clone(), format!("W/{etag}"), format!("\"x\", {etag}"), "*".to_owned()] {
        let answer = ask(&known).await;
        assert_eq!((answer.status, answer.cache()), (StatusCode::NOT_MODIFIED, "HIT"), "{known}");
        assert!(answer.body.is_empty());
        assert_eq!(answer.header("etag"), etag);
        assert_eq!(answer.header("cache-control"), made.header("cache-control"));
    }
    for unknown in ["\"x\"", "x", &etag[1..33], ""] {
        assert_eq!(ask(unknown).await.status, StatusCode::OK, "{unknown}");
    }

    site.script.set("sample.li/birds.jpg", Ok(picture(BLUE)));
    site.purge(&["/sample.li/birds.jpg"]).await;
    let answer = ask(&etag).await;
    assert_eq!((answer.status, answer.cache()), (StatusCode::OK, "MISS"));
    assert_ne!(answer.header("etag"), etag);
    // The same bytes again have the same ETag: this 304 is a miss with a new fetch.
    site.purge(&["/sample.li/birds.jpg"]).await;
    let answer = ask(answer.header("etag")).await;
    assert_eq!((answer.status, answer.cache()), (StatusCode::NOT_MODIFIED, "MISS"));
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_by_name_before_the_origin_is_asked() {
    let site = Site::start().await;
    site.expect(BIRDS, 200, "MISS").await;
    let before = site.state();
    for (query, reason) in [
        ("w=0", "w must be a whole number of pixels from 1 to 4096, got \"0\""),
        ("w=99999", "w must be a whole number of pixels from 1 to 4096, got \"99999\""),
        ("w=30&w=30", "\"w\" is given more than once"),
        ("width=30&w=30", "both w and width are given"),
        ("q=101", "q must be a whole number of percent from 1 to 100, got \"101\""),
        ("blur=4", "\"blur\" is not an operation of this server"),
        ("gravity=face&w=3", "\"gravity\" is not an operation of this server"),
        ("func=cropfit&w=3", "func must be crop, fit, bound or cover, got \"cropfit\""),
        ("func=fit", "func needs w, h or both"),
        ("force_format=avif", "force_format must be jpeg, png or webp, got \"avif\""),
        ("W=3", "\"W\" is not an operation of this server"),
        ("%3Cscript%3E=1", "\"%3Cscript%3E\" is not an operation of this server"),
    ] {
        let answer = site.expect(&format!("/sample.li/birds.jpg?{query}"), 400, "").await;
        assert!(text(&answer).starts_with(reason), "{query}: {}", text(&answer));
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    assert_eq!(site.script.fetches(), 1);
    assert_eq!(site.state(), before);
    site.expect(BIRDS, 200, "HIT").await;
}

#[tokio::test]
async fn a_malformed_url_is_refused_with_the_place_and_changes_nothing() {
    let site = Site::start().await;
    site.expect(BIRDS, 200, "MISS").await;
    let before = site.state();
    for target in [
        "/../sample.li/birds.jpg",
        "/sample.li/../../birds.jpg",
        "/sample.li/%2e%2E/%2e./birds.jpg?w=30",
        "/sample.li/bi%rds.jpg",
        "/sample.li/birds%00.jpg",
        "/sample.li/birds.jpg?w=%zz",
        "//?w=30",
        "//v7/sample.li/birds.jpg",
        "/?w=30",
    ] {
        let answer = site.expect(target, 400, "").await;
        assert!(text(&answer).starts_with("malformed URL: "), "{target}: {}", text(&answer));
    }
    let climbing = text(&site.get("/sample.li/../../birds.jpg").await);
    assert!(climbing.contains(" at byte "), "{climbing}");
    assert_eq!(site.script.fetches(), 1);
    assert_eq!(site.state(), before);
    site.expect(BIRDS, 200, "HIT").await;
}

#[tokio::test]
async fn an_error_is_never_kept() {
    let site = Site::start().await;
    let html = Ok(Bytes::from_static(b"<html>503 Service Unavailable</html>"));
    let broken = Ok(picture(RED).slice(..30));
    let faults = [
        (Err(OriginError::NotFound), 404, "the origin has no such picture"),
        (
            Err(OriginError::Failed("out of order".to_owned())),
            502,
            "the origin failed: out of order",
        ),
        (html, 502, "the source is no JPEG, PNG or WebP picture"),
        (broken, 502, "the source is a broken picture"),
    ];
    for (answer, status, reason) in faults {
        site.script.set("sample.li/birds.jpg", answer);
        for target in [BIRDS, "/sample.li/birds.jpg"] {
            let answer = site.expect(target, status, "").await;
            assert_eq!(text(&answer).trim_end(), reason);
            assert_eq!(answer.header("cache-control"), "no-store");
            assert_eq!((answer.header("etag"), answer.header("age")), ("", ""));
        }
        assert_eq!(site.variants("sample.li/birds.jpg"), [""; 0]);
    }
    assert_eq!((site.edge().store.len(), site.edge().index.stats().open_leases), (0, 0));

    site.script.set("sample.li/birds.jpg", Ok(picture(RED)));
    site.expect(BIRDS, 200, "MISS").await;
    site.expect(BIRDS, 200, "HIT").await;
}

#[tokio::test]
async fn an_origin_that_takes_too_long_is_given_up() {
    let limits = Limits { fetch_time: Duration::from_millis(20), ..Limits::default() };
    let site = Site::start_with(limits).await;
    let held = site.gate.hold_next("sample.li/birds.jpg");
    let answer = site.expect(BIRDS, 504, "").await;
    assert_eq!(text(&answer).trim_end(), "the origin took too long");
    assert_eq!(site.edge().index.stats().open_leases, 0);
    drop(held);
    site.expect(BIRDS, 200, "MISS").await;
}

#[tokio::test]
async fn a_result_without_measure_is_refused() {
    let site = Site::start().await;
    let sliver = Picture::filled(1, 600, RED).encode(Format::Png, 100).unwrap();
    site.script.set("sample.li/birds.jpg", Ok(sliver.into()));
    let answer = site.expect("/sample.li/birds.jpg?w=4096", 400, "").await;
    assert!(text(&answer).starts_with("the result would have 4096 x 2457600 pixels"));
    site.assert_agreement();
}

#[tokio::test]
async fn a_picture_that_does_not_fit_into_the_store_is_served_and_not_kept() {
    let length = picture(RED).len() as u64;
    let limits = Limits { store_bytes: length, ..Limits::default() };
    let site = Site::start_with(limits).await;
    for _ in 0..2 {
        let answer = site.expect("/sample.li/birds.jpg", 200, "MISS").await;
        assert_eq!(answer.body, picture(RED));
        assert_eq!(answer.header("x-not-kept"), "no room in the store");
    }
    site.assert_agreement();
    assert_eq!(site.edge().index.stats().live, 0);
}

#[tokio::test]
async fn a_full_store_makes_room_and_takes_what_goes_out_of_the_index() {
    let one = picture(RED).len() as u64 + 512;
    let site = Site::start_with(Limits { store_bytes: 10 * one, ..Limits::default() }).await;
    for version in 0..60 {
        let answer = site.expect(&format!("/sample.li/birds.jpg?vh={version}"), 200, "MISS").await;
        assert_eq!(answer.header("x-not-kept"), "");
    }
    let (objects, evicted) = (site.edge().store.len(), site.edge().store.evicted());
    assert!((5..=10).contains(&objects), "{objects} objects");
    assert_eq!(objects as u64 + evicted, 60);
    assert_eq!(site.variants("sample.li/birds.jpg").len(), objects);
    site.assert_agreement();
    // Kept renditions are served; removed renditions are made again.
    for variant in site.variants("sample.li/birds.jpg") {
        site.expect(&format!("/sample.li/birds.jpg{variant}"), 200, "HIT").await;
    }
}

#[tokio::test]
async fn a_rendition_too_many_takes_the_place_of_the_oldest() {
    let limits = Limits { renditions: 3, ..Limits::default() };
    let site = Site::start_with(limits).await;
    site.expect("/sample.li/boat.jpg", 200, "MISS").await;
    for version in 1..=5 {
        site.expect(&format!("/sample.li/birds.jpg?vh={version}"), 200, "MISS").await;
    }
    assert_eq!(site.variants("sample.li/birds.jpg"), ["?vh=3", "?vh=4", "?vh=5"]);
    assert_eq!(site.edge().store.len(), 4);
    site.assert_agreement();
    site.expect("/sample.li/boat.jpg", 200, "HIT").await;
}

#[tokio::test]
async fn a_full_index_serves_without_keeping() {
    let limits = Limits { entries: 1, ..Limits::default() };
    let site = Site::start_with(limits).await;
    site.expect("/sample.li/birds.jpg", 200, "MISS").await;
    let answer = site.expect("/sample.li/boat.jpg", 200, "MISS").await;
    assert_eq!(answer.header("x-not-kept"), "too many entries");
    site.assert_agreement();
}

#[tokio::test]
async fn other_methods_are_told_which_ones_there_are() {
    let site = Site::start().await;
    site.expect(BIRDS, 200, "MISS").await;
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        let answer = site.client.send(method, BIRDS, &[], Bytes::new()).await.unwrap();
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.header("allow"), "GET, HEAD");
    }
    // A header that names another method is only a header.
    let headers = [("x-http-method-override", "POST"), ("x-forwarded-host", "evil.example")];
    let answer = site.client.send(Method::GET, BIRDS, &headers, Bytes::new()).await.unwrap();
    assert_eq!((answer.status, answer.cache()), (StatusCode::OK, "HIT"));
    // A path of the other listener is the name of a picture here.
    for target in ["/invalidate", "/metrics", "/healthz"] {
        site.expect(target, 404, "").await;
    }
}
