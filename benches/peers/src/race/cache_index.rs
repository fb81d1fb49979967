//! This crate: a lease before the source is read, committed afterwards.

use super::{Entrant, Rendition, Usage, Version};
use cache_index::{
    CacheIndex, Hard, Insertion, OriginPath, PathPrefix, Selection, Tenant, VariantKey,
};

pub(super) const ENTRANTS: &[Entrant] = &[Entrant {
    peer: "cache-index",
    usage: "lease",
    how: "`lease` before the source is read, `commit` after; `purge_selected` for a variant, \
          `purge`, `purge_prefix`, `flush_all`, all `Hard`. A flush and a prefix purge visit no \
          entry; a refused commit returns the value.",
    make: || {
        let index = CacheIndex::default();
        let tenant = index.tenant("doc");
        Box::new(Leased { index, tenant })
    },
}];

struct Leased {
    index: CacheIndex<Version>,
    tenant: Tenant,
}

fn path(text: &'static str) -> OriginPath<'static> {
    OriginPath::from_canonical(text).expect("the race's paths are canonical")
}

fn variant(text: &'static str) -> VariantKey<'static> {
    VariantKey::from_canonical(text).expect("the race's variants are canonical")
}

impl Usage for Leased {
    fn lookup(&self, rendition: Rendition) -> Option<Version> {
        self.index
            .lookup(&self.tenant, &path(rendition.path), &variant(rendition.variant))
            .servable()
    }

    fn fill(&self, rendition: Rendition, read: &dyn Fn() -> Version) {
        let lease = self.index.lease(&self.tenant, &path(rendition.path));
        let picture = read();
        match lease.commit(&variant(rendition.variant), picture) {
            Insertion::Stored(_) => {}
            // Good enough for the one client that waits for it; nobody else will be served it.
            Insertion::Refused(refused) => assert_eq!(refused.value, picture),
        }
    }

    fn purge_variant(&self, rendition: Rendition) {
        let keys = [variant(rendition.variant)];
        let path = path(rendition.path);
        drop(self.index.purge_selected(&self.tenant, &path, Selection::Keys(&keys), Hard));
    }

    fn purge_path(&self, text: &'static str) {
        drop(self.index.purge(&self.tenant, &path(text), Hard));
    }

    fn purge_prefix(&self, text: &'static str) {
        let prefix = PathPrefix::from_canonical(text).expect("the race's prefix is canonical");
        self.index.purge_prefix(&self.tenant, &prefix, Hard);
    }

    fn flush_all(&self) {
        self.index.flush_all(Hard);
    }
}
