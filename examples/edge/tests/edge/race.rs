//! Fills that something overtakes. No test waits for luck: the origin holds a fetch back until the
//! test lets it go.

use crate::app::client::Answer;
use crate::app::edge::{Limits, Setup};
use crate::app::inspect::agreement;
use crate::app::origin::OriginError;
use crate::harness::{BLUE, PATIENCE, RED, Site, eventually, picture, setup, setup_in};
use cache_index::canonical::Grouping;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const TARGET: &str = "/sample.li/birds.jpg";
const BIRDS: &str = "sample.li/birds.jpg";
const BOAT: &str = "/sample.li/boat.jpg";

/// Asks for a picture in the background.
fn ask(site: &Site, target: &'static str) -> JoinHandle<Answer> {
    let client = site.client.clone();
    tokio::spawn(async move { client.get(target).await.unwrap() })
}

/// Asks for the birds, and returns when the old picture was read and is held back.
async fn slow_fetch(site: &Site) -> (crate::app::origin::gate::Held, JoinHandle<Answer>) {
    let mut held = site.gate.hold_next(BIRDS);
    let asking = ask(site, TARGET);
    timeout(PATIENCE, held.arrived()).await.unwrap();
    (held, asking)
}

#[tokio::test]
async fn an_old_picture_does_not_come_back_after_a_purge_that_found_nothing() {
    let site = Site::start().await;
    let (held, asking) = slow_fetch(&site).await;
    site.script.set(BIRDS, Ok(picture(BLUE)));
    let lines = site.purge(&[TARGET]).await;
    let expected = json!({
        "position": 0, "origin": BIRDS, "outcome": "overtook open fills", "variants": 0, "overtaken_fills": 1,
    });
    assert_eq!(lines, [expected]);

    drop(held);
    let answer = asking.await.unwrap();
    // A client that asked before the purge may still get the old picture; no other client does.
    assert_eq!((answer.body.clone(), answer.cache()), (picture(RED), "MISS"));
    assert_eq!(answer.header("x-not-kept"), "purged");
    assert_eq!(site.variants(BIRDS), [""; 0]);
    site.assert_agreement();
    assert_eq!(site.expect(TARGET, 200, "MISS").await.body, picture(BLUE));
    assert_eq!(site.expect(TARGET, 200, "HIT").await.body, picture(BLUE));
    site.assert_agreement();
}

#[tokio::test]
async fn an_old_picture_does_not_come_back_after_a_flush() {
    let site = Site::start().await;
    let (held, asking) = slow_fetch(&site).await;
    site.script.set(BIRDS, Ok(picture(BLUE)));
    assert_eq!(site.post(r#"{"scope":"all"}"#).await.status.as_u16(), 201);

    drop(held);
    let answer = asking.await.unwrap();
    assert_eq!((answer.body.clone(), answer.cache()), (picture(RED), "MISS"));
    assert_eq!(answer.header("x-not-kept"), "flushed");
    assert_eq!(site.expect(TARGET, 200, "MISS").await.body, picture(BLUE));
    site.assert_agreement();
}

#[tokio::test]
async fn a_slow_fetch_does_not_replace_what_was_stored_after_the_purge() {
    let site = Site::start().await;
    let (held, asking) = slow_fetch(&site).await;
    site.script.set(BIRDS, Ok(picture(BLUE)));
    site.purge(&[TARGET]).await;
    assert_eq!(site.expect(TARGET, 200, "MISS").await.body, picture(BLUE));

    drop(held);
    assert_eq!(asking.await.unwrap().header("x-not-kept"), "purged");
    assert_eq!(site.expect(TARGET, 200, "HIT").await.body, picture(BLUE));
    site.assert_agreement();
}

#[tokio::test]
async fn a_purge_of_one_picture_leaves_the_fetch_of_another_alone() {
    let site = Site::start().await;
    let (held, asking) = slow_fetch(&site).await;
    site.expect(BOAT, 200, "MISS").await;
    assert_eq!(site.purge(&[BOAT]).await[0]["overtaken_fills"], 0);

    drop(held);
    assert_eq!(asking.await.unwrap().header("x-not-kept"), "");
    site.expect(TARGET, 200, "HIT").await;
    site.assert_agreement();
}

#[tokio::test]
async fn fifty_that_miss_one_rendition_wait_for_one_fill() {
    let site = Site::start().await;
    let (held, asking) = slow_fetch(&site).await;
    let others: Vec<_> = (0..50).map(|_| ask(&site, TARGET)).collect();
    eventually(|| site.edge().metrics.joined.get() == 50).await;

    drop(held);
    for answer in others.into_iter().chain([asking]) {
        let answer = answer.await.unwrap();
        assert_eq!((answer.cache(), answer.header("x-not-kept")), ("MISS", ""));
        assert_eq!(answer.body, picture(RED));
    }
    assert_eq!((site.script.fetches(), site.edge().metrics.fills.get()), (1, 1));
    assert_eq!(site.edge().store.len(), 1);
    site.assert_agreement();
}

#[tokio::test]
async fn who_waits_for_a_fill_that_is_overtaken_gets_the_new_picture() {
    let site = Site::start().await;
    let (held, asking) = slow_fetch(&site).await;
    let joined = ask(&site, TARGET);
    eventually(|| site.edge().metrics.joined.get() == 1).await;
    site.script.set(BIRDS, Ok(picture(BLUE)));
    site.purge(&[TARGET]).await;

    drop(held);
    assert_eq!(asking.await.unwrap().body, picture(RED), "asked, and was read, before the purge");
    assert_eq!(joined.await.unwrap().body, picture(BLUE), "a second look costs one fetch");
    site.expect(TARGET, 200, "HIT").await;
    site.assert_agreement();
}

#[tokio::test]
async fn who_waits_for_a_fill_that_fails_tries_once_more() {
    let site = Site::start().await;
    site.script.set(BIRDS, Err(OriginError::NotFound));
    let (held, asking) = slow_fetch(&site).await;
    let joined: Vec<_> = (0..10).map(|_| ask(&site, TARGET)).collect();
    eventually(|| site.edge().metrics.joined.get() == 10).await;
    // The picture is uploaded in the meantime.
    site.script.set(BIRDS, Ok(picture(BLUE)));

    drop(held);
    assert_eq!(asking.await.unwrap().status.as_u16(), 404);
    for joined in joined {
        assert_eq!(joined.await.unwrap().body, picture(BLUE));
    }
    assert_eq!(site.script.fetches(), 2);
}

#[tokio::test]
async fn a_fill_that_others_wait_for_goes_on_when_who_began_it_leaves() {
    let site = Site::start().await;
    let (held, asking) = slow_fetch(&site).await;
    let joined = ask(&site, TARGET);
    eventually(|| site.edge().metrics.joined.get() == 1).await;
    asking.abort();
    drop(held);
    assert_eq!(joined.await.unwrap().body, picture(RED));
    assert_eq!(site.script.fetches(), 1);
    site.expect(TARGET, 200, "HIT").await;
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing_behind() {
    let site = Site::start().await;
    let (held, asking) = slow_fetch(&site).await;
    assert_eq!(site.edge().index.stats().open_leases, 1);
    asking.abort();
    eventually(|| site.edge().index.stats().open_leases == 0).await;
    drop(held);
    assert_eq!(site.variants(BIRDS), [""; 0]);
    assert_eq!(site.edge().store.len(), 0);
    site.expect(TARGET, 200, "MISS").await;
}

#[tokio::test]
async fn the_server_ends_a_request_that_is_under_way_when_it_is_stopped() {
    let site = Site::start().await;
    let (held, asking) = slow_fetch(&site).await;
    let address = site.running.delivery;
    let stopping = tokio::spawn(site.running.stop());
    // From now on it accepts no further connections.
    let refused = async {
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, refused).await.unwrap();
    drop(held);
    assert_eq!(asking.await.unwrap().body, picture(RED));
    timeout(PATIENCE, stopping).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn index_and_store_agree_after_a_storm() {
    storm(setup(Grouping::Grouped, Limits::default())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn index_and_store_agree_after_a_storm_in_a_store_that_is_always_full() {
    let one = picture(RED).len() as u64 + 512;
    let limits = Limits { store_bytes: 5 * one, ..Limits::default() };
    let evicted = storm(setup(Grouping::Grouped, limits)).await;
    assert!(evicted > 20, "{evicted} evictions");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn index_and_files_agree_after_a_storm() {
    let dir = tempfile::tempdir().unwrap();
    storm(setup_in(dir.path())).await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn index_and_files_agree_after_a_storm_in_a_store_that_is_always_full() {
    let dir = tempfile::tempdir().unwrap();
    let mut setup = setup_in(dir.path());
    // Five files; one object in memory.
    setup.limits.store_bytes = 5 * 4096;
    setup.data.as_mut().unwrap().memory_bytes = picture(RED).len() as u64 + 512;
    let evicted = storm(setup).await;
    assert!(evicted > 20, "{evicted} evictions");
}

/// Clients that request and invalidate concurrently, hard and soft. Returns the number of evicted
/// objects.
async fn storm(setup: Setup) -> u64 {
    let site = Site::start_for(setup).await;
    let mut clients = Vec::new();
    for client in 0..8_u32 {
        let http = site.client.clone();
        clients.push(tokio::spawn(async move {
            for round in 0..60_u32 {
                let name = if (client + round) % 3 == 0 { "boat" } else { "birds" };
                let target = format!("/sample.li/{name}.jpg?vh={}", round % 7);
                let answer = http.get(&target).await.unwrap();
                assert_eq!(answer.status.as_u16(), 200);
                let body = match round % 20 {
                    5 => r#"{"scope":"original","urls":["/sample.li/birds.jpg"]}"#,
                    8 => r#"{"scope":"original","urls":["/sample.li/boat.jpg"],"mode":"soft"}"#,
                    11 => {
                        r#"{"scope":"original","urls":["/sample.li/boat.jpg","/sample.li/birds.jpg"]}"#
                    }
                    14 => r#"{"scope":"original","urls":["/sample.li/b*"]}"#,
                    17 if client == 0 => r#"{"scope":"all"}"#,
                    _ => continue,
                };
                let answer = http.invalidate(crate::harness::KEY, body).await.unwrap();
                assert_eq!(answer.status.as_u16(), 201);
            }
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
    eventually(|| site.edge().fills.len() == 0).await;
    eventually(|| site.edge().index.stats().dead == 0).await;
    site.edge().reclaim();
    if site.edge().store.is_on_disk() {
        // Files are deleted after the fill has ended.
        eventually(|| agreement(site.edge()).unwrap().agree).await;
    }
    site.assert_agreement();
    site.post(r#"{"scope":"all"}"#).await;
    eventually(|| site.edge().store.len() == 0).await;
    assert_eq!(site.edge().store.bytes(), 0);
    site.edge().store.evicted()
}
