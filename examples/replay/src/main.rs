//! Capacity planning from an access log: the content of an index, its hit rate, and the cost of
//! purges.
//!
//! ```sh
//! cargo run --release -p replay -- --generate 1000000 >access.log     # or one of your own
//! cargo run --release -p replay -- access.log*
//! ```
//!
//! Logs are in NCSA combined format, as nginx and Varnish write it, and may be compressed by gzip;
//! `-` is standard input. Several logs are read as one, in the order of their dates. GET lines are
//! requests, PURGE lines invalidations, and with `--purge-path` also GET lines below that path.
//! Every target that names a path counts as a picture, with `--only-images` only names that end
//! like one. Nothing is evicted, and a fill takes no time: the report says what there is to be had.
//!
//! In here: the command line and exit codes. A log that can't be read to its end doesn't keep
//! others from being read; the report comes first, then each failure, and the exit code is 1.

mod date;
mod format;
mod generate;
mod gzip;
mod host;
mod input;
mod line;
mod merge;
mod picture;
mod reason;
mod replay;
mod report;

use cache_index::canonical::{Grouping, Rules, V7};
use clap::{Parser, ValueEnum};
use merge::Merge;
use replay::{Options, Replay};
use std::error::Error;
use std::io::{self, BufWriter};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    about = "Replays access logs on an index, and says what it would hold and how often it would hit"
)]
struct Args {
    /// Access logs in NCSA combined format, plain or gzip, in any order; - is standard input
    #[arg(required_unless_present = "generate", value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// The host that pictures are delivered from; lines that name another are passed over. It is
    /// looked for in the first column, with or without a port, in the second field, between date
    /// and request, and in targets that are URLs
    #[arg(long)]
    host: Option<String>,
    /// Pass over names that do not end like a picture, such as .html or none
    #[arg(long)]
    only_images: bool,
    /// The path below which GET lines are purges, such as /purge/
    #[arg(long, value_name = "PATH")]
    purge_path: Option<String>,
    /// Whether paths begin with /v7/
    #[arg(long, value_enum, default_value_t)]
    v7: Generation,
    /// The URL that paths are below of, where the site has an origin prefix
    #[arg(long, value_name = "URL")]
    prefix: Option<String>,
    /// Keep http://, https:// and no scheme apart, and %28 and (, also in purges
    #[arg(long)]
    exact: bool,
    /// Write the report as JSON
    #[arg(long)]
    json: bool,
    /// Instead of reading logs, write one of so many lines
    #[arg(long, value_name = "LINES", conflicts_with_all = ["logs", "json"])]
    generate: Option<u64>,
    /// Where the choices of --generate begin
    #[arg(long, default_value_t = 1, requires = "generate")]
    seed: u64,
}

/// The generation of the URLs.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Generation {
    /// Tokens since November 2021
    #[default]
    Never,
    /// Tokens from before
    Required,
    /// Migrated tokens
    Optional,
}

impl Generation {
    fn v7(self) -> V7 {
        match self {
            Self::Never => V7::Never,
            Self::Required => V7::Required,
            Self::Optional => V7::Optional,
        }
    }
}

fn main() -> ExitCode {
    let args: Args = streams::arguments();
    let ended = match args.generate {
        Some(lines) => write_log(lines, &args).map(|()| Vec::new()),
        None => replay_logs(&args),
    };
    let failures = ended.unwrap_or_else(|error| causes(&*error));
    for failure in &failures {
        streams::complain("replay", failure);
    }
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Returns the error and its causes, one per line.
fn causes(error: &dyn Error) -> Vec<String> {
    let mut lines = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(reason) = cause {
        lines.push(reason.to_string());
        cause = reason.source();
    }
    lines
}

fn write_log(lines: u64, args: &Args) -> Result<(), Box<dyn Error>> {
    let out = BufWriter::with_capacity(1 << 17, io::stdout().lock());
    let with_v7 = args.v7 == Generation::Required;
    Ok(streams::unless_closed(generate::generate(out, lines, args.seed, with_v7))?)
}

fn rules(args: &Args) -> Result<Rules, Box<dyn Error>> {
    let grouping = if args.exact { Grouping::Exact } else { Grouping::Grouped };
    let mut rules = Rules::builder().v7(args.v7.v7()).grouping(grouping).allow_wildcards();
    if let Some(host) = &args.host {
        rules = rules.custom_host(host);
    }
    if let Some(prefix) = &args.prefix {
        rules = rules.prefix(prefix);
    }
    Ok(rules.build()?)
}

fn options(args: &Args) -> Options {
    // A slash at both ends, however it was given.
    let purge_path = args.purge_path.as_ref().map(|path| path.trim_matches('/'));
    Options {
        host: args.host.clone(),
        purge_path: purge_path.map(|path| format!("/{path}/")),
        only_images: args.only_images,
    }
}

/// Writes the report, and returns the failures: one for each log that was not read to its end.
fn replay_logs(args: &Args) -> Result<Vec<String>, Box<dyn Error>> {
    let mut replay = Replay::new(rules(args)?, options(args))?;
    let bar = input::progress(&args.logs);
    let mut merge = Merge::new(&args.logs, &bar);
    while let Some(entry) = merge.next() {
        replay.line(entry);
    }
    bar.finish_and_clear();
    let report = replay.finish(merge.failures.clone(), merge.notes);
    let text =
        if args.json { serde_json::to_string_pretty(&report)? + "\n" } else { report.to_string() };
    streams::print(&text)?;
    Ok(merge.failures)
}
