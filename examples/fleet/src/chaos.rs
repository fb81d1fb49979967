//! Rounds of faults, with purges and visitors while they last.

use crate::world::World;
use std::error::Error;
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
enum Fault {
    ServerKilled,
    NodeKilled,
    NodeFrozen,
    StoreWiped,
    StoreRestored,
    StoreRestoredAndGrown,
    AllNodesKilled,
}

const FAULTS: [Fault; 7] = [
    Fault::ServerKilled,
    Fault::NodeKilled,
    Fault::NodeFrozen,
    Fault::StoreWiped,
    Fault::StoreRestored,
    Fault::StoreRestoredAndGrown,
    Fault::AllNodesKilled,
];

pub(crate) async fn rounds(world: &mut World, rounds: u64) -> Result<(), Box<dyn Error>> {
    for round in 0..rounds {
        let fault = FAULTS[usize::try_from(round)? % FAULTS.len()];
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
        Fault::ServerKilled => {
            world.server.kill()?;
            visits(world, pause).await?;
            world.server.run()?;
        }
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
        Fault::StoreWiped => {
            world.server.kill()?;
            world.server.wipe()?;
            visits(world, pause).await?;
            world.server.run()?;
        }
        Fault::StoreRestored => {
            older_copy(world).await?;
            world.server.kill()?;
            world.server.restore()?;
            world.server.run()?;
        }
        Fault::StoreRestoredAndGrown => restored_and_grown(world, node).await?,
        Fault::AllNodesKilled => {
            all_nodes_killed(world).await?;
        }
    }
    Ok(())
}

/// Restores an older copy, which grows while a node is frozen.
async fn restored_and_grown(world: &mut World, node: usize) -> Result<(), Box<dyn Error>> {
    older_copy(world).await?;
    world.server.kill()?;
    world.nodes[node].freeze()?;
    world.server.restore()?;
    world.server.run()?;
    let done = traffic(world, 60, Some(node)).await;
    world.nodes[node].thaw()?;
    done?;
    Ok(())
}

async fn all_nodes_killed(world: &mut World) -> Result<(), Box<dyn Error>> {
    for node in 0..world.nodes.len() {
        world.nodes[node].kill().await?;
    }
    world.server.kill()?;
    world.server.run()?;
    for node in 0..world.nodes.len() {
        world.restart_node(node)?;
    }
    Ok(())
}

/// Copies the store, and lets the fleet go on.
async fn older_copy(world: &mut World) -> Result<(), Box<dyn Error>> {
    world.server.kill()?;
    world.server.back_up()?;
    world.server.run()?;
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
