//! `cache-index` beside its peers: one Markdown table, and a chart.
//!
//! ```sh
//! cargo run --release -p peers -- --quick
//! ```

use clap::{Parser, ValueEnum};
use peers::adapters::{Contestant, contestants};
use peers::single::Field;
use peers::site::Keys;
use peers::table::{Line, Table};
use peers::{
    agreement, chart, detached, growth, heap, invalidation, machine, mixed, single, storing,
};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// Measures this crate beside the structures that would be used instead of it.
#[derive(Parser)]
struct Options {
    /// A smaller site and fewer rounds: less than five minutes instead of about half an hour.
    #[arg(long)]
    quick: bool,
    /// Only this part; more than once for several.
    #[arg(long, value_name = "PART")]
    only: Vec<Part>,
    /// Only these contestants, by name; this crate always takes part.
    #[arg(long, value_name = "NAME")]
    peer: Vec<String>,
    /// The file for the table and the description of the machine.
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// Also draws the main lines.
    #[arg(long, value_name = "FILE.svg")]
    chart: Option<PathBuf>,
    /// Instead of all this: stores so many entries in this crate's index, looks them up, flushes
    /// and reclaims them.
    #[arg(long, value_name = "ENTRIES")]
    scale: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Heap bytes per entry.
    Heap,
    /// One thread, each operation, with 48 usual keys.
    Single,
    /// One thread, each operation, with 20,000 keys.
    ManyKeys,
    /// Several threads, mixed operations.
    Mixed,
    /// Inserts while tables grow: the average, and the longest.
    Growth,
    /// Flushes and purges of prefixes: the call.
    Invalidation,
    /// The effect of a flush on readers.
    Readers,
    /// A purge of 10,000 variants.
    Detached,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("{what}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    if let Some(entries) = options.scale {
        let status = heap_program().args(["scale", &entries.to_string()]).status();
        return match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("the run at scale ended with {status}")),
            Err(error) => Err(format!("the run at scale can't be started: {error}")),
        };
    }
    let machine = machine::description();
    agreement::check()?;
    eprintln!("all contestants give the same answers");
    let named = |contestant: &Contestant<u64>| {
        let asked = |name: &String| contestant.name == name;
        options.peer.is_empty()
            || contestant.name == "cache-index"
            || options.peer.iter().any(asked)
    };
    let chosen: Vec<_> = contestants::<u64>().into_iter().filter(named).collect();
    let mut table = Table::new(&chosen);
    let file = options.results.clone().unwrap_or_else(|| results(options));
    let start = Instant::now();
    measure(options, &chosen, &mut |part, lines| {
        table.lines.extend(lines);
        // Written after each part, so that an interrupted run keeps its measurements.
        let text = report(options, &chosen, &table, &machine, start);
        std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        eprintln!("{part} done after {:.0?}", start.elapsed());
        Ok(())
    })?;
    print!("{}", table.markdown());
    println!("\nAgainst the targets:\n\n{}", table.summary());
    eprintln!("written to {}", file.display());
    options.chart.as_deref().map_or(Ok(()), |file| chart::draw(&table, file))
}

/// Adds the lines of a part to the results.
type Add<'a> = &'a mut dyn FnMut(&str, Vec<Line>) -> Result<(), String>;

fn measure(options: &Options, chosen: &[Contestant<u64>], add: Add<'_>) -> Result<(), String> {
    let wanted = |part| options.only.is_empty() || options.only.contains(&part);
    let quick = options.quick;
    let sizes: &[u64] = if quick { &[100_000] } else { &[100_000, 1_000_000] };
    let rounds = |quick_rounds, rounds| if quick { quick_rounds } else { rounds };
    let effort = single::Effort { rounds: rounds(5, 7), batches: 64, fresh: 20_000, large: 2000 };
    for pictures in sizes.iter().copied() {
        if wanted(Part::Growth) {
            add("growing tables", vec![storing::growing(chosen, pictures)])?;
        }
        if wanted(Part::Single) || wanted(Part::Mixed) {
            let field = Field::populate(chosen, Keys::Usual, pictures, effort);
            if wanted(Part::Single) {
                add("one thread", field.lines())?;
            }
            if wanted(Part::Mixed) {
                let effort = mixed::Effort { rounds: rounds(3, 5), operations: 50_000 };
                add("mixed", mixed::lines(&field, effort))?;
            }
        }
        if wanted(Part::ManyKeys) && pictures == sizes[0] {
            let field = Field::populate(chosen, Keys::Many, pictures, effort);
            add("one thread, 20,000 keys", field.lines())?;
        }
    }
    let last = sizes[sizes.len() - 1];
    if wanted(Part::Heap) {
        add("heap", weigh(chosen, last)?)?;
    }
    if wanted(Part::Readers) {
        add("readers", invalidation::readers(chosen, 100_000, rounds(3, 7)))?;
    }
    if wanted(Part::Detached) {
        add("purge of 10,000", detached::lines(chosen, rounds(9, 21)))?;
    }
    if wanted(Part::Growth) {
        add("growth", growth::lines(chosen, last, 1))?;
    }
    if wanted(Part::Invalidation) {
        add("invalidation", invalidation::calls(chosen, last))?;
    }
    Ok(())
}

/// Runs the other program to count, because counting would slow down the timings here. Nothing is
/// timed meanwhile, so both sites are weighed at the same time.
fn weigh(chosen: &[Contestant<u64>], pictures: u64) -> Result<Vec<Line>, String> {
    let start = |keys| {
        let mut program = heap_program();
        program.args(["weigh", &pictures.to_string()]);
        program.args((keys == Keys::Many).then_some("--many-keys"));
        for contestant in chosen {
            program.args(["--peer", contestant.name]);
        }
        let child = program.stdout(Stdio::piped()).spawn();
        child.map(|child| (keys, child)).map_err(|error| format!("heap can't be started: {error}"))
    };
    let mut lines = Vec::new();
    for (keys, child) in [start(Keys::Usual)?, start(Keys::Many)?] {
        let output = child.wait_with_output().map_err(|error| format!("heap: {error}"))?;
        if !output.status.success() {
            return Err(format!("heap ended with {}", output.status));
        }
        let printed = String::from_utf8_lossy(&output.stdout);
        lines.extend(heap::lines(&printed, chosen, keys, pictures)?);
    }
    Ok(lines)
}

/// Uses cargo, which builds the program if needed.
fn heap_program() -> Command {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let mut command = Command::new(cargo);
    command.args([
        "run",
        "--release",
        "--quiet",
        "--bin",
        "heap",
        "--manifest-path",
        manifest,
        "--",
    ]);
    command
}

fn results(options: &Options) -> PathBuf {
    let name = match (options.quick, options.only.is_empty() && options.peer.is_empty()) {
        (true, true) => "quick.md",
        (false, true) => "full.md",
        _ => "part.md",
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    folder.join(name)
}

fn report(
    options: &Options,
    chosen: &[Contestant<u64>],
    table: &Table,
    machine: &str,
    start: Instant,
) -> String {
    let manifest = include_str!("../Cargo.toml");
    let version = |name: &str| {
        let name = name.split(',').next()?;
        let line = manifest.lines().find(|line| line.starts_with(name))?;
        line.split_once("\"=")?.1.split('"').next()
    };
    let mut text = table.markdown();
    text += &format!("\nAgainst the targets:\n\n{}", table.summary());
    text += "\nContestants:\n\n";
    for contestant in chosen {
        let version = version(contestant.name).map(|v| format!(" {v}")).unwrap_or_default();
        let usage = if contestant.usage.is_empty() { "as it comes" } else { contestant.usage };
        text += &format!("- {}{version}: {usage}\n", contestant.name);
    }
    let hashbrown = version("hashbrown").unwrap_or_default();
    text += &format!("\nWith hashbrown {hashbrown}. Measured on:\n\n{machine}");
    let mode = if options.quick { "--quick" } else { "all sizes" };
    text += &format!("- took: {:.0?} ({mode})\n", start.elapsed());
    text
}
