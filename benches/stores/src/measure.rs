//! The measurements: the stores take turns.

use crate::database::WithDatabase;
use crate::flips;
use crate::job::{Store, fill, path};
use crate::ours::Ours;
use crate::redb::Redb;
use crate::sqlite::Sqlite;
use crate::table::{BATCHED, SINGLE, TOGETHER, Table};
use crate::{Options, Outcome};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

const CALLERS: usize = 64;

/// Which sync a purge waits for: its own, or one that callers share.
#[derive(Clone, Copy)]
enum Wait {
    Alone,
    Together,
}

#[derive(Clone, Copy)]
enum Turn {
    Bare,
    Ours,
    Redb,
    Sqlite,
}

/// Orders in which each is once in each place, and once behind each other one.
const ORDERS: [[Turn; 4]; 4] = [
    [Turn::Bare, Turn::Ours, Turn::Sqlite, Turn::Redb],
    [Turn::Ours, Turn::Redb, Turn::Bare, Turn::Sqlite],
    [Turn::Redb, Turn::Sqlite, Turn::Ours, Turn::Bare],
    [Turn::Sqlite, Turn::Bare, Turn::Redb, Turn::Ours],
];

pub(crate) fn run(options: &Options, table: &mut Table) -> Outcome<()> {
    let dir = tempfile::tempdir_in(&options.dir)?;
    purges(options, dir.path(), table)?;
    entries::<Ours>(options, dir.path(), table)?;
    entries::<WithDatabase<Redb>>(options, dir.path(), table)?;
    entries::<WithDatabase<Sqlite>>(options, dir.path(), table)?;
    flipped::<Ours>(options, dir.path(), table)?;
    flipped::<WithDatabase<Redb>>(options, dir.path(), table)?;
    flipped::<WithDatabase<Sqlite>>(options, dir.path(), table)
}

fn purges(options: &Options, dir: &Path, table: &mut Table) -> Outcome<()> {
    let ours = Opened::<Ours>::new(&dir.join("purges-ours"))?;
    let redb = Opened::<WithDatabase<Redb>>::new(&dir.join("purges-redb"))?;
    let sqlite = Opened::<WithDatabase<Sqlite>>::new(&dir.join("purges-sqlite"))?;
    let bare = Bare::new(&dir.join("bare"))?;
    // One purge of each in turn: the speed of a disk changes within seconds. Each is as often
    // behind each other one: the first sync behind a pause takes longer than the second.
    for number in 0..options.purges as u64 {
        for turn in ORDERS[usize::try_from(number)? % ORDERS.len()] {
            match turn {
                Turn::Bare => table.bare(bare.sync(number)?),
                Turn::Ours => ours.single(number, table)?,
                Turn::Redb => redb.single(number, table)?,
                Turn::Sqlite => sqlite.single(number, table)?,
            }
        }
    }
    for round in 0..options.rounds {
        for (what, wait) in [(TOGETHER, Wait::Alone), (BATCHED, Wait::Together)] {
            for turn in ORDERS[round % ORDERS.len()] {
                match turn {
                    Turn::Bare => {}
                    Turn::Ours => ours.many(options, what, wait, table)?,
                    Turn::Redb => redb.many(options, what, wait, table)?,
                    Turn::Sqlite => sqlite.many(options, what, wait, table)?,
                }
            }
        }
    }
    Ok(())
}

/// A file that has its final size: a sync of it is the least that a purge can wait for.
struct Bare(fs::File);

impl Bare {
    fn new(file: &Path) -> Outcome<Self> {
        fs::write(file, vec![0; 4 << 20])?;
        let file = fs::OpenOptions::new().write(true).open(file)?;
        file.sync_all()?;
        Ok(Self(file))
    }

    fn sync(&self, number: u64) -> Outcome<f64> {
        let start = Instant::now();
        self.0.write_all_at(&[1; 96], number * 96)?;
        self.0.sync_data()?;
        Ok(rate(1, start.elapsed()))
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

struct Opened<S>(S);

impl<S: Store> Opened<S> {
    fn new(dir: &Path) -> Outcome<Self> {
        Ok(Self(S::open(dir)?.ok_or("a new store is refused")?))
    }

    fn single(&self, number: u64, table: &mut Table) -> Outcome<()> {
        let start = Instant::now();
        self.0.purge(&path(number))?;
        table.purges(S::NAME, SINGLE, rate(1, start.elapsed()));
        Ok(())
    }

    fn many(
        &self,
        options: &Options,
        what: &'static str,
        wait: Wait,
        table: &mut Table,
    ) -> Outcome<()> {
        table.purges(S::NAME, what, self.callers(options.purges_of_each, wait)?);
        Ok(())
    }

    fn callers(&self, count: usize, wait: Wait) -> Outcome<f64> {
        let start = Instant::now();
        thread::scope(|scope| -> Outcome<()> {
            let purge = |caller: usize| -> Outcome<()> {
                for number in 0..count {
                    let path = path((caller * count + number) as u64);
                    match wait {
                        Wait::Alone => self.0.purge(&path)?,
                        Wait::Together => self.0.purge_together(&path)?,
                    }
                }
                Ok(())
            };
            let start = |caller| scope.spawn(move || purge(caller));
            let threads: Vec<_> = (0..CALLERS).map(start).collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().map_err(|_| "a caller panicked")?)
        })?;
        Ok(rate(CALLERS * count, start.elapsed()))
    }
}

/// Saves an index and opens it again.
fn entries<S: Store>(options: &Options, dir: &Path, table: &mut Table) -> Outcome<()> {
    let dir = dir.join(format!("entries-{}", S::NAME));
    let store = Opened::<S>::new(&dir)?.0;
    let empty = bytes(&dir)?;
    fill(&store, options.entries);
    let start = Instant::now();
    store.save()?;
    let saving = start.elapsed();
    // A log that was written with zeros before its use is no part of the snapshot.
    let bytes = bytes(&dir)?.saturating_sub(if S::NAME == Ours::NAME { empty } else { 0 });
    drop(store);
    let start = Instant::now();
    let store = S::open(&dir)?.ok_or("the saved store is refused")?;
    table.entries(S::NAME, options.entries, bytes, saving, start.elapsed());
    drop(store);
    fs::remove_dir_all(dir)?;
    Ok(())
}

/// The size of all files in a folder.
fn bytes(dir: &Path) -> Outcome<u64> {
    fs::read_dir(dir)?.map(|entry| Ok(entry?.metadata()?.len())).sum()
}

fn flipped<S: Store>(options: &Options, dir: &Path, table: &mut Table) -> Outcome<()> {
    let counts = flips::count::<S>(&dir.join(format!("flips-{}", S::NAME)), options.flips)?;
    table.flips(S::NAME, counts);
    Ok(())
}
