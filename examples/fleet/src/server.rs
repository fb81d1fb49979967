//! The nats-servers and their stores.

use rustix::process::{Pid, Signal, kill_process};
use std::error::Error;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Servers whose stores can be taken away. More than one of them form a cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    program: PathBuf,
    servers: Vec<Server>,
}

#[derive(Debug)]
struct Server {
    dir: PathBuf,
    port: u16,
    child: Option<Child>,
}

/// Finds the program.
pub(crate) fn find(named: Option<PathBuf>) -> Option<PathBuf> {
    named.or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|dir| dir.join("nats-server")).find(|at| at.is_file())
    })
}

/// Returns free ports, and none of those that the system gives to clients: while a server is down,
/// a connection of a client could have such a port, even one to itself.
fn ports(count: usize) -> Vec<u16> {
    let mut random = fastrand::Rng::new();
    let ports = std::iter::repeat_with(|| random.u16(10_000..30_000));
    // All stay bound until the last one is found, so that no port is there twice.
    let bound = ports.filter_map(|port| Some((port, TcpListener::bind(("0.0.0.0", port)).ok()?)));
    let bound: Vec<_> = bound.take(count).collect();
    bound.into_iter().map(|(port, _)| port).collect()
}

impl Cluster {
    /// Starts servers that listen for nodes at an address.
    pub(crate) fn start(
        program: &Path,
        dir: &Path,
        count: usize,
        address: &str,
    ) -> Result<Self, Box<dyn Error>> {
        let all = ports(2 * count);
        let (clients, routes) = all.split_at(count);
        let urls: Vec<_> =
            routes.iter().map(|port| format!("\"nats://127.0.0.1:{port}\"")).collect();
        let mut servers = Vec::new();
        for (at, (&port, route)) in clients.iter().zip(routes).enumerate() {
            let dir = dir.join(at.to_string());
            std::fs::create_dir_all(&dir)?;
            let store = dir.join("store").display().to_string();
            let mut config = format!(
                "server_name: \"n{at}\"\nlisten: \"{address}:{port}\"\n\
                 jetstream {{ store_dir: {store:?}, sync_interval: always }}\n"
            );
            if count > 1 {
                // Without advice about addresses that a node in another namespace cannot reach.
                config += &format!(
                    "cluster {{ name: fleet, listen: \"127.0.0.1:{route}\", no_advertise: true, \
                     routes: [{}] }}\n",
                    urls.join(", ")
                );
            }
            std::fs::write(dir.join("nats.conf"), config)?;
            servers.push(Server { dir, port, child: None });
        }
        let mut cluster = Self { program: program.to_owned(), servers };
        cluster.run()?;
        Ok(cluster)
    }

    pub(crate) fn len(&self) -> usize {
        self.servers.len()
    }

    /// Returns the addresses of all servers, as a node sees them to which this machine is `host`.
    pub(crate) fn urls(&self, host: &str) -> String {
        let urls = self.servers.iter().map(|server| format!("nats://{host}:{}", server.port));
        urls.collect::<Vec<_>>().join(",")
    }

    pub(crate) fn run(&mut self) -> Result<(), Box<dyn Error>> {
        (0..self.len()).try_for_each(|at| self.run_one(at))
    }

    pub(crate) fn run_one(&mut self, at: usize) -> Result<(), Box<dyn Error>> {
        let server = &mut self.servers[at];
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(server.dir.join("nats.conf"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        server.child = Some(child.map_err(|error| format!("{}: {error}", self.program.display()))?);
        Ok(())
    }

    /// Kills all servers with SIGKILL.
    pub(crate) fn kill(&mut self) -> Result<(), Box<dyn Error>> {
        (0..self.len()).try_for_each(|at| self.kill_one(at))
    }

    /// Kills one server with SIGKILL.
    pub(crate) fn kill_one(&mut self, at: usize) -> Result<(), Box<dyn Error>> {
        if let Some(mut child) = self.servers[at].child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Stops all servers with SIGSTOP. Their connections stay open.
    pub(crate) fn freeze(&self) -> Result<(), Box<dyn Error>> {
        self.signal(Signal::STOP)
    }

    pub(crate) fn thaw(&self) -> Result<(), Box<dyn Error>> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), Box<dyn Error>> {
        for child in self.servers.iter().filter_map(|server| server.child.as_ref()) {
            kill_process(Pid::from_child(child), signal)?;
        }
        Ok(())
    }

    pub(crate) fn wipe(&self) -> Result<(), Box<dyn Error>> {
        self.servers.iter().try_for_each(|server| remove(&server.dir.join("store")))
    }

    pub(crate) fn back_up(&self) -> Result<(), Box<dyn Error>> {
        self.servers.iter().try_for_each(|server| {
            remove(&server.dir.join("backup"))?;
            copy(&server.dir.join("store"), &server.dir.join("backup"))
        })
    }

    pub(crate) fn restore(&self) -> Result<(), Box<dyn Error>> {
        self.wipe()?;
        self.servers
            .iter()
            .try_for_each(|server| copy(&server.dir.join("backup"), &server.dir.join("store")))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

fn remove(dir: &Path) -> Result<(), Box<dyn Error>> {
    if dir.exists() {
        std::fs::remove_dir_all(dir)?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
