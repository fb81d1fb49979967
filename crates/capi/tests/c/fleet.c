/* Calls every function of the feature "fleet", in C99: two nodes of one fleet over a real
 * nats-server. A purge on one is gone on the other, and a killed server shuts the gates. Arguments:
 * an empty directory, the path of nats-server, and a port. Exits with 0 if all answers are right. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CI_WITH_DURABLE
#define CI_WITH_FLEET
#include "cache_index.h"

/* Nothing takes that long. */
#define LIMIT_MS 240000

static pid_t server;

#define CHECK(what)                                                                \
  do {                                                                             \
    if (!(what)) {                                                                 \
      fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #what);         \
      if (server > 0) kill(server, SIGKILL);                                       \
      exit(1);                                                                     \
    }                                                                              \
  } while (0)

struct node {
  struct ci_index *index;
  struct ci_tenant *tenant;
};

static struct ci_str str(const char *text) {
  struct ci_str it;
  it.ptr = text;
  it.len = strlen(text);
  return it;
}

static struct ci_error new_error(void) {
  struct ci_error error;
  memset(&error, 0, sizeof error);
  error.size = sizeof error;
  return error;
}

static struct node join(const char *directory, const char *name, const char *url) {
  char path[4096];
  struct node node = { NULL, NULL };
  struct ci_durable_config durable;
  struct ci_fleet_config config;
  struct ci_error error = new_error();
  memset(&durable, 0, sizeof durable);
  memset(&config, 0, sizeof config);
  durable.size = sizeof durable;
  durable.no_background_snapshots = 1;
  config.size = sizeof config;
  config.fresh_for_ms = 3000;
  config.patience_ms = LIMIT_MS;
  config.keep_removed = 1;
  snprintf(path, sizeof path, "%s/%s", directory, name);
  CHECK(ci_durable_open(str(path), NULL, &durable, &node.index, &error) == CI_OK);
  CHECK(ci_tenant_get(node.index, str("shop"), &node.tenant, NULL) == CI_OK);
  CHECK(ci_fleet_gate(node.index, &error) == CI_ERR_ARGUMENT);
  CHECK(ci_fleet_join(node.index, str(url), str("a b"), &config, &error) == CI_ERR_ARGUMENT);
  if (ci_fleet_join(node.index, str(url), str(name), &config, &error) != CI_OK)
    fprintf(stderr, "%s\n", error.message);
  CHECK(ci_fleet_wait(node.index, LIMIT_MS, &error) == 1);
  CHECK(ci_fleet_gate(node.index, &error) == CI_GATE_OPEN);
  return node;
}

static void fill(struct node node, const char *path, uint64_t id) {
  struct ci_lease *lease = NULL;
  CHECK(ci_lease_take(node.index, node.tenant, str(path), &lease, NULL) == CI_OK);
  CHECK(ci_lease_commit(lease, str("?w=1"), id, NULL, NULL) == CI_STORED);
  ci_lease_free(lease);
}

static int state(struct node node, const char *path) {
  uint64_t value = 0;
  return ci_lookup(node.index, node.tenant, str(path), str("?w=1"), &value, NULL);
}

/* Reads the only value, and frees. */
static uint64_t only(struct ci_entries *values) {
  struct ci_entry entry;
  entry.size = sizeof entry;
  CHECK(ci_entries_left(values) == 1 && ci_entries_next(values, &entry, NULL) == 1);
  ci_entries_free(values);
  return entry.value;
}

static void invalidations(struct node a, struct node b) {
  struct ci_error error = new_error();
  struct ci_reached reached;
  struct ci_entries *values = NULL;
  struct ci_rules *rules = NULL;
  struct ci_str variant = str("?w=1");
  const char *body = "{\"scope\":\"original\",\"urls\":[\"/r.jpg\"]}";
  const int level = CI_REACH_EVERYWHERE;
  reached.size = sizeof reached;
  CHECK(ci_rules_new(NULL, &rules, &error) == CI_OK);

  fill(a, "a.jpg", 1);
  fill(b, "a.jpg", 2);
  CHECK(ci_purge(a.index, a.tenant, str("a.jpg"), CI_HARD, NULL, NULL, &error) == CI_ERR_ARGUMENT);
  CHECK(state(b, "a.jpg") == CI_LIVE);
  CHECK(ci_fleet_purge(a.index, a.tenant, str("a.jpg"), CI_HARD, level, &reached, &values, &error) == CI_OK);
  CHECK(reached.reach == CI_REACH_EVERYWHERE && reached.durability == CI_DURABLE && reached.values == 1);
  CHECK(only(values) == 1);
  CHECK(state(a, "a.jpg") == CI_MISS && state(b, "a.jpg") == CI_MISS);
  CHECK(ci_fleet_removed(b.index, &values, &error) == CI_OK && only(values) == 2);

  fill(b, "v.jpg", 3);
  CHECK(ci_fleet_purge_variants(a.index, a.tenant, str("v.jpg"), &variant, 1, CI_SOFT, level, &reached, NULL, &error) == CI_OK);
  CHECK(state(b, "v.jpg") == CI_STALE);
  fill(b, "r.jpg", 4);
  CHECK(ci_fleet_request(a.index, a.tenant, rules, str(body), level, &reached, NULL, &error) == CI_OK);
  CHECK(state(b, "r.jpg") == CI_MISS);
  fill(b, "f/p.jpg", 5);
  CHECK(ci_fleet_purge_prefix(a.index, a.tenant, str("f/"), CI_HARD, level, &reached, &error) == CI_OK);
  CHECK(state(b, "f/p.jpg") == CI_MISS);
  fill(b, "a.jpg", 6);
  CHECK(ci_fleet_flush(a.index, a.tenant, CI_HARD, level, &reached, &error) == CI_OK);
  CHECK(state(b, "a.jpg") == CI_MISS);
  fill(b, "a.jpg", 7);
  CHECK(ci_fleet_flush_over(a.index, NULL, 0, CI_STALE, level, &reached, &error) == CI_OK);
  CHECK(state(b, "a.jpg") == CI_MISS);
  ci_rules_free(rules);
}

static void watermarks(struct node edge, struct node shield) {
  struct ci_error error = new_error();
  struct ci_watermark sent, echo;
  sent.size = sizeof sent;
  echo.size = sizeof echo;
  CHECK(ci_fleet_watermark(edge.index, LIMIT_MS, &sent, &error) == 1 && strlen(sent.text) == sent.len);
  CHECK(ci_fleet_watermark_check(shield.index, str(sent.text), LIMIT_MS, &echo, &error) == CI_TIER_CACHE);
  CHECK(ci_fleet_watermark_keeps(str(sent.text), str(echo.text), &error) == 1);
  CHECK(ci_fleet_watermark_keeps(str(sent.text), str(""), &error) == 0);
  CHECK(ci_fleet_watermark_check(shield.index, str("nonsense"), 0, &echo, &error) == CI_ERR_TEXT);
}

static void wait_for_shut(struct node node) {
  const struct timespec pause = { 0, 5000000 };
  time_t end = time(NULL) + LIMIT_MS / 1000;
  while (ci_fleet_gate(node.index, NULL) == CI_GATE_OPEN) {
    CHECK(time(NULL) < end);
    nanosleep(&pause, NULL);
  }
  CHECK(ci_fleet_gate(node.index, NULL) == CI_GATE_STALE);
}

int main(int count, char **arguments) {
  char url[64], store[4096];
  struct node a, b;
  struct ci_error error = new_error();
  struct ci_fleet_stats stats;
  struct ci_reached reached;
  stats.size = sizeof stats;
  reached.size = sizeof reached;
  CHECK(count == 4);
  snprintf(url, sizeof url, "nats://127.0.0.1:%s", arguments[3]);
  snprintf(store, sizeof store, "%s/store", arguments[1]);
  /* Before this process has threads. */
  server = fork();
  CHECK(server >= 0);
  if (server == 0) {
    execl(arguments[2], "nats-server", "-a", "127.0.0.1", "-p", arguments[3], "-js", "-sd", store, (char *)NULL);
    _exit(127);
  }
  a = join(arguments[1], "a", url);
  b = join(arguments[1], "b", url);
  invalidations(a, b);
  watermarks(a, b);
  CHECK(ci_fleet_stats_get(a.index, &stats, &error) == CI_OK);
  CHECK(stats.members == 2 && stats.is_caught_up == 1 && stats.outbox == 0 && stats.reached[2] == 6);

  fill(b, "late.jpg", 8);
  CHECK(state(b, "late.jpg") == CI_LIVE);
  CHECK(kill(server, SIGKILL) == 0 && waitpid(server, NULL, 0) == server);
  server = 0;
  wait_for_shut(a);
  wait_for_shut(b);
  CHECK(state(b, "late.jpg") == CI_STALE);
  CHECK(ci_fleet_wait(b.index, 1, &error) == 0);
  /* It holds here, and waits for the server. */
  CHECK(ci_fleet_tenant_forget(b.index, b.tenant, CI_REACH_LOCAL, &reached, &error) == CI_OK);
  CHECK(reached.reach == CI_REACH_LOCAL && state(b, "late.jpg") == CI_MISS);
  CHECK(ci_fleet_leave(a.index, &error) == CI_OK);
  ci_tenant_free(a.tenant);
  ci_tenant_free(b.tenant);
  ci_index_free(a.index);
  ci_index_free(b.index);
  puts("a purge on one node is gone on the other, and a killed server shuts the gates");
  return 0;
}
