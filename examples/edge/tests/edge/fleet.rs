//! Edges in a fleet, and a shield: `--fleet` and `--shield`.
//!
//! The log is in memory, so that a test can hold what one edge reads from it. The last test uses
//! the command and a real nats-server.
//!
//! `EDGE_FLEET_PURGES=N` sets how many single purges there are under load.

#![allow(clippy::print_stdout, reason = "tests say what they have skipped")]

use crate::app::client::{Answer, Client};
use crate::app::edge::Edge;
use crate::app::fleet::{Membership, WhenShut, Wire};
use crate::app::index::Index;
use crate::app::origin::gate::Gate;
use crate::app::server::Running;
use crate::app::shield::Shield;
use crate::app::stall::Stall;
use crate::command::{command, run, start};
use crate::harness::{
    BLUE, KEY, PATIENCE, RED, Script, Site, eventually, json, picture, setup_in, text,
};
use axum::body::Bytes;
use axum::http::{Method, StatusCode};
use cache_index::{Freshness, OverTime};
use cache_index_fleet::{Everywhere, FleetConfig, MemoryEngine};
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

const BIRDS: &str = "/sample.li/birds.jpg";
const FRESH_FOR: Duration = Duration::from_secs(6);

/// Pictures that are purged at the same time under load.
const PURGED: u32 = 8;

/// A shield and two edges.
struct Fleet {
    engine: MemoryEngine,
    script: Script,
    shield: Node,
    edges: [Node; 2],
}

struct Node {
    site: Site,
    /// Holds what it reads from the log.
    reader: Stall,
    _dir: TempDir,
}

async fn node(
    name: &str,
    engine: &MemoryEngine,
    script: &Script,
    shield: Option<SocketAddr>,
    when_shut: WhenShut,
) -> Node {
    node_as(name, engine, script, shield, (when_shut, false)).await
}

async fn node_as(
    name: &str,
    engine: &MemoryEngine,
    script: &Script,
    shield: Option<SocketAddr>,
    (when_shut, is_shield): (WhenShut, bool),
) -> Node {
    let (dir, reader) = (tempfile::tempdir().unwrap(), Stall::default());
    let gate = Gate::new(Arc::new(script.clone()));
    let mut edge = Edge::new(Arc::new(gate.clone()), setup_in(dir.path())).unwrap();
    let config = FleetConfig::builder(name)
        .fresh_for(FRESH_FOR)
        .longest_fresh_for(FRESH_FOR)
        .when_shut(when_shut)
        .flushes_at_once(is_shield)
        .keep_removed(true);
    let wire = Wire::Memory(engine.handle(), reader.clone());
    edge.join(Membership { config: config.build().unwrap(), wire }).unwrap();
    edge.shield = shield.map(|at| Shield::new(&format!("http://{at}")).unwrap());
    let running = Running::start(edge).await.unwrap();
    let client = Client::new(running.delivery, running.control);
    let site = Site { running, client, script: script.clone(), gate };
    let node = Node { site, reader, _dir: dir };
    eventually(|| node.site.edge().index.applied().is_some()).await;
    node.gate_is("serve").await;
    node
}

impl Node {
    async fn fleet(&self) -> Value {
        json(&self.site.ask("/stats").await)["fleet"].clone()
    }

    async fn gate_is(&self, gate: &str) {
        self.shows(gate, |fleet| fleet["gate"] == gate).await;
    }

    /// Waits until the statistics show something.
    async fn shows(&self, what: &str, holds: impl Fn(&Value) -> bool) {
        let shown = async {
            while !holds(&self.fleet().await) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(timeout(PATIENCE, shown).await.is_ok(), "{what}: {}", self.fleet().await);
    }

    /// Purges the picture once, and returns the receipt.
    async fn purge(&self, query: &str) -> Value {
        self.purge_of(BIRDS, query).await
    }

    async fn purge_of(&self, picture: &str, query: &str) -> Value {
        let body = json!({ "scope": "original", "urls": [picture] }).to_string();
        let headers = [("x-client-key", KEY), ("content-type", "application/json")];
        let target = format!("/invalidate{query}");
        let post =
            || self.site.client.control(Method::POST, &target, &headers, body.clone().into());
        let mut answer = post().await.unwrap();
        // There is a limit to how many an edge takes in a second. Those beyond it have no effect.
        while answer.status == StatusCode::TOO_MANY_REQUESTS {
            tokio::time::sleep(Duration::from_millis(20)).await;
            answer = post().await.unwrap();
        }
        assert_eq!(answer.status.as_u16(), 201, "{answer:?}");
        json(&answer)["invalidation"].clone()
    }

    async fn get(&self) -> Answer {
        self.site.get(BIRDS).await
    }

    /// Asks as an edge does.
    async fn get_as_edge(&self, watermark: &str) -> Answer {
        let headers = [("cache-watermark", watermark)];
        self.site.client.send(Method::GET, BIRDS, &headers, Bytes::new()).await.unwrap()
    }

    fn number(&self) -> u64 {
        self.site.edge().index.applied().unwrap().number()
    }

    /// Waits until this edge has everything that another one has.
    async fn catches_up_with(&self, other: &Node) {
        let number = other.site.edge().index.begun(FRESH_FOR * 10).await.unwrap().number();
        eventually(|| self.number() >= number).await;
    }
}

impl Fleet {
    async fn start() -> Self {
        Self::start_with(true).await
    }

    /// Starts a shield, which is told that it is one or is not.
    async fn start_with(knows_shield: bool) -> Self {
        let (engine, script) = (MemoryEngine::new(), Script::default());
        script.set(&BIRDS[1..], Ok(picture(RED)));
        let stale = WhenShut::ServeStale;
        let shield = node_as("shield", &engine, &script, None, (stale, knows_shield)).await;
        let at = Some(shield.site.running.delivery);
        let edges = [
            node("one", &engine, &script, at, stale).await,
            node("two", &engine, &script, at, stale).await,
        ];
        Self { engine, script, shield, edges }
    }

    fn change(&self, color: [u8; 3]) {
        self.script.set(&BIRDS[1..], Ok(picture(color)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_through_one_edge_reaches_all_and_one_purge_is_enough() {
    let fleet = Fleet::start().await;
    let [one, two] = &fleet.edges;
    for node in [one, two] {
        assert_eq!((node.get().await.body, node.get().await.cache()), (picture(RED), "HIT"));
    }
    assert_eq!(fleet.script.fetches(), 1, "the second edge was answered by the shield");
    fleet.change(BLUE);
    let receipt = one.purge("?level=everywhere").await;
    assert_eq!(
        (&receipt["level"], &receipt["entries"][0]["variants"]),
        (&json!("everywhere"), &json!(1))
    );
    assert_eq!(receipt["durability"], "durable");
    assert_eq!(receipt["level_not_reached"], Value::Null);
    for node in [two, &fleet.shield, one] {
        assert_eq!(node.get().await.body, picture(BLUE));
        assert_eq!(node.get().await.cache(), "HIT");
        node.site.assert_agreement();
    }
    assert_eq!(fleet.script.fetches(), 2);
    two.shows("three nodes", |fleet| fleet["nodes"] == 3 && fleet["gate"] == "serve").await;
    let seen = two.fleet().await;
    assert_eq!((&seen["lag"], &seen["shield"]["proven"]), (&json!(0), &json!(2)));
    let metrics = text(&two.site.ask("/metrics").await);
    for line in [
        "edge_fleet_nodes 3",
        "edge_fleet_namesakes 0",
        "edge_fleet_gate{state=\"serve\"} 1",
        "edge_fleet_flushes_total{reason=\"no position\"} 1",
        "edge_shield_proven_total 2",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_over_time_reaches_every_edge() {
    let fleet = Fleet::start().await;
    let [one, two] = &fleet.edges;
    for node in [one, two] {
        assert_eq!(node.get().await.body, picture(RED));
    }
    let headers = [("x-client-key", KEY), ("content-type", "application/json")];
    let target = "/invalidate?over=86400&level=everywhere";
    let body = Bytes::from_static(br#"{"scope":"all"}"#);
    let answer = one.site.client.control(Method::POST, target, &headers, body).await.unwrap();
    let told = &json(&answer)["invalidation"];
    assert_eq!((&told["level"], &told["durability"]), (&json!("everywhere"), &json!("durable")));
    assert_eq!(told["over_seconds"], 86400);
    for node in [two, &fleet.shield] {
        node.catches_up_with(one).await;
    }
    // A shield flushes at once, so that no edge fetches an old picture from it and keeps it.
    assert_eq!(fleet.shield.get().await.cache(), "MISS");
    for node in [one, two] {
        assert_eq!(node.get().await.cache(), "STALE");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shield_that_is_behind_does_not_answer_from_its_cache() {
    let fleet = Fleet::start().await;
    let one = &fleet.edges[0];
    assert_eq!(one.get().await.body, picture(RED));
    fleet.change(BLUE);
    fleet.shield.reader.set(true);
    assert_eq!(one.purge("").await["level"], "durable");
    let answer = one.get().await;
    assert_eq!((&answer.body, answer.header("x-not-kept")), (&picture(BLUE), ""));
    assert_eq!(one.get().await.cache(), "HIT");
    assert_eq!(fleet.shield.get().await.body, picture(RED), "it has not applied the purge");
    fleet.shield.reader.set(false);
    fleet.shield.catches_up_with(one).await;
    assert_eq!(fleet.shield.get().await.body, picture(BLUE));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_between_lease_and_number_leaves_no_old_picture() {
    let fleet = Fleet::start().await;
    let [one, two] = &fleet.edges;
    assert_eq!(two.get().await.body, picture(RED), "the shield has it");
    let stall = one.site.edge().stall.clone();
    stall.set(true);
    let (client, arrived) = (one.site.client.clone(), stall.arrived());
    let get = tokio::spawn(async move { client.get(BIRDS).await.unwrap() });
    arrived.await;
    fleet.change(BLUE);
    fleet.shield.reader.set(true);
    let _ = one.purge("").await;
    stall.set(false);
    let _ = get.await.unwrap();
    assert_eq!(one.get().await.body, picture(BLUE));
    assert_eq!((one.get().await.body, one.get().await.cache()), (picture(BLUE), "HIT"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_purge_without_a_number_leaves_no_old_picture() {
    let fleet = Fleet::start().await;
    let [one, two] = &fleet.edges;
    assert_eq!(two.get().await.body, picture(RED), "the shield has it");
    fleet.change(BLUE);
    fleet.shield.reader.set(true);
    one.reader.set(true);
    assert_eq!(one.purge("?level=local").await["level"], "local");
    // It goes to the origin.
    assert_eq!(one.get().await.body, picture(BLUE));
    assert_eq!(one.fleet().await["shield"]["unnumbered"], 1);
    one.reader.set(false);
    fleet.shield.reader.set(false);
    fleet.shield.catches_up_with(one).await;
    assert_eq!((one.get().await.body, one.get().await.cache()), (picture(BLUE), "HIT"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soft_purge_does_not_make_a_shield_serve_its_stale_picture_as_fresh() {
    let fleet = Fleet::start().await;
    let one = &fleet.edges[0];
    assert_eq!(one.get().await.body, picture(RED));
    fleet.change(BLUE);
    let _ = one.site.soften(&[BIRDS]).await;
    fleet.shield.catches_up_with(one).await;
    assert_eq!(one.get().await.cache(), "STALE");
    while one.get().await.cache() != "HIT" {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(one.get().await.body, picture(BLUE));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_is_given_only_where_it_is_deserved() {
    let fleet = Fleet::start().await;
    let shield = &fleet.shield;
    assert_eq!(shield.get().await.header("cache-watermark"), "", "for a client");
    let now = shield.site.edge().index.applied().unwrap();
    let answer = shield.get_as_edge(&now.to_string()).await;
    let echo: cache_index_watermark::Watermark = answer.header("cache-watermark").parse().unwrap();
    assert!(now.allows_keeping(Some(&echo)) && answer.cache() == "HIT", "{answer:?}");
    // Behind, and of another stream: from the origin, which is newer than either number.
    let ahead = format!("{}:{}", now.stream(), u64::MAX);
    for asked in [ahead.as_str(), "other:1"] {
        let answer = shield.get_as_edge(asked).await;
        assert_eq!((answer.cache(), answer.header("cache-watermark")), ("MISS", asked));
    }
    for asked in ["", "other", "other:01"] {
        let answer = shield.get_as_edge(asked).await;
        assert_eq!((answer.cache(), answer.header("cache-watermark")), ("MISS", ""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_cannot_prove_that_it_is_fresh_serves_nothing_as_fresh() {
    let (engine, script) = (MemoryEngine::new(), Script::default());
    script.set(&BIRDS[1..], Ok(picture(RED)));
    let stale = node("stale", &engine, &script, None, WhenShut::ServeStale).await;
    let refuse = node("refuse", &engine, &script, None, WhenShut::Refuse).await;
    for node in [&stale, &refuse] {
        assert_eq!((node.get().await.cache(), node.get().await.cache()), ("MISS", "HIT"));
    }
    engine.stop();
    stale.gate_is("serve stale").await;
    refuse.gate_is("refuse").await;
    assert_eq!((stale.get().await.cache(), refuse.get().await.cache()), ("STALE", "MISS"));
    // A refresh that began after the purge would fill it again.
    eventually(|| stale.site.edge().fills.len() == 0).await;
    // It holds here all the same, and the receipt says how far it has got.
    let receipt = stale.purge("?level=local").await;
    assert_eq!((&receipt["level"], &receipt["durability"]), (&json!("local"), &json!("durable")));
    assert_eq!(stale.get().await.cache(), "MISS");
    engine.start();
    refuse.catches_up_with(&stale).await;
    for node in [&stale, &refuse] {
        node.gate_is("serve").await;
    }
}

/// The restored copy has the creation time of the stream, and gives numbers to other messages. The
/// shield has not noticed it, and its own number is larger than that of the purge.
#[tokio::test(flavor = "multi_thread")]
async fn a_number_of_another_history_leaves_no_old_picture() {
    let fleet = Fleet::start().await;
    let [one, two] = &fleet.edges;
    assert_eq!(one.get().await.body, picture(RED), "the shield has it");
    let copy = fleet.engine.backup();
    for _ in 0..60 {
        let _ = one.purge_of("/sample.li/other.jpg", "").await;
    }
    fleet.shield.catches_up_with(one).await;
    fleet.shield.reader.set(true);
    let _ = one.purge_of("/sample.li/other.jpg", "").await;
    fleet.shield.reader.arrived().await;
    fleet.engine.restore(copy);
    let flushed = async |node: &Node| {
        let reasons = ["stream ends before the position", "other message at the position"];
        // The second one if the other edge has written to the copy before.
        let is_noticed = |fleet: &Value| reasons.iter().any(|at| fleet["flushes"][at].is_u64());
        node.shows("noticed", is_noticed).await;
    };
    for edge in [one, two] {
        flushed(edge).await;
        edge.gate_is("serve").await;
    }
    fleet.change(BLUE);
    let _ = one.purge("").await;
    for edge in [one, two] {
        edge.catches_up_with(one).await;
        assert!(edge.number() < fleet.shield.number());
        let answer = edge.get().await;
        assert_eq!((&answer.body, answer.header("x-not-kept")), (&picture(BLUE), ""));
        assert_eq!((edge.get().await.body, edge.get().await.cache()), (picture(BLUE), "HIT"));
    }
    fleet.shield.reader.set(false);
    flushed(&fleet.shield).await;
    assert_eq!(fleet.shield.get().await.body, picture(BLUE));
}

/// The entry of the shield is older than the flush, and dies at its moment. An edge would keep it
/// as one that is newer than the flush.
#[tokio::test(flavor = "multi_thread")]
async fn a_flush_over_time_leaves_no_old_picture_of_the_shield() {
    for knows_shield in [true, false] {
        let fleet = Fleet::start_with(knows_shield).await;
        let [one, two] = &fleet.edges;
        assert_eq!(one.get().await.body, picture(RED), "the shield has it");
        fleet.change(BLUE);
        let Index::Fleet(member) = &one.site.edge().index else { unreachable!("it has joined") };
        let over = OverTime::new(Duration::from_secs(86400)).serving(Freshness::Live);
        let _ = member.fleet.flush_all_over(over, Everywhere).await.unwrap();
        for node in [two, &fleet.shield] {
            node.catches_up_with(one).await;
        }
        let answer = two.get().await;
        assert_eq!((&answer.body, answer.header("x-not-kept")), (&picture(BLUE), ""));
        assert_eq!((two.get().await.body, two.get().await.cache()), (picture(BLUE), "HIT"));
        // The load of the origin is less if the shield knows what it is.
        let cache = if knows_shield { "HIT" } else { "MISS" };
        let now = fleet.shield.site.edge().index.applied().unwrap().to_string();
        let answer = fleet.shield.get_as_edge(&now).await;
        assert_eq!((&answer.body, answer.cache()), (&picture(BLUE), cache));
        assert_eq!(answer.header("cache-watermark"), now);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn single_purges_under_load_keep_no_old_picture() {
    let purges =
        std::env::var("EDGE_FLEET_PURGES").map_or(200, |count| count.parse::<u32>().unwrap());
    let fleet = Arc::new(Fleet::start().await);
    let path = |at: u32| format!("/sample.li/purged-{at}.jpg");
    let visit = |edge: &Node| {
        let client = edge.site.client.clone();
        tokio::spawn(async move {
            for at in (0..PURGED).cycle() {
                let _ = client.get(&path(at)).await;
            }
        })
    };
    let visitors: Vec<_> = fleet.edges.iter().map(visit).collect();
    let mut customers = JoinSet::new();
    for at in 0..PURGED {
        let fleet = Arc::clone(&fleet);
        customers.spawn(async move {
            let mut old = 0;
            for number in (at..purges).step_by(PURGED as usize) {
                old += changed_and_purged_once(&fleet, &path(at), number).await;
            }
            old
        });
    }
    let old: usize = customers.join_all().await.into_iter().sum();
    visitors.iter().for_each(JoinHandle::abort);
    println!("{purges} purges, old pictures kept: {old}");
    assert_eq!(old, 0, "old pictures after {purges} purges");
}

/// Changes a picture, purges it once through one of the edges, and returns how many edges have the
/// old one.
async fn changed_and_purged_once(fleet: &Fleet, path: &str, number: u32) -> usize {
    let [red, green, blue, _] = number.to_le_bytes();
    let new = picture([red, green, blue]);
    fleet.script.set(&path[1..], Ok(new.clone()));
    let by = &fleet.edges[usize::from(number / PURGED % 2 == 1)];
    let _ = by.purge_of(path, "").await;
    let mut old = 0;
    for edge in &fleet.edges {
        edge.catches_up_with(by).await;
        old += usize::from(edge.site.get(path).await.body != new);
    }
    old
}

#[tokio::test]
async fn options_that_need_others_say_so() {
    for (arguments, expected) in [
        (&["--fleet", "nats://127.0.0.1:1"][..], "--data <DIR>"),
        (&["--shield", "http://127.0.0.1:1"][..], "--fleet <nats://HOST:PORT,...>"),
        (&["--as-shield"][..], "--fleet <nats://HOST:PORT,...>"),
    ] {
        let (code, output, errors) = run(command().args(arguments)).await;
        assert_eq!((code, output.as_str()), (Some(2), ""));
        assert!(errors.contains(expected), "{errors}");
    }
    let dir = tempfile::tempdir().unwrap();
    let mut command = command();
    command.args(["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--data"]).arg(dir.path());
    command.args(["--fleet", "nats://127.0.0.1:1", "--shield", "https://shield"]);
    let (code, _, errors) = run(&mut command).await;
    let expected = "edge: the shield must be a URL like http://host:port, got \"https://shield\"\n";
    assert_eq!((code, errors.lines().last()), (Some(1), expected.lines().next()));
}

#[tokio::test]
async fn a_level_outside_of_a_fleet_is_refused() {
    let site = Site::start().await;
    let headers = [("x-client-key", KEY)];
    let body = Bytes::from_static(br#"{"scope":"all"}"#);
    let target = "/invalidate?level=local";
    let answer = site.client.control(Method::POST, target, &headers, body).await.unwrap();
    assert_eq!(answer.status.as_u16(), 400);
}

/// A nats-server, or none.
struct Server(Child, String, #[allow(dead_code, reason = "removed at the end")] TempDir);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn nats() -> Option<Server> {
    let paths = std::env::var_os("PATH")?;
    let mut programs = std::env::split_paths(&paths).map(|dir| dir.join("nats-server"));
    let Some(program): Option<PathBuf> = programs.find(|program| program.is_file()) else {
        println!("skipped: no nats-server on the path");
        return None;
    };
    let dir = tempfile::tempdir().unwrap();
    let mut random = fastrand::Rng::new();
    // Not one of the ports that the system gives to clients.
    let mut ports = std::iter::repeat_with(|| random.u16(10_000..30_000));
    let port = ports.find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok()).unwrap();
    let mut command = Command::new(program);
    command.args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd"]).arg(dir.path());
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    Some(Server(child, format!("nats://127.0.0.1:{port}"), dir))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_joins_a_fleet_on_a_real_server() {
    let Some(server) = nats() else { return };
    let (near, far) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let join = |dir: &TempDir| {
        let mut command = command();
        command.env("EDGE_CLIENT_KEY", KEY).args(["--fleet", &server.1, "--data"]).arg(dir.path());
        command.args(["--fresh-for", "5"]);
        command
    };
    let (_shield, shield, _lines) = start(join(&far).arg("--as-shield")).await;
    let address = format!("http://{}", shield.delivery);
    let (_edge, edge, _lines) = start(join(&near).args(["--shield", &address])).await;
    let now = "/sample.li/now.png";
    for (client, is_shield) in [(&shield, true), (&edge, false)] {
        serves(client).await;
        let stats = client.control(Method::GET, "/stats", &[], Bytes::new()).await.unwrap();
        assert_eq!(json(&stats)["fleet"]["is_shield"], is_shield);
    }
    let purge = async || {
        let body = json!({ "scope": "original", "urls": [now] }).to_string();
        let target = "/invalidate?level=everywhere";
        let headers = [("x-client-key", KEY)];
        let answer = shield.control(Method::POST, target, &headers, body.into()).await.unwrap();
        assert_eq!(json(&answer)["invalidation"]["level"], "everywhere", "{answer:?}");
    };
    let before = loop {
        let before = edge.get(now).await.unwrap();
        let stats = edge.control(Method::GET, "/stats", &[], Bytes::new()).await.unwrap();
        if json(&stats)["fleet"]["shield"]["proven"] == 1 {
            break before;
        }
        // The shield was behind, and has asked the origin past its cache.
        purge().await;
    };
    assert_eq!(shield.get(now).await.unwrap().body, before.body, "the edge had asked the shield");
    purge().await;
    let after = edge.get(now).await.unwrap();
    assert_eq!(after.cache(), "MISS");
    assert_ne!(after.body, before.body);
    assert_eq!(edge.get(now).await.unwrap().cache(), "HIT");
}

async fn serves(client: &Client) {
    let serving = async {
        loop {
            let stats = client.control(Method::GET, "/stats", &[], Bytes::new()).await.unwrap();
            if json(&stats)["fleet"]["gate"] == "serve" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, serving).await.unwrap();
}
