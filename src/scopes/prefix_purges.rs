//! Prefix rules: purges of all paths that begin with a text.
//!
//! A rule is a prefix and the generations of its last hard and soft purge. Adding a rule does not
//! visit paths. Each older path is compared with the rules once, at its next use, and is settled by
//! that.
//!
//! Invariant: a rule is kept until every record and every open fill older than it has been settled
//! beyond its generation. Retiring it earlier would serve purged pictures again.
//!
//! Matching asks for each length that a prefix of the tenant has, not for each rule: a thousand
//! avatars' folders are one lookup.

use super::generation::Generation;
use super::horizon::LastInvalidations;
use super::rule_ages::RuleAges;
use super::tenant::Tenant;
use crate::severity::Severity;
use hashbrown::HashMap;
use hashbrown::hash_map::EntryRef;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug)]
struct TenantRules {
    tenant: Tenant,
    by_prefix: HashMap<Arc<str>, LastInvalidations, ahash::RandomState>,
    /// How many prefixes there are of each length.
    lengths: BTreeMap<usize, usize>,
}

/// The open rules of an index.
#[derive(Debug, Default)]
pub(crate) struct PrefixPurges {
    by_tenant: HashMap<u32, TenantRules, ahash::RandomState>,
    by_age: RuleAges,
}

impl PrefixPurges {
    pub(crate) fn len(&self) -> usize {
        self.by_age.len()
    }

    pub(crate) fn has(&self, tenant: &Tenant, prefix: &str) -> bool {
        let rules = self.by_tenant.get(&tenant.id());
        rules.is_some_and(|rules| rules.by_prefix.contains_key(prefix))
    }

    /// The newest invalidations of all prefixes of `path`.
    pub(crate) fn matching(&self, tenant: u32, path: &str) -> LastInvalidations {
        let Some(rules) = self.by_tenant.get(&tenant) else { return LastInvalidations::default() };
        let prefixes = rules.lengths.range(..=path.len()).filter_map(|(len, _)| path.get(..*len));
        prefixes
            .filter_map(|prefix| rules.by_prefix.get(prefix))
            .fold(LastInvalidations::default(), |newest, rule| newest.or(*rule))
    }

    /// Records a purge of `prefix`.
    pub(crate) fn add(
        &mut self,
        tenant: &Tenant,
        prefix: &str,
        severity: Severity,
        generation: Generation,
    ) {
        // The seeds of the outer table: drawing new ones for each tenant would cost as much as the
        // rest.
        let seeds = self.by_tenant.hasher().clone();
        let rules = self.by_tenant.entry(tenant.id()).or_insert_with(|| TenantRules {
            tenant: tenant.clone(),
            by_prefix: HashMap::with_hasher(seeds),
            lengths: BTreeMap::new(),
        });
        let mut rule = match rules.by_prefix.entry_ref(prefix) {
            EntryRef::Occupied(known) => {
                self.by_age.remove(known.get().newest());
                known
            }
            EntryRef::Vacant(new) => {
                *rules.lengths.entry(prefix.len()).or_default() += 1;
                new.insert_entry_with_key(prefix.into(), LastInvalidations::default())
            }
        };
        match severity {
            Severity::Hard => rule.get_mut().hard = generation,
            Severity::Soft => rule.get_mut().soft = generation,
        }
        self.by_age.push(generation, tenant.id(), Arc::clone(rule.key()));
    }

    /// Takes out the rule that was not renewed for the longest time.
    pub(crate) fn remove_oldest(&mut self) -> Option<(Tenant, LastInvalidations)> {
        let (tenant, prefix) = self.by_age.pop_oldest()?;
        self.remove(tenant, &prefix)
    }

    /// Takes out the rules that nothing older than `settled` is left of.
    pub(crate) fn retire(&mut self, settled: Generation) {
        while self.by_age.oldest().is_some_and(|generation| generation <= settled) {
            self.remove_oldest();
        }
        if self.by_age.len() == 0 {
            // The memory of many rules goes with them.
            *self = Self::default();
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        let tables: usize = self.by_tenant.values().map(|r| r.by_prefix.allocation_size()).sum();
        self.by_age.bytes() + tables + self.by_tenant.allocation_size()
    }

    fn remove(&mut self, tenant: u32, prefix: &str) -> Option<(Tenant, LastInvalidations)> {
        let rules = self.by_tenant.get_mut(&tenant)?;
        let rule = rules.by_prefix.remove(prefix)?;
        if let Some(count) = rules.lengths.get_mut(&prefix.len()) {
            *count -= 1;
            if *count == 0 {
                rules.lengths.remove(&prefix.len());
            }
        }
        let owner = rules.tenant.clone();
        if rules.by_prefix.is_empty() {
            self.by_tenant.remove(&tenant);
        }
        Some((owner, rule))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scopes::Tenants;

    fn at(n: u64) -> Generation {
        Generation::new(n)
    }

    #[test]
    fn prefix_matches_what_begins_with_it_and_nothing_shorter() {
        let tenant = Tenants::new(0).get_or_add("a");
        let mut rules = PrefixPurges::default();
        rules.add(&tenant, "a/b", Severity::Hard, at(1));
        rules.add(&tenant, "a/b/", Severity::Soft, at(2));
        let found = |path| rules.matching(tenant.id(), path);
        assert_eq!(found("a/"), LastInvalidations::default());
        assert_eq!(found("a/b"), LastInvalidations { hard: at(1), soft: at(0) });
        assert_eq!(found("a/bc"), LastInvalidations { hard: at(1), soft: at(0) });
        assert_eq!(found("a/b/"), LastInvalidations { hard: at(1), soft: at(2) });
        assert_eq!(found("a/b/c"), LastInvalidations { hard: at(1), soft: at(2) });
        assert_eq!(found("a/c/b/"), LastInvalidations::default());
        assert_eq!(rules.matching(tenant.id() + 1, "a/b/c"), LastInvalidations::default());
    }

    #[test]
    fn renewed_rule_is_one_rule_and_retires_with_its_newest_generation() {
        let tenant = Tenants::new(0).get_or_add("a");
        let mut rules = PrefixPurges::default();
        rules.add(&tenant, "x/", Severity::Hard, at(1));
        rules.add(&tenant, "y/", Severity::Hard, at(2));
        rules.add(&tenant, "x/", Severity::Soft, at(3));
        assert_eq!(rules.len(), 2);
        rules.retire(at(2));
        assert_eq!(rules.len(), 1);
        assert_eq!(
            rules.matching(tenant.id(), "x/1"),
            LastInvalidations { hard: at(1), soft: at(3) }
        );
        rules.retire(at(3));
        assert_eq!(rules.len(), 0);
        assert_eq!(rules.matching(tenant.id(), "x/1"), LastInvalidations::default());
    }

    #[test]
    fn retired_rule_takes_along_no_other_of_its_length_and_no_length_outlives_its_last_rule() {
        let tenant = Tenants::new(0).get_or_add("a");
        let mut rules = PrefixPurges::default();
        for (prefix, generation) in [("x/", 1), ("y/", 2), ("long/", 3)] {
            rules.add(&tenant, prefix, Severity::Hard, at(generation));
        }
        let lengths = |rules: &PrefixPurges| {
            rules.by_tenant[&tenant.id()].lengths.keys().copied().collect::<Vec<_>>()
        };

        rules.retire(at(1));
        assert_eq!(rules.matching(tenant.id(), "x/1"), LastInvalidations::default());
        assert_eq!(
            rules.matching(tenant.id(), "y/1"),
            LastInvalidations { hard: at(2), soft: at(0) }
        );
        assert_eq!(lengths(&rules), [2, 5]);

        rules.retire(at(2));
        assert_eq!(lengths(&rules), [5]);
    }

    #[test]
    fn bytes_are_those_of_texts_and_tables() {
        let tenants = Tenants::new(0);
        let rules = |owner: &dyn Fn(u32) -> Tenant, width: usize| {
            let mut rules = PrefixPurges::default();
            for n in 0..1000 {
                let prefix = format!("{n:0width$}");
                rules.add(&owner(n), &prefix, Severity::Hard, at(u64::from(n) + 1));
            }
            rules.bytes()
        };
        assert_eq!(PrefixPurges::default().bytes(), 0);
        // The texts that are held twice, by age and by text, and the room that a table leaves free
        // at worst.
        let (aged, filed) = (
            size_of::<(Generation, (u32, Arc<str>))>(),
            size_of::<(Arc<str>, LastInvalidations)>(),
        );
        let of_one = rules(&|_| tenants.get_or_add("a"), 4);
        let expected = 1000 * (4 + aged + filed)..1000 * (4 + aged + 3 * filed);
        assert!(expected.contains(&of_one), "{of_one} is not in {expected:?}");
        assert_eq!(rules(&|_| tenants.get_or_add("a"), 104), of_one + 100_000);
        let of_many = rules(&|n| tenants.get_or_add(&n.to_string()), 4);
        let least = 1000 * (4 + aged + filed + size_of::<TenantRules>());
        assert!(of_many >= least, "{of_many} of {least}");
    }
}
