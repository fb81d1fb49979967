/* The operations that benches/instructions counts in Rust, through C: the same paths, variants and
 * numbers of repetitions. Only the code in measured_* is counted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache_index.h"

enum { PATHS = 4000, VARIANTS = 6, FEW = 4 };

static struct ci_index *index_;
static struct ci_tenant *tenant;
static struct ci_str path_texts[2 * PATHS], key_texts[VARIANTS];
static struct ci_path *paths[2 * PATHS];
static struct ci_key *keys[VARIANTS];
static int order[PATHS * FEW];

static void must(int is_true) {
  if (!is_true) {
    fputs("a call failed\n", stderr);
    exit(1);
  }
}

static struct ci_str copied(const char *text) {
  struct ci_str it;
  char *copy = (char *)malloc(strlen(text) + 1);
  must(copy != NULL);
  strcpy(copy, text);
  it.ptr = copy;
  it.len = strlen(text);
  return it;
}

static void set_up(void) {
  char text[128];
  unsigned random = 7;
  int n, v;
  must(ci_index_new(NULL, &index_, NULL) == CI_OK);
  must(ci_tenant_get(index_, copied("site"), &tenant, NULL) == CI_OK);
  for (v = 0; v < VARIANTS; v++) {
    snprintf(text, sizeof text, "?h=%d&org_if_sml=1&w=%d", 100 + 10 * v, 200 + 20 * v);
    key_texts[v] = copied(text);
    must(ci_key_new(key_texts[v], CI_OPAQUE, &keys[v], NULL) == CI_OK);
  }
  for (n = 0; n < 2 * PATHS; n++) {
    snprintf(text, sizeof text, "shop.example.com/catalog%03d/products/%08d-front.jpg", n / 100, n);
    path_texts[n] = copied(text);
    must(ci_path_new(path_texts[n], CI_OPAQUE, &paths[n], NULL) == CI_OK);
    for (v = 0; v < VARIANTS && n < PATHS; v++)
      must(ci_insert(index_, tenant, path_texts[n], key_texts[v], 7, NULL, NULL) == CI_STORED);
  }
  for (n = 0; n < PATHS * FEW; n++) {
    int other;
    random = random * 1664525u + 1013904223u;
    other = (int)(random >> 8) % (n + 1);
    order[n] = order[other];
    order[other] = n;
  }
}

static __attribute__((noinline)) int measured_texts(void) {
  uint64_t value;
  int n, hits = 0;
  for (n = 0; n < PATHS; n++)
    hits += ci_lookup(index_, tenant, path_texts[n], key_texts[n % VARIANTS], &value, NULL);
  return hits;
}

static __attribute__((noinline)) int measured_prepared(void) {
  uint64_t value;
  int n, hits = 0;
  for (n = 0; n < PATHS; n++)
    hits += ci_lookup_prepared(index_, tenant, paths[n], keys[n % VARIANTS], &value, NULL);
  return hits;
}

static __attribute__((noinline)) int measured_fill(void) {
  int n, stored = 0;
  for (n = 0; n < PATHS * FEW; n++) {
    struct ci_lease *lease;
    int path = PATHS + order[n] / FEW, key = order[n] % FEW;
    ci_lease_take(index_, tenant, path_texts[path], &lease, NULL);
    stored += ci_lease_commit(lease, key_texts[key], 7, NULL, NULL);
    ci_lease_free(lease);
  }
  return stored;
}

static __attribute__((noinline)) int measured_fill_prepared(void) {
  int n, stored = 0;
  for (n = 0; n < PATHS * FEW; n++) {
    struct ci_lease *lease;
    int path = PATHS + order[n] / FEW, key = order[n] % FEW;
    ci_lease_take_prepared(index_, tenant, paths[path], &lease, NULL);
    stored += ci_lease_commit_prepared(lease, keys[key], 7, NULL, NULL);
    ci_lease_free(lease);
  }
  return stored;
}

int main(int count, char **arguments) {
  const char *what = count > 1 ? arguments[1] : "";
  set_up();
  if (strcmp(what, "look-up-hit") == 0)
    must(measured_texts() == PATHS);
  else if (strcmp(what, "look-up-prepared") == 0)
    must(measured_prepared() == PATHS);
  else if (strcmp(what, "fill-prepared") == 0)
    must(measured_fill_prepared() == PATHS * FEW);
  else if (strcmp(what, "fill") == 0)
    must(measured_fill() == PATHS * FEW);
  else
    must(0);
  return 0;
}
