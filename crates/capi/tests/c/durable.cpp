// Calls every function of the feature "durable", in C++17: an index that is closed, one that is
// damaged, and mistakes in the settings. The argument is an empty directory. Exits with 0 if all
// answers are right.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#define CI_WITH_DURABLE
#include "cache_index.h"

#define CHECK(what)                                                       \
  do {                                                                    \
    if (!(what)) {                                                        \
      std::fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #what); \
      std::exit(1);                                                       \
    }                                                                     \
  } while (0)

namespace {

template <typename T, void (*free_it)(T *)>
struct Free {
  void operator()(T *it) const { free_it(it); }
};
using Index = std::unique_ptr<ci_index, Free<ci_index, ci_index_free>>;
using Tenant = std::unique_ptr<ci_tenant, Free<ci_tenant, ci_tenant_free>>;
using Entries = std::unique_ptr<ci_entries, Free<ci_entries, ci_entries_free>>;

template <typename T>
T sized() {
  T it{};
  it.size = sizeof it;
  return it;
}

ci_str str(std::string_view text) { return {text.data(), text.size()}; }

// Opens an index, and returns the code with it.
std::pair<int, Index> open(std::string_view directory, const ci_durable_config &durable,
                           ci_error *error) {
  ci_index *out = nullptr;
  const int code = ci_durable_open(str(directory), nullptr, &durable, &out, error);
  return {code, Index(out)};
}

Tenant tenant_of(ci_index *index) {
  ci_tenant *out = nullptr;
  CHECK(ci_tenant_get(index, str("shop"), &out, nullptr) == CI_OK);
  return Tenant(out);
}

void closed(std::string_view directory) {
  auto error = sized<ci_error>();
  auto durable = sized<ci_durable_config>();
  durable.sync = CI_SYNC_EVERY;
  durable.sync_ms = 1000;
  durable.snapshot_ms = 60000;
  durable.snapshot_bytes = 1 << 20;
  durable.segment_bytes = 1 << 16;
  std::uint64_t first = 0, second = 0, value = 0;
  auto purged = sized<ci_purged>();
  {
    auto [code, index] = open(directory, durable, &error);
    CHECK(code == CI_OK);
    auto tenant = tenant_of(index.get());
    CHECK(ci_insert(index.get(), tenant.get(), str("a"), str("w"), 7, nullptr, &error) == CI_STORED);
    CHECK(ci_purge(index.get(), tenant.get(), str("b"), CI_HARD, &purged, nullptr, &error) == CI_OK);
    CHECK(purged.durability == CI_WRITTEN);
    CHECK(ci_durable_snapshot(index.get(), nullptr, &error) == CI_OK);
    CHECK(ci_durable_incarnation(index.get(), &first, &error) == CI_OK);
    CHECK(ci_durable_close(index.get(), &error) == CI_OK);
    CHECK(ci_durable_close(index.get(), &error) == CI_OK);
  }
  durable.load_in_background = 1;
  durable.load_threads = 2;
  auto [code, index] = open(directory, durable, &error);
  CHECK(code == CI_OK);
  auto found = sized<ci_recovery>();
  CHECK(ci_durable_wait(index.get(), &found, &error) == CI_RECOVERY_WARM);
  CHECK(found.closed == 1 && found.entries == 1);
  CHECK(ci_durable_recovery(index.get(), nullptr, &error) == CI_RECOVERY_WARM);
  auto tenant = tenant_of(index.get());
  CHECK(ci_lookup(index.get(), tenant.get(), str("a"), str("w"), &value, &error) == CI_LIVE);
  ci_entries *out = nullptr;
  CHECK(ci_durable_values(index.get(), &out, &error) == CI_OK);
  CHECK(ci_entries_left(Entries(out).get()) == 1 && value == 7);
  auto stats = sized<ci_durable_stats>();
  CHECK(ci_durable_stats_get(index.get(), &stats, &error) == CI_OK && stats.log_records == 0);
  CHECK(ci_durable_incarnation(index.get(), &second, &error) == CI_OK && second > first);
  CHECK(ci_durable_close(index.get(), &error) == CI_OK);
}

void damaged(const std::string &directory) {
  std::ofstream(directory + "/MANIFEST") << "damaged";
  auto error = sized<ci_error>();
  auto [code, index] = open(directory, sized<ci_durable_config>(), &error);
  auto found = sized<ci_recovery>();
  CHECK(code == CI_OK);
  CHECK(ci_durable_recovery(index.get(), &found, &error) == CI_RECOVERY_COLD);
  CHECK(std::string_view(found.kind) == "Damaged");
  CHECK(std::string_view(found.message).substr(0, 8) == "MANIFEST");
}

void mistakes(std::string_view directory) {
  auto error = sized<ci_error>();
  auto durable = sized<ci_durable_config>();
  durable.sync_ms = 5;
  CHECK(open(directory, durable, &error).first == CI_ERR_ARGUMENT);
  CHECK(std::string_view(error.message) == "sync_ms is 5: expected 0 without CI_SYNC_EVERY");
  durable.size = 1;
  CHECK(open(directory, durable, &error).first == CI_ERR_SIZE);
  CHECK(open("", sized<ci_durable_config>(), &error).first == CI_ERR_TEXT);
  CHECK(ci_durable_stats_get(nullptr, nullptr, &error) == CI_ERR_NULL);
}

}  // namespace

int main(int count, char **arguments) {
  CHECK(count == 2);
  closed(arguments[1]);
  damaged(arguments[1]);
  mistakes(arguments[1]);
  std::puts("an index that was closed is warm, and one that was damaged is cold");
}
