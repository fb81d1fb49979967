//! SQLite: one table of entries and one of purges, with a write-ahead log that is synced with each
//! transaction.

use crate::Outcome;
use crate::database::{Database, Variants};
use cache_index::OriginPath;
use rusqlite::Connection;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS entries (
        tenant TEXT NOT NULL, path TEXT NOT NULL, variant TEXT NOT NULL, value INTEGER NOT NULL,
        PRIMARY KEY (tenant, path, variant)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS purges (
        number INTEGER PRIMARY KEY, tenant TEXT NOT NULL, path TEXT NOT NULL
    ) STRICT;
";

pub(crate) struct Sqlite(Mutex<Connection>);

impl Sqlite {
    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> Outcome<T>) -> Outcome<T> {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Database for Sqlite {
    const NAME: &'static str = "SQLite";

    fn open(dir: &Path) -> Outcome<Self> {
        let connection = Connection::open(dir.join("index.sqlite"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(TABLES)?;
        Ok(Self(Mutex::new(connection)))
    }

    fn append(&self, tenant: &str, paths: &[String]) -> Outcome<()> {
        self.with(|connection| {
            let transaction = connection.transaction()?;
            {
                let insert = "INSERT INTO purges (tenant, path) VALUES (?1, ?2)";
                let mut insert = transaction.prepare_cached(insert)?;
                for path in paths {
                    insert.execute((tenant, path))?;
                }
            }
            Ok(transaction.commit()?)
        })
    }

    fn replace(&self, tenant: &str, entries: &[(OriginPath<'_>, Variants)]) -> Outcome<()> {
        self.with(|connection| {
            let transaction = connection.transaction()?;
            transaction.execute_batch("DELETE FROM entries; DELETE FROM purges;")?;
            {
                let mut insert =
                    transaction.prepare("INSERT INTO entries VALUES (?1, ?2, ?3, ?4)")?;
                for (path, variants) in entries {
                    for (key, value) in variants {
                        insert.execute((
                            tenant,
                            path.as_str(),
                            key.as_str(),
                            value.cast_signed(),
                        ))?;
                    }
                }
            }
            transaction.commit()?;
            // Otherwise the log stays as long as the table.
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))?;
            Ok(())
        })
    }

    fn entries(&self, mut entry: impl FnMut(&str, &str, u64) -> Outcome<()>) -> Outcome<()> {
        self.with(|connection| {
            let mut select = connection.prepare("SELECT path, variant, value FROM entries")?;
            let mut rows = select.query(())?;
            while let Some(row) = rows.next()? {
                let (path, key) = (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
                entry(path, key, row.get::<_, i64>(2)?.cast_unsigned())?;
            }
            Ok(())
        })
    }

    fn purges(&self, mut purge: impl FnMut(&str) -> Outcome<()>) -> Outcome<()> {
        self.with(|connection| {
            let mut select = connection.prepare("SELECT path FROM purges ORDER BY number")?;
            let mut rows = select.query(())?;
            while let Some(row) = rows.next()? {
                purge(row.get_ref(0)?.as_str()?)?;
            }
            Ok(())
        })
    }
}
