//! This crate, with its defaults.

use super::{Peer, Room, Shared};
use crate::site::Payload;
use cache_index::{
    CacheIndex, Hard, Insertion, Lookup, OriginPath, PathPrefix, Tenant, VariantKey,
};

struct Ours<V> {
    index: CacheIndex<V>,
    tenant: Tenant,
}

pub(super) fn make<V: Payload>(room: Room) -> Shared<V> {
    let index = CacheIndex::default();
    index.begin_restore().reserve(room.paths);
    let tenant = index.tenant("site");
    Box::new(Ours { index, tenant })
}

fn replaced<V: Payload>(insertion: Insertion<V>) -> Option<V> {
    match insertion {
        Insertion::Stored(stored) => stored.replaced,
        Insertion::Refused(refused) => unreachable!("{}", refused.reason),
    }
}

impl<V: Payload> Peer<V> for Ours<V> {
    fn look_up(&self, path: &OriginPath<'_>, key: &VariantKey<'_>) -> Option<V> {
        self.index.lookup(&self.tenant, path, key).servable()
    }

    fn look_up_many(
        &self,
        asked: &[(&OriginPath<'_>, &VariantKey<'_>)],
        found: &mut Vec<Option<V>>,
    ) {
        let answers = self.index.lookup_many(&self.tenant, asked);
        found.extend(answers.into_iter().map(Lookup::servable));
    }

    fn insert(&self, path: &OriginPath<'_>, key: &VariantKey<'_>, value: V) -> Option<V> {
        replaced(self.index.insert(&self.tenant, path, key, value))
    }

    fn fill(&self, path: &OriginPath<'_>, key: &VariantKey<'_>, value: V) -> Option<V> {
        match self.index.lease(&self.tenant, path).commit(key, value) {
            Insertion::Stored(stored) => stored.replaced,
            // Another thread has purged the path in between.
            Insertion::Refused(_) => None,
        }
    }

    fn purge(&self, path: &OriginPath<'_>, gone: &mut dyn FnMut(&str, V)) {
        let purged = self.index.purge(&self.tenant, path, Hard);
        purged.visit(|key, value| gone(key.as_str(), value));
    }

    fn purge_prefix(&self, prefix: &PathPrefix<'_>) {
        self.index.purge_prefix(&self.tenant, prefix, Hard);
    }

    fn flush_tenant(&self) {
        self.index.flush_tenant(&self.tenant, Hard);
    }

    fn flush_all(&self) {
        self.index.flush_all(Hard);
    }

    fn reclaim(&self) {
        while !self.index.reclaim(100_000).is_done() {}
    }
}
