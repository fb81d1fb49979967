//! Hits a second: the storage on the index beside Pingora's `MemCache`, in one run.
//!
//! ```sh
//! cargo run --release -p pingora_storage --example hits
//! ```
//!
//! `proxy` is the whole way through Pingora, with the clients in the same process. `storage` is the
//! storage alone: the key is made, the object found, its body read. Hits are counted by the clock
//! and by the processor time of the process. The two storages take turns, and every other round
//! begins with the other one, so that a busy machine slows both down.
#![expect(clippy::print_stdout, reason = "prints its result")]

#[path = "../rig/mod.rs"]
mod rig;

use cache_index::{OriginPath, VariantKey};
use clap::Parser;
use cpu_time::ProcessTime;
use http::Method;
use pingora_cache::trace::Span;
use pingora_cache::{CacheKey, Storage};
use pingora_storage::storage::{Names, cache_key};
use rig::client::{Connection, read};
use rig::{HOST, Rig};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[derive(Clone, Parser)]
struct Args {
    /// How many pictures are asked for.
    #[arg(long, default_value_t = 1000)]
    pictures: usize,
    /// The length of a body, in bytes.
    #[arg(long, default_value_t = 16_384)]
    body: usize,
    /// How many clients ask at a time.
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// How often each storage is measured.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// The length of one measurement, in milliseconds.
    #[arg(long, default_value_t = 1000)]
    millis: u64,
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    let rigs = [warm(Rig::mem_cache().await, &args).await, warm(indexed(&args).await, &args).await];
    println!(
        "{} pictures of {} bytes, {} clients, median of {} rounds of {} ms",
        args.pictures, args.body, args.clients, args.rounds, args.millis
    );
    println!("\n{:<26}{:>12}{:>14}{:>8}", "hits", "MemCache", "cache-index", "ratio");
    // By rig: through the proxy, then the storage alone.
    let mut rates: [[Vec<Rate>; 2]; 2] = Default::default();
    for round in 0..args.rounds {
        for at in [round % 2, 1 - round % 2] {
            rates[at][0].push(through_the_proxy(&rigs[at], &args).await);
            rates[at][1].push(storage_alone(&rigs[at], &args).await);
        }
    }
    for (row, name) in ["proxy", "storage"].into_iter().enumerate() {
        for (unit, of) in [
            ("a second", (|rate| rate.by_clock) as fn(&Rate) -> f64),
            ("a processor second", |rate| rate.by_processor),
        ] {
            let median = |rig: usize| median(rates[rig][row].iter().map(of).collect());
            let (mem, index) = (median(0), median(1));
            let name = format!("{name}, {unit}");
            println!("{name:<26}{mem:>12.0}{index:>14.0}{:>8.2}", index / mem);
        }
    }
}

/// Hits a second.
struct Rate {
    by_clock: f64,
    by_processor: f64,
}

/// Clocks that were started together.
struct Clocks(Instant, ProcessTime);

impl Clocks {
    fn start() -> Self {
        Self(Instant::now(), ProcessTime::now())
    }

    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 hits")]
    fn rate(&self, hits: u64) -> Rate {
        let (clock, processor) = (self.0.elapsed(), self.1.elapsed());
        let rate = |time: Duration| hits as f64 / time.as_secs_f64();
        Rate { by_clock: rate(clock), by_processor: rate(processor) }
    }
}

async fn indexed(args: &Args) -> Rig {
    Rig::indexed(2 * args.pictures * (args.body + 1000)).await
}

fn path(number: usize) -> String {
    format!("/{}/{number}.jpg", number % 10)
}

async fn warm(rig: Rig, args: &Args) -> Arc<Rig> {
    for number in 0..args.pictures {
        rig.origin.set(&path(number), vec![7; args.body], &[]);
        let answer = rig.get(&format!("{}?w=300", path(number))).await;
        assert_eq!(answer.body.unwrap().len(), args.body);
    }
    Arc::new(rig)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn through_the_proxy(rig: &Arc<Rig>, args: &Args) -> Rate {
    let (over, hits) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clocks = Clocks::start();
    let clients: Vec<_> = (0..args.clients)
        .map(|seed| {
            let (rig, over, hits) = (Arc::clone(rig), Arc::clone(&over), Arc::clone(&hits));
            let pictures = args.pictures;
            tokio::spawn(async move {
                let mut random = fastrand::Rng::with_seed(seed as u64);
                let mut connection = Connection::open(rig.proxy).await;
                while !over.load(Ordering::Relaxed) {
                    let target = format!("{}?w=300", path(random.usize(..pictures)));
                    let answer = connection.begin(Method::GET, HOST, &target, &[]).await;
                    let answer = read(answer.unwrap()).await;
                    assert_eq!(answer.cache_status(), "pingora; hit", "{target}");
                    hits.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(args.millis)).await;
    over.store(true, Ordering::Relaxed);
    let rate = clocks.rate(hits.load(Ordering::Relaxed));
    for client in clients {
        client.await.unwrap();
    }
    rate
}

async fn storage_alone(rig: &Rig, args: &Args) -> Rate {
    let sites = rig.sites.of(HOST).unwrap();
    let names: Vec<_> = (0..args.pictures)
        .map(|number| Names {
            tenant: sites.tenant().clone(),
            path: OriginPath::opaque(path(number)[1..].to_owned()).unwrap(),
            variant: VariantKey::opaque("?w=300").unwrap(),
        })
        .collect();
    let (trace, mut random) = (Span::inactive().handle(), fastrand::Rng::with_seed(7));
    let storage: &'static (dyn Storage + Sync) = rig.storage;
    let (clocks, mut hits) = (Clocks::start(), 0_u64);
    while clocks.0.elapsed() < Duration::from_millis(args.millis) {
        for _ in 0..100 {
            let key: CacheKey = cache_key(names[random.usize(..names.len())].clone());
            let (meta, mut hit) = storage.lookup(&key, &trace).await.unwrap().expect("a hit");
            while let Some(chunk) = hit.read_body().await.unwrap() {
                black_box(chunk);
            }
            black_box(meta);
            hits += 1;
        }
    }
    clocks.rate(hits)
}
