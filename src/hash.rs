//! Hashing: a path is hashed once per operation, and the bits are split between the shard and the shard's table.
//!
//! Invariant: the bits that choose the shard are none of those that a `hashbrown` table looks at (the low bits choose the
//! bucket, the top seven are the tag), so that the paths of one shard spread over its table like any others.
//!
//! Not here: identity. Equal hashes never stand for equal paths; whole keys are compared.

use ahash::RandomState;
use std::hash::{BuildHasher, Hasher};

/// Where the shard bits begin: below the seven tag bits at the top, sixteen bits wide, so that tables of up to 2^41 buckets
/// use none of them.
const SHARD_SHIFT: u32 = 41;

/// The hash of a tenant and a path, good within one index of one process only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PathHash(u64);

impl PathHash {
    /// The number that the shard's tables use.
    pub(crate) fn table(self) -> u64 {
        self.0
    }

    /// The shard, for a number of shards that is a power of two of at most 2^16.
    #[allow(clippy::cast_possible_truncation, reason = "the mask leaves at most sixteen bits")]
    pub(crate) fn shard(self, shards: usize) -> usize {
        (self.0 >> SHARD_SHIFT) as usize & (shards - 1)
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

    pub(crate) fn path(&self, tenant: u32, path: &str) -> PathHash {
        let mut hasher = self.0.build_hasher();
        hasher.write_u32(tenant);
        hasher.write(path.as_bytes());
        PathHash(hasher.finish())
    }

    pub(crate) fn variant(&self, key: &str) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write(key.as_bytes());
        hasher.finish()
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
        let low_and_tag = 0xfe00_01ff_ffff_ffff;
        assert_eq!(PathHash(low_and_tag).shard(1 << 16), 0);
        assert_eq!(PathHash(!low_and_tag).shard(1 << 16), (1 << 16) - 1);
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
        let (mut shards, mut buckets) = ([0_u32; PARTS], [0_u32; PARTS]);
        for n in 0..PATHS {
            let hash = hashing.path(0, &format!("shop.example/pictures/{n}"));
            shards[hash.shard(PARTS)] += 1;
            // The buckets of one shard's table, for all paths at once.
            buckets[usize::try_from(hash.table() % PARTS as u64).unwrap()] += 1;
        }
        // Chance gives 3906 to each, and strays from that by 62 one time in three; by 8 times as much practically never.
        let expected = 3906 - 500..3906 + 500;
        assert!(shards.iter().all(|count| expected.contains(count)), "{shards:?}");
        assert!(buckets.iter().all(|count| expected.contains(count)), "{buckets:?}");
    }
}
