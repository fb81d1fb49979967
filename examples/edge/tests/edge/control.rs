//! The control listener: dry runs, receipts, the content of the cache, counters, and the page.

use crate::app::edge::{Edge, Limits};
use crate::app::inspect::agreement;
use crate::app::origin::gate::Gate;
use crate::app::server::Running;
use crate::harness::{KEY, Script, Site, eventually, json, setup, text};
use axum::body::Bytes;
use axum::http::Method;
use cache_index::canonical::Grouping;
use cache_index::{Hard, OriginPath, Soft};
use serde_json::json;
use std::sync::Arc;

const BIRDS: &str = "/sample.li/birds.jpg?w=30";
const BOAT: &str = "/sample.li/boat.jpg?w=30";

#[tokio::test]
async fn a_dry_run_says_what_would_go_and_changes_nothing() {
    let site = Site::start().await;
    site.expect(BIRDS, 200, "MISS").await;
    site.expect(BOAT, 200, "MISS").await;
    let before = site.state();
    for (body, variants) in [
        (r#"{"scope":"original","urls":["/sample.li/birds.jpg"]}"#, 1),
        (r#"{"scope":"original","urls":["/sample.li/*"]}"#, 2),
        (r#"{"scope":"urls","urls":["/sample.li/birds.jpg?w=30"],"mode":"soft"}"#, 1),
        (r#"{"scope":"all"}"#, 2),
    ] {
        let headers = [("x-client-key", KEY)];
        let answer = site
            .client
            .control(Method::POST, "/invalidate?dry_run=1", &headers, body.into())
            .await
            .unwrap();
        assert_eq!(answer.status.as_u16(), 200, "{}", text(&answer));
        let reply = json(&answer);
        assert_eq!(reply["dry_run"], true);
        assert_eq!(reply["invalidation"]["entries"][0]["variants"], variants, "{reply}");
        assert_eq!(reply["invalidation"]["uuid"], json!(null));
        assert!(reply["msg"].as_str().unwrap().starts_with("dry run, nothing was changed: "));
    }
    assert_eq!(site.state(), before);
    site.expect(BIRDS, 200, "HIT").await;
}

#[tokio::test]
async fn every_scope_and_both_modes_are_carried_out() {
    let site = Site::start().await;
    for (body, birds, boat) in [
        (r#"{"scope":"original","urls":["/sample.li/birds.jpg"]}"#, "MISS", "HIT"),
        (r#"{"scope":"original","urls":["/sample.li/bi*"]}"#, "MISS", "HIT"),
        (r#"{"scope":"original","urls":["/sample.li/*"],"mode":"soft"}"#, "STALE", "STALE"),
        (
            r#"{"scope":"original","urls":["/sample.li/birds.jpg"],"transformations":["w=30"]}"#,
            "MISS",
            "HIT",
        ),
        (
            r#"{"scope":"original","urls":["/sample.li/birds.jpg"],"transformations":["w=31"]}"#,
            "HIT",
            "HIT",
        ),
        (r#"{"scope":"urls","urls":["/sample.li/boat.jpg?w=30"]}"#, "HIT", "MISS"),
        (r#"{"scope":"all"}"#, "MISS", "MISS"),
    ] {
        for target in [BIRDS, BOAT] {
            // Until a refresh that the last round has caused is over.
            site.get(target).await;
        }
        eventually(|| site.edge().index.stats().stale == 0 && site.edge().fills.len() == 0).await;
        let answer = site.post(body).await;
        assert_eq!(answer.status.as_u16(), 201, "{}", text(&answer));
        assert_eq!(site.get(BIRDS).await.cache(), birds, "{body}");
        assert_eq!(site.get(BOAT).await.cache(), boat, "{body}");
    }
}

#[tokio::test]
async fn what_was_invalidated_can_be_asked_for_later() {
    let site = Site::start().await;
    site.expect(BIRDS, 200, "MISS").await;
    let body = r#"{"scope":"original","urls":["/sample.li/birds.jpg","/Sample.li/./birds.jpg"]}"#;
    let made = json(&site.post(body).await)["invalidation"].clone();
    let answer = site.ask(&format!("/invalidate/{}", made["uuid"].as_str().unwrap())).await;
    assert_eq!(answer.status.as_u16(), 200);
    let found = json(&answer)["invalidation"].clone();
    assert_eq!(found["status"], "DONE");
    let sent = json!(["/sample.li/birds.jpg", "/Sample.li/./birds.jpg"]);
    let urls = json!({ "received": sent, "invalidated": sent, "failed": [] });
    assert_eq!(found["urls"], urls);
    for member in ["uuid", "added_at", "entries", "duplicates", "generation"] {
        assert_eq!(found[member], made[member], "{member}");
    }

    let made = json(&site.post(r#"{"scope":"all"}"#).await)["invalidation"].clone();
    let answer = site.ask(&format!("/invalidate/{}", made["uuid"].as_str().unwrap())).await;
    let urls = json!({ "received": null, "invalidated": ["/*"], "failed": [] });
    assert_eq!(json(&answer)["invalidation"]["urls"], urls);

    let unknown = "/invalidate/00000000-0000-4000-8000-000000000000";
    assert_eq!(site.ask(unknown).await.status.as_u16(), 404);
    assert_eq!(site.ask("/invalidate/nonsense").await.status.as_u16(), 400);
}

#[tokio::test]
async fn the_variants_of_a_picture_are_listed() {
    let site = Site::start().await;
    site.expect("/sample.li/birds.jpg?w=30", 200, "MISS").await;
    site.expect("/sample.li/birds.jpg", 200, "MISS").await;
    let answer = site.ask("/variants?origin=%2FSample.li%2Fbirds.jpg").await;
    let reply = json(&answer);
    assert_eq!(reply["origin"], "sample.li/birds.jpg");
    let names: Vec<_> =
        reply["variants"].as_array().unwrap().iter().map(|line| &line["variant"]).collect();
    assert_eq!(names, ["?", "?w=30"]);
    assert_eq!(reply["variants"][0]["state"], "live");
    assert_eq!(reply["variants"][0]["content_type"], "image/png");
    site.soften(&["/sample.li/birds.jpg"]).await;
    let reply = json(&site.ask("/variants?origin=/sample.li/birds.jpg").await);
    assert_eq!(reply["variants"][1]["state"], "stale");

    assert_eq!(json(&site.ask("/variants?origin=nothing").await)["variants"], json!([]));
    for (target, expected) in [
        ("/variants", 400),
        ("/variants?origin=a&origin=b", 400),
        ("/variants?origin=", 422),
        ("/variants?origin=/sample.li/*", 422),
        ("/variants?origin=/sample.li/birds.jpg%3Fw%3D1", 422),
    ] {
        assert_eq!(site.ask(target).await.status.as_u16(), expected, "{target}");
    }
    let target = "/variants?origin=/sample.li/birds.jpg";
    let answer = site.client.control(Method::GET, target, &[], Bytes::new()).await.unwrap();
    assert_eq!(answer.status.as_u16(), 401);
}

#[tokio::test]
async fn the_check_sees_an_object_and_an_entry_that_are_lost() {
    let site = Site::start().await;
    site.expect(BIRDS, 200, "MISS").await;
    site.expect(BOAT, 200, "MISS").await;
    let answer = site.ask("/check").await;
    assert_eq!((answer.status.as_u16(), json(&answer)["agree"].clone()), (200, json!(true)));

    // Behind the edge's back: an object without its entry, and an entry without its object.
    let edge = site.edge();
    let tenant = &site.account().tenant;
    let birds = site.account().filing.delivery(BIRDS).unwrap();
    let id = edge.index.lookup(tenant, &birds.origin, &birds.variant).servable().unwrap();
    assert_eq!(edge.index.remove(tenant, &birds.origin, &birds.variant, &id), Some(id));
    let boat = site.account().filing.delivery(BOAT).unwrap();
    let id = edge.index.lookup(tenant, &boat.origin, &boat.variant).servable().unwrap();
    assert_eq!(edge.store.delete([id]), 1);
    let found = agreement(edge).unwrap();
    assert!(!found.agree);
    assert_eq!((found.entries_without_object, found.objects_without_entry), (1, 1), "{found:?}");
    assert_eq!(site.ask("/check").await.status.as_u16(), 409);
    // A lookup that finds the entry fetches the picture again.
    site.expect(BOAT, 200, "MISS").await;
    assert_eq!(agreement(edge).unwrap().entries_without_object, 0);
    edge.index.flush_all(Soft);
}

#[tokio::test]
async fn a_reclaim_ends_when_all_that_is_dead_is_deleted_by_whomever() {
    let site = Site::start().await;
    site.expect(BIRDS, 200, "MISS").await;
    let (edge, tenant) = (site.edge(), &site.account().tenant);
    let birds = site.account().filing.delivery(BIRDS).unwrap();
    let found = edge.look_up(tenant, &birds.origin, &birds.variant);
    let (_, object) = found.servable().unwrap();
    for _ in 0..10 {
        for n in 0..5000 {
            let path = OriginPath::from_canonical(&format!("sample.li/{n}")).unwrap().into_owned();
            let id = edge.store.write(&object).unwrap();
            assert!(edge.store.put(id, &object).is_empty());
            assert!(edge.index.insert(tenant, &path, &object.filed.variant, id).is_stored());
        }
        edge.index.flush_all(Hard);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    edge.reclaim();
                    assert_eq!(edge.store.len(), 0, "another reclaim is not done");
                });
            }
        });
    }
}

#[tokio::test]
async fn counters_tell_what_has_happened() {
    let site = Site::start().await;
    site.expect(BIRDS, 200, "MISS").await;
    site.expect(BIRDS, 200, "HIT").await;
    site.expect("/sample.li/nothing.jpg", 404, "").await;
    site.purge(&["/sample.li/birds.jpg"]).await;
    site.post(r#"{"scope":"all","mode":"soft"}"#).await;
    let answer = site.ask("/metrics").await;
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let metrics = text(&answer);
    for line in [
        "edge_hits_total 1",
        "edge_stale_hits_total 0",
        "edge_misses_total 2",
        "edge_fills_total 1",
        "edge_fills_refused_total{reason=\"purged\"} 0",
        "edge_faults_total{listener=\"delivery\",status=\"404\"} 1",
        "edge_purges_total{scope=\"original\",mode=\"hard\"} 1",
        "edge_purges_total{scope=\"all\",mode=\"soft\"} 1",
        "edge_purge_seconds_count 2",
        "edge_invalidation_seconds_count 2",
        "edge_entries{state=\"live\"} 0",
        "edge_entries{state=\"dead\"} 0",
        "edge_store_bytes 0",
        "edge_reclaim_lag_seconds 0.0",
    ] {
        assert!(metrics.lines().any(|other| other == line), "{line} is not in:\n{metrics}");
    }
    let stats = json(&site.ask("/stats").await);
    assert_eq!(
        (&stats["hits"], &stats["misses"], &stats["purges"]),
        (&json!(1), &json!(2), &json!(1))
    );
    assert_eq!(json(&site.ask("/healthz").await), json!({ "status": "ok" }));
}

#[tokio::test]
async fn every_answer_has_a_name_and_pictures_may_be_read_by_pages_of_other_sites() {
    let site = Site::start().await;
    let picture = site.expect(BIRDS, 200, "MISS").await;
    let refused = site.expect("/sample.li/birds.jpg?w=0", 400, "").await;
    let control = site.ask("/stats").await;
    let names =
        [&picture, &refused, &control].map(|answer| answer.header("x-request-id").to_owned());
    assert!(names.iter().all(|name| name.len() >= 10), "{names:?}");
    assert!(names[0] != names[1] && names[1] != names[2], "{names:?}");
    for answer in [picture, refused] {
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert!(answer.header("access-control-expose-headers").contains("X-Cache"));
    }
    assert_eq!(
        control.header("access-control-allow-origin"),
        "",
        "what control says is nobody else's"
    );
}

#[tokio::test]
async fn what_is_no_page_of_control_is_not_found() {
    let site = Site::start().await;
    for target in ["/sample.li/birds.jpg", "/favicon.ico", "/invalidate/", "/../etc/passwd", "//"] {
        assert_eq!(site.ask(target).await.status.as_u16(), 404, "{target}");
    }
    let answer = site.client.control(Method::DELETE, "/metrics", &[], Bytes::new()).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "GET, HEAD"));
}

#[tokio::test]
async fn the_page_has_no_key_and_is_told_one_only_at_home() {
    let script = Script::default();
    let mut edge = Edge::new(
        Arc::new(Gate::new(Arc::new(script))),
        setup(Grouping::Grouped, Limits::default()),
    )
    .unwrap();
    edge.shown_key = Some(KEY.to_owned());
    let running = Running::start(edge).await.unwrap();
    let client = crate::app::client::Client::new(running.delivery, running.control);
    let page = client.control(Method::GET, "/", &[], Bytes::new()).await.unwrap();
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy").to_owned();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let page = text(&page);
    assert!(!page.contains(KEY) && !page.contains("{{nonce}}"), "{page}");
    let nonce = policy.split("'nonce-").nth(1).and_then(|rest| rest.split('\'').next()).unwrap();
    assert!(page.contains(&format!("nonce=\"{nonce}\"")), "{page}");
    assert!(!page.contains("src=\"http") && !page.contains("href=\"http"), "from no other host");

    for (host, key) in [
        ("127.0.0.1:8081", json!(KEY)),
        ("localhost:8081", json!(KEY)),
        ("[::1]:8081", json!(KEY)),
        // A name that an attacker has made to point here.
        ("evil.example:8081", json!(null)),
        ("127.0.0.1.evil.example", json!(null)),
    ] {
        let answer =
            client.control(Method::GET, "/page.json", &[("host", host)], Bytes::new()).await;
        let facts = json(&answer.unwrap());
        assert_eq!(facts["client_key"], key, "{host}");
        assert_eq!(facts["needs_key"], key == json!(null));
        assert_eq!(facts["account"]["token"], "doc");
    }
    running.stop().await;
}
