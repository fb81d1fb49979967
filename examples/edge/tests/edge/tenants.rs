//! Several customers: which picture belongs to which, and which key may invalidate it.

use crate::app::accounts::{AccountSettings, Quota, Unnamed};
use crate::app::client::Answer;
use crate::app::client_key::ClientKey;
use crate::app::edge::{Limits, Setup};
use crate::harness::{RED, Site, json, picture, text};
use axum::body::Bytes;
use axum::http::Method;
use cache_index::canonical::{Grouping, V7};
use serde_json::json;
use std::num::NonZeroU32;

const BIRDS: &str = "/sample.li/birds.jpg";

fn account(token: &str, key: &str) -> AccountSettings {
    AccountSettings::new(token, ClientKey::new(key).unwrap())
}

/// `acme`, `old` with `/v7/`, and `shop` below a prefix with a host of its own.
async fn start() -> Site {
    let old = AccountSettings { v7: V7::Required, ..account("old", "key-old") };
    let shop = AccountSettings {
        prefix: Some("https://bucket.example/pictures/".to_owned()),
        custom_host: Some("img.shop.example".to_owned()),
        ..account("shop", "key-shop")
    };
    let accounts = vec![account("acme", "key-acme"), old, shop];
    let (unnamed, grouping, limits) = (Unnamed::Nobody, Grouping::Grouped, Limits::default());
    let site = Site::start_for(Setup { accounts, unnamed, grouping, limits, data: None }).await;
    site.script.set("a.jpg", Ok(picture(RED)));
    site
}

async fn get(site: &Site, host: &str, target: &str) -> Answer {
    site.client.send(Method::GET, target, &[("host", host)], Bytes::new()).await.unwrap()
}

async fn post(site: &Site, host: &str, key: &str, body: &str) -> Answer {
    let headers = [("host", host), ("x-client-key", key)];
    let body = Bytes::copy_from_slice(body.as_bytes());
    site.client.control(Method::POST, "/invalidate", &headers, body).await.unwrap()
}

async fn cached(site: &Site, host: &str, target: &str) -> String {
    let answer = get(site, host, target).await;
    assert_eq!(answer.status.as_u16(), 200, "{host}{target}: {}", text(&answer));
    answer.cache().to_owned()
}

#[tokio::test]
async fn purge_is_for_the_tenant_that_its_host_and_key_name() {
    let site = start().await;
    let (old, acme) = ("/v7/sample.li/birds.jpg", BIRDS);
    assert_eq!(cached(&site, "acme.cloudimg.io", acme).await, "MISS");
    assert_eq!(cached(&site, "old.cloudimg.io", old).await, "MISS");
    let purge = async |host: &str, key: &str, target: &str| {
        let method = Method::from_bytes(b"PURGE").unwrap();
        let headers = [("host", host), ("x-client-key", key)];
        let answer = site.client.control(method, target, &headers, Bytes::new()).await.unwrap();
        answer.status.as_u16()
    };
    assert_eq!(purge("nobody.cloudimg.io", "key-acme", acme).await, 421);
    assert_eq!(purge("acme.cloudimg.io", "key-old", acme).await, 401);
    assert_eq!(purge("old.cloudimg.io", "key-old", acme).await, 400, "without /v7/");
    assert_eq!(cached(&site, "acme.cloudimg.io", acme).await, "HIT");
    assert_eq!(purge("old.cloudimg.io", "key-old", old).await, 200);
    assert_eq!(cached(&site, "old.cloudimg.io", old).await, "MISS");
    assert_eq!(cached(&site, "acme.cloudimg.io", acme).await, "HIT");
    // By the address of the server: the key names the tenant.
    assert_eq!(purge("127.0.0.1", "key-acme", acme).await, 200);
    assert_eq!(cached(&site, "acme.cloudimg.io", acme).await, "MISS");
}

#[tokio::test]
async fn the_same_path_of_two_customers_is_two_pictures() {
    let site = start().await;
    for (host, target) in
        [("acme.cloudimg.io", BIRDS), ("old.cloudimg.io", "/v7/sample.li/birds.jpg")]
    {
        assert_eq!(cached(&site, host, target).await, "MISS");
        assert_eq!(cached(&site, host, target).await, "HIT");
    }
    let body = r#"{"scope":"original","urls":["/sample.li/birds.jpg"]}"#;
    let answer = post(&site, "127.0.0.1", "key-acme", body).await;
    assert_eq!(json(&answer)["invalidation"]["entries"][0]["variants"], 1);
    assert_eq!(cached(&site, "old.cloudimg.io", "/v7/sample.li/birds.jpg").await, "HIT");
    assert_eq!(cached(&site, "acme.cloudimg.io", BIRDS).await, "MISS");

    let answer = post(&site, "old.cloudimg.io", "key-old", r#"{"scope":"all"}"#).await;
    assert_eq!(answer.status.as_u16(), 201);
    assert_eq!(cached(&site, "acme.cloudimg.io", BIRDS).await, "HIT");
    assert_eq!(cached(&site, "old.cloudimg.io", "/v7/sample.li/birds.jpg").await, "MISS");
    site.assert_agreement();
}

#[tokio::test]
async fn both_generations_say_what_is_wrong_with_the_other_spelling() {
    let site = start().await;
    let missing = get(&site, "old.cloudimg.io", BIRDS).await;
    assert_eq!(missing.status.as_u16(), 400);
    assert!(text(&missing).contains("v7"), "{}", text(&missing));
    let superfluous = get(&site, "acme.cloudimg.io", "/v7/sample.li/birds.jpg").await;
    assert_eq!(superfluous.status.as_u16(), 400);

    let body = r#"{"scope":"original","urls":["/sample.li/birds.jpg"]}"#;
    let answer = post(&site, "127.0.0.1", "key-old", body).await;
    assert_eq!(answer.status.as_u16(), 422);
    assert_eq!(json(&answer)["suggestion"], "v7/sample.li/birds.jpg");
}

#[tokio::test]
async fn a_prefix_is_left_out_and_a_custom_host_is_answered() {
    let site = start().await;
    assert_eq!(cached(&site, "img.shop.example", "/a.jpg").await, "MISS");
    assert_eq!(cached(&site, "IMG.shop.example:8080", "/a.jpg").await, "HIT");
    assert_eq!(cached(&site, "shop.cloudimg.io", "/a.jpg").await, "HIT");
    let body = r#"{"scope":"original","urls":["https://bucket.example/pictures/a.jpg"]}"#;
    let answer = post(&site, "127.0.0.1", "key-shop", body).await;
    assert_eq!(answer.status.as_u16(), 422, "{}", text(&answer));
    assert_eq!(json(&answer)["suggestion"], "a.jpg");
    let answer =
        post(&site, "127.0.0.1", "key-shop", r#"{"scope":"original","urls":["a.jpg"]}"#).await;
    assert_eq!(json(&answer)["invalidation"]["entries"][0]["variants"], 1);
}

#[tokio::test]
async fn a_host_that_is_nobodys_is_told_so() {
    let site = start().await;
    for host in ["nobody.cloudimg.io", "127.0.0.1", "localhost", "acme.cloudimg.io.evil.example"] {
        let answer = get(&site, host, BIRDS).await;
        assert_eq!(answer.status.as_u16(), 421, "{host}");
        assert!(text(&answer).starts_with("unknown host"), "{}", text(&answer));
    }
    let answer = post(&site, "nobody.cloudimg.io", "key-acme", r#"{"scope":"all"}"#).await;
    assert_eq!(answer.status.as_u16(), 421);
    assert_eq!(site.script.fetches(), 0);
}

#[tokio::test]
async fn no_tenant_invalidates_or_sees_entries_of_another() {
    let site = start().await;
    cached(&site, "acme.cloudimg.io", BIRDS).await;
    let before = site.edge().index.stats();
    for (host, key) in [
        ("acme.cloudimg.io", "key-old"),
        ("old.cloudimg.io", "key-acme"),
        ("acme.cloudimg.io", "KEY-ACME"),
        ("127.0.0.1", "key-nobody"),
    ] {
        let answer = post(&site, host, key, r#"{"scope":"all"}"#).await;
        assert_eq!(answer.status.as_u16(), 401, "{host} {key}");
    }
    assert_eq!(site.edge().index.stats(), before);

    let body = r#"{"scope":"original","urls":["/sample.li/birds.jpg"]}"#;
    let uuid =
        json(&post(&site, "127.0.0.1", "key-acme", body).await)["invalidation"]["uuid"].clone();
    let target = format!("/invalidate/{}", uuid.as_str().unwrap());
    for (key, expected) in [("key-acme", 200), ("key-old", 404), ("wrong", 401)] {
        let headers = [("x-client-key", key)];
        let answer =
            site.client.control(Method::GET, &target, &headers, Bytes::new()).await.unwrap();
        assert_eq!(answer.status.as_u16(), expected, "{key}");
    }
}

#[tokio::test]
async fn a_customer_who_asks_too_often_waits_and_the_others_do_not() {
    let quota = Quota {
        per_second: NonZeroU32::MIN,
        burst: NonZeroU32::new(3).unwrap(),
        entries: 2,
        body_bytes: 100,
    };
    let busy = AccountSettings { quota, ..account("busy", "key-busy") };
    let accounts = vec![busy, account("calm", "key-calm")];
    let (unnamed, grouping, limits) = (Unnamed::Nobody, Grouping::Grouped, Limits::default());
    let site = Site::start_for(Setup { accounts, unnamed, grouping, limits, data: None }).await;

    let many = r#"{"scope":"original","urls":["/a","/b","/c"]}"#;
    let answer = post(&site, "localhost", "key-busy", many).await;
    assert_eq!(answer.status.as_u16(), 422);
    assert_eq!(json(&answer)["msg"], "urls has more than 2 entries");
    let long = format!(r#"{{"scope":"all"}}{}"#, " ".repeat(100));
    assert_eq!(post(&site, "localhost", "key-busy", &long).await.status.as_u16(), 413);
    assert_eq!(
        post(&site, "localhost", "key-busy", r#"{"scope":"all"}"#).await.status.as_u16(),
        201
    );

    let mut refused = None;
    for _ in 0..20 {
        let answer = post(&site, "localhost", "key-busy", r#"{"scope":"all"}"#).await;
        if answer.status.as_u16() == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("twenty in a moment are too many");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(json(&refused)["msg"], "too many requests: at most 1 a second, 3 at once");
    assert_eq!(post(&site, "localhost", "key-calm", many).await.status.as_u16(), 201);
    // A client without the key does not use up the turns of others.
    for _ in 0..20 {
        assert_eq!(post(&site, "localhost", "wrong", many).await.status.as_u16(), 401);
    }
    assert_eq!(post(&site, "localhost", "key-calm", many).await.status.as_u16(), 201);
}

#[tokio::test]
async fn the_page_is_told_about_a_customer_by_their_key() {
    let site = start().await;
    let ask = async |headers: &[(&str, &str)]| {
        let answer =
            site.client.control(Method::GET, "/page.json", headers, Bytes::new()).await.unwrap();
        (answer.status.as_u16(), json(&answer))
    };
    let (status, facts) = ask(&[]).await;
    assert_eq!((status, &facts["account"], &facts["needs_key"]), (200, &json!(null), &json!(true)));
    let (status, facts) = ask(&[("x-client-key", "key-old")]).await;
    assert_eq!(status, 200);
    assert_eq!(facts["account"]["pictures"], json!(["/v7/sample.li/birds.jpg"]));
    assert_eq!(facts["client_key"], json!(null));
    assert_eq!(ask(&[("x-client-key", "wrong")]).await.0, 401);
}
