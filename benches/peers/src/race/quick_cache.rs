//! quick_cache, `sync::Cache`.

use super::{Entrant, Rendition, Usage, Version};
use parking_lot::Mutex;
use quick_cache::sync::{Cache, EntryAction, EntryResult, GuardResult};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const ENTRANTS: &[Entrant] = &[
    Entrant {
        peer: "quick_cache",
        usage: "entry per rendition",
        how: "as its documentation recommends: a placeholder guard (from `get_value_or_guard`, \
              or from `entry` to refresh) is held while the source is read; `remove`, `retain` \
              for a path and a prefix, `clear`.",
        make: || Box::new(PerRendition::default()),
    },
    Entrant {
        peer: "quick_cache",
        usage: "entry per rendition, names beside",
        how: "by hand: a sorted set of names beside the cache. A fill adds its name after \
              taking its guard and before reading the source, so that a purge finds its \
              placeholder and can `remove` it. This is a second copy of all names, under its \
              own lock. Names of evicted entries stay. A prefix purge visits all names under \
              the prefix.",
        make: || Box::new(NamesBeside::default()),
    },
];

type Key = (&'static str, &'static str);

struct PerRendition(Cache<Key, Version>);

impl Default for PerRendition {
    fn default() -> Self {
        Self(Cache::new(1000))
    }
}

impl Usage for PerRendition {
    fn lookup(&self, rendition: Rendition) -> Option<Version> {
        self.0.get(&(rendition.path, rendition.variant))
    }

    fn fill(&self, rendition: Rendition, read: &dyn Fn() -> Version) {
        let key = (rendition.path, rendition.variant);
        if let GuardResult::Guard(guard) = self.0.get_value_or_guard(&key, None) {
            // An error hands the value back: the placeholder has gone, the fill is refused.
            let _ = guard.insert(read());
        }
    }

    fn refresh(&self, rendition: Rendition, read: &dyn Fn() -> Version) {
        let key = (rendition.path, rendition.variant);
        let anew = |_: &Key, _: &mut Version| EntryAction::<()>::ReplaceWithGuard;
        if let EntryResult::Replaced(guard, _) | EntryResult::Vacant(guard) =
            self.0.entry(&key, None, anew)
        {
            let _ = guard.insert(read());
        }
    }

    fn purge_variant(&self, rendition: Rendition) {
        self.0.remove(&(rendition.path, rendition.variant));
    }

    fn purge_path(&self, purged: &'static str) {
        self.0.retain(|(path, _), _| *path != purged);
    }

    fn purge_prefix(&self, prefix: &'static str) {
        self.0.retain(|(path, _), _| !path.starts_with(prefix));
    }

    fn flush_all(&self) {
        self.0.clear();
    }
}

#[derive(Default)]
struct NamesBeside {
    cache: PerRendition,
    names: Mutex<BTreeMap<&'static str, BTreeSet<&'static str>>>,
}

impl NamesBeside {
    // Not before the guard: a purge between the two would forget the name and leave the entry. Not
    // after the reading: a purge between the two would not find the placeholder.
    fn enter(&self, rendition: Rendition) {
        self.names.lock().entry(rendition.path).or_default().insert(rendition.variant);
    }

    fn remove(&self, path: &'static str, variants: BTreeSet<&'static str>) {
        for variant in variants {
            self.cache.0.remove(&(path, variant));
        }
    }
}

impl Usage for NamesBeside {
    fn lookup(&self, rendition: Rendition) -> Option<Version> {
        self.cache.lookup(rendition)
    }

    fn fill(&self, rendition: Rendition, read: &dyn Fn() -> Version) {
        self.cache.fill(rendition, &|| {
            self.enter(rendition);
            read()
        });
    }

    fn refresh(&self, rendition: Rendition, read: &dyn Fn() -> Version) {
        self.cache.refresh(rendition, &|| {
            self.enter(rendition);
            read()
        });
    }

    // The name stays: taking it away could lose that of a fill which has just begun.
    fn purge_variant(&self, rendition: Rendition) {
        self.cache.purge_variant(rendition);
    }

    fn purge_path(&self, path: &'static str) {
        let variants = self.names.lock().remove(path);
        self.remove(path, variants.unwrap_or_default());
    }

    fn purge_prefix(&self, prefix: &'static str) {
        let under: Vec<_> = {
            let mut names = self.names.lock();
            let paths = names.range(prefix..).map(|(path, _)| *path);
            let paths: Vec<_> = paths.take_while(|path| path.starts_with(prefix)).collect();
            paths.into_iter().filter_map(|path| names.remove_entry(path)).collect()
        };
        for (path, variants) in under {
            self.remove(path, variants);
        }
    }

    fn flush_all(&self) {
        self.names.lock().clear();
        self.cache.flush_all();
    }
}
