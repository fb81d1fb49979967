//! Damaged, missing and foreign files: noticed, or harmless.

use crate::history::{Crash, Oracle, Scope, open};
use crate::scale;
use crate::sim::Sim;
use cache_index::Severity::Hard;
use cache_index_persist::{ColdKind, ColdReason, Persistent, Recovery};
use std::sync::Arc;

/// A directory with a snapshot and a log of two segments, as a killed process leaves it.
fn directory() -> (Sim, Oracle) {
    let (sim, mut oracle) = (Sim::new(4096), Oracle::default());
    let cache = open(&sim).unwrap();
    for path in 0..5 {
        for key in 0..3 {
            oracle.fill(&cache, (0, path, key));
            oracle.fill(&cache, (1, path, key));
        }
    }
    oracle.snapshot(&cache);
    // More than one segment of 16 KiB holds.
    for at in 0..150 {
        oracle.fill(&cache, (0, 4, at % 3));
        oracle.invalidate(&cache, Scope::Path(0, at % 4), Hard);
    }
    (sim.killed(), oracle)
}

fn reason(cache: &Persistent<u64>) -> Option<&ColdReason> {
    match cache.recovery() {
        Recovery::Cold { reason } => Some(reason),
        _ => None,
    }
}

fn files(sim: &Sim) -> Vec<String> {
    let names = sim.names();
    let segments = names.iter().filter(|name| name.starts_with("log-")).count();
    assert_eq!((names.len(), segments), (4, 2), "{names:?}");
    names
}

#[test]
fn flipped_bits_are_noticed_or_harmless() {
    let (sim, oracle) = directory();
    let mut random = fastrand::Rng::with_seed(2);
    for name in files(&sim) {
        let bytes = sim.read(&name).unwrap();
        let mut cold = 0;
        for _ in 0..150 * scale() {
            let mut flipped = bytes.clone();
            let bit = random.usize(0..bytes.len() * 8);
            flipped[bit / 8] ^= 1 << (bit % 8);
            let image = sim.killed();
            image.write(&name, flipped);
            let cache = open(&image).unwrap();
            let checked = oracle.clone().check(&cache, Crash::Killed, true);
            checked.unwrap_or_else(|error| panic!("{name}, bit {bit}: {error}"));
            cold += u64::from(reason(&cache).is_some());
            if let Some(reason) = reason(&cache) {
                assert_eq!(reason.file(), name, "{reason}");
            }
        }
        println!("{name}: {cold} of {} flips noticed", 150 * scale());
    }
}

#[test]
fn missing_and_truncated_files_are_noticed() {
    let (sim, oracle) = directory();
    for name in files(&sim) {
        let bytes = sim.read(&name).unwrap();
        let lengths = [0, 1, 15, 16, 47, 100, 4096, 8192, bytes.len() / 2, bytes.len() - 1];
        for len in lengths.into_iter().filter(|&len| len < bytes.len()) {
            let image = sim.killed();
            image.write(&name, bytes[..len].to_vec());
            let cache = open(&image).unwrap();
            assert_eq!(reason(&cache).map(ColdReason::file), Some(&*name), "length {len}");
        }
        let image = sim.killed();
        image.delete(&name);
        let cache = open(&image).unwrap();
        oracle.clone().check(&cache, Crash::Killed, true).unwrap();
        let kind = reason(&cache).unwrap().kind();
        assert!(matches!(kind, ColdKind::Missing | ColdKind::NoManifest), "{name}: {kind:?}");
    }
}

#[test]
fn exchanged_files_are_noticed() {
    let (sim, _) = directory();
    let segments: Vec<String> =
        files(&sim).into_iter().filter(|name| name.starts_with("log-")).collect();
    let image = sim.killed();
    image.write(&segments[0], sim.read(&segments[1]).unwrap());
    image.write(&segments[1], sim.read(&segments[0]).unwrap());
    assert!(reason(&open(&image).unwrap()).is_some());
}

#[test]
fn an_incarnation_is_never_used_twice_whatever_is_damaged() {
    let (sim, _) = directory();
    let mut last = 0;
    for round in 0..20 {
        let cache = open(&sim).unwrap();
        assert!(cache.incarnation() > last, "round {round}");
        last = cache.incarnation();
        drop(cache);
        match round % 3 {
            0 => sim.write("MANIFEST", b"damaged".to_vec()),
            1 => sim.delete("MANIFEST"),
            _ => {}
        }
    }
}

#[test]
fn values_of_another_type_are_not_read() {
    let (sim, _) = directory();
    let config = crate::history::config();
    let cache = Persistent::<()>::open_on(Arc::new(sim.killed()), config).unwrap();
    let Recovery::Cold { reason, .. } = cache.recovery() else { panic!("{:?}", cache.recovery()) };
    assert_eq!(*reason.kind(), ColdKind::OtherValues("u64".to_owned()));
}

#[test]
fn files_of_others_are_left_alone() {
    let (sim, oracle) = directory();
    sim.write("README", b"hello".to_vec());
    sim.write("snap-1", b"hello".to_vec());
    let cache = open(&sim).unwrap();
    oracle.clone().check(&cache, Crash::Killed, false).unwrap();
    cache.snapshot().unwrap();
    assert_eq!(sim.read("README").unwrap(), b"hello");
    assert_eq!(sim.read("snap-1").unwrap(), b"hello");
}

#[test]
fn files_that_are_no_longer_needed_are_removed() {
    let (sim, _) = directory();
    sim.write("snap-0000000000000001-00000000000000ff", b"half written".to_vec());
    sim.write("MANIFEST.new", b"half written".to_vec());
    let cache = open(&sim).unwrap();
    cache.snapshot().unwrap();
    cache.snapshot().unwrap();
    let kinds: Vec<String> =
        sim.names().iter().map(|name| name.split('-').next().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["MANIFEST", "log", "snap"]);
}
