//! The nats-server and its store.

use std::error::Error;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A server whose store can be taken away.
#[derive(Debug)]
pub(crate) struct Server {
    program: PathBuf,
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

impl Server {
    pub(crate) fn start(program: &Path, dir: &Path) -> Result<Self, Box<dyn Error>> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        std::fs::create_dir_all(dir)?;
        let store = dir.join("store").display().to_string();
        let config = format!(
            "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: {store:?}, sync_interval: always }}\n"
        );
        std::fs::write(dir.join("nats.conf"), config)?;
        let mut server =
            Self { program: program.to_owned(), dir: dir.to_owned(), port, child: None };
        server.run()?;
        Ok(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) fn run(&mut self) -> Result<(), Box<dyn Error>> {
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(self.dir.join("nats.conf"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(child.map_err(|error| format!("{}: {error}", self.program.display()))?);
        Ok(())
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) -> Result<(), Box<dyn Error>> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    pub(crate) fn wipe(&self) -> Result<(), Box<dyn Error>> {
        Ok(std::fs::remove_dir_all(self.dir.join("store"))?)
    }

    pub(crate) fn back_up(&self) -> Result<(), Box<dyn Error>> {
        let backup = self.dir.join("backup");
        if backup.exists() {
            std::fs::remove_dir_all(&backup)?;
        }
        copy(&self.dir.join("store"), &backup)
    }

    pub(crate) fn restore(&self) -> Result<(), Box<dyn Error>> {
        self.wipe()?;
        copy(&self.dir.join("backup"), &self.dir.join("store"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.kill();
    }
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
