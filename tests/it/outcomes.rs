//! The texts and conversions of outcomes.

use crate::common::{path, variant};
use cache_index::{
    CacheIndex, Config, DeadValues, Hard, Lookup, PathPrefix, Refusal, Severity, Soft,
};

#[test]
fn only_a_miss_has_nothing_to_serve() {
    assert_eq!(Lookup::Live(1).servable(), Some(1));
    assert_eq!(Lookup::Stale(2).servable(), Some(2));
    assert_eq!(Lookup::<u64>::Miss.servable(), None);
}

#[test]
fn refusals_and_severities_have_their_words() {
    for (refusal, words) in [
        (Refusal::Purged, "purged"),
        (Refusal::Flushed, "flushed"),
        (Refusal::TooManyVariants, "too many variants of the path"),
        (Refusal::TooManyPaths, "too many paths"),
        (Refusal::TooManyEntries, "too many entries"),
        (Refusal::PathTooLong, "path too long"),
        (Refusal::KeyTooLong, "variant key too long"),
    ] {
        assert_eq!(refusal.to_string(), words);
    }
    assert_eq!([Severity::Hard, Severity::Soft].map(|s| s.to_string()), ["hard", "soft"]);
}

#[test]
fn what_is_handed_over_says_how_much_of_it_is_left() {
    let config = Config::builder().dead_values(DeadValues::Queue);
    let index = CacheIndex::new(config.build().unwrap());
    let (tenant, birds) = (index.tenant("doc"), path("sample.li/birds.jpg"));
    let fill = || {
        for n in 0..3 {
            let key = variant(&format!("?w={n}"));
            assert!(index.insert(&tenant, &birds, &key, n).is_stored());
        }
    };

    fill();
    let gone = index.purge(&tenant, &birds, Hard);
    assert!(!gone.is_empty());
    let mut gone = gone.into_iter();
    assert!(gone.len() == 3 && gone.next().is_some() && gone.len() == 2);
    assert!(index.purge(&tenant, &birds, Hard).is_empty());

    fill();
    index.flush_all(Hard);
    let dead = index.reclaim(10);
    assert!(!dead.is_empty());
    let mut dead = dead.into_iter();
    assert!(dead.len() == 3 && dead.next().is_some() && dead.len() == 2);
    assert!(index.reclaim(10).is_empty());
}

#[test]
fn soft_purge_tells_what_became_stale_from_what_was() {
    let index = CacheIndex::default();
    let (tenant, birds) = (index.tenant("doc"), path("sample.li/birds.jpg"));
    for n in 0..3 {
        assert!(index.insert(&tenant, &birds, &variant(&format!("?w={n}")), n).is_stored());
    }
    let softened = index.purge(&tenant, &birds, Soft);
    assert_eq!((softened.len(), softened.stale_before(), softened.is_empty()), (3, 0, false));
    assert!(index.insert(&tenant, &birds, &variant("?w=0"), 9).is_stored());
    let softened = index.purge(&tenant, &birds, Soft);
    assert_eq!((softened.len(), softened.stale_before(), softened.is_empty()), (1, 2, false));
    let softened = index.purge(&tenant, &birds, Soft);
    assert_eq!((softened.len(), softened.stale_before(), softened.is_empty()), (0, 3, true));
}

#[test]
fn invalidations_are_counted_by_their_kind_and_numbered_in_turn() {
    let index = CacheIndex::<u64>::default();
    let (tenant, birds) = (index.tenant("doc"), path("sample.li/birds.jpg"));
    let prefix = PathPrefix::from_canonical("sample.li/").unwrap();
    let mut numbers = Vec::new();
    for _ in 0..2 {
        numbers.push(index.flush_all(Soft).generation());
        for _ in 0..2 {
            numbers.push(index.flush_tenant(&tenant, Hard).generation());
            for _ in 0..2 {
                numbers.push(index.purge_prefix(&tenant, &prefix, Soft).generation());
                numbers.push(index.purge(&tenant, &birds, Hard).generation());
                numbers.push(index.purge(&tenant, &birds, Soft).generation());
            }
        }
    }
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    let stats = index.stats();
    let counted = (stats.flushes, stats.tenant_flushes, stats.prefix_purges, stats.purges);
    assert_eq!(counted, (2, 4, 8, 16));
    assert_eq!((stats.tenants, stats.prefix_rules), (1, 1));
}
