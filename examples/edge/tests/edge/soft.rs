//! Soft invalidations: a stale picture is served at once, and fetched again once.

use crate::app::origin::OriginError;
use crate::harness::{BLUE, PATIENCE, RED, Site, eventually, picture};
use serde_json::json;
use tokio::time::timeout;

const TARGET: &str = "/sample.li/birds.jpg";
const BIRDS: &str = "sample.li/birds.jpg";

/// A site that has the red birds, made stale, with blue ones at the origin.
async fn softened() -> Site {
    let site = Site::start().await;
    site.expect(TARGET, 200, "MISS").await;
    site.script.set(BIRDS, Ok(picture(BLUE)));
    let lines = site.soften(&[TARGET]).await;
    assert_eq!((&lines[0]["outcome"], &lines[0]["variants"]), (&json!("made stale"), &json!(1)));
    site
}

/// Waits until the blue birds have taken the place of the red ones.
async fn refreshed(site: &Site) {
    let waiting = async {
        while site.get(TARGET).await.body != picture(BLUE) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap();
    site.expect(TARGET, 200, "HIT").await;
}

#[tokio::test]
async fn what_is_stale_is_served_while_exactly_one_refresh_runs() {
    let site = softened().await;
    let mut held = site.gate.hold_next(BIRDS);
    for _ in 0..20 {
        assert_eq!(site.expect(TARGET, 200, "STALE").await.body, picture(RED));
    }
    timeout(PATIENCE, held.arrived()).await.unwrap();
    assert_eq!((site.script.fetches(), site.edge().metrics.refreshes.get()), (2, 1));
    assert_eq!(site.edge().metrics.stale_hits.get(), 20);

    drop(held);
    refreshed(&site).await;
    assert_eq!(site.script.fetches(), 2);
    assert_eq!(site.edge().store.len(), 1, "the stale object was deleted");
    site.assert_agreement();
}

#[tokio::test]
async fn everything_can_be_made_stale() {
    let site = softened().await;
    refreshed(&site).await;
    let answer = site.post(r#"{"scope":"all","mode":"soft"}"#).await;
    assert_eq!(answer.status.as_u16(), 201);
    site.expect(TARGET, 200, "STALE").await;
    eventually(|| site.edge().index.stats().stale == 0).await;
    site.expect(TARGET, 200, "HIT").await;
    site.assert_agreement();
}

#[tokio::test]
async fn a_refresh_that_fails_leaves_the_stale_picture_and_is_not_tried_again_at_once() {
    let site = softened().await;
    site.script.set(BIRDS, Err(OriginError::Failed("broken".to_owned())));
    site.expect(TARGET, 200, "STALE").await;
    eventually(|| site.edge().metrics.refreshes_failed.get() == 1).await;
    for _ in 0..20 {
        assert_eq!(site.expect(TARGET, 200, "STALE").await.body, picture(RED));
    }
    assert_eq!(site.edge().metrics.refreshes.get(), 1);

    site.script.set(BIRDS, Ok(picture(BLUE)));
    refreshed(&site).await;
    site.assert_agreement();
}

#[tokio::test]
async fn a_picture_that_is_gone_is_not_served_stale_for_ever() {
    let site = softened().await;
    site.script.set(BIRDS, Err(OriginError::NotFound));
    site.expect(TARGET, 200, "STALE").await;
    eventually(|| site.edge().store.len() == 0).await;
    site.expect(TARGET, 404, "").await;
    site.assert_agreement();
}

#[tokio::test]
async fn a_refresh_that_a_soft_purge_overtakes_is_stored_stale_and_done_again() {
    let site = softened().await;
    site.script.set(BIRDS, Ok(picture([0, 255, 0])));
    let mut held = site.gate.hold_next(BIRDS);
    site.expect(TARGET, 200, "STALE").await;
    timeout(PATIENCE, held.arrived()).await.unwrap();
    site.script.set(BIRDS, Ok(picture(BLUE)));
    let lines = site.soften(&[TARGET]).await;
    assert_eq!(
        (&lines[0]["outcome"], &lines[0]["overtaken_fills"]),
        (&json!("already stale"), &json!(1))
    );
    drop(held);
    // Until its commit, another refresh could begin and end, and would be made stale again.
    eventually(|| site.edge().index.stats().open_leases == 0).await;
    refreshed(&site).await;
    assert_eq!(site.script.fetches(), 3);
    site.assert_agreement();
}

#[tokio::test]
async fn a_refresh_that_a_hard_purge_overtakes_does_not_come_back() {
    let site = softened().await;
    site.script.set(BIRDS, Ok(picture([0, 255, 0])));
    let mut held = site.gate.hold_next(BIRDS);
    site.expect(TARGET, 200, "STALE").await;
    timeout(PATIENCE, held.arrived()).await.unwrap();
    site.script.set(BIRDS, Ok(picture(BLUE)));
    site.purge(&[TARGET]).await;
    assert_eq!(site.expect(TARGET, 200, "MISS").await.body, picture(BLUE));
    drop(held);
    eventually(|| site.edge().index.stats().open_leases == 0).await;
    assert_eq!(site.expect(TARGET, 200, "HIT").await.body, picture(BLUE));
    site.assert_agreement();
}

#[tokio::test]
async fn a_stale_picture_that_the_origin_confirms_is_fresh_again_without_being_rendered() {
    let site = Site::start().await;
    site.script.set_validator(BIRDS, "\"v1\"");
    site.expect(&format!("{TARGET}?w=30"), 200, "MISS").await;
    site.soften(&[TARGET]).await;
    let stale = site.expect(&format!("{TARGET}?w=30"), 200, "STALE").await;
    eventually(|| site.edge().index.stats().stale == 0).await;
    let fresh = site.expect(&format!("{TARGET}?w=30"), 200, "HIT").await;
    assert_eq!((fresh.header("etag"), &fresh.body), (stale.header("etag"), &stale.body));
    assert_eq!(site.edge().metrics.confirmed.get(), 1);

    // A confirmation is a fill: it has no effect if a purge overtakes it.
    site.soften(&[TARGET]).await;
    let mut held = site.gate.hold_next(BIRDS);
    site.expect(&format!("{TARGET}?w=30"), 200, "STALE").await;
    timeout(PATIENCE, held.arrived()).await.unwrap();
    site.purge(&[TARGET]).await;
    drop(held);
    eventually(|| site.edge().index.stats().open_leases == 0).await;
    assert_eq!(site.edge().store.len(), 0);
    site.assert_agreement();
}
