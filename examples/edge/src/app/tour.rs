//! The tour: the whole way once, from a delivery URL to a purge that holds, over real HTTP to a
//! server in this process. The last act, [`restart`](super::restart), has processes of its own.
//!
//! Invariant: every line of the table is checked. The expectation is written down before the step.
//! The observation comes from the answer, and the two are compared word for word. No step depends
//! on luck: the slow fetch of the race is held at the origin until the invalidation has returned.

use super::accounts::{AccountSettings, TOKEN, Unnamed};
use super::client::{Answer, Client};
use super::client_key::{self, ClientKey};
use super::edge::{Edge, Limits, Setup};
use super::origin::gate::Gate;
use super::origin::samples::{NOW, Samples};
use super::restart::restart;
use super::server::Running;
use axum::body::Bytes;
use cache_index::canonical::{Delivery, Grouping};
use serde_json::{Value, json};
use std::env;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

const BIRDS: &str = "/sample.li/birds.jpg?w=300";
const RENDITIONS: [&str; 3] = [
    "/sample.li/now.png?w=480",
    "/sample.li/now.png?w=200&h=200&func=fit",
    "/sample.li/now.png?h=120&force_format=jpeg",
];

/// How long something that happens in the background may take. It only turns a hang into a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Takes the tour and writes its table. `true` if every step held.
pub(crate) async fn tour(out: &mut impl Write) -> Result<bool, String> {
    let key = client_key::generate();
    let samples = Samples::draw()?;
    let gate = Gate::new(Arc::new(samples));
    let setup = Setup {
        accounts: vec![AccountSettings::new(TOKEN, ClientKey::new(&key)?)],
        unnamed: Unnamed::Sole,
        grouping: Grouping::Grouped,
        limits: Limits::default(),
        data: None,
    };
    let edge = Edge::new(Arc::new(gate.clone()), setup)?;
    let running = Running::start(edge).await?;
    let mut table = Table::new(out);
    let walked = walk(&running, &gate, &key, &mut table).await;
    walked.map_err(|error| error.to_string())?;
    running.stop().await;
    // Data are kept on Unix alone.
    if cfg!(unix) {
        let program = env::current_exe().map_err(|error| format!("can't find itself: {error}"))?;
        restart(&program, &mut table).await?;
    }
    table.end().map_err(|error| error.to_string())
}

/// Walks through the steps with a server that is running.
pub(crate) async fn walk<W: Write>(
    running: &Running,
    gate: &Gate,
    key: &str,
    table: &mut Table<'_, W>,
) -> io::Result<()> {
    let client = Client::new(running.delivery, running.control);
    let mut tour = Tour { client, edge: &running.edge, gate, key, table };
    tour.table.begin(&running.delivery.to_string())?;
    let pictures = tour.fill().await?;
    tour.invalidate(&pictures).await?;
    tour.race().await?;
    tour.soften().await?;
    tour.flush().await
}

struct Tour<'a, 't, W> {
    client: Client,
    edge: &'a Edge,
    gate: &'a Gate,
    key: &'a str,
    table: &'a mut Table<'t, W>,
}

/// The bytes of the three renditions and of the other picture.
struct Pictures {
    renditions: Vec<Bytes>,
    birds: Bytes,
}

impl<W: Write> Tour<'_, '_, W> {
    async fn fill(&mut self) -> io::Result<Pictures> {
        self.table
            .heading("Three renditions of one picture and one of another: made, then kept")?;
        let mut renditions = Vec::new();
        for target in RENDITIONS {
            renditions.push(self.get(target, "200 MISS", None).await?);
        }
        let birds = self.get(BIRDS, "200 MISS", None).await?;
        for (target, picture) in RENDITIONS.iter().zip(&renditions) {
            self.get(target, "200 HIT, the same bytes", Some(picture)).await?;
        }
        self.get(BIRDS, "200 HIT, the same bytes", Some(&birds)).await?;
        self.variants(3)?;
        Ok(Pictures { renditions, birds })
    }

    async fn invalidate(&mut self, pictures: &Pictures) -> io::Result<()> {
        self.table
            .heading("Invalidate the first picture: all its renditions go, the other stays")?;
        self.post_now("201 removed: 3 variants, 0 open fills").await?;
        self.variants(0)?;
        for (target, picture) in RENDITIONS.iter().zip(&pictures.renditions) {
            self.get(target, "200 MISS, other bytes", Some(picture)).await?;
        }
        self.get(BIRDS, "200 HIT, the same bytes", Some(&pictures.birds)).await.map(drop)
    }

    async fn race(&mut self) -> io::Result<()> {
        self.table.heading(
            "A slow fetch with an invalidation in the middle: the old picture doesn't come back",
        )?;
        self.post_now("201 removed: 3 variants, 0 open fills").await?;

        let target = RENDITIONS[0];
        let mut held = self.gate.hold_next(NOW);
        let client = self.client.clone();
        let mut slow = tokio::spawn(async move { client.get(target).await });
        // If it ends before it was held back, there was no fetch to hold back.
        let (seen, early) = tokio::select! {
            () = held.arrived() => ("old picture read", None),
            ended = &mut slow => ("no fetch", Some(ended)),
        };
        self.table.step(&format!("GET {target} ..."), "old picture read", seen)?;
        self.post_now("201 overtook open fills: 0 variants, 1 open fill").await?;
        drop(held);
        let ended = match early {
            Some(ended) => ended,
            None => slow.await,
        };
        let slow = ended.unwrap_or_else(|error| Err(error.to_string()));
        let seen = describe(&slow, None);
        self.table.step("... the slow GET ends", "200 MISS, not kept: purged", &seen)?;
        self.variants(0)?;

        let old = slow.map(|answer| answer.body).unwrap_or_default();
        let new = self.get(target, "200 MISS, other bytes", Some(&old)).await?;
        self.get(target, "200 HIT, the same bytes", Some(&new)).await?;
        self.variants(1)
    }

    async fn soften(&mut self) -> io::Result<()> {
        self.table.heading(
            "Invalidate softly: the old picture is served while a new one is made, once",
        )?;
        let target = RENDITIONS[0];
        let old = self.get(target, "200 HIT", None).await?;
        let mut held = self.gate.hold_next(NOW);
        let body =
            json!({ "scope": "original", "urls": [format!("/{NOW}")], "mode": "soft" }).to_string();
        let what = format!("POST /invalidate original /{NOW}, softly");
        self.post(&what, body, "201 made stale: 1 variant, 0 open fills").await?;
        self.get(target, "200 STALE, the same bytes", Some(&old)).await?;
        self.get(target, "200 STALE, the same bytes", Some(&old)).await?;
        // If there is no refresh, there is none to wait for.
        let _ = timeout(PATIENCE, held.arrived()).await;
        let seen = count(self.edge.metrics.refreshes.get(), "refresh");
        self.table.step("the new picture is being made", "1 refresh", &seen)?;
        drop(held);
        self.settle(|edge| edge.index.stats().stale == 0).await;
        self.get(target, "200 HIT, other bytes", Some(&old)).await.map(drop)
    }

    /// Waits for background work.
    async fn settle(&self, settled: impl Fn(&Edge) -> bool) {
        let waiting = async {
            while !settled(self.edge) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        // If it never does, the next step reports it.
        let _ = timeout(PATIENCE, waiting).await;
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.table.heading("Invalidate everything")?;
        let body = json!({ "scope": "all" }).to_string();
        self.post("POST /invalidate all", body, "201 invalidated").await?;
        self.variants(0)?;
        self.get(BIRDS, "200 MISS", None).await?;
        self.get(RENDITIONS[0], "200 MISS", None).await?;
        // Dead objects are deleted in the background.
        self.settle(|edge| edge.store.len() == edge.index.stats().live).await;
        let (objects, entries) = (self.edge.store.len(), self.edge.index.stats().live);
        let seen = format!("{objects} objects, {entries} entries");
        self.table.step("the object store and the index", "2 objects, 2 entries", &seen)
    }

    async fn get(
        &mut self,
        target: &str,
        expected: &str,
        before: Option<&Bytes>,
    ) -> io::Result<Bytes> {
        let answer = self.client.get(target).await;
        let seen = describe(&answer, before);
        self.table.step(&format!("GET {target}"), expected, &seen)?;
        Ok(answer.map(|answer| answer.body).unwrap_or_default())
    }

    async fn post_now(&mut self, expected: &str) -> io::Result<()> {
        let body = json!({ "scope": "original", "urls": [format!("/{NOW}")] }).to_string();
        self.post(&format!("POST /invalidate original /{NOW}"), body, expected).await
    }

    async fn post(&mut self, what: &str, body: String, expected: &str) -> io::Result<()> {
        let seen = match self.client.invalidate(self.key, body).await {
            Ok(answer) => receipt(&answer),
            Err(error) => error,
        };
        self.table.step(what, expected, &seen)
    }

    /// Returns the index's own answer.
    fn variants(&mut self, expected: u64) -> io::Result<()> {
        let Some(account) = self.edge.accounts.sole() else { return Ok(()) };
        let seen = match account.filing.delivery(&format!("/{NOW}")) {
            Ok(Delivery { origin, .. }) => {
                let variants = self.edge.index.variants(&account.tenant, &origin).len();
                count(variants as u64, "variant")
            }
            Err(error) => error.to_string(),
        };
        self.table.step(&format!("the index on /{NOW}"), &count(expected, "variant"), &seen)
    }
}

/// Returns status and cache state of an answer, and how it compares with an earlier one.
pub(crate) fn describe(answer: &Result<Answer, String>, before: Option<&Bytes>) -> String {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return error.clone(),
    };
    let mut seen = format!("{} {}", answer.status.as_u16(), answer.cache());
    if !answer.header("x-not-kept").is_empty() {
        seen += &format!(", not kept: {}", answer.header("x-not-kept"));
    }
    match before {
        Some(before) if *before == answer.body => seen += ", the same bytes",
        Some(_) => seen += ", other bytes",
        None => {}
    }
    seen
}

/// Returns the outcome of the first entry of an invalidation.
pub(crate) fn receipt(answer: &Answer) -> String {
    let reply: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let line = &reply["invalidation"]["entries"][0];
    let mut seen = answer.status.as_u16().to_string();
    if let Some(outcome) = line["outcome"].as_str() {
        seen += &format!(" {outcome}");
    }
    if let (Some(variants), Some(fills)) =
        (line["variants"].as_u64(), line["overtaken_fills"].as_u64())
    {
        seen += &format!(": {}, {}", count(variants, "variant"), count(fills, "open fill"));
    }
    if let Some(durability) = reply["invalidation"]["durability"].as_str() {
        seen += &format!(", {durability}");
    }
    seen
}

fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// The events, line by line, as they happen.
pub(crate) struct Table<'a, W> {
    out: &'a mut W,
    steps: usize,
    failed: Vec<usize>,
}

impl<'a, W: Write> Table<'a, W> {
    pub(crate) fn new(out: &'a mut W) -> Self {
        Self { out, steps: 0, failed: Vec::new() }
    }

    fn begin(&mut self, address: &str) -> io::Result<()> {
        writeln!(self.out, "A tour of the edge, over HTTP to http://{address}\n")?;
        self.row("", "what happens", "expected", "")
    }

    pub(crate) fn heading(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "\n{text}")
    }

    pub(crate) fn step(&mut self, what: &str, expected: &str, seen: &str) -> io::Result<()> {
        self.steps += 1;
        let held = expected == seen;
        if !held {
            self.failed.push(self.steps);
        }
        let verdict = if held { "held".to_owned() } else { format!("NOT HELD: {seen}") };
        self.row(&self.steps.to_string(), what, expected, &verdict)
    }

    fn row(&mut self, number: &str, what: &str, expected: &str, verdict: &str) -> io::Result<()> {
        writeln!(
            self.out,
            "{}",
            format!("{number:>3}  {what:<53} {expected:<49} {verdict}").trim_end()
        )
    }

    /// Writes the verdict. `true` if every step held.
    pub(crate) fn end(self) -> io::Result<bool> {
        let (steps, failed) = (self.steps, self.failed.len());
        if failed == 0 {
            writeln!(self.out, "\nAll {steps} steps held.")?;
        } else {
            let numbers: Vec<_> = self.failed.iter().map(usize::to_string).collect();
            writeln!(self.out, "\n{failed} of {steps} steps did not hold: {}", numbers.join(", "))?;
        }
        Ok(failed == 0)
    }
}
