//! Hashing: a path is hashed once per operation, and the bits are split between the shard and the
//! shard's table.
//!
//! Invariant: the shard's tables use none of the bits that choose the shard. So the paths of one
//! shard spread over its tables like any others.
//!
//! Not here: identity. Equal hashes never stand for equal paths; whole keys are compared.

use ahash::RandomState;
use std::hash::{BuildHasher, Hasher};

/// The hash of a tenant and a path. It is valid within one index of one process only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PathHash(u64);

/// The half of the hash that tables store and probe with. A table has fewer than 2^32 slots, so
/// storing all 64 bits would only waste memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TableHash(u32);

/// A byte that differs between most keys of one record. It only saves comparisons of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyTag(u8);

/// A sum over all bytes of a key. Different keys have different sums, but for a few.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeySum(u64);

impl PathHash {
    /// Returns the low half.
    #[allow(clippy::cast_possible_truncation, reason = "that is what it is for")]
    #[inline]
    pub(crate) fn table(self) -> TableHash {
        TableHash(self.0 as u32)
    }

    /// Returns the shard, taken from the high half. The number of shards must be a power of two, at
    /// most 2^16.
    #[allow(clippy::cast_possible_truncation, reason = "the mask leaves at most sixteen bits")]
    #[inline]
    pub(crate) fn shard(self, shards: usize) -> usize {
        (self.0 >> 32) as usize & (shards - 1)
    }
}

impl TableHash {
    #[inline]
    pub(crate) fn get(self) -> u32 {
        self.0
    }

    /// Restores a hash that was stored as a number.
    #[inline]
    pub(crate) fn from_stored(hash: u32) -> Self {
        Self(hash)
    }

    /// Returns the tag, a byte that differs between most records of one bucket. It is the highest
    /// byte, as the bucket comes from the lowest bits. The tag is never zero, because zero marks a
    /// free lane, and never one, because a search may take a tag for another one that differs in
    /// the lowest bit.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "eight bits are left")]
    pub(crate) fn tag(self) -> u8 {
        ((self.0 >> 24) as u8).max(2)
    }

    /// Returns the number for a `hashbrown` table, which uses the low bits for the bucket and the
    /// top seven bits for a tag.
    #[inline]
    pub(crate) fn spread(self) -> u64 {
        // The factor is odd, so that different low bits stay different. It is about 2^64 divided by
        // the golden ratio, so that the top bits depend on all bits.
        u64::from(self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[cfg(test)]
    pub(crate) fn new(hash: u32) -> Self {
        Self(hash)
    }
}

/// The index's own hash function.
///
/// Its seeds are drawn at random when the index is created. They are never stored and never shown,
/// so an attacker who does not know them cannot choose paths that collide.
pub(crate) struct Hashing {
    state: RandomState,
    /// Random odd factors of the parts of a key.
    factors: [u64; 4],
}

impl KeyTag {
    #[inline]
    pub(crate) fn get(self) -> u8 {
        self.0
    }
}

impl KeySum {
    /// The highest byte: the lower bits depend on fewer bits of the key.
    #[inline]
    pub(crate) fn tag(self) -> KeyTag {
        KeyTag(self.0.to_be_bytes()[0])
    }

    /// Forty bits behind the tag.
    #[inline]
    pub(crate) fn check(self) -> u64 {
        self.0 << 8 >> 24
    }
}

impl Hashing {
    pub(crate) fn new() -> Self {
        let state = random_state();
        let factors = [1, 2, 3, 4].map(|part: u64| state.hash_one(part) | 1);
        Self { state, factors }
    }

    #[allow(clippy::inline_always, reason = "most of what a lookup of a missing path does")]
    #[inline(always)]
    pub(crate) fn path(&self, tenant: u32, path: &str) -> PathHash {
        let mut hasher = self.state.build_hasher();
        hasher.write_u32(tenant);
        hasher.write(path.as_bytes());
        PathHash(hasher.finish())
    }

    #[allow(clippy::inline_always, reason = "a good part of a lookup")]
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "a table needs no more")]
    pub(crate) fn variant(&self, key: &str) -> TableHash {
        let mut hasher = self.state.build_hasher();
        hasher.write(key.as_bytes());
        TableHash(hasher.finish() as u32)
    }

    /// Returns the tag of a variant key.
    ///
    /// It costs a third of the hash. In return, keys with equal tags are easier to find. A record
    /// compares at most 32 keys by their tags, so such keys cost at most that many comparisons of
    /// texts.
    #[allow(clippy::inline_always, reason = "a good part of a lookup")]
    #[inline(always)]
    pub(crate) fn tag(&self, key: &str) -> KeyTag {
        self.sum(key).tag()
    }

    /// Returns the sum of a variant key: of its words of eight bytes, each times a random factor.
    /// Some of the words overlap.
    #[allow(clippy::inline_always, reason = "as above")]
    #[inline(always)]
    pub(crate) fn sum(&self, key: &str) -> KeySum {
        let (key, [a, b, c, d]) = (key.as_bytes(), self.factors);
        let last = last_word(key).wrapping_add(key.len() as u64).wrapping_mul(a);
        let sum = match (key.first_chunk(), key.last_chunk()) {
            (Some(first), Some(end)) => {
                let sum = last
                    .wrapping_add(word(first, 0).wrapping_mul(b))
                    .wrapping_add(word(first, 8).wrapping_mul(c))
                    .wrapping_add(word(end, 0).wrapping_mul(d));
                if key.len() > 32 { sum.wrapping_add(middle(&key[16..], c)) } else { sum }
            }
            _ => key.first_chunk().map_or(last, |first| {
                last.wrapping_add(u64::from_le_bytes(*first).wrapping_mul(b))
            }),
        };
        KeySum(sum)
    }
}

#[inline]
fn word(bytes: &[u8; 16], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// The words of a long key, but for the last that are not whole.
#[inline(never)]
fn middle(bytes: &[u8], factor: u64) -> u64 {
    bytes
        .chunks_exact(8)
        .fold(0, |sum, word| last_word(word).wrapping_add(sum).wrapping_mul(factor))
}

/// The last eight bytes of a text as a number; or all of them, if they are less. Texts of one
/// length below eight have different numbers.
#[allow(clippy::inline_always, reason = "a good part of a lookup")]
#[inline(always)]
pub(crate) fn last_word(text: &[u8]) -> u64 {
    text.last_chunk().map_or_else(|| short_word(text), |last| u64::from_le_bytes(*last))
}

#[inline]
fn short_word(text: &[u8]) -> u64 {
    match (text.first_chunk(), text.last_chunk()) {
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
        }
        _ => text.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// Returns random seeds, different for every table. A model checker must be able to replay its
/// findings, so it gets fixed seeds.
pub(crate) fn random_state() -> RandomState {
    if cfg!(any(cache_index_loom, cache_index_shuttle)) {
        RandomState::with_seeds(1, 2, 3, 4)
    } else {
        RandomState::new()
    }
}

impl std::fmt::Debug for Hashing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The seeds stay secret.
        f.write_str("Hashing")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shard_ignores_the_bits_that_the_table_uses() {
        let table = PathHash(0xffff_ffff);
        assert_eq!(table.shard(1 << 16), 0);
        let shard = PathHash(0xffff << 32);
        assert_eq!((shard.shard(1 << 16), shard.table()), ((1 << 16) - 1, TableHash(0)));
    }

    #[test]
    fn two_indexes_hash_differently() {
        let (a, b) = (Hashing::new(), Hashing::new());
        let differing = (0..64).filter(|n| a.path(*n, "x") != b.path(*n, "x")).count();
        assert!(differing > 60, "only {differing} of 64 hashes differ");
    }

    #[test]
    fn tenant_is_part_of_the_hash() {
        let hashing = Hashing::new();
        assert_ne!(hashing.path(0, "a/b.jpg"), hashing.path(1, "a/b.jpg"));
    }

    /// Paths that differ in one digit, share a long prefix, or count up: such paths come from
    /// attackers, and from shops.
    #[test]
    fn alike_paths_fill_shards_and_buckets_as_evenly_as_chance_would() {
        const PATHS: u32 = 1_000_000;
        const PARTS: usize = 256;
        let hashing = Hashing::new();
        let (mut shards, mut buckets, mut tags) = ([0_u32; PARTS], [0_u32; PARTS], [0_u32; PARTS]);
        for n in 0..PATHS {
            let hash = hashing.path(0, &format!("shop.example/pictures/{n}"));
            shards[hash.shard(PARTS)] += 1;
            // The buckets of one shard's table, for all paths at once.
            let place = hash.table().get();
            buckets[place as usize % PARTS] += 1;
            tags[(hash.table().spread() >> 56) as usize] += 1;
        }
        // The expected count is 3906, with a standard deviation of 62. A deviation of 500 is eight
        // times that, and practically never occurs.
        let expected = 3906 - 500..3906 + 500;
        assert!(shards.iter().all(|count| expected.contains(count)), "{shards:?}");
        assert!(buckets.iter().all(|count| expected.contains(count)), "{buckets:?}");
        assert!(tags.iter().all(|count| expected.contains(count)), "{tags:?}");
    }

    #[test]
    fn tag_is_of_the_bits_that_choose_no_bucket() {
        assert_eq!(TableHash::new(0x00ff_ffff).tag(), 2, "zero marks what is free");
        assert_eq!(TableHash::new(0xab00_0000).tag(), 0xab);
    }

    /// As many pairs of equal tags as chance would give, also of keys that differ in one digit or
    /// in their middle.
    #[test]
    fn tags_of_alike_keys_differ_mostly() {
        let keys: [fn(u32) -> String; 5] = [
            |n| format!("?w={n}"),
            |n| format!("{n}"),
            |n| format!("?h={}&org_if_sml=1&w={}", 100 + 10 * n, 200 + 20 * n),
            |n| format!("?func=crop&gravity=face&q={}&radius=30&w=1000", 10 + n),
            |n| "x".repeat(n as usize),
        ];
        for (kind, key) in keys.into_iter().enumerate() {
            let rounds = 200;
            let equal: u32 = (0..rounds)
                .map(|_| {
                    let (hashing, mut counts) = (Hashing::new(), [0_u32; 256]);
                    (1..33).for_each(|n| counts[usize::from(hashing.tag(&key(n)).get())] += 1);
                    counts.iter().map(|count| count * count.saturating_sub(1) / 2).sum::<u32>()
                })
                .sum();
            // Of 496 pairs, 2 would have equal tags by chance.
            assert!(equal < rounds * 8, "{equal} pairs of kind {kind} in {rounds} rounds");
        }
    }
}
