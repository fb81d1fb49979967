//! Counts answers that are too old, of any server that caches and understands `PURGE`.
//!
//! The program is the origin of the server, its clients and its purgers. A picture is a text: its
//! version. A purger gives a picture a new version and purges it. An answer is too old if it is
//! older than the last purge of its path that had returned before the request was sent.
//!
//! ```sh
//! cargo run -p versions -- --server 127.0.0.1:6081 --origin 127.0.0.1:8099 --seconds 10
//! ```
//!
//! Exit code 1 if an answer was too old, 2 if the server failed.

mod origin;
mod parties;

use clap::Parser;
use parties::Counts;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Counts answers of a caching server that are older than a purge that had returned.
#[derive(Clone, Debug, Parser)]
#[command(name = "versions")]
pub(crate) struct Args {
    /// Address of the server.
    #[arg(long)]
    server: SocketAddr,

    /// Address at which this program is the origin of the server.
    #[arg(long)]
    origin: SocketAddr,

    /// Duration of the check in seconds.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,

    /// Clients, each on a connection of its own.
    #[arg(long, default_value_t = 8)]
    clients: usize,

    /// Purgers, each on a connection of its own.
    #[arg(long, default_value_t = 2)]
    purgers: usize,

    /// Pictures.
    #[arg(long, default_value_t = 20)]
    pictures: usize,

    /// Renditions of each picture.
    #[arg(long, default_value_t = 4)]
    renditions: usize,

    /// Longest delay of an answer of the origin in milliseconds.
    #[arg(long, default_value_t = 20)]
    delay: u64,

    /// The first version of each picture. After a restart of the server, a larger one than any of
    /// the run before shows whether answers of that run are served.
    #[arg(long, default_value_t = 1)]
    first_version: u64,

    /// The name of the server in the row that is printed.
    #[arg(long, default_value = "server")]
    name: String,
}

/// The versions of a picture.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) at_origin: AtomicU64,
    /// The version of the last purge that has returned.
    pub(crate) purged: AtomicU64,
}

/// All that the parties share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) pictures: Vec<Picture>,
    pub(crate) fetches: AtomicU64,
    pub(crate) args: Args,
    pub(crate) until: Instant,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args: Args = streams::arguments();
    match run(args).await {
        Ok(counts) if counts.too_old == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            streams::complain("versions", error);
            ExitCode::from(2)
        }
    }
}

async fn run(args: Args) -> Result<Counts, String> {
    let first = args.first_version;
    let picture = || Picture { at_origin: AtomicU64::new(first), purged: AtomicU64::new(first) };
    let world = Arc::new(World {
        pictures: std::iter::repeat_with(picture).take(args.pictures.max(1)).collect(),
        fetches: AtomicU64::new(0),
        until: Instant::now() + Duration::from_secs_f64(args.seconds),
        args,
    });
    origin::serve(Arc::clone(&world)).await?;
    let clients = (0..world.args.clients).map(|_| tokio::spawn(parties::client(world.clone())));
    let clients: Vec<_> = clients.collect();
    let purgers = (0..world.args.purgers).map(|_| tokio::spawn(parties::purger(world.clone())));
    let mut counts = Counts::default();
    for party in clients.into_iter().chain(purgers.collect::<Vec<_>>()) {
        counts.add(party.await.map_err(|error| error.to_string())??);
    }
    let fetches = world.fetches.load(Ordering::SeqCst);
    let Counts { answers, too_old, purges } = counts;
    let row = format!("| {} | {answers} | {too_old} | {purges} | {fetches} |\n", world.args.name);
    streams::print(&row).map_err(|error| error.to_string())?;
    if purges == 0 || answers == 0 || fetches >= answers {
        return Err(format!("{row}nothing was cached, or nothing was purged"));
    }
    Ok(counts)
}
