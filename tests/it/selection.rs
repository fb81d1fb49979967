//! Purges of some variants of a path.

use crate::common::{path, variant};
use cache_index::canonical::Rules;
use cache_index::{CacheIndex, Hard, Lookup, Selection, Soft};

fn cached(keys: &[&str]) -> (CacheIndex<u64>, cache_index::Tenant) {
    let index = CacheIndex::default();
    let tenant = index.tenant("doc");
    for (key, value) in keys.iter().zip(0..) {
        let insertion = index.insert(&tenant, &path("a/b.jpg"), &variant(key), value);
        assert!(insertion.is_stored());
    }
    (index, tenant)
}

#[test]
fn exact_key_takes_that_variant_alone() {
    let (index, tenant) = cached(&["?w=60", "?w=600", "?h=1&w=60"]);
    let keys = [variant("?w=60"), variant("?w=7")];
    let gone = index.purge_selected(&tenant, &path("a/b.jpg"), Selection::Keys(&keys), Hard);
    assert_eq!(gone.into_iter().collect::<Vec<_>>(), [(variant("?w=60"), 0)]);
    assert_eq!(index.stats().live, 2);
}

#[test]
fn operations_take_every_variant_that_includes_all_of_one_entry() {
    let (index, tenant) = cached(&["?w=200", "?h=1&w=200", "?w=2000", "?h=1&q=5"]);
    let rules = Rules::default();
    let entries = [rules.operations("?w=200").unwrap(), rules.operations("q=5&h=1").unwrap()];
    let selection = Selection::Operations(&entries);
    let softened = index.purge_selected(&tenant, &path("a/b.jpg"), selection, Soft);
    assert_eq!(softened.len(), 3);
    let lookup = |key| index.lookup(&tenant, &path("a/b.jpg"), &variant(key));
    assert_eq!(lookup("?w=2000"), Lookup::Live(2));
    assert_eq!(lookup("?h=1&q=5"), Lookup::Stale(3));

    let gone = index.purge_selected(&tenant, &path("a/b.jpg"), selection, Hard);
    assert_eq!(gone.len(), 3);
    let stats = index.stats();
    assert_eq!((stats.live, stats.stale, stats.paths), (1, 0, 1));
}

#[test]
fn purge_of_the_last_variants_by_name_leaves_no_path_and_refuses_open_fills() {
    let (index, tenant) = cached(&["?w=1", "?w=2"]);
    let lease = index.lease(&tenant, &path("a/b.jpg"));
    let keys = [variant("?w=1"), variant("?w=2")];
    let gone = index.purge_selected(&tenant, &path("a/b.jpg"), Selection::Keys(&keys), Hard);
    assert_eq!((gone.len(), gone.overtaken_fills()), (2, 1));
    assert!(!lease.commit(&variant("?w=3"), 9).is_stored());
    assert_eq!(index.stats().paths, 0);
}
