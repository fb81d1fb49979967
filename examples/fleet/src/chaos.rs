//! Rounds of faults, with purges and visitors while they last.

use crate::server::Cluster;
use crate::world::World;
use std::error::Error;
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
enum Fault {
    NodeKilled,
    NodeFrozen,
    AllNodesKilled,
    /// Its link is down, with open connections.
    NodeCutOff,
    ServersKilled,
    /// The others go on.
    OneServerKilled,
    StoreWiped,
    StoreRestored,
    StoreRestoredAndGrown,
}

/// Faults of the nodes, which need nothing of the servers.
const OF_NODES: [Fault; 3] = [Fault::NodeKilled, Fault::NodeFrozen, Fault::AllNodesKilled];

/// Faults of own servers and their stores.
const OF_SERVERS: [Fault; 4] =
    [Fault::ServersKilled, Fault::StoreWiped, Fault::StoreRestored, Fault::StoreRestoredAndGrown];

/// Returns the faults that this world can have.
fn faults(world: &World) -> Vec<Fault> {
    let mut faults = OF_NODES.to_vec();
    if let Some(cluster) = &world.cluster {
        faults.extend(OF_SERVERS);
        if cluster.len() > 1 {
            faults.push(Fault::OneServerKilled);
        }
    }
    if world.net.is_some() {
        faults.push(Fault::NodeCutOff);
    }
    faults
}

pub(crate) async fn rounds(world: &mut World, rounds: u64) -> Result<(), Box<dyn Error>> {
    let faults = faults(world);
    for round in 0..rounds {
        let fault = faults[usize::try_from(round)? % faults.len()];
        let purges = world.purges;
        traffic(world, 40, None).await?;
        break_it(world, fault).await?;
        traffic(world, 20, None).await?;
        let stale = world.check().await?;
        let purges = world.purges - purges;
        println!("round {round}: {fault:?}, {purges} purges, stale {stale}");
    }
    for node in 0..world.nodes.len() {
        println!("node {node}: {}", world.nodes[node].ask("stats").await?);
    }
    Ok(())
}

/// Purges and visits through all nodes but one.
async fn traffic(
    world: &mut World,
    steps: usize,
    without: Option<usize>,
) -> Result<(), Box<dyn Error>> {
    for _ in 0..steps {
        let node = world.random.usize(..world.nodes.len());
        if Some(node) == without {
            continue;
        }
        if world.random.u8(..3) == 0 {
            world.purge(node).await?;
        } else {
            world.visit(node).await?;
        }
    }
    Ok(())
}

async fn break_it(world: &mut World, fault: Fault) -> Result<(), Box<dyn Error>> {
    let node = world.random.usize(..world.nodes.len());
    let pause = Duration::from_millis(world.random.u64(50..3000));
    match fault {
        Fault::NodeKilled => {
            world.nodes[node].kill().await?;
            traffic(world, 30, Some(node)).await?;
            world.restart_node(node)?;
        }
        Fault::NodeFrozen => {
            world.nodes[node].freeze()?;
            let done = traffic(world, 30, Some(node)).await;
            world.nodes[node].thaw()?;
            done?;
            // The first thing that it does is to serve.
            for _ in 0..10 {
                world.visit(node).await?;
            }
        }
        Fault::AllNodesKilled => all_nodes_killed(world).await?,
        Fault::NodeCutOff => node_cut_off(world, node).await?,
        Fault::ServersKilled => {
            world.kill_servers()?;
            visits(world, pause).await?;
            world.run_servers()?;
        }
        Fault::OneServerKilled => one_server_killed(world).await?,
        Fault::StoreWiped => {
            world.with_stores(Cluster::wipe)?;
            visits(world, pause).await?;
            world.run_servers()?;
        }
        Fault::StoreRestored => {
            older_copy(world).await?;
            world.with_stores(Cluster::restore)?;
            world.run_servers()?;
        }
        Fault::StoreRestoredAndGrown => restored_and_grown(world, node).await?,
    }
    Ok(())
}

/// Cuts a node off, which goes on serving, and purges through it what the others get later.
async fn node_cut_off(world: &mut World, node: usize) -> Result<(), Box<dyn Error>> {
    let cut = world.net.as_ref().ok_or("nodes are not apart")?.cut(node);
    cut?;
    world.purge_as(node, "local").await?;
    for _ in 0..30 {
        traffic(world, 1, Some(node)).await?;
        world.visit(node).await?;
    }
    Ok(world.net.as_ref().ok_or("nodes are not apart")?.heal(node)?)
}

/// Kills one of the servers, and goes on with the others.
async fn one_server_killed(world: &mut World) -> Result<(), Box<dyn Error>> {
    let count = world.cluster.as_ref().map_or(0, Cluster::len);
    let killed = world.random.usize(..count);
    if let Some(cluster) = &mut world.cluster {
        cluster.kill_one(killed)?;
    }
    let done = traffic(world, 40, None).await;
    if let Some(cluster) = &mut world.cluster {
        cluster.run_one(killed)?;
    }
    done
}

/// Restores an older copy, which grows while a node is frozen.
async fn restored_and_grown(world: &mut World, node: usize) -> Result<(), Box<dyn Error>> {
    older_copy(world).await?;
    world.kill_servers()?;
    world.nodes[node].freeze()?;
    world.with_stores(Cluster::restore)?;
    world.run_servers()?;
    let done = traffic(world, 60, Some(node)).await;
    world.nodes[node].thaw()?;
    done?;
    Ok(())
}

async fn all_nodes_killed(world: &mut World) -> Result<(), Box<dyn Error>> {
    for node in 0..world.nodes.len() {
        world.nodes[node].kill().await?;
    }
    world.kill_servers()?;
    world.run_servers()?;
    for node in 0..world.nodes.len() {
        world.restart_node(node)?;
    }
    Ok(())
}

/// Copies the store, and lets the fleet go on.
async fn older_copy(world: &mut World) -> Result<(), Box<dyn Error>> {
    world.with_stores(Cluster::back_up)?;
    world.run_servers()?;
    world.all_fresh().await?;
    traffic(world, 30, None).await
}

/// Visitors, while purges would wait for the server.
async fn visits(world: &mut World, length: Duration) -> Result<(), Box<dyn Error>> {
    let end = tokio::time::Instant::now() + length;
    while tokio::time::Instant::now() < end {
        let node = world.random.usize(..world.nodes.len());
        world.visit(node).await?;
    }
    Ok(())
}
