//! A small caching image CDN edge that links `cache_index`.
//!
//! `cargo run -p edge` serves sample pictures on <http://127.0.0.1:8080/>, and a page for the
//! browser on <http://127.0.0.1:8081/>; `-- --tour` shows in a table what the index promises;
//! `-- --help` lists the options. In here: the command line, signals and exit codes. The server is
//! in `app`.

mod app;

use app::accounts::{AccountSettings, TOKEN, Unnamed};
use app::args::{Args, FleetWords, Source};
use app::client_key::{self, ClientKey};
use app::edge::{Edge, Limits, Setup};
use app::freshness::TargetList;
use app::index::DataSettings;
use app::origin::Origin;
use app::origin::folder::Folder;
use app::origin::http::Http;
use app::origin::samples::Samples;
use app::server::{self, Listeners};
#[cfg(feature = "fleet")]
use app::shield::Shield;
use app::tenants_file;
use cache_index::canonical::Grouping;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use streams::Quiet;
use tokio::task;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

#[tokio::main]
async fn main() -> ExitCode {
    let args: Args = streams::arguments();
    let ended = if args.tour { tour().await } else { serve(args).await };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            streams::complain("edge", reason);
            ExitCode::FAILURE
        }
    }
}

async fn tour() -> Result<(), String> {
    // The exit code also reports whether all steps held.
    let held = app::tour::tour(&mut Quiet(io::stdout())).await?;
    if held { Ok(()) } else { Err("the tour found something that did not hold".to_owned()) }
}

async fn serve(args: Args) -> Result<(), String> {
    start_log(args.log_json)?;
    // First, so that a port in use is reported at once.
    let listeners = Listeners::open(&args.listen, &args.control).await?;
    let (delivery, control) = listeners.addresses()?;
    let mut made_up = None;
    let (accounts, unnamed) = if let Some(file) = &args.tenants {
        (tenants_file::read(file)?, Unnamed::Nobody)
    } else {
        let key = match args.client_key {
            Some(key) => key,
            None => made_up.insert(client_key::generate()).clone(),
        };
        (vec![AccountSettings::new(TOKEN, ClientKey::new(&key)?)], Unnamed::Sole)
    };
    let data_dir = args.data.clone();
    let data = args.data.map(|dir| DataSettings {
        dir,
        snapshot_every: Duration::from_secs(args.snapshot_every.into()),
        memory_bytes: u64::from(args.memory) << 20,
    });
    let limits = Limits {
        store_bytes: u64::from(args.store) << 20,
        negotiate: args.http.negotiate,
        ..Limits::default()
    };
    let grouping = if args.exact { Grouping::Exact } else { Grouping::Grouped };
    let setup = Setup { accounts, unnamed, grouping, limits, data };
    let mut edge = Edge::new(origin(&args.source, args.http.freshness)?, setup)?;
    join_fleet(&mut edge, args.fleet, data_dir.as_deref()).await?;
    edge.listens_on(delivery.port())?;
    edge.shown_key.clone_from(&made_up);
    let signal = signal().map_err(|error| format!("can't wait for signals: {error}"))?;

    let greeting = greeting(&edge, delivery, control, made_up.as_deref());
    // A server goes on, whether its greeting is read or not.
    let _ = streams::print(&greeting);
    let edge = Arc::new(edge);
    server::serve(listeners, Arc::clone(&edge), signal).await;
    let closed = task::spawn_blocking(move || edge.close()).await;
    closed.map_err(|error| error.to_string())?.map_err(|reason| {
        format!("the index was not saved: {reason}; the next start lacks the last renditions")
    })?;
    let _ = streams::print("edge: ended\n");
    Ok(())
}

/// Joins the fleet, and uses the shield, if the command line names them.
#[cfg(feature = "fleet")]
async fn join_fleet(
    edge: &mut Edge,
    words: FleetWords,
    data: Option<&std::path::Path>,
) -> Result<(), String> {
    use app::fleet::{Membership, WhenShut, Words};
    // clap has checked that there is a directory.
    let (Some(url), Some(dir)) = (words.fleet, data) else { return Ok(()) };
    let when_shut = if words.refuse { WhenShut::Refuse } else { WhenShut::ServeStale };
    let fresh_for = Duration::from_secs(words.fresh_for.into());
    let settings = Words { name: words.node, fresh_for, is_shield: words.as_shield };
    edge.join(Membership::new(&url, settings, when_shut, dir).await?)?;
    edge.shield = words.shield.as_deref().map(Shield::new).transpose()?;
    Ok(())
}

/// Refuses what this build cannot do.
#[cfg(not(feature = "fleet"))]
#[expect(clippy::unused_async, reason = "it waits only with the feature")]
async fn join_fleet(
    _: &mut Edge,
    words: FleetWords,
    _: Option<&std::path::Path>,
) -> Result<(), String> {
    match words.fleet {
        None => Ok(()),
        Some(_) => {
            Err("this build has no fleet: expected `cargo run -p edge --features fleet`".to_owned())
        }
    }
}

fn greeting(
    edge: &Edge,
    delivery: SocketAddr,
    control: SocketAddr,
    made_up: Option<&str>,
) -> String {
    let mut greeting = format!("edge: pictures on http://{delivery}/\n");
    greeting += &format!("edge: control and page on http://{control}/ (Ctrl-C ends it)\n");
    if let Some(key) = made_up {
        greeting += &format!("edge: client key {key} (made up; EDGE_CLIENT_KEY sets one)\n");
    }
    if let Some(state) = edge.index.durable_state() {
        greeting += &format!("edge: start of the index: {}\n", state.recovery.describe());
    }
    greeting
}

fn origin(source: &Source, targets: Option<TargetList>) -> Result<Arc<dyn Origin>, String> {
    if let Some(url) = &source.origin {
        return Ok(Arc::new(Http::new(url)?.respecting(targets)));
    }
    if let Some(path) = &source.origin_dir {
        return Folder::open(path)
            .map(|folder| Arc::new(folder) as Arc<dyn Origin>)
            .map_err(|error| format!("can't open the folder {}: {error}", path.display()));
    }
    Samples::draw()
        .map(|samples| Arc::new(samples) as Arc<dyn Origin>)
        .map_err(|error| format!("can't draw the sample pictures: {error}"))
}

/// Logs go to standard error, so that the greeting can be read by a program.
fn start_log(json: bool) -> Result<(), String> {
    let filter = match std::env::var("EDGE_LOG") {
        Ok(text) => text.parse().map_err(|error| format!("EDGE_LOG is malformed: {error}"))?,
        Err(_) => Targets::new().with_default(LevelFilter::INFO),
    };
    let log = tracing_subscriber::fmt::layer().with_writer(|| Quiet(io::stderr()));
    let log = if json { log.json().boxed() } else { log.with_target(false).boxed() };
    tracing_subscriber::registry().with(log.with_filter(filter)).init();
    Ok(())
}

/// Returns a future that is ready when the process receives a signal to end.
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

/// Returns a future that is ready when the process receives a signal to end.
#[cfg(not(unix))]
fn signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
