//! Prints what is in a directory of a persistent index: manifest, snapshot, log, and whether it
//! would open warm.
//!
//! ```sh
//! cargo run -p cache-index-persist --example cache-index-inspect -- DIR [--json]
//! ```
//!
//! The directory is not locked and not changed. So this also works while an index is open in it.
#![allow(clippy::print_stderr)]

mod report;

use cache_index_persist::inspect;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// Prints what is in a directory of a persistent index. Exits with 0 if it would open warm, 3 if
/// cold, 1 if it cannot be read.
#[derive(Parser)]
struct Arguments {
    /// The directory.
    dir: PathBuf,
    /// Prints JSON instead of text, with all tenants and records.
    #[arg(long)]
    json: bool,
    /// How many tenants are printed, the largest first.
    #[arg(long, default_value_t = 20)]
    tenants: usize,
    /// How many records of each segment of the log are printed, the newest last.
    #[arg(long, default_value_t = 20)]
    records: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let bar = progress();
    let found = inspect::directory(&arguments.dir, |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            eprintln!("cache-index-inspect: {}: {error}", arguments.dir.display());
            return ExitCode::FAILURE;
        }
    };
    let text = if arguments.json {
        format!("{:#}\n", report::json(&found))
    } else {
        let limits = report::Limits { tenants: arguments.tenants, records: arguments.records };
        report::text(&found, &limits, unix_millis())
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        // The reader, such as `head`, has seen enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("cache-index-inspect: {error}");
            ExitCode::FAILURE
        }
        _ if found.cold_reason().is_none() => ExitCode::SUCCESS,
        _ => ExitCode::from(3),
    }
}

/// Shows on a terminal how much has been read.
fn progress() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "{bar:40} {bytes} of {total_bytes}, {eta} left";
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn unix_millis() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
