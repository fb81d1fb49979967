//! Hashing: a path is hashed once per operation, and the bits are split between the shard and the shard's table.
//!
//! Invariant: the bits that choose the shard are none of those that the shard's tables look at, so that the paths of one shard
//! spread over its tables like any others.
//!
//! Not here: identity. Equal hashes never stand for equal paths; whole keys are compared.

use ahash::RandomState;
use std::hash::{BuildHasher, Hasher};

/// The hash of a tenant and a path, good within one index of one process only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PathHash(u64);

/// The half of a hash that tables use, and keep with what they file. Tables hold less than 2^32 places, so the other half would only
/// make them larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TableHash(u32);

impl PathHash {
    /// The low half.
    #[allow(clippy::cast_possible_truncation, reason = "that is what it is for")]
    pub(crate) fn table(self) -> TableHash {
        TableHash(self.0 as u32)
    }

    /// The shard, for a number of shards that is a power of two of at most 2^16: from the high half.
    #[allow(clippy::cast_possible_truncation, reason = "the mask leaves at most sixteen bits")]
    pub(crate) fn shard(self, shards: usize) -> usize {
        (self.0 >> 32) as usize & (shards - 1)
    }
}

impl TableHash {
    pub(crate) fn get(self) -> u32 {
        self.0
    }

    /// A hash that was stored as a number.
    pub(crate) fn from_stored(hash: u32) -> Self {
        Self(hash)
    }

    /// The byte that tells most records of one bucket apart, and most keys of one record: the highest, as the bucket comes from the
    /// lowest. It is never zero, which marks what is free.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "eight bits are left")]
    pub(crate) fn tag(self) -> u8 {
        ((self.0 >> 24) as u8).max(1)
    }

    /// The number for a `hashbrown` table, which takes the bucket from the low bits and a tag from the top seven.
    pub(crate) fn spread(self) -> u64 {
        // Odd, so that different low bits stay different; about 2^64 divided by the golden ratio, so that the top bits depend on all.
        u64::from(self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[cfg(test)]
    pub(crate) fn new(hash: u32) -> Self {
        Self(hash)
    }
}

/// The index's own hash function.
///
/// Its seeds are drawn at random when the index is made, never stored and never shown: who doesn't know them can't choose
/// paths that collide.
pub(crate) struct Hashing(RandomState);

impl Hashing {
    pub(crate) fn new() -> Self {
        Self(random_state())
    }

    #[inline]
    pub(crate) fn path(&self, tenant: u32, path: &str) -> PathHash {
        let mut hasher = self.0.build_hasher();
        hasher.write_u32(tenant);
        hasher.write(path.as_bytes());
        PathHash(hasher.finish())
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "a table needs no more")]
    pub(crate) fn variant(&self, key: &str) -> TableHash {
        let mut hasher = self.0.build_hasher();
        hasher.write(key.as_bytes());
        TableHash(hasher.finish() as u32)
    }
}

/// Seeds of its own for every table. A model checker must be able to replay what it found, so it gets fixed ones.
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

    /// Paths that differ in one digit, that share a long beginning, that count up: what an attacker, or a shop, would send.
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
        // Chance gives 3906 to each, and strays from that by 62 one time in three; by 8 times as much practically never.
        let expected = 3906 - 500..3906 + 500;
        assert!(shards.iter().all(|count| expected.contains(count)), "{shards:?}");
        assert!(buckets.iter().all(|count| expected.contains(count)), "{buckets:?}");
        assert!(tags.iter().all(|count| expected.contains(count)), "{tags:?}");
    }

    #[test]
    fn tag_is_of_the_bits_that_choose_no_bucket() {
        assert_eq!(TableHash::new(0x00ff_ffff).tag(), 1, "zero marks what is free");
        assert_eq!(TableHash::new(0xab00_0000).tag(), 0xab);
    }
}
