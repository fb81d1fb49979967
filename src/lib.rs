//! Knows, for every picture, which resized renditions of it a cache holds, so that purging a picture, a tenant or everything is
//! exact, immediate, and cannot be undone by a fetch that was already under way.
//!
//! A cache server stores resized renditions of pictures. One picture, named by its [`OriginPath`], has many stored renditions, each
//! named by a [`VariantKey`]. The [`CacheIndex`] maps each picture to the set of its variants, and each variant to a value that you
//! choose: an object id, a file offset, `()`.
//!
//! ```
//! use cache_index::{CacheIndex, Hard, Lookup, OriginPath, VariantKey};
//!
//! let index = CacheIndex::default();
//! let tenant = index.tenant("shop");
//! // Names are any text. Requests for the same picture must give the same one.
//! let origin = OriginPath::opaque("shop.example/birds.jpg")?;
//! let variant = VariantKey::opaque("300x200")?;
//!
//! // On a miss: first the lease, then the source.
//! let lease = index.lease(&tenant, &origin);
//! assert!(lease.commit(&variant, 17_u64).is_stored());
//! assert_eq!(index.lookup(&tenant, &origin, &variant), Lookup::Live(17));
//!
//! // When the picture changes: all renditions go, and no fetch that is under way can bring one back.
//! assert_eq!(index.purge(&tenant, &origin, Hard).len(), 1);
//! assert_eq!(index.lookup(&tenant, &origin, &variant), Lookup::Miss);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
#![cfg_attr(
    feature = "cloudimage",
    doc = "The names of Cloudimage's URLs come from [`canonical`], and whole requests to invalidate from [`invalidation`].\n"
)]
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | tenant | one customer; paths of two tenants never meet |
//! | origin path | name of a source picture inside a tenant |
//! | variant key | name of one rendition of it; among Cloudimage's, `?` for the untransformed picture |
//! | canonical, opaque | spelled by Cloudimage's rules, each picture in one way; any text, compared byte for byte |
//! | live, stale, dead | may be served; may be served while it is refreshed; must never be served |
//! | purge, flush | invalidate one path, some variants of it, or all paths under a prefix; a whole tenant, or everything |
//! | hard, soft | makes entries dead; makes them stale |
//! | lease | taken on a miss, before the source is read; needed to store what was read |
//! | generation | the one counter of the index; every purge and flush takes the next number |
//! | reclaim | free dead entries, and hand their values over |
//!
//! # Operations
//!
//! | operation | cost | locks |
//! |---|---|---|
//! | [`lookup`](CacheIndex::lookup) | O(1), no allocation | one shard, shared |
//! | [`lookup_many`](CacheIndex::lookup_many) | that of the single lookups; with the feature `prefetch`, less | one shard after another, shared |
//! | [`lease`](CacheIndex::lease) | O(1) | one shard's table of open fills; no shard |
//! | [`commit`](FillLease::commit), [`insert`](CacheIndex::insert), [`remove`](CacheIndex::remove) | O(1) amortized | one shard, exclusively |
//! | [`purge`](CacheIndex::purge), [`purge_selected`](CacheIndex::purge_selected) | O(variants of the path) | one shard, exclusively, while they are unlinked or marked |
//! | [`purge_many`](CacheIndex::purge_many) | that of the single purges | one shard after another, each once |
//! | [`purge_prefix`](CacheIndex::purge_prefix) | O(length of the prefix) | none |
//! | [`flush_tenant`](CacheIndex::flush_tenant), [`flush_all`](CacheIndex::flush_all) | O(1) | none |
//! | [`tenant`](CacheIndex::tenant), [`forget_tenant`](CacheIndex::forget_tenant) | O(length of the name) | the table of tenants; no shard |
#![cfg_attr(
    feature = "cloudimage",
    doc = "| [`apply`](CacheIndex::apply) an [invalidation] request | that of the purges and flushes in it | one shard after another, each once, exclusively |",
    doc = "| [`dry_run`](CacheIndex::dry_run) of one | O(variants of the pictures); for prefixes and for everything, O(paths in the index) | one shard after another, shared |"
)]
//! | [`paths`](CacheIndex::paths) | O(paths in the index) | one shard after another, shared |
//! | [`variants`](CacheIndex::variants) | O(variants of the path) | one shard, shared |
//! | [`reclaim`](CacheIndex::reclaim) | O(n) | one shard after another, exclusively, for each path that is taken out |
//! | [`stats`](CacheIndex::stats) | O(shards), times the tenants that have entries there | one shard after another, shared |
//!
//! # Promises
//!
//! **P1, nothing comes back.** When a hard purge or flush has returned, whatever its scope, no lookup that starts later returns a
//! value whose fill began before it, in any thread: not if the path had no entry at the time, not if the fill commits later, not after
//! the entry was removed and stored again. After a soft one, such a value is at best stale. A fill begins when its lease is taken; so
//! take it before the source is read, also to revalidate. [`insert`](CacheIndex::insert) begins and ends at once, and is for loading.
//!
//! **P2, nothing else goes.** A purge of one path refuses no fill and touches no entry of any other path; a flush of one tenant none of
//! another's. Refusals are exact, not probable. Within one path, a purge of some variants refuses the path's open fills, whatever they
//! would be stored as. The one exception is announced: see P7.
//!
//! **P3, order without clocks.** The [`Generation`] alone decides. No clock is read; there are no ties.
//!
//! **P4, every value is handed over once.** A value that was stored is live or stale, or was returned by replace, evict, remove, purge or
//! reclaim, or is dead and waits to be reclaimed. With [`DeadValues::Drop`] the index drops dead values itself, never while holding a
//! lock. This holds even if the caller's `Clone`, `PartialEq` or `Drop` panics.
//!
//! **P5, bounded pauses.** No call makes another thread wait longer than its own cost above. A purge unlinks variants under the lock and
//! drops them outside. Tables grow per shard. A flush visits nothing. Lookups don't queue behind a purge that waits for another lookup;
//! lookups that follow each other without a gap keep a purge waiting for a millisecond, and then let it pass.
//!
//! **P6, dead memory comes back.** After a flush, dead entries are freed in bounded steps as the index is used, faster by
//! [`reclaim`](CacheIndex::reclaim); a prefix rule is dropped once every older entry has been checked against it.
//! Lookups never free memory.
//!
//! **P7, bounded by configuration.** Variants per path, paths, entries, lengths, prefix rules: see [`ConfigBuilder`]. Over a limit there
//! is a [`Refusal`], or the oldest variant is handed over; one prefix rule too many invalidates the whole tenant of the oldest, which may be
//! too much and is never too little, and [says so](PrefixPurged::widened). Memory for in-flight fills is proportional to the number of open
//! leases, and is released when a lease is dropped. The number of tenants is not bounded: ask for those that exist, and
//! [forget](CacheIndex::forget_tenant) those that have left.
//!
//! **P8, hostile keys.** Hashes are seeded at random per index; nobody can choose paths or variants that collide. A client that
//! enumerates variants runs into the limits of P7.
//!
//! **P9, one picture, one name.** All canonical spellings of one picture map to the same name, and different pictures never do. With
//! opaque names, this is the caller's job.
//!
//! # Features
//!
//! `cloudimage`, on by default: the modules `canonical` and `invalidation`, and names that are canonical. Without it, the index stands
//! alone, and all names are opaque.
//!
//! `serde`, off by default: reads requests to invalidate from JSON. It implies `cloudimage`.
//!
//! `prefetch`, off by default: [`lookup_many`](CacheIndex::lookup_many) waits for the memory of several keys at once.
//!
//! # Under concurrency
//!
//! Every operation is linearizable: it happens at one moment between its call and its return, in an order on which all threads agree.
//! Operations on one path hold its shard's lock; each flush is published by one atomic write. No call returns a lock guard, runs a
//! callback, blocks on I/O, or holds two shard locks at once. Values are dropped by the caller, or by the index outside of its locks.
//!
//! # What it is not
//!
//! It is not a cache: it doesn't fetch, doesn't evict by itself, and doesn't store bytes. It is not distributed: it knows one process. It
//! is not persistent: after a restart it is empty. The server fills it as it reads its cache, or drops the cache. The crate
//! `cache-index-persist` keeps an index on disk.
#![forbid(unsafe_code)]

#[cfg(feature = "cloudimage")]
pub mod canonical;
mod config;
#[cfg(feature = "cloudimage")]
mod forecast;
mod freshness;
mod hash;
mod index;
#[cfg(feature = "cloudimage")]
pub mod invalidation;
mod limits;
mod mode;
mod names;
mod outcome;
mod prefetch;
mod scopes;
mod selection;
mod severity;
mod shard;
mod stats;
mod sync;
mod variants;

pub use config::{Config, ConfigBuilder, ConfigError, DeadValues};
pub use freshness::Freshness;
pub use index::{CacheIndex, FillLease};
pub use limits::WhenFull;
pub use mode::{Hard, Mode, Soft};
pub use names::{NameError, NameErrorKind, OriginPath, PathPrefix, VariantKey};
pub use outcome::{
    Dead, Flushed, Insertion, Lookup, PrefixPurged, Purged, PurgedEntries, Reclaimed,
    ReclaimedEntries, Refusal, Refused, Softened, Stored,
};
pub use scopes::{Generation, Tenant};
pub use selection::Selection;
pub use severity::Severity;
pub use stats::Stats;

/// The examples of the README and of the pages in `docs` are compiled and run as tests.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/integration.md")]
    struct Integration;
    #[cfg(feature = "cloudimage")]
    #[doc = include_str!("../docs/cloudimage.md")]
    struct Cloudimage;
}
