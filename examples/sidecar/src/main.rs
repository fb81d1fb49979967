//! An index for servers whose workers are processes, such as nginx: a daemon behind a Unix socket.
//!
//! The server asks for the id of each request and caches the answer under that id. On a miss, it
//! fetches through this program, which stands before the origin. See README.md.
//!
//! ```sh
//! cargo run -p sidecar -- --socket /run/sidecar.sock --origin 127.0.0.1:8080
//! ```

mod pictures;
mod serve;

use clap::Parser;
use pictures::Pictures;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Owns an index of pictures behind a Unix socket, and fetches them from the origin.
#[derive(Clone, Debug, Parser)]
#[command(name = "sidecar")]
struct Args {
    /// The socket. A file of this name is replaced.
    #[arg(long)]
    socket: PathBuf,

    /// Host and port of the origin.
    #[arg(long)]
    origin: String,

    /// The first id, which must be larger than all ids of earlier runs. Without it, ids begin with
    /// the time.
    #[arg(long)]
    first_id: Option<u64>,

    /// Seconds after which an id that nobody has fetched is given up.
    #[arg(long, default_value_t = 30)]
    lease_seconds: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args: Args = streams::arguments();
    let pictures = Arc::new(Pictures::new(Duration::from_secs(args.lease_seconds), args.first_id));
    let sweeper = Arc::clone(&pictures);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            sweeper.give_up_old_leases();
        }
    });
    match serve::serve(&args.socket, args.origin, pictures).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            streams::complain("sidecar", error);
            ExitCode::FAILURE
        }
    }
}
