//! Exports and restores, on the index and on the model.

use super::{Pair, VARIANTS};
use crate::common::model::{Tenant, Value};
use cache_index::{ExportCursor, Freshness, Refusal};
use std::collections::{BTreeMap, BTreeSet};

type Entries = BTreeMap<(Tenant, usize, usize), (Value, bool)>;

/// An export that is under way.
#[derive(Default)]
pub(super) struct Export {
    cursor: ExportCursor,
    /// The values that were there from the first step until now.
    stayed: BTreeSet<Value>,
    exported: BTreeSet<Value>,
}

fn values(entries: &Entries) -> BTreeSet<Value> {
    entries.values().map(|(value, _)| *value).collect()
}

impl Pair {
    /// Goes on with the export, or begins one.
    pub(super) fn export_some(&mut self, steps: usize) {
        let expected = self.model.servable();
        let mut export = self
            .export
            .take()
            .unwrap_or_else(|| Export { stayed: values(&expected), ..Export::default() });
        export.stayed = &export.stayed & &values(&expected);
        for _ in 0..steps {
            let Some(found) = self.export_step(&mut export.cursor) else {
                let missing: Vec<_> = export.stayed.difference(&export.exported).collect();
                assert!(missing.is_empty(), "not exported: {missing:?}");
                return;
            };
            for (key, entry) in found {
                assert_eq!(expected.get(&key), Some(&entry), "{key:?} was exported");
                export.exported.insert(entry.0);
            }
        }
        self.export = Some(export);
    }

    fn export_step(&self, cursor: &mut ExportCursor) -> Option<Entries> {
        let mut found = Entries::new();
        for path in self.index.export(cursor, 3)? {
            let t = self.tenants.iter().position(|tenant| *tenant == path.tenant).unwrap();
            let p = self.paths.iter().position(|name| *name == path.path).unwrap();
            for (key, value, freshness) in path.entries {
                let v = self.keys.iter().position(|name| *name == key).unwrap();
                let is_stale = freshness == Freshness::Stale;
                let earlier = found.insert((t, p, v), (value, is_stale));
                assert_eq!(earlier, None, "twice in one step");
            }
        }
        Some(found)
    }

    /// A whole export while nothing changes: exactly the entries that may be served.
    pub(super) fn export_all(&mut self) {
        let (mut cursor, mut found) = (ExportCursor::default(), Entries::new());
        while let Some(step) = self.export_step(&mut cursor) {
            found.extend(step);
        }
        assert_eq!(found, self.model.servable());
    }

    /// Restores variants from `first` on, around, every third of them stale.
    pub(super) fn restore_some(&mut self, t: usize, p: usize, first: usize, count: usize) {
        let Some((restore, began)) = self.restore.take() else { return };
        let (mut entries, mut stored, mut refused) = (Vec::new(), 0, Vec::new());
        for v in (first..first + count).map(|v| v % VARIANTS) {
            let (value, is_stale) = (self.value(), v % 3 == 2);
            let freshness = if is_stale { Freshness::Stale } else { Freshness::Live };
            entries.push((self.keys[v].clone(), value, freshness));
            match self.model.restore((t, p, v), value, is_stale, began) {
                None => stored += 1,
                Some(reason) => refused.push((value, reason)),
            }
        }
        let restored = restore.path(&self.tenants[t], &self.paths[p], entries);
        self.restore = Some((restore, began));
        assert_eq!(restored.stored, stored);
        let mut reasons: Vec<(Value, Refusal)> =
            restored.refused.into_iter().map(|refused| (refused.value, refused.reason)).collect();
        reasons.sort_by_key(|(value, _)| *value);
        assert_eq!(reasons, refused);
    }
}
