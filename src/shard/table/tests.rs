//! The contract of the table, against a plain map.

use super::lanes::{Confirmed, Tags};
use super::node::Bucket;
use super::records::*;
use super::{MAX_SLOTS, Removal};
use crate::freshness::Freshness;
use crate::hash::Hashing;
use crate::hash::TableHash;
use crate::scopes::Tenants;
use crate::scopes::{Generation, Tenant};
use crate::shard::PathRef;
use crate::variants::{Dictionary, NewVariant, Slot, SoftenCounts, Wanted};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A table and its expected content: for each path, the keys with value and mark, the oldest first.
struct World {
    records: Records<usize>,
    keys: Arc<Dictionary>,
    hashing: Hashing,
    tenant: Tenant,
    expected: BTreeMap<String, Vec<(String, usize, Freshness)>>,
}

fn path(n: usize) -> String {
    // Some are so long that their text is outside of the record.
    format!("p{}{n}", if n % 7 == 3 { "long".repeat(600) } else { "x".repeat(n % 50) })
}

fn key(n: usize) -> String {
    format!("?w={n}")
}

impl World {
    fn new() -> Self {
        Self {
            records: Records::default(),
            keys: Arc::default(),
            hashing: Hashing::new(),
            tenant: Tenants::new(0).get_or_add("doc"),
            expected: BTreeMap::new(),
        }
    }

    fn with_paths(paths: usize) -> Self {
        let mut world = Self::new();
        (0..paths).for_each(|n| world.push(n, n % 100, n, Freshness::Live));
        world
    }

    fn path<'a>(&'a self, path: &'a str) -> PathRef<'a> {
        let hash = self.hashing.path(self.tenant.id(), path);
        PathRef { hash, tenant: &self.tenant, path: path.as_bytes() }
    }

    fn id(&self, n: usize) -> Option<RecordId> {
        self.records.find(&self.path(&path(n))).map(RecordRef::id)
    }

    /// Stores a variant under the path, which is added if it is not there.
    fn push(&mut self, n: usize, variant: usize, value: usize, freshness: Freshness) {
        let path = path(n);
        let tenant = self.tenant.clone();
        let hash = self.hashing.path(tenant.id(), &path);
        let named = PathRef { hash, tenant: &tenant, path: path.as_bytes() };
        let text = key(variant);
        let id = self.id(n);
        let Self { records, keys, hashing, expected, .. } = self;
        let wanted = Wanted::new(&text, hashing);
        let variants = expected.entry(path.clone()).or_default();
        let located = id.map(|id| (id, records.get(id).locate(wanted, keys)));
        let there = located.and_then(|(id, located)| Some((id, located.variants, located.found?)));
        if let Some((id, at, found)) = there {
            let was = variants.iter().position(|(key, ..)| *key == text).unwrap();
            let (_, old, mark) = variants.remove(was);
            assert_eq!((Some(found.0), found.1), (records.get(id).find(wanted, keys), mark));
            assert_eq!(records.replace(id, at, found, value, freshness, true), old);
        } else if let Some(id) = id {
            records.push_variant(id, NewVariant { wanted, value, freshness }, keys, hashing);
        } else {
            let variant = NewVariant { wanted, value, freshness };
            records.push(&named, Generation::START, variant, keys, hashing);
        }
        variants.push((text, value, freshness));
    }

    /// Adds a path that is not there with so many variants.
    fn push_many(&mut self, n: usize, first: usize, count: usize) {
        if self.id(n).is_some() {
            return;
        }
        let path = path(n);
        let tenant = self.tenant.clone();
        let hash = self.hashing.path(tenant.id(), &path);
        let named = PathRef { hash, tenant: &tenant, path: path.as_bytes() };
        let (mut slots, mut variants) = (Vec::new(), Vec::new());
        for variant in first..first + count {
            let text = key(variant);
            let wanted = Wanted::new(&text, &self.hashing);
            let freshness = Freshness::stale_if(variant % 3 == 0);
            let key = self.keys.take(wanted.text, wanted.hash()).unwrap();
            slots.push((Slot::new(key, wanted.tag, variant), freshness));
            variants.push((text, variant, freshness));
        }
        let stale = self.records.push_many(&named, Generation::START, n % 40, slots.into_iter());
        assert_eq!(stale, variants.iter().filter(|(_, _, freshness)| freshness.is_stale()).count());
        self.expected.insert(path, variants);
    }

    fn remove_variant(&mut self, n: usize, variant: usize) {
        let Some(id) = self.id(n) else { return };
        let text = key(variant);
        let wanted = Wanted::new(&text, &self.hashing);
        let variants = self.expected.get_mut(&path(n)).unwrap();
        let was = variants.iter().position(|(key, ..)| *key == text);
        let at = self.records.get(id).find(wanted, &self.keys);
        assert_eq!(at.is_some(), was.is_some());
        if let (Some(at), Some(was)) = (at, was) {
            let (_, value, freshness) = variants.remove(was);
            let gone = self.records.remove_variant(id, at, &self.keys, &self.hashing);
            assert_eq!(gone, (value, freshness));
        }
    }

    fn remove_oldest(&mut self, n: usize) {
        let Some(id) = self.id(n) else { return };
        let variants = self.expected.get_mut(&path(n)).unwrap();
        let gone = self.records.remove_oldest(id, &self.keys, &self.hashing);
        let expected = (!variants.is_empty()).then(|| variants.remove(0));
        assert_eq!(gone.map(|e| (e.key.to_string(), e.value, e.freshness)), expected);
    }

    fn soften(&mut self, n: usize, pick: impl Fn(&str) -> bool) {
        let Some(id) = self.id(n) else { return };
        let mut expected = SoftenCounts::default();
        let variants = self.expected.get_mut(&path(n)).unwrap().iter_mut();
        for (_, _, freshness) in variants.filter(|(key, ..)| pick(key)) {
            match std::mem::replace(freshness, Freshness::Stale) {
                Freshness::Live => expected.made_stale += 1,
                Freshness::Stale => expected.already_stale += 1,
            }
        }
        assert_eq!(self.records.soften(id, pick, &self.keys), expected);
    }

    fn extract(&mut self, n: usize, pick: impl Fn(&str) -> bool) {
        let Some(id) = self.id(n) else { return };
        let all = std::mem::take(self.expected.get_mut(&path(n)).unwrap());
        let (gone, kept): (Vec<_>, Vec<_>) = all.into_iter().partition(|(key, ..)| pick(key));
        self.expected.insert(path(n), kept);
        let taken = self.records.extract(id, pick, &self.keys, &self.hashing);
        assert_taken(taken, gone);
    }

    fn remove(&mut self, n: usize) {
        let Some(id) = self.id(n) else { return };
        let (name, taken) = self.records.remove_named(id, &self.keys);
        assert_eq!(*name, *path(n));
        assert_taken(taken, self.expected.remove(&*name).unwrap());
    }

    /// Removes a path as a purge does, if it is settled at a generation.
    fn remove_settled(&mut self, n: usize, as_of: Generation) {
        let path = path(n);
        let hash = self.hashing.path(self.tenant.id(), &path);
        let named = PathRef { hash, tenant: &self.tenant, path: path.as_bytes() };
        let mut taken = Taken::none();
        match self.records.remove_settled(&named, as_of, &self.keys, &mut taken) {
            Removal::Absent => assert!(!self.expected.contains_key(&path)),
            Removal::Undone => assert_eq!(taken.len(), 0),
            Removal::Done { len, stale } => {
                assert_eq!(as_of, Generation::START, "no record is settled later");
                let variants = self.expected.remove(&path).unwrap();
                let marked = variants.iter().filter(|(_, _, freshness)| freshness.is_stale());
                assert_eq!((len, stale), (variants.len(), marked.count()));
                assert_taken(taken, variants);
            }
        }
    }

    fn check(&self) {
        let uses = self.records.check(&self.keys, &self.hashing);
        self.keys.check(uses.into_iter());
        assert_eq!(self.records.len(), self.expected.len());
        for (path, variants) in &self.expected {
            let record = self.records.find(&self.path(path)).expect("it was stored");
            assert_eq!(record.path(), path);
            assert_eq!(record.len(), variants.len());
            assert_eq!(
                record.stale(),
                variants.iter().filter(|(_, _, freshness)| freshness.is_stale()).count()
            );
            for (text, value, freshness) in variants {
                let wanted = Wanted::new(text, &self.hashing);
                let at = record.find(wanted, &self.keys).expect("it was stored");
                assert_eq!(record.get(at), (value, *freshness), "{path} {text}");
            }
            let mut listed = record.list(&self.keys);
            let mut expected: Vec<_> = variants
                .iter()
                .map(|(key, _, freshness)| (Arc::from(&**key), *freshness))
                .collect();
            listed.sort_unstable_by_key(|(key, _)| Arc::clone(key));
            expected.sort_unstable_by_key(|(key, _)| Arc::clone(key));
            assert_eq!(listed, expected);
            let (mut copied, half) = (Vec::new(), variants.len() / 2);
            for places in [half..variants.len(), 0..half] {
                record.visit(places, &self.keys, |key, value, freshness| {
                    copied.push((key.to_string(), *value, freshness));
                });
            }
            copied.sort_unstable_by(|(a, ..), (b, ..)| a.cmp(b));
            let mut expected = variants.clone();
            expected.sort_unstable_by(|(a, ..), (b, ..)| a.cmp(b));
            assert_eq!(copied, expected);
        }
    }
}

fn assert_taken(taken: Taken<usize>, mut expected: Vec<(String, usize, Freshness)>) {
    assert_eq!(taken.len(), expected.len());
    let entries = taken.into_entries().into_iter();
    let mut taken: Vec<_> =
        entries.map(|entry| (entry.key.to_string(), entry.value, entry.freshness)).collect();
    taken.sort_unstable_by(|(a, ..), (b, ..)| a.cmp(b));
    expected.sort_unstable_by(|(a, ..), (b, ..)| a.cmp(b));
    assert_eq!(taken, expected);
}

use crate::variants::Taken;

#[test]
fn table_is_a_map_of_ordered_sets_whatever_is_done() {
    for (seed, paths) in (0..).zip([3, 60, 400].repeat(4)) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = World::new();
        for step in 0..3000 {
            let (n, variant) = (random.usize(0..paths), random.usize(0..60));
            let odd = |text: &str| text.ends_with(['1', '3', '5', '7', '9']);
            let seven = |text: &str| text.ends_with('7');
            match random.u32(0..100) {
                0..10 => world.push_many(n, variant, 1 + step % MAX_SLOTS),
                10..70 => world.push(n, variant, step, Freshness::stale_if(random.u32(0..5) == 0)),
                70..80 => world.remove_variant(n, variant),
                80..83 => world.remove_oldest(n),
                83..87 => world.soften(n, odd),
                87..91 => world.extract(n, seven),
                91..94 => world.remove(n),
                94..98 => world.remove_settled(n, Generation::START),
                98..99 => world.remove_settled(n, Generation::new(1)),
                _ => world.records.shrink(),
            }
            if step % 300 == 0 {
                world.check();
            }
        }
        world.check();
        (0..paths).for_each(|n| world.remove(n));
        world.records.shrink();
        world.check();
        assert_eq!(world.records.bytes(), 0, "nothing is left");
    }
}

#[test]
fn sizes_are_those_of_cache_lines_or_less() {
    assert_eq!((size_of::<Tags>(), size_of::<Bucket<u64>>()), (32, 128));
}

/// A table of so many empty buckets.
fn empty(buckets: usize) -> Records<()> {
    let mut records = Records::default();
    (0..buckets).for_each(|_| records.split_for_test());
    records
}

#[test]
fn each_bucket_is_split_off_from_its_sibling() {
    let (mut before, mut after) = (empty(1), empty(2));
    for buckets in 2..200 {
        for hash in (0..5000).map(|n: u32| TableHash::new(n.wrapping_mul(0x9e37_79b9))) {
            let (old, new) = (before.bucket_of(hash), after.bucket_of(hash));
            assert!(old == new || (old, new) == (sibling(buckets), buckets - 1));
        }
        before.split_for_test();
        after.split_for_test();
    }
}

#[test]
fn bucket_is_that_of_the_low_bits_or_of_one_bit_less() {
    let buckets = |count| {
        let records = empty(count);
        (0..8).map(|n| records.bucket_of(TableHash::new(n | 8))).collect::<Vec<_>>()
    };
    assert_eq!(buckets(8), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(buckets(6), [0, 1, 2, 3, 4, 5, 2, 3]);
}

#[test]
fn each_bucket_gets_its_share_of_more_records() {
    let mut records = Records::<usize>::default();
    for buckets in 1..=70 {
        records.split_for_test();
        let all = u32::try_from(buckets).unwrap().next_power_of_two();
        let mut expected = vec![0; buckets];
        (0..all).for_each(|hash| expected[records.bucket_of(TableHash::new(hash))] += 3);
        let shares = (0..buckets).map(|bucket| records.share(bucket, 3 * all as usize));
        assert_eq!(shares.collect::<Vec<_>>(), expected, "{buckets} buckets");
        assert!((0..buckets).all(|bucket| records.share(bucket, usize::MAX) > 1 << 50));
    }
}

#[test]
fn table_that_has_grown_ahead_keeps_its_records_and_splits_no_more() {
    let mut world = World::with_paths(300);
    let mut steps = 0;
    while !world.records.grow_towards(2000) {
        world.check();
        steps += 1;
    }
    assert!(steps > 5, "{steps} steps");
    assert_eq!(world.records.buckets(), 2000_usize.div_ceil(PER_BUCKET));
    (300..2000).for_each(|n| world.push_many(n, n, 1 + n % 7));
    assert_eq!(world.records.buckets(), 2000_usize.div_ceil(PER_BUCKET));
    world.check();
    assert!(world.records.grow_towards(usize::MAX), "there is no such room");
    world.check();
}

#[test]
fn table_grows_and_shrinks_with_its_records() {
    let mut world = World::with_paths(2000);
    world.check();
    assert_eq!(world.records.buckets(), 2000_usize.div_ceil(PER_BUCKET));
    let full = world.records.bytes();
    (0..2000).filter(|n| n % 4 > 0).for_each(|n| world.remove(n));
    world.check();
    world.records.shrink();
    world.check();
    assert_eq!(world.records.buckets(), world.records.len().div_ceil(PER_BUCKET));
    assert!(world.records.bytes() * 3 < full, "{} of {full}", world.records.bytes());
}

/// A bucket with more records than a node has lanes: no hash function would make it, so the buckets
/// are taken away.
#[test]
fn bucket_of_many_records_has_further_nodes_without_gaps() {
    let mut world = World::with_paths(80);
    while world.records.buckets() > 1 {
        world.records.merge_for_test();
    }
    world.check();
    assert_eq!(world.records.nodes(0).count(), 4);
    for n in (0..80).step_by(3) {
        world.remove(n);
        world.check();
    }
    assert_eq!(world.records.nodes(0).count(), 3);
    // The removed paths are added again, and the table grows to its size.
    (0..80).step_by(3).for_each(|n| world.push(n, 1, n, Freshness::Live));
    world.check();
    // As a sweep removes them.
    for id in world.records.ids_of(0).into_iter().rev() {
        let (name, taken) = world.records.remove_named(id, &world.keys);
        assert_taken(taken, world.expected.remove(&*name).unwrap());
        world.check();
    }
}

#[test]
fn confirmed_generations_survive_no_change_and_a_newer_base() {
    let mut world = World::with_paths(1);
    let at = Generation::new;
    let record = world.records.get(world.id(0).unwrap());
    record.confirm(at(7));
    assert!(record.is_confirmed(at(7)) && !record.is_confirmed(at(8)));
    world.push(1, 1, 1, Freshness::Live);
    assert!(!world.records.get(world.id(0).unwrap()).is_confirmed(at(7)), "a record was added");

    let far = at(Confirmed::FURTHEST + 7);
    let record = world.records.get(world.id(0).unwrap());
    record.confirm(far);
    assert!(!record.is_confirmed(far), "too far from the base");
    world.records.rebase(far);
    let record = world.records.get(world.id(0).unwrap());
    record.confirm(far);
    assert!(record.is_confirmed(far));
    world.check();
}
