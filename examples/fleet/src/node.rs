//! A node: a process that reads commands from its input.
//!
//! Each line is a number, a command and its arguments. The answer begins with the same number. Many
//! commands may be under way at once.

use crate::remote::Stream;
use cache_index::{Hard, Lookup, OriginPath, VariantKey};
use cache_index_fleet::{
    Admission, Durable, Everywhere, Fleet, FleetConfig, JetStream, JetStreamConfig, Local, Moment,
};
use cache_index_persist::{PersistConfig, Persistent};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;

type Answer = Result<String, Box<dyn Error + Send + Sync>>;

pub(crate) const FRESH_FOR: Duration = Duration::from_secs(2);

struct Node {
    fleet: Fleet<u64, JetStream>,
    /// One file for each picture, with its version.
    origin: PathBuf,
}

fn key() -> VariantKey<'static> {
    VariantKey::opaque("?").unwrap_or_else(|_| unreachable!("a plain name"))
}

pub(crate) async fn run(
    name: &str,
    dir: &Path,
    origin: &Path,
    stream: Stream,
) -> Result<(), Box<dyn Error>> {
    let persist = PersistConfig::builder().snapshot_every(Some(Duration::from_secs(1)));
    let cache = Persistent::<u64>::open(dir, persist.build()?)?;
    let config = FleetConfig::builder(name).fresh_for(FRESH_FOR).longest_fresh_for(FRESH_FOR);
    let subject = stream.name.to_lowercase();
    let engine = JetStreamConfig::new(stream.urls).stream(stream.name, subject);
    let engine = JetStream::connect(engine.replicas(stream.replicas)).await?;
    let fleet = Fleet::join(cache, config.build()?, engine);
    let node = Arc::new(Node { fleet, origin: origin.to_owned() });
    let (answers, mut written) = mpsc::unbounded_channel::<String>();
    tokio::spawn(async move {
        let mut out = tokio::io::stdout();
        while let Some(line) = written.recv().await {
            if out.write_all(line.as_bytes()).await.is_err() || out.flush().await.is_err() {
                return;
            }
        }
    });
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let (node, answers) = (Arc::clone(&node), answers.clone());
        tokio::spawn(async move {
            let (number, command) = line.split_once(' ').unwrap_or((&line, ""));
            let answer =
                node.execute(command).await.unwrap_or_else(|error| format!("error {error}"));
            // The program that has asked may be gone.
            let _ = answers.send(format!("{number} {answer}\n"));
        });
    }
    Ok(())
}

impl Node {
    async fn execute(&self, command: &str) -> Answer {
        let words: Vec<&str> = command.split(' ').collect();
        match words[..] {
            ["fill", path] => self.fill(path),
            ["look", path] => self.look(path),
            ["purge", path, level] => self.purge(path, level).await,
            ["watch", path] => self.watch(path).await,
            ["burst", count, callers] => self.burst(count.parse()?, callers.parse()?).await,
            ["fresh"] => {
                self.fleet.serves_fresh().await;
                Ok(Moment::now().as_nanos().to_string())
            }
            ["shut"] => {
                while self.fleet.gate(Moment::now()) == Admission::Serve {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                Ok(Moment::now().as_nanos().to_string())
            }
            ["lost"] => {
                while self.fleet.stats().is_caught_up {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                Ok(Moment::now().as_nanos().to_string())
            }
            ["position"] => Ok(self.fleet.stats().position.to_string()),
            ["settled"] => {
                while self.fleet.stats().outbox > 0 || !self.fleet.stats().is_caught_up {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Ok("settled".to_owned())
            }
            ["stats"] => Ok(self.stats()),
            _ => Err(format!("unknown command {command:?}").into()),
        }
    }

    /// Fetches a picture, unless it is there.
    fn fill(&self, path: &str) -> Answer {
        let name = OriginPath::opaque(path)?;
        let tenant = self.fleet.tenant("demo");
        if let Lookup::Live(version) = self.fleet.lookup(&tenant, &name, &key()) {
            return Ok(format!("live {version}"));
        }
        let lease = self.fleet.lease(&tenant, &name);
        let version = std::fs::read_to_string(self.origin.join(path))?.trim().parse()?;
        let is_stored = lease.commit(&key(), version).is_stored();
        Ok(format!("filled {version} {is_stored}"))
    }

    fn look(&self, path: &str) -> Answer {
        let name = OriginPath::opaque(path)?;
        Ok(match self.fleet.lookup(&self.fleet.tenant("demo"), &name, &key()) {
            Lookup::Live(version) => format!("live {version}"),
            Lookup::Stale(version) => format!("stale {version}"),
            Lookup::Miss => "miss".to_owned(),
        })
    }

    /// Purges a picture. Answers when it began and when it had reached its level.
    async fn purge(&self, path: &str, level: &str) -> Answer {
        let (tenant, name) = (self.fleet.tenant("demo"), OriginPath::opaque(path)?);
        let began = Moment::now().as_nanos();
        let reached = match level {
            "local" => self.fleet.purge(&tenant, &name, Hard, Local).await.is_ok(),
            "durable" => self.fleet.purge(&tenant, &name, Hard, Durable).await.is_ok(),
            _ => self.fleet.purge(&tenant, &name, Hard, Everywhere).await.is_ok(),
        };
        let word = if reached { "reached" } else { "applied" };
        Ok(format!("{word} {began} {}", Moment::now().as_nanos()))
    }

    /// Waits until a picture is gone. Answers when that was.
    async fn watch(&self, path: &str) -> Answer {
        let (tenant, name) = (self.fleet.tenant("demo"), OriginPath::opaque(path)?);
        while self.fleet.local().lookup(&tenant, &name, &key()) != Lookup::Miss {
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
        Ok(Moment::now().as_nanos().to_string())
    }

    /// Purges many pictures by concurrent callers. Answers how many nanoseconds it took.
    async fn burst(&self, count: usize, callers: usize) -> Answer {
        let began = Moment::now();
        let caller = |caller: usize| async move {
            let tenant = self.fleet.tenant("demo");
            let mut reached = 0;
            for number in (caller..count).step_by(callers) {
                let Ok(name) = OriginPath::opaque(format!("burst-{number}")) else { continue };
                reached +=
                    usize::from(self.fleet.purge(&tenant, &name, Hard, Durable).await.is_ok());
            }
            reached
        };
        let mut reached = 0;
        let mut running: Vec<_> = (0..callers).map(|at| Box::pin(caller(at))).collect();
        // All callers in one task: what is measured is the batching, not the scheduler.
        std::future::poll_fn(|context| {
            running.retain_mut(|caller| match caller.as_mut().poll(context) {
                std::task::Poll::Ready(count) => {
                    reached += count;
                    false
                }
                std::task::Poll::Pending => true,
            });
            if running.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        Ok(format!("{reached} {}", Moment::now().since(began).as_nanos()))
    }

    fn stats(&self) -> String {
        let stats = self.fleet.stats();
        let flushes: Vec<_> =
            stats.flushes.iter().map(|(reason, count)| format!("{reason}: {count}")).collect();
        format!(
            "gate {:?}, position {}, members {}, invalidations {}, sent again {}, losses {}, \
             flushes: {}",
            stats.gate,
            stats.position,
            stats.members,
            stats.invalidations,
            stats.resent,
            stats.losses,
            flushes.join(", "),
        )
    }
}
