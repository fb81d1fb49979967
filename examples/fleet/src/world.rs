//! Server, nodes and origin, and the versions that may be served.

use crate::net::Net;
use crate::remote::{Remote, Stream};
use crate::server::Cluster;
use std::error::Error;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Each purge ends after its patience: a node that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(300);
/// Pictures that are purged at random.
pub(crate) const PICTURES: usize = 8;

/// Where the log is.
#[derive(Clone, Debug)]
pub(crate) enum Log {
    /// On servers that somebody else runs.
    Running(String),
    /// On so many own servers.
    Own(PathBuf, usize),
}

#[derive(Debug)]
pub(crate) struct World {
    /// The own servers.
    pub(crate) cluster: Option<Cluster>,
    pub(crate) nodes: Vec<Remote>,
    /// The networks of the nodes, if they are apart.
    pub(crate) net: Option<Net>,
    stream: Stream,
    pub(crate) random: fastrand::Rng,
    dir: tempfile::TempDir,
    versions: Vec<u64>,
    /// The oldest version that may be served after everything has healed.
    floors: Vec<u64>,
    /// The oldest version that may be served as fresh at any time.
    everywhere: Vec<u64>,
    pub(crate) purges: u64,
    pub(crate) stale: u64,
    pub(crate) early: u64,
}

pub(crate) fn picture(at: usize) -> String {
    format!("picture-{at}")
}

impl World {
    pub(crate) async fn start(
        log: Log,
        nodes: usize,
        net: Option<Net>,
        seed: u64,
    ) -> Result<Self, Box<dyn Error>> {
        let dir = tempfile::tempdir()?;
        std::fs::create_dir(dir.path().join("origin"))?;
        let (cluster, stream) = match log {
            Log::Running(urls) => {
                // Not that of a fleet which uses the same servers.
                let name = format!("CACHE_PURGE_TRY_{:08x}", fastrand::u32(..));
                println!("the stream {name} stays on the server for a day at least");
                (None, Stream { urls, name, replicas: 1 })
            }
            Log::Own(program, count) => {
                let address = if net.is_some() { "0.0.0.0" } else { "127.0.0.1" };
                let servers = Cluster::start(&program, &dir.path().join("nats"), count, address)?;
                let (urls, name) = (servers.urls("127.0.0.1"), "CACHE_PURGE".to_owned());
                (Some(servers), Stream { urls, name, replicas: count })
            }
        };
        let mut world = Self {
            cluster,
            nodes: Vec::new(),
            net,
            stream,
            random: fastrand::Rng::with_seed(seed),
            dir,
            versions: vec![0; PICTURES],
            floors: vec![0; PICTURES],
            everywhere: vec![0; PICTURES],
            purges: 0,
            stale: 0,
            early: 0,
        };
        for at in 0..PICTURES {
            world.change(at)?;
        }
        for node in 0..nodes {
            let node = world.start_node(node)?;
            world.nodes.push(node);
        }
        world.all_fresh().await?;
        Ok(world)
    }

    pub(crate) fn origin(&self) -> PathBuf {
        self.dir.path().join("origin")
    }

    fn start_node(&self, node: usize) -> Result<Remote, Box<dyn Error>> {
        let (name, program) = (format!("node-{node}"), std::env::current_exe()?);
        let mut stream = self.stream.clone();
        let command = match &self.net {
            Some(net) => {
                if let Some(cluster) = &self.cluster {
                    stream.urls = cluster.urls(&net.host(node));
                }
                net.command(node, program.as_os_str())
            }
            None => Command::new(program),
        };
        Remote::start(command, &name, &self.dir.path().join(&name), &self.origin(), &stream)
    }

    /// Kills the own servers.
    pub(crate) fn kill_servers(&mut self) -> Result<(), Box<dyn Error>> {
        self.cluster.as_mut().map_or(Ok(()), Cluster::kill)
    }

    /// Starts the own servers again.
    pub(crate) fn run_servers(&mut self) -> Result<(), Box<dyn Error>> {
        self.cluster.as_mut().map_or(Ok(()), Cluster::run)
    }

    /// Kills the own servers, and changes their stores.
    pub(crate) fn with_stores(
        &mut self,
        change: fn(&Cluster) -> Result<(), Box<dyn Error>>,
    ) -> Result<(), Box<dyn Error>> {
        self.kill_servers()?;
        self.cluster.as_ref().map_or(Ok(()), change)
    }

    pub(crate) fn restart_node(&mut self, node: usize) -> Result<(), Box<dyn Error>> {
        self.nodes[node] = self.start_node(node)?;
        Ok(())
    }

    pub(crate) async fn all_fresh(&self) -> Result<(), Box<dyn Error>> {
        for node in &self.nodes {
            node.ask("fresh").await?;
        }
        Ok(())
    }

    /// Lets the customer change a picture.
    fn change(&mut self, picture_at: usize) -> Result<u64, Box<dyn Error>> {
        self.versions[picture_at] += 1;
        let version = self.versions[picture_at];
        // Renamed, so that nobody reads half of it.
        let new = self.origin().join("new");
        std::fs::write(&new, version.to_string())?;
        std::fs::rename(new, self.origin().join(picture(picture_at)))?;
        Ok(version)
    }

    /// Changes a picture and purges it through a node.
    pub(crate) async fn purge(&mut self, node: usize) -> Result<(), Box<dyn Error>> {
        let level = ["local", "durable", "everywhere"][self.random.usize(..3)];
        self.purge_as(node, level).await
    }

    pub(crate) async fn purge_as(
        &mut self,
        node: usize,
        level: &str,
    ) -> Result<(), Box<dyn Error>> {
        let at = self.random.usize(..PICTURES);
        let version = self.change(at)?;
        let command = format!("purge {} {level}", picture(at));
        let asked = self.nodes[node].ask(&command);
        let answer = tokio::time::timeout(LIMIT, asked).await??;
        self.purges += 1;
        // Also one that has not reached its level: the node has it in its outbox.
        self.floors[at] = version;
        if level == "everywhere" && answer.starts_with("reached") {
            self.everywhere[at] = version;
        }
        Ok(())
    }

    /// Looks at a picture through a node, as a visitor does, and fetches it if it is not there.
    pub(crate) async fn visit(&mut self, node: usize) -> Result<(), Box<dyn Error>> {
        let at = self.random.usize(..PICTURES);
        let floor = self.everywhere[at];
        let answer = self.nodes[node].ask(&format!("fill {}", picture(at))).await?;
        if live(&answer).is_some_and(|version| version < floor) {
            println!("node {node} serves version {answer} of picture {at}, {floor} is due");
            self.early += 1;
        }
        Ok(())
    }

    /// Waits until everything is well, and looks at all pictures through all nodes.
    pub(crate) async fn check(&mut self) -> Result<u64, Box<dyn Error>> {
        // First the outboxes, and then a proof that is younger than they.
        for node in &self.nodes {
            node.ask("fresh").await?;
            node.ask("settled").await?;
        }
        // On a slow machine a call may end before it has reached its level.
        let is_reached = |answer: &str| answer.starts_with("reached");
        while !is_reached(&self.nodes[0].ask("purge nothing everywhere").await?) {}
        self.all_fresh().await?;
        let mut stale = 0;
        for node in 0..self.nodes.len() {
            for (at, floor) in self.floors.iter().enumerate() {
                let answer = self.nodes[node].ask(&format!("look {}", picture(at))).await?;
                if live(&answer).is_some_and(|version| version < *floor) {
                    println!("node {node} serves {answer} of picture {at}, {floor} is due");
                    stale += 1;
                }
            }
        }
        self.stale += stale;
        Ok(stale)
    }
}

fn live(answer: &str) -> Option<u64> {
    answer.strip_prefix("live ")?.trim().parse().ok()
}
