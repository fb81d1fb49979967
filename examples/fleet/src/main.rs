//! Starts a nats-server and three nodes, purges through any of them, and breaks everything.
//!
//! ```sh
//! cargo run --release -p fleet                    # with nats-server on the path
//! cargo run --release -p fleet -- --rounds 100    # faults only, at random
//! ```
//!
//! It ends with the number of stale pictures that any node served as fresh after everything had
//! healed, and fails if there is one.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports")]

mod chaos;
mod figures;
mod node;
mod remote;
mod server;
mod world;

use clap::Parser;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use world::World;

/// Three nodes and a nats-server that are killed, frozen, wiped and restored, and a checker.
#[derive(Clone, Debug, Parser)]
struct Arguments {
    /// The program of the server; found on the path by default.
    #[arg(long, value_name = "PROGRAM")]
    nats_server: Option<PathBuf>,
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
    /// Runs as a node: name, directory, URL of the server, directory of the origin.
    #[arg(long, hide = true, num_args = 4)]
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
    if let [name, dir, url, origin] = &arguments.node[..] {
        return node::run(name, dir.as_ref(), url, origin.as_ref()).await.map(|()| true);
    }
    let Some(program) = server::find(arguments.nats_server.clone()) else {
        println!("skipped: no nats-server on the path (see docs/fleet.md for how to install it)");
        return Ok(true);
    };
    let mut world = World::start(&program, arguments.nodes, arguments.seed).await?;
    println!("nats-server and {} nodes are up", arguments.nodes);
    if arguments.purges > 0 {
        figures::all(&mut world, arguments.purges).await?;
    }
    chaos::rounds(&mut world, arguments.rounds).await?;
    let stale = world.stale;
    println!("served as fresh although acknowledged everywhere as purged: {}", world.early);
    println!("stale after heal: {stale}");
    Ok(stale == 0 && world.early == 0)
}
