//! Prints what is in a directory of a persistent index: manifest, snapshot, log, and whether it
//! would open warm.
//!
//! ```sh
//! cargo run -p cache-index-persist --example cache-index-inspect -- DIR [--json]
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr)]

use cache_index_persist::inspect::{self, Directory, SegmentContents, SnapshotContents};
use cache_index_persist::{ColdReason, Record};
use clap::Parser;
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// Prints what is in a directory of a persistent index. Exits with 0 if it would open warm, 3 if
/// cold, 1 if it cannot be read.
#[derive(Parser)]
struct Arguments {
    /// The directory.
    dir: PathBuf,
    /// Prints JSON instead of text.
    #[arg(long)]
    json: bool,
    /// How many records of the log are printed, the newest last.
    #[arg(long, default_value_t = 20)]
    records: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let shows_progress = std::io::stderr().is_terminal();
    let mut shown = 0;
    let found = inspect::directory(&arguments.dir, |done, total| {
        let percent = done * 100 / total.max(1);
        if shows_progress && percent > shown {
            shown = percent;
            let filled = "#".repeat(usize::try_from(percent / 2).unwrap_or_default());
            eprint!("\r[{filled:<50}] {percent:3} %");
        }
    });
    if shown > 0 {
        eprint!("\r{:60}\r", "");
    }
    match found {
        Err(error) => {
            eprintln!("{}: {error}", arguments.dir.display());
            ExitCode::FAILURE
        }
        Ok(found) => {
            if arguments.json {
                println!("{:#}", as_json(&found));
            } else {
                print(&found, arguments.records);
            }
            if found.cold_reason().is_none() { ExitCode::SUCCESS } else { ExitCode::from(3) }
        }
    }
}

/// Seconds since a time of the wall clock.
fn age(unix_millis: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX).saturating_sub(unix_millis) / 1000
}

fn print(found: &Directory, records: usize) {
    match found.cold_reason() {
        None => println!("opens       warm"),
        Some(reason) => println!("opens       cold: {reason}"),
    }
    if let Ok(manifest) = &found.manifest {
        println!("incarnation {}", manifest.incarnation);
        println!("closed      {}", if manifest.closed { "yes" } else { "no" });
    }
    match &found.snapshot {
        None => println!("snapshot    none"),
        Some(Err(reason)) => println!("snapshot    {reason}"),
        Some(Ok(snapshot)) => print_snapshot(snapshot),
    }
    for segment in &found.segments {
        print_segment(segment, records);
    }
}

fn print_snapshot(snapshot: &SnapshotContents) {
    println!("snapshot    {}, {} s old", snapshot.file, age(snapshot.unix_millis));
    println!(
        "  entries   {} ({} stale) of {} paths",
        snapshot.entries, snapshot.stale, snapshot.paths
    );
    let tenths = snapshot.bytes * 10 / snapshot.entries.max(1);
    println!(
        "  bytes     {} in {} blocks, {}.{} an entry, values {:?}",
        snapshot.bytes,
        snapshot.blocks,
        tenths / 10,
        tenths % 10,
        snapshot.values
    );
    println!("  contains  records up to {}", snapshot.watermark);
    let mut tenants: Vec<_> = snapshot.tenants.iter().collect();
    tenants.sort_by_key(|(_, entries)| std::cmp::Reverse(**entries));
    for (tenant, entries) in tenants.into_iter().take(20) {
        println!("  tenant    {tenant}: {entries} entries");
    }
}

fn print_segment(segment: &SegmentContents, limit: usize) {
    let torn = if segment.is_torn { ", with a torn write behind them" } else { "" };
    match &segment.records {
        Err(reason) => println!("log         {reason}"),
        Ok(records) => {
            println!("log         {}, {} records{torn}", segment.file, records.len());
            for (number, record) in &records[records.len().saturating_sub(limit)..] {
                let by = record.by.as_deref().unwrap_or("-");
                let (age, severity, scope) =
                    (age(record.unix_millis), record.severity, &record.scope);
                println!("  {number:>8} {age} s ago, by {by}: {severity} {scope}");
            }
        }
    }
}

fn as_json(found: &Directory) -> Value {
    json!({
        "files": found.files,
        "opens": if found.cold_reason().is_none() { "warm" } else { "cold" },
        "cold_reason": found.cold_reason().map(ColdReason::to_string),
        "manifest": found.manifest.as_ref().ok().map(|manifest| json!({
            "incarnation": manifest.incarnation,
            "closed": manifest.closed,
            "snapshot": manifest.snapshot,
            "segments": manifest.segments,
        })),
        "snapshot": found.snapshot.as_ref().map(|snapshot| match snapshot {
            Err(reason) => json!({ "cold_reason": reason.to_string() }),
            Ok(snapshot) => json!({
                "file": snapshot.file,
                "bytes": snapshot.bytes,
                "unix_millis": snapshot.unix_millis,
                "watermark": snapshot.watermark,
                "values": snapshot.values,
                "blocks": snapshot.blocks,
                "paths": snapshot.paths,
                "entries": snapshot.entries,
                "stale": snapshot.stale,
                "tenants": snapshot.tenants,
            }),
        }),
        "segments": found.segments.iter().map(segment_json).collect::<Vec<_>>(),
    })
}

fn segment_json(segment: &SegmentContents) -> Value {
    match &segment.records {
        Err(reason) => json!({ "file": segment.file, "cold_reason": reason.to_string() }),
        Ok(records) => {
            let records = records.iter().map(|(number, record)| record_json(*number, record));
            json!({
                "file": segment.file,
                "torn": segment.is_torn,
                "records": records.collect::<Vec<_>>(),
            })
        }
    }
}

fn record_json(number: u64, record: &Record) -> Value {
    json!({
        "number": number,
        "unix_millis": record.unix_millis,
        "by": record.by,
        "severity": record.severity.to_string(),
        "scope": record.scope.to_string(),
    })
}
