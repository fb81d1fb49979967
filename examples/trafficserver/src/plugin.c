/* A plugin of Apache Traffic Server over the C library of cache-index: the index says under which key an
 * answer is cached, and a purged key is never asked for again.
 *
 * plugin.config: cache_index_plugin.so
 *
 * At most one answer is cached under a key: that of the transaction which has the lease. So an answer
 * that a purge overtook can't replace a newer one. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ts/ts.h>

#include "cache_index.h"

#define TARGET_SIZE 8192

/* 0: ids begin with the time. The control of the check sets 1: each start has the same ids. */
#ifndef INCARNATION
#define INCARNATION 0
#endif

static const char NAME[] = "cache_index";
static struct ci_index *ci;
static struct ci_tenant *tenant;
static struct ci_ids *ids;
static int slot;

/* UNSAFE: it may change the picture. */
enum method { GET, PURGE, SAFE, UNSAFE };

struct txn {
  enum method method;
  struct ci_lease *lease;
  uint64_t id;
  /* What the index said about the id: CI_LIVE, CI_STALE, CI_PENDING or CI_CLAIMED. */
  int state;
  /* The status of the answer to a PURGE, else 0. */
  int purge_status;
  struct ci_str path, variant;
  char target[TARGET_SIZE];
};

static struct ci_str str(const char *text) {
  struct ci_str s = { text, strlen(text) };
  return s;
}

static int is(const char *method, int len, const char *name) {
  return (size_t)len == strlen(name) && memcmp(method, name, (size_t)len) == 0;
}

/* Reads the target of the request, as in "/a.jpg?w=200". Returns whether it fits. */
static int read_target(TSHttpTxn t, struct txn *x, enum method *kind) {
  TSMBuffer buffer;
  TSMLoc header, url;
  int path_len = 0, query_len = 0, method_len = 0, len;
  const char *path, *query, *method, *mark;

  if (TSHttpTxnClientReqGet(t, &buffer, &header) != TS_SUCCESS) return 0;
  if (TSHttpHdrUrlGet(buffer, header, &url) != TS_SUCCESS) {
    TSHandleMLocRelease(buffer, TS_NULL_MLOC, header);
    return 0;
  }
  path = TSUrlPathGet(buffer, url, &path_len);
  query = TSUrlHttpQueryGet(buffer, url, &query_len);
  method = TSHttpHdrMethodGet(buffer, header, &method_len);
  *kind = is(method, method_len, "GET")     ? GET
          : is(method, method_len, "PURGE") ? PURGE
          : is(method, method_len, "HEAD") || is(method, method_len, "OPTIONS") || is(method, method_len, "TRACE")
            ? SAFE
            : UNSAFE;
  len = snprintf(x->target, sizeof x->target, "/%.*s%s%.*s", path_len, path == NULL ? "" : path,
                 query_len > 0 ? "?" : "", query_len, query == NULL ? "" : query);
  TSHandleMLocRelease(buffer, header, url);
  TSHandleMLocRelease(buffer, TS_NULL_MLOC, header);
  if (len < 0 || (size_t)len >= sizeof x->target) return 0;
  mark = strchr(x->target, '?');
  x->path = str(x->target);
  x->variant = str(mark == NULL ? "?" : mark);
  if (mark != NULL) x->path.len = (size_t)(mark - x->target);
  return 1;
}

static void purge(TSHttpTxn t, TSCont contp, struct txn *x) {
  struct ci_error error = { .size = sizeof error };
  struct ci_purged purged = { .size = sizeof purged };
  struct ci_str prefix = x->path;
  char report[320];
  int code;

  if (strchr(x->target, '?') != NULL) {
    code = CI_ERR_TEXT;
    snprintf(error.message, sizeof error.message,
             "unexpected query at byte %zu: this invalidates the whole picture", x->path.len);
  } else if (strcmp(x->target, "/*") == 0) {
    code = ci_flush(ci, tenant, CI_HARD, &purged, &error);
  } else if (prefix.ptr[prefix.len - 1] == '*') {
    prefix.len--;
    code = ci_purge_prefix(ci, tenant, prefix, CI_HARD, &purged, &error);
  } else {
    /* The objects stay in the cache until they are the oldest; nobody asks for their keys. */
    code = ci_purge(ci, tenant, x->path, CI_HARD, &purged, NULL, &error);
  }
  if (code == CI_OK)
    snprintf(report, sizeof report, "%zu variants, %zu fills, generation %" PRIu64 "\n",
             purged.variants, purged.overtaken_fills, purged.generation);
  else
    snprintf(report, sizeof report, "%s\n", error.message);
  x->purge_status = code == CI_OK ? 200 : 400;
  TSHttpTxnErrorBodySet(t, TSstrdup(report), strlen(report), TSstrdup("text/plain"));
  /* The answer is built as an error, and gets its status when it is sent. */
  TSHttpTxnHookAdd(t, TS_HTTP_SEND_RESPONSE_HDR_HOOK, contp);
  TSHttpTxnReenable(t, TS_EVENT_HTTP_ERROR);
}

/* Returns the event to go on with, or TS_EVENT_NONE if that was done. */
static TSEvent on_request(TSHttpTxn t, TSCont contp) {
  struct txn *x = calloc(1, sizeof *x);
  struct ci_error error = { .size = sizeof error };
  uint64_t next;
  char key[64];
  int is_named;

  if (x == NULL) return TS_EVENT_HTTP_ERROR;
  TSUserArgSet(t, slot, x);
  TSHttpTxnHookAdd(t, TS_HTTP_TXN_CLOSE_HOOK, contp);
  is_named = read_target(t, x, &x->method);
  if (x->method == PURGE) {
    purge(t, contp, x);
    return TS_EVENT_NONE;
  }
  if (!is_named || ci_ids_next(ids, &next, &error) != CI_OK) {
    TSHttpTxnServerRespNoStoreSet(t, 1);
    return TS_EVENT_HTTP_CONTINUE;
  }
  /* Traffic Server stores the answers to GET alone: other methods must not take an id. */
  if (x->method == GET)
    x->state = ci_claim(ci, tenant, x->path, x->variant, next, &x->id, &x->lease, &error);
  else
    x->state = ci_lookup(ci, tenant, x->path, x->variant, &x->id, &error);
  if (x->state < 0) TSError("[%s] %s", NAME, error.message);
  if (x->method == UNSAFE) TSHttpTxnHookAdd(t, TS_HTTP_READ_RESPONSE_HDR_HOOK, contp);
  if (x->state < 0 || x->state == CI_MISS || x->method == UNSAFE) {
    TSHttpTxnServerRespNoStoreSet(t, 1);
    return TS_EVENT_HTTP_CONTINUE;
  }
  /* The first request of a stale picture fetches it under a new key; the others are served. */
  if (x->state == CI_STALE && x->lease != NULL) x->id = next;
  snprintf(key, sizeof key, "http://cache-index/%" PRIx64, x->id);
  if (TSCacheUrlSet(t, key, (int)strlen(key)) != TS_SUCCESS) TSHttpTxnServerRespNoStoreSet(t, 1);
  TSHttpTxnHookAdd(t, TS_HTTP_CACHE_LOOKUP_COMPLETE_HOOK, contp);
  TSHttpTxnHookAdd(t, TS_HTTP_READ_RESPONSE_HDR_HOOK, contp);
  return TS_EVENT_HTTP_CONTINUE;
}

static void on_lookup(TSHttpTxn t, struct txn *x) {
  int status;

  if (x->lease != NULL || TSHttpTxnCacheLookupStatusGet(t, &status) != TS_SUCCESS ||
      status == TS_CACHE_LOOKUP_HIT_FRESH)
    return;
  /* The cache has lost the answer, or it is too old, or another transaction is fetching it. */
  TSHttpTxnServerRespNoStoreSet(t, 1);
  if (x->state == CI_LIVE) ci_remove(ci, tenant, x->path, x->variant, x->id, NULL);
}

static void on_response(TSHttpTxn t, struct txn *x) {
  TSMBuffer buffer;
  TSMLoc header;
  int status = 0, stored = CI_REFUSED;

  if (TSHttpTxnServerRespGet(t, &buffer, &header) == TS_SUCCESS) {
    status = TSHttpHdrStatusGet(buffer, header);
    TSHandleMLocRelease(buffer, TS_NULL_MLOC, header);
  }
  /* As RFC 9111 asks for: what a method has changed must not come from the cache. */
  if (x->method == UNSAFE && status >= 200 && status < 400)
    ci_purge_variants(ci, tenant, x->path, &x->variant, 1, CI_HARD, NULL, NULL, NULL);
  if (x->lease != NULL && status == TS_HTTP_STATUS_OK)
    stored = ci_lease_commit_claimed(x->lease, NULL, NULL);
  ci_lease_free(x->lease);
  x->lease = NULL;
  if (stored != CI_STORED && stored != CI_STORED_STALE) TSHttpTxnServerRespNoStoreSet(t, 1);
}

static void on_send(TSHttpTxn t, const struct txn *x) {
  TSMBuffer buffer;
  TSMLoc header;
  const char *reason = x->purge_status == 200 ? "OK" : "Bad Request";

  if (x->purge_status == 0 || TSHttpTxnClientRespGet(t, &buffer, &header) != TS_SUCCESS) return;
  TSHttpHdrStatusSet(buffer, header, (TSHttpStatus)x->purge_status);
  TSHttpHdrReasonSet(buffer, header, reason, (int)strlen(reason));
  TSHandleMLocRelease(buffer, TS_NULL_MLOC, header);
}

static int on_event(TSCont contp, TSEvent event, void *data) {
  TSHttpTxn t = data;
  struct txn *x = TSUserArgGet(t, slot);
  TSEvent next = TS_EVENT_HTTP_CONTINUE;

  switch (event) {
  case TS_EVENT_HTTP_READ_REQUEST_HDR: next = on_request(t, contp); break;
  case TS_EVENT_HTTP_CACHE_LOOKUP_COMPLETE: on_lookup(t, x); break;
  case TS_EVENT_HTTP_READ_RESPONSE_HDR: on_response(t, x); break;
  case TS_EVENT_HTTP_SEND_RESPONSE_HDR: on_send(t, x); break;
  case TS_EVENT_HTTP_TXN_CLOSE:
    if (x != NULL) ci_lease_free(x->lease);
    free(x);
    TSUserArgSet(t, slot, NULL);
    break;
  default: break;
  }
  if (next != TS_EVENT_NONE) TSHttpTxnReenable(t, next);
  return 0;
}

void TSPluginInit(int argc, const char *argv[]) {
  TSPluginRegistrationInfo info = { NAME, "cache-index", "see README.md" };
  struct ci_error error = { .size = sizeof error };

  (void)argc;
  (void)argv;
  if (TSPluginRegister(&info) != TS_SUCCESS) TSError("[%s] not registered", NAME);
  if (ci_index_new(NULL, &ci, &error) != CI_OK || ci_ids_new(INCARNATION, &ids, &error) != CI_OK ||
      ci_tenant_get(ci, str("site"), &tenant, &error) != CI_OK) {
    TSError("[%s] %s", NAME, error.message);
    return;
  }
  if (TSUserArgIndexReserve(TS_USER_ARGS_TXN, NAME, "the lease", &slot) != TS_SUCCESS) {
    TSError("[%s] no user argument is left", NAME);
    return;
  }
  TSHttpHookAdd(TS_HTTP_READ_REQUEST_HDR_HOOK, TSContCreate(on_event, NULL));
}
