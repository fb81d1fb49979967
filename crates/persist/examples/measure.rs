//! Measures acknowledgements beside a bare `fdatasync`, and the opening of an index beside
//! inserting and restoring the same entries in memory.
//!
//! ```sh
//! cargo run --release -p cache-index-persist --example measure -- --dir DIR --entries 1000000
//! ```
//!
//! `DIR` decides what is measured: a directory in memory has no syncs to speak of.
#![allow(clippy::print_stdout)]

use cache_index::{CacheIndex, Freshness, Hard, OriginPath, PathPrefix, VariantKey};
use cache_index_persist::{DiskLayer, FileLayer, PersistConfig, Persistent, Recovery};
use clap::Parser;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Measures acknowledgements beside a bare `fdatasync`, and snapshots beside insertions.
#[derive(Parser)]
struct Arguments {
    /// A directory on the disk to be measured. A new one is made in it.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// How many entries the index has.
    #[arg(long, default_value_t = 1_000_000)]
    entries: u64,
    /// How many purges are acknowledged one by one.
    #[arg(long, default_value_t = 500)]
    purges: usize,
    /// Only opens the directory, with this number of threads.
    #[arg(long, hide = true)]
    open: Option<usize>,
}

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    if let Some(threads) = arguments.open {
        return open(&arguments.dir, threads);
    }
    let dir = tempfile::tempdir_in(&arguments.dir)?;
    acknowledgements(dir.path(), arguments.purges)?;
    snapshots(&dir.path().join("entries"), arguments.entries)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Single purges and bare syncs by turns, and then many callers at once.
fn acknowledgements(dir: &Path, rounds: usize) -> Outcome<()> {
    let layer = DiskLayer::open(dir.join("bare"))?;
    let file = layer.create("file")?;
    file.write_at(&vec![0; 4 << 20], 0)?;
    file.sync_data()?;
    let cache = Persistent::<u64>::open(dir.join("log"), PersistConfig::default())?;
    let tenant = cache.tenant("doc");
    let path = OriginPath::from_canonical("sample.li/folder/birds.jpg")?;
    let (mut bare, mut acknowledged) = (Vec::new(), Vec::new());
    for at in 0..rounds as u64 {
        let start = Instant::now();
        file.write_at(&[1; 96], at * 96)?;
        file.sync_data()?;
        bare.push(start.elapsed());
        let start = Instant::now();
        let purged = cache.purge(&tenant, &path, Hard);
        acknowledged.push(start.elapsed());
        assert!(purged.is_durable());
    }
    let single = median(acknowledged);
    println!("bare fdatasync, median          {:>12?}", median(bare));
    println!("acknowledged purge, median      {single:>12?}");
    let before = cache.persist_stats();
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert!(cache.purge(&tenant, &path, Hard).is_durable());
                }
            });
        }
    });
    let together = start.elapsed() / (64 * 20);
    let syncs = cache.persist_stats().log_syncs - before.log_syncs;
    println!(
        "64 callers, time for each purge {together:>12?}   {syncs} syncs for {} purges",
        64 * 20
    );
    let ratio = single.as_nanos() * 10 / together.as_nanos().max(1);
    println!("64 callers, rate beside one     {:>10}.{}", ratio / 10, ratio % 10);
    Ok(())
}

/// One time beside another.
fn beside(time: Duration, other: Duration) -> String {
    let percent = time.as_nanos() * 100 / other.as_nanos().max(1);
    format!("{}.{:02}", percent / 100, percent % 100)
}

fn snapshots(dir: &Path, entries: u64) -> Outcome<()> {
    let inserted = fill(dir, entries)?;
    let (restored, count) = restore(dir)?;
    println!(
        "restoring from memory           {restored:>12?}   {} of inserting one by one",
        beside(restored, inserted)
    );
    // In processes of their own, whose memory is that of the opening alone.
    for threads in [1, 2] {
        let program = std::env::current_exe()?;
        let output = std::process::Command::new(program)
            .args(["--open", &threads.to_string(), "--dir"])
            .arg(dir)
            .output()?;
        let words: Vec<u64> = String::from_utf8(output.stdout)?
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        let [micros, found, peak, resident] = words[..] else {
            return Err("the process that opens has failed".into());
        };
        assert_eq!(found, count);
        let time = Duration::from_micros(micros);
        println!(
            "opening, {threads} threads              {time:>12?}   {} of restoring from memory",
            beside(time, restored)
        );
        println!(
            "  memory: peak above the index  {:>9} KiB   of {resident} KiB",
            peak.saturating_sub(resident)
        );
    }
    Ok(())
}

/// Fills an index one by one, and saves it. Returns the time of the insertions.
fn fill(dir: &Path, entries: u64) -> Outcome<Duration> {
    let keys = ["?", "?w=200", "?w=400", "?h=100&w=200", "?h=400&w=600", "?w=800"];
    let keys = keys.map(|key| VariantKey::from_canonical(key).expect("the key is canonical"));
    let config = PersistConfig::builder().snapshot_every(None).build()?;
    let cache = Persistent::<u64>::open(dir, config)?;
    let tenant = cache.tenant("doc");
    let paths: Vec<OriginPath<'static>> = (0..entries.div_ceil(keys.len() as u64))
        .map(|at| format!("sample.li/shop/pictures/{at}.jpg").parse())
        .collect::<Result<_, _>>()?;
    let start = Instant::now();
    for (at, path) in paths.iter().enumerate() {
        for (k, key) in keys.iter().enumerate() {
            let _ = cache.insert(&tenant, path, key, (at * keys.len() + k) as u64);
        }
    }
    let inserted = start.elapsed();
    println!("inserting one by one            {inserted:>12?}");
    export_steps(&cache);
    let start = Instant::now();
    let written = cache.snapshot()?;
    println!("writing a snapshot              {:>12?}", start.elapsed());
    let tenths = written.bytes * 10 / written.entries.max(1);
    println!("bytes an entry                  {:>10}.{}", tenths / 10, tenths % 10);
    Ok(inserted)
}

/// Prints for how long a step of an export holds the lock of a shard, and a little more.
fn export_steps(cache: &Persistent<u64>) {
    let (mut steps, mut last) = (Vec::new(), Instant::now());
    // `values` exports with the steps of a snapshot; a pause between two values is a step.
    for _ in cache.values() {
        let now = Instant::now();
        steps.push(now - last);
        last = now;
    }
    steps.sort_unstable_by(|a, b| b.cmp(a));
    steps.truncate(steps.len() / 400);
    let longest = steps.first().copied().unwrap_or_default();
    println!("export, a step                  {:>12?}   longest {longest:?}", median(steps));
}

/// Restores copies that are in memory. Returns the time, and the number of entries.
fn restore(dir: &Path) -> Outcome<(Duration, u64)> {
    let index = CacheIndex::<u64>::default();
    let copies: Vec<_> = {
        let config = PersistConfig::builder().snapshot_every(None).build()?;
        let cache = Persistent::<u64>::open(dir, config)?;
        let tenant = cache.tenant("doc");
        let all = PathPrefix::from_canonical("")?;
        let paths = cache.paths(&tenant, &all).into_iter().map(|path| {
            let entries: Vec<_> = cache
                .variants(&tenant, &path)
                .into_iter()
                .filter_map(|key| {
                    let value = cache.lookup(&tenant, &path, &key).servable()?;
                    Some((key, value, Freshness::Live))
                })
                .collect();
            (path, entries)
        });
        paths.collect()
    };
    let tenant = index.tenant("doc");
    let restore = index.begin_restore();
    let mut count = 0;
    let start = Instant::now();
    for (path, entries) in copies {
        count += restore.path(&tenant, &path, entries).stored as u64;
    }
    Ok((start.elapsed(), count))
}

/// Opens a directory, and prints the time in microseconds, the entries, and the peak and the end of
/// the memory in KiB.
fn open(dir: &Path, threads: usize) -> Outcome<()> {
    let config = PersistConfig::builder().snapshot_every(None).load_threads(threads).build()?;
    let start = Instant::now();
    let cache = Persistent::<u64>::open(dir, config)?;
    let time = start.elapsed();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0)
    };
    let Recovery::Warm { entries, .. } = cache.recovery() else {
        return Err(format!("{:?}", cache.recovery()).into());
    };
    println!("{} {entries} {} {}", time.as_micros(), field("VmHWM"), field("VmRSS"));
    Ok(())
}
