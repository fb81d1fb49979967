//! A node seen from the program: a child process that answers commands.

use rustix::process::{Pid, Signal, kill_process};
use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{Mutex as AsyncMutex, oneshot};

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<String>>>>;

/// Longer than any command takes that succeeds.
const LIMIT: Duration = Duration::from_secs(60);

/// The stream of a node.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) urls: String,
    pub(crate) name: String,
    pub(crate) replicas: usize,
}

#[derive(Debug)]
pub(crate) struct Remote {
    child: Child,
    stdin: AsyncMutex<ChildStdin>,
    waiting: Waiting,
    next: AtomicU64,
}

impl Remote {
    /// Starts a node by a command that runs this program.
    pub(crate) fn start(
        command: std::process::Command,
        name: &str,
        dir: &Path,
        origin: &Path,
        stream: &Stream,
    ) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::from(command);
        command.arg("--node").arg(name).arg(dir).arg(origin);
        command.args([&stream.urls, &stream.name, &stream.replicas.to_string()]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (stdin, stdout) = stdin.zip(stdout).ok_or("pipes of the node")?;
        let waiting = Waiting::default();
        let answered = Arc::clone(&waiting);
        tokio::spawn(async move {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let Some((number, answer)) = line.split_once(' ') else { continue };
                let number = number.parse().unwrap_or(0);
                let asked = answered.lock().map(|mut waiting| waiting.remove(&number));
                if let Ok(Some(asked)) = asked {
                    let _ = asked.send(answer.to_owned());
                }
            }
            // Nobody waits for a process that has ended.
            if let Ok(mut waiting) = answered.lock() {
                waiting.clear();
            }
        });
        Ok(Self { child, stdin: AsyncMutex::new(stdin), waiting, next: AtomicU64::new(1) })
    }

    /// Sends a command and waits for its answer.
    pub(crate) async fn ask(&self, command: &str) -> Result<String, Box<dyn Error>> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.waiting.lock().map_err(|_| "poisoned")?.insert(number, sender);
        self.stdin.lock().await.write_all(format!("{number} {command}\n").as_bytes()).await?;
        let answer = tokio::time::timeout(LIMIT, answer).await;
        let answer = answer.map_err(|_| format!("node does not answer to {command:?}"))??;
        match answer.strip_prefix("error ") {
            Some(error) => Err(error.into()),
            None => Ok(answer),
        }
    }

    fn signal(&self, signal: Signal) -> Result<(), Box<dyn Error>> {
        let id = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok(kill_process(id.ok_or("node has ended")?, signal)?)
    }

    pub(crate) fn freeze(&self) -> Result<(), Box<dyn Error>> {
        self.signal(Signal::STOP)
    }

    pub(crate) fn thaw(&self) -> Result<(), Box<dyn Error>> {
        self.signal(Signal::CONT)
    }

    /// Kills it with SIGKILL.
    pub(crate) async fn kill(&mut self) -> Result<(), Box<dyn Error>> {
        Ok(self.child.kill().await?)
    }
}
