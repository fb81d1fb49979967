//! The checker of versions: clients that note answers which are too old.
//!
//! ```sh
//! cargo run --release -p pingora_storage --example checker
//! ```
//!
//! Clients ask for pictures while purgers change them at the origin and then purge them. An answer
//! is too old if it is older than the last purge of its path that had returned before the request
//! was sent. `MemCache` is the control: if it has no answer that is too old, the checker finds
//! nothing and fails.
#![expect(clippy::print_stdout, reason = "prints its result")]

#[path = "../rig/mod.rs"]
mod rig;

use clap::Parser;
use http::{Method, StatusCode};
use rig::client::{Answer, Connection, read};
use rig::{HOST, Rig};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

#[derive(Parser)]
struct Args {
    /// How long each storage is checked, in seconds.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// How many clients ask at a time.
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// How many purge at a time.
    #[arg(long, default_value_t = 2)]
    purgers: usize,
    /// How many pictures there are, each in two sizes.
    #[arg(long, default_value_t = 10)]
    pictures: usize,
}

/// The sizes that each picture has.
const SIZES: [&str; 2] = ["?w=300", "?w=600"];

struct Check {
    rig: Rig,
    /// The purges of the storage on the index: by picture, folder, tenant, and of everything.
    scopes: bool,
    over: AtomicBool,
    pictures: Vec<Picture>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    answers: AtomicU64,
    hits: AtomicU64,
    too_old: AtomicU64,
    /// Answers that were cut off, or that never began.
    broken: AtomicU64,
    purges: AtomicU64,
}

#[derive(Default)]
struct Picture {
    at_origin: AtomicU64,
    /// The oldest version that may be served. Raised after the reply to the purge was read.
    floor: AtomicU64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    // A purge of `MemCache` makes the fill panic whose answer is under way. It counts as broken.
    std::panic::set_hook(Box::new(|info| {
        if !info.location().is_some_and(|at| at.file().contains("pingora-cache")) {
            println!("{info}");
        }
    }));
    println!(
        "{:<12}{:>10}{:>8}{:>10}{:>9}{:>9}",
        "", "answers", "hits", "purges", "broken", "too old"
    );
    let mut too_old = [0, 0];
    for (at, name) in ["MemCache", "cache-index"].into_iter().enumerate() {
        let rig = if at == 0 { Rig::mem_cache().await } else { Rig::indexed(64 << 20).await };
        let check = check(rig, at == 1, &args).await;
        let get = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        too_old[at] = get(&check.counts.too_old);
        println!(
            "{name:<12}{:>10}{:>7}%{:>10}{:>9}{:>9}",
            get(&check.counts.answers),
            100 * get(&check.counts.hits) / get(&check.counts.answers).max(1),
            get(&check.counts.purges),
            get(&check.counts.broken),
            too_old[at]
        );
    }
    match too_old {
        [0, _] => println!("the control has no answer that is too old: the check is worth nothing"),
        [_, 0] => return ExitCode::SUCCESS,
        [_, _] => println!("cache-index served pictures that were purged"),
    }
    ExitCode::FAILURE
}

async fn check(rig: Rig, scopes: bool, args: &Args) -> Arc<Check> {
    let pictures = (0..args.pictures).map(|_| Picture::default()).collect();
    let check = Arc::new(Check {
        rig,
        scopes,
        pictures,
        over: AtomicBool::new(false),
        counts: Counts::default(),
    });
    for number in 0..args.pictures {
        check.change(number);
    }
    check.rig.origin.set_latency(Duration::from_millis(10));
    let clients = (0..args.clients).map(|seed| tokio::spawn(ask(Arc::clone(&check), seed as u64)));
    let purging =
        (0..args.purgers).map(|seed| tokio::spawn(purge(Arc::clone(&check), seed as u64)));
    let tasks: Vec<_> = clients.chain(purging).collect();
    tokio::time::sleep(Duration::from_secs_f64(args.seconds)).await;
    check.over.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
    check
}

fn path(number: usize) -> String {
    format!("/{}/{number}.jpg", number % 5)
}

impl Check {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Changes a picture at the origin.
    fn change(&self, number: usize) -> u64 {
        // Two purgers may change the same picture: the later version must win.
        let picture = &self.pictures[number];
        let version = picture.at_origin.fetch_add(1, Ordering::SeqCst) + 1;
        self.rig.origin.set_newer(&path(number), version);
        version
    }

    fn check(&self, answer: &Answer, floor: u64) {
        let Ok(text) = answer.text() else {
            self.counts.broken.fetch_add(1, Ordering::SeqCst);
            return;
        };
        assert_eq!(answer.status, StatusCode::OK, "{text}");
        let version: u64 = text.trim().parse().expect("a version");
        self.counts.answers.fetch_add(1, Ordering::SeqCst);
        if answer.cache_status() == "pingora; hit" {
            self.counts.hits.fetch_add(1, Ordering::SeqCst);
        }
        if version < floor {
            self.counts.too_old.fetch_add(1, Ordering::SeqCst);
        }
    }
}

async fn ask(check: Arc<Check>, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut connection = Connection::open(check.rig.proxy).await;
    while !check.is_over() {
        let number = random.usize(..check.pictures.len());
        let target = path(number) + SIZES[random.usize(..SIZES.len())];
        let floor = check.pictures[number].floor.load(Ordering::SeqCst);
        let Ok(answer) = connection.begin(Method::GET, HOST, &target, &[]).await else {
            check.counts.broken.fetch_add(1, Ordering::SeqCst);
            connection = Connection::open(check.rig.proxy).await;
            continue;
        };
        let answer = read(answer).await;
        check.check(&answer, floor);
        if answer.body.is_err() {
            connection = Connection::open(check.rig.proxy).await;
        }
    }
}

async fn purge(check: Arc<Check>, seed: u64) {
    let mut random = fastrand::Rng::with_seed(1000 + seed);
    while !check.is_over() {
        let number = random.usize(..check.pictures.len());
        let scope = if check.scopes { random.u32(..100) } else { 99 };
        // All pictures that the scope covers.
        let covered: Vec<usize> = (0..check.pictures.len())
            .filter(|other| match scope {
                0 | 1 => true,
                2..=5 => other % 5 == number % 5,
                _ => *other == number,
            })
            .collect();
        let versions: Vec<_> = covered.iter().map(|number| check.change(*number)).collect();
        match scope {
            _ if !check.scopes => {
                for size in SIZES {
                    let _ = check.rig.purge_method(&(path(number) + size)).await;
                }
            }
            0 => drop(check.rig.invalidate("/flush").await),
            1 => drop(check.rig.invalidate("/flush/shop.example").await),
            2..=5 => {
                let folder = format!("/purge/shop.example/{}/*", number % 5);
                check.rig.invalidate(&folder).await;
            }
            _ => drop(check.rig.invalidate(&format!("/purge/shop.example{}", path(number))).await),
        }
        for (number, version) in covered.into_iter().zip(versions) {
            check.pictures[number].floor.fetch_max(version, Ordering::SeqCst);
        }
        check.counts.purges.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(random.u64(..10))).await;
    }
}
