//! `WithDatabase`: an index in memory, whose entries and purges are in a database.
//!
//! Each purge is a row, and each entry is one. A start reads the entries, and repeats the purges.

use crate::Outcome;
use crate::batch::Batch;
use crate::job::{Entry, Store, TENANT};
use cache_index::{CacheIndex, Hard, Lookup, OriginPath, PathPrefix, Tenant, VariantKey};
use std::path::Path;
use std::sync::Arc;

/// A database for entries and purges.
pub(crate) trait Database: Send + Sync + Sized + 'static {
    const NAME: &'static str;

    fn open(dir: &Path) -> Outcome<Self>;

    /// Adds purges of these paths in one transaction. They are durable when this returns.
    fn append(&self, tenant: &str, paths: &[String]) -> Outcome<()>;

    /// Replaces all entries, and removes all purges, in one transaction.
    fn replace(&self, tenant: &str, entries: &[(OriginPath<'_>, Variants)]) -> Outcome<()>;

    /// Reads all entries.
    fn entries(&self, entry: impl FnMut(&str, &str, u64) -> Outcome<()>) -> Outcome<()>;

    /// Reads the paths of all purges.
    fn purges(&self, purge: impl FnMut(&str) -> Outcome<()>) -> Outcome<()>;
}

/// The variants of a path with their values.
pub(crate) type Variants = Vec<(VariantKey<'static>, u64)>;

pub(crate) struct WithDatabase<D> {
    index: CacheIndex<u64>,
    tenant: Tenant,
    database: Arc<D>,
    batch: Batch,
}

impl<D: Database> Store for WithDatabase<D> {
    const NAME: &'static str = D::NAME;

    fn open(dir: &Path) -> Outcome<Option<Self>> {
        std::fs::create_dir_all(dir)?;
        let database = Arc::new(D::open(dir)?);
        let index = CacheIndex::default();
        let tenant = index.tenant(TENANT);
        load(&*database, &index, &tenant)?;
        let batch = Batch::start({
            let database = Arc::clone(&database);
            move |paths| database.append(TENANT, paths).map_err(|error| error.to_string())
        });
        Ok(Some(Self { index, tenant, database, batch }))
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
        let _ = self.index.purge(&self.tenant, path, Hard);
        self.database.append(TENANT, &[path.as_str().to_owned()])
    }

    fn purge_together(&self, path: &OriginPath<'_>) -> Outcome<()> {
        let _ = self.index.purge(&self.tenant, path, Hard);
        self.batch.append(path.as_str().to_owned())
    }

    fn save(&self) -> Outcome<()> {
        let all = PathPrefix::from_canonical("")?;
        let mut entries = Vec::new();
        for path in self.index.paths(&self.tenant, &all) {
            let variants = self.index.variants(&self.tenant, &path).into_iter();
            let variants = variants.filter_map(|key| {
                let value = self.index.lookup(&self.tenant, &path, &key).servable()?;
                Some((key, value))
            });
            entries.push((path.clone(), variants.collect()));
        }
        // Both databases take sorted keys faster.
        entries.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
        self.database.replace(TENANT, &entries)
    }
}

/// Reads the entries, and repeats the purges.
fn load(database: &impl Database, index: &CacheIndex<u64>, tenant: &Tenant) -> Outcome<()> {
    database.entries(|path, key, value| {
        let (path, key) = (OriginPath::from_canonical(path)?, VariantKey::from_canonical(key)?);
        let _ = index.insert(tenant, &path, &key, value);
        Ok(())
    })?;
    database.purges(|path| {
        let _ = index.purge(tenant, &OriginPath::from_canonical(path)?, Hard);
        Ok(())
    })
}
