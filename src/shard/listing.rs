//! Lists and counts the content of a shard, without changing it.

use super::core::{Shard, Shared};
#[cfg(feature = "cloudimage")]
use super::open_fills::OpenFills;
use super::path_ref::PathRef;
use super::table::RecordRef;
#[cfg(feature = "cloudimage")]
use crate::dry_run::{Extent, Matches};
use crate::freshness::Freshness;
use crate::names::{OriginPath, VariantKey};
use crate::outcome::key_of;
use crate::scopes::{Standing, Tenant, View};
#[cfg(feature = "cloudimage")]
use crate::selection::Selection;

impl<V> Shard<V> {
    /// The keys of the path's variants that may be served, in no particular order.
    pub(crate) fn variants(&self, key: &PathRef<'_>, shared: &Shared) -> Vec<VariantKey<'static>> {
        let Some(record) = self.records.find(key) else { return Vec::new() };
        let settled = record.settled();
        let view = shared.scopes.view_of(key.tenant, key.path, settled);
        if view.standing(settled) == Standing::Dead {
            return Vec::new();
        }
        let mut listed = record.list(&shared.keys);
        listed.retain(|(_, freshness)| view.standing_of(settled, *freshness) != Standing::Dead);
        listed.into_iter().map(|(key, _)| key_of(key)).collect()
    }

    /// Returns the matches that a purge of the path would have now.
    #[cfg(feature = "cloudimage")]
    pub(crate) fn matches(
        &self,
        key: &PathRef<'_>,
        selection: Selection<'_>,
        fills: &OpenFills<V>,
        shared: &Shared,
    ) -> Matches {
        let fills = fills.valid(key);
        let mut variants = Vec::new();
        if let Some(record) = self.records.find(key) {
            let settled = record.settled();
            let view = shared.scopes.view_of(key.tenant, key.path, settled);
            if view.standing(settled) != Standing::Dead {
                variants = record.list(&shared.keys);
            }
            variants.retain_mut(|(key, freshness)| {
                let standing = view.standing_of(settled, *freshness);
                if standing == Standing::Stale {
                    *freshness = Freshness::Stale;
                }
                standing != Standing::Dead && selection.picks(key)
            });
        }
        Matches { variants, fills }
    }

    /// How much a purge of the prefix would meet now.
    #[cfg(feature = "cloudimage")]
    pub(crate) fn extent(
        &self,
        tenant: &Tenant,
        prefix: &str,
        fills: &OpenFills<V>,
        shared: &Shared,
    ) -> Extent {
        let fills = fills.valid_under(tenant.id(), prefix);
        let mut extent = Extent { fills, ..Extent::default() };
        for (_, live, stale) in self.records_under(tenant, prefix, shared) {
            extent.stale += stale;
            extent.live += live;
        }
        extent
    }

    /// The tenant's paths that begin with `prefix` and may be served, each with how many of its
    /// entries are live and stale.
    fn records_under<'a>(
        &'a self,
        tenant: &'a Tenant,
        prefix: &'a str,
        shared: &'a Shared,
    ) -> impl Iterator<Item = (RecordRef<'a, V>, usize, usize)> {
        let under = self.records.iter().filter(move |record| {
            record.tenant() == tenant.id() && record.text().starts_with(prefix.as_bytes())
        });
        let counted = under.map(move |record| {
            let view = shared.scopes.view_of(tenant, record.text(), record.settled());
            let (live, stale) = Self::servable(record, &view);
            (record, live, stale)
        });
        counted.filter(|(_, live, stale)| live + stale > 0)
    }

    /// How many entries of a record are live, and stale.
    fn servable(record: RecordRef<'_, V>, view: &View) -> (usize, usize) {
        let marked = record.stale();
        let of = |freshness, count: usize| match view.standing_of(record.settled(), freshness) {
            Standing::Dead => (0, 0),
            Standing::Stale => (0, count),
            Standing::Untouched if freshness == Freshness::Stale => (0, count),
            Standing::Untouched => (count, 0),
        };
        let fresh = of(Freshness::Live, record.len() - marked);
        let stale = of(Freshness::Stale, marked);
        (fresh.0 + stale.0, fresh.1 + stale.1)
    }

    /// The tenant's paths that begin with `prefix` and may be served.
    pub(crate) fn paths(
        &self,
        tenant: &Tenant,
        prefix: &str,
        shared: &Shared,
    ) -> Vec<OriginPath<'static>> {
        let records = self.records_under(tenant, prefix, shared);
        records.map(|(record, ..)| OriginPath::new_unchecked(record.path().to_owned())).collect()
    }
}
