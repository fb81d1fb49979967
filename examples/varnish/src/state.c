#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache_varnishd.h"

#include "VSC_cache_index.h"
#include "objects.h"
#include "state.h"

#define MAX_TENANTS 4096
/* Entries that are taken out of the index in one step. */
#define STEP 256

struct ci_index *ci;
struct VSC_cache_index *vsc;
const char h_name[] = "\010CI-Name:";

static struct vsc_seg *vsc_seg;
static struct ci_ids *ids;
static struct {
	char *name;
	struct ci_tenant *tenant;
} tenants[MAX_TENANTS];
static unsigned tenant_count;
/* Of loads and tenants. */
static pthread_mutex_t mtx = PTHREAD_MUTEX_INITIALIZER;
static unsigned loads, warm;

static struct {
	pthread_t thread;
	pthread_mutex_t mtx;
	pthread_cond_t cond;
	int wanted, stop;
} reaper = { .mtx = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };

int
name_parse(const char *h, struct name *name)
{
	char *end;
	size_t len, path_len;

	if (h == NULL)
		return (0);
	while (*h == ' ')
		h++;
	len = strlen(h);
	name->id = strtoull(h, &end, 16);
	if (end == h || *end != ' ')
		return (0);
	name->tenant = (unsigned)strtoul(end + 1, &end, 10);
	if (*end != ' ')
		return (0);
	path_len = strtoul(end + 1, &end, 10);
	if (*end != ' ')
		return (0);
	end++;
	len -= (size_t)(end - h);
	if (path_len == 0 || path_len >= len)
		return (0);
	name->path.ptr = end;
	name->path.len = path_len;
	name->variant.ptr = end + path_len;
	name->variant.len = len - path_len;
	return (1);
}

int
name_state(const struct name *name)
{
	const struct ci_tenant *tenant = state_tenant_of(name->tenant);
	uint64_t id = 0;
	int state;

	if (tenant == NULL)
		return (CI_MISS);
	state = ci_lookup(ci, tenant, name->path, name->variant, &id, NULL);
	return (state > CI_MISS && id == name->id ? state : CI_MISS);
}

void
state_kill(uint64_t id)
{
	if (PRIVATE_CALLS && objects_kill(id))
		COUNT(killed);
}

void
state_kill_all(struct ci_entries *entries)
{
	struct ci_entry entry = { .size = sizeof entry };

	while (entries != NULL && ci_entries_next(entries, &entry, NULL) == 1)
		state_kill(entry.value);
	ci_entries_free(entries);
}

static void
forget(const struct name *name)
{
	const struct ci_tenant *tenant = state_tenant_of(name->tenant);

	if (tenant != NULL)
		(void)ci_remove(ci, tenant, name->path, name->variant, name->id, NULL);
}

void
state_fetched(const struct name *name)
{
	if (!PRIVATE_CALLS)
		return;
	if (!objects_has(name->id))
		forget(name);
	else if (name_state(name) == CI_MISS)
		state_kill(name->id);
}

size_t
state_objects(void)
{
	return (PRIVATE_CALLS ? objects_count() : 0);
}

static uintptr_t events;

static void
on_event(struct worker *wrk, void *priv, struct objcore *oc, unsigned event)
{
	struct name name;

	(void)priv;
	/* Markers that an answer must not be kept: no object, so state_fetched removes the entry. */
	if (oc->flags & (OC_F_HFM | OC_F_HFP))
		return;
	if (!name_parse(HTTP_GetHdrPack(wrk, oc, h_name), &name))
		return;
	if (event == OEV_INSERT) {
		if (objects_put(name.id, oc))
			(void)__atomic_fetch_add(&vsc->g_objects, 1, __ATOMIC_RELAXED);
	} else if (event == OEV_EXPIRE && objects_take(name.id)) {
		forget(&name);
		(void)__atomic_fetch_sub(&vsc->g_objects, 1, __ATOMIC_RELAXED);
		COUNT(left);
	}
}

static void *
reap(void *priv)
{
	struct ci_entries *entries;
	int done = 1;

	THR_SetName("cache-index");
	AZ(pthread_mutex_lock(&reaper.mtx));
	while (!reaper.stop) {
		if (done && !reaper.wanted)
			AZ(pthread_cond_wait(&reaper.cond, &reaper.mtx));
		reaper.wanted = 0;
		AZ(pthread_mutex_unlock(&reaper.mtx));
		done = ci_reclaim(ci, STEP, &entries, NULL);
		assert(done >= 0);
		state_kill_all(entries);
		AZ(pthread_mutex_lock(&reaper.mtx));
	}
	AZ(pthread_mutex_unlock(&reaper.mtx));
	return (priv);
}

void
state_reclaim(void)
{
	AZ(pthread_mutex_lock(&reaper.mtx));
	reaper.wanted = 1;
	AZ(pthread_cond_signal(&reaper.cond));
	AZ(pthread_mutex_unlock(&reaper.mtx));
}

void
state_load(void)
{
	struct ci_config config = { .size = sizeof config, .queue_dead = 1 };

	AZ(pthread_mutex_lock(&mtx));
	if (loads++ == 0) {
		AZ(ci_index_new(&config, &ci, NULL));
		AZ(ci_ids_new(0, &ids, NULL));
		vsc = VSC_cache_index_New(NULL, &vsc_seg, "");
		AN(vsc);
		if (PRIVATE_CALLS) {
			objects_init();
			events = ObjSubscribeEvents(on_event, NULL, OEV_INSERT | OEV_EXPIRE);
			AN(events);
		}
	}
	AZ(pthread_mutex_unlock(&mtx));
}

void
state_discard(void)
{
	AZ(pthread_mutex_lock(&mtx));
	assert(loads > 0);
	if (--loads == 0) {
		if (PRIVATE_CALLS) {
			/* Waits for calls of on_event. */
			ObjUnsubscribeEvents(&events);
			objects_fini();
		}
		while (tenant_count > 0) {
			tenant_count--;
			ci_tenant_free(tenants[tenant_count].tenant);
			free(tenants[tenant_count].name);
		}
		ci_ids_free(ids);
		ci_index_free(ci);
		VSC_cache_index_Destroy(&vsc_seg);
		ci = NULL;
	}
	AZ(pthread_mutex_unlock(&mtx));
}

void
state_warm(void)
{
	AZ(pthread_mutex_lock(&mtx));
	if (warm++ == 0) {
		reaper.stop = 0;
		AZ(pthread_create(&reaper.thread, NULL, reap, NULL));
	}
	AZ(pthread_mutex_unlock(&mtx));
}

void
state_cold(void)
{
	AZ(pthread_mutex_lock(&mtx));
	assert(warm > 0);
	if (--warm == 0) {
		AZ(pthread_mutex_lock(&reaper.mtx));
		reaper.stop = 1;
		AZ(pthread_cond_signal(&reaper.cond));
		AZ(pthread_mutex_unlock(&reaper.mtx));
		AZ(pthread_join(reaper.thread, NULL));
	}
	AZ(pthread_mutex_unlock(&mtx));
}

uint64_t
state_next_id(void)
{
	uint64_t id = 0;

	AZ(ci_ids_next(ids, &id, NULL));
	return (id);
}

int
state_tenant(const char *name, unsigned *number)
{
	struct ci_str text = { name, strlen(name) };
	unsigned n;
	int found = 1;

	AZ(pthread_mutex_lock(&mtx));
	for (n = 0; n < tenant_count; n++)
		if (strcmp(tenants[n].name, name) == 0)
			break;
	if (n == tenant_count) {
		found = n < MAX_TENANTS &&
		    ci_tenant_get(ci, text, &tenants[n].tenant, NULL) == CI_OK;
		if (found) {
			tenants[n].name = strdup(name);
			AN(tenants[n].name);
			__atomic_store_n(&tenant_count, n + 1, __ATOMIC_RELEASE);
		}
	}
	AZ(pthread_mutex_unlock(&mtx));
	*number = n;
	return (found);
}

const struct ci_tenant *
state_tenant_of(unsigned number)
{
	/* Tenants are only added while a VCL is loaded. */
	if (number >= __atomic_load_n(&tenant_count, __ATOMIC_ACQUIRE))
		return (NULL);
	return (tenants[number].tenant);
}
