/* What all VCLs of the process share: one index, its tenants, and the thread that removes objects
 * after a flush. */
#include <stdint.h>

#include "cache_index.h"

/* 0: without the calls that Varnish keeps for itself. Objects that were invalidated then stay in the
 * cache until they expire or are evicted, and valid() refuses them. */
#ifndef PRIVATE_CALLS
#define PRIVATE_CALLS 1
#endif

struct VSC_cache_index;

/* An entry, as the header of an object names it. */
struct name {
	uint64_t id;
	unsigned tenant;
	struct ci_str path, variant;
};

extern struct ci_index *ci;
extern struct VSC_cache_index *vsc;

#define COUNT(field) \
	((void)__atomic_fetch_add(&vsc->field, 1, __ATOMIC_RELAXED))

/* The header of objects, with its length, as Varnish spells headers. */
extern const char h_name[];

/* The events of VCLs. */
void state_load(void);
void state_discard(void);
void state_warm(void);
void state_cold(void);

uint64_t state_next_id(void);
/* The number of a tenant, which is added on first use. */
int state_tenant(const char *name, unsigned *number);
/* NULL for a number that was never given out. */
const struct ci_tenant *state_tenant_of(unsigned number);

/* Reads the header of an object. 0 if it is none of ours. */
int name_parse(const char *header, struct name *);
/* CI_MISS, CI_LIVE or CI_STALE: whether the index has this very entry. */
int name_state(const struct name *);

/* Removes the object with this id from the cache. */
void state_kill(uint64_t id);
/* The same for each entry; frees them. */
void state_kill_all(struct ci_entries *);
/* Wakes the thread that removes what a flush or the purge of a prefix killed. */
void state_reclaim(void);
/* After a fetch: an entry without object, or an object without entry, goes. */
void state_fetched(const struct name *);
size_t state_objects(void);
