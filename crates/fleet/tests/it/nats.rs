//! A fleet on a real nats-server that is killed, wiped and restored.

use crate::node::{LIMIT, Node, join, key, path, until};
use crate::server::Server;
use cache_index::{Hard, Lookup};
use cache_index_fleet::{Durable, Engine, Everywhere, Fleet, JetStream, JetStreamConfig, Moment};
use cache_index_persist::{PersistConfig, Persistent};

type Member = Fleet<u64, JetStream>;

async fn engine(server: &Server) -> JetStream {
    JetStream::connect(JetStreamConfig::new(server.url())).await.unwrap()
}

async fn nodes(server: &Server, count: usize) -> (Vec<tempfile::TempDir>, Vec<Member>) {
    let dirs: Vec<_> = (0..count).map(|_| tempfile::tempdir().unwrap()).collect();
    let mut nodes = Vec::new();
    for (at, dir) in dirs.iter().enumerate() {
        nodes.push(join(dir.path(), &format!("node-{at}"), engine(server).await));
    }
    for node in &nodes {
        node.serves_fresh().await;
    }
    (dirs, nodes)
}

/// Purges through a node, `Durable`, and waits until all have applied it.
async fn purge(nodes: &[Member], by: usize, name: &str) {
    for node in nodes {
        node.fill(name, 1);
    }
    let doc = nodes[by].tenant("doc");
    let _ = nodes[by].purge(&doc, &path(name), Hard, Durable).await.unwrap();
    for node in nodes {
        until("a purge is applied", || node.stored(name).is_none()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn purges_reach_all_nodes_and_survive_a_killed_server() {
    let Some(mut server) = Server::start() else { return };
    let (_dirs, nodes) = nodes(&server, 3).await;
    purge(&nodes, 0, "a/1.jpg").await;
    for node in &nodes {
        node.fill("a/kept.jpg", 7);
    }
    server.kill();
    nodes[1].fill("a/2.jpg", 2);
    let doc = nodes[0].tenant("doc");
    let local = nodes[0].purge(&doc, &path("a/2.jpg"), Hard, cache_index_fleet::Local).await;
    assert!(local.unwrap().local().is_durable());
    until("all gates are shut", || nodes.iter().all(|node| !node.is_fresh())).await;
    server.run();
    for node in &nodes {
        node.serves_fresh().await;
    }
    until("the purge arrives", || nodes[1].stored("a/2.jpg").is_none()).await;
    purge(&nodes, 2, "a/3.jpg").await;
    nodes[0].fill("a/4.jpg", 4);
    let doc = nodes[1].tenant("doc");
    let _ = nodes[1].purge(&doc, &path("a/4.jpg"), Hard, Everywhere).await.unwrap();
    // Behind the gate: a node that cannot serve as fresh is not waited for.
    let seen = nodes[0].lookup(&nodes[0].tenant("doc"), &path("a/4.jpg"), &key());
    assert_eq!(seen, Lookup::Miss);
    for node in &nodes {
        // The server has lost nothing, so nothing was flushed.
        assert_eq!(
            (node.stored("a/kept.jpg"), node.flush_reasons()),
            (Some(7), vec!["no position"])
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_can_leave_while_the_server_is_down() {
    let Some(mut server) = Server::start() else { return };
    let (dirs, mut nodes) = nodes(&server, 1).await;
    server.kill();
    let node = nodes.remove(0);
    until("the gate is shut", || !node.is_fresh()).await;
    tokio::time::timeout(LIMIT, node.leave()).await.expect("it does not wait").unwrap();
    // The index is closed.
    assert!(Persistent::<u64>::open(dirs[0].path(), PersistConfig::default()).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_store_is_noticed() {
    let Some(mut server) = Server::start() else { return };
    let (_dirs, nodes) = nodes(&server, 2).await;
    purge(&nodes, 0, "a/1.jpg").await;
    for node in &nodes {
        node.fill("a/2.jpg", 2);
    }
    server.kill();
    server.wipe();
    server.run();
    for node in &nodes {
        until("everything is flushed", || node.flushes("stream created anew") == 1).await;
        node.serves_fresh().await;
        assert_eq!(node.stored("a/2.jpg"), None);
    }
    purge(&nodes, 1, "a/3.jpg").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_store_is_noticed_and_the_others_are_told() {
    let Some(mut server) = Server::start() else { return };
    let (dirs, mut nodes) = nodes(&server, 3).await;
    purge(&nodes, 0, "a/1.jpg").await;
    for node in &nodes {
        node.fill("a/2.jpg", 2);
    }
    // One node is away, with a position that is in the copy.
    let away = nodes.pop().unwrap();
    away.local().snapshot().unwrap();
    drop(away);
    server.kill();
    server.back_up();
    server.run();
    let doc = nodes[0].tenant("doc");
    for node in &nodes {
        node.serves_fresh().await;
    }
    let _ = nodes[0].purge(&doc, &path("a/2.jpg"), Hard, Everywhere).await.unwrap();
    server.kill();
    server.restore();
    server.run();
    // The first node that checks notices the end. The stream may have grown when the other checks.
    let (end, other) = ("stream ends before the position", "other message at the position");
    for node in &nodes {
        until("it is noticed", || node.flushes(end) + node.flushes(other) > 0).await;
    }
    assert!(nodes.iter().any(|node| node.flushes(end) > 0));
    // The purge of a/2.jpg is gone from the stream. The node that was away flushes all the same.
    let away = join(dirs[2].path(), "node-2", engine(&server).await);
    until("the loss is told", || away.stats().losses > 0).await;
    away.serves_fresh().await;
    assert_eq!(away.stored("a/2.jpg"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_store_that_has_grown_is_noticed() {
    let Some(mut server) = Server::start() else { return };
    let (dirs, nodes) = nodes(&server, 1).await;
    purge(&nodes, 0, "a/1.jpg").await;
    server.kill();
    server.back_up();
    server.run();
    // Until the node has followed its own purge: the copy must not have its position.
    let doc = nodes[0].tenant("doc");
    let _ = nodes[0].purge(&doc, &path("a/2.jpg"), Hard, Everywhere).await.unwrap();
    nodes[0].fill("a/3.jpg", 3);
    nodes[0].local().snapshot().unwrap();
    let end = nodes[0].stats().position;
    drop(nodes);
    server.kill();
    server.restore();
    server.run();
    // Another node writes beyond the old end.
    let other = tempfile::tempdir().unwrap();
    let other = [join(other.path(), "other", engine(&server).await)];
    for number in 0.. {
        purge(&other, 0, &format!("b/{number}.jpg")).await;
        if other[0].stats().position > end + 2 {
            break;
        }
    }
    let node = join(dirs[0].path(), "node-0", engine(&server).await);
    node.serves_fresh().await;
    assert_eq!(node.flush_reasons(), ["other message at the position"], "{:?}", node.stats());
    assert_eq!(node.stored("a/3.jpg"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_no_longer_has_the_next_message_is_noticed() {
    let Some(server) = Server::start() else { return };
    let (dirs, mut nodes) = nodes(&server, 2).await;
    nodes[1].fill("a/1.jpg", 1);
    nodes[1].local().snapshot().unwrap();
    let position = nodes[1].stats().position;
    drop(nodes.pop());
    for number in 0..4 {
        purge(&nodes, 0, &format!("b/{number}.jpg")).await;
    }
    purge_below(&server, position + 3).await;
    let node = join(dirs[1].path(), "node-1", engine(&server).await);
    until("it is noticed", || node.flushes("messages are no longer kept") > 0).await;
    assert_eq!(node.stored("a/1.jpg"), None);
    node.serves_fresh().await;
}

/// Removes messages as an operator may who overrides the settings of the stream.
async fn purge_below(server: &Server, first: u64) {
    let client = async_nats::connect(server.url()).await.unwrap();
    let context = async_nats::jetstream::new(client);
    let stream = context.get_stream("CACHE_PURGE").await.unwrap();
    let config = stream.cached_info().config.clone();
    // The server does not let `deny_purge` be taken back, so the limit is lowered for a moment.
    let kept = stream.cached_info().state.last_sequence + 1 - first;
    let max_messages = i64::try_from(kept).unwrap();
    assert!(max_messages > 0, "0 is no limit");
    let lowered = async_nats::jetstream::stream::Config { max_messages, ..config.clone() };
    context.update_stream(lowered).await.unwrap();
    context.update_stream(config).await.unwrap();
    let left = context.get_stream("CACHE_PURGE").await.unwrap().cached_info().state.clone();
    assert!(left.first_sequence >= first, "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_shrinks_below_a_running_reader_does_no_harm() {
    let Some(server) = Server::start() else { return };
    let (_dirs, nodes) = nodes(&server, 2).await;
    for number in 0..6 {
        purge(&nodes, 0, &format!("a/{number}.jpg")).await;
    }
    let end = engine(&server).await.info(0).await.unwrap().last.sequence;
    until("all is read", || nodes.iter().all(|node| node.stats().position >= end)).await;
    // Some are left, so that none goes that a slow node has still to read.
    purge_below(&server, end - 4).await;
    purge(&nodes, 1, "b/1.jpg").await;
    for node in &nodes {
        assert_eq!(node.flush_reasons(), ["no position"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn missed_purges_are_caught_up_in_order() {
    let Some(server) = Server::start() else { return };
    let (dirs, mut nodes) = nodes(&server, 2).await;
    nodes[1].fill("a/1.jpg", 1);
    nodes[1].fill("a/kept.jpg", 2);
    nodes[1].local().snapshot().unwrap();
    drop(nodes.pop());
    let doc = nodes[0].tenant("doc");
    let a = std::sync::Arc::new(nodes.pop().unwrap());
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..5000 {
        let (a, doc) = (std::sync::Arc::clone(&a), doc.clone());
        calls.spawn(async move {
            a.purge(&doc, &path(&format!("b/{number}.jpg")), Hard, Durable).await.is_ok()
        });
    }
    assert!(calls.join_all().await.into_iter().all(|is_durable| is_durable));
    let _ = a.purge(&doc, &path("a/1.jpg"), Hard, Durable).await.unwrap();
    let began = Moment::now();
    let node = join(dirs[1].path(), "node-1", engine(&server).await);
    node.serves_fresh().await;
    println!("5001 missed purges caught up in {:?}", Moment::now().since(began));
    assert_eq!((node.stored("a/1.jpg"), node.stored("a/kept.jpg")), (None, Some(2)));
    assert!(node.stats().invalidations >= 5001);
}
