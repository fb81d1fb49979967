//! Load for the edge: clients that ask for pictures while others change and invalidate them, and a
//! checker that runs along.
//!
//! `cargo build --release -p edge && cargo run --release -p load -- --minutes 10` starts the built
//! edge in front of an origin in this process. Every picture carries its version in its color. Each
//! invalidation first gives its pictures a new version at the origin, and is then posted; once the
//! reply is there, no request that begins later may get an older version. A picture that was
//! invalidated softly may be older as long as it says `X-Cache: STALE`.
//!
//! Exit code 1 if a picture was too old, an answer was not the expected one, or store and index of
//! the edge differ at the end.

mod clients;
mod edge;
mod invalidations;
mod origin;
mod report;
mod versions;

use clap::Parser;
use report::Report;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use versions::Versions;

/// Loads the edge, and checks that no picture is served after it was invalidated.
#[derive(Debug, Parser)]
#[command(name = "load")]
pub(crate) struct Args {
    /// How long to go on.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,

    /// How many clients ask at a time, each on a connection of its own.
    #[arg(long, default_value_t = 64)]
    clients: usize,

    /// How many invalidations there are a second.
    #[arg(long, default_value_t = 50)]
    invalidations: u32,

    /// How many pictures there are.
    #[arg(long, default_value_t = 500)]
    pictures: usize,

    /// How many renditions of each are asked for.
    #[arg(long, default_value_t = 100)]
    renditions: usize,

    /// Lets the origin serve one version less than it has, to see that the check finds it: the exit
    /// code must be 1.
    #[arg(long)]
    plant: bool,

    /// The built edge, if it isn't beside this program.
    #[arg(long)]
    edge: Option<std::path::PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(streams::arguments()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            streams::complain("load", reason);
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<bool, String> {
    if args.pictures == 0 || args.renditions == 0 || args.clients == 0 {
        return Err("pictures, renditions and clients must be more than none".to_owned());
    }
    let end = Duration::try_from_secs_f64(args.minutes * 60.0);
    let end = end.ok().filter(|end| !end.is_zero()).ok_or("minutes must be more than none")?;
    let versions = Arc::new(Versions::new(args.pictures));
    let source = origin::serve(Arc::clone(&versions), u32::from(args.plant)).await?;
    let edge = edge::Edge::start(args.edge.as_deref(), source).await?;
    say(&format!(
        "{} clients, {} invalidations a second, {} pictures of {} renditions, for {} minutes",
        args.clients, args.invalidations, args.pictures, args.renditions, args.minutes
    ));
    let report = Arc::new(Report::default());
    let over = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for number in 0..args.clients {
        let client = clients::Client::new(&edge, &versions, &report, &args, number as u64);
        tasks.push(tokio::spawn(client.ask_until(Arc::clone(&over))));
    }
    let invalidating = invalidations::Invalidator::new(&edge, &versions, &report, &args);
    tasks.push(tokio::spawn(invalidating.go_on_until(Arc::clone(&over))));

    let begun = Instant::now();
    let step = (end / 10).clamp(Duration::from_secs(1), Duration::from_secs(30));
    let mut memory = Vec::new();
    say(&report.heading());
    let mut is_read = true;
    while begun.elapsed() < end && is_read {
        tokio::time::sleep(step.min(end.saturating_sub(begun.elapsed()))).await;
        let metrics = edge.metrics().await?;
        memory.push(metrics.value("edge_process_resident_memory_bytes"));
        is_read = say(&report.line(begun.elapsed(), &metrics));
    }
    over.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.map_err(|error| format!("a task ended badly: {error}"))?;
    }
    let (metrics, agreement) = (edge.metrics().await?, edge.check().await?);
    say(&report.summary(begun.elapsed(), &metrics, &memory, &agreement));
    Ok(report.is_clean() && agreement.contains("\"agree\": true"))
}

/// Prints a line. Returns whether the output is still read. A reader such as `head` that goes away
/// ends the run early, with its exit code.
fn say(line: &str) -> bool {
    use std::io::Write;
    writeln!(std::io::stdout(), "{line}").is_ok()
}
