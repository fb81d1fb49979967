//! Starts a nats-server and three nodes, purges through any of them, and breaks everything.
//!
//! ```sh
//! cargo run --release -p fleet                    # with nats-server on the path
//! cargo run --release -p fleet -- --purges 0 --rounds 100                      # faults only
//! cargo run --release -p fleet -- --purges 0 --rounds 9 --replicas 3 --netns   # three servers
//! cargo run --release -p fleet -- --nats nats://127.0.0.1:4222                 # a running server
//! ```
//!
//! It ends with the number of stale pictures that any node served as fresh after everything had
//! healed, and fails if there is one.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports")]

mod chaos;
mod figures;
mod net;
mod node;
mod remote;
mod server;
mod world;

use clap::Parser;
use net::Net;
use remote::Stream;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use world::{Log, World};

/// Three nodes and a nats-server that are killed, frozen, wiped and restored, and a checker.
#[derive(Clone, Debug, Parser)]
struct Arguments {
    /// The program of the server; found on the path by default.
    #[arg(long, value_name = "PROGRAM")]
    nats_server: Option<PathBuf>,
    /// Uses running servers instead of own ones. Then only the nodes are broken.
    #[arg(long, value_name = "URL,...", conflicts_with_all = ["nats_server", "replicas", "netns"])]
    nats: Option<String>,
    /// How many own servers there are. Each has a replica of the stream.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: u8,
    /// Gives each node a network namespace, so that its link can be cut. Needs root and `ip`.
    #[arg(long)]
    netns: bool,
    /// How many nodes there are.
    #[arg(long, default_value_t = 3)]
    nodes: usize,
    /// How many single purges are timed; 0 skips all figures.
    #[arg(long, default_value_t = 300)]
    purges: usize,
    /// How many rounds of faults there are.
    #[arg(long, default_value_t = 7)]
    rounds: u64,
    /// The seed of the faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs as a node: name, directory, directory of the origin, URLs of the servers, name of the
    /// stream, replicas.
    #[arg(long, hide = true, num_args = 6)]
    node: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(arguments)),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<bool, Box<dyn Error>> {
    if let [name, dir, origin, urls, stream, replicas] = &arguments.node[..] {
        let (urls, stream) = (urls.clone(), stream.clone());
        let stream = Stream { urls, name: stream, replicas: replicas.parse()? };
        return node::run(name, dir.as_ref(), origin.as_ref(), stream).await.map(|()| true);
    }
    let log = match (arguments.nats.clone(), server::find(arguments.nats_server.clone())) {
        (Some(urls), _) => Log::Running(urls),
        (None, Some(program)) => Log::Own(program, arguments.replicas.into()),
        (None, None) => {
            println!("skipped: no nats-server on the path (docs/fleet.md has how to install it)");
            return Ok(true);
        }
    };
    let net = arguments.netns.then(|| Net::new(arguments.nodes)).transpose();
    let net = net.unwrap_or_else(|reason| {
        println!("skipped: links that are cut, as they need root and ip: {reason}");
        None
    });
    let mut world = World::start(log, arguments.nodes, net, arguments.seed).await?;
    println!("{} nodes are up, servers: {}", arguments.nodes, arguments.replicas);
    if arguments.purges > 0 {
        figures::all(&mut world, arguments.purges).await?;
    }
    chaos::rounds(&mut world, arguments.rounds).await?;
    let stale = world.stale;
    println!("served as fresh although acknowledged everywhere as purged: {}", world.early);
    println!("stale after heal: {stale}");
    Ok(stale == 0 && world.early == 0)
}
