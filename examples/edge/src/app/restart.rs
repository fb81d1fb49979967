//! The last act of the tour: an edge in a process of its own is killed, and starts again with its
//! data.
//!
//! Invariant: as in [`super::tour`], no step depends on luck. The process is killed after a
//! snapshot that contains every picture, and after the receipt of the purge.

use super::client::{Answer, Client};
use super::client_key;
use super::origin::samples::NOW;
use super::tour::{PATIENCE, Table, describe, receipt};
use axum::body::Bytes;
use axum::http::Method;
use serde_json::{Value, json};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

const BIRDS: &str = "/sample.li/birds.jpg?w=300";
const BOAT: &str = "/sample.li/boat.jpg?w=300";
const RENDITIONS: [&str; 2] = ["/sample.li/now.png?w=480", "/sample.li/now.png?w=120"];

/// Walks through the steps. `program` is the edge.
pub(crate) async fn restart<W: Write>(
    program: &Path,
    table: &mut Table<'_, W>,
) -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(|error| format!("no temporary directory: {error}"))?;
    let key = client_key::generate();
    let mut act = Act { program, dir: dir.path(), key: &key, table };
    act.walk().await.map_err(|error| error.to_string())
}

struct Act<'a, 't, W> {
    program: &'a Path,
    dir: &'a Path,
    key: &'a str,
    table: &'a mut Table<'t, W>,
}

/// An edge in a process of its own.
struct Process {
    child: Child,
    client: Client,
}

impl<W: Write> Act<'_, '_, W> {
    async fn walk(&mut self) -> io::Result<()> {
        self.table.heading(
            "Stop hard and start again: what was purged stays gone, and the rest is still there",
        )?;
        let Some(first) = self.start("edge --data DIR", "new").await? else { return Ok(()) };
        let mut pictures = Vec::new();
        for target in [BIRDS, BOAT].into_iter().chain(RENDITIONS) {
            pictures.push(self.get(&first, target, "200 MISS", None).await?);
        }
        let seen = if first.saved().await { "saved" } else { "not saved" };
        self.table.step("the next snapshot", "saved", seen)?;
        self.purge(&first).await?;
        let killed = first.kill().await;
        self.table.step("kill -9", "killed", killed.as_deref().unwrap_or("killed"))?;
        let seen = damage(&self.dir.join("objects"), "boat.jpg");
        self.table.step("one bit flips in the file of boat.jpg", "1 file", &seen)?;

        let Some(second) = self.start("edge --data DIR", "warm").await? else { return Ok(()) };
        self.get(&second, BIRDS, "200 HIT, the same bytes", pictures.first()).await?;
        for (target, before) in RENDITIONS.iter().zip(&pictures[2..]) {
            self.get(&second, target, "200 MISS, other bytes", Some(before)).await?;
        }
        self.get(&second, BOAT, "200 MISS, the same bytes", pictures.get(1)).await?;
        self.get(&second, BOAT, "200 HIT, the same bytes", pictures.get(1)).await?;
        let seen = second.agreement().await;
        self.table.step("the object store and the index", "4 objects, 4 entries", &seen)?;
        // The directory can only be removed afterwards.
        let _ = second.kill().await;
        Ok(())
    }

    /// Starts the edge. Without one, the act ends.
    async fn start(&mut self, what: &str, expected: &str) -> io::Result<Option<Process>> {
        match Process::start(self.program, self.dir, self.key).await {
            Ok(process) => {
                self.table.step(what, expected, &process.loaded().await)?;
                Ok(Some(process))
            }
            Err(error) => {
                self.table.step(what, expected, &error)?;
                Ok(None)
            }
        }
    }

    async fn get(
        &mut self,
        process: &Process,
        target: &str,
        expected: &str,
        before: Option<&Bytes>,
    ) -> io::Result<Bytes> {
        let answer = process.client.get(target).await;
        self.table.step(&format!("GET {target}"), expected, &describe(&answer, before))?;
        Ok(answer.map(|answer| answer.body).unwrap_or_default())
    }

    async fn purge(&mut self, process: &Process) -> io::Result<()> {
        let body = json!({ "scope": "original", "urls": [format!("/{NOW}")] }).to_string();
        let seen = match process.client.invalidate(self.key, body).await {
            Ok(answer) => receipt(&answer),
            Err(error) => error,
        };
        let expected = "201 removed: 2 variants, 0 open fills, durable";
        self.table.step(&format!("POST /invalidate original /{NOW}"), expected, &seen)
    }
}

impl Process {
    async fn start(program: &Path, dir: &Path, key: &str) -> Result<Self, String> {
        let mut command = Command::new(program);
        command.args(["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]);
        command.args(["--snapshot-every", "1", "--data"]).arg(dir);
        command.env("EDGE_CLIENT_KEY", key).env("EDGE_LOG", "off").kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| format!("can't be started: {error}"))?;
        let output = child.stdout.take().ok_or("no output")?;
        let mut lines = BufReader::new(output).lines();
        let mut greeting = Vec::new();
        while greeting.len() < 2 {
            let line = timeout(PATIENCE, lines.next_line()).await.map_err(|_| "no greeting")?;
            greeting.push(line.map_err(|error| error.to_string())?.ok_or("ended at once")?);
        }
        let address = |line: &str| {
            let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
            address.and_then(|address| address.parse().ok()).ok_or("no address")
        };
        let client = Client::new(address(&greeting[0])?, address(&greeting[1])?);
        Ok(Self { child, client })
    }

    /// Returns the state of the data once everything is loaded.
    async fn loaded(&self) -> String {
        let state = async || self.data().await["recovery"]["state"].take();
        let _ = eventually(async || state().await != "loading").await;
        state().await.as_str().unwrap_or("no state").to_owned()
    }

    /// Waits for a snapshot that begins after now.
    async fn saved(&self) -> bool {
        let written = async || self.data().await["snapshots"]["written"].as_u64();
        let Some(before) = written().await else { return false };
        // One may be under way.
        eventually(async || written().await.is_some_and(|written| written >= before + 2)).await
    }

    /// Compares store and index once the files of the first start have been visited.
    async fn agreement(&self) -> String {
        if !eventually(async || self.data().await["orphans"]["done"] == true).await {
            return "files of the first start are still visited".to_owned();
        }
        let checked = self.ask("/check").await;
        match checked["agree"].as_bool() {
            Some(true) => format!("{} objects, {} entries", checked["objects"], checked["entries"]),
            _ => checked.to_string(),
        }
    }

    async fn data(&self) -> Value {
        self.ask("/stats").await["data"].take()
    }

    /// Asks the control listener; null if there is no answer.
    async fn ask(&self, target: &str) -> Value {
        let answer = self.client.control(Method::GET, target, &[], Bytes::new()).await;
        let body = |answer: Answer| serde_json::from_slice(&answer.body).ok();
        answer.ok().and_then(body).unwrap_or_default()
    }

    /// Kills the process, and returns an error if that fails.
    async fn kill(mut self) -> Option<String> {
        self.child.kill().await.err().map(|error| error.to_string())
    }
}

/// Waits for something that happens in the background. False if it never does.
async fn eventually(holds: impl AsyncFn() -> bool) -> bool {
    let waiting = async {
        while !holds().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, waiting).await.is_ok()
}

/// Flips the last bit of each file that holds this name, and returns how many there were.
fn damage(objects: &Path, name: &str) -> String {
    let found = match files(objects) {
        Ok(found) => found,
        Err(error) => return error.to_string(),
    };
    let mut count = 0;
    for path in found {
        let Ok(mut content) = fs::read(&path) else { continue };
        if !content.windows(name.len()).any(|window| window == name.as_bytes()) {
            continue;
        }
        if let Some(last) = content.last_mut() {
            *last ^= 1;
        }
        count += usize::from(fs::write(&path, content).is_ok());
    }
    format!("{count} file{}", if count == 1 { "" } else { "s" })
}

fn files(objects: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in fs::read_dir(objects)? {
        for file in fs::read_dir(folder?.path())? {
            found.push(file?.path());
        }
    }
    Ok(found)
}
