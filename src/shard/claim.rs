//! Claims: a lookup that opens a fill where it finds no live value.

use super::core::{Shard, Shared};
use super::open_fills::{ClaimAnswer, OpenFills};
use super::path_ref::PathRef;
use crate::freshness::Freshness;
use crate::outcome::Lookup;
use crate::scopes::{Standing, View};
use crate::variants::Wanted;

impl<V: Clone> Shard<V> {
    /// Looks for a variant. Unless it is live, looks among the open fills, and opens one.
    pub(crate) fn claim(
        &self,
        key: &PathRef<'_>,
        variant: Wanted<'_>,
        value: &V,
        fills: &OpenFills<V>,
        shared: &Shared,
    ) -> ClaimAnswer<V> {
        if let Lookup::Live(value) = self.lookup(key, || variant, shared) {
            return ClaimAnswer::Live(value);
        }
        // Again, at the moment at which the open fills are examined. Entries cannot change in
        // between, as the shard is locked, but a flush can reach them.
        let again = |view: &View| self.lookup_in(view, key, variant, shared);
        fills.claim(key, variant, value, &shared.scopes, again)
    }

    /// Looks for a variant in a view of the scopes.
    fn lookup_in(
        &self,
        view: &View,
        key: &PathRef<'_>,
        variant: Wanted<'_>,
        shared: &Shared,
    ) -> Lookup<V> {
        let Some(record) = self.records.find(key) else { return Lookup::Miss };
        let Some(at) = record.find(variant, &shared.keys) else { return Lookup::Miss };
        let (value, freshness) = record.get(at);
        match view.standing_of(record.settled(), freshness) {
            Standing::Dead => Lookup::Miss,
            Standing::Untouched if freshness == Freshness::Live => Lookup::Live(value.clone()),
            Standing::Untouched | Standing::Stale => Lookup::Stale(value.clone()),
        }
    }
}
