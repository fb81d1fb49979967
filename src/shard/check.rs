//! The invariants of a shard, checked by walking all of it; only for the fuzzer.

use super::core::{Shard, Shared};
use super::open_fills::OpenFills;
use super::path_ref::PathRef;
use super::table::RecordRef;
use crate::hash::{PathHash, TableHash};
use crate::scopes::{Counts, Standing};
use crate::variants::KeyId;

/// The content of a shard.
pub(crate) struct Found {
    pub(crate) paths: u64,
    pub(crate) entries: u64,
    pub(crate) any_dead: bool,
}

impl<V> Shard<V> {
    /// Panics if an invariant of the shard does not hold, or if a count differs from the counted
    /// items. Adds the uses of keys to `uses`.
    pub(crate) fn check(
        &self,
        fills: &OpenFills<V>,
        shared: &Shared,
        belongs: impl Fn(PathHash) -> bool,
        uses: &mut Vec<KeyId>,
    ) -> Found {
        uses.extend(self.records.check(&shared.keys, &shared.hashing));
        let filed_well = |hash: TableHash, tenant: u32, path: &str| {
            let expected = shared.hashing.path(tenant, path);
            belongs(expected) && hash == expected.table()
        };
        let mut counted = std::collections::BTreeMap::<u32, Counts>::new();
        let mut found = Found { paths: self.records.len() as u64, entries: 0, any_dead: false };
        for record in self.records.iter() {
            let (id, path) = (record.tenant(), record.path());
            assert!(belongs(shared.hashing.path(id, path)), "{path} is in the wrong shard");
            assert!(record.len() > 0, "{path} has no variant");
            let settled = record.settled();
            assert!(settled <= shared.scopes.broad(), "{path} is settled ahead of time");
            let tenant = self.tallies.tenant(id);
            let key =
                PathRef { hash: shared.hashing.path(id, path), tenant, path: path.as_bytes() };
            let id_of_path = self.records.find(&key).map(RecordRef::id);
            assert_eq!(id_of_path, Some(record.id()), "{path} is there twice");

            found.entries += record.len() as u64;
            let dead = Self::view(&key, shared).standing(settled) == Standing::Dead;
            // A flush over time is swept slice by slice.
            found.any_dead |= dead && shared.scopes.running().is_empty();
            let confirmed = record.is_confirmed(shared.scopes.broad());
            assert!(!(dead && confirmed), "{path} is confirmed, and dead");
            let standing = shared.scopes.view(tenant).whole_standing(settled);
            count(counted.entry(id).or_default(), record, standing);
        }
        let tallied = self
            .tallies
            .iter()
            .map(|tally| (tally.tenant.id(), tally.counts_in(&shared.scopes.view(&tally.tenant))));
        assert_eq!(tallied.collect::<std::collections::BTreeMap<_, _>>(), counted, "tallies");
        fills.check(|hash, tenant, path| filed_well(hash.table(), tenant, path));
        found
    }
}

/// Adds a record to the counts of its tenant.
fn count<V>(counts: &mut Counts, record: RecordRef<'_, V>, standing: Standing) {
    let (len, stale) = (record.len(), record.stale());
    match standing {
        Standing::Dead => {
            counts.dead_paths += 1;
            counts.dead += len;
        }
        Standing::Stale => {
            counts.paths += 1;
            counts.stale += len;
        }
        Standing::Untouched => {
            counts.paths += 1;
            counts.stale += stale;
            counts.live += len - stale;
        }
    }
}
