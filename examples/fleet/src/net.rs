//! A network namespace for each node, whose link can be cut. Needs Linux, root and `ip`.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

/// The namespaces. They are removed with it.
#[derive(Debug)]
pub(crate) struct Net {
    process: u32,
    nodes: usize,
}

impl Net {
    /// Creates a namespace with a link to this machine for each node. The error is the reason.
    pub(crate) fn new(nodes: usize) -> Result<Self, String> {
        let net = Self { process: std::process::id(), nodes };
        for node in 0..nodes {
            let (name, outer, inner) = (net.name(node), net.outer(node), net.inner(node));
            let (here, there) = (net.address(node, 1), net.address(node, 2));
            let (here, there) = (format!("{here}/30"), format!("{there}/30"));
            ip(&["netns", "add", &name])?;
            ip(&["link", "add", &outer, "type", "veth", "peer", "name", &inner, "netns", &name])?;
            ip(&["address", "add", &here, "dev", &outer])?;
            ip(&["link", "set", &outer, "up"])?;
            ip(&["-n", &name, "address", "add", &there, "dev", &inner])?;
            ip(&["-n", &name, "link", "set", &inner, "up"])?;
        }
        Ok(net)
    }

    fn name(&self, node: usize) -> String {
        format!("cif{}n{node}", self.process)
    }

    fn outer(&self, node: usize) -> String {
        format!("cif{}h{node}", self.process)
    }

    fn inner(&self, node: usize) -> String {
        format!("cif{}c{node}", self.process)
    }

    /// Addresses that are meant for tests of networks.
    fn address(&self, node: usize, end: u8) -> String {
        let number = (self.process as usize * 8 + node) % 16384;
        format!("198.18.{}.{}", number / 64, number % 64 * 4 + usize::from(end))
    }

    /// Returns the address of this machine as a node sees it.
    pub(crate) fn host(&self, node: usize) -> String {
        self.address(node, 1)
    }

    /// Returns a command that runs a program in the namespace of a node. `ip` becomes the program:
    /// signals reach it.
    pub(crate) fn command(&self, node: usize, program: &OsStr) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(node)]).arg(program);
        command
    }

    /// Cuts the link of a node. Connections stay open, and nothing arrives.
    pub(crate) fn cut(&self, node: usize) -> Result<(), String> {
        ip(&["link", "set", &self.outer(node), "down"])
    }

    pub(crate) fn heal(&self, node: usize) -> Result<(), String> {
        ip(&["link", "set", &self.outer(node), "up"])
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for node in 0..self.nodes {
            // The link goes with its end in the namespace, and may outlive it for a moment.
            let _ = ip(&["link", "del", &self.outer(node)]);
            let _ = ip(&["netns", "del", &self.name(node)]);
        }
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("ip: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("ip {}: {reason}", arguments.join(" ")))
}
