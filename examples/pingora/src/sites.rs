//! Sites: from hosts and URLs to tenants and names.
//!
//! A request and a purge are read by the same rules, so every spelling of a picture meets every
//! other. The rules are Cloudimage's: `/folder/birds.jpg?w=300` is the rendition `?w=300` of
//! `folder/birds.jpg`. For other URLs, this is the file to change.

use crate::storage::{Kept, Names};
use cache_index::canonical::{PathError, Root, Rules, RulesError, Target};
use cache_index::{CacheIndex, Tenant};
use std::collections::BTreeMap;

/// The sites that a proxy serves, by host.
#[derive(Debug)]
pub struct Sites(BTreeMap<String, Site>);

/// One site: a host, its tenant, and its rules.
#[derive(Debug)]
pub struct Site {
    host: String,
    tenant: Tenant,
    rules: Rules,
}

impl Sites {
    /// Creates a site for each of `hosts`. The tenant has the name of the host.
    ///
    /// # Errors
    /// If a host is malformed.
    pub fn new<'h>(
        index: &CacheIndex<Kept>,
        hosts: impl IntoIterator<Item = &'h str>,
    ) -> Result<Self, RulesError> {
        let site = |host: &'h str| {
            let host = host.to_ascii_lowercase();
            let rules = Rules::builder().root(Root::Path).allow_wildcards();
            let rules = rules.delivery_host(&*host).build()?;
            Ok((host.clone(), Site { tenant: index.tenant(&host), host, rules }))
        };
        hosts.into_iter().map(site).collect::<Result<_, _>>().map(Self)
    }

    /// Returns the site of a `Host` header. Its port does not matter.
    pub fn of(&self, host: &str) -> Option<&Site> {
        let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
        self.0.get(&name.to_ascii_lowercase())
    }
}

impl Site {
    /// Returns the host.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the tenant.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Reads the target of a request.
    ///
    /// # Errors
    /// If it does not name a picture.
    pub fn names(&self, target: &str) -> Result<Names, PathError> {
        let delivery = self.rules.request_target(target)?.into_owned();
        let tenant = self.tenant.clone();
        Ok(Names { tenant, path: delivery.origin, variant: delivery.variant })
    }

    /// Reads what a purge names: a picture, or with a star at its end, everything that begins so.
    ///
    /// # Errors
    /// If it does not name a picture, or has a query.
    pub fn purged(&self, entry: &str) -> Result<Target<'static>, PathError> {
        self.rules.invalidation(entry).map(Target::into_owned)
    }
}

/// Returns the target under which the origin is asked for `names`. It is made from the names, so
/// the origin never answers for another picture than the one that the answer is stored as.
pub fn origin_target(names: &Names) -> String {
    let query = names.variant.as_str();
    let query = if query == "?" { "" } else { query };
    format!("/{}{query}", names.path)
}
