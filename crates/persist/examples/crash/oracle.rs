//! The reports of the killed processes, and the states that are allowed after them.

use crate::worker::{KEYS, PATHS, THREADS, path, tenant};
use cache_index::{Lookup, VariantKey};
use cache_index_persist::Persistent;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

/// Everything that was said since the directory is there.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    /// Fills that nothing acknowledged has invalidated: tenant, path, key of each value.
    allowed: BTreeMap<u64, (usize, usize, usize)>,
    /// Fills that something acknowledged has invalidated since the last look.
    dead: BTreeSet<u64>,
    /// The same, before the last look: it was seen that they were gone.
    seen_dead: BTreeSet<u64>,
    acknowledged: u64,
    last_incarnation: u64,
    repeats_incarnation: bool,
    was_opened: bool,
}

/// The state that was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) entries: u64,
    pub(crate) forgotten: u64,
    pub(crate) came_back: u64,
    pub(crate) repeats_incarnation: bool,
}

impl Oracle {
    /// Takes down a line. The last one of a process may be cut short.
    pub(crate) fn take(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words.get(at).and_then(|word| word.parse::<usize>().ok());
        match (words.first().copied(), number(1), number(2), number(3)) {
            (Some("opened"), Some(incarnation), ..) => self.open(incarnation as u64),
            (Some("fill"), Some(thread), Some(path), Some(key)) => {
                if let Some(value) = number(4) {
                    self.allowed.insert(value as u64, (thread, path, key));
                }
            }
            (Some("purged"), Some(thread), _, Some(what)) => {
                self.acknowledged += 1;
                let scope = words[2];
                self.kill(|(t, path, _)| {
                    t == thread
                        && match scope {
                            "path" => path == what,
                            "folder" => path % 2 == what,
                            _ => true,
                        }
                });
            }
            _ => {}
        }
    }

    fn open(&mut self, incarnation: u64) {
        self.was_opened = true;
        self.repeats_incarnation |= incarnation <= self.last_incarnation;
        self.last_incarnation = self.last_incarnation.max(incarnation);
    }

    fn kill(&mut self, is_covered: impl Fn((usize, usize, usize)) -> bool) {
        let dead = &mut self.dead;
        self.allowed.retain(|&value, &mut name| {
            let is_dead = is_covered(name);
            if is_dead {
                dead.insert(value);
            }
            !is_dead
        });
    }

    /// Whether a process had opened the index, so that a start must be warm.
    pub(crate) fn was_opened(&self) -> bool {
        self.was_opened
    }

    pub(crate) fn take_acknowledged(&mut self) -> u64 {
        std::mem::take(&mut self.acknowledged)
    }

    /// Looks at every entry.
    pub(crate) fn compare(&mut self, cache: &Persistent<u64>) -> Result<Found, Box<dyn Error>> {
        self.open(cache.incarnation());
        let mut found = Found { repeats_incarnation: self.repeats_incarnation, ..Found::default() };
        self.repeats_incarnation = false;
        let mut there = BTreeSet::new();
        for (thread, number) in (0..THREADS).flat_map(|t| (0..PATHS).map(move |p| (t, p))) {
            let tenant = cache.tenant(&tenant(thread));
            for (k, key) in KEYS.iter().enumerate() {
                let key = VariantKey::from_canonical(key)?;
                let Lookup::Live(value) = cache.lookup(&tenant, &path(number), &key) else {
                    continue;
                };
                found.entries += 1;
                there.insert(value);
                if self.seen_dead.contains(&value) {
                    found.came_back += 1;
                } else if self.allowed.get(&value) != Some(&(thread, number, k)) {
                    found.forgotten += 1;
                }
            }
        }
        // An entry that is absent now must not be served again.
        self.allowed.retain(|value, _| there.contains(value));
        self.seen_dead.append(&mut self.dead);
        Ok(found)
    }
}
