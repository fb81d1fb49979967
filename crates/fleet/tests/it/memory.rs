//! A fleet on an engine in memory.

use crate::node::{Node, join, key, path, until};
use cache_index::invalidation::InvalidationRequest;
use cache_index::{Freshness, Hard, Lookup, OverTime, Severity, Soft};
use cache_index_fleet::{
    Durable, Engine, Everywhere, Fleet, FleetConfig, Local, MemoryEngine, Reach,
};
use cache_index_persist::{PersistConfig, Persistent, Scope};
use std::time::Duration;

type Member = Fleet<u64, MemoryEngine>;

/// A flush over so long a time kills no entry while a test runs.
const LONG: Duration = Duration::from_secs(365 * 24 * 3600);

fn pair(engine: &MemoryEngine) -> ([tempfile::TempDir; 2], [Member; 2]) {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let join = |at: usize| join(dirs[at].path(), &format!("node-{at}"), engine.handle());
    let nodes = [join(0), join(1)];
    (dirs, nodes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_at_each_level_keeps_its_promise() {
    let engine = MemoryEngine::new();
    let (_dirs, [a, b]) = pair(&engine);
    a.serves_fresh().await;
    b.serves_fresh().await;
    let doc = a.tenant("doc");
    for (at, name) in ["a/1.jpg", "a/2.jpg", "a/3.jpg"].iter().enumerate() {
        a.fill(name, at as u64);
        b.fill(name, at as u64);
    }
    let purged = a.purge(&doc, &path("a/1.jpg"), Hard, Everywhere).await.unwrap();
    // Behind the gate: a node that cannot serve as fresh is not waited for.
    let seen = b.lookup(&b.tenant("doc"), &path("a/1.jpg"), &key());
    assert_eq!((purged.removed(), seen), (&[0][..], Lookup::Miss));
    let purged = a.purge(&doc, &path("a/2.jpg"), Hard, Durable).await.unwrap();
    assert_eq!(purged.removed(), [1]);
    until("the purge is applied", || b.stored("a/2.jpg").is_none()).await;
    let purged = a.purge(&doc, &path("a/3.jpg"), Soft, Local).await.unwrap();
    assert!(purged.local().is_durable() && purged.removed().is_empty());
    until("the soft purge is applied", || b.stored("a/3.jpg").is_none()).await;
    let stale = || b.lookup(&b.tenant("doc"), &path("a/3.jpg"), &key());
    until("the gate is open, and the entry stale", || stale() == Lookup::Stale(2)).await;
    // Values that another node's purges have removed are not lost.
    assert_eq!(b.take_removed(), [0, 1]);
    let latency = a.stats().latency;
    assert_eq!(
        latency.keys().copied().collect::<Vec<_>>(),
        [Reach::Local, Reach::Durable, Reach::Everywhere]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_survives_a_restart_and_a_dead_engine() {
    let engine = MemoryEngine::new();
    let (dirs, [a, b]) = pair(&engine);
    b.serves_fresh().await;
    a.serves_fresh().await;
    b.fill("a/1.jpg", 1);
    a.local().snapshot().unwrap();
    engine.stop();
    let doc = a.tenant("doc");
    let purged = a.purge(&doc, &path("a/1.jpg"), Hard, Local).await.unwrap();
    assert!(purged.local().is_durable());
    drop(a);
    assert_eq!(b.stored("a/1.jpg"), Some(1));
    engine.start();
    let a = join(dirs[0].path(), "node-0", engine.handle());
    until("the purge arrives", || b.stored("a/1.jpg").is_none()).await;
    until("the outbox is empty", || a.stats().outbox == 0).await;
    // The log still has it, and the stream too: it is not sent again.
    let seen = b.stats().invalidations;
    drop(a);
    let a = join(dirs[0].path(), "node-0", engine.handle());
    a.serves_fresh().await;
    until("the outbox is empty", || a.stats().outbox == 0).await;
    let _ = a.flush_all(Hard, Everywhere).await.unwrap();
    until("the flush is applied", || b.stats().invalidations > seen).await;
    assert_eq!(b.stats().invalidations, seen + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_that_is_not_reached_is_named() {
    let engine = MemoryEngine::new();
    let dir = tempfile::tempdir().unwrap();
    let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default()).unwrap();
    let config = FleetConfig::builder("a").patience(Duration::from_millis(50)).build().unwrap();
    engine.stop();
    let a = Fleet::join(cache, config, engine.handle());
    let error = a.flush_all(Hard, Everywhere).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalidation is applied on this node, but is not everywhere yet"
    );
    assert!(error.local().is_durable());
    assert_eq!((error.wanted(), error.reached()), (Reach::Everywhere, Reach::Local));
    assert_eq!((a.stats().not_reached, a.stats().outbox), (1, 1));
    engine.start();
    until("it is sent all the same", || a.stats().outbox == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lower_level_that_is_reached_is_named() {
    let engine = MemoryEngine::new();
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let join = |at: usize| {
        let cache = Persistent::<u64>::open(dirs[at].path(), PersistConfig::default()).unwrap();
        let config = FleetConfig::builder(format!("node-{at}")).patience(Duration::from_secs(10));
        let config = config.fresh_for(Duration::from_secs(600)).build().unwrap();
        Fleet::join(cache, config, engine.handle())
    };
    let (a, b) = (join(0), join(1));
    a.serves_fresh().await;
    b.serves_fresh().await;
    until("a has seen a proof of b", || a.stats().members == 2).await;
    // As a crash: its gate may be open, for all that the others know.
    drop(b);
    let (doc, request) = (a.tenant("doc"), InvalidationRequest::all(Severity::Hard));
    // Both wait for as long as the node is patient.
    let (flushed, done) = tokio::join!(
        a.flush_all(Hard, Everywhere),
        a.request(None, &doc, &request, Reach::Everywhere)
    );
    let error = flushed.unwrap_err();
    assert_eq!((error.wanted(), error.reached()), (Reach::Everywhere, Reach::Durable));
    assert_eq!(error.to_string(), "invalidation is durable, but is not everywhere yet");
    assert_eq!((done.reached, done.is_reached), (Reach::Durable, false));
    let done = a.request(None, &doc, &request, Reach::Durable).await;
    assert_eq!((done.reached, done.is_reached), (Reach::Durable, true));
    assert_eq!(a.stats().not_reached, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_the_engine_shuts_its_gate() {
    let engine = MemoryEngine::new();
    let (_dirs, [a, _b]) = pair(&engine);
    a.serves_fresh().await;
    a.fill("a/1.jpg", 1);
    engine.stop();
    let seen = || a.lookup(&a.tenant("doc"), &path("a/1.jpg"), &key());
    // A proof that was read before the stop may arrive after a moment without one.
    until("the gate is shut", || seen() == Lookup::Miss).await;
    assert_eq!(a.stored("a/1.jpg"), Some(1));
    engine.start();
    // Nothing was missed, so nothing was flushed.
    until("the gate is open, and the entry live", || seen() == Lookup::Live(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watermark_never_has_a_number_of_another_stream() {
    let engine = MemoryEngine::new();
    let (_dirs, [a, _b]) = pair(&engine);
    let a = std::sync::Arc::new(a);
    for _ in 0..5 {
        for number in 0..100 {
            let name = number.to_string();
            let _ = a.purge(&a.tenant("doc"), &path(&name), Hard, Durable).await.unwrap();
        }
        // A purge is durable before its own node reads it back.
        until("the purges are read back", || a.watermark().applied >= 100).await;
        let old = a.watermark();
        let watching = std::sync::Arc::clone(&a);
        // The first number of the new stream is smaller than those of the old one.
        let first = std::thread::spawn(move || {
            loop {
                let seen = watching.watermark();
                if seen.stream != old.stream {
                    return seen;
                }
            }
        });
        engine.wipe();
        until("the new stream is followed", || first.is_finished()).await;
        let first = first.join().unwrap();
        assert!(first.begun < old.applied && first.applied < old.applied, "{first:?} {old:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_messages_and_unknown_tenants_are_treated_as_the_broadest() {
    let engine = MemoryEngine::new();
    let (_dirs, [a, b]) = pair(&engine);
    a.serves_fresh().await;
    b.serves_fresh().await;
    a.fill("a/1.jpg", 1);
    engine.append("somebody-1", b"not a message").await.unwrap();
    until("everything is flushed", || a.stored("a/1.jpg").is_none()).await;
    assert_eq!(a.stats().damaged, 1);
    a.fill("a/1.jpg", 2);
    let other = Scope::Path { tenant: "other".to_owned(), path: "x".to_owned() };
    let _ = b.invalidate(None, Severity::Hard, vec![other], Durable).await.unwrap();
    until("it is applied", || a.stats().unknown_tenants == 1).await;
    assert_eq!(a.stored("a/1.jpg"), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_keeps_the_position_and_a_restart_is_warm() {
    let engine = MemoryEngine::new();
    let (dirs, [a, b]) = pair(&engine);
    a.serves_fresh().await;
    b.serves_fresh().await;
    for number in 0..3 {
        b.fill(&format!("a/{number}.jpg"), number);
    }
    let doc = a.tenant("doc");
    let _ = a.purge(&doc, &path("a/0.jpg"), Hard, Everywhere).await.unwrap();
    b.local().snapshot().unwrap();
    drop(b);
    let _ = a.purge(&doc, &path("a/1.jpg"), Hard, Durable).await.unwrap();
    engine.stop();
    let b = join(dirs[1].path(), "node-1", engine.handle());
    // It has the entry that was purged while it was away, and does not serve it.
    assert_eq!(b.stored("a/1.jpg"), Some(1));
    assert_eq!(b.lookup(&b.tenant("doc"), &path("a/1.jpg"), &key()), Lookup::Miss);
    engine.start();
    b.serves_fresh().await;
    let stored: Vec<_> = (0..3).map(|number| b.stored(&format!("a/{number}.jpg"))).collect();
    assert_eq!(stored, [None, None, Some(2)]);
    assert!(b.flush_reasons().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_over_time_begins_on_each_node_and_has_ended_after_a_restart() {
    let engine = MemoryEngine::new();
    let (dirs, [a, b]) = pair(&engine);
    a.serves_fresh().await;
    b.serves_fresh().await;
    for number in 0..3 {
        a.fill(&format!("a/{number}.jpg"), number);
        b.fill(&format!("a/{number}.jpg"), number);
    }
    let stored = |node: &Member| [0, 1, 2].map(|n| node.stored(&format!("a/{n}.jpg")));
    b.local().snapshot().unwrap();
    let over = OverTime::new(LONG).serving(Freshness::Live);
    let _ = a.flush_tenant_over(&a.tenant("doc"), over, Everywhere).await.unwrap();
    for node in [&a, &b] {
        until("it begins", || node.local().running_flushes().len() == 1).await;
        assert_eq!(stored(node), [0, 1, 2].map(Some));
        assert_eq!(node.local().running_flushes()[0].over.duration(), over.duration());
    }
    b.fill("a/1.jpg", 7);
    // It has not applied it in a snapshot, and may have served misses since.
    drop(b);
    let b = join(dirs[1].path(), "node-1", engine.handle());
    b.serves_fresh().await;
    assert_eq!((stored(&b), b.local().running_flushes().len()), ([None; 3], 0));
    b.fill("a/1.jpg", 8);
    // So has the author, whose own log has it.
    drop(a);
    let a = join(dirs[0].path(), "node-0", engine.handle());
    a.serves_fresh().await;
    until("the outbox is empty", || a.stats().outbox == 0).await;
    assert_eq!((stored(&a), a.local().running_flushes().len()), ([None; 3], 0));
    // The others are not flushed again.
    assert_eq!(stored(&b), [None, Some(8), None]);
    // A snapshot has the newer entries.
    let _ = a.flush_all_over(over, Everywhere).await.unwrap();
    let of_all = |node: &Member| {
        node.local().running_flushes().iter().any(|running| running.tenant.is_none())
    };
    until("it begins", || of_all(&b)).await;
    b.fill("a/2.jpg", 9);
    b.local().snapshot().unwrap();
    drop(b);
    let b = join(dirs[1].path(), "node-1", engine.handle());
    b.serves_fresh().await;
    assert_eq!(stored(&b), [None, None, Some(9)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shield_applies_flushes_over_time_at_once() {
    let engine = MemoryEngine::new();
    let (_dirs, [edge, _]) = pair(&engine);
    let dir = tempfile::tempdir().unwrap();
    let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default()).unwrap();
    let config = FleetConfig::builder("shield").flushes_at_once(true).build().unwrap();
    let shield = Fleet::join(cache, config, engine.handle());
    edge.serves_fresh().await;
    shield.serves_fresh().await;
    let over = OverTime::new(LONG).serving(Freshness::Live);
    for (count, author) in [(1, &edge), (2, &shield)] {
        edge.fill("a/1.jpg", 1);
        shield.fill("a/1.jpg", 2);
        let doc = author.tenant("doc");
        let _ = author.flush_tenant_over(&doc, over, Durable).await.unwrap();
        until("it begins", || edge.local().running_flushes().len() == count).await;
        until("the shield has none", || shield.stored("a/1.jpg").is_none()).await;
        assert_eq!(edge.stored("a/1.jpg"), Some(1));
        assert_eq!(shield.local().running_flushes(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_leaves_is_not_waited_for() {
    let engine = MemoryEngine::new();
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    // The gate of a node that is only silent would be waited for, for ten minutes.
    let join = |at: usize| {
        let cache = Persistent::<u64>::open(dirs[at].path(), PersistConfig::default()).unwrap();
        let config = FleetConfig::builder(format!("node-{at}"));
        let config = config.fresh_for(Duration::from_secs(600)).build().unwrap();
        Fleet::join(cache, config, engine.handle())
    };
    let b = join(1);
    b.serves_fresh().await;
    let a = join(0);
    until("b has seen a proof of a", || b.stats().members == 2).await;
    a.leave().await.unwrap();
    until("b has heard that a has left", || b.stats().members == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_node_of_the_same_name_is_noticed_by_both() {
    let engine = MemoryEngine::new();
    let (dirs, [a, b]) = pair(&engine);
    let dir = tempfile::tempdir().unwrap();
    let twin = join(dir.path(), "node-0", engine.handle());
    until("both notice it", || a.stats().namesakes == 1 && twin.stats().namesakes == 1).await;
    assert_eq!(b.stats().namesakes, 0);
    // The next process of a node is none.
    drop((a, twin));
    let a = join(dirs[0].path(), "node-0", engine.handle());
    until("the others are heard", || a.stats().members == 2).await;
    assert_eq!(a.stats().namesakes, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_callers_share_messages() {
    let engine = MemoryEngine::new();
    let (_dirs, [a, b]) = pair(&engine);
    a.serves_fresh().await;
    b.serves_fresh().await;
    let before = engine.appends();
    let ticks = |a: &Member, b: &Member| a.stats().ticks + b.stats().ticks;
    let ticks_before = ticks(&a, &b);
    let a = std::sync::Arc::new(a);
    // All of them wait, so that their number in a message does not depend on the machine.
    engine.stop();
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..500 {
        let a = std::sync::Arc::clone(&a);
        calls.spawn(async move {
            let doc = a.tenant("doc");
            a.purge(&doc, &path(&number.to_string()), Hard, Everywhere).await.unwrap().took()
        });
    }
    until("all calls wait", || a.stats().outbox == 500).await;
    engine.start();
    assert_eq!(calls.join_all().await.len(), 500);
    until("all are applied", || b.stats().invalidations == 500).await;
    let messages = (engine.appends() - before).saturating_sub(ticks(&a, &b) - ticks_before);
    assert!(messages < 50, "{messages} messages");
}
