//! Data in a directory: a restarted edge serves the kept pictures and no purged one, whatever the
//! end was and whatever the files hold.
//!
//! "Dropped" ends an edge in this process without a last snapshot. "Killed" ends a process with
//! SIGKILL.

use crate::app::client::Client;
use crate::app::edge::{Edge, Limits, Setup};
use crate::app::origin::gate::Gate;
use crate::app::server::Running;
use crate::app::store::ObjectId;
use crate::command::{command, run, start};
use crate::harness::{
    BLUE, KEY, PATIENCE, RED, Script, Site, eventually, json, picture, setup_in, text,
};
use axum::http::Method;
use cache_index::{OriginPath, VariantKey};
use pictures::{Format, Picture};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::process::Child;
use tokio::time::timeout;

const BIRDS: &str = "/sample.li/birds.jpg";
const BOAT: &str = "/sample.li/boat.jpg";
const LARGE_BOAT: &str = "/sample.li/boat.jpg?w=300";

/// Drops an edge, and starts another on its directory.
async fn restart(site: Site, setup: impl Fn() -> Setup) -> Site {
    let Site { running, script, .. } = site;
    running.stop().await;
    serve(script, setup).await
}

async fn serve(script: Script, setup: impl Fn() -> Setup) -> Site {
    let gate = Gate::new(Arc::new(script.clone()));
    let mut opened = None;
    // The last request of the old edge may still hold it.
    eventually(|| {
        opened = Edge::new(Arc::new(gate.clone()), setup()).ok();
        opened.is_some()
    })
    .await;
    let running = Running::start(opened.unwrap()).await.unwrap();
    eventually(|| !running.edge.index.is_loading()).await;
    let client = Client::new(running.delivery, running.control);
    Site { running, client, script, gate }
}

async fn data(site: &Site) -> Value {
    json(&site.ask("/stats").await)["data"].clone()
}

/// Waits until the files of earlier starts have been visited.
async fn cleared(site: &Site) {
    eventually(|| site.edge().orphans.is_done()).await;
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(dir.join("objects")).unwrap();
    let files = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
    files.map(|file| file.unwrap().path()).collect()
}

fn file_of(dir: &Path, name: &str) -> PathBuf {
    let holds = |path: &PathBuf| {
        let content = fs::read(path).unwrap();
        content.windows(name.len()).any(|window| window == name.as_bytes())
    };
    files(dir).into_iter().find(holds).unwrap()
}

/// An edge that has both pictures, saved in a directory.
async fn filled(dir: &TempDir) -> Site {
    let site = Site::start_for(setup_in(dir.path())).await;
    for target in [BIRDS, BOAT, LARGE_BOAT] {
        site.expect(target, 200, "MISS").await;
    }
    site.edge().index.snapshot();
    site
}

#[tokio::test]
async fn a_flush_over_time_has_ended_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let site = filled(&dir).await;
    let headers = [("x-client-key", KEY), ("content-type", "application/json")];
    let (target, body) = ("/invalidate?over=3600&serving=live", r#"{"scope":"all"}"#);
    let answer = site.client.control(Method::POST, target, &headers, body.into()).await.unwrap();
    assert_eq!(json(&answer)["invalidation"]["durability"], "durable");
    site.expect(BIRDS, 200, "HIT").await;

    let site = restart(site, || setup_in(dir.path())).await;
    assert_eq!(data(&site).await["recovery"]["state"], "warm");
    for target in [BIRDS, BOAT, LARGE_BOAT] {
        site.expect(target, 200, "MISS").await;
    }
    cleared(&site).await;
    site.assert_agreement();
}

#[tokio::test]
async fn a_dropped_edge_starts_warm_and_without_the_purged() {
    let dir = tempfile::tempdir().unwrap();
    let site = filled(&dir).await;
    assert_eq!(data(&site).await["recovery"]["state"], "new");
    let boat = site.expect(LARGE_BOAT, 200, "HIT").await;
    let body = json!({ "scope": "original", "urls": [BIRDS] }).to_string();
    let receipt = json(&site.post(body).await);
    assert_eq!(receipt["invalidation"]["durability"], "durable");
    site.script.set("sample.li/birds.jpg", Ok(picture(BLUE)));
    assert_eq!(files(dir.path()).len(), 2);

    let site = restart(site, || setup_in(dir.path())).await;
    let state = data(&site).await;
    // The log is replayed first, so that no purged entry is loaded.
    assert_eq!(state["described"], "warm: 2 entries, 1 invalidation replayed");
    assert_eq!(state["recovery"]["refused"], 0);
    assert_eq!(state["incarnation"], 2);
    let again = site.expect(LARGE_BOAT, 200, "HIT").await;
    assert_eq!((&again.body, again.header("etag")), (&boat.body, boat.header("etag")));
    assert_eq!(site.expect(BIRDS, 200, "MISS").await.body, picture(BLUE));
    site.expect(BIRDS, 200, "HIT").await;
    assert_eq!(site.script.fetches(), 4, "one for the purged picture");
    cleared(&site).await;
    site.assert_agreement();
    let metrics = text(&site.ask("/metrics").await);
    for line in [
        "edge_recovery{state=\"warm\",reason=\"\"} 1",
        "edge_recovered_entries 2",
        "edge_replayed_invalidations 1",
        "edge_files_read_total 1",
        "edge_would_start_warm 1",
        "edge_log_failed 0",
        "edge_orphans_deleted_total 0",
        "edge_orphans_done 1",
        "edge_objects 3",
    ] {
        assert!(metrics.lines().any(|other| other == line), "{line} is not in:\n{metrics}");
    }
}

#[tokio::test]
async fn a_large_index_is_loaded_while_the_edge_serves() {
    const PICTURES: usize = 100_000;
    let dir = tempfile::tempdir().unwrap();
    let site = filled(&dir).await;
    let (tenant, key) = (&site.account().tenant, VariantKey::from_canonical("?w=90").unwrap());
    for number in 0..PICTURES {
        let path: OriginPath<'_> = format!("sample.li/{number}.jpg").parse().unwrap();
        let id = ObjectId { incarnation: 1, number: 1_000_000 + number as u64 };
        assert!(site.edge().index.insert(tenant, &path, &key, id).is_stored());
    }
    site.edge().index.snapshot();
    let Site { running, script, .. } = site;
    running.stop().await;

    let mut opened = None;
    eventually(|| {
        opened = Edge::new(Arc::new(script.clone()), setup_in(dir.path())).ok();
        opened.is_some()
    })
    .await;
    let running = Running::start(opened.unwrap()).await.unwrap();
    let client = Client::new(running.delivery, running.control);
    // Loaded or not, the picture is right, and a purge holds.
    assert_eq!(client.get(BIRDS).await.unwrap().body, picture(RED));
    script.set("sample.li/birds.jpg", Ok(picture(BLUE)));
    let body = json!({ "scope": "original", "urls": [BIRDS, "/sample.li/7.jpg"] });
    let receipt = json(&client.invalidate(KEY, body.to_string()).await.unwrap());
    assert_eq!(receipt["invalidation"]["durability"], "durable");
    eventually(|| !running.edge.index.is_loading()).await;
    assert_eq!(client.get(BIRDS).await.unwrap().body, picture(BLUE));
    let account = &running.edge.accounts.all()[0];
    for (number, is_there) in [(7, false), (8, true), (PICTURES - 1, true)] {
        let path: OriginPath<'_> = format!("sample.li/{number}.jpg").parse().unwrap();
        let found = running.edge.index.lookup(&account.tenant, &path, &key).servable();
        assert_eq!(found.is_some(), is_there, "{number}");
    }
    assert_eq!(stats(&client).await["recovery"]["state"], "warm");
    eventually(|| running.edge.orphans.is_done()).await;
    assert_eq!(client.get(LARGE_BOAT).await.unwrap().cache(), "HIT");
}

#[tokio::test]
async fn every_kind_of_invalidation_holds_after_a_restart() {
    for (body, birds, boat) in [
        (json!({ "scope": "all" }), "MISS", "MISS"),
        (json!({ "scope": "original", "urls": ["/sample.li/bi*"] }), "MISS", "HIT"),
        (json!({ "scope": "urls", "urls": [LARGE_BOAT] }), "HIT", "MISS"),
        (
            json!({ "scope": "original", "urls": [BOAT], "transformations": ["?w=300"] }),
            "HIT",
            "MISS",
        ),
        (json!({ "scope": "original", "urls": [BIRDS], "mode": "soft" }), "STALE", "HIT"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let site = filled(&dir).await;
        assert_eq!(site.post(body.to_string()).await.status.as_u16(), 201);
        let site = restart(site, || setup_in(dir.path())).await;
        site.expect(BIRDS, 200, birds).await;
        site.expect(LARGE_BOAT, 200, boat).await;
        cleared(&site).await;
        eventually(|| site.edge().index.stats().stale == 0).await;
        site.assert_agreement();
    }
}

#[tokio::test]
async fn objects_of_lost_fills_are_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let site = filled(&dir).await;
    site.expect("/sample.li/birds.jpg?w=90", 200, "MISS").await;
    site.expect("/sample.li/birds.jpg?w=91", 200, "MISS").await;
    let kept = file_of(dir.path(), "\"?w=300\"");
    // The process ended while it wrote a file.
    let id = ObjectId { incarnation: 1, number: 0x1_0001 };
    fs::write(dir.path().join(format!("objects/01/{id}.tmp")), b"edgeobj1").unwrap();
    // No file of an edge.
    fs::write(dir.path().join("objects/01/README"), b"mine").unwrap();

    let site = restart(site, || setup_in(dir.path())).await;
    cleared(&site).await;
    assert_eq!(data(&site).await["orphans"], json!({ "deleted": 3, "done": true }));
    assert!(kept.is_file() && dir.path().join("objects/01/README").is_file());
    assert_eq!(files(dir.path()).len(), 4);
    site.expect("/sample.li/birds.jpg?w=90", 200, "MISS").await;
    site.expect(LARGE_BOAT, 200, "HIT").await;
    site.assert_agreement();
}

#[tokio::test]
async fn a_damaged_or_foreign_file_is_a_miss_with_the_right_picture() {
    let dir = tempfile::tempdir().unwrap();
    let site = filled(&dir).await;
    let (birds, boat) = (file_of(dir.path(), "birds.jpg"), file_of(dir.path(), "\"?w=300\""));
    let large = site.expect(LARGE_BOAT, 200, "HIT").await.body;
    let Site { running, script, .. } = site;
    running.stop().await;
    fs::copy(&birds, &boat).unwrap();
    let mut damaged = fs::read(&birds).unwrap();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(&birds, damaged).unwrap();

    let site = serve(script, || setup_in(dir.path())).await;
    assert_eq!(site.expect(BIRDS, 200, "MISS").await.body, picture(RED));
    assert_eq!(site.expect(LARGE_BOAT, 200, "MISS").await.body, large);
    assert_eq!(data(&site).await["files"]["bad"], 2);
    assert!(!birds.exists() && !boat.exists());
    site.expect(BIRDS, 200, "HIT").await;
    site.expect(LARGE_BOAT, 200, "HIT").await;
    site.expect(BOAT, 200, "HIT").await;
    cleared(&site).await;
    site.assert_agreement();
}

#[tokio::test]
async fn an_index_that_cannot_be_trusted_is_told_and_nothing_of_it_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let site = filled(&dir).await;
    let Site { running, script, .. } = site;
    running.stop().await;
    fs::write(dir.path().join("index/MANIFEST"), b"damaged").unwrap();

    let site = serve(script, || setup_in(dir.path())).await;
    let described = data(&site).await["described"].as_str().unwrap().to_owned();
    assert!(described.starts_with("cold: MANIFEST at byte 0: expected"), "{described}");
    let metrics = text(&site.ask("/metrics").await);
    assert!(metrics.contains("edge_recovery{state=\"cold\",reason=\"MANIFEST at"), "{metrics}");
    site.expect(LARGE_BOAT, 200, "MISS").await;
    cleared(&site).await;
    assert_eq!(site.edge().orphans.deleted(), 3);
    site.assert_agreement();
}

#[tokio::test]
async fn objects_without_an_index_are_deleted_before_their_ids_are_assigned_again() {
    let dir = tempfile::tempdir().unwrap();
    let site = filled(&dir).await;
    let Site { running, script, .. } = site;
    running.stop().await;
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let opened = Edge::new(Arc::new(script), setup_in(dir.path()));
    assert_eq!(opened.unwrap().index.durable_state().unwrap().recovery.state, "new");
    assert_eq!(files(dir.path()).len(), 0);
}

#[tokio::test]
async fn an_invalidation_that_is_not_durable_says_so_and_why() {
    let dir = tempfile::tempdir().unwrap();
    let site = filled(&dir).await;
    site.edge().close().unwrap();
    let receipt = json(&site.post(r#"{"scope":"all"}"#).await);
    assert_eq!(receipt["invalidation"]["durability"], "not durable");
    let reason = receipt["invalidation"]["durability_error"].as_str().unwrap();
    let message = format!("everything invalidated, not durable: {reason}");
    assert_eq!(receipt["msg"], message.as_str());
    assert!(!reason.is_empty());
    // It holds all the same.
    site.expect(BIRDS, 200, "MISS").await;
    assert_eq!(site.edge().metrics.not_durable.get(), 1);
    let dry = site.client.control(
        axum::http::Method::POST,
        "/invalidate?dry_run=1",
        &[("x-client-key", KEY)],
        r#"{"scope":"all"}"#.into(),
    );
    let dry = json(&dry.await.unwrap());
    assert_eq!(dry["invalidation"].get("durability"), None, "{dry}");
}

#[tokio::test]
async fn a_picture_whose_file_cannot_be_written_is_served_and_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let site = filled(&dir).await;
    let objects = dir.path().join("objects");
    fs::rename(&objects, dir.path().join("aside")).unwrap();
    for _ in 0..2 {
        let answer = site.expect("/sample.li/birds.jpg?w=90", 200, "MISS").await;
        assert_eq!(answer.header("x-not-kept"), "its file could not be written");
    }
    assert_eq!(data(&site).await["files"]["not_written"], 2);
    assert_eq!(site.purge(&[BOAT]).await[0]["variants"], 2);
    fs::rename(dir.path().join("aside"), &objects).unwrap();
    let answer = site.expect("/sample.li/birds.jpg?w=90", 200, "MISS").await;
    assert_eq!(answer.header("x-not-kept"), "");
    site.expect("/sample.li/birds.jpg?w=90", 200, "HIT").await;
}

#[tokio::test]
async fn a_closed_edge_starts_with_every_picture() {
    let dir = tempfile::tempdir().unwrap();
    let site = filled(&dir).await;
    site.expect("/sample.li/birds.jpg?w=90", 200, "MISS").await;
    site.edge().close().unwrap();
    let site = restart(site, || setup_in(dir.path())).await;
    let state = data(&site).await;
    assert_eq!(state["recovery"]["closed"], true);
    assert_eq!(state["recovery"]["entries"], 4);
    site.expect("/sample.li/birds.jpg?w=90", 200, "HIT").await;
    cleared(&site).await;
    assert_eq!(site.edge().orphans.deleted(), 0);
    site.assert_agreement();
}

#[tokio::test]
async fn a_file_serves_an_object_that_memory_has_no_room_for() {
    let dir = tempfile::tempdir().unwrap();
    let small = || {
        let mut setup = setup_in(dir.path());
        setup.data.as_mut().unwrap().memory_bytes = 1;
        setup
    };
    let site = Site::start_for(small()).await;
    let first = site.expect(LARGE_BOAT, 200, "MISS").await;
    for read in 1..4 {
        assert_eq!(site.expect(LARGE_BOAT, 200, "HIT").await.body, first.body);
        assert_eq!(data(&site).await["files"]["read"], read);
    }
    let listed = json(&site.ask("/variants?origin=/sample.li/boat.jpg").await);
    assert_eq!(listed["variants"][0]["bytes"], first.body.len());
    site.purge(&[BOAT]).await;
    site.expect(LARGE_BOAT, 200, "MISS").await;
    site.assert_agreement();
}

#[tokio::test]
async fn a_store_that_became_smaller_forgets_entries_with_their_files() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::start_for(setup_in(dir.path())).await;
    for width in 1..=60 {
        site.expect(&format!("/sample.li/boat.jpg?w={width}"), 200, "MISS").await;
    }
    site.edge().index.snapshot();
    let bytes = site.edge().store.bytes();
    let site = restart(site, || {
        let setup = setup_in(dir.path());
        let limits = Limits { store_bytes: bytes / 2, ..Limits::default() };
        Setup { limits, ..setup }
    })
    .await;
    cleared(&site).await;
    assert!(site.edge().store.bytes() <= bytes / 2);
    let stats = site.edge().index.stats();
    assert!((10..=30).contains(&stats.live), "{} entries", stats.live);
    assert_eq!(files(dir.path()).len(), stats.live);
    site.assert_agreement();
}

#[tokio::test]
async fn two_edges_do_not_share_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let site = filled(&dir).await;
    let path = dir.path().to_str().unwrap();
    let free = ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"];
    let (code, output, errors) = run(command().args(free).args(["--data", path])).await;
    assert_eq!((code, output.as_str()), (Some(1), ""));
    let expected = format!("edge: can't use the data in {path}/index: another process uses it\n");
    assert_eq!(errors, expected);
    site.expect(BIRDS, 200, "HIT").await;
    assert_eq!(site.purge(&[BIRDS]).await[0]["variants"], 1);
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_one_clear_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let path = file.to_str().unwrap();
    let free = ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"];
    let (code, output, errors) = run(command().args(free).args(["--data", path])).await;
    assert_eq!((code, output.as_str(), errors.lines().count()), (Some(1), "", 1), "{errors}");
    let expected = format!("edge: can't use the data in {path}/index: directory could not be");
    assert!(errors.starts_with(&expected), "{errors}");
}

/// A process that can be killed.
async fn process(data: &Path, pictures: &Path) -> (Child, Client) {
    let mut command = command();
    command.env("EDGE_CLIENT_KEY", KEY).env("EDGE_LOG", "off");
    command.args(["--snapshot-every", "1", "--data"]).arg(data);
    command.arg("--origin-dir").arg(pictures);
    let (child, client, _) = start(&mut command).await;
    let loading = async {
        while stats(&client).await["recovery"]["state"] == "loading" {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, loading).await.unwrap();
    (child, client)
}

async fn stats(client: &Client) -> Value {
    let answer = client.control(axum::http::Method::GET, "/stats", &[], "".into()).await;
    json(&answer.unwrap())["data"].take()
}

/// Version `n` of a picture.
fn version(n: u8) -> Vec<u8> {
    Picture::filled(30, 20, [n, 100, 255 - n]).encode(Format::Png, 100).unwrap()
}

#[tokio::test]
async fn no_purge_is_undone_when_the_process_is_killed() {
    let (data, pictures) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let picture = |n: usize| format!("p{n}.png");
    let mut versions = [0_u8; 8];
    for (n, version_of) in versions.iter().enumerate() {
        fs::write(pictures.path().join(picture(n)), version(*version_of)).unwrap();
    }
    let (mut hits, mut random) = (0, fastrand::Rng::with_seed(7));
    for round in 1..=8 {
        let (mut child, client) = process(data.path(), pictures.path()).await;
        for (n, version_of) in versions.iter().enumerate() {
            let answer = client.get(&format!("/{}", picture(n))).await.unwrap();
            assert_eq!(answer.body, version(*version_of), "round {round}, picture {n}");
            hits += usize::from(answer.cache() == "HIT");
        }
        if round % 2 == 0 {
            saved(&client).await;
        }
        for _ in 0..3 {
            let n = random.usize(..versions.len());
            versions[n] = versions[n].wrapping_add(1);
            fs::write(pictures.path().join(picture(n)), version(versions[n])).unwrap();
            let body = json!({ "scope": "original", "urls": [format!("/{}", picture(n))] });
            let receipt = json(&client.invalidate(KEY, body.to_string()).await.unwrap());
            assert_eq!(receipt["invalidation"]["durability"], "durable", "{receipt}");
            if random.bool() {
                let answer = client.get(&format!("/{}", picture(n))).await.unwrap();
                assert_eq!(answer.body, version(versions[n]));
            }
        }
        child.kill().await.unwrap();
    }
    assert!(hits >= 15, "{hits} hits: the restarted edge was not warm");
}

/// Waits for a snapshot that begins after now.
async fn saved(client: &Client) {
    let written = async || stats(client).await["snapshots"]["written"].as_u64().unwrap();
    let waiting = async {
        // One may be under way.
        let enough = written().await + 2;
        while written().await < enough {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap();
}
