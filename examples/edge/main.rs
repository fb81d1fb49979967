//! A small caching image CDN edge that links `cache_index`.
//!
//! `cargo run --release --example edge` serves sample pictures on <http://127.0.0.1:8080/>; `-- --tour` shows in a table what the
//! index promises; `-- --help` lists the options. In here: the command line, signals and exit codes. The server is in `app`.

mod app;

use app::args::Args;
use app::client_key::{self, ClientKey};
use app::edge::{Edge, Limits};
use app::origin::Origin;
use app::origin::folder::Folder;
use app::origin::samples::Samples;
use app::server;
use cache_index::canonical::Grouping;
use clap::Parser;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let ended = if args.tour { tour().await } else { serve(args).await };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            // If nobody reads the reason, the exit code still says that there was one.
            let _ = writeln!(io::stderr(), "edge: {reason}");
            ExitCode::FAILURE
        }
    }
}

async fn tour() -> Result<(), String> {
    if app::tour::tour(&mut io::stdout()).await? {
        Ok(())
    } else {
        Err("the tour found something that did not hold".to_owned())
    }
}

async fn serve(args: Args) -> Result<(), String> {
    // First of all, so that a port in use is told at once.
    let listener = server::listen(&args.listen).await?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let generated = args.client_key.is_none();
    let key = args.client_key.unwrap_or_else(client_key::generate);
    let grouping = if args.exact { Grouping::Exact } else { Grouping::Grouped };
    let edge = Edge::new(
        origin(args.origin_dir.as_deref())?,
        ClientKey::new(&key)?,
        grouping,
        Limits::default(),
    )
    .map_err(|error| error.to_string())?;
    let signal = signal().map_err(|error| format!("can't wait for signals: {error}"))?;

    let mut greeting = format!("edge: listening on http://{address}/ (Ctrl-C ends it)\n");
    if generated {
        greeting += &format!("edge: client key {key} (made up; EDGE_CLIENT_KEY sets one)\n");
    }
    // Whoever has closed the output doesn't want to read it.
    let _ = io::stdout().write_all(greeting.as_bytes());
    server::serve(listener, Arc::new(edge), signal).await;
    let _ = io::stdout().write_all(b"edge: ended\n");
    Ok(())
}

fn origin(folder: Option<&Path>) -> Result<Arc<dyn Origin>, String> {
    match folder {
        Some(path) => Folder::open(path)
            .map(|folder| Arc::new(folder) as Arc<dyn Origin>)
            .map_err(|error| format!("can't open the folder {}: {error}", path.display())),
        None => Samples::draw()
            .map(|samples| Arc::new(samples) as Arc<dyn Origin>)
            .map_err(|error| format!("can't draw the sample pictures: {error}")),
    }
}

/// Ready when the process is told to end.
#[cfg(unix)]
fn signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Ready when the process is told to end.
#[cfg(not(unix))]
fn signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
