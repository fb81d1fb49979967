//! DashMap, from a path to the set of its variants, with the rest written by hand.

use super::record::Record;
use super::{Entrant, Rendition, Usage, Version};
use dashmap::DashMap;
use std::collections::HashMap;

pub(super) const ENTRANTS: &[Entrant] = &[
    Entrant {
        peer: "dashmap",
        usage: "map per path",
        how: "the first attempt of most users: from a path to a map of its variants; \
              `entry().or_default().insert` after the source is read; `remove`, `retain` for a \
              prefix, `clear`.",
        make: || Box::new(MapPerPath::default()),
    },
    Entrant {
        peer: "dashmap",
        usage: "record per path",
        how: "by hand: a shared record per path, from `entry().or_default()` before the source \
              is read, and written into after. `retain` and `clear` visit all paths. A failed \
              fetch leaves an empty record. A value written into an unlinked record is dropped \
              without notice.",
        make: || Box::new(RecordPerPath::default()),
    },
];

#[derive(Default)]
struct MapPerPath(DashMap<&'static str, HashMap<&'static str, Version>>);

impl Usage for MapPerPath {
    fn lookup(&self, rendition: Rendition) -> Option<Version> {
        self.0.get(rendition.path)?.get(rendition.variant).copied()
    }

    fn fill(&self, rendition: Rendition, read: &dyn Fn() -> Version) {
        // Not with the entry's guard held: that would lock out a whole shard for as long as the
        // source takes.
        let picture = read();
        self.0.entry(rendition.path).or_default().insert(rendition.variant, picture);
    }

    fn purge_variant(&self, rendition: Rendition) {
        if let Some(mut variants) = self.0.get_mut(rendition.path) {
            variants.remove(rendition.variant);
        }
    }

    fn purge_path(&self, path: &'static str) {
        self.0.remove(path);
    }

    fn purge_prefix(&self, prefix: &'static str) {
        self.0.retain(|path, _| !path.starts_with(prefix));
    }

    fn flush_all(&self) {
        self.0.clear();
    }
}

#[derive(Default)]
struct RecordPerPath(DashMap<&'static str, Record>);

impl Usage for RecordPerPath {
    fn lookup(&self, rendition: Rendition) -> Option<Version> {
        self.0.get(rendition.path)?.get(rendition.variant)
    }

    fn fill(&self, rendition: Rendition, read: &dyn Fn() -> Version) {
        let record = self.0.entry(rendition.path).or_default().clone();
        record.fill(rendition.variant, read);
    }

    fn purge_variant(&self, rendition: Rendition) {
        if let Some(record) = self.0.get(rendition.path) {
            record.remove(rendition.variant);
        }
    }

    fn purge_path(&self, path: &'static str) {
        self.0.remove(path);
    }

    fn purge_prefix(&self, prefix: &'static str) {
        self.0.retain(|path, _| !path.starts_with(prefix));
    }

    fn flush_all(&self) {
        self.0.clear();
    }
}
