//! Measures acknowledgements beside a bare `fdatasync`, and the opening of an index beside
//! inserting and restoring the same entries in memory.
//!
//! ```sh
//! cargo run --release -p cache-index-persist --example measure -- --dir DIR --entries 1000000
//! ```
//!
//! `DIR` decides what is measured: a directory in memory has no syncs to speak of.
#![allow(clippy::print_stdout)]

mod slow_disk;

use cache_index::{CacheIndex, Freshness, Hard, OriginPath, VariantKey};
use cache_index_persist::{DiskLayer, FileLayer, PersistConfig, Persistent, Recovery};
use clap::Parser;
use slow_disk::SlowDisk;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
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
    /// Each sync takes at least so many microseconds, as on a slower disk.
    #[arg(long, default_value_t = 0)]
    sync_micros: u64,
    /// Values are random numbers, as ids of objects may be, and not counted.
    #[arg(long)]
    random_values: bool,
    /// How often entries are inserted, restored and loaded, by turns.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only inserts the entries into an index, or restores them from memory.
    #[arg(long, hide = true)]
    only: Option<Way>,
    /// Only opens the directory, with this number of threads.
    #[arg(long, hide = true)]
    open: Option<usize>,
}

/// A way of entries into an index.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Way {
    Insert,
    Restore,
}

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    if let Some(threads) = arguments.open {
        return open(&arguments.dir, threads);
    }
    if let Some(way) = arguments.only {
        let names = Names::new(arguments.entries, arguments.random_values)?;
        let time = match way {
            Way::Insert => insert(&CacheIndex::default(), &names),
            Way::Restore => restore(&names),
        };
        println!("{}", time.as_micros());
        return Ok(());
    }
    let dir = tempfile::tempdir_in(&arguments.dir)?;
    acknowledgements(dir.path(), arguments.purges, Duration::from_micros(arguments.sync_micros))?;
    let entries = dir.path().join("entries");
    fill(&entries, &Names::new(arguments.entries, arguments.random_values)?)?;
    starts(&entries, &arguments)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Single purges and bare syncs by turns, and then many callers at once.
fn acknowledgements(dir: &Path, rounds: usize, sync: Duration) -> Outcome<()> {
    let file = SlowDisk { disk: DiskLayer::open(dir.join("bare"))?, sync }.create("file")?;
    file.write_at(&vec![0; 4 << 20], 0)?;
    file.sync_data()?;
    let layer = SlowDisk { disk: DiskLayer::open(dir.join("log"))?, sync };
    let cache = Persistent::<u64>::open_on(Arc::new(layer), PersistConfig::default())?;
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

/// Measures the time for which the calling thread had a processor, so that other programs do not
/// matter; where the system does not tell, the time that has passed.
struct Stopwatch {
    start: Instant,
    processor: Option<Duration>,
}

impl Stopwatch {
    fn start() -> Self {
        Self { start: Instant::now(), processor: Self::processor() }
    }

    fn processor() -> Option<Duration> {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
    }

    fn elapsed(&self) -> Duration {
        let processor =
            self.processor.zip(Self::processor()).map(|(start, now)| now.saturating_sub(start));
        processor.unwrap_or_else(|| self.start.elapsed())
    }
}

/// Prints the median of some times, and the median of their ratios to other times, each of the
/// same round.
fn print_beside(what: &str, times: &[Duration], others: &[Duration], beside: &str) {
    let percents = times.iter().zip(others);
    let percents = percents.map(|(time, other)| time.as_nanos() * 100 / other.as_nanos().max(1));
    let mut percents: Vec<_> = percents.collect();
    percents.sort_unstable();
    let percent = percents[percents.len() / 2];
    let ratio = format!("{}.{:02} of {beside}", percent / 100, percent % 100);
    println!("{what:<31} {:>12?}   {ratio}", median(times.to_vec()));
}

/// Inserts, restores and opens by turns, each in a process of its own: its memory is new.
fn starts(dir: &Path, arguments: &Arguments) -> Outcome<()> {
    let (size, dir) = (arguments.entries.to_string(), dir.to_str().ok_or("the path is not text")?);
    let in_memory = |way| {
        let values = arguments.random_values.then_some("--random-values");
        let [micros] = apart(["--only", way, "--entries", &size].into_iter().chain(values))?;
        Outcome::Ok(Duration::from_micros(micros))
    };
    let (mut inserted, mut restored) = (Vec::new(), Vec::new());
    let mut opened = [1, 2].map(|threads| (threads, Vec::new(), Vec::new()));
    for _ in 0..arguments.rounds.max(1) {
        inserted.push(in_memory("insert")?);
        restored.push(in_memory("restore")?);
        for (threads, times, above) in &mut opened {
            let [micros, peak, index] = apart(["--open", &threads.to_string(), "--dir", dir])?;
            times.push(Duration::from_micros(micros));
            above.push(peak.saturating_sub(index));
        }
    }
    println!("inserting one by one            {:>12?}", median(inserted.clone()));
    print_beside("restoring path by path", &restored, &inserted, "inserting one by one");
    for (threads, times, above) in &opened {
        let clock = if *threads == 1 { "" } else { ", by the clock" };
        let what = format!("opening, {threads} threads");
        print_beside(&what, times, &restored, &format!("restoring from memory{clock}"));
        let most = above.iter().max().expect("a round");
        println!("  peak of the memory            {most:>9} KiB above the index");
    }
    Ok(())
}

/// Runs this program with other arguments, and returns the numbers that it prints.
fn apart<'a, const N: usize>(arguments: impl IntoIterator<Item = &'a str>) -> Outcome<[u64; N]> {
    let output = std::process::Command::new(std::env::current_exe()?).args(arguments).output()?;
    let text = String::from_utf8(output.stdout)?;
    let numbers: Vec<u64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    numbers.try_into().map_err(|_| "the process of its own has failed".into())
}

/// The names of pictures with six renditions each, together about as many as asked for.
struct Names {
    paths: Vec<OriginPath<'static>>,
    keys: [VariantKey<'static>; 6],
    is_random: bool,
}

impl Names {
    fn new(entries: u64, is_random: bool) -> Outcome<Self> {
        let keys = ["?", "?w=200", "?w=400", "?h=100&w=200", "?h=400&w=600", "?w=800"];
        let keys = keys.map(|key| VariantKey::from_canonical(key).expect("the key is canonical"));
        let paths = (0..entries.div_ceil(keys.len() as u64))
            .map(|at| format!("sample.li/shop/pictures/{at}.jpg").parse())
            .collect::<Result<_, _>>()?;
        Ok(Self { paths, keys, is_random })
    }

    /// The value of a rendition.
    fn value(&self, path: usize, key: usize) -> u64 {
        let number = (path * self.keys.len() + key) as u64;
        if self.is_random { fastrand::Rng::with_seed(number).u64(..) } else { number }
    }
}

/// Inserts entries one by one, and returns the time.
fn insert(index: &CacheIndex<u64>, names: &Names) -> Duration {
    let tenant = index.tenant("doc");
    let start = Stopwatch::start();
    for (at, path) in names.paths.iter().enumerate() {
        for (k, key) in names.keys.iter().enumerate() {
            let _ = index.insert(&tenant, path, key, names.value(at, k));
        }
    }
    start.elapsed()
}

/// Fills an index, and saves it.
fn fill(dir: &Path, names: &Names) -> Outcome<()> {
    let config = PersistConfig::builder().snapshot_every(None).build()?;
    let cache = Persistent::<u64>::open(dir, config)?;
    let tenant = cache.tenant("doc");
    for (at, path) in names.paths.iter().enumerate() {
        for (k, key) in names.keys.iter().enumerate() {
            let _ = cache.insert(&tenant, path, key, names.value(at, k));
        }
    }
    export_steps(&cache);
    let start = Stopwatch::start();
    let written = cache.snapshot()?;
    println!("writing a snapshot              {:>12?}", start.elapsed());
    let tenths = written.bytes * 10 / written.entries.max(1);
    println!("bytes an entry                  {:>10}.{}", tenths / 10, tenths % 10);
    Ok(())
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

/// Restores the same entries from memory, and returns the time.
fn restore(names: &Names) -> Duration {
    let index = CacheIndex::<u64>::default();
    let tenant = index.tenant("doc");
    let restore = index.begin_restore();
    let start = Stopwatch::start();
    restore.reserve(names.paths.len());
    for (chunk, paths) in names.paths.chunks(8).enumerate() {
        restore.prefetch(&tenant, paths);
        for (at, path) in (8 * chunk..).zip(paths) {
            let keys = names.keys.iter().enumerate();
            let entries =
                keys.map(|(k, key)| (key.borrowed(), names.value(at, k), Freshness::Live));
            let _ = restore.path(&tenant, path, entries);
        }
    }
    start.elapsed()
}

/// Opens a directory, and prints the time in microseconds, the peak of the memory in KiB, and the
/// size of the index in KiB.
fn open(dir: &Path, threads: usize) -> Outcome<()> {
    let config = PersistConfig::builder().snapshot_every(None).load_threads(threads).build()?;
    let (start, passed) = (Stopwatch::start(), Instant::now());
    let cache = Persistent::<u64>::open(dir, config)?;
    // Other threads do a part of the work.
    let time = if threads == 1 { start.elapsed() } else { passed.elapsed() };
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0)
    };
    if !matches!(cache.recovery(), Recovery::Warm { .. }) {
        return Err(format!("{:?}", cache.recovery()).into());
    }
    let index = cache.stats().bytes / 1024;
    println!("{} {} {index}", time.as_micros(), field("VmHWM"));
    Ok(())
}
