//! `cache-index-persist`.

use crate::Outcome;
use crate::job::{Entry, Store, TENANT};
use cache_index::{Hard, Lookup, OriginPath, Tenant, VariantKey};
use cache_index_persist::{PersistConfig, Persistent, Recovery};
use std::path::Path;

pub(crate) struct Ours {
    index: Persistent<u64>,
    tenant: Tenant,
}

impl Store for Ours {
    const NAME: &'static str = "cache-index-persist";

    fn open(dir: &Path) -> Outcome<Option<Self>> {
        let config = PersistConfig::builder().snapshot_every(None).build()?;
        let index = Persistent::open(dir, config)?;
        if matches!(index.recovery(), Recovery::Cold { .. }) {
            return Ok(None);
        }
        let tenant = index.tenant(TENANT);
        Ok(Some(Self { index, tenant }))
    }

    fn insert(&self, path: &OriginPath<'_>, key: &VariantKey<'_>, value: u64) {
        assert!(self.index.insert(&self.tenant, path, key, value).is_stored());
    }

    fn look_up(&self, path: &OriginPath<'_>, key: &VariantKey<'_>) -> Entry {
        match self.index.lookup(&self.tenant, path, key) {
            Lookup::Live(value) => Entry::Live(value),
            _ => Entry::Absent,
        }
    }

    fn purge(&self, path: &OriginPath<'_>) -> Outcome<()> {
        let purged = self.index.purge(&self.tenant, path, Hard);
        if purged.is_durable() { Ok(()) } else { Err("not durable".into()) }
    }

    fn purge_together(&self, path: &OriginPath<'_>) -> Outcome<()> {
        self.purge(path)
    }

    fn save(&self) -> Outcome<()> {
        self.index.snapshot()?;
        Ok(())
    }
}
