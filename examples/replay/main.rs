//! Capacity planning from an access log: what an index would hold, how often it would hit, and what purges would cost.
//!
//! ```sh
//! cargo run --release --example replay -- --generate 1000000 >access.log     # or one of your own
//! cargo run --release --example replay -- access.log
//! ```
//!
//! Logs are in NCSA combined format, as nginx and Varnish write it, and may be compressed; `-` is standard input. GET lines are requests,
//! PURGE lines invalidations. Nothing is evicted, and a fill takes no time: the report says what there is to be had.
//!
//! In here: the command line and exit codes. Exits with 1 if a log can't be read to its end; the report of what was read comes first.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to its user")]

mod generate;
mod input;
mod line;
mod replay;
mod report;

use cache_index::canonical::{Grouping, Rules, V7};
use clap::{Parser, ValueEnum};
use indicatif::ProgressBar;
use replay::Replay;
use std::error::Error;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    about = "Replays access logs on an index, and says what it would hold and how often it would hit"
)]
struct Args {
    /// Access logs in NCSA combined format, plain or gzip; - is standard input
    #[arg(required_unless_present = "generate", value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// The host that pictures are delivered from; lines that name another are passed over
    #[arg(long)]
    host: Option<String>,
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

/// Of the URLs.
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
    let args = Args::parse();
    let ended = match args.generate {
        Some(lines) => write_log(lines, &args).map(|()| ExitCode::SUCCESS),
        None => replay_logs(&args),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("replay: {error}");
        let mut cause = error.source();
        while let Some(reason) = cause {
            eprintln!("replay: {reason}");
            cause = reason.source();
        }
        ExitCode::FAILURE
    })
}

fn write_log(lines: u64, args: &Args) -> Result<(), Box<dyn Error>> {
    let out = BufWriter::with_capacity(1 << 17, io::stdout().lock());
    let with_v7 = args.v7 == Generation::Required;
    match generate::generate(out, lines, args.seed, with_v7) {
        // Whoever has seen enough, such as `head`, closes the pipe.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        ended => Ok(ended?),
    }
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

fn replay_logs(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let mut replay = Replay::new(rules(args)?, args.host.as_deref())?;
    let bar = input::progress(&args.logs);
    let ended = args.logs.iter().find_map(|log| {
        let error = read(log, &bar, &mut replay).err()?;
        Some(format!("{}: {error}", log.display()))
    });
    bar.finish_and_clear();
    let report = replay.finish(ended.clone());
    let text =
        if args.json { serde_json::to_string_pretty(&report)? + "\n" } else { report.to_string() };
    io::stdout().write_all(text.as_bytes())?;
    match ended {
        Some(error) => Err(error.into()),
        None => Ok(ExitCode::SUCCESS),
    }
}

fn read(log: &Path, bar: &ProgressBar, replay: &mut Replay) -> io::Result<()> {
    let mut log = input::open(log, bar)?;
    let mut line = Vec::new();
    while input::next_line(&mut *log, &mut line)? {
        replay.line(&line);
    }
    Ok(())
}
