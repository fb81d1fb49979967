//! The process that is killed: some threads fill and purge, each a tenant of its own, and one
//! writes snapshots.
//!
//! It prints each fill before it is made, and each purge after it was acknowledged.

use crate::layer::BufferedLayer;
use crate::{Arguments, Plant};
use cache_index::{Config, Hard, OriginPath, PathPrefix, VariantKey};
use cache_index_persist::{DiskLayer, FileLayer, PersistConfig, Persistent};
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

pub(crate) const THREADS: usize = 3;
pub(crate) const PATHS: usize = 8;
pub(crate) const KEYS: [&str; 2] = ["?", "?w=200"];

pub(crate) fn config() -> Result<PersistConfig, Box<dyn Error>> {
    let index = Config::builder().shards(4).build()?;
    let builder = PersistConfig::builder().index(index).snapshot_every(None);
    Ok(builder.segment_bytes(PersistConfig::MIN_SEGMENT_BYTES).build()?)
}

pub(crate) fn path(number: usize) -> OriginPath<'static> {
    let folder = if number % 2 == 0 { "even" } else { "odd" };
    format!("{folder}/{number}.jpg").parse().expect("the path is canonical")
}

pub(crate) fn tenant(thread: usize) -> String {
    format!("tenant-{thread}")
}

/// Prints a line in one write, so that a kill leaves all of it or nothing.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody listens any more: the process is about to be killed.
    let _ = out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush());
}

pub(crate) fn run(dir: &Path, arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let layer: Arc<dyn FileLayer> = if arguments.buffered {
        Arc::new(BufferedLayer::open(dir, arguments.plant)?)
    } else {
        Arc::new(DiskLayer::open(dir)?)
    };
    // Half of the processes fill and purge while the snapshot is loaded.
    let cache = if arguments.seed % 2 == 0 {
        Persistent::<u64>::open_on(layer, config()?)?
    } else {
        Persistent::<u64>::open_serving_on(layer, config()?)?
    };
    say(&format!("opened {}", cache.incarnation()));
    let is_early = arguments.plant == Some(Plant::EarlyAck);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (cache, seed) = (&cache, arguments.seed.wrapping_add(thread as u64));
            scope.spawn(move || fill_and_purge(cache, thread, seed, is_early));
        }
        for _ in 0..40 {
            let _ = cache.snapshot();
            // Spreads the snapshots over the work of the other threads. Nothing waits for it.
            std::thread::sleep(std::time::Duration::from_millis(3));
        }
    });
    Ok(())
}

fn fill_and_purge(cache: &Persistent<u64>, thread: usize, seed: u64, is_early: bool) {
    let mut random = fastrand::Rng::with_seed(seed);
    let tenant = cache.tenant(&tenant(thread));
    let keys = KEYS.map(|key| VariantKey::from_canonical(key).expect("the key is canonical"));
    for step in 0..400_u64 {
        let (number, key) = (random.usize(0..PATHS), random.usize(0..KEYS.len()));
        if random.u8(0..10) < 7 {
            // The incarnation makes it unlike every value of an earlier process.
            let value = cache.incarnation() << 24 | (thread as u64) << 16 | step;
            let lease = cache.lease(&tenant, &path(number));
            say(&format!("fill {thread} {number} {key} {value}"));
            let _ = lease.commit(&keys[key], value);
            continue;
        }
        let (scope, report) = match random.u8(0..10) {
            0 => (0, format!("purged {thread} tenant 0")),
            1 | 2 => (1, format!("purged {thread} folder {}", number % 2)),
            _ => (2, format!("purged {thread} path {number}")),
        };
        if is_early {
            say(&report);
        }
        let is_durable = match scope {
            0 => cache.flush_tenant(&tenant, Hard).is_durable(),
            1 => {
                let folder = ["even/", "odd/"][number % 2];
                let prefix = PathPrefix::from_canonical(folder).expect("the folder is canonical");
                cache.purge_prefix(&tenant, &prefix, Hard).is_durable()
            }
            _ => cache.purge(&tenant, &path(number), Hard).is_durable(),
        };
        if is_durable && !is_early {
            say(&report);
        }
    }
}
