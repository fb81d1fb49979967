//! Data of another log that snapshots carry.

use crate::sim::{Fault, Sim};
use cache_index::{Lookup, OriginPath, Severity, VariantKey};
use cache_index_persist::{Carried, OutboxId, PersistConfig, Persistent, Record, Recovery, Scope};
use std::sync::Arc;

fn open(sim: &Sim) -> Persistent<u64> {
    let config = PersistConfig::builder().snapshot_every(None).segment_bytes(16 << 10);
    Persistent::open_on(Arc::new(sim.clone()), config.build().unwrap()).unwrap()
}

/// The purge of `a/1.jpg`, with a number in the outbox.
fn purge(number: u64) -> Record {
    Record {
        unix_millis: 0,
        by: None,
        outbox: Some(OutboxId { incarnation: 1, number }),
        severity: Severity::Hard,
        scope: Scope::Path { tenant: "doc".to_owned(), path: "a/1.jpg".to_owned() },
    }
}

fn numbers(carried: &Carried) -> Vec<u64> {
    carried.outbox.iter().map(|record| record.outbox.unwrap().number).collect()
}

fn carry(cache: &Persistent<u64>, position: &[u8], outbox: &[Record]) {
    let (position, outbox) = (position.to_vec(), outbox.to_vec());
    cache.carry(move || Carried { position: position.clone(), outbox: outbox.clone() });
}

#[test]
fn the_outbox_is_that_of_the_snapshot_and_of_the_log_behind_it() {
    let sim = Sim::new(512);
    let cache = open(&sim);
    assert!(cache.invalidate(&[purge(1), purge(2)]).is_durable());
    carry(&cache, b"17", &[purge(2)]);
    cache.snapshot().unwrap();
    assert!(cache.invalidate(&[purge(3)]).is_durable());
    let cache = open(&sim.killed());
    assert_eq!(cache.carried().position, b"17");
    assert_eq!(numbers(&cache.carried()), [2, 3]);
}

#[test]
fn snapshots_carry_on_what_was_loaded_until_somebody_takes_over() {
    let sim = Sim::new(512);
    let cache = open(&sim);
    carry(&cache, b"17", &[purge(2)]);
    cache.snapshot().unwrap();
    assert!(cache.invalidate(&[purge(3)]).is_durable());
    for _ in 0..2 {
        let sim = sim.killed();
        let cache = open(&sim);
        // The log with record 3 is dropped here.
        cache.snapshot().unwrap();
        let cache = open(&sim.killed());
        assert_eq!(cache.carried().position, b"17");
        assert_eq!(numbers(&cache.carried()), [2, 3]);
    }
}

#[test]
fn a_position_and_its_entries_become_durable_together() {
    let sim = Sim::new(512);
    let cache = open(&sim);
    carry(&cache, b"17", &[]);
    cache.snapshot().unwrap();
    carry(&cache, b"23", &[]);
    let (path, key) = (OriginPath::opaque("a/2.jpg").unwrap(), VariantKey::opaque("?").unwrap());
    let mut met = [0; 3];
    // A snapshot makes some dozens of calls: it fails at each of them, or succeeds. The position is
    // always that of the entries.
    for call in 0..60 {
        let sim = sim.killed();
        let cache = open(&sim);
        carry(&cache, b"23", &[]);
        assert!(cache.insert(&cache.tenant("doc"), &path, &key, 8).is_stored());
        sim.fail(call, Fault::Enospc);
        let _ = cache.snapshot();
        let cache = open(&sim.killed());
        let is_new = cache.lookup(&cache.tenant("doc"), &path, &key) == Lookup::Live(8);
        let is_cold = matches!(cache.recovery(), Recovery::Cold { .. });
        let expected: (&[u8], _) = match (is_new, is_cold) {
            (true, _) => (b"23", 0),
            (false, false) => (b"17", 1),
            (false, true) => (b"", 2),
        };
        assert_eq!(cache.carried().position, expected.0);
        met[expected.1] += 1;
    }
    assert!(met[0] > 0 && met[1] > 0, "{met:?}");
}

#[test]
fn carried_data_is_taken_before_the_entries_are_read() {
    let sim = Sim::new(512);
    let cache = Arc::new(open(&sim));
    let tenant = cache.tenant("doc");
    let path = OriginPath::from_canonical("a/1.jpg").unwrap();
    let key = VariantKey::from_canonical("?").unwrap();
    assert!(cache.insert(&tenant, &path, &key, 7).is_stored());
    // The other log moves on while its position is taken: the entries must be those behind it.
    cache.carry({
        let cache = Arc::downgrade(&cache);
        move || {
            cache.upgrade().unwrap().invalidate_unlogged(&purge(1));
            Carried { position: b"17".to_vec(), outbox: Vec::new() }
        }
    });
    cache.snapshot().unwrap();
    let cache = open(&sim.killed());
    assert_eq!(cache.carried().position, b"17");
    assert_eq!(cache.lookup(&cache.tenant("doc"), &path, &key), Lookup::Miss);
}

#[test]
fn carried_data_of_many_blocks_round_trips() {
    let sim = Sim::new(512);
    let cache = open(&sim);
    let position: Vec<u8> = (0..3_000_000_u32).flat_map(|n| [n.to_le_bytes()[1]]).collect();
    carry(&cache, &position, &[]);
    cache.snapshot().unwrap();
    assert!(open(&sim.killed()).carried().position == position);
}

#[test]
fn removed_values_are_returned_and_unlogged_records_leave_no_trace() {
    let sim = Sim::new(512);
    let cache = open(&sim);
    let tenant = cache.tenant("doc");
    let path = OriginPath::from_canonical("a/1.jpg").unwrap();
    let key = VariantKey::from_canonical("?").unwrap();
    assert!(cache.insert(&tenant, &path, &key, 7).is_stored());
    cache.snapshot().unwrap();
    assert_eq!(cache.invalidate_unlogged(&purge(1)), [7]);
    assert!(cache.knows_tenant("doc") && !cache.knows_tenant("other"));
    let cache = open(&sim.killed());
    assert_eq!(cache.lookup(&cache.tenant("doc"), &path, &key), Lookup::Live(7));
}
