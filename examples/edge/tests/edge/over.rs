//! Flushes that are spread over time: `POST /invalidate?over=SECONDS`.

use crate::app::client::Answer;
use crate::app::edge::{Limits, Setup};
use crate::harness::{BLUE, KEY, PATIENCE, RED, Site, eventually, json, picture, setup};
use axum::http::Method;
use cache_index::ManualClock;
use cache_index::canonical::Grouping;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

const BIRDS: &str = "/sample.li/birds.jpg";
const MINUTE: Duration = Duration::from_secs(60);
const ALL: &str = r#"{"scope":"all"}"#;

/// A site that has the red birds, with blue ones at the origin.
async fn filled(clock: &ManualClock) -> Site {
    let limits = Limits { clock: Some(clock.clone()), ..Limits::default() };
    let site = Site::start_for(Setup { ..setup(Grouping::Grouped, limits) }).await;
    site.expect(BIRDS, 200, "MISS").await;
    site.script.set("sample.li/birds.jpg", Ok(picture(BLUE)));
    site
}

async fn post(site: &Site, query: &str, body: &'static str) -> Answer {
    let headers = [("x-client-key", KEY), ("content-type", "application/json")];
    let target = format!("/invalidate?{query}");
    site.client.control(Method::POST, &target, &headers, body.into()).await.unwrap()
}

async fn flush(site: &Site, query: &str) -> Value {
    let answer = post(site, query, ALL).await;
    assert_eq!(answer.status.as_u16(), 201, "{answer:?}");
    json(&answer)
}

#[tokio::test]
async fn older_pictures_are_served_until_their_moment_and_no_longer() {
    let clock = ManualClock::default();
    let site = filled(&clock).await;
    let reply = flush(&site, "over=60&serving=live").await;
    assert_eq!(reply["msg"], "everything will be invalidated within 60 seconds");
    let told = &reply["invalidation"];
    assert_eq!(
        (&told["scope"], &told["mode"], &told["over_seconds"]),
        (&json!("all"), &json!("hard"), &json!(60))
    );
    assert!(told["generation"].is_u64(), "{told}");
    assert_eq!(told["entries"], json!([{ "origin": "/*", "outcome": "invalidated" }]));
    assert_eq!(site.expect(BIRDS, 200, "HIT").await.body, picture(RED));
    assert_eq!(site.script.fetches(), 1);

    clock.advance(MINUTE);
    assert_eq!(site.expect(BIRDS, 200, "MISS").await.body, picture(BLUE));
    site.expect(BIRDS, 200, "HIT").await;
    eventually(|| site.edge().store.len() == 1).await;
    site.assert_agreement();
    // The receipt can be read again.
    let uuid = told["uuid"].as_str().unwrap();
    let again = json(&site.ask(&format!("/invalidate/{uuid}")).await);
    assert_eq!(again["invalidation"]["over_seconds"], 60);
}

#[tokio::test]
async fn stale_pictures_are_refreshed_and_the_refreshed_ones_stay() {
    let clock = ManualClock::default();
    let site = filled(&clock).await;
    flush(&site, "over=60").await;
    assert_eq!(site.expect(BIRDS, 200, "STALE").await.body, picture(RED));
    let refreshed = async {
        while site.get(BIRDS).await.body != picture(BLUE) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, refreshed).await.unwrap();
    assert_eq!(site.expect(BIRDS, 200, "HIT").await.body, picture(BLUE));
    clock.advance(MINUTE);
    assert_eq!(site.expect(BIRDS, 200, "HIT").await.body, picture(BLUE));
    assert_eq!(site.script.fetches(), 2);
    site.assert_agreement();
}

#[tokio::test]
async fn what_cannot_be_spread_over_time_is_refused_and_changes_nothing() {
    let site = filled(&ManualClock::default()).await;
    let before = site.state();
    let soft = r#"{"scope":"all","mode":"soft"}"#;
    let one = r#"{"scope":"original","urls":["/sample.li/birds.jpg"]}"#;
    for (query, body, status, reason) in [
        ("over=0", ALL, 400, "over must be a whole number of seconds from 1 to 86400, got \"0\""),
        ("over=60&serving=old", ALL, 400, "serving must be stale or live, got \"old\""),
        ("serving=live", ALL, 400, "serving needs a duration: expected over=SECONDS"),
        ("over=60&dry_run=1", ALL, 400, "unknown query: expected none, dry_run=1 or over=SECONDS"),
        ("over=60", one, 422, "over is only allowed with scope \"all\""),
        (
            "over=60",
            soft,
            422,
            "over is not allowed with mode \"soft\": each older entry dies in the end",
        ),
    ] {
        let answer = post(&site, query, body).await;
        let seen = (answer.status.as_u16(), json(&answer)["msg"].as_str().unwrap().to_owned());
        assert_eq!(seen, (status, reason.to_owned()), "{query}");
    }
    assert_eq!(site.state(), before);
    assert_eq!(site.expect(BIRDS, 200, "HIT").await.body, picture(RED));
}
