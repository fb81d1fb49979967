//! Exports: each entry that is there from the first step to the last is copied.

use crate::common::{path, variant};
use cache_index::{
    CacheIndex, Config, DeadValues, ExportCursor, Freshness, Hard, OriginPath, PathPrefix,
    Selection, Soft, Tenant, VariantKey,
};
use std::collections::BTreeMap;

type Found = BTreeMap<(String, String, String), (u64, Freshness)>;

fn index() -> CacheIndex<u64> {
    let config = Config::builder().shards(1).dead_values(DeadValues::Queue);
    CacheIndex::new(config.build().unwrap())
}

fn numbered(n: u64) -> OriginPath<'static> {
    path(&format!("sample.li/{n}.jpg"))
}

fn put(index: &CacheIndex<u64>, tenant: &Tenant, path: &OriginPath<'_>, key: &str, value: u64) {
    assert!(index.insert(tenant, path, &variant(key), value).is_stored());
}

/// Exports all that is left. Returns the longest step.
fn finish(index: &CacheIndex<u64>, cursor: &mut ExportCursor, found: &mut Found) -> usize {
    let mut longest = 0;
    while step(index, cursor, found, &mut longest) {}
    longest
}

fn step(
    index: &CacheIndex<u64>,
    cursor: &mut ExportCursor,
    found: &mut Found,
    longest: &mut usize,
) -> bool {
    let Some(paths) = index.export(cursor, 8) else { return false };
    *longest = paths.iter().map(|path| path.entries.len()).sum::<usize>().max(*longest);
    for path in paths {
        for (key, value, freshness) in path.entries {
            let name = (path.tenant.name().to_owned(), path.path.to_string(), key.to_string());
            found.insert(name, (value, freshness));
        }
    }
    true
}

#[test]
fn dead_entries_are_left_out_and_soft_invalidations_written_out() {
    let index = index();
    let (doc, other) = (index.tenant("doc"), index.tenant("other"));
    for (at, name) in ["a/1.jpg", "a/2.jpg", "b/1.jpg", "c/1.jpg"].into_iter().enumerate() {
        put(&index, &doc, &path(name), "?w=1", at as u64);
        put(&index, &other, &path(name), "?w=1", 10 + at as u64);
    }
    let prefix = PathPrefix::from_canonical("a/").unwrap();
    index.purge_prefix(&doc, &prefix, Hard);
    let prefix = PathPrefix::from_canonical("b/").unwrap();
    index.purge_prefix(&doc, &prefix, Soft);
    index.flush_tenant(&other, Soft);
    put(&index, &other, &path("a/1.jpg"), "?w=1", 20);
    let _ = index.purge(&doc, &path("c/1.jpg"), Soft);
    put(&index, &doc, &path("c/1.jpg"), "?w=2", 4);
    let gone = index.tenant("gone");
    put(&index, &gone, &path("a/1.jpg"), "?w=1", 99);
    index.forget_tenant(&gone);

    let mut found = Found::new();
    finish(&index, &mut ExportCursor::default(), &mut found);
    let found: Vec<_> = found.into_iter().map(|((t, p, k), (v, f))| (t, p, k, v, f)).collect();
    let expected = [
        ("doc", "b/1.jpg", "?w=1", 2, Freshness::Stale),
        ("doc", "c/1.jpg", "?w=1", 3, Freshness::Stale),
        ("doc", "c/1.jpg", "?w=2", 4, Freshness::Live),
        ("other", "a/1.jpg", "?w=1", 20, Freshness::Live),
        ("other", "a/2.jpg", "?w=1", 11, Freshness::Stale),
        ("other", "b/1.jpg", "?w=1", 12, Freshness::Stale),
        ("other", "c/1.jpg", "?w=1", 13, Freshness::Stale),
    ];
    assert_eq!(found, expected.map(|(t, p, k, v, f)| (t.into(), p.into(), k.into(), v, f)));
}

/// Buckets are merged when most of the table was flushed: records move to earlier buckets.
#[test]
fn entries_that_merges_move_back_are_exported() {
    let index = index();
    let (kept, flushed) = (index.tenant("kept"), index.tenant("flushed"));
    for n in 0..40 {
        put(&index, &kept, &numbered(n), "?w=1", n);
        for m in 0..15 {
            put(&index, &flushed, &numbered(n * 15 + m), "?w=1", n);
        }
    }
    for steps in 0..400 {
        let (mut cursor, mut found) = (ExportCursor::default(), Found::new());
        let mut has_more = true;
        for _ in 0..steps {
            has_more = step(&index, &mut cursor, &mut found, &mut 0);
        }
        if !has_more {
            break;
        }
        index.flush_tenant(&flushed, Hard);
        while !index.reclaim(10_000).is_done() {}
        finish(&index, &mut cursor, &mut found);
        found.retain(|(tenant, ..), _| tenant == "kept");
        assert_eq!(found.len(), 40, "after {steps} steps");
        for n in 0..600 {
            put(&index, &flushed, &numbered(n), "?w=1", n);
        }
    }
}

/// Splits move records to later buckets.
#[test]
fn entries_that_splits_move_on_are_exported() {
    for growth in [100, 1000] {
        let index = index();
        let tenant = index.tenant("doc");
        (0..500).for_each(|n| put(&index, &tenant, &numbered(n), "?w=1", n));
        let (mut cursor, mut found) = (ExportCursor::default(), Found::new());
        let mut next = 500;
        while step(&index, &mut cursor, &mut found, &mut 0) {
            if next < 4000 {
                (next..next + growth).for_each(|n| put(&index, &tenant, &numbered(n), "?w=1", n));
                next += growth;
            }
        }
        let found: Vec<u64> = found.into_values().map(|(value, _)| value).collect();
        assert!((0..500).all(|n| found.contains(&n)));
    }
}

fn wide(n: u64) -> VariantKey<'static> {
    variant(&format!("?w={n}"))
}

/// A path with many variants is exported in steps, whatever is stored and removed in between.
#[test]
fn variants_of_a_large_set_are_exported_in_bounded_steps() {
    let index = index();
    let (tenant, birds) = (index.tenant("doc"), path("sample.li/birds.jpg"));
    put(&index, &tenant, &path("sample.li/boat.jpg"), "?w=1", 7);
    (1..=1000).for_each(|n| put(&index, &tenant, &birds, wide(n).as_str(), n));
    let (mut cursor, mut found, mut longest) = (ExportCursor::default(), Found::new(), 0);
    let mut at = 0;
    while step(&index, &mut cursor, &mut found, &mut longest) {
        // Removes from both ends, and adds.
        at += 1;
        for n in [at, 500 - at] {
            assert_eq!(index.remove(&tenant, &birds, &wide(n), &n), Some(n));
        }
        put(&index, &tenant, &birds, wide(2000 + at).as_str(), 2000 + at);
    }
    let (removed, found) = (at, found.into_values().map(|(value, _)| value).collect::<Vec<_>>());
    assert!(removed > 100 && longest <= 9, "{removed} steps, the longest of {longest}");
    let stayed = (removed + 1..500 - removed).chain(500..=1000);
    stayed.for_each(|n| assert!(found.contains(&n), "{n} of {removed}"));
    assert!(found.contains(&7));
}

/// A purge of some variants builds a large set again, in another order.
#[test]
fn variants_of_a_large_set_that_is_built_again_are_exported() {
    for step_of_purge in 1..40 {
        let index = index();
        let (tenant, birds) = (index.tenant("doc"), path("sample.li/birds.jpg"));
        (1..=300).for_each(|n| put(&index, &tenant, &birds, wide(n).as_str(), n));
        // The last take the places of the first, so that the order is not that of their age.
        for n in 1..=150 {
            assert_eq!(index.remove(&tenant, &birds, &wide(n), &n), Some(n));
        }
        let (mut cursor, mut found) = (ExportCursor::default(), Found::new());
        let mut at = 0;
        while step(&index, &mut cursor, &mut found, &mut 0) {
            at += 1;
            if at == step_of_purge {
                let gone = [wide(200), wide(299)];
                drop(index.purge_selected(&tenant, &birds, Selection::Keys(&gone), Hard));
            }
        }
        let found: Vec<u64> = found.into_values().map(|(value, _)| value).collect();
        let mut stayed = (151..=300).filter(|n| ![200, 299].contains(n));
        assert!(stayed.all(|n| found.contains(&n)), "purge after step {step_of_purge}");
    }
}
