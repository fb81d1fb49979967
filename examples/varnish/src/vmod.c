#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache_varnishd.h"
#include "vcl.h"
#include "vrt_obj.h"

#include "VSC_cache_index.h"
#include "state.h"
#include "vcc_if.h"

/* As long as URLs may be by Cloudimage's rules, and the room to rewrite one. */
#define ROOM 8448

struct vmod_cache_index_tenant {
	unsigned magic;
#define TENANT_MAGIC 0x6b3f2c11
	unsigned number;
	int wildcards;
	/* NULL: names are those of the URL. */
	struct ci_rules *rules;
};

/* Of one request to a backend, or of one request of a client. */
struct task {
	unsigned magic;
#define TASK_MAGIC 0x1d5be0a7
	struct ci_lease *lease;
	/* What was committed, if its id isn't 0; the texts are in `text`. */
	struct name name;
	char *text;
	char report[320];
};

int
vmod_event(VRT_CTX, struct vmod_priv *priv, enum vcl_event_e event)
{
	(void)ctx;
	(void)priv;
	switch (event) {
	case VCL_EVENT_LOAD: state_load(); break;
	case VCL_EVENT_WARM: state_warm(); break;
	case VCL_EVENT_COLD: state_cold(); break;
	case VCL_EVENT_DISCARD: state_discard(); break;
	default: break;
	}
	return (0);
}

/* Ends the fill of a task: it was committed, or it has failed. */
static void
end_fill(struct task *task)
{
	ci_lease_free(task->lease);
	task->lease = NULL;
	if (task->name.id != 0)
		state_fetched(&task->name);
	task->name.id = 0;
	free(task->text);
	task->text = NULL;
}

static void
task_fini(VRT_CTX, void *p)
{
	struct task *task;

	(void)ctx;
	CAST_OBJ_NOTNULL(task, p, TASK_MAGIC);
	end_fill(task);
	FREE_OBJ(task);
}

static const struct vmod_priv_methods task_methods[1] = {{
	.magic = VMOD_PRIV_METHODS_MAGIC,
	.type = "cache_index_task",
	.fini = task_fini,
}};

static struct task *
task_of(struct vmod_priv *priv)
{
	struct task *task;

	if (priv->priv == NULL) {
		ALLOC_OBJ(task, TASK_MAGIC);
		AN(task);
		priv->priv = task;
		priv->methods = task_methods;
	}
	CAST_OBJ_NOTNULL(task, priv->priv, TASK_MAGIC);
	return (task);
}

static struct ci_str
str(const char *text)
{
	struct ci_str s = { text, strlen(text) };

	return (s);
}

/*--------------------------------------------------------------------
 * Tenants
 */

static int
choice(VCL_ENUM value, VCL_ENUM one, VCL_ENUM two)
{
	return (value == one ? 1 : value == two ? 2 : 0);
}

VCL_VOID
vmod_tenant__init(VRT_CTX, struct vmod_cache_index_tenant **out, const char *vcl_name,
    VCL_STRING name, VCL_ENUM names, VCL_STRING token, VCL_STRING prefix, VCL_STRING host,
    VCL_ENUM v7, VCL_BOOL wildcards, VCL_BOOL grouping)
{
	struct vmod_cache_index_tenant *tenant;
	struct ci_rules_config config = { .size = sizeof config };
	struct ci_error error = { .size = sizeof error };
	struct ci_str hosts[1];
	unsigned number;

	(void)vcl_name;
	if (name == NULL || *name == '\0') {
		VRT_fail(ctx, "cache_index.tenant: name is empty");
		return;
	}
	if (!state_tenant(name, &number)) {
		VRT_fail(ctx, "cache_index.tenant: \"%s\" is not UTF-8, or there are too many", name);
		return;
	}
	ALLOC_OBJ(tenant, TENANT_MAGIC);
	AN(tenant);
	tenant->number = number;
	tenant->wildcards = (int)wildcards;
	*out = tenant;
	if (names != VENUM(cloudimage))
		return;
	config.token = str(token == NULL ? "" : token);
	config.prefix = str(prefix == NULL ? "" : prefix);
	if (host != NULL && *host != '\0') {
		hosts[0] = str(host);
		config.delivery_hosts = hosts;
		config.delivery_hosts_count = 1;
	}
	config.v7 = choice(v7, VENUM(required), VENUM(optional));
	config.wildcards = wildcards != 0;
	config.grouping = grouping != 0;
	if (ci_rules_new(&config, &tenant->rules, &error) != CI_OK)
		VRT_fail(ctx, "cache_index.tenant: %s", error.message);
}

VCL_VOID
vmod_tenant__fini(struct vmod_cache_index_tenant **p)
{
	struct vmod_cache_index_tenant *tenant;

	/* NULL if vcl_init has failed. */
	if (*p == NULL)
		return;
	TAKE_OBJ_NOTNULL(tenant, p, TENANT_MAGIC);
	ci_rules_free(tenant->rules);
	FREE_OBJ(tenant);
}

/*--------------------------------------------------------------------
 * Fetches
 */

/* The names in a URL. 0 if there are none. */
static int
names_of(const struct vmod_cache_index_tenant *tenant, const char *url, char *buffer,
    struct ci_str *path, struct ci_str *variant)
{
	struct ci_names names = { .size = sizeof names };
	const char *query;

	if (url == NULL)
		return (0);
	if (tenant->rules != NULL) {
		if (ci_request_target(tenant->rules, str(url), buffer, ROOM, &names, NULL) != CI_OK)
			return (0);
		*path = names.path;
		*variant = names.variant;
		return (1);
	}
	query = strchr(url, '?');
	*path = str(url);
	*variant = str(query == NULL ? "?" : query);
	if (query != NULL)
		path->len = (size_t)(query - url);
	return (1);
}

/* Keeps the names with the task. 0 if they can't stand in a header. */
static int
keep_names(struct task *task, struct ci_str path, struct ci_str variant, const char *mark)
{
	size_t mark_len = *mark == '\0' ? 0 : strlen(mark) + 1, n, len;

	len = path.len + variant.len + mark_len;
	task->text = malloc(len + 1);
	AN(task->text);
	memcpy(task->text, path.ptr, path.len);
	memcpy(task->text + path.len, variant.ptr, variant.len);
	if (mark_len > 0) {
		task->text[path.len + variant.len] = '#';
		memcpy(task->text + path.len + variant.len + 1, mark, mark_len - 1);
	}
	task->text[len] = '\0';
	for (n = 0; n < len; n++)
		if ((unsigned char)task->text[n] < ' ')
			return (0);
	task->name.path.ptr = task->text;
	task->name.path.len = path.len;
	task->name.variant.ptr = task->text + path.len;
	task->name.variant.len = variant.len + mark_len;
	return (1);
}

VCL_BOOL
vmod_tenant_begin(VRT_CTX, struct vmod_cache_index_tenant *tenant, struct vmod_priv *priv,
    VCL_STRING path, VCL_STRING variant, VCL_STRING representation)
{
	char buffer[ROOM];
	struct ci_error error = { .size = sizeof error };
	struct ci_str names[2];
	struct task *task = task_of(priv);

	CHECK_OBJ_NOTNULL(tenant, TENANT_MAGIC);
	if (ctx->method != VCL_MET_BACKEND_FETCH) {
		VRT_fail(ctx, "begin() is for vcl_backend_fetch");
		return (0);
	}
	/* A retry is another fill. */
	end_fill(task);
	if (path != NULL && *path != '\0') {
		names[0] = str(path);
		names[1] = str(variant == NULL || *variant == '\0' ? "?" : variant);
	} else if (!names_of(tenant, VRT_r_bereq_url(ctx), buffer, &names[0], &names[1]))
		return (0);
	if (!keep_names(task, names[0], names[1], representation == NULL ? "" : representation))
		return (0);
	task->name.tenant = tenant->number;
	if (ci_lease_take(ci, state_tenant_of(tenant->number), task->name.path, &task->lease,
	    &error) != CI_OK) {
		VSLb(ctx->vsl, SLT_VCL_Error, "begin: %s", error.message);
		return (0);
	}
	return (1);
}

VCL_BOOL
vmod_tenant_commit(VRT_CTX, struct vmod_cache_index_tenant *tenant, struct vmod_priv *priv)
{
	struct ci_commit commit = { .size = sizeof commit };
	struct gethdr_s header = { HDR_BERESP, h_name };
	struct task *task = task_of(priv);
	const char *parts[1];
	struct strands strands = { 1, parts };
	uint64_t id;
	int stored;

	CHECK_OBJ_NOTNULL(tenant, TENANT_MAGIC);
	if (ctx->method != VCL_MET_BACKEND_RESPONSE) {
		VRT_fail(ctx, "commit() is for vcl_backend_response");
		return (0);
	}
	/* That of the origin, or of the object that a 304 refreshes. */
	VRT_UnsetHdr(ctx, &header);
	if (task->lease == NULL)
		return (0);
	id = state_next_id();
	parts[0] = WS_Printf(ctx->ws, "%jx %u %zu %s", (uintmax_t)id, tenant->number,
	    task->name.path.len, task->text);
	if (parts[0] == NULL) {
		VRT_fail(ctx, "commit: out of workspace");
		return (0);
	}
	VRT_SetHdr(ctx, &header, NULL, &strands);
	stored = ci_lease_commit(task->lease, task->name.variant, id, &commit, NULL);
	ci_lease_free(task->lease);
	task->lease = NULL;
	if (stored != CI_STORED && stored != CI_STORED_STALE) {
		VRT_UnsetHdr(ctx, &header);
		COUNT(refused);
		return (0);
	}
	task->name.id = id;
	COUNT(stored);
	if (commit.has_replaced)
		state_kill(commit.replaced);
	if (commit.has_evicted)
		state_kill(commit.evicted);
	return (1);
}

VCL_BOOL
vmod_valid(VRT_CTX)
{
	struct gethdr_s header = { HDR_OBJ, h_name };
	struct name name;
	int state = CI_MISS;

	if (ctx->method != VCL_MET_HIT) {
		VRT_fail(ctx, "valid() is for vcl_hit");
		return (0);
	}
	if (name_parse(VRT_GetHdr(ctx, &header), &name))
		state = name_state(&name);
	if (state == CI_LIVE)
		return (1);
#if PRIVATE_CALLS
	if (state == CI_STALE) {
		struct objcore *oc = ctx->req->objcore;

		/* From the next request on, grace takes over: served, and refreshed behind it. */
		if (oc->ttl > ctx->now - oc->t_origin)
			EXP_Rearm(oc, ctx->now, 0, oc->grace, oc->keep);
		COUNT(stale_hits);
		return (1);
	}
#endif
	COUNT(dead_hits);
	return (0);
}

/*--------------------------------------------------------------------
 * Invalidations
 */

static VCL_BOOL
reported(struct task *task, int code, const struct ci_error *error)
{
	if (code == CI_OK)
		return (1);
	bprintf(task->report, "%s", error->message);
	return (0);
}

VCL_BOOL
vmod_tenant_purge_path(VRT_CTX, struct vmod_cache_index_tenant *tenant, struct vmod_priv *priv,
    VCL_STRING path, VCL_BOOL soft)
{
	struct ci_error error = { .size = sizeof error };
	struct ci_purged purged = { .size = sizeof purged };
	struct ci_entries *entries = NULL;
	struct task *task = task_of(priv);

	(void)ctx;
	CHECK_OBJ_NOTNULL(tenant, TENANT_MAGIC);
	if (!reported(task, ci_purge(ci, state_tenant_of(tenant->number),
	    str(path == NULL ? "" : path), soft ? CI_SOFT : CI_HARD, &purged, &entries, &error), &error))
		return (0);
	state_kill_all(entries);
	COUNT(purges);
	bprintf(task->report, "%zu variants, %zu fills, generation %ju", purged.variants,
	    purged.overtaken_fills, (uintmax_t)purged.generation);
	return (1);
}

VCL_BOOL
vmod_tenant_purge_prefix(VRT_CTX, struct vmod_cache_index_tenant *tenant, struct vmod_priv *priv,
    VCL_STRING prefix, VCL_BOOL soft)
{
	struct ci_error error = { .size = sizeof error };
	struct ci_purged purged = { .size = sizeof purged };
	struct task *task = task_of(priv);

	(void)ctx;
	CHECK_OBJ_NOTNULL(tenant, TENANT_MAGIC);
	if (!reported(task, ci_purge_prefix(ci, state_tenant_of(tenant->number),
	    str(prefix == NULL ? "" : prefix), soft ? CI_SOFT : CI_HARD, &purged, &error), &error))
		return (0);
	state_reclaim();
	COUNT(prefix_purges);
	bprintf(task->report, "prefix, generation %ju", (uintmax_t)purged.generation);
	return (1);
}

VCL_BOOL
vmod_tenant_purge(VRT_CTX, struct vmod_cache_index_tenant *tenant, struct vmod_priv *priv,
    VCL_STRING entry, VCL_BOOL soft)
{
	char buffer[ROOM];
	struct ci_error error = { .size = sizeof error };
	struct ci_names names = { .size = sizeof names };
	struct task *task = task_of(priv);
	const char *query, *text;
	size_t len;

	CHECK_OBJ_NOTNULL(tenant, TENANT_MAGIC);
	if (entry == NULL)
		entry = "";
	names.path = str(entry);
	if (tenant->rules != NULL) {
		if (!reported(task, ci_invalidation_entry(tenant->rules, str(entry), buffer, ROOM, &names,
		    &error), &error))
			return (0);
	} else if ((query = strchr(entry, '?')) != NULL) {
		bprintf(task->report, "unexpected query at byte %zu: this invalidates the whole picture",
		    (size_t)(query - entry));
		return (0);
	} else {
		len = strlen(entry);
		names.target = CI_TARGET_PATH;
		if (tenant->wildcards && len > 0 && entry[len - 1] == '*') {
			names.path.len--;
			names.target = names.path.len > 0 ? CI_TARGET_PREFIX : CI_TARGET_ALL;
		}
	}
	if (names.target == CI_TARGET_ALL)
		return (vmod_tenant_flush(ctx, tenant, priv, soft));
	text = WS_Printf(ctx->ws, "%.*s", (int)names.path.len, names.path.ptr);
	if (text == NULL) {
		VRT_fail(ctx, "purge: out of workspace");
		return (0);
	}
	if (names.target == CI_TARGET_PREFIX)
		return (vmod_tenant_purge_prefix(ctx, tenant, priv, text, soft));
	return (vmod_tenant_purge_path(ctx, tenant, priv, text, soft));
}

static VCL_BOOL
flush(struct vmod_priv *priv, const struct ci_tenant *tenant, VCL_BOOL soft)
{
	struct ci_error error = { .size = sizeof error };
	struct ci_purged purged = { .size = sizeof purged };
	struct task *task = task_of(priv);

	if (!reported(task, ci_flush(ci, tenant, soft ? CI_SOFT : CI_HARD, &purged, &error), &error))
		return (0);
	state_reclaim();
	COUNT(flushes);
	bprintf(task->report, "flush, generation %ju", (uintmax_t)purged.generation);
	return (1);
}

VCL_BOOL
vmod_tenant_flush(VRT_CTX, struct vmod_cache_index_tenant *tenant, struct vmod_priv *priv,
    VCL_BOOL soft)
{
	(void)ctx;
	CHECK_OBJ_NOTNULL(tenant, TENANT_MAGIC);
	return (flush(priv, state_tenant_of(tenant->number), soft));
}

VCL_BOOL
vmod_flush_all(VRT_CTX, struct vmod_priv *priv, VCL_BOOL soft)
{
	(void)ctx;
	return (flush(priv, NULL, soft));
}

VCL_STRING
vmod_report(VRT_CTX, struct vmod_priv *priv)
{
	(void)ctx;
	return (task_of(priv)->report);
}

VCL_INT
vmod_count(VRT_CTX, VCL_ENUM what)
{
	struct ci_stats s = { .size = sizeof s };

	(void)ctx;
	AZ(ci_stats_get(ci, &s, NULL));
	if (what == VENUM(live)) return ((VCL_INT)s.live);
	if (what == VENUM(stale)) return ((VCL_INT)s.stale);
	if (what == VENUM(dead)) return ((VCL_INT)s.dead);
	if (what == VENUM(paths)) return ((VCL_INT)s.paths);
	if (what == VENUM(leases)) return ((VCL_INT)s.open_leases);
	if (what == VENUM(refused)) return ((VCL_INT)(s.refused_purged + s.refused_flushed));
	return ((VCL_INT)state_objects());
}
