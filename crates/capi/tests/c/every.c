/* Calls every function of cache_index.h, in C99, with good input and with bad. Exits with 0 if all
 * answers are right. Runs under AddressSanitizer and valgrind in .ci/c-library. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache_index.h"

#define CHECK(what)                                                                \
  do {                                                                             \
    if (!(what)) {                                                                 \
      fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #what);         \
      exit(1);                                                                     \
    }                                                                              \
  } while (0)

static struct ci_str str(const char *text) {
  struct ci_str it;
  it.ptr = text;
  it.len = strlen(text);
  return it;
}

static int is(struct ci_str got, const char *expected) {
  return got.len == strlen(expected) && (got.len == 0 || memcmp(got.ptr, expected, got.len) == 0);
}

static struct ci_error new_error(void) {
  struct ci_error error;
  memset(&error, 0, sizeof error);
  error.size = sizeof error;
  return error;
}

static struct ci_index *new_index(int queue_dead) {
  struct ci_config config;
  struct ci_index *index = NULL;
  struct ci_error error = new_error();
  memset(&config, 0, sizeof config);
  config.size = sizeof config;
  config.shards = 4;
  config.max_variants = 2;
  config.evict_oldest = 1;
  config.queue_dead = queue_dead;
  CHECK(ci_index_new(&config, &index, &error) == CI_OK);
  return index;
}

static struct ci_tenant *new_tenant(struct ci_index *index, const char *name) {
  struct ci_tenant *tenant = NULL;
  CHECK(ci_tenant_get(index, str(name), &tenant, NULL) == CI_OK);
  return tenant;
}

static struct ci_stats stats_of(const struct ci_index *index) {
  struct ci_stats stats;
  stats.size = sizeof stats;
  CHECK(ci_stats_get(index, &stats, NULL) == CI_OK);
  return stats;
}

/* Reads all entries, checks that they are as many as said, and returns the sum of their values. */
static uint64_t sum_and_free(struct ci_entries *entries, size_t count) {
  struct ci_entry entry;
  uint64_t sum = 0;
  size_t read = 0;
  entry.size = sizeof entry;
  CHECK(ci_entries_left(entries) == count);
  while (ci_entries_next(entries, &entry, NULL) == 1) {
    CHECK(entry.path.len + entry.variant.len > 0);
    sum += entry.value;
    read++;
  }
  CHECK(read == count && ci_entries_left(entries) == 0);
  ci_entries_free(entries);
  return sum;
}

static void fill(void) {
  struct ci_index *index = new_index(0);
  struct ci_tenant *tenant = new_tenant(index, "shop");
  struct ci_error error = new_error();
  struct ci_str path = str("shop.example/a.jpg"), small = str("300x200");
  struct ci_lease *lease = NULL, *slow = NULL;
  struct ci_commit commit;
  struct ci_purged purged;
  uint64_t value = 1;
  commit.size = sizeof commit;
  purged.size = sizeof purged;

  CHECK(ci_lookup(index, tenant, path, small, &value, &error) == CI_MISS && value == 0);
  CHECK(ci_lease_take(index, tenant, path, &lease, &error) == CI_OK);
  CHECK(ci_lease_take(index, tenant, path, &slow, &error) == CI_OK);
  CHECK(ci_lease_commit(lease, small, 17, &commit, &error) == CI_STORED);
  CHECK(commit.reason == CI_REASON_NONE && !commit.has_replaced && !commit.has_evicted);
  CHECK(ci_lease_commit(lease, small, 18, &commit, &error) == CI_ERR_CLOSED);
  CHECK(strcmp(error.kind, "Closed") == 0 && error.code == CI_ERR_CLOSED);
  ci_lease_free(lease);
  CHECK(ci_lookup(index, tenant, path, small, &value, &error) == CI_LIVE && value == 17);

  CHECK(ci_purge(index, tenant, path, CI_HARD, &purged, NULL, &error) == CI_OK);
  CHECK(purged.variants == 1 && purged.overtaken_fills == 1 && purged.generation > 0);
  CHECK(ci_lease_commit(slow, small, 19, &commit, &error) == CI_REFUSED);
  CHECK(commit.reason == CI_REASON_PURGED);
  ci_lease_free(slow);

  CHECK(ci_insert(index, tenant, path, small, 20, NULL, &error) == CI_STORED);
  CHECK(ci_insert(index, tenant, path, small, 21, &commit, &error) == CI_STORED);
  CHECK(commit.has_replaced && commit.replaced == 20);
  CHECK(ci_insert(index, tenant, path, str("b"), 22, &commit, &error) == CI_STORED);
  CHECK(ci_insert(index, tenant, path, str("c"), 23, &commit, &error) == CI_STORED);
  CHECK(commit.has_evicted && commit.evicted == 21);
  CHECK(ci_remove(index, tenant, path, str("c"), 99, &error) == 0);
  CHECK(ci_remove(index, tenant, path, str("c"), 23, &error) == 1);
  CHECK(stats_of(index).live == 1 && stats_of(index).refused_purged == 1);

  ci_tenant_free(tenant);
  ci_index_free(index);
}

static void prepared(void) {
  struct ci_index *index = new_index(0);
  struct ci_tenant *tenant = new_tenant(index, "shop");
  struct ci_error error = new_error();
  struct ci_path *path = NULL, *bad_path = NULL;
  struct ci_key *key = NULL, *bad_key = NULL;
  struct ci_lease *lease = NULL;
  struct ci_name names[2];
  struct ci_found found[2];
  uint64_t value = 0;

  CHECK(ci_path_new(str("sample.li/a.jpg"), CI_CANONICAL, &path, &error) == CI_OK);
  CHECK(ci_key_new(str("?h=1&w=2"), CI_CANONICAL, &key, &error) == CI_OK);
  CHECK(ci_path_new(str("sample.li/%61.jpg"), CI_CANONICAL, &bad_path, &error) == CI_ERR_TEXT);
  CHECK(error.at == 10 && strcmp(error.kind, "NotCanonical") == 0 && bad_path == NULL);
  CHECK(ci_key_new(str("?w=2&h=1"), CI_CANONICAL, &bad_key, &error) == CI_ERR_TEXT);
  CHECK(error.at == 1 && bad_key == NULL);
  CHECK(ci_lease_take_prepared(index, tenant, path, &lease, &error) == CI_OK);
  CHECK(ci_lease_commit_prepared(lease, key, 7, NULL, &error) == CI_STORED);
  ci_lease_free(lease);
  CHECK(ci_lookup_prepared(index, tenant, path, key, &value, &error) == CI_LIVE && value == 7);

  names[0].path = names[1].path = str("sample.li/a.jpg");
  names[0].variant = str("?h=1&w=2");
  names[1].variant = str("?h=9");
  CHECK(ci_lookup_many(index, tenant, names, 2, found, &error) == CI_OK);
  CHECK(found[0].state == CI_LIVE && found[0].value == 7 && found[1].state == CI_MISS);

  ci_key_free(key);
  ci_path_free(path);
  ci_tenant_free(tenant);
  ci_index_free(index);
}

static void claim(void) {
  struct ci_index *index = new_index(0);
  struct ci_tenant *tenant = new_tenant(index, "shop");
  struct ci_str path = str("a"), small = str("w");
  struct ci_lease *first = NULL, *second = NULL, *refresh = NULL;
  struct ci_error error = new_error();
  uint64_t id = 0;
  CHECK(ci_claim(index, tenant, path, small, 1, &id, &first, &error) == CI_CLAIMED && id == 1);
  CHECK(ci_claim(index, tenant, path, small, 2, &id, &second, &error) == CI_PENDING && id == 1);
  CHECK(first != NULL && second == NULL);
  CHECK(ci_purge(index, tenant, path, CI_HARD, NULL, NULL, &error) == CI_OK);
  CHECK(ci_claim(index, tenant, path, small, 3, &id, &second, &error) == CI_CLAIMED && id == 3);
  CHECK(ci_lease_commit_claimed(first, NULL, &error) == CI_REFUSED);
  CHECK(ci_lease_commit_claimed(second, NULL, &error) == CI_STORED);
  CHECK(ci_lease_commit_claimed(second, NULL, &error) == CI_ERR_CLOSED);
  CHECK(ci_claim(index, tenant, path, small, 4, &id, &refresh, &error) == CI_LIVE && id == 3);
  CHECK(ci_purge(index, tenant, path, CI_SOFT, NULL, NULL, &error) == CI_OK);
  CHECK(ci_claim(index, tenant, path, small, 5, &id, &refresh, &error) == CI_STALE && id == 3);
  CHECK(refresh != NULL && ci_lease_commit_claimed(refresh, NULL, &error) == CI_STORED);
  ci_lease_free(refresh);
  ci_lease_free(second);
  ci_lease_free(first);
  ci_tenant_free(tenant);
  ci_index_free(index);
}

static void invalidate(void) {
  struct ci_index *index = new_index(1);
  struct ci_tenant *tenant = new_tenant(index, "shop"), *old;
  struct ci_error error = new_error();
  struct ci_rules *rules = NULL;
  struct ci_entries *entries = NULL;
  struct ci_purged purged;
  struct ci_str a = str("x/a.jpg"), b = str("y/b.jpg"), keys[1], wide[1];
  uint64_t value = 0;
  purged.size = sizeof purged;
  keys[0] = str("?w=1");
  wide[0] = str("width=2");
  CHECK(ci_rules_new(NULL, &rules, &error) == CI_OK);
  CHECK(ci_insert(index, tenant, a, str("?w=1"), 1, NULL, &error) == CI_STORED);
  CHECK(ci_insert(index, tenant, a, str("?h=5&w=2"), 2, NULL, &error) == CI_STORED);
  CHECK(ci_insert(index, tenant, b, str("?w=1"), 4, NULL, &error) == CI_STORED);

  CHECK(ci_variants(index, tenant, a, &entries, &error) == CI_OK);
  CHECK(sum_and_free(entries, 2) == 0);
  CHECK(ci_paths(index, tenant, str("y/"), &entries, &error) == CI_OK);
  CHECK(sum_and_free(entries, 1) == 0);
  CHECK(ci_paths(index, tenant, str(""), &entries, &error) == CI_OK);
  CHECK(sum_and_free(entries, 2) == 0);

  CHECK(ci_purge(index, tenant, a, CI_SOFT, &purged, &entries, &error) == CI_OK);
  CHECK(purged.variants == 2 && purged.stale_before == 0 && entries == NULL);
  CHECK(ci_lookup(index, tenant, a, keys[0], &value, &error) == CI_STALE && value == 1);
  CHECK(ci_purge_variants(index, tenant, a, keys, 1, CI_HARD, &purged, &entries, &error) == CI_OK);
  CHECK(sum_and_free(entries, 1) == 1);
  CHECK(ci_purge_operations(index, tenant, a, rules, wide, 1, CI_HARD, &purged, &entries, &error) ==
        CI_OK);
  CHECK(sum_and_free(entries, 1) == 2);

  CHECK(ci_purge_prefix(index, tenant, str("y/"), CI_HARD, &purged, &error) == CI_OK);
  CHECK(!purged.widened && ci_lookup(index, tenant, b, keys[0], &value, &error) == CI_MISS);
  CHECK(ci_insert(index, tenant, a, keys[0], 8, NULL, &error) == CI_STORED);
  CHECK(ci_flush(index, tenant, CI_HARD, &purged, &error) == CI_OK);
  CHECK(ci_insert(index, tenant, a, keys[0], 16, NULL, &error) == CI_STORED);
  CHECK(ci_flush(index, NULL, CI_HARD, NULL, &error) == CI_OK);
  value = 0;
  for (;;) {
    int done = ci_reclaim(index, 100, &entries, &error);
    CHECK(done >= 0);
    value += sum_and_free(entries, ci_entries_left(entries));
    if (done) break;
  }
  CHECK(value == 4 + 8 + 16 && stats_of(index).dead == 0);

  CHECK(ci_insert(index, tenant, a, keys[0], 32, NULL, &error) == CI_STORED);
  CHECK(ci_flush_over(index, tenant, 3600000, 7, NULL, &error) == CI_ERR_ARGUMENT);
  CHECK(stats_of(index).running_flushes == 0);
  CHECK(ci_flush_over(index, tenant, 3600000, CI_STALE, &purged, &error) == CI_OK);
  CHECK(ci_lookup(index, tenant, a, keys[0], &value, &error) == CI_STALE && value == 32);
  CHECK(ci_flush_over(index, NULL, 0, CI_LIVE, NULL, &error) == CI_OK);
  CHECK(ci_lookup(index, tenant, a, keys[0], &value, &error) == CI_MISS);
  CHECK(stats_of(index).flushes_over_time == 2);

  old = tenant;
  CHECK(ci_tenant_forget(index, old, &purged, &error) == CI_OK);
  tenant = new_tenant(index, "shop");
  CHECK(ci_insert(index, old, a, keys[0], 1, NULL, &error) == CI_REFUSED);
  CHECK(ci_insert(index, tenant, a, keys[0], 1, NULL, &error) == CI_STORED);
  ci_tenant_free(old);

  ci_rules_free(rules);
  ci_tenant_free(tenant);
  ci_index_free(index);
}

static void names(void) {
  struct ci_rules_config config;
  struct ci_rules *rules = NULL;
  struct ci_names names;
  struct ci_error error = new_error();
  char buffer[128];
  memset(&config, 0, sizeof config);
  config.size = sizeof config;
  config.token = str("doc");
  config.wildcards = 1;
  names.size = sizeof names;
  CHECK(ci_rules_new(&config, &rules, &error) == CI_OK);
  CHECK(ci_request_target(rules, str("/Sample.LI/a.jpg?w=2&h=1"), buffer, sizeof buffer, &names,
                          &error) == CI_OK);
  CHECK(is(names.path, "sample.li/a.jpg") && is(names.variant, "?h=1&w=2"));
  CHECK(ci_delivery_url(rules, str("https://doc.cloudimg.io/sample.li/a.jpg"), NULL, 0, &names,
                        &error) == CI_OK);
  CHECK(is(names.path, "sample.li/a.jpg") && is(names.variant, "?") && names.needed == 0);
  CHECK(ci_invalidation_entry(rules, str("sample.li/x/*"), buffer, sizeof buffer, &names,
                              &error) == CI_OK);
  CHECK(names.target == CI_TARGET_PREFIX && is(names.path, "sample.li/x/"));
  CHECK(ci_invalidation_entry(rules, str("*"), NULL, 0, &names, &error) == CI_OK);
  CHECK(names.target == CI_TARGET_ALL && names.path.len == 0 && names.needed == 0);
  CHECK(ci_invalidation_entry(rules, str("sample.li/a.jpg?w=2"), buffer, sizeof buffer, &names,
                              &error) == CI_ERR_TEXT);
  CHECK(error.at == 15 && strcmp(error.kind, "QueryNotAllowed") == 0);
  CHECK(strcmp(error.message,
               "unexpected query at byte 15: this entry invalidates the whole picture") == 0);
  CHECK(ci_variant_entry(rules, str("sample.li/a.jpg?width=2"), buffer, sizeof buffer, &names,
                         &error) == CI_OK);
  CHECK(names.target == CI_TARGET_PATH && is(names.variant, "?w=2"));
  CHECK(ci_variant_entry(rules, str("sample.li/x/*?w=2"), buffer, sizeof buffer, &names, &error) ==
        CI_ERR_TEXT);
  CHECK(error.at == 12 && strcmp(error.kind, "WildcardWithOperations") == 0);
  CHECK(ci_request_target(rules, str("/Sample.LI/a.jpg"), buffer, 3, &names, &error) ==
        CI_ERR_BUFFER);
  CHECK(names.needed == strlen("sample.li/a.jpg"));
  ci_rules_free(rules);
}

static void ids(void) {
  struct ci_ids *now = NULL, *numbered = NULL;
  struct ci_error error = new_error();
  uint64_t first = 0, second = 0;
  CHECK(ci_ids_new(0, &now, &error) == CI_OK);
  CHECK(ci_ids_next(now, &first, &error) == CI_OK && ci_ids_next(now, &second, &error) == CI_OK);
  CHECK(first != 0 && second == first + 1);
  CHECK(ci_ids_new(3, &numbered, &error) == CI_OK);
  CHECK(ci_ids_next(numbered, &first, &error) == CI_OK && first == (uint64_t)3 << 40);
  ci_ids_free(now);
  ci_ids_free(numbered);
  CHECK(strcmp(ci_code_name(CI_ERR_EXHAUSTED), "CI_ERR_EXHAUSTED") == 0);
  CHECK(strcmp(ci_code_name(12345), "unknown") == 0);
}

static void bad_input(void) {
  struct ci_index *index = new_index(0), *other = new_index(0);
  struct ci_tenant *foreign = new_tenant(other, "shop"), *tenant = new_tenant(index, "shop");
  struct ci_error error = new_error();
  struct ci_config config;
  struct ci_index *none = NULL;
  struct ci_stats stats;
  struct ci_str nothing;
  uint64_t value = 5;
  memset(&config, 0, sizeof config);
  CHECK(ci_index_new(&config, &none, &error) == CI_ERR_SIZE && none == NULL);
  config.size = sizeof config;
  config.shards = 3;
  CHECK(ci_index_new(&config, &none, &error) == CI_ERR_ARGUMENT && none == NULL);
  CHECK(strcmp(error.message, "shard count must be a power of two from 1 to 65536, got 3") == 0);
  CHECK(ci_lookup(index, foreign, str("a"), str("b"), &value, &error) == CI_ERR_TENANT);
  CHECK(ci_lookup(NULL, tenant, str("a"), str("b"), &value, &error) == CI_ERR_NULL);
  CHECK(ci_lookup(index, tenant, str("a"), str("b"), NULL, NULL) == CI_ERR_NULL);
  nothing.ptr = NULL;
  nothing.len = 0;
  CHECK(ci_lookup(index, tenant, nothing, str("b"), &value, &error) == CI_ERR_TEXT);
  CHECK(error.at == 0 && strcmp(error.kind, "Empty") == 0);
  CHECK(ci_lookup(index, tenant, str("a\xff"), str("b"), &value, &error) == CI_ERR_TEXT);
  CHECK(error.at == 1 && value == 5);
  CHECK(ci_flush(index, NULL, 2, NULL, &error) == CI_ERR_ARGUMENT);
  stats.size = 8;
  CHECK(ci_stats_get(index, &stats, &error) == CI_ERR_SIZE);
  CHECK(ci_lease_commit(NULL, str("b"), 1, NULL, &error) == CI_ERR_NULL);
  CHECK(stats_of(index).flushes == 0);
  ci_index_free(NULL);
  ci_tenant_free(NULL);
  ci_lease_free(NULL);
  ci_entries_free(NULL);
  ci_tenant_free(tenant);
  ci_tenant_free(foreign);
  ci_index_free(other);
  ci_index_free(index);
}

struct shared {
  struct ci_index *index;
  struct ci_tenant *tenant;
  int number;
};

static void *worker(void *argument) {
  struct shared *shared = (struct shared *)argument;
  char path[32];
  int n;
  for (n = 0; n < 2000; n++) {
    uint64_t value;
    struct ci_lease *lease = NULL;
    struct ci_entries *gone = NULL;
    snprintf(path, sizeof path, "x/%d.jpg", (n * 7 + shared->number) % 50);
    CHECK(ci_lookup(shared->index, shared->tenant, str(path), str("w"), &value, NULL) >= 0);
    CHECK(ci_lease_take(shared->index, shared->tenant, str(path), &lease, NULL) == CI_OK);
    CHECK(ci_lease_commit(lease, str("w"), (uint64_t)n, NULL, NULL) >= 0);
    ci_lease_free(lease);
    if (n % 10 == shared->number) {
      CHECK(ci_purge(shared->index, shared->tenant, str(path), CI_HARD, NULL, &gone, NULL) == 0);
      ci_entries_free(gone);
    }
  }
  return NULL;
}

static void threads(void) {
  enum { THREADS = 8 };
  struct ci_index *index = new_index(0);
  struct ci_tenant *tenant = new_tenant(index, "shop");
  struct shared shared[THREADS];
  pthread_t thread[THREADS];
  int n;
  for (n = 0; n < THREADS; n++) {
    shared[n].index = index;
    shared[n].tenant = tenant;
    shared[n].number = n;
    CHECK(pthread_create(&thread[n], NULL, worker, &shared[n]) == 0);
  }
  for (n = 0; n < THREADS; n++) CHECK(pthread_join(thread[n], NULL) == 0);
  CHECK(stats_of(index).open_leases == 0 && stats_of(index).purges == THREADS * 200);
  ci_tenant_free(tenant);
  ci_index_free(index);
}

int main(void) {
  CHECK(ci_version() == (CI_VERSION_MAJOR << 16 | CI_VERSION_MINOR << 8 | CI_VERSION_PATCH));
  fill();
  prepared();
  claim();
  invalidate();
  names();
  ids();
  bad_input();
  threads();
  puts("every function answers as its documentation says");
  return 0;
}
