//! Bodies of invalidation requests:
//! - None causes a panic.
//! - An error has a position and repeats no input.
//! - The outcome of a valid request on an index equals its dry run.
#![no_main]

use cache_index::canonical::{Grouping, Rules, Target, V7};
use cache_index::invalidation::{
    EntryOutcome, EntryReceipt, InvalidationErrorKind, InvalidationLimits, InvalidationRequest,
    InvalidationScope,
};
use cache_index::{CacheIndex, Lookup, OriginPath, Severity, Tenant, VariantKey};

/// Longer requests are slower, and shorter ones find the same bugs.
const MOST_ENTRIES: usize = 8;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, body)) = data.split_first() else { return };
    let limits = InvalidationLimits::builder().entries(MOST_ENTRIES).depth(8).build().unwrap();
    let rules = rules(*choice);
    match InvalidationRequest::from_json(body, &rules, &limits) {
        Ok(request) => applied(&request),
        Err(error) => {
            let text = error.to_string();
            assert!(text.len() < 120 && text.is_ascii(), "{text}");
            assert_eq!(
                error.path_error().is_some(),
                error.kind() == InvalidationErrorKind::BadEntry
            );
            assert!(error.entry_index().is_none_or(|at| at < MOST_ENTRIES.max(50)));
            if error.kind() == InvalidationErrorKind::NotJson {
                assert!(serde_json::from_slice::<serde_json::Value>(body).is_err(), "{text}");
            }
        }
    }
});

fn rules(choice: u8) -> Rules {
    let v7 = [V7::Never, V7::Required, V7::Optional, V7::Never][usize::from(choice & 3)];
    let grouping = if choice & 4 == 0 { Grouping::Exact } else { Grouping::Grouped };
    let mut rules = Rules::builder().token("doc").v7(v7).grouping(grouping);
    if choice & 8 == 0 {
        rules = rules.allow_wildcards();
    }
    if choice & 16 != 0 {
        rules = rules.prefix("https://hello.s3.aws.com/");
    }
    rules.build().unwrap()
}

/// Fills an index with the entries that the request names, and with others that it may name, and
/// applies the request.
fn applied(request: &InvalidationRequest) {
    let index = CacheIndex::<usize>::default();
    let tenant = index.tenant("doc");
    let stored = fill(&index, &tenant, request);

    let forecast = index.dry_run(&tenant, request);
    for (path, key, value) in &stored {
        assert_eq!(
            index.lookup(&tenant, path, key),
            Lookup::Live(*value),
            "a dry run changed something"
        );
    }
    let receipt = index.apply(&tenant, request);
    assert!(receipt.generation() > forecast.generation());
    for (entry, foretold) in receipt.entries().iter().zip(forecast.entries()) {
        assert_eq!(entry.entry_index(), foretold.entry_index());
        if !matches!(entry.outcome(), EntryOutcome::Invalidated | EntryOutcome::NotCounted) {
            assert_eq!(entry.outcome(), foretold.outcome());
            assert_eq!(entry.variants(), foretold.variants());
            assert_eq!(entry.overtaken_fills(), foretold.overtaken_fills());
        }
    }
    let mut gone: Vec<_> = receipt.entries().iter().flat_map(EntryReceipt::removed).collect();
    for (path, key, value) in &stored {
        let expected = match (is_named(request, path, key), request.severity()) {
            (false, _) => Lookup::Live(*value),
            (true, Severity::Soft) => Lookup::Stale(*value),
            (true, Severity::Hard) => Lookup::Miss,
        };
        assert_eq!(index.lookup(&tenant, path, key), expected, "{path} {key}");
        gone.retain(|(_, other)| other != value);
    }
    assert!(gone.is_empty(), "values that nobody stored: {gone:?}");
    index.check_invariants();
}

fn fill(
    index: &CacheIndex<usize>,
    tenant: &Tenant,
    request: &InvalidationRequest,
) -> Vec<(OriginPath<'static>, VariantKey<'static>, usize)> {
    let mut paths = vec![OriginPath::from_canonical("sample.li/birds.jpg").unwrap()];
    paths.extend(request.entries().iter().filter_map(|entry| match entry.target() {
        Target::Path(path) => Some(path.clone()),
        Target::Prefix(_) => None,
    }));
    paths.dedup();
    let mut keys =
        ["?", "?w=200", "?h=9&w=200"].map(|key| VariantKey::from_canonical(key).unwrap()).to_vec();
    keys.extend(request.entries().iter().filter_map(|entry| entry.variant().cloned()));
    let mut stored: Vec<(OriginPath<'static>, VariantKey<'static>, usize)> = Vec::new();
    for path in &paths {
        for key in &keys {
            if stored.iter().all(|(p, k, _)| (p, k) != (path, key)) {
                let value = stored.len();
                assert!(index.insert(tenant, path, key, value).is_stored());
                stored.push((path.clone(), key.clone(), value));
            }
        }
    }
    stored
}

/// From the definition.
fn is_named(request: &InvalidationRequest, path: &OriginPath<'_>, key: &VariantKey<'_>) -> bool {
    if request.scope() == InvalidationScope::All {
        return true;
    }
    request.entries().iter().any(|entry| match entry.target() {
        Target::Prefix(prefix) => prefix.contains(path),
        Target::Path(named) if named != path => false,
        Target::Path(_) => match entry.variant() {
            Some(variant) => variant.covers(key) || key.operations() == "?",
            None => {
                let picks = request.transformations();
                picks.is_empty() || picks.iter().any(|operations| operations.matches(key))
            }
        },
    })
}
