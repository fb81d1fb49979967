//! The load of the origin after a flush of a running edge: at once, and over time.

use crate::chart::{COLORS, Line, draw};
use crate::edge::{Edge, Http};
use crate::origin;
use crate::versions::Versions;
use crate::{Args, say};
use hyper::StatusCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// The seconds before the flush, and behind its end.
const AROUND: u64 = 10;
/// Requests begin in so many steps of a second.
const STEPS: u32 = 100;

/// Flushes in three ways, each at an edge of its own, and prints the load of the origin.
pub(crate) async fn run(args: &Args, over: u64) -> Result<(), String> {
    let ways = [
        ("at once", String::new()),
        ("over time, stale until then", format!("?over={over}")),
        ("over time, live until then", format!("?over={over}&serving=live")),
    ];
    say(&format!(
        "{} pictures, {} requests a second, flushed after {AROUND} s, over {over} s\n",
        args.pictures, args.requests
    ));
    say("| flush | fetches in the worst second | misses in the worst second | fetches |");
    say("|---|---:|---:|---:|");
    let mut lines = Vec::new();
    for ((name, query), color) in ways.into_iter().zip(COLORS) {
        let (fetches, misses) = flushed(args, &query, over).await?;
        let (worst, waits) = (fetches.iter().max(), misses.iter().max());
        let (worst, waits) = (worst.copied().unwrap_or(0), waits.copied().unwrap_or(0));
        say(&format!("| {name} | {worst} | {waits} | {} |", fetches.iter().sum::<u32>()));
        lines.push(Line { name, color, fetches });
    }
    if let Some(file) = &args.chart {
        draw(&lines, file).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

/// Fills an edge, flushes it, and returns the fetches and the misses in each second.
async fn flushed(args: &Args, query: &str, over: u64) -> Result<(Vec<u32>, Vec<u32>), String> {
    let versions = Arc::new(Versions::new(args.pictures));
    let source = origin::serve(Arc::clone(&versions), 0).await?;
    let edge = Edge::start(args.edge.as_deref(), source).await?;
    for number in 0..args.pictures {
        let _ = edge.http.get(&origin::path(number)).await?;
    }
    let misses = Arc::new(AtomicU32::new(0));
    let (mut fetched, mut missed) = (Vec::new(), Vec::new());
    let _ = versions.take_fetches();
    let (mut requests, mut next) = (JoinSet::new(), Instant::now());
    for second in 0..AROUND + over + AROUND {
        if second == AROUND {
            let answer = edge.http.invalidate_as(query, r#"{"scope":"all"}"#.to_owned()).await?;
            if answer.status != StatusCode::CREATED {
                return Err(format!("a flush was answered by {}", answer.status));
            }
        }
        for step in 0..STEPS {
            let due = args.requests * (step + 1) / STEPS - args.requests * step / STEPS;
            for _ in 0..due {
                let (http, misses) = (edge.http.clone(), Arc::clone(&misses));
                let target = origin::path(favorite(args.pictures));
                requests.spawn(async move { ask(&http, &target, &misses).await });
            }
            next += Duration::from_secs(1) / STEPS;
            sleep_until(next).await;
            while let Some(ended) = requests.try_join_next() {
                ended.map_err(|error| error.to_string())??;
            }
        }
        fetched.push(versions.take_fetches());
        missed.push(misses.swap(0, Ordering::Relaxed));
    }
    Ok((fetched, missed))
}

async fn ask(http: &Http, target: &str, misses: &AtomicU32) -> Result<(), String> {
    let answer = http.get(target).await?;
    if answer.status != StatusCode::OK {
        return Err(format!("{target} was answered by {}", answer.status));
    }
    let is_miss = answer.headers.get("x-cache").is_some_and(|cache| cache == "MISS");
    misses.fetch_add(u32::from(is_miss), Ordering::Relaxed);
    Ok(())
}

/// Some pictures are requested far more often than others.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "below the number of pictures"
)]
fn favorite(pictures: usize) -> usize {
    (fastrand::f64().powi(3) * pictures as f64) as usize
}
