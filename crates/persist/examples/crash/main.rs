//! Kills a process that purges, again and again, and checks the state that the next process finds.
//!
//! ```sh
//! cargo run --release -p cache-index-persist --example crash -- --kills 300
//! cargo run --release -p cache-index-persist --example crash -- --kills 300 --strace
//! cargo run --release -p cache-index-persist --example crash -- --plant no-sync     # must fail
//! ```
//!
//! The process is killed at a random moment, or (`--strace`) at a random write, sync, rename or
//! removal. Every second one keeps what it has not synced in its own memory, so that a kill loses
//! it, as a power loss would.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod layer;
mod oracle;
mod worker;

use cache_index_persist::{Persistent, Recovery};
use clap::{Parser, ValueEnum};
use oracle::Oracle;
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

/// A fault that the program must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Plant {
    /// Syncs do nothing.
    NoSync,
    /// A sync writes what was there at the sync before it.
    LateSync,
    /// The manifest is renamed before it is synced.
    RenameBeforeSync,
    /// A purge is reported before it is made.
    EarlyAck,
}

/// Kills a process that purges, again and again, and checks the state that the next process finds.
#[derive(Clone, Debug, Parser)]
struct Arguments {
    /// How many kills must be reached.
    #[arg(long, default_value_t = 300)]
    kills: u64,
    /// Kills at a random system call, by strace, rather than at a random moment.
    #[arg(long)]
    strace: bool,
    /// Plants a fault.
    #[arg(long)]
    plant: Option<Plant>,
    /// Repeats the random choices of an earlier run, as far as moments repeat.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Works on this directory, as the process that is killed.
    #[arg(long, hide = true)]
    work: Option<PathBuf>,
    /// Keeps in memory what was not synced.
    #[arg(long, hide = true)]
    buffered: bool,
}

/// The totals that are printed at the end.
#[derive(Debug, Default)]
struct Totals {
    kills: u64,
    not_reached: u64,
    acknowledged: u64,
    forgotten: u64,
    came_back: u64,
    needless_cold: u64,
    repeated_incarnations: u64,
    entries: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match &arguments.work {
        Some(dir) => worker::run(dir, &arguments).map(|()| true),
        None => run(&arguments),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let dir = std::env::temp_dir().join(format!("cache-index-crash-{}", std::process::id()));
    let mut random = fastrand::Rng::with_seed(arguments.seed);
    let mut totals = Totals::default();
    let mut oracle = Oracle::default();
    while totals.kills < arguments.kills && totals.not_reached < 10 * arguments.kills + 100 {
        if totals.kills % 50 == 0 {
            // Not always an old directory: the first minutes of a new one are different.
            let _ = std::fs::remove_dir_all(&dir);
            oracle = Oracle::default();
        }
        let buffered = arguments.plant.is_some() || random.bool();
        if kill_one(&dir, arguments, buffered, &mut random, &mut oracle)? {
            totals.kills += 1;
        } else {
            totals.not_reached += 1;
        }
        check(&dir, &mut oracle, &mut totals)?;
        if arguments.plant.is_some() && !totals.is_good() {
            break;
        }
    }
    let _ = std::fs::remove_dir_all(&dir);
    totals.print();
    Ok(totals.is_good() && totals.kills >= arguments.kills)
}

/// Starts a process, kills it, and takes down what it said. Returns whether it was killed.
fn kill_one(
    dir: &Path,
    arguments: &Arguments,
    buffered: bool,
    random: &mut fastrand::Rng,
    oracle: &mut Oracle,
) -> Result<bool, Box<dyn Error>> {
    let mut command = command(dir, arguments, buffered, random)?;
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let output = child.stdout.take().ok_or("no output")?;
    // After so many lines, or while it opens; strace kills by itself.
    let (after_lines, is_at_once) = (random.u32(1..300), random.u8(0..10) == 0);
    if is_at_once && !arguments.strace {
        // A random moment: no event marks the end of an open that is under way.
        std::thread::sleep(Duration::from_millis(random.u64(1..40)));
        child.kill()?;
    }
    for (line, number) in BufReader::new(output).lines().zip(1..) {
        oracle.take(&line?);
        if number == after_lines && !arguments.strace {
            child.kill()?;
        }
    }
    let status = child.wait()?;
    Ok(status.signal() == Some(9) || status.code() == Some(137))
}

fn command(
    dir: &Path,
    arguments: &Arguments,
    buffered: bool,
    random: &mut fastrand::Rng,
) -> Result<Command, Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let mut command = if arguments.strace {
        let calls = ["pwrite64", "fdatasync", "fsync", "rename", "unlink"];
        let call = calls[random.usize(0..calls.len())];
        let when = random.u32(1..if call == "pwrite64" { 400 } else { 60 });
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e"]);
        command.arg(format!("trace={call}")).arg("-e");
        command.arg(format!("inject={call}:signal=KILL:when={when}")).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.arg("--work").arg(dir).arg("--seed").arg(random.u64(..).to_string());
    if buffered {
        command.arg("--buffered");
    }
    if let Some(value) = arguments.plant.and_then(|plant| plant.to_possible_value()) {
        command.arg("--plant").arg(value.get_name());
    }
    Ok(command)
}

/// Opens what the killed process has left, and compares.
fn check(dir: &Path, oracle: &mut Oracle, totals: &mut Totals) -> Result<(), Box<dyn Error>> {
    // Data that the operating system had received is present: this process has no memory of its own
    // of it.
    let cache = Persistent::<u64>::open(dir, worker::config()?)?;
    let is_cold = matches!(cache.recovery(), Recovery::Cold { .. });
    if is_cold && oracle.was_opened() {
        totals.needless_cold += 1;
        println!("{:?}", cache.recovery());
    }
    let found = oracle.compare(&cache)?;
    totals.entries += found.entries;
    totals.forgotten += found.forgotten;
    totals.came_back += found.came_back;
    totals.repeated_incarnations += u64::from(found.repeats_incarnation);
    totals.acknowledged += oracle.take_acknowledged();
    Ok(())
}

impl Totals {
    fn is_good(&self) -> bool {
        self.forgotten + self.came_back + self.needless_cold + self.repeated_incarnations == 0
    }

    fn print(&self) {
        println!("kills: {} ({} more processes ended before)", self.kills, self.not_reached);
        println!("acknowledged purges: {}", self.acknowledged);
        println!("entries found: {}", self.entries);
        println!("forgotten: {}", self.forgotten);
        println!("came back: {}", self.came_back);
        println!("needless cold starts: {}", self.needless_cold);
        println!("incarnations used twice: {}", self.repeated_incarnations);
    }
}
