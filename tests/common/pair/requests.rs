//! Requests to invalidate, on both sides: the forecast of a dry run, the effect, and the receipt.

use super::super::model::{Met, Mode, PATHS, PREFIXES, Scope, Value, Variant};
use super::{Pair, of_width};
use cache_index::Severity;
use cache_index::canonical::{Root, Rules};
use cache_index::invalidation::{EntryOutcome, EntryReceipt, InvalidationRequest};
use std::collections::BTreeSet;

impl Pair {
    pub(super) fn request_all(&mut self, t: usize, mode: Mode) {
        let request = InvalidationRequest::all(severity(mode));
        let all = self.model.extent(t, "", mode);
        self.expect_forecast(t, &request, &[all]);
        let receipt = self.index.apply(&self.tenants[t], &request);
        assert_eq!(receipt.entries()[0].outcome(), EntryOutcome::Invalidated);
        self.model.invalidate(Scope::Tenant(t), mode);
    }

    pub(super) fn request(
        &mut self,
        t: usize,
        entries: &[usize],
        width: Option<usize>,
        mode: Mode,
    ) {
        if entries.is_empty() {
            return;
        }
        let rules = Rules::builder().allow_wildcards().root(Root::Path).build().unwrap();
        let is_prefix = |entry: usize| entry >= PATHS.len();
        let width = width.filter(|_| !entries.iter().any(|entry| is_prefix(*entry)));
        let texts = entries.iter().map(|&entry| match entry.checked_sub(PATHS.len()) {
            None => format!("/{}", PATHS[entry]),
            Some(prefix) => format!("{}*", PREFIXES[prefix]),
        });
        let mut builder = InvalidationRequest::builder(&rules).severity(severity(mode));
        if let Some(width) = width {
            builder = builder.transformations([format!("?w={width}")]);
        }
        let request = builder.original(texts).unwrap();

        let named = unique(entries);
        assert_eq!(request.duplicates(), entries.len() - named.len());
        let forecast: Vec<_> = named
            .iter()
            .map(|&entry| match entry.checked_sub(PATHS.len()) {
                None => self.model.met(t, entry, width.map_or(u64::MAX, of_width), mode),
                Some(prefix) => self.model.extent(t, PREFIXES[prefix], mode),
            })
            .collect();
        self.expect_forecast(t, &request, &forecast);

        let receipt = self.index.apply(&self.tenants[t], &request);
        // Pictures first.
        for (at, &entry) in named.iter().enumerate().filter(|(_, entry)| !is_prefix(**entry)) {
            let scope = width
                .map_or(Scope::Path(t, entry), |width| Scope::Variants(t, entry, of_width(width)));
            let gone = self.model.invalidate(scope, mode);
            self.expect_entry(&receipt.entries()[at], forecast[at], gone, mode);
        }
        for (at, &entry) in named.iter().enumerate().filter(|(_, entry)| is_prefix(**entry)) {
            self.model.invalidate(Scope::Prefix(t, PREFIXES[entry - PATHS.len()]), mode);
            assert_eq!(receipt.entries()[at].outcome(), EntryOutcome::NotCounted);
            assert_eq!(receipt.entries()[at].variants(), None);
            self.unsettled = true;
        }
    }

    pub(super) fn request_urls(&mut self, t: usize, variants: &[(usize, usize)], mode: Mode) {
        if variants.is_empty() {
            return;
        }
        let rules = Rules::builder().root(Root::Path).build().unwrap();
        let texts = variants.iter().map(|(p, v)| format!("/{}{}", PATHS[*p], self.keys[*v]));
        let builder = InvalidationRequest::builder(&rules).severity(severity(mode));
        let request = builder.urls(texts).unwrap();
        let named = unique(variants);
        // The copy is removed with the entry that names it, or else with the first entry of its
        // path.
        let takes_copy = |at: usize| {
            let (p, v) = named[at];
            let first = named.iter().position(|(path, _)| *path == p) == Some(at);
            v == 0 || (first && !named.contains(&(p, 0)))
        };
        let masks: Vec<u64> =
            (0..named.len()).map(|at| 1 << named[at].1 | u64::from(takes_copy(at))).collect();
        let forecast: Vec<_> = (named.iter().zip(&masks).enumerate())
            .map(|(at, (&(p, _), &mask))| {
                let first = named.iter().position(|(path, _)| *path == p) == Some(at);
                let met = self.model.met(t, p, mask, mode);
                Met { fills: if first { met.fills } else { 0 }, ..met }
            })
            .collect();
        self.expect_forecast(t, &request, &forecast);
        let receipt = self.index.apply(&self.tenants[t], &request);
        for (at, &(p, v)) in named.iter().enumerate() {
            let mut gone = self.model.invalidate(Scope::Variants(t, p, 1 << v), mode);
            if takes_copy(at) && v != 0 {
                gone.extend(self.model.invalidate(Scope::Variants(t, p, 1), mode));
            }
            let entry = &receipt.entries()[at];
            let copy_alone = entry.outcome() == EntryOutcome::OriginCopyOnly;
            let copy = forecast[at].changed + forecast[at].stale > 0;
            assert!(!copy_alone || (takes_copy(at) && v != 0 && copy), "{entry:?}");
            assert!(!copy_alone || gone.iter().all(|(v, _)| *v == 0), "{entry:?}");
            self.expect_entry(entry, forecast[at], gone, mode);
        }
    }

    /// A dry run must return the forecast of the model.
    fn expect_forecast(&self, t: usize, request: &InvalidationRequest, expected: &[Met]) {
        let receipt = self.index.dry_run(&self.tenants[t], request);
        assert_eq!(receipt.entries().len(), expected.len());
        for (entry, met) in receipt.entries().iter().zip(expected) {
            assert_eq!(entry.variants(), Some(met.changed), "{entry:?}");
            assert_eq!(entry.overtaken_fills(), Some(met.fills), "{entry:?}");
            assert_eq!(entry.stale_before().unwrap_or_default(), met.stale, "{entry:?}");
        }
    }

    fn expect_entry(
        &self,
        entry: &EntryReceipt<Value>,
        met: Met,
        gone: Vec<(Variant, Value)>,
        mode: Mode,
    ) {
        assert_eq!(entry.variants(), Some(gone.len()), "{entry:?}");
        assert_eq!(entry.variants(), Some(met.changed), "{entry:?}");
        assert_eq!(entry.overtaken_fills(), Some(met.fills), "{entry:?}");
        assert_eq!(entry.stale_before(), (mode == Mode::Soft).then_some(met.stale), "{entry:?}");
        let nothing = met.changed + met.stale + met.fills == 0;
        assert_eq!(entry.outcome() == EntryOutcome::MatchedNothing, nothing, "{entry:?}");
        if mode == Mode::Hard {
            let removed: BTreeSet<_> = entry.removed().iter().cloned().collect();
            let gone = gone.into_iter().map(|(v, value)| (self.keys[v].clone(), value));
            assert_eq!(removed, gone.collect());
        } else {
            assert!(entry.removed().is_empty());
        }
    }
}

/// Returns the named items without duplicates.
fn unique<T: Copy + PartialEq>(list: &[T]) -> Vec<T> {
    let mut seen = Vec::new();
    for item in list {
        if !seen.contains(item) {
            seen.push(*item);
        }
    }
    seen
}

fn severity(mode: Mode) -> Severity {
    match mode {
        Mode::Hard => Severity::Hard,
        Mode::Soft => Severity::Soft,
    }
}
