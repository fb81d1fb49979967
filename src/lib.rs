//! An embedded index of the resized renditions that a cache stores for each picture. Purging a
//! picture, a tenant or everything is exact and immediate. An in-flight fetch cannot undo it.
//!
//! # How it works
//!
//! A cache server stores resized renditions of pictures. One picture, named by its [`OriginPath`],
//! has many stored renditions, each named by a [`VariantKey`]. The [`CacheIndex`] maps each picture
//! to the set of its variants, and each variant to a value that you choose: an object id, a file
//! offset, `()`.
//!
//! One counter, the [`Generation`], orders all purges, flushes and fills. On a miss, the server
//! takes a [lease](CacheIndex::lease) before it reads the source. The lease carries the generation
//! in which the fill began. A purge of the path takes the next generation, and the commit of an
//! older lease is [refused](Refusal).
//!
#![cfg_attr(
    feature = "cloudimage",
    doc = "[`canonical`] turns Cloudimage URLs into names, and [`invalidation`] reads whole requests.\n"
)]
//!
//! | word | meaning |
//! |---|---|
//! | tenant | one customer; paths of two tenants are always distinct |
//! | origin path | the name of a source picture inside a tenant |
//! | variant key | the name of one rendition of a picture |
//! | canonical | written by Cloudimage's rules, with one spelling per picture |
//! | opaque | any text, compared byte for byte |
//! | live, stale | may be served; may be served while it is refreshed |
//! | dead | must never be served |
//! | purge | invalidates one path, some of its variants, or all paths under a prefix |
//! | flush | invalidates a whole tenant, or everything |
//! | hard, soft | makes entries dead; makes them stale |
//! | fill | a read of the source, from its lease to its commit |
//! | in-flight, open | a fill that has begun and is neither committed nor dropped |
//! | lease | taken on a miss, before the source is read; needed to store the result |
//! | claim | a lookup that takes the lease on a miss |
//! | pending | the value of an open claim, which later claims get |
//! | generation | the one counter of the index; every purge and flush takes the next number |
//! | prefix rule | a prefix purge that some older entries were not yet checked against |
//! | reclaim | frees dead entries, and returns their values |
//!
//! # Example
//!
//! ```
//! use cache_index::{CacheIndex, Hard, Lookup, OriginPath, VariantKey};
//!
//! let index = CacheIndex::default();
//! let tenant = index.tenant("shop");
//! // Names are any text. Requests for the same picture must produce the same name.
//! let origin = OriginPath::opaque("shop.example/birds.jpg")?;
//! let variant = VariantKey::opaque("300x200")?;
//!
//! // On a miss: first the lease, then the source.
//! let lease = index.lease(&tenant, &origin);
//! assert!(lease.commit(&variant, 17_u64).is_stored());
//! assert_eq!(index.lookup(&tenant, &origin, &variant), Lookup::Live(17));
//!
//! // When the picture changes: all renditions are removed, and no in-flight fetch can restore one.
//! assert_eq!(index.purge(&tenant, &origin, Hard).len(), 1);
//! assert_eq!(index.lookup(&tenant, &origin, &variant), Lookup::Miss);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Consistency
//!
//! Every operation on a path, every flush and every prefix purge is *linearizable*: it takes effect
//! at one moment between its call and its return, and all threads agree on the order. Operations on
//! one path hold the lock of its shard. One atomic write publishes each flush.
//!
//! These are not linearizable as a whole, because they visit one path or one shard after another:
//!
//! - [`paths`](CacheIndex::paths), [`export`](CacheIndex::export) and [`stats`](CacheIndex::stats)
//! - [`lookup_many`](CacheIndex::lookup_many), [`purge_many`](CacheIndex::purge_many) and
//!   [`reclaim`](CacheIndex::reclaim); each single step is
#![cfg_attr(
    feature = "cloudimage",
    doc = "- [`apply`](CacheIndex::apply), where each entry takes effect at its own moment, and\n  [`dry_run`](CacheIndex::dry_run)"
)]
//!
//! No call returns a lock guard, runs a callback, blocks on I/O, or holds two shard locks at once.
//! Values are dropped by the caller, or by the index outside of its locks.
//!
//! # Trade-offs
//!
//! - The index is not a cache: it does not fetch, does not evict by itself, and does not store
//!   bytes.
//! - It is not distributed: it knows one process.
//! - It is not persistent: after a restart it is empty. The server fills it as it reads its cache,
//!   or drops the cache. The crate `cache-index-persist` keeps an index on disk. For other
//!   storages, [`export`](CacheIndex::export) copies all entries, and a [`Restore`] puts them back.
//! - Paths are hashed, not sorted. Prefix purges take constant time, but listing a prefix visits
//!   every path.
//! - A dead entry occupies memory until a sweep or [`reclaim`](CacheIndex::reclaim) reaches it.
//!
//! | operation | cost | locks |
//! |---|---|---|
//! | [`lookup`] | O(1), no allocation | one shard, shared |
//! | [`lookup_many`] | single lookups, or less | one shard after another, shared |
//! | [`lease`] | O(1) | one shard's table of open fills; no shard |
//! | [`claim`] | O(1) | one shard, shared; unless live, its table of open fills |
//! | [`commit`], [`insert`], [`remove`] | O(1) amortized | one shard, exclusive |
//! | [`purge`], [`purge_selected`] | O(variants of the path) | one shard, exclusive (1) |
//! | [`purge_many`] | single purges | one shard after another, each once |
//! | [`purge_prefix`] | O(length of the prefix) | none |
//! | [`flush_tenant`], [`flush_all`] | O(1) | none |
//! | [`flush_tenant_over`], [`flush_all_over`] | O(1) | none |
//! | [`tenant`], [`forget_tenant`] | O(length of the name) | the table of tenants; no shard |
#![cfg_attr(
    feature = "cloudimage",
    doc = "| [`apply`](CacheIndex::apply) | single purges and flushes | one shard after another, each once, exclusive |",
    doc = "| [`dry_run`](CacheIndex::dry_run) | O(variants of the pictures) (2) | one shard after another, shared |"
)]
//! | [`paths`] | O(paths in the index) | one shard after another, shared |
//! | [`variants`] | O(variants of the path) | one shard, shared |
//! | [`export`] | O(limit) | one shard, shared |
//! | [`begin_restore`] | O(shards) | one shard after another, exclusive |
//! | [`Restore::path`] | O(entries) amortized | one shard, exclusive |
//! | [`tenants`] | O(tenants) | the table of tenants; no shard |
//! | [`reclaim`] | O(n) | one shard after another, exclusive (3) |
//! | [`stats`] | O(shards) (4) | one shard after another, shared |
//!
//! 1. Only while the variants are unlinked or marked.
//! 2. O(paths in the index) for prefixes and for everything.
//! 3. Once for each path that is removed.
//! 4. Times the tenants that have entries in the shard.
//!
//! [`lookup`]: CacheIndex::lookup
//! [`lookup_many`]: CacheIndex::lookup_many
//! [`lease`]: CacheIndex::lease
//! [`claim`]: CacheIndex::claim
//! [`commit`]: FillLease::commit
//! [`insert`]: CacheIndex::insert
//! [`remove`]: CacheIndex::remove
//! [`purge`]: CacheIndex::purge
//! [`purge_selected`]: CacheIndex::purge_selected
//! [`purge_many`]: CacheIndex::purge_many
//! [`purge_prefix`]: CacheIndex::purge_prefix
//! [`flush_tenant`]: CacheIndex::flush_tenant
//! [`flush_all`]: CacheIndex::flush_all
//! [`flush_tenant_over`]: CacheIndex::flush_tenant_over
//! [`flush_all_over`]: CacheIndex::flush_all_over
//! [`tenant`]: CacheIndex::tenant
//! [`forget_tenant`]: CacheIndex::forget_tenant
//! [`paths`]: CacheIndex::paths
//! [`variants`]: CacheIndex::variants
//! [`export`]: CacheIndex::export
//! [`begin_restore`]: CacheIndex::begin_restore
//! [`tenants`]: CacheIndex::tenants
//! [`reclaim`]: CacheIndex::reclaim
//! [`stats`]: CacheIndex::stats
//!
//! # Guarantees
//!
//! **P1, nothing comes back.** Once a hard purge or flush of any scope has returned, no lookup that
//! starts later returns a value whose fill began before it. This holds in every thread:
//!
//! - if the path had no entry at the time of the purge
//! - if the fill commits after the purge
//! - if the entry was removed and stored again
//!
//! With a flush [over time](OverTime), this holds for each path from its moment on, and for all
//! once the duration has passed. After a soft purge or flush, such a value is at best stale. A fill
//! begins when its lease is taken. So take the lease before the source is read, also to revalidate.
//! [`insert`] begins and ends a fill at once, and is for loading.
//!
//! **P2, nothing else goes.** Purging a path affects only that path; flushing a tenant affects only
//! that tenant. Refusals are exact: there are no false positives. Within one path, a purge of some
//! variants refuses the path's open fills, because a fill does not announce its variant. The one
//! exception is announced: see P7.
//!
//! **P3, order without clocks.** The [`Generation`] alone decides, and two invalidations never have
//! the same generation. The index reads a clock only while a flush [over time](OverTime) runs. It
//! decides when an older entry dies, and never whether it does.
//!
//! **P4, every value is handed over once.** A stored value is in exactly one of three states: it is
//! live or stale, it was returned by replace, evict, remove, purge or reclaim, or it is dead and
//! waits for reclaim. With [`DeadValues::Drop`] the index drops dead values itself, never while
//! holding a lock. This holds even if the caller's `Clone`, `PartialEq` or `Drop` panics.
//!
//! **P5, bounded pauses.** No call makes another thread wait longer than its own cost above. A
//! purge unlinks variants under the lock and drops them outside. Tables grow per shard. A flush
//! does not visit entries. Lookups do not queue behind a purge that waits for another lookup.
//! Lookups that follow each other without a gap delay a purge for about 1 ms, and then let it pass.
//!
//! **P6, dead memory comes back.** After a flush, dead entries are freed in bounded steps as the
//! index is used, and faster by [`reclaim`]. A prefix rule is dropped once every older entry has
//! been checked against it. Lookups never free memory.
//!
//! **P7, bounded by configuration.** [`ConfigBuilder`] limits variants per path, paths, entries,
//! lengths and prefix rules.
//!
//! - Over a limit, the operation returns a [`Refusal`], or the oldest variant of the path.
//! - One prefix rule over the limit invalidates the whole tenant of the oldest rule. This
//!   invalidates more than requested, never less, and the result
//!   [reports it](PrefixPurged::widened).
//! - Memory for in-flight fills is proportional to the number of open leases, and is released when
//!   a lease is dropped.
//! - The number of tenants is not bounded: create handles only for tenants that exist, and
//!   [forget](CacheIndex::forget_tenant) those that have left.
//!
//! **P8, hostile keys.** Hashes are seeded at random per index, so an attacker cannot choose paths
//! or variants that collide. A client that enumerates variants runs into the limits of P7.
//!
//! **P9, one picture, one name.** All canonical spellings of one picture map to the same name, and
//! different pictures never do. With opaque names, the caller must ensure this.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `cloudimage` | on | the modules `canonical` and `invalidation`, and canonical names |
//! | `serde` | off | requests to invalidate in JSON; implies `cloudimage` |
//!
//! Without `cloudimage`, the index stands alone, and all names are opaque.
//!
//! # Minimum supported Rust version
//!
//! The crate compiles with Rust 1.85, the `rust-version` of its manifest. Every release is compiled
//! with that version. The changelog names each release that raises it.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "cloudimage")]
pub mod canonical;
mod config;
mod cpu_prefetch;
#[cfg(feature = "cloudimage")]
mod dry_run;
mod freshness;
mod hash;
mod index;
#[cfg(feature = "cloudimage")]
pub mod invalidation;
mod limits;
mod mode;
mod monotonic;
mod names;
mod outcome;
mod scopes;
mod selection;
mod severity;
mod shard;
mod stats;
mod sync;
mod variants;

pub use config::{Config, ConfigBuilder, ConfigError, DeadValues};
pub use freshness::Freshness;
pub use index::{CacheIndex, Claim, ClaimLease, ExportCursor, FillLease, Restore, RunningFlush};
pub use limits::WhenFull;
pub use mode::{Hard, Mode, Soft};
pub use monotonic::ManualClock;
pub use names::{NameError, NameErrorKind, OriginPath, PathPrefix, VariantKey};
pub use outcome::{
    Dead, ExportedPath, Flushed, Insertion, Lookup, PrefixPurged, Purged, PurgedEntries, Reclaimed,
    ReclaimedEntries, Refusal, Refused, Restored, Softened, Stored,
};
pub use scopes::{Generation, OverTime, Tenant};
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
    #[doc = include_str!("../docs/flush-over-time.md")]
    struct FlushOverTime;
    #[cfg(feature = "cloudimage")]
    #[doc = include_str!("../docs/cloudimage.md")]
    struct Cloudimage;
}
