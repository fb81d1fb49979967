//! moka, `sync::Cache`.

use super::record::Record;
use super::{Entrant, Rendition, Usage, Version};
use moka::sync::Cache;

pub(super) const ENTRANTS: &[Entrant] = &[
    Entrant {
        peer: "moka",
        usage: "entry per rendition",
        how: "as its documentation recommends: `get_with` fills, `entry().and_upsert_with` \
              refreshes; `invalidate`, `invalidate_entries_if` for a path and a prefix, \
              `invalidate_all`.",
        make: || Box::new(PerRendition(cache())),
    },
    Entrant {
        peer: "moka",
        usage: "record per path",
        how: "by hand: a shared record per path, from `get_with` before the source is read, and \
              written into after. Eviction removes whole records only. An empty record stays \
              until it is evicted. A value written into an unlinked record is dropped without \
              notice.",
        make: || Box::new(PerPath(cache())),
    },
];

fn cache<K, V>() -> Cache<K, V>
where
    K: std::hash::Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::builder().max_capacity(1000).support_invalidation_closures().build()
}

struct PerRendition(Cache<(&'static str, &'static str), Version>);

impl PerRendition {
    fn purge_if(&self, covers: impl Fn(&str) -> bool + Send + Sync + 'static) {
        self.0
            .invalidate_entries_if(move |(path, _), _| covers(path))
            .expect("invalidation closures are supported");
    }
}

impl Usage for PerRendition {
    fn lookup(&self, rendition: Rendition) -> Option<Version> {
        self.0.get(&(rendition.path, rendition.variant))
    }

    fn fill(&self, rendition: Rendition, read: &dyn Fn() -> Version) {
        self.0.get_with((rendition.path, rendition.variant), read);
    }

    fn refresh(&self, rendition: Rendition, read: &dyn Fn() -> Version) {
        self.0.entry((rendition.path, rendition.variant)).and_upsert_with(|_| read());
    }

    fn purge_variant(&self, rendition: Rendition) {
        self.0.invalidate(&(rendition.path, rendition.variant));
    }

    fn purge_path(&self, purged: &'static str) {
        self.purge_if(move |path| path == purged);
    }

    fn purge_prefix(&self, prefix: &'static str) {
        self.purge_if(move |path| path.starts_with(prefix));
    }

    fn flush_all(&self) {
        self.0.invalidate_all();
    }
}

struct PerPath(Cache<&'static str, Record>);

impl Usage for PerPath {
    fn lookup(&self, rendition: Rendition) -> Option<Version> {
        self.0.get(rendition.path)?.get(rendition.variant)
    }

    fn fill(&self, rendition: Rendition, read: &dyn Fn() -> Version) {
        let record = self.0.get_with(rendition.path, Record::default);
        record.fill(rendition.variant, read);
    }

    fn purge_variant(&self, rendition: Rendition) {
        if let Some(record) = self.0.get(rendition.path) {
            record.remove(rendition.variant);
        }
    }

    fn purge_path(&self, path: &'static str) {
        self.0.invalidate(path);
    }

    fn purge_prefix(&self, prefix: &'static str) {
        self.0
            .invalidate_entries_if(move |path, _| path.starts_with(prefix))
            .expect("invalidation closures are supported");
    }

    fn flush_all(&self) {
        self.0.invalidate_all();
    }
}
