//! The purges of a shard's paths since a restore began, while one is under way.
//!
//! Invariant: every purge of a path of the shard since the first restore began is in here, exactly
//! or as a broader one. Memory is bounded by the number of these purges, and is given back when the
//! last restore ends.
//!
//! A restored entry is older than the restore. So a purge since then must reach it, although it was
//! not in the index at that moment: as an open fill. Unlike a fill, the entry is known by its
//! variant, so a purge of some variants reaches only those.
//!
//! Not here: flushes and purges of prefixes, which leave their horizon or their rule. Prefix rules
//! do not retire while a restore is under way.

use super::open_fills::{Overtaken, PathText};
use super::path_ref::PathRef;
use crate::hash::PathHash;
use crate::scopes::{Generation, LastInvalidations, Tenant};
use crate::selection::{OwnedSelection, Selection};
use crate::severity::Severity;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// Purges of some variants that are kept for one path. One more is kept as a purge of all.
const MAX_SELECTIONS: usize = 16;

/// The moment at which a restore began, for one shard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RestoreStart {
    /// Decides against purges of paths, as that of a lease does.
    pub(crate) clock: Generation,
    /// Decides against flushes and purges of prefixes.
    pub(crate) broad: Generation,
}

#[derive(Debug)]
struct PathPurges {
    hash: PathHash,
    tenant: Tenant,
    path: PathText,
    /// The last purges of all variants.
    all: LastInvalidations,
    some: Vec<SomePurged>,
}

/// A purge of some variants.
#[derive(Debug)]
struct SomePurged {
    generation: Generation,
    severity: Severity,
    selection: OwnedSelection,
}

/// The purges since the first of the restores began that are under way.
#[derive(Debug, Default)]
pub(crate) struct NotedPurges {
    paths: HashTable<PathPurges>,
    pub(super) restores: usize,
    /// How many paths there will be, as far as the restores have told.
    pub(super) expected: usize,
}

/// The purges of one path.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NotedOfPath<'a>(Option<&'a PathPurges>);

impl PathPurges {
    fn is_of(&self, key: &PathRef<'_>) -> bool {
        self.tenant == *key.tenant && self.path.as_bytes() == key.path
    }

    fn add(&mut self, selection: Selection<'_>, severity: Severity, generation: Generation) {
        let is_all = selection == Selection::All || self.some.len() >= MAX_SELECTIONS;
        if !is_all {
            let selection = OwnedSelection::new(selection);
            self.some.push(SomePurged { generation, severity, selection });
            return;
        }
        match severity {
            Severity::Hard => {
                self.all.hard = generation;
                // It covers everything before it.
                self.some = Vec::new();
            }
            Severity::Soft => self.all.soft = generation,
        }
    }

    fn overtaken(&self, since: Generation, variant: &str) -> Overtaken {
        let picked = |severity| {
            let mut later = self.some.iter().filter(|some| some.generation > since);
            later.any(|some| some.severity == severity && some.selection.get().picks(variant))
        };
        if self.all.hard > since || picked(Severity::Hard) {
            Overtaken::Hard
        } else if self.all.soft > since || picked(Severity::Soft) {
            Overtaken::Soft
        } else {
            Overtaken::No
        }
    }
}

impl NotedPurges {
    pub(super) fn add(
        &mut self,
        key: &PathRef<'_>,
        selection: Selection<'_>,
        severity: Severity,
        generation: Generation,
    ) {
        let hash = key.hash.table().spread();
        let rehash = |purges: &PathPurges| purges.hash.table().spread();
        let mut purges = match self.paths.entry(hash, |purges| purges.is_of(key), rehash) {
            Entry::Occupied(known) => known,
            Entry::Vacant(new) => new.insert(PathPurges {
                hash: key.hash,
                tenant: key.tenant.clone(),
                path: PathText::new(key.path),
                all: LastInvalidations::default(),
                some: Vec::new(),
            }),
        };
        purges.get_mut().add(selection, severity, generation);
    }

    pub(super) fn of_path(&self, key: &PathRef<'_>) -> NotedOfPath<'_> {
        NotedOfPath(self.paths.find(key.hash.table().spread(), |purges| purges.is_of(key)))
    }

    /// Heap bytes, without those of selections.
    pub(super) fn bytes(&self) -> usize {
        let texts: usize = self.paths.iter().map(|purges| purges.path.bytes()).sum();
        size_of::<Self>() + self.paths.allocation_size() + texts
    }
}

impl NotedOfPath<'_> {
    /// Whether there was none.
    pub(super) fn is_none(self) -> bool {
        self.0.is_none()
    }

    /// The effect of the purges since a generation on a variant.
    pub(super) fn overtaken(self, since: Generation, variant: &str) -> Overtaken {
        self.0.map_or(Overtaken::No, |purges| purges.overtaken(since, variant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hashing;
    use crate::names::VariantKey;
    use crate::scopes::Tenants;

    #[test]
    fn purge_of_some_variants_overtakes_those_alone_until_there_are_too_many() {
        let tenant = Tenants::new(0).get_or_add("a");
        let hash = Hashing::new().path(0, "p");
        let key = PathRef { hash, tenant: &tenant, path: b"p" };
        let other = PathRef { path: b"q", ..key };
        let mut noted = NotedPurges::default();
        let at = Generation::new;
        for n in 1..=MAX_SELECTIONS as u64 {
            let picked = [VariantKey::new_unchecked(format!("?w={n}"))];
            let severity = if n == 2 { Severity::Soft } else { Severity::Hard };
            noted.add(&key, Selection::Keys(&picked), severity, at(n));
        }
        let of =
            |noted: &NotedPurges, since, variant| noted.of_path(&key).overtaken(at(since), variant);
        assert_eq!(of(&noted, 0, "?w=1"), Overtaken::Hard);
        assert_eq!(of(&noted, 0, "?w=1#webp"), Overtaken::Hard);
        assert_eq!(of(&noted, 1, "?w=1"), Overtaken::No);
        assert_eq!(of(&noted, 1, "?w=2"), Overtaken::Soft);
        assert_eq!(of(&noted, 0, "?"), Overtaken::No);
        let picked = [VariantKey::new_unchecked("?w=99")];
        noted.add(&key, Selection::Keys(&picked), Severity::Soft, at(50));
        assert_eq!(of(&noted, 49, "?"), Overtaken::Soft);
        assert_eq!(of(&noted, 50, "?"), Overtaken::No);
        noted.add(&key, Selection::All, Severity::Hard, at(60));
        assert_eq!(of(&noted, 59, "?"), Overtaken::Hard);
        assert_eq!(noted.of_path(&other).overtaken(at(0), "?"), Overtaken::No);
    }
}
