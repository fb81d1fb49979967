//! The figures of a fleet that is well, and of one whose server goes away.

use crate::node::FRESH_FOR;
use crate::server::Cluster;
use crate::world::World;
use cache_index_fleet::Moment;
use std::error::Error;
use std::time::Duration;

fn millis(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64() * 1e3
}

fn percentile(sorted: &[u64], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(0.0, |&nanos| millis(nanos))
}

fn print(what: &str, mut nanos: Vec<u64>) {
    nanos.sort_unstable();
    let (p50, p99) = (percentile(&nanos, 50), percentile(&nanos, 99));
    println!("{what:<44} p50 {p50:8.1} ms  p99 {p99:8.1} ms  ({} purges)", nanos.len());
}

pub(crate) async fn all(world: &mut World, purges: usize) -> Result<(), Box<dyn Error>> {
    for level in ["durable", "everywhere"] {
        single(world, purges, level).await?;
    }
    burst(world).await?;
    catch_up(world).await?;
    idle(world).await?;
    if world.cluster.is_some() {
        frozen_server(world).await?;
        lost_server(world).await?;
    }
    Ok(())
}

/// Nobody purges: only ticks are appended.
async fn idle(world: &mut World) -> Result<(), Box<dyn Error>> {
    const QUARTERS: u32 = 40;
    world.all_fresh().await?;
    let position = async |world: &World| -> Result<u32, Box<dyn Error>> {
        Ok(world.nodes[0].ask("position").await?.parse()?)
    };
    let (before, began) = (position(world).await?, Moment::now());
    tokio::time::sleep(FRESH_FOR / 4 * QUARTERS).await;
    let ticks = position(world).await? - before;
    let quarters = Moment::now().since(began).as_secs_f64() / (FRESH_FOR / 4).as_secs_f64();
    let rate = f64::from(ticks) / quarters;
    println!("{:<44} {rate:8.2} ticks per T/4 of the whole fleet", "nobody purges");
    Ok(())
}

/// Waits until each node has noticed that the servers are gone, and prints when the last one had.
async fn noticed(world: &World, what: &str, began: Moment) -> Result<(), Box<dyn Error>> {
    let mut last = began;
    for node in &world.nodes {
        last = last.max(Moment::from_nanos(node.ask("lost").await?.parse()?));
    }
    let took = last.since(began).as_secs_f64();
    println!("{:<44} {took:8.2} s", format!("{what}: noticed by all nodes after"));
    Ok(())
}

/// The server stops to answer, with open connections.
async fn frozen_server(world: &mut World) -> Result<(), Box<dyn Error>> {
    let began = Moment::now();
    world.cluster.as_ref().map_or(Ok(()), Cluster::freeze)?;
    let done = noticed(world, "server frozen", began).await;
    world.cluster.as_ref().map_or(Ok(()), Cluster::thaw)?;
    done?;
    world.all_fresh().await
}

/// Single purges, one after the other.
async fn single(world: &mut World, purges: usize, level: &str) -> Result<(), Box<dyn Error>> {
    let (mut reached, mut last) = (Vec::new(), Vec::new());
    for number in 0..purges {
        let path = format!("{level}-{number}");
        std::fs::write(world.origin().join(&path), "1")?;
        for node in &world.nodes {
            node.ask(&format!("fill {path}")).await?;
        }
        let (watch, purge) = (format!("watch {path}"), format!("purge {path} {level}"));
        let by = number % world.nodes.len();
        let watches = world.nodes.iter().map(|node| node.ask(&watch));
        let (seen, answer) = tokio::join!(join_all(watches), world.nodes[by].ask(&purge));
        let answer = answer?;
        let times: Vec<u64> = answer.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [began, ended] = times[..] else { return Err(answer.into()) };
        let seen: Result<Vec<String>, _> = seen.into_iter().collect();
        let seen = seen?.iter().filter_map(|nanos| nanos.parse::<u64>().ok()).max().unwrap_or(0);
        reached.push(ended - began);
        last.push(seen.saturating_sub(began));
    }
    print(&format!("{level}: publish to acknowledged"), reached);
    print(&format!("{level}: publish to applied on the last node"), last);
    Ok(())
}

async fn join_all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut is_done = true;
        for (future, output) in &mut running {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => *output = Some(value),
                    std::task::Poll::Pending => is_done = false,
                }
            }
        }
        if is_done { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    running.into_iter().filter_map(|(_, output)| output).collect()
}

async fn timed_burst(world: &World, count: u32, callers: u32) -> Result<f64, Box<dyn Error>> {
    let answer = world.nodes[0].ask(&format!("burst {count} {callers}")).await?;
    let (reached, nanos) = answer.split_once(' ').ok_or("an answer to a burst")?;
    if reached.parse() != Ok(count) {
        return Err(format!("{reached} of {count} purges have become durable").into());
    }
    Ok(f64::from(count) / Duration::from_nanos(nanos.parse()?).as_secs_f64())
}

async fn burst(world: &mut World) -> Result<(), Box<dyn Error>> {
    let rate = timed_burst(world, 5_000, 64).await?;
    println!("{:<44} {rate:8.0} purges/s, durable", "64 callers through one node");
    Ok(())
}

/// A node misses purges, and comes back.
async fn catch_up(world: &mut World) -> Result<(), Box<dyn Error>> {
    const MISSED: u32 = 20_000;
    let last = world.nodes.len() - 1;
    world.nodes[last].kill().await?;
    timed_burst(world, MISSED, 1_000).await?;
    world.restart_node(last)?;
    let began = tokio::time::Instant::now();
    world.nodes[last].ask("fresh").await?;
    let took = began.elapsed().as_secs_f64();
    let rate = f64::from(MISSED) / took;
    println!("{:<44} {took:8.2} s, {rate:.0} a second", "20,000 missed purges caught up in");
    Ok(())
}

/// The server is killed, and comes back.
async fn lost_server(world: &mut World) -> Result<(), Box<dyn Error>> {
    let began = Moment::now();
    world.kill_servers()?;
    noticed(world, "server killed", began).await?;
    for node in &world.nodes {
        node.ask("shut").await?;
    }
    let (shut, period) = (Moment::now().since(began).as_secs_f64(), FRESH_FOR.as_secs_f64());
    println!("{:<44} {shut:8.2} s of {period} s", "server killed: all gates shut after");
    world.run_servers()?;
    let began = tokio::time::Instant::now();
    world.all_fresh().await?;
    let took = began.elapsed().as_secs_f64();
    println!("{:<44} {took:8.2} s", "server back: all gates open after");
    Ok(())
}
