/* Calls every function of the feature "durable", in C99: a process that is killed after a purge,
 * and the next one, which remembers the purge. The argument is an empty directory. Exits with 0 if
 * all answers are right. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define CI_WITH_DURABLE
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

static struct ci_error new_error(void) {
  struct ci_error error;
  memset(&error, 0, sizeof error);
  error.size = sizeof error;
  return error;
}

static struct ci_index *open_index(const char *directory) {
  struct ci_durable_config durable;
  struct ci_index *index = NULL;
  struct ci_error error = new_error();
  memset(&durable, 0, sizeof durable);
  durable.size = sizeof durable;
  durable.no_background_snapshots = 1;
  if (ci_durable_open(str(directory), NULL, &durable, &index, &error) != CI_OK)
    fprintf(stderr, "%s\n", error.message);
  CHECK(index != NULL);
  return index;
}

static struct ci_tenant *new_tenant(struct ci_index *index) {
  struct ci_tenant *tenant = NULL;
  CHECK(ci_tenant_get(index, str("shop"), &tenant, NULL) == CI_OK);
  return tenant;
}

static void fill(struct ci_index *index, struct ci_tenant *tenant, const char *path, uint64_t id) {
  struct ci_lease *lease = NULL;
  CHECK(ci_lease_take(index, tenant, str(path), &lease, NULL) == CI_OK);
  CHECK(ci_lease_commit(lease, str("w"), id, NULL, NULL) == CI_STORED);
  ci_lease_free(lease);
}

/* Fills three pictures, saves them, purges one, and is killed. */
static void first_run(const char *directory) {
  struct ci_index *index = open_index(directory);
  struct ci_tenant *tenant = new_tenant(index);
  struct ci_error error = new_error();
  struct ci_recovery recovery;
  struct ci_snapshot snapshot;
  struct ci_durable_stats stats;
  struct ci_purged purged;
  recovery.size = sizeof recovery;
  snapshot.size = sizeof snapshot;
  stats.size = sizeof stats;
  purged.size = sizeof purged;
  CHECK(ci_durable_recovery(index, &recovery, &error) == CI_RECOVERY_NEW);
  CHECK(recovery.entries == 0 && recovery.message[0] == 0 && recovery.kind[0] == 0);
  fill(index, tenant, "a.jpg", 1);
  fill(index, tenant, "b.jpg", 2);
  fill(index, tenant, "folder/c.jpg", 3);
  CHECK(ci_durable_snapshot(index, &snapshot, &error) == CI_OK && snapshot.entries == 3);
  CHECK(snapshot.bytes > 0);
  CHECK(ci_purge(index, tenant, str("a.jpg"), CI_HARD, &purged, NULL, &error) == CI_OK);
  CHECK(purged.variants == 1 && purged.durability == CI_DURABLE);
  CHECK(ci_purge_prefix(index, tenant, str("folder/"), CI_SOFT, &purged, &error) == CI_OK);
  CHECK(purged.durability == CI_DURABLE);
  CHECK(ci_durable_stats_get(index, &stats, &error) == CI_OK);
  CHECK(stats.log_records == 2 && stats.snapshots == 1 && !stats.has_failed);
  CHECK(stats.would_start_warm == 1 && stats.all_entries == 0);
  kill(getpid(), SIGKILL);
}

static void second_run(const char *directory) {
  struct ci_index *index = open_index(directory), *other = NULL;
  struct ci_tenant *tenant = new_tenant(index);
  struct ci_error error = new_error();
  struct ci_recovery recovery;
  struct ci_purged purged;
  struct ci_entries *values = NULL;
  struct ci_entry entry;
  struct ci_ids *ids = NULL;
  uint64_t value = 0, incarnation = 0, id = 0, sum = 0;
  recovery.size = sizeof recovery;
  purged.size = sizeof purged;
  entry.size = sizeof entry;
  CHECK(ci_durable_wait(index, &recovery, &error) == CI_RECOVERY_WARM);
  CHECK(recovery.state == CI_RECOVERY_WARM && recovery.entries == 3 && recovery.replayed == 2);
  CHECK(!recovery.closed && !recovery.torn && recovery.refused == 0);
  CHECK(ci_lookup(index, tenant, str("a.jpg"), str("w"), &value, &error) == CI_MISS);
  CHECK(ci_lookup(index, tenant, str("b.jpg"), str("w"), &value, &error) == CI_LIVE && value == 2);
  CHECK(ci_lookup(index, tenant, str("folder/c.jpg"), str("w"), &value, &error) == CI_STALE);
  CHECK(ci_durable_values(index, &values, &error) == CI_OK && ci_entries_left(values) == 2);
  while (ci_entries_next(values, &entry, NULL) == 1) {
    CHECK(entry.path.len == 0 && entry.variant.len == 0);
    sum += entry.value;
  }
  CHECK(sum == 2 + 3);
  ci_entries_free(values);
  CHECK(ci_durable_incarnation(index, &incarnation, &error) == CI_OK && incarnation > 1);
  CHECK(ci_ids_new(incarnation, &ids, &error) == CI_OK && ci_ids_next(ids, &id, &error) == CI_OK);
  CHECK(id == incarnation << 40);
  ci_ids_free(ids);
  CHECK(ci_durable_open(str(directory), NULL, NULL, &other, &error) == CI_ERR_IO && other == NULL);
  CHECK(strcmp(error.kind, "Io") == 0 && strstr(error.message, "locked") != NULL);
  CHECK(ci_durable_close(index, &error) == CI_OK);
  CHECK(ci_flush(index, tenant, CI_HARD, &purged, &error) == CI_NOT_DURABLE);
  CHECK(purged.durability == CI_NOT_DURABLE && error.code == CI_NOT_DURABLE);
  CHECK(strcmp(error.message, "index is closed") == 0);
  CHECK(ci_lookup(index, tenant, str("b.jpg"), str("w"), &value, &error) == CI_MISS);
  ci_tenant_free(tenant);
  ci_index_free(index);
}

/* An index in memory, which has none of these functions. */
static void in_memory(void) {
  struct ci_index *index = NULL;
  struct ci_error error = new_error();
  struct ci_purged purged;
  purged.size = sizeof purged;
  CHECK(ci_index_new(NULL, &index, &error) == CI_OK);
  CHECK(ci_durable_close(index, &error) == CI_ERR_ARGUMENT);
  CHECK(ci_durable_recovery(index, NULL, &error) == CI_ERR_ARGUMENT);
  CHECK(ci_durable_close(NULL, &error) == CI_ERR_NULL);
  CHECK(ci_flush(index, NULL, CI_HARD, &purged, &error) == CI_OK);
  CHECK(purged.durability == CI_IN_MEMORY);
  ci_index_free(index);
}

int main(int count, char **arguments) {
  const char *directory = count == 2 ? arguments[1] : NULL;
  pid_t child;
  int status = 0;
  CHECK(directory != NULL);
  /* Before this process has an index, and so threads. */
  child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    first_run(directory);
    _exit(1);
  }
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  second_run(directory);
  in_memory();
  puts("a purge is remembered by the next process");
  return 0;
}
