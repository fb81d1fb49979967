//! Flipped bits: which of them a start notices.

use crate::Outcome;
use crate::job::{Entry, Store, keys, path};
use fastrand::Rng;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

/// Pictures that are purged; as many are not.
const PURGED: u64 = 200;

/// Zeroed parts of files are not damaged: a log may be written with zeros before its use.
const SECTOR: usize = 512;

/// How many flips had which effect.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// An error, a panic, or a start with an empty index.
    pub(crate) noticed: usize,
    /// Every entry is as it was.
    pub(crate) unharmed: usize,
    /// Some entries are missing, which costs fetches.
    pub(crate) missing: usize,
    /// A purged entry is live again, or an entry has a wrong value, without an error.
    pub(crate) wrong: usize,
}

/// The effect of one flip.
enum Effect {
    Noticed,
    Unharmed,
    Missing,
    Wrong,
}

/// Flips one random bit in each of many copies of a store that was not closed, and opens each.
pub(crate) fn count<S: Store>(dir: &Path, flips: usize) -> Outcome<Counts> {
    let original = dir.join("original");
    let store = S::open(&original)?.ok_or("a new store is refused")?;
    let key = &keys()[0];
    for number in 0..2 * PURGED {
        store.insert(&path(number), key, number);
    }
    store.save()?;
    for number in 0..PURGED {
        store.purge(&path(number))?;
    }
    let files = read(&original)?;
    let sectors = sectors(&files);
    let (mut counts, mut rng) = (Counts::default(), Rng::with_seed(17));
    for _ in 0..flips {
        let (file, sector) = sectors[rng.usize(..sectors.len())];
        let copy = dir.join("copy");
        for (at, (name, bytes)) in files.iter().enumerate() {
            let mut bytes = bytes.clone();
            if at == file {
                let end = bytes.len().min(sector + SECTOR);
                bytes[rng.usize(sector..end)] ^= 1 << rng.u32(..8);
            }
            let target = copy.join(name);
            fs::create_dir_all(target.parent().ok_or("a file has a folder")?)?;
            fs::write(target, bytes)?;
        }
        match effect::<S>(&copy) {
            Effect::Noticed => counts.noticed += 1,
            Effect::Unharmed => counts.unharmed += 1,
            Effect::Missing => counts.missing += 1,
            Effect::Wrong => counts.wrong += 1,
        }
        fs::remove_dir_all(&copy)?;
    }
    drop(store);
    Ok(counts)
}

fn effect<S: Store>(dir: &Path) -> Effect {
    // A panic is noticed, too. It would be printed.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| ()));
    let opened = panic::catch_unwind(AssertUnwindSafe(|| S::open(dir).ok().flatten()));
    let effect = match opened {
        Ok(Some(store)) => judge(&store),
        _ => Effect::Noticed,
    };
    panic::set_hook(hook);
    effect
}

fn judge(store: &impl Store) -> Effect {
    let key = &keys()[0];
    let mut effect = Effect::Unharmed;
    for number in 0..2 * PURGED {
        match store.look_up(&path(number), key) {
            Entry::Live(value) if number < PURGED || value != number => return Effect::Wrong,
            Entry::Absent if number >= PURGED => effect = Effect::Missing,
            _ => {}
        }
    }
    effect
}

/// All files below a folder, but locks and shared memory, which a start makes anew.
fn read(dir: &Path) -> Outcome<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = PathBuf::from(entry.file_name());
        if !name.to_string_lossy().ends_with("-shm") && name != Path::new("LOCK") {
            files.push((name, fs::read(entry.path())?));
        }
    }
    files.sort();
    Ok(files)
}

/// The file and offset of each sector that is not all zeros.
fn sectors(files: &[(PathBuf, Vec<u8>)]) -> Vec<(usize, usize)> {
    let of = |(at, (_, bytes)): (usize, &(PathBuf, Vec<u8>))| {
        let sectors = bytes.chunks(SECTOR).enumerate();
        let used = sectors.filter(|(_, sector)| sector.iter().any(|&byte| byte != 0));
        used.map(move |(number, _)| (at, number * SECTOR)).collect::<Vec<_>>()
    };
    files.iter().enumerate().flat_map(of).collect()
}
