/*
 * cache-index: which renditions of each picture a cache holds.
 *
 * Written from the Rust source by its tests; don't edit it. An example stands in README.md of
 * cache-index-capi.
 *
 * The rules for all functions; each function adds its own.
 *
 * Words. A tenant is one customer. A path is the name of a source picture, a variant that of one
 * rendition of it. The value is 64 bits of yours: the id of the object that you store. A lease is
 * taken on a miss, before the source is read, and committed with the result. A commit is refused if
 * an invalidation came after the lease.
 *
 * Texts are UTF-8, have a length and no final zero. Paths and variants are any text of 1 to
 * 16777215 bytes, compared byte for byte. Different spellings are different names, unless you make
 * them canonical: by rules of your own, or by ci_request_target() and ci_invalidation_entry().
 * Percent-encode bytes that are not UTF-8. Arguments are never kept: texts are copied where needed.
 *
 * Results. A function returns 0 or more if it succeeds, and a negative code otherwise; then it has
 * changed nothing, with the exception of CI_ERR_PANIC. `error` may always be NULL. If it is not, and
 * its `size` is less than sizeof(struct ci_error), each function returns CI_ERR_SIZE, has done
 * nothing, and leaves `error` as it is.
 *
 * Compare a result with a code. It is not a truth value: in C, a negative code is true.
 *
 * Outputs. After a negative code, all places that results are written to are as they were, unless
 * the function says otherwise. So set pointers to NULL before the call: then they may be passed to
 * a function that frees, whatever the call returned.
 *
 * Structs begin with their size. Set it before the call, and all fields of settings that you don't
 * use to zero. A later version of the library may know more fields, and accepts the older size.
 *
 * Values. The index hands each value back once, when it lets go of it:
 *   a commit that is refused ......... the value is yours still
 *   a commit in the place of another . ci_commit.replaced, ci_commit.evicted
 *   a hard purge of a path ........... the entries of ci_purge() and its like
 *   a hard purge of a prefix, a flush,
 *   a tenant that is forgotten ....... ci_reclaim(), all of them only with queue_dead
 *   ci_remove() ...................... the value that you expected
 *   ci_index_free() .................. none
 * So before ci_index_free(), to get all values of an index in memory: ci_flush() with NULL and
 * CI_HARD, and then ci_reclaim() until it returns 1.
 * A value that is handed back may be in use: by a thread that has looked it up before, or under
 * another name, if you store one value twice. The index pins nothing. Count references, or wait for
 * your readers, before you free what a value stands for.
 *
 * Threads. Any thread may call any function, with any handle, at the same time, apart from: a
 * ci_lease and a ci_entries, which one thread at a time may use; and the functions that free, which
 * must be the last use of a handle. No function waits for another thread longer than a lock is held
 * over one entry, calls back, reads a file or uses the network. An exception is an index of
 * ci_durable_open(): its purges and flushes wait for the log, and functions whose name begins with
 * ci_durable_ read and write files. Those whose name begins with ci_fleet_ wait for other nodes, as
 * they say.
 *
 * Durable indexes are in libraries that were built with the feature "durable". Define
 * CI_WITH_DURABLE before you include this header. Fleets are in those with the feature "fleet".
 * Define CI_WITH_DURABLE and CI_WITH_FLEET.
 *
 * Undefined, everywhere: pointers that are neither NULL nor valid, handles that were freed, texts
 * that are shorter than their length or change during the call.
 *
 * Ids must never come again. A cache that stores objects under the id, in memory or on a disk, may
 * still hold an object of an earlier run under an id that is counted from 1 again, and would serve
 * it. ci_ids_new() makes ids that no earlier run had.
 *
 * A process that forks: only the child or only the parent may go on using an index. A durable index
 * has threads, so only the parent may.
 */

#ifndef CACHE_INDEX_H
#define CACHE_INDEX_H

#include <stddef.h>
#include <stdint.h>


/**
 * The call succeeded.
 */
#define CI_OK 0

/**
 * A pointer that must not be NULL is NULL.
 */
#define CI_ERR_NULL -1

/**
 * A text is not UTF-8, not a name, or not what the rules expect. `ci_error` has the byte position.
 */
#define CI_ERR_TEXT -2

/**
 * A setting, a mode or a count is not permitted: out of range, malformed, or in contradiction to
 * another one.
 */
#define CI_ERR_ARGUMENT -3

/**
 * The `size` of a struct is not set, is less than this library knows, or is more, and a field that
 * it does not know is not zero.
 */
#define CI_ERR_SIZE -4

/**
 * The buffer is too small. `needed` has the room that would have been enough.
 */
#define CI_ERR_BUFFER -5

/**
 * The tenant belongs to another index.
 */
#define CI_ERR_TENANT -6

/**
 * The lease was committed before.
 */
#define CI_ERR_CLOSED -7

/**
 * All ids of this incarnation were given out.
 */
#define CI_ERR_EXHAUSTED -8

/**
 * A file could not be read or written, or a thread not be started; only from functions whose name
 * begins with `ci_durable_` or `ci_fleet_`.
 */
#define CI_ERR_IO -9

/**
 * The library has a bug, and has printed its place to standard error. The index can be used and
 * freed; the effect of the failed call is unknown.
 */
#define CI_ERR_PANIC -128

/**
 * The bytes of `ci_error.message`, with the final zero byte.
 */
#define CI_MESSAGE_SIZE 256

/**
 * The bytes of `ci_error.kind`, with the final zero byte.
 */
#define CI_KIND_SIZE 32

/**
 * The major version of this header. Programs must be compiled again if it changes.
 */
#define CI_VERSION_MAJOR 0

/**
 * The minor version of this header.
 */
#define CI_VERSION_MINOR 1

/**
 * The patch version of this header.
 */
#define CI_VERSION_PATCH 0

/**
 * A name is any text, compared byte for byte.
 */
#define CI_OPAQUE 0

/**
 * A name must be written as Cloudimage's rules write it, see `ci_request_target`.
 */
#define CI_CANONICAL 1

/**
 * No value may be served.
 */
#define CI_MISS 0

/**
 * The value may be served.
 */
#define CI_LIVE 1

/**
 * The value may be served while it is refreshed. Refreshing it is a fill, and takes a lease.
 */
#define CI_STALE 2

/**
 * The index does not hold the value: an invalidation overtook the fill, or a limit is reached. You
 * may answer the client that waits for it, and must then delete the object.
 */
#define CI_REFUSED 0

/**
 * The index holds the value.
 */
#define CI_STORED 1

/**
 * The index holds the value as a stale one: a soft invalidation overtook the fill.
 */
#define CI_STORED_STALE 2

/**
 * The value was not refused.
 */
#define CI_REASON_NONE 0

/**
 * The path, or a prefix of it, was purged after the fill began.
 */
#define CI_REASON_PURGED 1

/**
 * The tenant, or everything, was flushed after the fill began.
 */
#define CI_REASON_FLUSHED 2

/**
 * The tenant was forgotten.
 */
#define CI_REASON_FORGOTTEN 3

/**
 * The path has as many variants as it may have.
 */
#define CI_REASON_VARIANTS 4

/**
 * The index has as many paths as it may have.
 */
#define CI_REASON_PATHS 5

/**
 * The index has as many entries as it may have.
 */
#define CI_REASON_ENTRIES 6

/**
 * The path is longer than the index is configured to store.
 */
#define CI_REASON_PATH_LEN 7

/**
 * The variant key is longer than the index is configured to store.
 */
#define CI_REASON_KEY_LEN 8

/**
 * A reason that this version of the library does not name.
 */
#define CI_REASON_OTHER 255

/**
 * No value may be served, and another claim is open: this is the value that it claimed.
 */
#define CI_PENDING 3

/**
 * No value may be served, and this claim is the first: read the source and commit.
 */
#define CI_CLAIMED 4

/**
 * Entries become dead: they are never served again.
 */
#define CI_HARD 0

/**
 * Entries become stale: they may be served while they are refreshed.
 */
#define CI_SOFT 1

/**
 * The index is in memory alone: it is empty after a restart.
 */
#define CI_IN_MEMORY 0

/**
 * The invalidation survives a killed process and a power loss.
 */
#define CI_DURABLE 1

/**
 * The operating system has the invalidation. It survives a killed process.
 */
#define CI_WRITTEN 2

/**
 * The invalidation holds in memory, but the log has failed. A crash is followed by a cold start,
 * where everything is dead, or undoes the invalidation if the disk fails altogether or the index
 * was closed before. The next snapshot makes the invalidation durable: you need not repeat it.
 */
#define CI_NOT_DURABLE 3

/**
 * One picture.
 */
#define CI_TARGET_PATH 0

/**
 * All pictures whose path begins with this text, which is not empty: pass it to
 * `ci_purge_prefix`.
 */
#define CI_TARGET_PREFIX 1

/**
 * All pictures of the tenant, as for the entry `*`. The path is empty: call `ci_flush` with the
 * tenant.
 */
#define CI_TARGET_ALL 2

#if defined(CI_WITH_DURABLE)
/**
 * Invalidations are synced before they are acknowledged, as CI_DURABLE. Concurrent calls share one
 * sync.
 */
#define CI_SYNC_ALWAYS 0
#endif

#if defined(CI_WITH_DURABLE)
/**
 * Invalidations are acknowledged as CI_WRITTEN, and synced `sync_ms` later.
 */
#define CI_SYNC_EVERY 1
#endif

#if defined(CI_WITH_DURABLE)
/**
 * Invalidations are acknowledged as CI_WRITTEN, and synced when the operating system does it.
 */
#define CI_SYNC_NEVER 2
#endif

#if defined(CI_WITH_DURABLE)
/**
 * The directory was empty, missing, or without the files of an index. Each object that you still
 * have is an orphan; or the name of the directory is wrong.
 */
#define CI_RECOVERY_NEW 0
#endif

#if defined(CI_WITH_DURABLE)
/**
 * The snapshot was loaded and the log replayed: every acknowledged invalidation holds.
 */
#define CI_RECOVERY_WARM 1
#endif

#if defined(CI_WITH_DURABLE)
/**
 * The files in the directory cannot be trusted: the index is empty.
 */
#define CI_RECOVERY_COLD 2
#endif

#if defined(CI_WITH_DURABLE)
/**
 * The snapshot is being loaded while the index is used. An entry that is not loaded yet is a miss.
 */
#define CI_RECOVERY_LOADING 3
#endif

#if defined(CI_WITH_FLEET)
/**
 * While the gate is shut, a live value is CI_STALE.
 */
#define CI_SHUT_STALE 0
#endif

#if defined(CI_WITH_FLEET)
/**
 * While the gate is shut, each lookup is CI_MISS.
 */
#define CI_SHUT_REFUSE 1
#endif

#if defined(CI_WITH_FLEET)
/**
 * The node has proof that it knows the invalidations of all nodes: it serves as fresh.
 */
#define CI_GATE_OPEN 0
#endif

#if defined(CI_WITH_FLEET)
/**
 * The node lacks this proof, and was configured with CI_SHUT_STALE.
 */
#define CI_GATE_STALE 1
#endif

#if defined(CI_WITH_FLEET)
/**
 * The node lacks this proof, and was configured with CI_SHUT_REFUSE.
 */
#define CI_GATE_REFUSE 2
#endif

#if defined(CI_WITH_FLEET)
/**
 * Applied on this node, and written to its log. It is sent to the others as soon as possible.
 */
#define CI_REACH_LOCAL 0
#endif

#if defined(CI_WITH_FLEET)
/**
 * The stream has it as well: each node applies it, or shuts its gate.
 */
#define CI_REACH_DURABLE 1
#endif

#if defined(CI_WITH_FLEET)
/**
 * Each node that may serve as fresh has applied it.
 */
#define CI_REACH_EVERYWHERE 2
#endif

#if defined(CI_WITH_FLEET)
/**
 * The invalidation holds on this node, but has not reached the level in time. It is sent as soon
 * as possible, also after a restart: you need not repeat it. `ci_reached` has the level that it
 * reached.
 */
#define CI_NOT_REACHED 4
#endif

#if defined(CI_WITH_FLEET)
/**
 * The bytes of `ci_watermark.text`, with the final zero byte.
 */
#define CI_WATERMARK_SIZE 96
#endif

#if defined(CI_WITH_FLEET)
/**
 * Go to the source: the cache may be older than an invalidation that the edge knows.
 */
#define CI_TIER_PAST 0
#endif

#if defined(CI_WITH_FLEET)
/**
 * Answer from the cache.
 */
#define CI_TIER_CACHE 1
#endif

/**
 * An iterator over entries. They belong to it alone: no lock is held, and the index may be used
 * and freed meanwhile. One thread at a time may use it.
 */
struct ci_entries;

/**
 * A source of ids. Any number of threads may use one.
 */
struct ci_ids;

/**
 * An index. Any thread may use it at any time; only its last use must be before `ci_index_free`.
 */
struct ci_index;

/**
 * The name of a variant, checked and copied. Any number of threads may use it, with any index.
 */
struct ci_key;

/**
 * The permission to store one variant of a picture, taken before the source is read. One thread at
 * a time may use it; it may move to another thread.
 */
struct ci_lease;

/**
 * The name of a picture, checked and copied. Any number of threads may use it, with any index.
 */
struct ci_path;

/**
 * The rules of one tenant. Any number of threads may use them.
 */
struct ci_rules;

/**
 * The handle of a tenant, which is one customer. Paths of two tenants are always distinct. Any
 * number of threads may use one handle.
 */
struct ci_tenant;

/**
 * The settings of an index. Set `size` to `sizeof(struct ci_config)` and the rest to zero, which
 * stands for the defaults.
 */
struct ci_config {
  /**
   * `sizeof(struct ci_config)`.
   */
  size_t size;
  /**
   * Shards, each with a lock of its own: a power of two up to 65536; 256 by default.
   */
  size_t shards;
  /**
   * Variants of one path; 16384 by default.
   */
  size_t max_variants;
  /**
   * Paths; no limit by default. Paths with dead entries alone count.
   */
  size_t max_paths;
  /**
   * Entries of all paths together; no limit by default. Dead entries of a flush or a prefix
   * purge count until they are taken out: at the limit, the first commits after a flush may be
   * refused, and each takes out some. `ci_reclaim` takes out all.
   */
  size_t max_entries;
  /**
   * Bytes of a path; 24576 by default, at most 16777215.
   */
  size_t max_path_len;
  /**
   * Bytes of a variant key; 24576 by default, at most 16777215.
   */
  size_t max_key_len;
  /**
   * Prefix purges that not every older entry was checked against yet; 4096 by default. One more
   * invalidates the whole tenant of the oldest.
   */
  size_t max_prefix_rules;
  /**
   * 0: a variant beyond `max_variants` is refused. 1: the oldest variant of the path makes room.
   */
  int evict_oldest;
  /**
   * 0: the index drops values that a flush or a prefix purge killed, bit by bit as it is used.
   * Until then `ci_reclaim` returns them; you may call it, but it does not return all of them.
   * 1: they wait for `ci_reclaim`, which you must then call.
   */
  int queue_dead;
};

/**
 * More about an error. Set `size` to `sizeof(struct ci_error)`. The library writes the rest if,
 * and only if, the call returns a negative code other than CI_ERR_SIZE for this very struct, or
 * CI_NOT_DURABLE.
 */
struct ci_error {
  /**
   * `sizeof(struct ci_error)`.
   */
  size_t size;
  /**
   * The code that the function returned.
   */
  int code;
  /**
   * The byte position in the text as it was passed, or SIZE_MAX if the error has no position.
   */
  size_t at;
  /**
   * The position in the array that was passed, or SIZE_MAX if the error is not in an array.
   */
  size_t element;
  /**
   * The name of the kind, zero-terminated: "InvalidEscape".
   */
  char kind[CI_KIND_SIZE];
  /**
   * The message, zero-terminated, cut if it is too long. It names the argument or the setting
   * that is wrong: "path: invalid byte at byte 3: expected UTF-8". An element of an array comes
   * first: "variants[1]: text is empty: expected 1 to 16777215 bytes". An error that the rules
   * find in the only text of a call does not name it, so that the message can be shown to the
   * sender of the text: "unexpected query at byte 6: this entry invalidates the whole picture".
   */
  char message[CI_MESSAGE_SIZE];
};

/**
 * A text: `len` bytes from `ptr` on, not zero-terminated. `ptr` may be NULL if `len` is 0.
 */
struct ci_str {
  /**
   * The first byte.
   */
  const char *ptr;
  /**
   * The number of bytes.
   */
  size_t len;
};

/**
 * A picture and one of its variants, for `ci_lookup_many`.
 */
struct ci_name {
  /**
   * The picture.
   */
  struct ci_str path;
  /**
   * The variant.
   */
  struct ci_str variant;
};

/**
 * An answer of `ci_lookup_many`.
 */
struct ci_found {
  /**
   * The value; 0 for a miss.
   */
  uint64_t value;
  /**
   * CI_MISS, CI_LIVE or CI_STALE.
   */
  int state;
};

/**
 * More about storing a value. Set `size` to `sizeof(struct ci_commit)`.
 */
struct ci_commit {
  /**
   * `sizeof(struct ci_commit)`.
   */
  size_t size;
  /**
   * CI_REASON_*: why the value was refused.
   */
  int reason;
  /**
   * 1 if the new value replaced `replaced`, whose object you may delete, unless you store one
   * object under several variants. 0 if the variant had no value, or had the same value before:
   * then its object is in use.
   */
  int has_replaced;
  /**
   * 1 if the oldest variant of the path made room. Its value is `evicted`.
   */
  int has_evicted;
  /**
   * Zero.
   */
  int reserved;
  /**
   * The value that the variant had before; 0 if `has_replaced` is 0.
   */
  uint64_t replaced;
  /**
   * The value of the variant that made room; 0 if `has_evicted` is 0.
   */
  uint64_t evicted;
};

/**
 * The receipt of a purge or a flush. Set `size` to `sizeof(struct ci_purged)`.
 */
struct ci_purged {
  /**
   * `sizeof(struct ci_purged)`.
   */
  size_t size;
  /**
   * The number of this invalidation. All that began before it is dead (hard) or stale (soft).
   */
  uint64_t generation;
  /**
   * Variants that were removed (hard) or became stale (soft). 0 for a prefix and for a flush,
   * which do not visit entries.
   */
  size_t variants;
  /**
   * Soft: variants that were stale already.
   */
  size_t stale_before;
  /**
   * Open fills of the path that will be refused (hard) or stored as stale (soft). 0 for a prefix
   * and for a flush, which reach open fills as well but do not count them.
   */
  size_t overtaken_fills;
  /**
   * 1 if there was no room for one more prefix rule, so that the whole tenant of the oldest rule
   * was invalidated: more than requested, never less.
   */
  int widened;
  /**
   * CI_IN_MEMORY. CI_DURABLE, CI_WRITTEN or CI_NOT_DURABLE for an index of `ci_durable_open`.
   */
  int durability;
};

/**
 * An entry. Set `size` to `sizeof(struct ci_entry)`.
 */
struct ci_entry {
  /**
   * `sizeof(struct ci_entry)`.
   */
  size_t size;
  /**
   * The value; 0 for entries of `ci_variants` and `ci_paths`.
   */
  uint64_t value;
  /**
   * The tenant; only for entries of `ci_reclaim`, else empty.
   */
  struct ci_str tenant;
  /**
   * The picture; only for entries of `ci_reclaim` and `ci_paths`, else empty.
   */
  struct ci_str path;
  /**
   * The variant; empty for entries of `ci_paths` and `ci_durable_values`.
   */
  struct ci_str variant;
};

/**
 * The settings of rules. Set `size` to `sizeof(struct ci_rules_config)` and the rest to zero,
 * which stands for the defaults: targets of a token without `v7` and without a prefix.
 */
struct ci_rules_config {
  /**
   * `sizeof(struct ci_rules_config)`.
   */
  size_t size;
  /**
   * The token: pictures are delivered from `token.cloudimg.io`. 1 to 63 ASCII letters, digits,
   * `-` and `_`. Empty: none.
   */
  struct ci_str token;
  /**
   * A host of the customer's from which pictures are delivered, without a port. Empty: none.
   */
  struct ci_str custom_host;
  /**
   * More hosts that the server answers to, such as `localhost:8080`.
   */
  const struct ci_str *delivery_hosts;
  /**
   * The number of `delivery_hosts`.
   */
  size_t delivery_hosts_count;
  /**
   * The URL that relative paths are resolved against, with its scheme, without a query. Empty:
   * none.
   */
  struct ci_str prefix;
  /**
   * Whether paths begin with `v7/`, as in the URLs of tokens from before November 2021: 0 never,
   * so that `/v7/...` is an error, 1 always, 2 optionally.
   */
  int v7;
  /**
   * The kind of a first segment: 0 or 1 a host if it looks like one, so that its letters are
   * written in lower case; 2 a folder. With a `prefix`, 0 is 2.
   */
  int root;
  /**
   * 1: an invalidation entry that ends in `*` names all pictures with that prefix.
   */
  int wildcards;
  /**
   * 1: `http://`, `https://` and no scheme, `%28` and `(` name the same picture: the path is the
   * same, and a mark in the variant keeps the difference, see `ci_request_target`. 0: they are
   * different pictures, and a purge of one leaves the others.
   */
  int grouping;
};

/**
 * Canonical names. Set `size` to `sizeof(struct ci_names)`. The texts point into the text that was
 * passed or into the buffer, and are valid as long as both are.
 */
struct ci_names {
  /**
   * `sizeof(struct ci_names)`.
   */
  size_t size;
  /**
   * The picture, or the prefix of pictures; empty for CI_TARGET_ALL.
   */
  struct ci_str path;
  /**
   * The variant; empty if the text names whole pictures.
   */
  struct ci_str variant;
  /**
   * The bytes of buffer that were used. After CI_ERR_BUFFER, the bytes that are needed.
   */
  size_t needed;
  /**
   * CI_TARGET_PATH, CI_TARGET_PREFIX or CI_TARGET_ALL.
   */
  int target;
  /**
   * Zero.
   */
  int reserved;
};

/**
 * Totals of an index. Set `size` to `sizeof(struct ci_stats)`. Shards are read one after another
 * while other threads go on, so related numbers may be slightly inconsistent.
 */
struct ci_stats {
  /**
   * `sizeof(struct ci_stats)`.
   */
  size_t size;
  /**
   * Entries that may be served as they are. Those that a prefix purge reaches are never served,
   * and count as before until the next store in their path or the sweep: `dead` may be too low.
   */
  uint64_t live;
  /**
   * Entries that may be served while they are refreshed.
   */
  uint64_t stale;
  /**
   * Entries that must not be served any more and were not reclaimed yet. Do not wait
   * until it rises: call `ci_reclaim` after each flush and prefix purge, or from time to time.
   */
  uint64_t dead;
  /**
   * Paths with at least one live or stale entry.
   */
  uint64_t paths;
  /**
   * Tenants that were requested and not forgotten.
   */
  uint64_t tenants;
  /**
   * Forgotten tenants of which something is left.
   */
  uint64_t forgotten_tenants;
  /**
   * Leases that are neither committed nor freed.
   */
  uint64_t open_leases;
  /**
   * Leases of `ci_claim` that are neither committed nor freed.
   */
  uint64_t open_claims;
  /**
   * Commits refused because the path, or a prefix of it, had been purged.
   */
  uint64_t refused_purged;
  /**
   * Commits refused because the tenant, or everything, had been flushed.
   */
  uint64_t refused_flushed;
  /**
   * Values refused because their tenant had been forgotten.
   */
  uint64_t refused_forgotten;
  /**
   * Values refused because their path has the maximum number of variants.
   */
  uint64_t refused_variants;
  /**
   * Values refused because the index has the maximum number of paths.
   */
  uint64_t refused_paths;
  /**
   * Values refused because the index has the maximum number of entries.
   */
  uint64_t refused_entries;
  /**
   * Values refused because their path or key is too long.
   */
  uint64_t refused_length;
  /**
   * Prefix purges that not every older entry was checked against yet.
   */
  uint64_t prefix_rules;
  /**
   * Purges of a path.
   */
  uint64_t purges;
  /**
   * Purges of a prefix.
   */
  uint64_t prefix_purges;
  /**
   * Flushes of a tenant.
   */
  uint64_t tenant_flushes;
  /**
   * Flushes of everything.
   */
  uint64_t flushes;
  /**
   * Flushes over time.
   */
  uint64_t flushes_over_time;
  /**
   * Flushes over time that have not ended.
   */
  uint64_t running_flushes;
  /**
   * Heap memory of the index in bytes.
   */
  uint64_t bytes;
};

#if defined(CI_WITH_DURABLE)
/**
 * How an index is kept in a directory. Set `size` to `sizeof(struct ci_durable_config)` and the
 * rest to zero, which stands for the defaults.
 */
struct ci_durable_config {
  /**
   * `sizeof(struct ci_durable_config)`.
   */
  size_t size;
  /**
   * CI_SYNC_ALWAYS, CI_SYNC_EVERY or CI_SYNC_NEVER.
   */
  int sync;
  /**
   * 0: snapshots are written in the background. 1: only by `ci_durable_snapshot` and
   * `ci_durable_close`; the log grows until then.
   */
  int no_background_snapshots;
  /**
   * 0: `ci_durable_open` returns when all entries are loaded. 1: it returns before, and threads
   * load them while the index is used.
   */
  int load_in_background;
  /**
   * Zero.
   */
  int reserved;
  /**
   * Milliseconds for CI_SYNC_EVERY, at least 1; else 0.
   */
  uint64_t sync_ms;
  /**
   * Milliseconds between two snapshots in the background; 300000 by default.
   */
  uint64_t snapshot_ms;
  /**
   * Bytes of log after which a snapshot is written in the background, at least 4096; 64 MiB by
   * default.
   */
  uint64_t snapshot_bytes;
  /**
   * Bytes of a file of the log, a multiple of 4096 from 16384 to 1073741824; 4 MiB by default.
   */
  uint64_t segment_bytes;
  /**
   * Threads that load a snapshot, up to 64; by default as many as processors, at most 4.
   */
  size_t load_threads;
};
#endif

#if defined(CI_WITH_DURABLE)
/**
 * The state that was found in the directory. Set `size` to `sizeof(struct ci_recovery)`.
 */
struct ci_recovery {
  /**
   * `sizeof(struct ci_recovery)`.
   */
  size_t size;
  /**
   * CI_RECOVERY_*, as the function returns it.
   */
  int state;
  /**
   * Warm: 1 if the last process called `ci_durable_close`.
   */
  int closed;
  /**
   * Warm: 1 if the log ended in the middle of a write that was not acknowledged.
   */
  int torn;
  /**
   * Zero.
   */
  int reserved;
  /**
   * Warm: entries that were loaded from the snapshot, before the log was replayed.
   */
  uint64_t entries;
  /**
   * Warm: entries that were refused, because the limits are lower than before.
   */
  uint64_t refused;
  /**
   * Warm: invalidations of the log that were replayed.
   */
  uint64_t replayed;
  /**
   * Cold: the name of the kind of reason, zero-terminated: "Damaged". Else empty.
   */
  char kind[CI_KIND_SIZE];
  /**
   * Cold: the reason, zero-terminated, which begins with the name of the file. Else empty.
   */
  char message[CI_MESSAGE_SIZE];
};
#endif

#if defined(CI_WITH_DURABLE)
/**
 * A snapshot that was written. Set `size` to `sizeof(struct ci_snapshot)`.
 */
struct ci_snapshot {
  /**
   * `sizeof(struct ci_snapshot)`.
   */
  size_t size;
  /**
   * Live and stale entries in it.
   */
  uint64_t entries;
  /**
   * The length of the file.
   */
  uint64_t bytes;
};
#endif

#if defined(CI_WITH_DURABLE)
/**
 * Counts of the log and of snapshots since the index was opened. Set `size` to
 * `sizeof(struct ci_durable_stats)`.
 */
struct ci_durable_stats {
  /**
   * `sizeof(struct ci_durable_stats)`.
   */
  size_t size;
  /**
   * Invalidations that were given to the log.
   */
  uint64_t log_records;
  /**
   * Syncs of the log; fewer than records if callers shared them.
   */
  uint64_t log_syncs;
  /**
   * Bytes in the log since the last snapshot began.
   */
  uint64_t log_bytes;
  /**
   * Snapshots that were written.
   */
  uint64_t snapshots;
  /**
   * Snapshots that could not be written.
   */
  uint64_t failed_snapshots;
  /**
   * Entries of the snapshot that were loaded, while one is being loaded; else 0.
   */
  uint64_t loaded_entries;
  /**
   * Entries in the snapshot, while one is being loaded; else 0.
   */
  uint64_t all_entries;
  /**
   * 1 if the log has failed, so that invalidations are CI_NOT_DURABLE. A snapshot heals it.
   */
  int has_failed;
  /**
   * 1 if a crash now would be followed by a warm start.
   */
  int would_start_warm;
};
#endif

#if defined(CI_WITH_FLEET)
/**
 * How an index joins a fleet. Set `size` to `sizeof(struct ci_fleet_config)` and the rest to zero,
 * which stands for the defaults.
 */
struct ci_fleet_config {
  /**
   * `sizeof(struct ci_fleet_config)`.
   */
  size_t size;
  /**
   * Milliseconds for which the node serves as fresh after a proof, 200 to 3600000; 5000 by
   * default.
   */
  uint64_t fresh_for_ms;
  /**
   * The longest such time of any node of the fleet; 10000 by default, or `fresh_for_ms` if that
   * is longer.
   */
  uint64_t longest_fresh_for_ms;
  /**
   * Milliseconds for which a call waits for its level; 15000 by default.
   */
  uint64_t patience_ms;
  /**
   * Invalidations that may wait until they can be sent, at least 2; 100000 by default. One more,
   * and a flush of everything takes their place.
   */
  size_t outbox_limit;
  /**
   * CI_SHUT_STALE or CI_SHUT_REFUSE.
   */
  int when_shut;
  /**
   * 1: values that invalidations of other nodes remove are kept for `ci_fleet_removed`, which
   * you must then call. 0: they are dropped.
   */
  int keep_removed;
  /**
   * 1: flushes over time are applied at once on this node. For a shield, from which other nodes
   * fetch.
   */
  int flush_at_once;
  /**
   * Servers that keep the stream, if it is created, up to 5; 1 by default.
   */
  int replicas;
  /**
   * The stream of the fleet; `CACHE_PURGE` by default. It is created if it is missing.
   */
  struct ci_str stream;
  /**
   * The only subject of the stream; `cache.purge` by default. Set it if, and only if, `stream`
   * is set.
   */
  struct ci_str subject;
  /**
   * Milliseconds for which the stream keeps messages, if it is created; 7 days by default.
   */
  uint64_t max_age_ms;
  /**
   * Milliseconds that a request to a server may take; 2000 by default.
   */
  uint64_t timeout_ms;
};
#endif

#if defined(CI_WITH_FLEET)
/**
 * State and counts of a node. Set `size` to `sizeof(struct ci_fleet_stats)`.
 */
struct ci_fleet_stats {
  /**
   * `sizeof(struct ci_fleet_stats)`.
   */
  size_t size;
  /**
   * CI_GATE_*.
   */
  int gate;
  /**
   * 1 if the node follows the stream and has nothing left to apply.
   */
  int is_caught_up;
  /**
   * The last message of the stream that was applied.
   */
  uint64_t position;
  /**
   * Messages that were in the stream when the reader was opened, and are not applied yet.
   */
  uint64_t lag;
  /**
   * Own invalidations that the stream has not delivered yet.
   */
  uint64_t outbox;
  /**
   * Nodes that may serve as fresh, with this one.
   */
  uint64_t members;
  /**
   * Messages that were applied.
   */
  uint64_t messages;
  /**
   * Invalidations of other nodes that were applied.
   */
  uint64_t invalidations;
  /**
   * Proofs that nothing was missing.
   */
  uint64_t proofs;
  /**
   * Flushes of everything, because invalidations may be missing.
   */
  uint64_t flushes;
  /**
   * Those of them because the stream has lost messages that some node had applied.
   */
  uint64_t losses;
  /**
   * Messages that were sent again.
   */
  uint64_t resent;
  /**
   * How often the outbox was full, so that everything is flushed.
   */
  uint64_t collapsed;
  /**
   * Messages that were missing between two others, until they were read again.
   */
  uint64_t gaps;
  /**
   * Damaged messages, and those of an unknown version. Everything was flushed.
   */
  uint64_t unreadable;
  /**
   * Invalidations that have reached CI_REACH_LOCAL, CI_REACH_DURABLE and CI_REACH_EVERYWHERE, as
   * they were asked to.
   */
  uint64_t reached[3];
  /**
   * The longest time that such invalidations took, in microseconds.
   */
  uint64_t longest_us[3];
  /**
   * Invalidations that did not reach their level in time.
   */
  uint64_t not_reached;
};
#endif

#if defined(CI_WITH_FLEET)
/**
 * The receipt of an invalidation of a fleet. Set `size` to `sizeof(struct ci_reached)`.
 */
struct ci_reached {
  /**
   * `sizeof(struct ci_reached)`.
   */
  size_t size;
  /**
   * CI_REACH_*: the level that was reached.
   */
  int reach;
  /**
   * CI_DURABLE, CI_WRITTEN or CI_NOT_DURABLE: on the disk of this node.
   */
  int durability;
  /**
   * Values that were removed on this node. 0 for a prefix and for a flush, whose values come
   * from `ci_reclaim`, and for a soft invalidation.
   */
  size_t values;
};
#endif

#if defined(CI_WITH_FLEET)
/**
 * The value of a header `Cache-Watermark`. Set `size` to `sizeof(struct ci_watermark)`.
 */
struct ci_watermark {
  /**
   * `sizeof(struct ci_watermark)`.
   */
  size_t size;
  /**
   * The bytes of `text`, without the final zero byte.
   */
  size_t len;
  /**
   * Zero-terminated.
   */
  char text[CI_WATERMARK_SIZE];
};
#endif

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Returns the name of CI_OK or of a negative code, such as "CI_ERR_NULL"; static and
 * zero-terminated. For other numbers it is "unknown": results above 0 have a meaning for each
 * function. Any thread may call this at any time.
 */
const char *ci_code_name(int code);

/**
 * Returns the version of the library that is linked: major << 16 | minor << 8 | patch. Compare it
 * with the header's if the library is a shared one.
 */
uint32_t ci_version(void);

/**
 * Creates an empty index. `config` may be NULL, for the defaults.
 *
 * Owner: you; free `*out` with `ci_index_free`.
 *
 * Returns CI_OK; CI_ERR_NULL, CI_ERR_SIZE, CI_ERR_ARGUMENT: nothing is created.
 */
int ci_index_new(const struct ci_config *config,
                 struct ci_index **out,
                 struct ci_error *error);

/**
 * Frees an index, with all its entries, and hands no value back. NULL is allowed. Leases and
 * iterators of the index may be freed later; handles of tenants, too, but they can't be used any
 * more. An index of `ci_durable_open` stays on the disk; this ends its threads, and writes what
 * waits for the log.
 *
 * Undefined: to free an index twice, or while another thread uses it.
 */
void ci_index_free(struct ci_index *index);

/**
 * Returns the handle of the tenant called `name`, and creates the tenant on first use. Ask for
 * tenants that exist, not for any text that a request brings: the index keeps each of them.
 *
 * A name is any text of 0 to 16777215 bytes, compared byte for byte. The empty name is a tenant
 * like any other: check names that must not be empty before the call.
 *
 * Owner: you; free `*out` with `ci_tenant_free`. Keep it with the customer's configuration instead
 * of asking for it with each request.
 *
 * Returns CI_OK; CI_ERR_NULL, CI_ERR_TEXT: nothing is created.
 */
int ci_tenant_get(const struct ci_index *index,
                  struct ci_str name,
                  struct ci_tenant **out,
                  struct ci_error *error);

/**
 * Frees a handle. The tenant and its entries stay. NULL is allowed.
 *
 * Undefined: to free a handle twice, or while another thread uses it.
 */
void ci_tenant_free(struct ci_tenant *tenant);

/**
 * Checks the name of a picture once. `form` is CI_OPAQUE or CI_CANONICAL. All functions that read
 * a path as text accept every opaque one, so a canonical check is for finding mistakes.
 *
 * Owner: you; free `*out` with `ci_path_free`. The text is copied.
 *
 * Returns CI_OK; CI_ERR_NULL, CI_ERR_ARGUMENT, CI_ERR_TEXT: nothing is created.
 */
int ci_path_new(struct ci_str text,
                int form,
                struct ci_path **out,
                struct ci_error *error);

/**
 * Frees a name. NULL is allowed.
 *
 * Undefined: to free a name twice, or while another thread uses it.
 */
void ci_path_free(struct ci_path *path);

/**
 * Checks the name of a variant once, as `ci_path_new` does for a picture.
 *
 * Owner: you; free `*out` with `ci_key_free`. The text is copied.
 *
 * Returns CI_OK; CI_ERR_NULL, CI_ERR_ARGUMENT, CI_ERR_TEXT: nothing is created.
 */
int ci_key_new(struct ci_str text,
               int form,
               struct ci_key **out,
               struct ci_error *error);

/**
 * Frees a name. NULL is allowed.
 *
 * Undefined: to free a name twice, or while another thread uses it.
 */
void ci_key_free(struct ci_key *key);

/**
 * Looks for a variant. Writes its value to `*value`, or 0 for a miss. Does not allocate.
 *
 * Any thread may call this at any time. It locks one shard, shared.
 *
 * Returns CI_MISS, CI_LIVE or CI_STALE; CI_ERR_NULL, CI_ERR_TENANT, CI_ERR_TEXT: `*value` is left
 * as it is.
 */
int ci_lookup(const struct ci_index *index,
              const struct ci_tenant *tenant,
              struct ci_str path,
              struct ci_str variant,
              uint64_t *value,
              struct ci_error *error);

/**
 * Looks for a variant by names that were checked before, as `ci_lookup` does.
 *
 * Returns CI_MISS, CI_LIVE or CI_STALE; CI_ERR_NULL, CI_ERR_TENANT: `*value` is left as it is.
 */
int ci_lookup_prepared(const struct ci_index *index,
                       const struct ci_tenant *tenant,
                       const struct ci_path *path,
                       const struct ci_key *key,
                       uint64_t *value,
                       struct ci_error *error);

/**
 * Looks for `count` variants of one tenant, each as `ci_lookup` does, and writes the answers to
 * `out[0]` to `out[count - 1]`. Takes less time than single lookups, the more so the less of the
 * index is in the processor's caches. Allocates.
 *
 * Each lookup happens at a moment of its own, all of them before the call returns.
 *
 * Returns CI_OK; CI_ERR_NULL, CI_ERR_TENANT, CI_ERR_TEXT (with `ci_error.element`),
 * CI_ERR_ARGUMENT: nothing is written.
 */
int ci_lookup_many(const struct ci_index *index,
                   const struct ci_tenant *tenant,
                   const struct ci_name *names,
                   size_t count,
                   struct ci_found *out,
                   struct ci_error *error);

/**
 * Begins a fill of any variant of `path`. Call this before you read the source, also to refresh a
 * stale value.
 *
 * Owner: you; end it with `ci_lease_free`, committed or not. An open lease keeps the memory of an
 * index that was freed.
 *
 * Any thread may call this at any time. It locks the table of open fills of one shard.
 *
 * Returns CI_OK; CI_ERR_NULL, CI_ERR_TENANT, CI_ERR_TEXT: no fill begins.
 */
int ci_lease_take(const struct ci_index *index,
                  const struct ci_tenant *tenant,
                  struct ci_str path,
                  struct ci_lease **out,
                  struct ci_error *error);

/**
 * Begins a fill by a name that was checked before, as `ci_lease_take` does.
 *
 * Returns CI_OK; CI_ERR_NULL, CI_ERR_TENANT: no fill begins.
 */
int ci_lease_take_prepared(const struct ci_index *index,
                           const struct ci_tenant *tenant,
                           const struct ci_path *path,
                           struct ci_lease **out,
                           struct ci_error *error);

/**
 * Stores what the fill brought, unless an invalidation overtook it. `out` may be NULL if you have
 * no object to delete.
 *
 * This ends the fill, and `ci_lease_free` frees its memory.
 *
 * After `ci_index_free`, a commit returns the same codes as before it, CI_STORED as well, but no
 * call can find the value any more, and none returns it. Delete the object yourself.
 *
 * Undefined: to use one lease from two threads at the same time.
 *
 * Returns CI_STORED, CI_STORED_STALE or CI_REFUSED. CI_ERR_NULL, CI_ERR_SIZE, CI_ERR_TEXT: the
 * fill stays open. CI_ERR_CLOSED: the lease was committed before, and this changes nothing.
 */
int ci_lease_commit(struct ci_lease *lease,
                    struct ci_str variant,
                    uint64_t value,
                    struct ci_commit *out,
                    struct ci_error *error);

/**
 * Stores what the fill brought by a name that was checked before, as `ci_lease_commit` does.
 *
 * Returns as `ci_lease_commit`.
 */
int ci_lease_commit_prepared(struct ci_lease *lease,
                             const struct ci_key *key,
                             uint64_t value,
                             struct ci_commit *out,
                             struct ci_error *error);

/**
 * Stores what `ci_claim` claimed: its variant and its value. Otherwise as `ci_lease_commit`, which
 * stores another variant or another value under a claimed lease.
 *
 * Returns as `ci_lease_commit`; CI_ERR_ARGUMENT: the lease does not come from `ci_claim`, and
 * stays open.
 */
int ci_lease_commit_claimed(struct ci_lease *lease,
                            struct ci_commit *out,
                            struct ci_error *error);

/**
 * Frees a lease. If it was not committed, the fill has failed, and the index keeps nothing of it.
 * NULL is allowed.
 *
 * Undefined: to free a lease twice.
 */
void ci_lease_free(struct ci_lease *lease);

/**
 * Stores a value as a fill that begins and ends in this call. Only for loading and warming: a
 * purge between your reading of the source and this call is not noticed. `out` may be NULL.
 *
 * Any thread may call this at any time. It locks one shard.
 *
 * Returns CI_STORED, CI_STORED_STALE or CI_REFUSED; CI_ERR_NULL, CI_ERR_SIZE, CI_ERR_TENANT,
 * CI_ERR_TEXT: nothing is stored.
 */
int ci_insert(const struct ci_index *index,
              const struct ci_tenant *tenant,
              struct ci_str path,
              struct ci_str variant,
              uint64_t value,
              struct ci_commit *out,
              struct ci_error *error);

/**
 * Removes a variant, but only if it may still be served and holds `expected`. For evictions: an
 * object that has taken its place stays.
 *
 * Any thread may call this at any time. It locks one shard.
 *
 * Returns 1 if the entry was removed, 0 if there was no such entry; CI_ERR_NULL, CI_ERR_TENANT,
 * CI_ERR_TEXT: nothing is removed.
 */
int ci_remove(const struct ci_index *index,
              const struct ci_tenant *tenant,
              struct ci_str path,
              struct ci_str variant,
              uint64_t expected,
              struct ci_error *error);

/**
 * Looks for a variant, and takes a lease unless it is live or another claim is filling it. For
 * servers that cache an object under an id from the index: concurrent misses of one variant get
 * the same id, so that the server's own collapsing of requests sees one key.
 *
 * `value` is the one that this claim would store. `*found` is set to the value to use: the stored
 * one for CI_LIVE and CI_STALE, that of the open claim for CI_PENDING, `value` itself for
 * CI_CLAIMED.
 *
 * `*lease` is set to a lease for CI_CLAIMED, and for CI_STALE if this claim is the first that
 * refreshes it; else to NULL. Commit it with `ci_lease_commit_claimed`.
 *
 * A pending value is void once an invalidation that covers the path has returned: the next claim
 * gets a lease of its own. An open claim may still fail, so a pending value may never be stored.
 *
 * Owner: `*lease` is yours; end it with `ci_lease_free`, committed or not.
 *
 * Any thread may call this at any time. It locks one shard, shared.
 *
 * In a fleet, while the gate is shut: a live value is CI_STALE without a lease. With
 * CI_SHUT_REFUSE, a value that is stored or pending is CI_MISS, `*found` is 0 and `*lease` NULL:
 * go to the source, and do not store the answer.
 *
 * Returns CI_LIVE, CI_STALE, CI_PENDING or CI_CLAIMED, or CI_MISS in a fleet; CI_ERR_NULL,
 * CI_ERR_TENANT, CI_ERR_TEXT: nothing is claimed.
 */
int ci_claim(const struct ci_index *index,
             const struct ci_tenant *tenant,
             struct ci_str path,
             struct ci_str variant,
             uint64_t value,
             uint64_t *found,
             struct ci_lease **lease,
             struct ci_error *error);

/**
 * Invalidates all variants of a picture. `mode` is CI_HARD or CI_SOFT.
 *
 * Leases of the path that were taken before can no longer commit (hard) or are stored as stale
 * (soft), whether the path had variants or not. Other paths are not affected.
 *
 * `out` may be NULL. Hard: `*entries` are the variants that went, with their values, so that you
 * can delete the objects. Soft: `*entries` is set to NULL. `entries` may be NULL if your values
 * need nothing: the values of a hard purge are then lost to you, also with `queue_dead`, because
 * `ci_reclaim` does not return them.
 *
 * Variants that a flush or a prefix purge had killed before are neither in `*entries` nor counted.
 * They come from `ci_reclaim`.
 *
 * Owner: `*entries` is yours, also with CI_NOT_DURABLE; free it with `ci_entries_free`.
 *
 * Any thread may call this at any time. It locks one shard. An index of `ci_durable_open` then
 * logs the purge, with no lock held, and waits for the log.
 *
 * Returns CI_OK; CI_NOT_DURABLE, only for an index of `ci_durable_open`: the purge holds, but is
 * not in the log, and `error` has the reason. CI_ERR_NULL, CI_ERR_SIZE, CI_ERR_TENANT,
 * CI_ERR_TEXT, CI_ERR_ARGUMENT: nothing is invalidated.
 */
int ci_purge(const struct ci_index *index,
             const struct ci_tenant *tenant,
             struct ci_str path,
             int mode,
             struct ci_purged *out,
             struct ci_entries **entries,
             struct ci_error *error);

/**
 * Invalidates `count` variants of a picture. A text that begins with `?` selects the variants with
 * more marks as well: `?w=600` selects `?w=600#webp` and `?w=600@https`, which grouping makes, see
 * `ci_request_target`. A text that has a mark itself selects only variants with the same mark.
 *
 * Apart from that, a text must be spelled as the variant was stored, byte for byte. It is not made
 * canonical: `?width=600` does not select `?w=600`. The call then returns CI_OK, and
 * `ci_purged.variants` is 0. `ci_variant_entry` makes the canonical text.
 *
 * Otherwise as `ci_purge`: all leases of the path that were taken before are affected, because a
 * fill does not say before its commit which variant it brings.
 *
 * Returns as `ci_purge`; `ci_error.element` is the wrong variant. CI_ERR_ARGUMENT also if `count`
 * is 0.
 */
int ci_purge_variants(const struct ci_index *index,
                      const struct ci_tenant *tenant,
                      struct ci_str path,
                      const struct ci_str *variants,
                      size_t count,
                      int mode,
                      struct ci_purged *out,
                      struct ci_entries **entries,
                      struct ci_error *error);

/**
 * Invalidates the variants of a picture that include all operations of at least one of `count`
 * texts: `?w=200` selects `?h=100&w=200`. `rules` read the texts. Otherwise as
 * `ci_purge_variants`.
 *
 * Returns as `ci_purge`; `ci_error.element` is the wrong text. CI_ERR_ARGUMENT also if `count` is
 * 0.
 */
int ci_purge_operations(const struct ci_index *index,
                        const struct ci_tenant *tenant,
                        struct ci_str path,
                        const struct ci_rules *rules,
                        const struct ci_str *operations,
                        size_t count,
                        int mode,
                        struct ci_purged *out,
                        struct ci_entries **entries,
                        struct ci_error *error);

/**
 * Invalidates every picture whose path begins with `prefix`, byte for byte: `a/b` covers
 * `a/b.jpg`, `a/b/` does not. Leases of such paths that were taken before can no longer commit
 * (hard) or are stored as stale (soft). The values that died come from `ci_reclaim`.
 *
 * An empty prefix is refused with CI_ERR_TEXT, so that a text that was never set does not
 * invalidate a tenant. Call `ci_flush` to invalidate all pictures of a tenant.
 *
 * `out` may be NULL. Any thread may call this at any time. It locks no shard.
 *
 * Returns CI_OK; CI_NOT_DURABLE as `ci_purge`; CI_ERR_NULL, CI_ERR_SIZE, CI_ERR_TENANT,
 * CI_ERR_TEXT, CI_ERR_ARGUMENT: nothing is invalidated.
 */
int ci_purge_prefix(const struct ci_index *index,
                    const struct ci_tenant *tenant,
                    struct ci_str prefix,
                    int mode,
                    struct ci_purged *out,
                    struct ci_error *error);

/**
 * Invalidates all that belongs to `tenant`, or everything if `tenant` is NULL. Leases that were
 * taken before can no longer commit (hard) or are stored as stale (soft). The values that died
 * come from `ci_reclaim`.
 *
 * A handle that `ci_tenant_get` could not write is NULL as well: check the code of that call, or
 * this one invalidates the pictures of all customers.
 *
 * `out` may be NULL. Any thread may call this at any time. It visits no entry and locks no shard.
 *
 * Returns CI_OK; CI_NOT_DURABLE as `ci_purge`; CI_ERR_NULL, CI_ERR_SIZE, CI_ERR_TENANT,
 * CI_ERR_ARGUMENT: nothing is invalidated.
 */
int ci_flush(const struct ci_index *index,
             const struct ci_tenant *tenant,
             int mode,
             struct ci_purged *out,
             struct ci_error *error);

/**
 * Invalidates all that belongs to `tenant`, or everything if `tenant` is NULL (see `ci_flush`),
 * hard, spread over a number of milliseconds, so that the source does not have to deliver
 * everything at once. An older entry dies at a moment within that time, which depends on its path.
 * Until then it is stale, or live if `until` is CI_LIVE instead of CI_STALE. Fills that begin
 * after the call are not touched.
 *
 * The index reads the monotonic clock while such a flush is running. `out` may be NULL. Any thread
 * may call this at any time. It visits no entry and locks no shard.
 *
 * Returns CI_OK; CI_NOT_DURABLE as `ci_purge`; CI_ERR_NULL, CI_ERR_SIZE, CI_ERR_TENANT,
 * CI_ERR_ARGUMENT: nothing is invalidated.
 */
int ci_flush_over(const struct ci_index *index,
                  const struct ci_tenant *tenant,
                  uint64_t milliseconds,
                  int until,
                  struct ci_purged *out,
                  struct ci_error *error);

/**
 * Flushes `tenant`, hard, and forgets it: for a customer who has left. The handle finds and stores
 * nothing any more. A later `ci_tenant_get` of the same name makes another tenant.
 *
 * `out` may be NULL. Any thread may call this at any time. It visits no entry and locks no shard.
 *
 * Returns CI_OK; CI_NOT_DURABLE as `ci_purge`; CI_ERR_NULL, CI_ERR_SIZE, CI_ERR_TENANT: nothing is
 * invalidated.
 */
int ci_tenant_forget(const struct ci_index *index,
                     const struct ci_tenant *tenant,
                     struct ci_purged *out,
                     struct ci_error *error);

/**
 * Takes out at most `limit` dead entries, for you to delete their objects: those that a flush or a
 * prefix purge killed. Needed if the index was created with `queue_dead`: then it returns each of
 * them once. Without `queue_dead` it returns those that the index has not dropped yet.
 *
 * An index of `ci_durable_open` writes down neither what waits for this call nor what it has
 * returned. So call it until it returns 1 before `ci_durable_close`. After each start, compare
 * your objects with `ci_durable_values`: after a crash, a value may come a second time, or never.
 *
 * Owner: `*entries` is yours; free it with `ci_entries_free`.
 *
 * Any thread may call this at any time. It locks one shard after another.
 *
 * Returns 1 if nothing dead is left, 0 if the call is to be repeated; CI_ERR_NULL, CI_ERR_ARGUMENT
 * (`limit` is 0): nothing is taken out.
 */
int ci_reclaim(const struct ci_index *index,
               size_t limit,
               struct ci_entries **entries,
               struct ci_error *error);

/**
 * Lists the variants of a picture that may be served, without their values.
 *
 * Owner: `*entries` is yours; free it with `ci_entries_free`.
 *
 * Returns CI_OK; CI_ERR_NULL, CI_ERR_TENANT, CI_ERR_TEXT: nothing is created.
 */
int ci_variants(const struct ci_index *index,
                const struct ci_tenant *tenant,
                struct ci_str path,
                struct ci_entries **entries,
                struct ci_error *error);

/**
 * Lists the pictures of a tenant whose path begins with `prefix` and of which a variant may be
 * served. An empty prefix lists all pictures of the tenant. Visits every path of the index: for
 * tools, not for requests.
 *
 * Owner: `*entries` is yours; free it with `ci_entries_free`.
 *
 * Returns CI_OK; CI_ERR_NULL, CI_ERR_TENANT, CI_ERR_TEXT: nothing is created.
 */
int ci_paths(const struct ci_index *index,
             const struct ci_tenant *tenant,
             struct ci_str prefix,
             struct ci_entries **entries,
             struct ci_error *error);

/**
 * Goes to the next entry and writes it to `*out`. Its texts are valid until the next call with
 * these entries, or until they are freed. Entries are in no particular order.
 *
 * Undefined: to use one iterator from two threads at the same time.
 *
 * Returns 1 and an entry, or 0 at the end, where `*out` is left as it is; CI_ERR_NULL,
 * CI_ERR_SIZE: nothing is skipped.
 */
int ci_entries_next(struct ci_entries *entries,
                    struct ci_entry *out,
                    struct ci_error *error);

/**
 * Returns the number of entries that `ci_entries_next` has still to return. 0 for NULL.
 *
 * Undefined: to use one iterator from two threads at the same time.
 */
size_t ci_entries_left(const struct ci_entries *entries);

/**
 * Frees entries, whether all of them were read or not. NULL is allowed. The index is not locked.
 *
 * Undefined: to free entries twice.
 */
void ci_entries_free(struct ci_entries *entries);

/**
 * Creates the rules of a tenant. `config` may be NULL, for the defaults.
 *
 * Owner: you; free `*out` with `ci_rules_free`. All texts are copied.
 *
 * Returns CI_OK. Otherwise nothing is created:
 * CI_ERR_TEXT: a text is not UTF-8, or has more than 16777215 bytes.
 * CI_ERR_ARGUMENT: a number is out of range; the token, a host or the prefix is malformed
 * (`ci_error.at` is set only for the prefix); or two settings contradict each other.
 * CI_ERR_NULL, CI_ERR_SIZE.
 */
int ci_rules_new(const struct ci_rules_config *config,
                 struct ci_rules **out,
                 struct ci_error *error);

/**
 * Frees rules. NULL is allowed.
 *
 * Undefined: to free rules twice, or while another thread uses them.
 */
void ci_rules_free(struct ci_rules *rules);

/**
 * Reads the target of a request, as in the first line of an HTTP request:
 * `/sample.li/a.jpg?w=600`. The names in `*out` are canonical: all spellings of one picture have
 * the same path, and all spellings of one list of operations the same variant. `?` is the variant
 * without operations. The path is the URL of the source, with the `prefix` of the rules if there
 * is one; for a URL without a scheme, choose one. docs/cloudimage.md of the project has the rules.
 *
 * With `ci_rules_config.grouping`, more spellings have the same path. The variant ends with a
 * mark, `@` and a text, for the part of the spelling that the path lost: `https://sample.li/a.jpg`
 * with `?w=600` has the variant `?w=600@https`. You may add a mark `#` and a text after that, for
 * one of several answers that you store for a variant: `?w=600@https#webp`. A purge of `?w=600` by
 * `ci_purge_variants` takes the variants with marks as well.
 *
 * Rewritten names are written to `buffer`, which has `room` bytes and may be NULL if
 * `room` is 0. As many bytes as the text has, and 64 more, are nearly always enough.
 *
 * Any thread may call this at any time.
 *
 * Returns CI_OK; CI_ERR_NULL, CI_ERR_SIZE, CI_ERR_TEXT: `*out` is left as it is; CI_ERR_BUFFER:
 * `out->needed` and `out->target` are set, and the texts of `*out` are empty.
 */
int ci_request_target(const struct ci_rules *rules,
                      struct ci_str text,
                      char *buffer,
                      size_t room,
                      struct ci_names *out,
                      struct ci_error *error);

/**
 * Reads a whole delivery URL as it stands in a page:
 * `https://doc.cloudimg.io/sample.li/a.jpg?w=600`, or the target of a request. The host must be
 * one of the rules: set `token`, `custom_host` or `delivery_hosts`. Otherwise as
 * `ci_request_target`.
 */
int ci_delivery_url(const struct ci_rules *rules,
                    struct ci_str text,
                    char *buffer,
                    size_t room,
                    struct ci_names *out,
                    struct ci_error *error);

/**
 * Reads an entry of an invalidation request that names a whole picture, or all pictures with a
 * prefix if the rules allow wildcards and the entry ends in a star, or all pictures of the tenant
 * if it is the star alone. Look at `out->target`, and call `ci_purge`, `ci_purge_prefix` or
 * `ci_flush`. A query is an error: nobody shall believe that one variant was invalidated.
 * Otherwise as `ci_request_target`.
 */
int ci_invalidation_entry(const struct ci_rules *rules,
                          struct ci_str text,
                          char *buffer,
                          size_t room,
                          struct ci_names *out,
                          struct ci_error *error);

/**
 * Reads an entry of an invalidation request that names one variant: `sample.li/a.jpg?w=600`. Pass
 * `out->variant` to `ci_purge_variants`. The variant has no marks, whatever the rules say of
 * grouping, so that the purge takes the variants with marks as well. Otherwise as
 * `ci_request_target`.
 *
 * An entry with a star is an error, also if the rules allow wildcards: no function purges one
 * variant of many pictures, and the pictures shall not be invalidated whole by mistake.
 * `out->target` is always CI_TARGET_PATH.
 */
int ci_variant_entry(const struct ci_rules *rules,
                     struct ci_str text,
                     char *buffer,
                     size_t room,
                     struct ci_names *out,
                     struct ci_error *error);

/**
 * Reads the totals of an index. Any thread may call this at any time. It locks one shard after
 * another, shared: call it every few seconds, not with each request.
 *
 * Returns CI_OK; CI_ERR_NULL, CI_ERR_SIZE: `*out` is left as it is.
 */
int ci_stats_get(const struct ci_index *index,
                 struct ci_stats *out,
                 struct ci_error *error);

/**
 * Creates a source of ids for objects that a cache keeps under the id, see "Ids" at the top.
 *
 * `incarnation` is a number that is larger after each start, up to 16777215, such as that of
 * `ci_durable_incarnation`; each has 2^40 ids. 0: the time of the call is used, in microseconds.
 * Ids of a later start are larger, as long as the clock is not set back to the very second of an
 * earlier start. Two sources that are to be distinct must not be created in one microsecond.
 *
 * Owner: you; free `*out` with `ci_ids_free`.
 *
 * Returns CI_OK; CI_ERR_NULL, CI_ERR_ARGUMENT: nothing is created.
 */
int ci_ids_new(uint64_t incarnation,
               struct ci_ids **out,
               struct ci_error *error);

/**
 * Writes an id to `*id` that this source has not returned before. It is never 0.
 *
 * Any thread may call this at any time.
 *
 * Returns CI_OK; CI_ERR_NULL, CI_ERR_EXHAUSTED: `*id` is left as it is.
 */
int ci_ids_next(const struct ci_ids *ids,
                uint64_t *id,
                struct ci_error *error);

/**
 * Frees a source of ids. NULL is allowed.
 *
 * Undefined: to free a source twice, or while another thread uses it.
 */
void ci_ids_free(struct ci_ids *ids);

#if defined(CI_WITH_DURABLE)
/**
 * Opens the index in a directory, which is created if it is missing. No other index, of this or
 * another process, may have it open. All functions accept such an index: purges and flushes are
 * applied, then logged, and say by `ci_purged.durability` and CI_NOT_DURABLE whether they survive
 * a crash. Fills are saved by snapshots: those since the last one are lost in a crash, and are
 * misses.
 *
 * `directory` is the name as the operating system takes it, which need not be UTF-8. `config` and
 * `durable` may be NULL, for the defaults.
 *
 * Files that cannot be trusted are never used: the index then starts empty. `ci_durable_recovery`
 * returns which it was, and `ci_durable_values` lists the objects that are still named. Ids of
 * objects must contain `ci_durable_incarnation`: pass it to `ci_ids_new`.
 *
 * Owner: you; end it with `ci_durable_close` and `ci_index_free`. The index has threads of its
 * own, so open it after `fork`.
 *
 * Reads and writes files. Returns CI_OK; CI_ERR_NULL, CI_ERR_SIZE, CI_ERR_TEXT, CI_ERR_ARGUMENT:
 * no file is touched; CI_ERR_IO: the directory is in use, or cannot be read or written.
 */
int ci_durable_open(struct ci_str directory,
                    const struct ci_config *config,
                    const struct ci_durable_config *durable,
                    struct ci_index **out,
                    struct ci_error *error);
#endif

#if defined(CI_WITH_DURABLE)
/**
 * Writes to `*out` the state that was found in the directory. `out` may be NULL.
 *
 * Any thread may call this at any time. Returns CI_RECOVERY_*; CI_ERR_NULL, CI_ERR_SIZE;
 * CI_ERR_ARGUMENT: the index is in memory alone.
 */
int ci_durable_recovery(const struct ci_index *index,
                        struct ci_recovery *out,
                        struct ci_error *error);
#endif

#if defined(CI_WITH_DURABLE)
/**
 * Waits until the snapshot is loaded, then does what `ci_durable_recovery` does. Only after
 * `load_in_background` there is something to wait for. Returns CI_RECOVERY_LOADING only if the
 * index was closed before.
 *
 * Any thread may call this at any time. Returns as `ci_durable_recovery`.
 */
int ci_durable_wait(const struct ci_index *index,
                    struct ci_recovery *out,
                    struct ci_error *error);
#endif

#if defined(CI_WITH_DURABLE)
/**
 * Writes the number of this opening to `*incarnation`. It is larger than those of all earlier
 * openings of the directory, and durable.
 *
 * Any thread may call this at any time. Returns CI_OK; CI_ERR_NULL; CI_ERR_ARGUMENT: the index is
 * in memory alone.
 */
int ci_durable_incarnation(const struct ci_index *index,
                           uint64_t *incarnation,
                           struct ci_error *error);
#endif

#if defined(CI_WITH_DURABLE)
/**
 * Lists all values that may be served, for finding objects that no entry names after a start.
 * First waits until the snapshot is loaded. A fill that is committed meanwhile may be missing: so
 * delete only objects whose id has an older incarnation than this one.
 *
 * Takes eight bytes of memory for each value. `ci_entry` has the value alone.
 *
 * Owner: `*entries` is yours; free it with `ci_entries_free`.
 *
 * Any thread may call this at any time. It locks one shard after another, shared. Returns CI_OK;
 * CI_ERR_NULL; CI_ERR_ARGUMENT: the index is in memory alone.
 */
int ci_durable_values(const struct ci_index *index,
                      struct ci_entries **entries,
                      struct ci_error *error);
#endif

#if defined(CI_WITH_DURABLE)
/**
 * Writes a snapshot now, or as soon as the last one is loaded. Lookups, fills and invalidations go
 * on meanwhile. If the log has failed, a snapshot that succeeds starts a new one, and makes all
 * earlier invalidations durable. `out` may be NULL.
 *
 * Any thread may call this at any time; one snapshot is written at a time. Returns CI_OK;
 * CI_ERR_NULL, CI_ERR_SIZE; CI_ERR_ARGUMENT: the index is in memory alone; CI_ERR_IO: the last
 * snapshot and the log remain in use.
 */
int ci_durable_snapshot(const struct ci_index *index,
                        struct ci_snapshot *out,
                        struct ci_error *error);
#endif

#if defined(CI_WITH_DURABLE)
/**
 * Reads the counts of the log and of snapshots.
 *
 * Any thread may call this at any time. Returns CI_OK; CI_ERR_NULL, CI_ERR_SIZE; CI_ERR_ARGUMENT:
 * the index is in memory alone.
 */
int ci_durable_stats_get(const struct ci_index *index,
                         struct ci_durable_stats *out,
                         struct ci_error *error);
#endif

#if defined(CI_WITH_DURABLE)
/**
 * Writes a last snapshot, ends the threads, and releases the directory. Without it, the next start
 * is as after a crash. Later purges and flushes hold in memory, and return CI_NOT_DURABLE. A
 * second call has no effect. Free the index afterwards.
 *
 * If a snapshot is still being loaded, no other one is written: the next start is as after a
 * crash.
 *
 * Any thread may call this at any time. Returns CI_OK; CI_ERR_NULL; CI_ERR_ARGUMENT: the index is
 * in memory alone, or in a fleet, see `ci_fleet_leave`; CI_ERR_IO: the index is closed all the
 * same, and the next start is without the fills since the last snapshot, or cold.
 */
int ci_durable_close(const struct ci_index *index,
                     struct ci_error *error);
#endif

#if defined(CI_WITH_FLEET)
/**
 * Joins a fleet with an index of `ci_durable_open`. From then on, `index` is one of the fleet, and
 * there is no way around it:
 * - `ci_lookup`, `ci_lookup_prepared`, `ci_lookup_many` and `ci_claim` are behind the gate. It is
 *   shut until the node has caught up, and whenever the node has no proof that it knows the
 *   invalidations of all nodes. Then answers are as `when_shut` says.
 * - The functions that invalidate, from `ci_purge` to `ci_tenant_forget`, return CI_ERR_ARGUMENT
 *   and change nothing, as they would not reach the other nodes. Those of this section do.
 * - All other functions go on as before. Handles of tenants and leases stay valid.
 *
 * `urls` are those of the NATS servers, separated by commas, such as `nats://10.0.0.1:4222`, with
 * `user:password@` before the host if needed. They need not run yet. `name` is 1 to 64 letters,
 * digits, `-`, `_` and `.`, and that of no other node. **A directory must always have the same
 * name**: it contains the invalidations that the node still has to send. `config` may be NULL.
 *
 * The library starts two threads of its own, and some more while it waits for files. They end with
 * `ci_index_free`. So join after `fork`.
 *
 * Undefined: to use the index in another thread during this call.
 *
 * Returns CI_OK; CI_ERR_NULL, CI_ERR_SIZE, CI_ERR_TEXT; CI_ERR_ARGUMENT: a setting, or the index
 * is in memory alone or in a fleet already; CI_ERR_IO: no threads. The index is then as before.
 */
int ci_fleet_join(struct ci_index *index,
                  struct ci_str urls,
                  struct ci_str name,
                  const struct ci_fleet_config *config,
                  struct ci_error *error);
#endif

#if defined(CI_WITH_FLEET)
/**
 * Returns the state of the gate, as lookups find it now. Any thread may call this at any time. It
 * locks nothing.
 *
 * Returns CI_GATE_OPEN, CI_GATE_STALE or CI_GATE_REFUSE; CI_ERR_NULL; CI_ERR_ARGUMENT: the index
 * is not in a fleet.
 */
int ci_fleet_gate(const struct ci_index *index,
                  struct ci_error *error);
#endif

#if defined(CI_WITH_FLEET)
/**
 * Waits until the gate is open, for at most so many milliseconds. Blocks the calling thread.
 *
 * Any thread may call this at any time. Returns 1 if the gate is open, else 0; CI_ERR_NULL;
 * CI_ERR_ARGUMENT: the index is not in a fleet.
 */
int ci_fleet_wait(const struct ci_index *index,
                  uint64_t milliseconds,
                  struct ci_error *error);
#endif

#if defined(CI_WITH_FLEET)
/**
 * Takes the values that invalidations of other nodes have removed since the last call, for you to
 * delete their objects. None unless `keep_removed` is set. `ci_entry` has the value alone. Values
 * that a flush or a prefix purge killed come from `ci_reclaim`.
 *
 * Owner: `*entries` is yours; free it with `ci_entries_free`.
 *
 * Any thread may call this at any time. Returns CI_OK; CI_ERR_NULL; CI_ERR_ARGUMENT: the index is
 * in no fleet.
 */
int ci_fleet_removed(const struct ci_index *index,
                     struct ci_entries **entries,
                     struct ci_error *error);
#endif

#if defined(CI_WITH_FLEET)
/**
 * Reads state and counts of a node. Any thread may call this at any time.
 *
 * Returns CI_OK; CI_ERR_NULL, CI_ERR_SIZE; CI_ERR_ARGUMENT: the index is not in a fleet.
 */
int ci_fleet_stats_get(const struct ci_index *index,
                       struct ci_fleet_stats *out,
                       struct ci_error *error);
#endif

#if defined(CI_WITH_FLEET)
/**
 * Leaves the fleet: shuts the gate for good, tells the other nodes, so that they do not wait for
 * this one, and does what `ci_durable_close` does. Blocks the calling thread. Without it, the
 * other nodes wait for this one until its time of freshness is over. Free the index afterwards,
 * which ends the threads. A second call does nothing.
 *
 * Any thread may call this at any time. Returns CI_OK; CI_ERR_NULL; CI_ERR_ARGUMENT: the index is
 * in no fleet; CI_ERR_IO as `ci_durable_close`.
 */
int ci_fleet_leave(const struct ci_index *index,
                   struct ci_error *error);
#endif

#if defined(CI_WITH_FLEET)
/**
 * Invalidates all variants of a picture on all nodes. `mode` is CI_HARD or CI_SOFT, `level` one of
 * CI_REACH_*. It holds on this node at once, and is on its way to the others, whatever the level.
 *
 * **Blocks the calling thread** until the level is reached, for at most `patience_ms`.
 *
 * `out` may be NULL. `*values` are the values that went on this node, so that you can delete the
 * objects: `ci_entry` has the value alone. `values` may be NULL: they are then lost to you. Other
 * nodes get theirs from `ci_fleet_removed`.
 *
 * Owner: `*values` is yours; free it with `ci_entries_free`.
 *
 * Any thread may call this at any time. Returns CI_OK: the level is reached. CI_NOT_REACHED: it
 * holds on this node and goes on its way. CI_NOT_DURABLE: the level is reached, but the log of
 * this node has failed. `error` has the reason of both. CI_ERR_NULL, CI_ERR_SIZE, CI_ERR_TENANT,
 * CI_ERR_TEXT, CI_ERR_ARGUMENT: nothing is invalidated.
 */
int ci_fleet_purge(const struct ci_index *index,
                   const struct ci_tenant *tenant,
                   struct ci_str path,
                   int mode,
                   int level,
                   struct ci_reached *out,
                   struct ci_entries **values,
                   struct ci_error *error);
#endif

#if defined(CI_WITH_FLEET)
/**
 * Invalidates `count` variants of a picture on all nodes. The texts select variants as those of
 * `ci_purge_variants` do. Otherwise as `ci_fleet_purge`.
 *
 * Returns as `ci_fleet_purge`; `ci_error.element` is the wrong variant. CI_ERR_ARGUMENT also if
 * `count` is 0.
 */
int ci_fleet_purge_variants(const struct ci_index *index,
                            const struct ci_tenant *tenant,
                            struct ci_str path,
                            const struct ci_str *variants,
                            size_t count,
                            int mode,
                            int level,
                            struct ci_reached *out,
                            struct ci_entries **values,
                            struct ci_error *error);
#endif

#if defined(CI_WITH_FLEET)
/**
 * Invalidates on all nodes every picture whose path begins with `prefix`, as `ci_purge_prefix`
 * does. The values that died come from `ci_reclaim`, on each node.
 *
 * Blocks, and returns, as `ci_fleet_purge`.
 */
int ci_fleet_purge_prefix(const struct ci_index *index,
                          const struct ci_tenant *tenant,
                          struct ci_str prefix,
                          int mode,
                          int level,
                          struct ci_reached *out,
                          struct ci_error *error);
#endif

#if defined(CI_WITH_FLEET)
/**
 * Invalidates on all nodes all that belongs to `tenant`, or everything if `tenant` is NULL, as
 * `ci_flush` does. The values that died come from `ci_reclaim`, on each node.
 *
 * Blocks, and returns, as `ci_fleet_purge`.
 */
int ci_fleet_flush(const struct ci_index *index,
                   const struct ci_tenant *tenant,
                   int mode,
                   int level,
                   struct ci_reached *out,
                   struct ci_error *error);
#endif

#if defined(CI_WITH_FLEET)
/**
 * Invalidates on all nodes all that belongs to `tenant`, or everything if `tenant` is NULL, hard,
 * spread over a number of milliseconds, as `ci_flush_over` does. Each node measures the time
 * itself, from when it applies the flush. A node that finds the flush when it catches up flushes
 * at once.
 *
 * The level is reached when the flush has begun, and not when it has ended. Blocks, and returns,
 * as `ci_fleet_purge`.
 */
int ci_fleet_flush_over(const struct ci_index *index,
                        const struct ci_tenant *tenant,
                        uint64_t milliseconds,
                        int until,
                        int level,
                        struct ci_reached *out,
                        struct ci_error *error);
#endif

#if defined(CI_WITH_FLEET)
/**
 * Flushes `tenant` on all nodes, hard, and forgets it, as `ci_tenant_forget` does.
 *
 * Blocks, and returns, as `ci_fleet_purge`.
 */
int ci_fleet_tenant_forget(const struct ci_index *index,
                           const struct ci_tenant *tenant,
                           int level,
                           struct ci_reached *out,
                           struct ci_error *error);
#endif

#if defined(CI_WITH_FLEET)
/**
 * Invalidates on all nodes what a request names, in JSON, as the body of `POST /invalidate`:
 * `{"scope":"original","urls":["/sample.li/birds.jpg"],"mode":"soft"}`. The scope is `original`,
 * `urls` or `all`; `all` is the tenant. `rules` read the entries. Otherwise as `ci_fleet_purge`.
 *
 * Returns as `ci_fleet_purge`; CI_ERR_TEXT: the request is wrong, and `ci_error.element` is the
 * entry, if it is one.
 */
int ci_fleet_request(const struct ci_index *index,
                     const struct ci_tenant *tenant,
                     const struct ci_rules *rules,
                     struct ci_str body,
                     int level,
                     struct ci_reached *out,
                     struct ci_entries **values,
                     struct ci_error *error);
#endif

#if defined(CI_WITH_FLEET)
/**
 * Writes the watermark that this node, an edge, sends to a shield in the header `Cache-Watermark`.
 * Take the lease of the fill **before** this call. It waits until the stream has delivered the own
 * invalidations that were made before, for at most so many milliseconds, and blocks the calling
 * thread.
 *
 * Any thread may call this at any time. Returns 1 and the watermark; 0: there is none in time, and
 * `*out` is left as it is. Then don't keep the answer of the shield. CI_ERR_NULL, CI_ERR_SIZE;
 * CI_ERR_ARGUMENT: the index is not in a fleet.
 */
int ci_fleet_watermark(const struct ci_index *index,
                       uint64_t milliseconds,
                       struct ci_watermark *out,
                       struct ci_error *error);
#endif

#if defined(CI_WITH_FLEET)
/**
 * Tells this node, a shield, how to answer an edge that sent the watermark `asked`. Call it
 * **before** you look into the cache. If this node is behind the edge, it waits for at most so
 * many milliseconds, and blocks the calling thread.
 *
 * Send `out->text` with the answer, in the header `Cache-Watermark`: an edge keeps no answer
 * without it. Leave it out if you answer from the cache with a stale value.
 *
 * Any thread may call this at any time. Returns CI_TIER_CACHE or CI_TIER_PAST; CI_ERR_TEXT:
 * `asked` is not a watermark: go to the source, and send none. CI_ERR_NULL, CI_ERR_SIZE;
 * CI_ERR_ARGUMENT: the index is not in a fleet.
 */
int ci_fleet_watermark_check(const struct ci_index *index,
                             struct ci_str asked,
                             uint64_t milliseconds,
                             struct ci_watermark *out,
                             struct ci_error *error);
#endif

#if defined(CI_WITH_FLEET)
/**
 * Tells an edge whether it may keep the answer of a shield: `sent` is the watermark that it sent,
 * `echo` the one that came with the answer, or empty.
 *
 * Any thread may call this at any time. Returns 1: keep it. 0: only serve it, also if `echo` is no
 * watermark. CI_ERR_NULL; CI_ERR_TEXT: `sent` is not a watermark.
 */
int ci_fleet_watermark_keeps(struct ci_str sent,
                             struct ci_str echo,
                             struct ci_error *error);
#endif

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CACHE_INDEX_H */
