//! Lists and counts the content of a shard, without changing it.

use super::core::{Shard, Shared};
#[cfg(feature = "cloudimage")]
use super::open_fills::OpenFills;
use super::path_ref::PathRef;
use super::table::RecordRef;
#[cfg(feature = "cloudimage")]
use crate::dry_run::{Extent, Matches};
#[cfg(feature = "cloudimage")]
use crate::freshness::Freshness;
use crate::names::{OriginPath, VariantKey};
use crate::outcome::key_of;
use crate::scopes::{Standing, Tenant};
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
        record.list(&shared.keys).into_iter().map(|(key, _)| key_of(key)).collect()
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
            let standing = shared.scopes.view_of(key.tenant, key.path, settled).standing(settled);
            if standing != Standing::Dead {
                variants = record.list(&shared.keys);
            }
            variants.retain(|(key, _)| selection.picks(key));
            if standing == Standing::Stale {
                for (_, freshness) in &mut variants {
                    *freshness = Freshness::Stale;
                }
            }
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
        for (record, standing) in self.records_under(tenant, prefix, shared) {
            let stale = match standing {
                Standing::Stale => record.len(),
                _ => record.stale(),
            };
            extent.stale += stale;
            extent.live += record.len() - stale;
        }
        extent
    }

    /// The tenant's paths that begin with `prefix` and may be served.
    fn records_under<'a>(
        &'a self,
        tenant: &'a Tenant,
        prefix: &'a str,
        shared: &'a Shared,
    ) -> impl Iterator<Item = (RecordRef<'a, V>, Standing)> {
        let under = self.records.iter().filter(move |record| {
            record.tenant() == tenant.id() && record.text().starts_with(prefix.as_bytes())
        });
        let standing = under.map(move |record| {
            let settled = record.settled();
            (record, shared.scopes.view_of(tenant, record.text(), settled).standing(settled))
        });
        standing.filter(|(_, standing)| *standing != Standing::Dead)
    }

    /// The tenant's paths that begin with `prefix` and may be served.
    pub(crate) fn paths(
        &self,
        tenant: &Tenant,
        prefix: &str,
        shared: &Shared,
    ) -> Vec<OriginPath<'static>> {
        let records = self.records_under(tenant, prefix, shared);
        records.map(|(record, _)| OriginPath::new_unchecked(record.path().to_owned())).collect()
    }
}
