//! A nats-server with its store.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub(crate) struct Server {
    program: PathBuf,
    dir: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
}

/// Finds the program, or says that a test is skipped.
fn program() -> Option<PathBuf> {
    if let Some(program) = std::env::var_os("FLEET_NATS_SERVER") {
        return Some(program.into());
    }
    let path = std::env::var_os("PATH")?;
    let found =
        std::env::split_paths(&path).map(|dir| dir.join("nats-server")).find(|at| at.is_file());
    if found.is_none() {
        println!("skipped: no nats-server on the path, and FLEET_NATS_SERVER is not set");
    }
    found
}

/// Returns a free port, and none of those that the system gives to clients: while the server is
/// down, a connection of a client could have such a port, even one to itself.
fn free_port() -> u16 {
    let mut random = fastrand::Rng::new();
    let ports = std::iter::repeat_with(|| random.u16(10_000..30_000));
    let mut free = ports.filter(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    free.next().unwrap()
}

impl Server {
    pub(crate) fn start() -> Option<Self> {
        let program = program()?;
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let store = dir.path().join("store");
        let config = format!(
            "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: {:?}, sync_interval: always }}\n",
            store.display().to_string()
        );
        std::fs::write(dir.path().join("nats.conf"), config).unwrap();
        let mut server = Self { program, dir, port, child: None };
        server.run();
        Some(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) fn run(&mut self) {
        let config = self.dir.path().join("nats.conf");
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(config).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().unwrap());
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    pub(crate) fn wipe(&self) {
        std::fs::remove_dir_all(self.store()).unwrap();
    }

    pub(crate) fn back_up(&self) {
        copy(&self.store(), &self.dir.path().join("backup"));
    }

    pub(crate) fn restore(&self) {
        self.wipe();
        copy(&self.dir.path().join("backup"), &self.store());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
