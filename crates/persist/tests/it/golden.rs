//! Directories written by every released version of the format, in `tests/data`.
//!
//! `PERSIST_WRITE_GOLDEN=1 cargo test -p cache-index-persist --test it golden` writes that of the
//! current version, if it is missing.

use cache_index::canonical::Rules;
use cache_index::{Config, Hard, Lookup, OriginPath, PathPrefix, Selection, Soft, VariantKey};
use cache_index_persist::{PersistConfig, Persistent, Recovery, Scope, inspect};
use std::path::{Path, PathBuf};

fn path(text: &str) -> OriginPath<'_> {
    OriginPath::from_canonical(text).unwrap()
}

fn key(text: &str) -> VariantKey<'_> {
    VariantKey::from_canonical(text).unwrap()
}

fn open(dir: &Path) -> Persistent<u64> {
    let index = Config::builder().shards(1).build().unwrap();
    let config = PersistConfig::builder().index(index).snapshot_every(None);
    let config = config.segment_bytes(PersistConfig::MIN_SEGMENT_BYTES).build().unwrap();
    Persistent::open(dir, config).unwrap()
}

fn data(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(version)
}

const PATHS: [&str; 7] = [
    "a/1.jpg",
    "a/2.jpg",
    "a/3.jpg",
    "b/1.jpg",
    "c/1.jpg",
    "https://img.domain.com/d.jpg?x=1",
    "e.jpg",
];
const KEYS: [&str; 3] = ["?", "?w=200", "?h=100&w=200#webp"];

/// Writes a directory with everything in it that the format has.
fn write(dir: &Path) {
    let cache = open(dir);
    for (t, name) in ["doc", "other", "third"].into_iter().enumerate() {
        let tenant = cache.tenant(name);
        for (p, name) in PATHS.into_iter().enumerate() {
            for (k, text) in KEYS.into_iter().enumerate() {
                let value = (t * 100 + p * 10 + k) as u64;
                assert!(cache.insert(&tenant, &path(name), &key(text), value).is_stored());
            }
        }
    }
    let (doc, other) = (cache.tenant("doc"), cache.tenant("other"));
    assert!(cache.purge(&doc, &path("e.jpg"), Soft).is_durable());
    cache.snapshot().unwrap();
    let alice = cache.on_behalf_of("alice");
    assert!(alice.purge(&doc, &path("a/1.jpg"), Hard).is_durable());
    let keys = [key("?w=200")];
    let selection = Selection::Keys(&keys);
    assert!(alice.purge_selected(&doc, &path("a/2.jpg"), selection, Hard).is_durable());
    let operations = [Rules::default().operations("?w=200").unwrap()];
    let selection = Selection::Operations(&operations);
    assert!(cache.purge_selected(&doc, &path("a/3.jpg"), selection, Soft).is_durable());
    let prefix = PathPrefix::from_canonical("b/").unwrap();
    assert!(cache.purge_prefix(&doc, &prefix, Hard).is_durable());
    assert!(cache.flush_tenant(&other, Hard).is_durable());
    assert!(cache.flush_all(Soft).is_durable());
}

#[test]
fn directories_of_version_1_are_read() {
    let source = data("v1");
    if !source.exists() && std::env::var_os("PERSIST_WRITE_GOLDEN").is_some() {
        write(&source);
        std::fs::remove_file(source.join("LOCK")).unwrap();
    }
    let found = inspect::directory(&source, |_, _| ()).unwrap();
    assert_eq!(found.cold_reason(), None);
    let snapshot = found.snapshot.as_ref().unwrap().as_ref().unwrap();
    assert_eq!((snapshot.entries, snapshot.stale, snapshot.watermark), (63, 3, 1));
    let records = found.segments[0].records.as_ref().unwrap();
    let by: Vec<_> = records.iter().map(|(_, record)| record.by.as_deref()).collect();
    assert_eq!(by, [Some("alice"), Some("alice"), None, None, None, None]);
    let numbers: Vec<_> = records.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [2, 3, 4, 5, 6, 7]);
    assert_eq!(records[4].1.scope, Scope::Tenant { tenant: "other".to_owned() });

    let dir = tempfile::tempdir().unwrap();
    for file in &found.files {
        std::fs::copy(source.join(file), dir.path().join(file)).unwrap();
    }
    let cache = open(dir.path());
    assert!(matches!(cache.recovery(), Recovery::Warm { entries: 63, replayed: 6, .. }));
    check_contents(&cache);
}

fn check_contents(cache: &Persistent<u64>) {
    let (doc, third) = (cache.tenant("doc"), cache.tenant("third"));
    let gone = [("a/1.jpg", "?"), ("a/2.jpg", "?w=200"), ("b/1.jpg", "?")];
    for (p, name) in PATHS.into_iter().enumerate() {
        for (k, text) in KEYS.into_iter().enumerate() {
            let value = (p * 10 + k) as u64;
            // The flush of everything was soft.
            let found = cache.lookup(&third, &path(name), &key(text));
            assert_eq!(found, Lookup::Stale(200 + value), "third {name} {text}");
            let is_gone = gone.contains(&(name, text)) || ["a/1.jpg", "b/1.jpg"].contains(&name);
            let expected = if is_gone { Lookup::Miss } else { Lookup::Stale(value) };
            assert_eq!(cache.lookup(&doc, &path(name), &key(text)), expected, "doc {name} {text}");
        }
    }
    assert!(
        cache.paths(&cache.tenant("other"), &PathPrefix::from_canonical("").unwrap()).is_empty()
    );
}
