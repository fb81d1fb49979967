//! redb: one table of entries and one of purges, with its defaults.

use crate::Outcome;
use crate::database::{Database, Variants};
use cache_index::OriginPath;
use redb::{ReadableDatabase, ReadableTable, TableDefinition};
use std::path::Path;

const ENTRIES: TableDefinition<'_, (&str, &str, &str), u64> = TableDefinition::new("entries");
const PURGES: TableDefinition<'_, u64, (&str, &str)> = TableDefinition::new("purges");

pub(crate) struct Redb(redb::Database);

impl Database for Redb {
    const NAME: &'static str = "redb";

    fn open(dir: &Path) -> Outcome<Self> {
        let database = redb::Database::create(dir.join("index.redb"))?;
        // Reading a table that was never written is an error.
        let transaction = database.begin_write()?;
        transaction.open_table(ENTRIES)?;
        transaction.open_table(PURGES)?;
        transaction.commit()?;
        Ok(Self(database))
    }

    fn append(&self, tenant: &str, paths: &[String]) -> Outcome<()> {
        let transaction = self.0.begin_write()?;
        {
            let mut table = transaction.open_table(PURGES)?;
            let next = table.last()?.map_or(0, |(number, _)| number.value() + 1);
            for (number, path) in (next..).zip(paths) {
                table.insert(number, (tenant, path.as_str()))?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn replace(&self, tenant: &str, entries: &[(OriginPath<'_>, Variants)]) -> Outcome<()> {
        let transaction = self.0.begin_write()?;
        transaction.delete_table(ENTRIES)?;
        transaction.delete_table(PURGES)?;
        {
            let mut table = transaction.open_table(ENTRIES)?;
            for (path, variants) in entries {
                for (key, value) in variants {
                    table.insert((tenant, path.as_str(), key.as_str()), value)?;
                }
            }
            transaction.open_table(PURGES)?;
        }
        Ok(transaction.commit()?)
    }

    fn entries(&self, mut entry: impl FnMut(&str, &str, u64) -> Outcome<()>) -> Outcome<()> {
        for row in self.0.begin_read()?.open_table(ENTRIES)?.iter()? {
            let (key, value) = row?;
            let (_, path, variant) = key.value();
            entry(path, variant, value.value())?;
        }
        Ok(())
    }

    fn purges(&self, mut purge: impl FnMut(&str) -> Outcome<()>) -> Outcome<()> {
        for row in self.0.begin_read()?.open_table(PURGES)?.iter()? {
            let (_, purged) = row?;
            purge(purged.value().1)?;
        }
        Ok(())
    }
}
